"""Elevation and trends: found in whatever form they come, and read without seams, the same for every block."""

import os
import pickle
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio import Affine
from rasterio.windows import Window

from darts.core.errors import SceneError
from darts.preprocess import mosaics
from darts.preprocess.auxiliary import Mosaic, find_elevation, find_trends, version_for
from darts.preprocess.scenes import Block, Grid, apply

from .conftest import UTM, pixels, write_raster
from .test_cubes import axes, dataset, write_cube

pytestmark = [pytest.mark.usefixtures("no_noise"), pytest.mark.filterwarnings("ignore")]

UTM_3 = "EPSG:32603"
POLAR = "EPSG:3413"
DEGREES = "EPSG:4326"
PIXELS = {POLAR: 10.0, DEGREES: 0.0003, UTM_3: 10.0}


def trends_for(path, day):
    """The trends for a scene of one day."""
    return find_trends(path, [day])[day]


def grid_of(crs, size, shape, origin):
    return Grid(rasterio.CRS.from_string(crs), pixels(size, origin=origin), *shape)


NOISE = 2e-3
"""Metres, where heights differ by 30 m from pixel to pixel: a hundred-thousandth of a pixel."""

TARGET = grid_of(UTM_3, 10.0, (90, 110), (500_003.0, 7_600_007.0))


def rough(height, width, seed=0, mean=300.0):
    """Heights that differ from pixel to pixel."""
    return np.random.default_rng(seed).normal(mean, 30, (height, width)).astype(np.float32)


def covering(crs, height=600, width=600):
    """Heights, and a transform, so that the target lies well inside."""
    x, y = Transformer.from_crs(UTM_3, crs, always_xy=True).transform(500_550, 7_599_550)
    pixel = PIXELS[crs]
    return rough(height, width), pixels(pixel, origin=(x - pixel * width / 2, y + pixel * height / 2))


def centres(target, crs):
    """Coordinates of the middles of all pixels of a grid in another reference system: x, y."""
    columns, rows = np.meshgrid(np.arange(target.width) + 0.5, np.arange(target.height) + 0.5)
    x, y = apply(target.transform, columns, rows)
    return Transformer.from_crs(target.crs.to_wkt(), crs, always_xy=True).transform(x, y)


def kernel(t):
    """Cubic convolution with a = -0.5 (Keys 1981, doi:10.1109/TASSP.1981.1163711)."""
    t = np.abs(t)
    return np.where(t < 1, 1.5 * t**3 - 2.5 * t**2 + 1, np.where(t < 2, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2, 0))


def cubic(values, transform, x, y, scale=1.0):
    """Values at places by their definition, in float64; with `scale` < 1 by a kernel that is as much wider."""
    column, row = apply(~transform, x, y)
    column, row, reach = column - 0.5, row - 0.5, int(np.ceil(2 / scale))
    steps = np.arange(-reach, reach + 2)
    r, c = np.floor(row).astype(int)[..., None] + steps, np.floor(column).astype(int)[..., None] + steps
    down, across = kernel(scale * (row[..., None] - r)), kernel(scale * (column[..., None] - c))
    weights = down[..., :, None] * across[..., None, :]
    taken = values.astype(np.float64)[r[..., :, None], c[..., None, :]]
    return (weights * taken).sum(axis=(-1, -2)) / weights.sum(axis=(-1, -2))


def dem_file(path, values, transform, crs=UTM_3, **options):
    return write_raster(path, values, crs=crs, transform=transform, **options)


def in_blocks(mosaic, name, target, *starts):
    """A layer read in blocks of rows that begin at the given rows."""
    edges = [*starts, target.height]
    blocks = [Block(start, stop) for start, stop in pairwise(edges)]
    return np.concatenate([mosaic.read(name, target.rows(block)) for block in blocks])


@pytest.mark.parametrize("crs", [UTM_3, POLAR, DEGREES])
def test_elevation_on_any_grid_is_cubic_convolution(tmp_path, crs):
    values, transform = covering(crs)
    mosaic = find_elevation(dem_file(tmp_path / "dem.tif", values, transform, crs))
    found = mosaic.read("dem", TARGET)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, cubic(values, transform, *centres(TARGET, crs)), atol=0.02)


@pytest.mark.parametrize("crs", [POLAR, DEGREES])
def test_blocks_and_parts_give_what_the_whole_grid_gives(tmp_path, crs):
    values, transform = covering(crs)
    values[280:300, 290:310] = np.nan
    mosaic = find_elevation(dem_file(tmp_path / "dem.tif", values, transform, crs))
    whole = mosaic.read("dem", TARGET)
    assert 0 < np.isnan(whole).sum() < whole.size / 4
    np.testing.assert_allclose(in_blocks(mosaic, "dem", TARGET, 0, 7, 50), whole, atol=NOISE)
    part = mosaic.read("dem", TARGET.window(Window(31, 20, 17, 60)))
    np.testing.assert_allclose(part, whole[20:80, 31:48], atol=NOISE)
    buffered = mosaic.read("dem", TARGET.buffered(6))
    np.testing.assert_allclose(buffered[6:-6, 6:-6], whole, atol=NOISE)


def test_a_large_grid_is_read_in_parts(tmp_path, monkeypatch):
    values, transform = covering(POLAR)
    mosaic = find_elevation(tiled(tmp_path, values, transform, POLAR, edges=(0, 290, 600)))
    whole = mosaic.read("dem", TARGET)
    monkeypatch.setattr(mosaics, "PART", 32)
    np.testing.assert_allclose(mosaic.read("dem", TARGET), whole, atol=NOISE)


def test_finer_elevation_is_averaged_by_a_wider_kernel(tmp_path):
    values, transform = rough(700, 800), pixels(2, origin=(499_901.0, 7_600_103.0))
    mosaic = find_elevation(dem_file(tmp_path / "dem.tif", values, transform))
    found = mosaic.read("dem", TARGET)
    np.testing.assert_allclose(found, cubic(values, transform, *centres(TARGET, UTM_3), scale=0.2), atol=0.02)
    np.testing.assert_allclose(in_blocks(mosaic, "dem", TARGET, 0, 31), found, atol=NOISE)


def tiled(folder, values, transform, crs=UTM_3, edges=(0, 277, 600), **options):
    """Write an array as tiles side by side."""
    for row, below in pairwise(edges):
        for column, beyond in pairwise(edges):
            place = transform * Affine.translation(column, row)
            dem_file(folder / f"{row}_{column}_dem.tif", values[row:below, column:beyond], place, crs, **options)
    return folder


@pytest.mark.parametrize("crs", [UTM_3, POLAR, DEGREES])
def test_tiles_side_by_side_are_one_raster(tmp_path, crs):
    values, transform = covering(crs)
    values[270:276, 280:300] = np.nan
    whole = find_elevation(dem_file(tmp_path / "dem.tif", values, transform, crs)).read("dem", TARGET)
    tiles = find_elevation(tiled(tmp_path / "tiles", values, transform, crs, edges=(0, 300, 600)))
    assert len(tiles.inputs(TARGET)) == 4
    np.testing.assert_array_equal(tiles.read("dem", TARGET), whole)
    np.testing.assert_allclose(in_blocks(tiles, "dem", TARGET, 0, 40), whole, atol=NOISE)


def test_of_tiles_that_overlap_the_first_with_a_value_counts(tmp_path):
    first, second = np.full((60, 60), 100, np.float32), np.full((60, 60), 200, np.float32)
    first[20:30, 50:] = -9999
    place = pixels(10, origin=(500_000, 7_600_000))
    dem_file(tmp_path / "a.tif", first, place, nodata=-9999)
    dem_file(tmp_path / "b.tif", second, place * Affine.translation(40, 0), nodata=-9999)
    found = find_elevation(tmp_path).read("dem", grid_of(UTM_3, 10, (60, 100), (500_000, 7_600_000)))
    expected = np.where(np.arange(100) < 60, 100.0, 200.0) * np.ones((60, 1))
    expected[20:30, 50:60] = 200
    np.testing.assert_array_equal(found, expected)


def test_tiles_on_lattices_of_their_own_fill_each_other(tmp_path):
    left, right = rough(60, 60), rough(60, 60, seed=1)
    dem_file(tmp_path / "a.tif", left, pixels(10, origin=(500_000, 7_600_000)))
    dem_file(tmp_path / "b.tif", right, pixels(10, origin=(500_304, 7_600_000)))
    target = grid_of(UTM_3, 10, (60, 90), (500_000, 7_600_000))
    found = find_elevation(tmp_path).read("dem", target)
    np.testing.assert_array_equal(found[:, :60], left)
    x, y = centres(target, UTM_3)
    expected = cubic(right, pixels(10, origin=(500_304, 7_600_000)), x[3:-3, 60:86], y[3:-3, 60:86])
    np.testing.assert_allclose(found[3:-3, 60:86], expected, atol=0.01)
    np.testing.assert_allclose(in_blocks(find_elevation(tmp_path), "dem", target, 0, 29), found, atol=NOISE)


def test_a_hole_stays_a_hole_of_its_size(tmp_path):
    values = rough(60, 60)
    values[20:24, 30:36] = -9999
    dem_file(tmp_path / "dem.tif", values, pixels(30, origin=(500_000, 7_600_000)), nodata=-9999)
    found = find_elevation(tmp_path / "dem.tif").read("dem", grid_of(UTM_3, 10, (180, 180), (500_000, 7_600_000)))
    np.testing.assert_array_equal(np.isnan(found), np.kron(values == -9999, np.ones((3, 3), bool)))
    assert np.nanmin(found) > 0
    assert np.nanmax(found) < 600


@pytest.mark.parametrize("void", [-9999, -32767, -32768, 32767, 9001, -501])
@pytest.mark.parametrize("declared", [True, False])
def test_voids_need_not_be_declared(tmp_path, void, declared):
    values = np.full((20, 20), 100, np.int16)
    values[5, 5], values[6, 6], values[7, 7] = void, -500, 9000
    path = dem_file(tmp_path / "dem.tif", values, pixels(10), UTM, nodata=void if declared else None)
    found = find_elevation(path).read("dem", grid_of(UTM, 10, (20, 20), (500_000, 7_600_000)))
    assert np.isnan(found[5, 5])
    assert (np.isnan(found).sum(), found[6, 6], found[7, 7], found[0, 0]) == (1, -500, 9000, 100)


def test_a_declared_value_is_none_even_where_it_is_a_height(tmp_path):
    values = np.array([[0, 1, 2, 3]] * 4, np.float32)
    path = dem_file(tmp_path / "dem.tif", values, pixels(10), UTM, nodata=0)
    found = find_elevation(path).read("dem", grid_of(UTM, 10, (4, 4), (500_000, 7_600_000)))
    np.testing.assert_array_equal(np.isnan(found), values == 0)


def test_declared_scaling_is_applied(tmp_path):
    path = dem_file(tmp_path / "dem.tif", np.full((8, 8), 1500, np.int16), pixels(10), UTM)
    with rasterio.open(path, "r+") as target:
        target.scales, target.offsets = (0.1,), (-20.0,)
    found = find_elevation(path).read("dem", grid_of(UTM, 10, (8, 8), (500_000, 7_600_000)))
    np.testing.assert_allclose(found, 130)


def test_where_nothing_lies_there_is_no_value(tmp_path):
    path = dem_file(tmp_path / "dem.tif", rough(20, 20), pixels(10), UTM)
    mosaic = find_elevation(path)
    beside = grid_of(UTM, 10, (20, 20), (500_200, 7_600_000))
    far = grid_of(UTM, 10, (20, 20), (600_000, 7_600_000))
    abroad = grid_of("EPSG:32752", 10, (20, 20), (500_000, 7_600_000))
    for grid in (beside, far, abroad):
        assert not mosaic.meets(grid)
        assert np.isnan(mosaic.read("dem", grid)).all()
    assert mosaic.meets(beside.buffered(1))
    assert mosaic.inputs(beside) == (path,), "the interpolation beside it needs it"
    assert mosaic.inputs(far) == ()


@pytest.mark.parametrize("west", [-180.0, 0.0])
def test_a_raster_in_degrees_goes_on_across_the_antimeridian(tmp_path, west):
    pixel, height = 0.01, 200
    longitudes = west + pixel * (np.arange(36_000) + 0.5)
    wave = np.sin(np.radians(longitudes)).astype(np.float32) * np.ones((height, 1), np.float32)
    transform = Affine(pixel, 0, west, 0, -pixel, 72)
    dem_file(tmp_path / "dem.tif", 1000 * wave, transform, DEGREES, compress="deflate")
    mosaic = find_elevation(tmp_path / "dem.tif")
    x, y = Transformer.from_crs(DEGREES, "EPSG:32601", always_xy=True).transform(180, 71)
    target = grid_of("EPSG:32601", 300, (30, 80), (x - 12_000, y + 4500))
    assert mosaic.meets(target)
    longitude, _ = centres(target, DEGREES)
    assert (longitude > 179).any()
    assert (longitude < -179).any()
    np.testing.assert_allclose(mosaic.read("dem", target), 1000 * np.sin(np.radians(longitude)), atol=0.2)


@pytest.mark.parametrize("kind", ["tif", "folder", "vrt", "zarr2", "zarr3", "icechunk", "netcdf3", "in-a-folder"])
def test_elevation_comes_in_many_forms(tmp_path, kind):
    values = rough(40, 50)
    if kind in ("tif", "folder", "vrt"):
        place = pixels(10)
        for number, part in enumerate(np.split(values, 2)):
            dem_file(tmp_path / "tiles" / f"{number}.tif", part, place * Affine.translation(0, 20 * number), UTM)
    path = {
        "tif": lambda: dem_file(tmp_path / "dem.tif", values, pixels(10), UTM),
        "folder": lambda: tmp_path,
        "vrt": lambda: write_vrt(tmp_path / "a.vrt", *sorted((tmp_path / "tiles").iterdir())),
        "in-a-folder": lambda: write_cube(tmp_path, cube(dem=values, slope=values), "zarr3").parent,
    }.get(kind, lambda: write_cube(tmp_path, cube(dem=values, count=values), kind))()
    mosaic = find_elevation(path)
    assert mosaic.root == path
    target = grid_of(UTM, 10, (40, 50), (500_000, 7_600_000))
    np.testing.assert_array_equal(mosaic.read("dem", target), values)
    assert all(file.is_absolute() and file.is_file() for file in mosaic.inputs(target))
    assert mosaic.inputs(target)


def cube(**variables):
    return dataset(coords=axes(40, 50), **variables)


def write_vrt(path, *sources):
    named = "".join(f'<SourceFilename relativeToVRT="0">{source}</SourceFilename>' for source in sources)
    path.write_text(f"<VRTDataset><VRTRasterBand>{named}</VRTRasterBand></VRTDataset>")
    return path


@pytest.mark.parametrize(
    ("descriptions", "wanted"),
    [
        (["count", "dem"], 2),
        (["height", "Elevation"], 2),
        (["slope", "HEIGHT"], 2),
        (["a", "Band1"], 2),
        (["a", "b"], 1),
        (None, 1),
    ],
)
def test_which_band_is_elevation(tmp_path, descriptions, wanted):
    values = np.stack([np.full((4, 4), number, np.float32) for number in (1, 2)])
    path = dem_file(tmp_path / "dem.tif", values, pixels(10), UTM, descriptions=descriptions)
    found = find_elevation(path).read("dem", grid_of(UTM, 10, (4, 4), (500_000, 7_600_000)))
    assert (found == wanted).all()


def test_files_of_a_folder_that_are_no_elevation_are_passed_over(tmp_path):
    def names(*given, folder):
        for name in given:
            dem_file(tmp_path / folder / name, rough(4, 4), pixels(10), UTM)
        layer = find_elevation(tmp_path / folder).layers["dem"]
        return [source.header.path.relative_to(tmp_path / folder).as_posix() for source in layer]

    others = "datamask count mad mindate maxdate browse dem_10m_shade matchtag bitmask".split()
    published = [f"57_19_10m_v4.1_{name}.tif" for name in (*others, "dem")]
    assert names(*published, ".hidden_dem.tif", ".tmp/x_dem.tif", folder="a") == ["57_19_10m_v4.1_dem.tif"]
    assert names("b.tif", "sub/a.tif", "slope.tif", folder="b") == ["b.tif", "sub/a.tif"]
    assert names("DEM_a.tif", "b_dem.tif", "c.tif", folder="c") == ["DEM_a.tif", "b_dem.tif"]
    assert names("country.tif", "madrid.tif", folder="d") == ["country.tif", "madrid.tif"]
    single = dem_file(tmp_path / "e" / "slope.tif", rough(4, 4), pixels(10), UTM)
    assert find_elevation(single).layers["dem"][0].header.path == single


def test_of_stores_in_a_folder_those_that_are_no_elevation_are_passed_over(tmp_path):
    path = dem_file(tmp_path / "tiles" / "a.tif", rough(4, 4), pixels(10), UTM)
    write_vrt(tmp_path / "elevation.vrt", path)
    write_vrt(tmp_path / "slope.vrt", path)
    assert find_elevation(tmp_path).layers["dem"][0].header.path == path


def test_a_mosaic_can_be_sent_to_another_process(tmp_path, monkeypatch):
    tiled(tmp_path, *covering(UTM_3))
    monkeypatch.chdir(tmp_path.parent)
    mosaic = find_elevation(Path(tmp_path.name))
    again = pickle.loads(pickle.dumps(mosaic))
    monkeypatch.chdir("/")
    assert again == mosaic
    np.testing.assert_array_equal(again.read("dem", TARGET), mosaic.read("dem", TARGET))
    assert all(path.is_absolute() for path in mosaic.inputs(TARGET))


def test_inputs_are_the_tiles_that_are_read(tmp_path):
    tiled(tmp_path, *covering(UTM_3), edges=(0, 100, 200, 300, 400, 500, 600))
    mosaic = find_elevation(tmp_path)
    before = mosaic.read("dem", TARGET)
    needed = mosaic.inputs(TARGET)
    assert list(needed) == sorted(needed)
    assert 0 < len(needed) < 10
    for path in tmp_path.iterdir():
        if path not in needed:
            path.write_bytes(b"damaged")
    np.testing.assert_array_equal(mosaic.read("dem", TARGET), before)


def test_inputs_of_a_store_change_with_what_is_read(tmp_path):
    path = write_cube(tmp_path, cube(dem=rough(40, 50)), dem={"chunks": (10, 10)})
    target = grid_of(UTM, 10, (5, 5), (500_000, 7_600_000))
    inputs = find_elevation(path).inputs(target)
    assert path / "zarr.json" in inputs
    assert [file.name for file in inputs if "c" in file.relative_to(path).parts] == ["0"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda folder: folder / "none",
            "--arcticdem-dir must be a raster, a store, or a folder of them, but there is no",
        ),
        (lambda folder: folder, "--arcticdem-dir must hold GeoTIFFs .* holds none"),
        (lambda folder: touch(folder / "slope.tif").parent, "holds none"),
        (lambda folder: touch(folder / "a.txt"), "holds none"),
        (
            lambda folder: touch(folder / "a.nc", folder / "b.zarr").parent,
            "must hold one store, but .* holds a.nc, b.zarr",
        ),
        (lambda folder: touch(folder / "a.tif").parent, "a.tif must be a GeoTIFF"),
    ],
)
def test_paths_without_elevation(tmp_path, make, message):
    with pytest.raises(SceneError, match=message) as caught:
        find_elevation(make(tmp_path))
    assert "\n" not in str(caught.value)


def touch(*paths):
    for path in paths:
        path.touch()
    return paths[0]


def test_files_that_do_not_go_together(tmp_path):
    a = dem_file(tmp_path / "a.tif", rough(8, 8), pixels(10), UTM)
    b = dem_file(tmp_path / "b.tif", rough(8, 8), pixels(10), UTM_3)
    with pytest.raises(SceneError, match=r"a\.tif has EPSG:32608 and b\.tif has EPSG:32603"):
        find_elevation(tmp_path)
    b.unlink()
    dem_file(tmp_path / "c.tif", rough(8, 8), pixels(2), UTM)
    with pytest.raises(SceneError, match=r"a\.tif has pixels of 10 and c\.tif of 2;"):
        find_elevation(tmp_path)
    assert find_elevation(a).meets(grid_of(UTM, 10, (8, 8), (500_000, 7_600_000)))


def trends(height=40, width=50, seed=0):
    return np.random.default_rng(seed).integers(1, 256, (3, height, width)).astype(np.uint8)


HERE = grid_of(UTM, 10, (40, 50), (500_000, 7_600_000))
NAMES = ("tc_brightness", "tc_greenness", "tc_wetness")


@pytest.mark.parametrize(
    ("descriptions", "order"),
    [
        (None, (0, 1, 2)),
        (["tc_wetness", "tc_brightness", "tc_greenness"], (1, 2, 0)),
        (["TCW_slope", "other", "TCG_slope", "TCB_slope"], (3, 2, 0)),
    ],
)
def test_trends_by_the_names_of_their_bands(tmp_path, descriptions, order):
    values = np.concatenate([trends(), trends(seed=1)])[: len(descriptions or order)]
    path = write_raster(tmp_path / "t.tif", values, descriptions=descriptions)
    mosaic = trends_for(path, None)
    assert tuple(mosaic.layers) == NAMES
    for name, number in zip(NAMES, order, strict=True):
        np.testing.assert_array_equal(mosaic.read(name, HERE), values[number])


@pytest.mark.parametrize("kind", ["zarr3", "icechunk", "netcdf3"])
def test_trends_of_a_store(tmp_path, kind):
    values = trends() if kind != "netcdf3" else trends().astype(np.int16)
    named = dict(zip(("TCB_slope", "TCG_slope", "TCW_slope"), values, strict=True))
    mosaic = trends_for(write_cube(tmp_path, cube(**named), kind), None)
    for name, layer in zip(NAMES, values, strict=True):
        np.testing.assert_array_equal(mosaic.read(name, HERE), layer)


def test_a_gap_is_where_all_trends_are_zero(tmp_path):
    values = trends()
    values[:, 3, 4] = 0
    values[:2, 5, 6] = 0
    mosaic = trends_for(write_raster(tmp_path / "t.tif", values), None)
    for name, layer in zip(NAMES, values.astype(np.float32), strict=True):
        layer[3, 4] = np.nan
        np.testing.assert_array_equal(mosaic.read(name, HERE), layer)


def test_gaps_of_one_file_are_filled_by_the_next_and_declared_values_are_none(tmp_path):
    first, second = np.full((3, 40, 50), 100, np.uint8), np.full((3, 40, 50), 200, np.uint8)
    first[:, :, :20] = 0
    second[1, 0, 0] = 255
    write_raster(tmp_path / "a.tif", first)
    write_raster(tmp_path / "b.tif", second, nodata=255)
    found = trends_for(tmp_path, None).read("tc_greenness", HERE)
    assert np.isnan(found[0, 0])
    assert (np.isnan(found).sum(), (found == 200).sum(), (found == 100).sum()) == (1, 40 * 20 - 1, 40 * 30)


def test_trends_stay_in_their_range(tmp_path):
    values = np.tile(np.array([[1, 1, 255, 255]], np.uint8), (3, 60, 15))
    path = write_raster(tmp_path / "t.tif", values, transform=pixels(30))
    found = trends_for(path, None).read("tc_wetness", HERE)
    assert found.min() >= 0
    assert found.max() == 255
    assert len(np.unique(found)) > 4, "it is interpolated"


@pytest.mark.parametrize(
    ("count", "descriptions", "message"),
    [
        (1, None, "its bands are: without a name;"),
        (4, None, "its bands are: without a name, without"),
        (3, ["a", "b", "c"], "its bands are: a, b, c;"),
        (3, ["TCB_slope", "TCG_slope", "x"], "its bands are: TCB_slope, TCG_slope, x;"),
    ],
)
def test_rasters_without_trends(tmp_path, count, descriptions, message):
    path = write_raster(tmp_path / "t.tif", np.ones((count, 4, 4), np.uint8), descriptions=descriptions)
    with pytest.raises(SceneError, match=message):
        trends_for(path, None)


@pytest.mark.parametrize(
    ("year", "expected"),
    [(2010, 2019), (2018, 2019), (2019, 2020), (2020, 2022), (2021, 2022), (2022, 2024), (2030, 2024)],
)
def test_the_first_version_after_the_year_of_the_scene(tmp_path, year, expected):
    versions = {
        2019: "TCTrend2019",
        2020: "sub_TCTrend2020",
        2022: "TCTrend2022.tif",
        2024: "TCTrend_SR_2005-2024_TCVIS",
    }
    assert version_for(versions, date(year, 7, 1)) == expected
    for version, name in versions.items():
        path = tmp_path / name if name.endswith(".tif") else tmp_path / name / "a.tif"
        write_raster(path, np.full((3, 40, 50), version - 1900, np.uint8))
    (tmp_path / ".TCTrend2021").mkdir()
    (tmp_path / "TCTrend2023.txt").touch()
    found = trends_for(tmp_path, date(year, 7, 1)).read("tc_wetness", HERE)
    assert (found == expected - 1900).all()
    assert (trends_for(tmp_path, None).read("tc_wetness", HERE) == 124).all()


def test_a_version_may_be_several_files_or_a_store(tmp_path):
    for number, half in enumerate(np.split(trends(), 2, axis=1)):
        write_raster(
            tmp_path / f"TCTrend2019_{number}.tif", half, transform=pixels(10) * Affine.translation(0, 20 * number)
        )
    named = dict(zip(("TCB_slope", "TCG_slope", "TCW_slope"), trends(seed=1), strict=True))
    write_cube(tmp_path, cube(**named), "zarr3", name="TCTrend2022")
    np.testing.assert_array_equal(trends_for(tmp_path, date(2018, 1, 1)).read("tc_wetness", HERE), trends()[2])
    np.testing.assert_array_equal(trends_for(tmp_path, date(2019, 1, 1)).read("tc_wetness", HERE), trends(seed=1)[2])


def test_trends_name_their_own_setting():
    with pytest.raises(SceneError, match="--tcvis-dir must be a raster"):
        trends_for(Path("none"), None)


def test_a_mosaic_may_have_no_limits(tmp_path):
    source = find_elevation(dem_file(tmp_path / "a.tif", np.full((40, 50), 1e6, np.float32), pixels(10), UTM)).layers
    assert (Mosaic(tmp_path, source).read("dem", HERE) == 1e6).all()


DATA = Path(os.environ.get("DARTS_REAL_DATA", "."))


@pytest.mark.slow
@pytest.mark.skipif("DARTS_REAL_DATA" not in os.environ, reason="DARTS_REAL_DATA names no folder of real scenes")
@pytest.mark.parametrize(
    ("name", "zone"), [("AST_L1A_00303182012144228_Z.tif", "EPSG:32719"), ("hef_srtm.tif", "EPSG:32633")]
)
def test_real_elevation_agrees_with_rioxarray(name, zone):
    import rioxarray
    import xarray as xr

    path = DATA / "dem" / name
    mosaic = find_elevation(path)
    with rioxarray.open_rasterio(path, masked=True) as opened:
        raster = opened.squeeze().load()
    middle = Transformer.from_crs(raster.rio.crs, zone, always_xy=True).transform(
        *(float(raster[axis].to_numpy().mean()) for axis in ("x", "y"))
    )
    target = grid_of(zone, 30, (200, 220), (round(middle[0]) - 3300, round(middle[1]) + 3000))
    x, y = (np.arange(n) + 0.5 for n in (target.width, target.height))
    like = xr.DataArray(
        np.zeros(target.shape, np.float32),
        coords={"y": apply(target.transform, 0, y)[1], "x": apply(target.transform, x, 0)[0]},
        dims=("y", "x"),
    ).rio.write_crs(zone)
    expected = raster.where(raster > -500).rio.reproject_match(like, resampling=rasterio.enums.Resampling.cubic)
    found = mosaic.read("dem", target)
    both = np.isfinite(found) & np.isfinite(expected.to_numpy())
    assert both.mean() > 0.9
    difference = np.abs(found - expected.to_numpy())[both]
    assert np.median(difference) < 0.2
    assert np.quantile(difference, 0.99) < 5
    np.testing.assert_allclose(in_blocks(mosaic, "dem", target, 0, 64, 128), found, atol=1e-2)


def test_no_hole_opens_at_the_antimeridian(tmp_path):
    """Two tiles in degrees, one on each side, under a grid in metres with a margin around it."""
    size = 1e-3
    for name, left in (("east", 179.8), ("west", -180.0)):
        transform = rasterio.Affine(size, 0, left, 0, -size, 68.4)
        write_raster(
            tmp_path / f"{name}_dem.tif", np.full((200, 200), 500, np.float32), crs="EPSG:4326", transform=transform
        )
    middle = rasterio.warp.transform("EPSG:4326", "EPSG:32601", [180.0], [68.3])
    grid = Grid(rasterio.CRS.from_epsg(32601), pixels(10, origin=(middle[0][0] - 640, middle[1][0] + 640)), 128, 128)
    mosaic = find_elevation(tmp_path)
    for part in (grid, grid.buffered(10), grid.rows(Block(30, 90)).buffered(34), grid.buffered(100)):
        np.testing.assert_allclose(mosaic.read("dem", part), 500)
