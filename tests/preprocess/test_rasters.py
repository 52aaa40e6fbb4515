"""Raster files: hostile and damaged ones are refused, and grids are brought together exactly."""

import time

import numpy as np
import pytest
import rasterio

from darts.core.errors import SceneError
from darts.preprocess.rasters import RASTER_SUFFIXES, raster_files, read_header, read_values, same_grid, to_grid
from darts.preprocess.scenes import Grid

from .conftest import UTM, pixels, write_raster

pytestmark = pytest.mark.usefixtures("no_noise")


def test_header_and_values(tmp_path):
    numbers = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    path = write_raster(tmp_path / "a.tif", numbers, nodata=0, descriptions=["B2", "B3"])
    header = read_header(path)
    assert (header.count, header.grid.shape, header.descriptions) == (2, (3, 4), ("B2", "B3"))
    assert header.nodata == (0, 0)
    assert header.grid.pixel_area == 100
    np.testing.assert_array_equal(read_values(path, 2), numbers[1])


@pytest.mark.parametrize("name", ["a.jp2", "a.tif"])
def test_jpeg_2000_is_read_whatever_its_suffix(tmp_path, name):
    numbers = np.random.default_rng(0).integers(1, 5000, (64, 64)).astype(np.uint16)
    written = write_raster(tmp_path / "b.jp2", numbers, driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES")
    path = written.rename(tmp_path / name)
    np.testing.assert_array_equal(read_values(path, 1), numbers)
    assert read_header(path).grid.crs == rasterio.CRS.from_string(UTM)


def test_only_raster_files_that_are_not_hidden(tmp_path):
    for name in ("b.tif", "a.JP2", ".c.tif", "d.png", "e.tif.aux.xml"):
        (tmp_path / name).touch()
    (tmp_path / "f.tif").mkdir()
    assert [path.name for path in raster_files(tmp_path)] == ["a.JP2", "b.tif"]
    assert ".vrt" not in RASTER_SUFFIXES


def test_a_vrt_posing_as_geotiff_is_refused(tmp_path):
    secret = write_raster(tmp_path / "secret.tif", np.ones((4, 4), np.uint16))
    vrt = tmp_path / "B02.tif"
    vrt.write_text(
        f'<VRTDataset rasterXSize="4" rasterYSize="4"><VRTRasterBand dataType="UInt16" band="1"><SimpleSource>'
        f"<SourceFilename>{secret}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(SceneError, match=r"B02\.tif must be a GeoTIFF or JPEG 2000 file"):
        read_header(vrt)


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"II*\x00", b"II*\x00" + b"\xff" * 400, b"\x00\x00\x00\x0cjP  \r\n"]
)
def test_no_raster_at_all(tmp_path, content):
    path = tmp_path / "B02.tif"
    path.write_bytes(content)
    with pytest.raises(SceneError, match=r"B02\.tif must be a.*GeoTIFF or JPEG 2000"):
        read_header(path)


@pytest.mark.parametrize("compress", ["none", "deflate", "lzw", "zstd"])
def test_truncated_file_names_itself(tmp_path, compress):
    numbers = np.random.default_rng(0).integers(1, 5000, (128, 128)).astype(np.uint16)
    path = write_raster(tmp_path / "B02.tif", numbers, compress=compress, tiled=True, blockxsize=32, blockysize=32)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(SceneError, match=r"B02\.tif must be a whole GeoTIFF"):
        read_values(path, 1)


def test_missing_reference_system(tmp_path):
    with pytest.raises(SceneError, match="no coordinate reference system"):
        read_header(write_raster(tmp_path / "B02.tif", np.ones((4, 4), np.uint16), crs=None))


def test_a_header_that_claims_too_much_is_refused_at_once(tmp_path):
    path = tmp_path / "B02.tif"
    options = {"crs": UTM, "transform": pixels(10), "sparse_ok": True, "bigtiff": "yes", "tiled": True}
    with rasterio.open(path, "w", driver="GTiff", height=400_000, width=400_000, count=1, dtype="uint16", **options):
        pass
    started = time.monotonic()
    with pytest.raises(SceneError, match="400000 x 400000 pixels"):
        read_header(path)
    assert time.monotonic() - started < 5
    path.unlink()


def grid(size, shape, **where):
    return Grid(rasterio.CRS.from_string(UTM), pixels(size, **where), *shape)


def bilinear(values, factor):
    """Values at the centres of pixels that are `factor` times finer; the border is extended."""
    height, width = values.shape
    rows, columns = ((np.arange(n * factor) + 0.5) / factor - 0.5 for n in (height, width))
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    r0, c0 = np.floor(rows).astype(int), np.floor(columns).astype(int)
    r1, c1 = np.minimum(r0 + 1, height - 1), np.minimum(c0 + 1, width - 1)
    fr, fc = (rows - r0)[:, None], (columns - c0)[None]
    top = values[r0][:, c0] * (1 - fc) + values[r0][:, c1] * fc
    bottom = values[r1][:, c0] * (1 - fc) + values[r1][:, c1] * fc
    return top * (1 - fr) + bottom * fr


@pytest.mark.parametrize("factor", [2, 6])
def test_coarse_bands_are_interpolated(factor):
    values = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    fine = to_grid(values, grid(10 * factor, (20, 30)), grid(10, (20 * factor, 30 * factor)), smooth=True)
    assert fine.dtype == np.float32
    np.testing.assert_allclose(fine, bilinear(values.astype(float), factor), atol=1e-6)


def test_classes_are_taken_from_the_nearest_pixel():
    values = np.random.default_rng(0).integers(0, 12, (20, 30)).astype(np.float32)
    fine = to_grid(values, grid(20, (20, 30)), grid(10, (40, 60)), smooth=False)
    np.testing.assert_array_equal(fine, np.kron(values, np.ones((2, 2))))


def test_pixels_without_a_value_stay_without_and_do_not_spread():
    values = np.full((10, 10), 0.5, np.float32)
    values[4, 4] = np.nan
    fine = to_grid(values, grid(20, (10, 10)), grid(10, (20, 20)), smooth=True)
    expected = np.full((20, 20), 0.5)
    expected[8:10, 8:10] = np.nan
    np.testing.assert_allclose(fine, expected, atol=1e-6)


def test_outside_of_the_source_there_is_no_value():
    values = np.full((4, 4), 0.5, np.float32)
    fine = to_grid(values, grid(20, (4, 4)), grid(10, (12, 12)), smooth=True)
    assert not np.isnan(fine[:8, :8]).any()
    assert np.isnan(fine[8:]).all()
    assert np.isnan(fine[:, 8:]).all()


def test_same_grid_is_exact_for_degrees():
    one = grid(1e-4, (10, 10), origin=(-111.9, 57.1))
    other = grid(1e-4, (10, 10), origin=(-111.9 + 5e-5, 57.1))
    assert same_grid(one, one)
    assert not same_grid(one, other)
    assert not same_grid(one, grid(1e-4, (10, 11), origin=(-111.9, 57.1)))
