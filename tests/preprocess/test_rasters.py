"""Raster files: hostile and damaged ones are refused, and grids are brought together exactly."""

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.windows import Window

from darts.core.errors import SceneError
from darts.preprocess.headers import BandSource
from darts.preprocess.rasters import (
    RASTER_SUFFIXES,
    inputs_of,
    open_vrt_sources,
    raster_files,
    read_bands,
    read_header,
    read_on_grid,
    read_values,
)
from darts.preprocess.scenes import Block, Grid

from .conftest import UTM, pixels, write_raster

pytestmark = pytest.mark.usefixtures("no_noise")


def test_header_and_values(tmp_path):
    numbers = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    path = write_raster(tmp_path / "a.tif", numbers, nodata=0, descriptions=["B2", "B3"])
    header = read_header(path)
    assert (header.count, header.grid.shape, header.descriptions) == (2, (3, 4), ("B2", "B3"))
    assert header.nodata == (0, 0)
    assert header.grid.pixel_area == 100
    np.testing.assert_array_equal(read_values(BandSource(header, 2)), numbers[1])
    np.testing.assert_array_equal(read_values(BandSource(header, 2), Window(1, 0, 2, 3)), numbers[1, :, 1:3])
    sources = [BandSource(header, index) for index in (2, 1)]
    np.testing.assert_array_equal(read_bands(sources, Window(1, 0, 2, 3)), numbers[::-1, :, 1:3])
    assert inputs_of(sources, Window(0, 0, 4, 3)) == (path,)


def band(path, index=1):
    return BandSource(read_header(path), index)


@pytest.mark.parametrize("name", ["a.jp2", "a.tif"])
def test_jpeg_2000_is_read_whatever_its_suffix(tmp_path, name):
    numbers = np.random.default_rng(0).integers(1, 5000, (64, 64)).astype(np.uint16)
    written = write_raster(tmp_path / "b.jp2", numbers, driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES")
    path = written.rename(tmp_path / name)
    np.testing.assert_array_equal(read_values(band(path)), numbers)
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
    source, whole = band(path), path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(SceneError, match=r"B02\.tif must be a whole GeoTIFF"):
        read_values(source)


def test_missing_reference_system(tmp_path):
    with pytest.raises(SceneError, match="no coordinate reference system"):
        read_header(write_raster(tmp_path / "B02.tif", np.ones((4, 4), np.uint16), crs=None))


def grid(size, shape, **where):
    return Grid(rasterio.CRS.from_string(UTM), pixels(size, **where), *shape)


def plain(numbers):
    """Stored numbers as values; 0 is none."""
    return np.where(numbers == 0, np.nan, numbers / 2).astype(np.float32)


@pytest.fixture
def source(tmp_path):
    numbers = np.random.default_rng(0).integers(1, 1000, (40, 50)).astype(np.uint16)
    numbers[11, 12] = 0
    return band(write_raster(tmp_path / "a.tif", numbers)), plain(numbers)


@pytest.mark.parametrize("resampling", [Resampling.nearest, Resampling.bilinear, Resampling.cubic])
def test_a_part_of_the_same_lattice_is_copied(source, resampling):
    raster, values = source
    target = raster.header.grid.window(Window(7, 3, 20, 30))
    np.testing.assert_array_equal(read_on_grid(raster, target, plain, resampling), values[3:33, 7:27])


def test_what_is_not_covered_has_no_value(source):
    raster, values = source
    beyond = read_on_grid(raster, raster.header.grid.window(Window(-5, 35, 15, 10)), plain, Resampling.bilinear)
    assert np.isnan(beyond[5:]).all()
    assert np.isnan(beyond[:, :5]).all()
    np.testing.assert_allclose(beyond[:5, 5:], values[35:, :10], rtol=1e-6)
    far = grid(10, (4, 6), origin=(600_000, 7_700_000))
    assert np.isnan(read_on_grid(raster, far, plain, Resampling.bilinear)).all()


@pytest.mark.parametrize("resampling", [Resampling.nearest, Resampling.bilinear])
def test_a_finer_grid_is_read_in_blocks_as_in_one(source, resampling):
    raster, values = source
    target = grid(5, (60, 70), origin=(500_020, 7_599_950))
    whole = read_on_grid(raster, target, plain, resampling)
    parts = (Block(0, 23), Block(23, 59), Block(59, 60))
    blocks = [read_on_grid(raster, target.rows(block), plain, resampling) for block in parts]
    np.testing.assert_allclose(np.concatenate(blocks), whole, rtol=1e-6)
    np.testing.assert_array_equal(np.isnan(whole), np.isnan(np.kron(values, np.ones((2, 2)))[10:70, 4:74]))


def vrt(path, *sources, root="<VRTDataset rasterXSize='4' rasterYSize='4'>", extra="", kind="SimpleSource"):
    """A VRT as gdalbuildvrt writes it; each source as (attributes, name)."""
    listed = "".join(
        f"<{kind}><SourceFilename {attributes}>{name}</SourceFilename><SourceBand>1</SourceBand></{kind}>"
        for attributes, name in sources
    )
    path.write_text(
        f'{root}<SRS>x</SRS><VRTRasterBand dataType="Byte" band="1">{extra}{listed}</VRTRasterBand></VRTDataset>'
    )
    return path


def test_the_files_of_a_vrt(tmp_path):
    a = write_raster(tmp_path / "tiles" / "a & b.tif", np.ones((4, 4), np.uint8))
    b = write_raster(tmp_path / "b.tif", np.ones((4, 4), np.uint8))
    relative, absolute = 'relativeToVRT="1" shared="0"', 'relativeToVRT="0"'
    path = vrt(
        tmp_path / "a.vrt", (relative, "tiles/a &amp; b.tif"), (absolute, b), (absolute, b), kind="ComplexSource"
    )
    assert open_vrt_sources(path) == [b, a]
    with pytest.raises(SceneError, match="must be a GeoTIFF or JPEG 2000 file"):
        read_header(path)


@pytest.mark.parametrize(
    "name",
    [
        "/vsicurl/https://example.org/a.tif",
        "https://example.org/a.tif",
        "/vsizip/a.zip/a.tif",
        "none.tif",
        "nested.vrt",
        "folder.tif",
        "/etc/passwd",
        "",
    ],
)
@pytest.mark.parametrize("relative", [0, 1])
def test_a_vrt_may_name_only_raster_files_that_are_there(tmp_path, name, relative):
    (tmp_path / "nested.vrt").write_text("<VRTDataset/>")
    (tmp_path / "folder.tif").mkdir()
    path = vrt(tmp_path / "a.vrt", (f'relativeToVRT="{relative}"', name))
    with pytest.raises(SceneError, match=r"a\.vrt must name GeoTIFF or JPEG 2000 files that are there") as caught:
        open_vrt_sources(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"root": '<!DOCTYPE x [<!ENTITY e "b.tif">]><VRTDataset>'}, "has <!DOCTYPE"),
        ({"root": '<VRTDataset subClass="VRTWarpedDataset">'}, "has subClass="),
        ({"extra": "<PixelFunctionType>sum</PixelFunctionType>"}, "has <PixelFunctionType"),
        ({"kind": "KernelFilteredSource"}, "has <KernelFilteredSource"),
        ({"extra": "<ScaleRatio>2</ScaleRatio>"}, "has <ScaleRatio"),
        ({"root": "<html>"}, "is no VRT"),
    ],
)
def test_a_vrt_that_computes_is_refused(tmp_path, changed, message):
    source = write_raster(tmp_path / "b.tif", np.ones((4, 4), np.uint8))
    path = vrt(tmp_path / "a.vrt", ('relativeToVRT="0"', source), **changed)
    with pytest.raises(SceneError, match=message):
        open_vrt_sources(path)


def test_a_vrt_that_is_none(tmp_path):
    path = tmp_path / "a.vrt"
    with pytest.raises(SceneError, match="can't be read"):
        open_vrt_sources(path)
    with pytest.raises(SceneError, match="names none"):
        open_vrt_sources(vrt(path))
    path.write_bytes("<VRTDataset>".encode("utf-16"))
    with pytest.raises(SceneError, match="must be a VRT in UTF-8"):
        open_vrt_sources(path)
    with path.open("wb") as file:
        file.truncate(20_000_001)
    with pytest.raises(SceneError, match="at most 20000000 bytes"):
        open_vrt_sources(path)
