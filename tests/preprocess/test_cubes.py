"""Data cubes: their bands, grids and numbers, read window by window, and damaged ones refused in one line."""

import sys
import time

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.windows import Window

from darts.core.errors import SceneError
from darts.preprocess.cubes import chunk_files, cube_inputs, is_cube, read_cube_header, read_cube_values
from darts.preprocess.headers import BandSource

from .conftest import UTM

pytestmark = [pytest.mark.usefixtures("no_noise"), pytest.mark.filterwarnings("ignore")]
KINDS = ("zarr2", "zarr3", "zarr3-bare", "icechunk", "netcdf3", "netcdf4")


def axes(height=20, width=30, size=10.0, left=500_000.0, top=7_600_000.0):
    """Coordinates of the middles of north-up pixels."""
    return {"y": top - size * (np.arange(height) + 0.5), "x": left + size * (np.arange(width) + 0.5)}


def dataset(crs=UTM, coords=None, dims=("y", "x"), attrs=None, **variables):
    """Variables along y and x, each as an array, or as an array and its attributes."""
    import rioxarray  # noqa: F401
    import xarray as xr

    given = {name: value if isinstance(value, tuple) else (value, {}) for name, value in variables.items()}
    result = xr.Dataset({name: (dims, *value) for name, value in given.items()}, coords or axes(), attrs)
    return result if crs is None else result.rio.write_crs(crs)


def write_cube(folder, content, kind="zarr3", name="cube", **encoding):
    """Write a dataset as a store or file of some kind."""
    if kind.startswith("netcdf"):
        if kind == "netcdf4":
            pytest.importorskip("h5py")
        path = folder / f"{name}.nc"
        content.to_netcdf(path, engine={"3": "scipy", "4": "h5netcdf"}[kind[-1]], encoding=encoding)
    elif kind == "icechunk":
        icechunk = pytest.importorskip("icechunk")
        icechunk.set_logs_filter("error")
        path = folder / f"{name}.icechunk"
        repository = icechunk.Repository.open_or_create(icechunk.local_filesystem_storage(str(path)))
        session = repository.writable_session("main")
        content.to_zarr(session.store, consolidated=False, zarr_format=3, encoding=encoding, mode="w")
        session.commit("written")
    else:
        path = folder / f"{name}.zarr"
        version, consolidated = int(kind[4]), not kind.endswith("bare")
        content.to_zarr(path, zarr_format=version, consolidated=consolidated, encoding=encoding)
    return path


def heights(height=20, width=30):
    return np.random.default_rng(0).normal(300, 50, (height, width)).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_cube_says_and_gives_the_same(tmp_path, kind):
    values, counts = heights(), np.arange(600, dtype=np.int16).reshape(20, 30)
    path = write_cube(tmp_path, dataset(dem=(values, {"_FillValue": -9999.0}), count=counts), kind)
    header = read_cube_header(path)
    assert is_cube(path)
    assert header.path == path
    assert sorted(header.descriptions) == ["count", "dem"]
    assert header.grid.crs == rasterio.CRS.from_string(UTM)
    assert header.grid.shape == (20, 30)
    np.testing.assert_allclose(header.grid.transform[:6], (10, 0, 500_000, 0, -10, 7_600_000), atol=1e-6)
    by_name = {name: BandSource(header, index) for index, name in enumerate(header.descriptions, start=1)}
    assert (by_name["dem"].nodata, by_name["count"].nodata) == (-9999, None)
    np.testing.assert_array_equal(read_cube_values(by_name["dem"], None), values)
    np.testing.assert_array_equal(read_cube_values(by_name["count"], None), counts)
    part = read_cube_values(by_name["dem"], Window(7, 3, 11, 5))
    assert part.dtype == np.float32
    assert part.dtype.isnative
    np.testing.assert_array_equal(part, values[3:8, 7:18])


@pytest.mark.parametrize("kind", ["zarr2", "zarr3", "netcdf3"])
def test_numbers_are_given_as_stored_and_their_scaling_in_the_header(tmp_path, kind):
    stored = np.arange(600, dtype=np.int16).reshape(20, 30)
    packed = {"scale_factor": 0.1, "add_offset": -50.0, "_FillValue": np.int16(-32768)}
    header = read_cube_header(write_cube(tmp_path, dataset(dem=(stored, packed)), kind))
    assert (header.scales, header.offsets, header.nodata) == ((0.1,), (-50.0,), (-32768,))
    np.testing.assert_array_equal(read_cube_values(BandSource(header, 1), None), stored)


def test_coordinates_may_be_packed_too(tmp_path):
    coords = {"y": ("y", np.arange(20), {"scale_factor": -10.0, "add_offset": 195.0}), "x": axes()["x"]}
    header = read_cube_header(write_cube(tmp_path, dataset(dem=heights(), coords=coords)))
    assert (header.grid.transform.e, header.grid.transform.f) == (-10, 200)


@pytest.mark.parametrize("kind", ["zarr2-bare", "zarr3-bare", "icechunk"])
def test_bands_of_a_store_keep_their_places(tmp_path, kind):
    cube = dataset(**{name: np.full((20, 30), number, np.int16) for number, name in enumerate("dacfbe")})
    path = write_cube(tmp_path, cube, kind)
    for _ in range(10):
        header = read_cube_header(path)
        assert header.descriptions == tuple("abcdef")
        assert [read_cube_values(BandSource(header, index), None)[0, 0] for index in range(1, 7)] == [1, 4, 2, 0, 5, 3]


def test_south_up_cubes_keep_the_order_of_their_file(tmp_path):
    values, coords = heights(), axes()
    flipped = {"y": coords["y"][::-1], "x": coords["x"]}
    header = read_cube_header(write_cube(tmp_path, dataset(dem=values[::-1], coords=flipped), "netcdf3"))
    np.testing.assert_allclose(header.grid.transform[:6], (10, 0, 500_000, 0, 10, 7_599_800))
    np.testing.assert_array_equal(read_cube_values(BandSource(header, 1), Window(0, 0, 30, 2)), values[:-3:-1])


def test_variables_with_columns_first_are_turned(tmp_path):
    values = heights()
    header = read_cube_header(write_cube(tmp_path, dataset(dem=values.T, dims=("x", "y"))))
    assert header.grid.shape == (20, 30)
    np.testing.assert_array_equal(read_cube_values(BandSource(header, 1), Window(4, 2, 9, 6)), values[2:8, 4:13])


def test_booleans_become_numbers(tmp_path):
    mask = np.random.default_rng(0).random((20, 30)) < 0.5
    header = read_cube_header(write_cube(tmp_path, dataset(mask=mask)))
    values = read_cube_values(BandSource(header, 1), None)
    assert values.dtype == np.uint8
    np.testing.assert_array_equal(values, mask)


def test_unsigned_numbers_of_netcdf_3(tmp_path):
    stored = np.array([[0, 127, -128, -1]] * 2, dtype=np.int8)
    marked = dataset(tc=(stored, {"_Unsigned": "true", "_FillValue": np.int8(-1)}), coords=axes(2, 4))
    header = read_cube_header(write_cube(tmp_path, marked, "netcdf3"))
    assert header.nodata == (255,)
    np.testing.assert_array_equal(read_cube_values(BandSource(header, 1), None)[0], [0, 127, 128, 255])


@pytest.mark.parametrize(
    ("coords", "attrs", "expected"),
    [
        ({"band": ["blue", "red"]}, {}, ("blue", "red")),
        ({"band": [1, 2]}, {"long_name": ["blue", "red"]}, ("blue", "red")),
        ({"band": [1, 2]}, {}, ("", "")),
        ({}, {"long_name": "of both"}, ("", "")),
    ],
)
def test_layers_of_a_variable_are_bands(tmp_path, coords, attrs, expected):
    values = np.arange(1200, dtype=np.uint16).reshape(2, 20, 30)
    cube = dataset(sr=(values, attrs), dims=("band", "y", "x"), coords=axes() | coords)
    header = read_cube_header(write_cube(tmp_path, cube))
    assert header.descriptions == expected
    np.testing.assert_array_equal(read_cube_values(BandSource(header, 2), Window(5, 6, 7, 8)), values[1, 6:14, 5:12])


def test_one_layer_is_called_as_its_variable(tmp_path):
    cube = dataset(dem=heights()[None], dims=("time", "y", "x"), coords=axes() | {"time": [0]})
    assert read_cube_header(write_cube(tmp_path, cube)).descriptions == ("dem",)


def test_variables_that_are_no_rasters_are_passed_over(tmp_path):
    cube = dataset(dem=heights()).assign(profile=("y", np.zeros(20)), names=(("y", "x"), np.full((20, 30), "a")))
    assert read_cube_header(write_cube(tmp_path, cube)).descriptions == ("dem",)


def test_the_reference_system_is_found_where_it_is_written(tmp_path):
    import pyproj

    plain = dataset(crs=None, dem=heights())
    as_variable = plain.assign(spatial_ref=((), 0, {"crs_wkt": pyproj.CRS(UTM).to_wkt()}))
    as_attribute = plain.assign_attrs(crs="EPSG:32608")
    for name, cube in (("variable", as_variable), ("attribute", as_attribute)):
        assert read_cube_header(write_cube(tmp_path, cube, name=name)).grid.crs == rasterio.CRS.from_string(UTM)


@pytest.mark.parametrize(("y", "x"), [("lat", "lon"), ("Latitude", "Longitude")])
def test_degrees_need_no_reference_system(tmp_path, y, x):
    coords = {y: 70 - 1e-3 * np.arange(20), x: -140 + 1e-3 * np.arange(30)}
    header = read_cube_header(write_cube(tmp_path, dataset(crs=None, dem=heights(), dims=(y, x), coords=coords)))
    assert header.grid.crs == rasterio.CRS.from_epsg(4326)
    np.testing.assert_allclose(header.grid.transform[:6], (1e-3, 0, -140.0005, 0, -1e-3, 70.0005))
    assert read_cube_values(BandSource(header, 1), Window(0, 0, 3, 2)).shape == (2, 3)


def test_a_cube_that_is_filled_step_by_step_has_no_value_where_it_is_not_yet(tmp_path):
    import zarr

    def described(dtype, fill):
        empty = dataset(dem=np.zeros((20, 30), dtype), attrs={"loaded_patches": ["a"]})
        return read_cube_header(
            write_cube(tmp_path, empty, name=f"{dtype}{fill}", dem={"chunks": (10, 10), "fill_value": fill})
        )

    header = described("float32", 0.0)
    assert header.nodata == (0.0,)
    assert described("float32", -32767.0).nodata == (-32767.0,)
    assert described("uint8", 0).nodata == (None,)
    assert zarr.open_group(header.path, mode="r").attrs["loaded_patches"] == ["a"]


def test_float32_coordinates_are_as_regular_as_they_can_be(tmp_path):
    coords = {name: values.astype(np.float32) for name, values in axes(size=7.3).items()}
    assert np.ptp(np.diff(coords["y"])) > 0.1
    header = read_cube_header(write_cube(tmp_path, dataset(dem=heights(), coords=coords)))
    np.testing.assert_allclose(header.grid.transform[:6], (7.3, 0, 500_000, 0, -7.3, 7_600_000), atol=0.5)


@pytest.mark.parametrize("change", [0.02, -0.02])
def test_irregular_coordinates_are_refused(tmp_path, change):
    coords = axes()
    coords["x"][7] += change
    with pytest.raises(SceneError, match="x must be regular"):
        read_cube_header(write_cube(tmp_path, dataset(dem=heights(), coords=coords)))
    coords["x"][7] -= 0.7 * change
    assert read_cube_header(write_cube(tmp_path, dataset(dem=heights(), coords=coords), name="nearly")).count == 1


@pytest.mark.parametrize(
    ("cube", "message"),
    [
        (lambda: dataset(crs=None, dem=heights()), "has no coordinate reference system"),
        (lambda: dataset(dem=heights()).drop_vars("x"), "x must have from 2 to .*, but has 30 pixels without"),
        (lambda: dataset(dem=heights(20, 1), coords=axes(20, 1)), "x must have from 2 to .* has 1 pixels"),
        (lambda: dataset(dem=np.full((20, 30), "a")), "must hold a variable along x and y"),
        (lambda: dataset(dem=heights()).drop_vars("dem"), "holds nothing"),
    ],
)
def test_cubes_that_are_no_rasters(tmp_path, cube, message):
    with pytest.raises(SceneError, match=message) as caught:
        read_cube_header(write_cube(tmp_path, cube()))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.zarr", "a.icechunk", "a.nc"])
def test_missing_empty_and_wrong_cubes_name_themselves(tmp_path, name):
    path = tmp_path / name
    messages = []
    for make in (lambda: None, path.mkdir, lambda: (path.rmdir(), path.write_bytes(b"<html>"))):
        make()
        with pytest.raises(SceneError) as caught:
            read_cube_header(path)
        messages.append(str(caught.value))
    assert all(str(path) in message and "\n" not in message and len(message) < 400 for message in messages)


@pytest.mark.parametrize("kind", ["zarr2", "zarr3", "icechunk"])
def test_damaged_stores(tmp_path, kind):
    path = write_cube(tmp_path, dataset(dem=heights()), kind)
    source = BandSource(read_cube_header(path), 1)
    folder = path / {"icechunk": "chunks"}.get(kind, "dem")
    chunks = [file for file in folder.rglob("*") if file.is_file() and not file.name.startswith((".z", "zarr"))]
    for file in chunks or (path / "manifests").iterdir():
        file.write_bytes(file.read_bytes()[:10])
    with pytest.raises(SceneError, match="must be a whole zarr or icechunk store"):
        read_cube_values(source, None)
    for file in path.rglob("*"):
        if file.is_file():
            file.write_bytes(b"{")
    with pytest.raises(SceneError, match="must be a whole zarr or icechunk store"):
        read_cube_header(path)


@pytest.mark.parametrize("kind", ["netcdf3", "netcdf4"])
def test_damaged_files(tmp_path, kind):
    path = write_cube(tmp_path, dataset(dem=heights()), kind)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(SceneError, match=r"cube\.nc must be a whole"):
        read_cube_values(BandSource(read_cube_header(path), 1), None)


def test_a_missing_package_says_what_to_install(tmp_path, monkeypatch):
    path = write_cube(tmp_path, dataset(dem=heights()), "icechunk")
    monkeypatch.setitem(sys.modules, "icechunk", None)
    with pytest.raises(SceneError, match=r"pip install 'darts\[icechunk\]'\.$"):
        read_cube_header(path)


def test_only_the_chunks_of_the_window_are_read(tmp_path):
    path = write_cube(tmp_path, dataset(dem=heights()), dem={"chunks": (10, 10)})
    header = read_cube_header(path)
    for file in (path / "dem" / "c").rglob("*"):
        if file.is_file() and file.relative_to(path / "dem" / "c").parts != ("1", "1"):
            file.write_bytes(b"damaged")
    part = read_cube_values(BandSource(header, 1), Window(10, 10, 10, 10))
    np.testing.assert_array_equal(part, heights()[10:, 10:20])
    with pytest.raises(SceneError):
        read_cube_values(BandSource(header, 1), Window(9, 10, 10, 10))


def test_a_cube_of_the_whole_world_is_read_at_once(tmp_path):
    import zarr

    pixel = 0.00026949458523585647
    height, width = int(180 / pixel), int(360 / pixel)
    coords = {"y": 90 - pixel * (np.arange(height) + 0.5), "x": -180 + pixel * (np.arange(width) + 0.5)}
    axis = dataset(crs="EPSG:4326", coords=coords)
    path = write_cube(tmp_path, axis, "zarr3-bare", y={"chunks": (height,)}, x={"chunks": (width,)})
    group = zarr.open_group(path, mode="a")
    array = group.create_array(
        "TCB_slope", shape=(height, width), chunks=(3600, 3600), dtype="uint8", dimension_names=("y", "x"), fill_value=0
    )
    array[72_000:72_010, 500_000:500_010] = 7
    started = time.monotonic()
    header = read_cube_header(path)
    assert header.grid.shape == (height, width)
    assert header.grid.crs == rasterio.CRS.from_epsg(4326)
    np.testing.assert_allclose(header.grid.transform[:6], Affine(pixel, 0, -180, 0, -pixel, 90)[:6], rtol=1e-12)
    values = read_cube_values(BandSource(header, 1), Window(499_995, 71_995, 10, 10))
    assert (values.sum(), values[5:, 5:].min()) == (25 * 7, 7)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("kind", ["zarr2", "zarr3"])
def test_files_of_a_window_are_those_that_change_it(tmp_path, kind):
    cube = dataset(dem=heights(), slope=heights() / 10)
    path = write_cube(tmp_path, cube, kind, dem={"chunks": (10, 10)}, slope={"chunks": (20, 30)})
    header = read_cube_header(path)
    sources = [BandSource(header, index) for index in (1, 2)]
    window = Window(12, 3, 9, 6)
    files = chunk_files(sources, window)
    assert len(files) == 3
    before = [read_cube_values(source, window) for source in sources]
    for file in path.rglob("*"):
        if file.is_file() and file not in (*files, *cube_inputs(path)):
            file.unlink()
    for source, values in zip(sources, before, strict=True):
        np.testing.assert_array_equal(read_cube_values(source, window), values)
    names = {"zarr2": [".zattrs", ".zgroup", ".zmetadata"], "zarr3": ["zarr.json"]}[kind]
    assert [file.name for file in cube_inputs(path) if file.parent == path] == names


def test_a_commit_changes_the_inputs_of_a_repository(tmp_path):
    path = write_cube(tmp_path, dataset(dem=heights()), "icechunk")
    (before,) = (file.read_bytes() for file in cube_inputs(path))
    write_cube(tmp_path, dataset(dem=heights() + 1), "icechunk")
    (after,) = (file.read_bytes() for file in cube_inputs(path))
    assert before != after
    assert chunk_files([BandSource(read_cube_header(path), 1)], Window(0, 0, 5, 5)) == ()


def test_a_file_is_its_own_input(tmp_path):
    path = write_cube(tmp_path, dataset(dem=heights()), "netcdf3")
    assert cube_inputs(path) == (path,)
    assert chunk_files([BandSource(read_cube_header(path), 1)], Window(0, 0, 5, 5)) == ()
