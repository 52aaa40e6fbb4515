"""From PlanetScope scenes in any layout to a dataset: every pixel against plain rasterio and numpy in float64."""

import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.features import rasterize
from scipy import ndimage

from darts.core.errors import SceneError
from darts.dataset.journal import read_journal
from darts.dataset.reader import open_dataset
from darts.preprocess import plan_planet_train_data, preprocess_planet_train_data
from darts.preprocess.findings import Kind

from .conftest import ORIGIN, UTM, pixels, square, write_polygons, write_raster
from .test_pipeline import checked, report, tree
from .test_planet import LAYOUTS, SCENE, SHAPE, expected, write_image

ALL_BANDS = (
    "blue green red nir ndvi tc_brightness tc_greenness tc_wetness relative_elevation slope aspect northness eastness "
    "hillshade curvature dem NDWI"
).split()
SMALL = {"patch_size": 32, "overlap": 4, "workers": 1, "exclude_nan": False}
MARGIN = 40
"""Pixels by which the elevation reaches beyond the scene."""
RADIUS = 20
"""Metres; 7 pixels of 3 m."""


def area(row, column, size, **options):
    return square(row, column, size, resolution=3.0, **options)


def write_repository(root, image_id, *, labels=None, footprint=None, iteration="iteration001"):
    """Labels and a footprint of one image, as the public repository has them."""
    folder = root / f"TrainingLabel_RTS_PlanetScope_{iteration}"
    shapes = gpd.GeoSeries(labels or [area(10, 20, 9), area(40, 60, 12)], crs=UTM).to_crs("EPSG:4326")
    write_polygons(
        folder / f"TrainingLabel_{iteration}.gpkg", shapes, crs="EPSG:4326", image_id=[image_id] * len(shapes)
    )
    outline = gpd.GeoSeries([footprint or area(3, 5, 60)], crs=UTM).to_crs("EPSG:4326")
    write_polygons(folder / f"ImageFootprints_{iteration}.gpkg", outline, crs="EPSG:4326", image_id=[image_id])
    return root


def write_elevation(path):
    """A rough hill with a hole, on the pixels of the scene and 40 around it."""
    height, width = (length + 2 * MARGIN for length in SHAPE)
    rng = np.random.default_rng(5)
    dem = 300 + 60 * np.sin(np.arange(height)[:, None] / 17) + 40 * np.cos(np.arange(width) / 23)
    dem = (dem + ndimage.gaussian_filter(rng.normal(0, 6, (height, width)), 2)).astype(np.float32)
    dem[MARGIN + 20 : MARGIN + 25, MARGIN + 50 : MARGIN + 58] = -9999
    origin = (ORIGIN[0] - 3 * MARGIN, ORIGIN[1] + 3 * MARGIN)
    write_raster(path, dem, transform=pixels(3, origin=origin), nodata=-9999)
    return np.where(dem == -9999, np.nan, dem.astype(np.float64))


def write_trends(path):
    trends = np.random.default_rng(6).integers(1, 255, (3, *SHAPE)).astype(np.uint8)
    trends[:, 33, 44] = 0
    write_raster(path, trends, transform=pixels(3), descriptions=["tc_brightness", "tc_greenness", "tc_wetness"])
    return np.where((trends == 0).all(axis=0), np.nan, trends.astype(np.float64))


def inner(values, more=0):
    return values[MARGIN - more : MARGIN + SHAPE[0] + more, MARGIN - more : MARGIN + SHAPE[1] + more]


def terrain(dem, grid_north, sun=(225.0, 25.0)):
    """Terrain by the textbook, pixel by pixel where it is simple; NaN wherever the hole is near."""
    known = np.isfinite(dem)
    radius = int(np.ceil(RADIUS / 3))
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = (rows**2 + columns**2 <= radius**2).astype(float)
    total = ndimage.correlate(np.where(known, dem, 0), disk, mode="constant")
    tpi = dem - total / ndimage.correlate(known.astype(float), disk, mode="constant")
    horn = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / (8 * 3)
    east, south = ndimage.correlate(dem, horn), ndimage.correlate(dem, horn.T)
    north = -south
    steep = np.hypot(east, north)
    azimuth = (np.degrees(np.arctan2(-east, -north)) + grid_north) % 360
    a, h = np.radians(sun[0] - grid_north), np.radians(sun[1])
    shade = (np.sin(h) + np.cos(h) * (-east * np.sin(a) - north * np.cos(a))) / np.sqrt(1 + steep**2)
    laplacian = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]]) / 9
    near_hole = ndimage.binary_dilation(~known, np.ones((3, 3)))
    bands = {
        "slope": np.degrees(np.arctan(steep)),
        "aspect": azimuth,
        "northness": np.cos(np.radians(azimuth)),
        "eastness": np.sin(np.radians(azimuth)),
        "hillshade": np.clip(shade, 0, 1),
        "curvature": -100 * ndimage.correlate(dem, laplacian),
    }
    bands = {name: np.where(near_hole, np.nan, values) for name, values in bands.items()}
    return {name: inner(values) for name, values in (bands | {"dem": dem, "relative_elevation": tpi}).items()}


def physical(image, mask, dem, trends):
    """All bands in float64, NaN where there is no value, and the quality."""
    optical, quality = expected(image, mask)
    bands = dict(zip(("blue", "green", "red", "nir"), optical, strict=True))
    red, nir, green = (np.clip(bands[name], 0, 1) for name in ("red", "nir", "green"))
    with rasterio.open(image) as source:
        from pyproj import Proj

        lon, lat = rasterio.warp.transform(
            source.crs, "EPSG:4326", *([v] for v in source.xy(SHAPE[0] // 2, SHAPE[1] // 2))
        )
        grid_north = -Proj(source.crs).get_factors(lon[0], lat[0]).meridian_convergence
    bands |= {"ndvi": (nir - red) / (nir + red), "NDWI": (green - nir) / (green + nir)}
    bands |= dict(zip(("tc_brightness", "tc_greenness", "tc_wetness"), trends, strict=True))
    # PROJ's convergence is the angle from true north to grid north, clockwise.
    return bands | terrain(dem, -grid_north), quality


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_pixel_in_every_layout(tmp_path, layout):
    place, stem, image_id = LAYOUTS[layout]
    image = write_image(tmp_path / "planet" / place, f"{stem}_AnalyticMS_SR", f"{stem}_udm2")
    dem, trends = write_elevation(tmp_path / "dem.tif"), write_trends(tmp_path / "tcvis.tif")
    write_repository(tmp_path / "labels", image_id)
    result = preprocess_planet_train_data(
        data_dir=tmp_path / "planet", labels_dir=tmp_path / "labels", train_data_dir=tmp_path / "out", bands=ALL_BANDS,
        arcticdem_dir=tmp_path / "dem.tif", tcvis_dir=tmp_path / "tcvis.tif", tpi_outer_radius=RADIUS,
        band_ranges=["curvature:-400:400"], **SMALL,
    )  # fmt: skip
    assert (result.n_scenes, result.labels_used, result.labels_unused) == (1, 2, 0)
    bands, quality = physical(image, image.with_name(f"{stem}_udm2.tif"), dem, trends)
    y = rasterize([area(10, 20, 9), area(40, 60, 12)], out_shape=SHAPE, transform=pixels(3))
    mapped = rasterize([area(3, 5, 60)], out_shape=SHAPE, transform=pixels(3)) == 1
    y = np.where(mapped & (quality == 2), y, 2)
    dataset = checked(tmp_path / "out")
    assert len(dataset) + sum(result.dropped.values()) == 3 * 4
    assert len(dataset) >= 6
    for row, sample in dataset.metadata.iterrows():
        cut = (slice(sample["row"], sample["row"] + 32), slice(sample["column"], sample["column"] + 32))
        np.testing.assert_array_equal(dataset.read_y(row), y[cut])
        for band, x in zip(dataset.manifest.bands, dataset.read_x(row), strict=True):
            wanted = np.clip((bands[band.name][cut] - band.lo) / (band.hi - band.lo), 0, 1)
            there = np.isfinite(wanted)
            tolerance = {"aspect": 3e-4, "hillshade": 3e-4, "northness": 3e-4, "eastness": 3e-4}.get(band.name, 3e-5)
            difference = np.abs(x[there] - wanted[there])
            if band.name == "aspect":  # 0 and 360 degrees are one direction
                difference = np.minimum(difference, 1 - difference)
            assert difference.max() <= tolerance, band.name
            if band.name in ("dem", "relative_elevation", "ndvi", "blue", "tc_wetness"):
                np.testing.assert_allclose(x[~there], band.fill, atol=1.1e-5)


def test_a_hole_in_the_elevation_keeps_its_size_in_every_band(tmp_path):
    write_image(tmp_path / "planet")
    dem = inner(write_elevation(tmp_path / "dem.tif"))
    write_repository(tmp_path / "labels", SCENE)
    settings = {
        "data_dir": tmp_path / "planet", "labels_dir": tmp_path / "labels", "arcticdem_dir": tmp_path / "dem.tif",
        "bands": ["blue", "relative_elevation", "slope", "curvature"], "overlap": 0, "patch_size": 16, "workers": 1,
    }  # fmt: skip
    whole = preprocess_planet_train_data(train_data_dir=tmp_path / "whole", **settings)
    assert whole.dropped["missing values"] > 0
    everything = preprocess_planet_train_data(train_data_dir=tmp_path / "all", exclude_nan=False, **settings)
    dropped = {tuple(key) for key in places(tmp_path / "all")} - {tuple(key) for key in places(tmp_path / "whole")}
    image, _ = expected(tmp_path / "planet" / f"{SCENE}_3B_AnalyticMS_SR.tif", bands=(1,))
    missing = np.isnan(dem) | np.isnan(image).any(axis=0)
    with_holes = {(r, c) for r, c in places(tmp_path / "all") if missing[r : r + 16, c : c + 16].any()}
    assert dropped == with_holes
    assert everything.n_patches == whole.n_patches + len(with_holes)


def places(directory):
    return open_dataset(directory).metadata[["row", "column"]].to_numpy().tolist()


def test_images_that_nobody_looked_at_are_left_out_and_listed(tmp_path):
    write_image(tmp_path / "planet" / SCENE)
    other = "20210901_220000_11_2460"
    write_image(tmp_path / "planet" / other, f"{other}_3B_AnalyticMS_SR", origin=(ORIGIN[0] + 5000, ORIGIN[1]))
    write_repository(tmp_path / "labels", SCENE)
    settings = {"data_dir": tmp_path / "planet", "labels_dir": tmp_path / "labels"} | SMALL
    result = preprocess_planet_train_data(train_data_dir=tmp_path / "out", **settings)
    assert set(open_dataset(tmp_path / "out").metadata["sample_id"]) == {SCENE}
    (listed,) = [finding for finding in report(tmp_path / "out") if finding.kind == Kind.IMAGE_WITHOUT_LABEL]
    assert (listed.name, result.n_scenes) == (other, 1)
    assert "so it is left out (--unlabelled-negative uses it)" in listed.reason
    used = preprocess_planet_train_data(train_data_dir=tmp_path / "negative", unlabelled_negative=True, **settings)
    assert used.n_scenes == 2
    table = open_dataset(tmp_path / "negative").metadata
    assert table[table["sample_id"] == other]["empty"].all()


def test_an_image_with_a_footprint_and_no_label_is_a_negative(tmp_path):
    write_image(tmp_path / "planet" / SCENE)
    other = "20210901_220000_11_2460"
    write_image(tmp_path / "planet" / other, f"{other}_3B_AnalyticMS_SR")
    write_repository(tmp_path / "labels", SCENE)
    outline = gpd.GeoSeries([area(0, 0, 50)], crs=UTM).to_crs("EPSG:4326")
    write_polygons(tmp_path / "labels" / "more" / "ImageFootprints_x.gpkg", outline, crs="EPSG:4326", image_id=[other])
    settings = {"data_dir": tmp_path / "planet", "labels_dir": tmp_path / "labels"} | SMALL
    preprocess_planet_train_data(train_data_dir=tmp_path / "out", **settings)
    dataset = open_dataset(tmp_path / "out")
    rows = [row for row, sample in dataset.metadata.iterrows() if sample["sample_id"] == other]
    assert rows
    for row in rows:
        top, left = dataset.metadata.loc[row, ["row", "column"]]
        mapped = np.zeros(SHAPE, bool)
        mapped[:50, :50] = True
        y = dataset.read_y(row)
        assert not (y == 1).any()
        assert (y[~mapped[top : top + 32, left : left + 32]] == 2).all()


def test_a_truncated_id_is_completed_and_said_so(tmp_path, caplog):
    write_image(tmp_path / "planet")
    write_repository(tmp_path / "labels", SCENE)
    labels = next(tmp_path.rglob("TrainingLabel_*.gpkg"))
    table = gpd.read_file(labels).assign(image_id=SCENE[:-1])
    table.to_file(labels)
    settings = {"data_dir": tmp_path / "planet", "labels_dir": tmp_path / "labels"} | SMALL
    result = preprocess_planet_train_data(train_data_dir=tmp_path / "out", **settings)
    assert (result.labels_used, result.labels_unused) == (2, 0)
    assert [finding.kind for finding in report(tmp_path / "out")] == [Kind.RECOVERED_ID] * 2
    features = json.loads((tmp_path / "out" / "labels.geojson").read_text())["features"]
    assert {f["properties"]["image_id"] for f in features} == {SCENE[:-1]}
    assert {f["properties"]["sample_id"] for f in features} == {SCENE}


@pytest.mark.parametrize("workers", [2, 3])
def test_the_same_bytes_for_any_number_of_workers_with_or_without_a_cache(tmp_path, workers):
    for number in range(4):
        name = f"2021081{number}_223529_10_2459"
        write_image(tmp_path / "planet" / name, f"{name}_3B_AnalyticMS_SR", f"{name}_3B_udm2", seed=number)
        write_repository(tmp_path / "labels", name, iteration=f"iteration00{number}")
    write_elevation(tmp_path / "dem.tif")
    settings = {
        "data_dir": tmp_path / "planet", "labels_dir": tmp_path / "labels", "arcticdem_dir": tmp_path / "dem.tif",
        "bands": ["red", "nir", "slope", "hillshade", "relative_elevation"],
    } | SMALL  # fmt: skip
    preprocess_planet_train_data(train_data_dir=tmp_path / "one", **settings)
    cache = {"preprocess_cache": tmp_path / "cache", "workers": workers}
    for name in ("many", "cached"):
        preprocess_planet_train_data(train_data_dir=tmp_path / name, **settings | cache)
        assert tree(tmp_path / name) == tree(tmp_path / "one")
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == 3  # all four scenes lie on one grid


def test_labels_that_name_no_image_that_is_there(tmp_path):
    write_image(tmp_path / "planet")
    write_repository(tmp_path / "labels", "20190101_000000_00_0000")
    with pytest.raises(SceneError, match="none names one of the 1 images"):
        plan_planet_train_data(
            data_dir=tmp_path / "planet", labels_dir=tmp_path / "labels", train_data_dir=tmp_path / "out", **SMALL
        )


def test_elevation_that_lies_elsewhere_is_listed_before_anything_is_read(tmp_path):
    write_image(tmp_path / "planet")
    write_repository(tmp_path / "labels", SCENE)
    write_raster(tmp_path / "dem.tif", np.ones((20, 20), np.float32), transform=pixels(3, origin=(0, 1_000_000)))
    with pytest.raises(SceneError, match=rf"--tcvis-dir.*; no elevation of .*dem.tif lies over {SCENE}"):
        preprocess_planet_train_data(
            data_dir=tmp_path / "planet", labels_dir=tmp_path / "labels", train_data_dir=tmp_path / "out",
            arcticdem_dir=tmp_path / "dem.tif", bands=["red", "slope", "tc_wetness"], **SMALL,
        )  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_the_first_start_may_append_and_paths_may_be_text(tmp_path):
    write_image(tmp_path / "planet")
    write_repository(tmp_path / "labels", SCENE)
    result = preprocess_planet_train_data(
        data_dir=str(tmp_path / "planet"), labels_dir=str(tmp_path / "labels"), train_data_dir=str(tmp_path / "out"),
        append=True, **SMALL,
    )  # fmt: skip
    assert result.n_patches > 0


def test_a_footprint_without_an_image_and_stray_files_stop_nothing(tmp_path):
    write_image(tmp_path / "planet" / "site" / SCENE)
    (tmp_path / "planet" / "empty" / "20190101_000000_00_0000").mkdir(parents=True)
    (tmp_path / "planet" / "notes.txt").write_text("2021: cloudy")
    write_repository(tmp_path / "labels", SCENE)
    outline = gpd.GeoSeries([area(0, 0, 50)], crs=UTM).to_crs("EPSG:4326")
    gone = "20190101_000000_00_0000"
    write_polygons(tmp_path / "labels" / "ImageFootprints_gone.gpkg", outline, crs="EPSG:4326", image_id=[gone])
    result = preprocess_planet_train_data(
        data_dir=tmp_path / "planet", labels_dir=tmp_path / "labels", train_data_dir=tmp_path / "out", **SMALL
    )
    assert (result.n_scenes, result.failed) == (1, {})
    assert [(one.kind, one.name) for one in report(tmp_path / "out")] == [(Kind.FOOTPRINT_WITHOUT_IMAGE, gone)]


def test_labels_that_are_smaller_than_a_pixel_are_counted_and_listed(tmp_path):
    write_image(tmp_path / "planet")
    tiny = square(33, 60, 1, resolution=1.0)
    write_repository(tmp_path / "labels", SCENE, labels=[area(10, 20, 9), tiny])
    settings = {"data_dir": tmp_path / "planet", "labels_dir": tmp_path / "labels"} | SMALL
    result = preprocess_planet_train_data(train_data_dir=tmp_path / "out", **settings)
    assert result.labels_without_pixel == 1
    (listed,) = report(tmp_path / "out")
    assert (listed.kind, listed.reason.split(":")[0]) == (Kind.LABELS_WITHOUT_PIXEL, "1")
    touched = preprocess_planet_train_data(train_data_dir=tmp_path / "touched", all_touched=True, **settings)
    assert touched.labels_without_pixel == 0


@pytest.mark.parametrize("sun", [{"sun_azimuth": 171.6, "sun_elevation": 33.4}, None])
def test_the_sun_is_that_of_the_image_or_said_to_be_assumed(tmp_path, caplog, sun):
    image = write_image(tmp_path / "planet")
    if sun:
        image.with_name(f"{SCENE}_metadata.json").write_text(json.dumps({"properties": sun}))
    write_elevation(tmp_path / "dem.tif")
    write_repository(tmp_path / "labels", SCENE)
    preprocess_planet_train_data(
        data_dir=tmp_path / "planet", labels_dir=tmp_path / "labels", train_data_dir=tmp_path / "out",
        arcticdem_dir=tmp_path / "dem.tif", bands=["red", "hillshade"], **SMALL,
    )  # fmt: skip
    facts = read_journal(tmp_path / "out").scenes[0].facts
    assert facts["sun"] == (list(sun.values()) if sun else [225.0, 25.0])
    assert facts["sun_from"] == ("metadata" if sun else "default")
    assert ("position of the sun isn't known" in caplog.text) == (sun is None)
