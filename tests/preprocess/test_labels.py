"""Labels: read, repaired, joined, burnt, and masked."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from shapely.geometry import LineString, MultiPolygon, Polygon, box

from darts.core.errors import SceneError
from darts.preprocess import labels
from darts.preprocess.patches import Window
from darts.preprocess.scenes import GOOD, INVALID, LOW, Grid

from .conftest import UTM, pixels, square, write_polygons

GRID = Grid(rasterio.CRS.from_string(UTM), pixels(10), 40, 50)
pytestmark = pytest.mark.usefixtures("no_noise")


def inside(shapes, grid=GRID):
    """Pixels whose centre is in one of the shapes, one by one."""
    union = shapely.union_all(shapes)
    codes = np.zeros(grid.shape, np.uint8)
    for row in range(grid.height):
        for column in range(grid.width):
            codes[row, column] = union.contains(shapely.Point(rasterio.transform.xy(grid.transform, row, column)))
    return codes


def frame(shapes, crs=UTM):
    return gpd.GeoDataFrame(geometry=list(shapes), crs=crs)


@pytest.mark.parametrize("suffix", [".shp", ".gpkg", ".geojson"])
def test_files_of_all_kinds(tmp_path, suffix):
    crs = "EPSG:4326" if suffix == ".geojson" else UTM
    shapes = list(gpd.GeoSeries([square(3, 4, 5), square(20, 20, 7)], crs=UTM).to_crs(crs))
    found = labels.read_labels(write_polygons(tmp_path / f"labels{suffix}", shapes, crs=crs))
    assert len(found.polygons) == 2
    touching = labels.touching(found, GRID)
    np.testing.assert_array_equal(
        labels.burn(touching, GRID, all_touched=False), inside([square(3, 4, 5), square(20, 20, 7)])
    )


def test_labels_are_repaired(tmp_path):
    bow_tie = Polygon([(500_103, 7_599_900), (500_311, 7_599_707), (500_302, 7_599_900), (500_100, 7_599_701)])
    flat = Polygon([(500_100, 7_599_900), (500_300, 7_599_900), (500_100, 7_599_900)])
    assert not bow_tie.is_valid
    path = write_polygons(tmp_path / "a.gpkg", [bow_tie, flat, MultiPolygon([square(0, 0, 2), square(30, 30, 2)])])
    found = labels.read_labels(path)
    assert len(found.polygons) == 2
    assert found.polygons.is_valid.all()
    expected = inside([shapely.make_valid(bow_tie), square(0, 0, 2), square(30, 30, 2)])
    np.testing.assert_array_equal(labels.burn(found.polygons, GRID, all_touched=False), expected)


def test_geometries_that_are_missing_are_passed_over(tmp_path):
    path = write_polygons(tmp_path / "a.gpkg", [square(0, 0, 2), None, square(5, 5, 2)])
    assert len(labels.read_labels(path).polygons) == 2


def test_all_touched():
    sliver = frame([box(500_101, 7_599_801, 500_104, 7_599_899)])
    assert labels.burn(sliver, GRID, all_touched=False).sum() == 0
    assert labels.burn(sliver, GRID, all_touched=True).sum() == 10


def test_labels_that_hold_no_pixel_are_counted():
    shapes = [
        box(500_101, 7_599_801, 500_104, 7_599_899),
        square(3, 3, 5),
        square(4, 4, 2),
        square(3, 3, 5),
        box(0, 0, 1, 1),
    ]
    everything = np.ones(GRID.shape, bool)
    assert labels.count_pixels(frame(shapes), GRID, everything, all_touched=False) == (2, 0)
    assert labels.count_pixels(frame(shapes), GRID, everything, all_touched=True) == (1, 0)
    assert labels.count_pixels(frame([]), GRID, everything, all_touched=False) == (0, 0)


def test_labels_that_are_in_no_patch_are_counted():
    kept = np.zeros(GRID.shape, bool)
    kept[:10] = True
    shapes = [square(2, 2, 3), square(8, 20, 5), square(20, 20, 5), square(10, 2, 3)]
    assert labels.count_pixels(frame(shapes), GRID, kept, all_touched=False) == (0, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is an empty file"),
        (b"<OGRVRTDataSource></OGRVRTDataSource>", "is not a .geojson file"),
        (b'{"type": "FeatureCollection", "features": [', "can't be read"),
        (b'{"type": "Point"', "can't be read"),
    ],
)
def test_damaged_files(tmp_path, content, message):
    path = tmp_path / "labels.geojson"
    path.write_bytes(content)
    with pytest.raises(SceneError, match=message):
        labels.read_labels(path)


@pytest.mark.parametrize("name", ["labels.csv", "labels.vrt", "labels"])
def test_files_of_other_kinds(tmp_path, name):
    (tmp_path / name).write_text("id,geometry")
    with pytest.raises(SceneError, match=r"vector files are .gpkg, .geojson or .shp"):
        labels.labels_below(tmp_path / name)


def test_truncated_shapefile(tmp_path):
    path = write_polygons(tmp_path / "a.shp", [square(0, 0, 2)] * 30)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(SceneError, match="must be a whole shapefile, but it is shorter than it says"):
        labels.read_labels(path)


def test_truncated_geopackage(tmp_path):
    path = write_polygons(tmp_path / "a.gpkg", [square(i, i, 2) for i in range(30)])
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(SceneError, match=r"a\.gpkg can't be read"):
        labels.read_labels(path)


def test_without_reference_system(tmp_path):
    path = write_polygons(tmp_path / "a.shp", [square(0, 0, 2)])
    path.with_suffix(".prj").unlink()
    with pytest.raises(SceneError, match="no coordinate reference system"):
        labels.read_labels(path)


def test_lines_are_no_labels(tmp_path):
    path = write_polygons(tmp_path / "a.gpkg", [square(0, 0, 2), LineString([(0, 0), (1, 1)])])
    with pytest.raises(SceneError, match="labels must be polygons, but there is a LineString"):
        labels.read_labels(path)


def test_two_layers(tmp_path):
    for name in ("one", "two"):
        frame([square(0, 0, 2)]).to_file(tmp_path / "a.gpkg", layer=name)
    with pytest.raises(SceneError, match="one layer with geometry, but has 2"):
        labels.read_labels(tmp_path / "a.gpkg")


def test_a_scene_has_one_label_file(tmp_path):
    with pytest.raises(SceneError, match="has no label file"):
        labels.labels_of_scene(tmp_path, "a_scene")
    write_polygons(tmp_path / "a.gpkg", [])
    assert labels.labels_of_scene(tmp_path, "a_scene").polygons.empty
    write_polygons(tmp_path / "ImageFootprints_a.gpkg", [square(0, 0, 2)])
    assert labels.labels_of_scene(tmp_path, "a_scene").polygons.empty
    write_polygons(tmp_path / "b.geojson", [square(0, 0, 2)])
    with pytest.raises(SceneError, match=r"one label file, but holds a\.gpkg, b\.geojson"):
        labels.labels_of_scene(tmp_path, "c_scene")
    assert labels.labels_of_scene(tmp_path, "c_b").path.name == "b.geojson"


def test_labels_dir(tmp_path):
    with pytest.raises(SceneError, match="there is no"):
        labels.labels_below(tmp_path / "none")
    write_polygons(tmp_path / "one" / "a.gpkg", [])
    with pytest.raises(SceneError, match="none of 1 label files"):
        labels.labels_below(tmp_path)
    write_polygons(tmp_path / "two" / "deep" / "b.shp", [square(0, 0, 2)])
    assert [len(file.polygons) for file in labels.labels_below(tmp_path)] == [0, 1]
    assert len(labels.labels_below(tmp_path / "two" / "deep" / "b.shp")) == 1


def test_joined_labels_keep_their_columns_as_text_or_numbers(tmp_path):
    one = write_polygons(tmp_path / "a.gpkg", [square(0, 0, 2)], day=pd.to_datetime(["2021-08-18"]), target=[3])
    two = write_polygons(tmp_path / "b.gpkg", [square(9, 9, 2)], author=["me"])
    table = labels.joined([labels.touching(labels.read_labels(path), GRID) for path in (one, two)], GRID)
    assert table["day"].tolist()[0].startswith("2021-08-18")
    assert table["author"].tolist()[1] == "me"
    assert table.to_crs("EPSG:4326").to_json()


def test_labels_elsewhere_do_not_touch(tmp_path):
    shapes = gpd.GeoSeries([square(3, 3, 4), square(3, 60, 4), square(-4, 0, 5)], crs=UTM).to_crs("EPSG:3413")
    found = labels.read_labels(write_polygons(tmp_path / "a.gpkg", [*shapes, box(1e6, 1e6, 2e6, 2e6)], crs="EPSG:3413"))
    assert list(labels.touching(found, GRID).index) == [0, 2]


def test_a_scene_across_the_antimeridian(tmp_path):
    grid = Grid(rasterio.CRS.from_string("EPSG:32601"), pixels(500, origin=(350_000, 7_600_000)), 100, 100)
    shapes = [box(179.7, 68.25, 179.9, 68.35), box(-179.9, 68.25, -179.7, 68.35), box(100, 68.25, 101, 68.35)]
    path = write_polygons(tmp_path / "a.gpkg", shapes, crs="EPSG:4326")
    found = labels.touching(labels.read_labels(path), grid)
    assert list(found.index) == [0, 1]


def test_mask_and_erosion():
    rng = np.random.default_rng(0)
    quality = np.where(rng.random((40, 50)) < 0.005, LOW, GOOD).astype(np.uint8)
    quality[30, 30] = INVALID
    for radius in (1, 2, 5):
        # In windows, as patches are cut: each must see what lies beyond its border.
        windows = [Window(row, column, 10) for row in range(0, 40, 10) for column in range(0, 50, 10)]
        eroded = np.empty_like(quality)
        for window in windows:
            eroded[window.slices] = labels.eroded(quality, window, radius)
        padded = np.pad(quality, radius, constant_values=INVALID)
        rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
        disk = rows**2 + columns**2 <= radius**2
        for row, column in np.ndindex(*quality.shape):
            around = padded[row : row + 2 * radius + 1, column : column + 2 * radius + 1][disk]
            expected = quality[row, column] if (around == GOOD).all() or quality[row, column] != GOOD else LOW
            assert eroded[row, column] == expected
    np.testing.assert_array_equal(labels.eroded(quality, Window(3, 4, 30), 0), quality[3:33, 4:34])


def test_where_a_scene_was_looked_at():
    assert labels.burn_mapped(None, GRID).all()
    assert not labels.burn_mapped(Polygon(), GRID).any()
    mapped = labels.burn_mapped(square(2, 3, 4), GRID)
    assert mapped[2:6, 3:7].all()
    assert mapped.sum() == 16


def test_bad_pixels_are_ignored_whatever_their_label():
    codes = np.array([[0, 1, 0, 1, 0, 1]], np.uint8)
    quality = np.array([[GOOD, GOOD, LOW, LOW, INVALID, INVALID]], np.uint8)
    masked = labels.mask_bad_pixels(codes, quality)
    assert masked.dtype == np.uint8
    assert masked.tolist() == [[0, 1, 2, 2, 2, 2]]
