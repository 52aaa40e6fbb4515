"""Raster files: opened with care, read as they are, and brought to another grid."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.warp import reproject

from darts.core.errors import SceneError, one_line
from darts.preprocess.scenes import Grid, apply

RASTER_SUFFIXES = (".tif", ".tiff", ".jp2")
MAX_PIXELS = 30_000**2
"""More pixels than any scene has: a header that claims more is not believed."""

# Files beside a raster (.aux.xml, .ovr) are not looked for; pixels are read once, so little is kept of them (MB).
_GDAL_OPTIONS = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_CACHEMAX": 64}
_SIGNATURES = {
    b"II*\x00": "GTiff",
    b"MM\x00*": "GTiff",
    b"II+\x00": "GTiff",
    b"MM\x00+": "GTiff",
    b"\x00\x00\x00\x0c": "JP2OpenJPEG",
    b"\xffO\xffQ": "JP2OpenJPEG",
}
# Errors are raised; without a handler, what GDAL says on the way would be printed to stderr besides.
logging.getLogger("rasterio").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class RasterHeader:
    """What a raster file says of itself, its pixels aside.

    Attributes
    ----------
    path
        The file.
    grid
        Where its pixels lie.
    descriptions
        Name of each band, "" where it has none.
    nodata
        Declared value of pixels without a value, of each band.
    scales, offsets
        Declared linear scaling of each band; 1 and 0 when none is declared.
    tags
        Metadata of the file.
    """

    path: Path
    grid: Grid
    descriptions: tuple[str, ...]
    nodata: tuple[float | None, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    tags: dict[str, str]

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.descriptions)


def raster_files(folder: Path) -> list[Path]:
    """The raster files directly in a folder, sorted by name; hidden ones are passed over."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in RASTER_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def read_header(path: Path) -> RasterHeader:
    """Read the header of a GeoTIFF or JPEG 2000 file.

    Raises
    ------
    SceneError
        When it is neither, is damaged, has no coordinate reference system, or claims an absurd size.
    """
    with _open(path) as source:
        if source.crs is None:
            raise SceneError(f"{path} has no coordinate reference system; assign one, for example with gdal_edit.")
        if source.height * source.width > MAX_PIXELS:
            raise SceneError(f"{path} claims {source.height} x {source.width} pixels, more than a scene has; check it.")
        return RasterHeader(
            path=path,
            grid=Grid(source.crs, source.transform, source.height, source.width),
            descriptions=tuple(text or "" for text in source.descriptions),
            nodata=source.nodatavals,
            scales=source.scales,
            offsets=source.offsets,
            tags=source.tags(),
        )


def read_values(path: Path, index: int) -> np.ndarray:
    """The stored numbers of band `index` (from 1), in the type of the file, shape (height, width).

    Raises
    ------
    SceneError
        When the file is damaged.
    """
    with _open(path) as source:
        values: np.ndarray = source.read(index)
    return values


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Open a file with the driver for GeoTIFF or JPEG 2000 only.

    Left to choose by itself, GDAL would also read a VRT that is named .tif, and any file or address that it names.
    """
    absolute = path.absolute()
    driver = _driver(absolute)
    try:
        with warnings.catch_warnings(), rasterio.Env(**_GDAL_OPTIONS):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(absolute, driver=driver) as source:
                yield source
    except (RasterioError, OSError, ValueError) as error:
        reason = one_line(error.__cause__ or error, 160)
        raise SceneError(
            f"{path} must be a whole GeoTIFF or JPEG 2000 file, but can't be read ({reason}); get the file again."
        ) from None


def _driver(path: Path) -> str:
    """The driver that the first bytes of a file call for; its suffix may be wrong."""
    try:
        with path.open("rb") as file:
            signature = file.read(4)
    except OSError as error:
        raise SceneError(f"{path} can't be read ({error.strerror}); check the file.") from None
    if signature not in _SIGNATURES:
        raise SceneError(f"{path} must be a GeoTIFF or JPEG 2000 file, but its content is neither; get the file again.")
    return _SIGNATURES[signature]


def to_grid(values: np.ndarray, source: Grid, target: Grid, *, smooth: bool) -> np.ndarray:
    """Bring a raster to another grid in the same coordinate reference system.

    Parameters
    ----------
    values
        float32 (height, width), NaN where there is no value.
    source, target
        The grid of `values`, and the one that is wanted.
    smooth
        Interpolate bilinearly between the values around; otherwise take the nearest one.

    Returns
    -------
    float32 on the target grid; NaN wherever the nearest pixel of the source has no value, or where there is none.
    """
    if same_grid(source, target):
        return values
    nearest = _warp(values, source, target, Resampling.nearest)
    if not smooth:
        return nearest
    interpolated = _warp(values, source, target, Resampling.bilinear)
    interpolated[np.isnan(nearest)] = np.nan
    return interpolated


def _warp(values: np.ndarray, source: Grid, target: Grid, resampling: Resampling) -> np.ndarray:
    result = np.full(target.shape, np.nan, dtype=np.float32)
    reproject(
        values,
        result,
        src_transform=source.transform,
        src_crs=source.crs,
        src_nodata=np.nan,
        dst_transform=target.transform,
        dst_crs=target.crs,
        dst_nodata=np.nan,
        resampling=resampling,
        num_threads=1,
    )
    return result


def same_grid(one: Grid, other: Grid) -> bool:
    """Whether two grids have the same pixels, up to a hundredth of one."""
    if one.shape != other.shape or one.crs != other.crs:
        return False
    corners = [(0, 0), (one.width, 0), (0, one.height)]
    places = [apply(~other.transform, *apply(one.transform, *corner)) for corner in corners]
    return bool(np.abs(np.subtract(places, corners)).max() < 0.01)
