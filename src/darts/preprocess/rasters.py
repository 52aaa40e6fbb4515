"""Raster files: opened with care, read as they are, and brought to another grid."""

import html
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from darts.core.errors import SceneError, one_line
from darts.core.files import files_in
from darts.preprocess.cubes import chunk_files, cube_inputs, is_cube, read_cube_header, read_cube_values
from darts.preprocess.headers import BandSource, RasterHeader
from darts.preprocess.resampling import kernel_size, place_of, to_grid, widened
from darts.preprocess.scenes import Grid

RASTER_SUFFIXES = (".tif", ".tiff", ".jp2")

_VRT_LIMIT = 20_000_000
# Names of files are plain text; matching them as text can't be made to expand or fetch anything, as XML can.
_VRT_SOURCE = re.compile(r"<SourceFilename([^>]*)>([^<]*)</SourceFilename>")
_VRT_COMPUTED = re.compile(
    r"<!DOCTYPE|<!ENTITY|subClass=|<(?:PixelFunction\w+|KernelFilteredSource|AveragedSource|LUT|Exponent|Scale\w+)\b"
)

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


def raster_files(folder: Path) -> list[Path]:
    """The raster files directly in a folder, sorted by name; hidden ones are passed over."""
    return [path for path in files_in(folder, SceneError) if path.suffix.lower() in RASTER_SUFFIXES]


def inputs_of(sources: Sequence[BandSource], window: Window) -> tuple[Path, ...]:
    """The files that change when some bands of one raster do in a window, and those that describe it, sorted."""
    path = sources[0].header.path
    return tuple(sorted({*cube_inputs(path), *chunk_files(sources, window)})) if is_cube(path) else (path,)


def read_header(path: Path) -> RasterHeader:
    """Read the header of a GeoTIFF or JPEG 2000 file, a zarr or icechunk store, or a netCDF file.

    Raises
    ------
    SceneError
        When it is neither, is damaged, or has no coordinate reference system.
    """
    if is_cube(path):
        return read_cube_header(path)
    with _open(path) as source:
        if source.crs is None:
            raise SceneError(f"{path} has no coordinate reference system; assign one, for example with gdal_edit.")
        return RasterHeader(
            path=path,
            grid=Grid(source.crs, source.transform, source.height, source.width),
            descriptions=tuple(text or "" for text in source.descriptions),
            nodata=source.nodatavals,
            scales=source.scales,
            offsets=source.offsets,
            tags=source.tags(),
        )


def read_values(source: BandSource, window: Window | None = None) -> np.ndarray:
    """The stored numbers of a band, of all of it or of a window inside it, in the type of the file: (height, width).

    Raises
    ------
    SceneError
        When the file is damaged.
    """
    if is_cube(source.header.path):
        return read_cube_values(source, window)
    with _open(source.header.path) as raster:
        values: np.ndarray = raster.read(source.index, window=window)
    return values


def read_bands(sources: Sequence[BandSource], window: Window | None = None) -> np.ndarray:
    """The stored numbers of several bands of one file: (bands, height, width); see `read_values`.

    Where the bands of a pixel lie together in the file, that is decoded once and not for each band.

    Raises
    ------
    SceneError
        When the file is damaged.
    """
    path = sources[0].header.path
    if is_cube(path):
        return np.stack([read_cube_values(source, window) for source in sources])
    with _open(path) as raster:
        values: np.ndarray = raster.read([source.index for source in sources], window=window)
    return values


def read_on_grid(
    source: BandSource, target: Grid, prepare: Callable[[np.ndarray], np.ndarray], resampling: Resampling
) -> np.ndarray:
    """Read what is needed of a band, and bring it to a grid.

    Parameters
    ----------
    source
        The band.
    target
        The grid that is wanted, in the reference system of the band; where the band doesn't reach, there is no value.
    prepare
        Makes of stored numbers (height, width) float32 values, NaN where there is none.
    resampling
        As for `resampling.to_grid`.

    Returns
    -------
    float32 on the target grid.
    """
    grid = source.header.grid
    place = place_of(target, grid)
    if place is not None and _is_inside(place, target, grid):
        return prepare(read_values(source, Window(place[1], place[0], target.width, target.height)))
    window = Window.from_slices(*grid.window_around(widened(target.bounds, grid, kernel_size(grid, target))))
    if not (window.height and window.width):
        return np.full(target.shape, np.nan, dtype=np.float32)
    values = prepare(read_values(source, window))
    return to_grid(values, grid.window(window), target, resampling)


def _is_inside(place: tuple[int, int], target: Grid, grid: Grid) -> bool:
    row, column = place
    return 0 <= row <= grid.height - target.height and 0 <= column <= grid.width - target.width


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


def open_vrt_sources(path: Path) -> list[Path]:
    """The files that a VRT puts side by side, each once, sorted; the VRT itself is never opened by GDAL.

    Raises
    ------
    SceneError
        When it does more than that, or names anything but GeoTIFF or JPEG 2000 files on this machine.
    """
    text = _vrt_text(path)
    if "<VRTDataset" not in text or (computed := _VRT_COMPUTED.search(text)):
        found = f"has {computed[0]}" if "<VRTDataset" in text and computed else "is no VRT"
        raise SceneError(f"{path} must be a VRT that only puts files side by side, but it {found}; give the files.")
    sources = {_vrt_source(path, *match.groups()) for match in _VRT_SOURCE.finditer(text)}
    if not sources:
        raise SceneError(f"{path} must be a VRT of at least one file, but it names none; make it anew.")
    return sorted(sources)


def _vrt_text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > _VRT_LIMIT:
            raise SceneError(f"{path} must be a VRT of at most {_VRT_LIMIT} bytes, but has {size}; give the folder.")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SceneError(f"{path} can't be read ({error.strerror}); check the file.") from None
    except UnicodeDecodeError:
        raise SceneError(f"{path} must be a VRT in UTF-8, but is something else; make it anew.") from None


def _vrt_source(path: Path, attributes: str, name: str) -> Path:
    """One file of a VRT, which may be named from the folder of the VRT."""
    name = html.unescape(name).strip()
    relative = re.search(r"""relativeToVRT\s*=\s*["']1["']""", attributes)
    source = path.absolute().parent / name if relative else Path(name)
    if not source.is_absolute() or source.suffix.lower() not in RASTER_SUFFIXES or not source.is_file():
        raise SceneError(
            f"{path} must name GeoTIFF or JPEG 2000 files that are there, but names {name[:160]!r}; make it anew, or "
            "give the folder of the files."
        )
    return source
