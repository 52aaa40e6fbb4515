"""Files of one image or mask: NumPy arrays, GeoTIFF and PNG, read as they are."""

import logging
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from darts.core.errors import SceneError, one_line
from darts.preprocess.scenes import Grid

_DRIVERS = {".tif": "GTiff", ".tiff": "GTiff", ".png": "PNG"}
# Files beside a raster, such as .aux.xml, are not looked for.
_GDAL_OPTIONS = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_CACHEMAX": 64}
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_REAL = "biuf"
# Errors are raised; without a handler, what GDAL says on the way would be printed to stderr besides.
logging.getLogger("rasterio").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """Some channels of a file.

    Attributes
    ----------
    numbers
        As they are in the file, in its type, (channels, height, width).
    nodata
        Of each channel, the number that the file declares to be no value.
    grid
        Where the pixels lie, or None when the file doesn't say.
    """

    numbers: np.ndarray
    nodata: tuple[float | None, ...]
    grid: Grid | None


def read_shape(path: Path) -> tuple[int, int, int]:
    """(channels, height, width) of a file, from its header alone.

    Raises
    ------
    SceneError
        When it can't be read, or isn't an image of real numbers.
    """
    with _explained(path):
        if path.suffix.lower() == ".npy":
            channels, height, width = _channels_first(path).shape
            return channels, height, width
        with _open(path) as source:
            return source.count, source.height, source.width


def read_layers(path: Path, channels: Sequence[int]) -> Layers:
    """Read some channels of a file, counted from 1.

    Raises
    ------
    SceneError
        When it is damaged, or isn't an image of real numbers.
    """
    with _explained(path):
        if path.suffix.lower() == ".npy":
            numbers = np.array(_channels_first(path)[[number - 1 for number in channels]])
            return Layers(numbers, (None,) * len(channels), None)
        if path.suffix.lower() == ".png":
            _check_png(path.read_bytes())
        with _open(path) as source:
            # A PNG file has a colour that is transparent, which is no number of a channel.
            declared = source.nodatavals if source.driver == "GTiff" else (None,) * source.count
            nodata = tuple(declared[number - 1] for number in channels)
            return Layers(source.read(list(channels)), nodata, _grid_of(source))


def _channels_first(path: Path) -> np.ndarray:
    """The array of a file, in place, as (channels, height, width).

    Patches are square: where the last two of three lengths are equal, the channels come first, and where only the first
    two are, they come last.
    """
    array = np.lib.format.open_memmap(path, mode="r")
    if array.dtype.kind not in _REAL:
        raise ValueError(f"it holds {array.dtype}, and not real numbers")
    if array.ndim == 2:
        return array[None]
    if array.ndim != 3:
        raise ValueError(f"it has the shape {array.shape}, and not (channels, height, width) or (height, width)")
    first, second, third = array.shape
    return np.moveaxis(array, -1, 0) if first == second != third else array


def _grid_of(source: Any) -> Grid | None:
    """Where the pixels lie; a reference system without a transform, or the reverse, is no place."""
    if source.crs is None or source.transform.is_identity:
        return None
    return Grid(source.crs, source.transform, source.height, source.width)


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Open a file with the driver that its suffix calls for, and no other."""
    with warnings.catch_warnings(), rasterio.Env(**_GDAL_OPTIONS):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path.absolute(), driver=_DRIVERS[path.suffix.lower()]) as source:
            if any(np.dtype(name).kind not in _REAL for name in source.dtypes):
                raise ValueError(f"it holds {source.dtypes[0]}, and not real numbers")
            yield source


def _check_png(content: bytes) -> None:
    """Walk over the chunks of a PNG file (ISO/IEC 15948, 5.3): what is cut off would be read as nothing, in silence."""
    position, kind = len(_PNG_SIGNATURE), b""
    while kind != b"IEND":
        length = int.from_bytes(content[position : position + 4], "big")
        body = content[position + 4 : position + 8 + length]
        kind, checksum = body[:4], content[position + 8 + length : position + 12 + length]
        if len(checksum) < 4 or zlib.crc32(body) != int.from_bytes(checksum, "big"):
            raise ValueError("it is cut off, or a checksum in it is wrong")
        position += 12 + length


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn every way in which a file can't be read into one error that names it."""
    try:
        yield
    except (RasterioError, OSError, ValueError, EOFError, TokenError) as error:
        reason, kind = one_line(error.__cause__ or error, 160), path.suffix.lower()
        raise SceneError(
            f"{path} must be a whole {kind} file of numbers, but can't be read ({reason}); get the file again."
        ) from None
