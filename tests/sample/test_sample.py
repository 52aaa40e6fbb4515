"""The simulated data: the same bytes for the same seed, the layouts, the truth, and how hard it is."""

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.features import rasterize

from darts.core.errors import ConfigError, DartsError
from darts.sample import SampleData, make_sample_data
from darts.sample.layout import sentinel2_acquisitions, world_grid
from darts.sample.paint import carve, paint_land
from darts.sample.sentinel2 import label_table
from darts.sample.slumps import place_slumps
from darts.sample.world import simulate_terrain

CLOUDY = (0, 1, 3, 8, 9, 11)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SampleData:
    return make_sample_data(output_dir=tmp_path_factory.mktemp("small"), scenes=2, size=192)


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> SampleData:
    return make_sample_data(output_dir=tmp_path_factory.mktemp("default"))


def contents(data: SampleData) -> dict[str, bytes]:
    folder = data.output_dir
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def read_bands(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read()


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


def test_the_same_seed_gives_the_same_bytes_anywhere(small: SampleData, tmp_path: Path) -> None:
    again = make_sample_data(output_dir=tmp_path / "elsewhere" / "deep", scenes=2, size=192)

    assert contents(again) == contents(small)


def test_another_seed_gives_another_land(small: SampleData, tmp_path: Path) -> None:
    other = make_sample_data(output_dir=tmp_path, scenes=2, size=192, random_seed=43)

    scenes = [only(data.sentinel2_dir / "site-01", "*_SR_clip.tif") for data in (small, other)]
    assert not np.array_equal(*(read_bands(path) for path in scenes))


def test_what_is_complete_is_left_alone(small: SampleData) -> None:
    before = {path: path.stat().st_mtime_ns for path in small.output_dir.rglob("*")}

    again = make_sample_data(output_dir=small.output_dir, scenes=2, size=192)

    assert again.already_complete
    assert not small.already_complete
    assert {path: path.stat().st_mtime_ns for path in small.output_dir.rglob("*")} == before


def test_a_lost_file_comes_back_the_same(small: SampleData) -> None:
    before = contents(small)
    (small.admin_dir / "regions.gpkg").unlink()

    again = make_sample_data(output_dir=small.output_dir, scenes=2, size=192)

    assert not again.already_complete
    assert contents(again) == before


def test_data_of_other_settings_is_refused(small: SampleData) -> None:
    with pytest.raises(DartsError, match=r"random_seed 42, not 7.*choose another --output-dir"):
        make_sample_data(output_dir=small.output_dir, scenes=2, size=192, random_seed=7)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DartsError, match="can't be written to"):
        make_sample_data(output_dir=tmp_path / "file" / "inside")


def test_an_odd_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--size"):
        make_sample_data(output_dir=tmp_path, size=193)


def test_sentinel2_scene_folders(small: SampleData) -> None:
    folders = sorted(small.sentinel2_dir.iterdir())
    assert [folder.name for folder in folders] == ["site-01", "site-02"]
    for folder in folders:
        with rasterio.open(only(folder, "*_SR_clip.tif")) as file:
            assert (file.count, file.shape, file.dtypes[0], file.nodata) == (4, (192, 192), "uint16", 0)
            assert file.descriptions == ("blue", "green", "red", "nir")
            assert file.crs.to_epsg() == 32603
            bounds, resolution = file.bounds, file.res
        with rasterio.open(only(folder, "*_SCL_clip.tif")) as file:
            assert (file.count, file.dtypes[0]) == (1, "uint8")
            assert file.bounds == bounds
            assert file.res[0] == 2 * resolution[0] == 20
            assert set(np.unique(file.read())) <= set(range(1, 12))
        labels = gpd.read_file(only(folder, "*.shp"))
        assert labels.crs.to_epsg() == 32603
        assert len(labels) > 3
        assert labels.is_valid.all()
        assert only(folder, "*.shp").stem.split("_")[2] == "T03WXP"


def test_planet_scene_folders_and_labels(small: SampleData) -> None:
    folders = sorted((small.planet_dir / "PSScene").iterdir())
    footprints = gpd.read_file(only(small.labels_dir / "iteration001", "ImageFootprints_*.gpkg"))
    labels = gpd.read_file(only(small.labels_dir / "iteration001", "TrainingLabel_*.gpkg"))
    assert sorted(footprints.image_id) == [folder.name for folder in folders]
    assert set(labels.image_id) == set(footprints.image_id)
    assert footprints.crs.to_epsg() == labels.crs.to_epsg() == 4326
    for folder in folders:
        scene = read_bands(folder / f"{folder.name}_3B_AnalyticMS_SR.tif")
        mask = read_bands(folder / f"{folder.name}_3B_udm2.tif")
        assert (scene.shape, scene.dtype) == ((4, 192, 192), np.uint16)
        assert (mask.shape, mask.dtype) == ((8, 192, 192), np.uint8)
        assert np.array_equal(mask[7] == 1, (scene == 0).all(axis=0))
        assert 0 < mask[7].mean() < 0.5
        metadata = json.loads((folder / f"{folder.name}_metadata.json").read_text())
        assert 0 < metadata["properties"]["sun_elevation"] < 90


def test_elevation_trends_and_regions_cover_the_scenes(small: SampleData) -> None:
    with rasterio.open(small.arcticdem_dir / "dem.tif") as file:
        assert (file.crs.to_epsg(), file.nodata, file.dtypes[0], file.res[0]) == (3413, -9999.0, "float32", 10.0)
        elevation = file.read(1, masked=True)
    assert 0 < elevation.min() < elevation.max() < 500
    with rasterio.open(small.tcvis_dir / "tcvis.tif") as file:
        assert file.descriptions == ("tc_brightness", "tc_greenness", "tc_wetness")
        assert (file.crs.to_epsg(), file.dtypes[0]) == (4326, "uint8")
    regions = gpd.read_file(small.admin_dir / "regions.gpkg")
    assert regions.shapeName.is_unique
    land = regions.to_crs(32603).union_all()
    for folder in small.sentinel2_dir.iterdir():
        with rasterio.open(only(folder, "*_SR_clip.tif")) as file:
            west, south, east, north = file.bounds
        assert land.buffer(1).contains(gpd.points_from_xy([west, east], [south, north])).all()


def test_labels_are_exactly_what_was_painted() -> None:
    world = world_grid(1, 256)
    bare = simulate_terrain(5, world)
    slumps = place_slumps(5, bare, world)
    (acquisition,) = sentinel2_acquisitions(5, 1, 256)
    land = paint_land(carve(bare, world, slumps), world, slumps, acquisition.grid, acquisition.sun)
    labels = label_table(slumps, acquisition.grid)

    grid = acquisition.grid
    burnt = rasterize(labels.geometry, out_shape=grid.shape, transform=grid.transform) == 1

    assert burnt.mean() > 0.03
    assert burnt[land.coverage == 1].all()
    assert not burnt[land.coverage == 0].any()
    assert abs(burnt.sum() - land.coverage.sum()) < 0.01 * burnt.sum()
    assert abs(labels.area.sum() - land.coverage.sum() * 100) < 0.01 * labels.area.sum()
    # without slumps the pixels outside are the same, the pixels inside are not
    empty = paint_land(carve(bare, world, ()), world, (), acquisition.grid, acquisition.sun)
    changed = np.abs(land.reflectance - empty.reflectance).max(axis=0) > 0.01
    assert changed[land.coverage == 1].mean() > 0.75


def best_threshold_iou(values: np.ndarray, truth: np.ndarray) -> float:
    """The best IoU of `value > t` or `value < t` over 300 thresholds."""
    order = np.argsort(values)
    hits = np.concatenate([[0], np.cumsum(truth[order])])
    below = np.linspace(0, len(order), 301).astype(int)
    positives = hits[-1]
    low = hits[below] / (positives + below - hits[below])
    above = positives - hits[below]
    high = above / (positives + len(order) - below - above)
    return float(max(low.max(), high.max()))


def test_no_threshold_finds_the_slumps_but_they_are_common_enough_to_learn(default: SampleData) -> None:
    values, truth = [], []
    for folder in sorted(default.sentinel2_dir.iterdir()):
        path = only(folder, "*_SR_clip.tif")
        with rasterio.open(path) as file:
            bands, transform = file.read().astype(np.float64), file.transform
        classes = read_bands(only(folder, "*_SCL_clip.tif"))[0].repeat(2, axis=0).repeat(2, axis=1)
        labels = gpd.read_file(only(folder, "*.shp")).geometry
        clear = ~np.isin(classes, CLOUDY)
        ndvi = (bands[3] - bands[2]) / (bands[3] + bands[2])
        values.append(np.concatenate([bands, ndvi[None]])[:, clear])
        truth.append((rasterize(labels, out_shape=classes.shape, transform=transform) == 1)[clear])
        assert 0.03 < truth[-1].mean() < 0.12
        assert clear.mean() > 0.7
    positive = np.concatenate(truth)
    ious = [best_threshold_iou(band, positive) for band in np.concatenate(values, axis=1)]
    assert 0.04 < positive.mean() < 0.10
    assert max(ious) < 0.37
