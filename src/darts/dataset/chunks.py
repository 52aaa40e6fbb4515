"""Reading samples of our own datasets from their chunk files, without zarr: several times faster, to the same bits.

Of every array, a sample is one chunk in one file (see `schema.create_arrays`): the values, packed by blosc or not, and the
CRC32C of these bytes.
"""

import os
import struct
import threading
from collections.abc import Sequence
from io import BufferedReader
from pathlib import Path

import google_crc32c
import numpy as np
from numcodecs import blosc

from darts.dataset.schema import Compression, chunk_path

_PIECE = 1 << 18
"""Bytes that are read at a time: what was just read is checked and decoded while the processor still has it in its cache."""
_CHECKSUM_BYTES = 4
_BLOSC_HEADER = struct.Struct("<4xI4xI")
"""Number of bytes when unpacked and when packed, as c-blosc lays them out (README_CHUNK_FORMAT)."""

_Part = tuple[int, list[np.ndarray]]
"""Number of rows of pixels, and the arrays (rows, width) that they go to."""


class ChunkReader:
    """Reads x and y of a sample into buffers; each thread that uses it has a scratch buffer of its own.

    Parameters
    ----------
    store
        The zarr store of the dataset.
    shape
        Shape of the x of a sample: bands, height, width.
    scale
        x is stored as round(x * scale), in 16 bits.
    compression
        How the chunks are packed.
    """

    def __init__(self, store: Path, shape: tuple[int, int, int], scale: int, compression: Compression) -> None:
        self._store, self._shape, self._scale, self._compression = store, shape, np.float32(scale), compression
        self._scratch = _Scratch(shape)

    def read_x(self, row: int, channels: Sequence[int], out: np.ndarray) -> None:
        """Fill `out`, float32 (len(channels), h, w), with some channels of a sample.

        Raises
        ------
        OSError
            When the file can't be read; FileNotFoundError when there is none.
        ValueError, RuntimeError
            When it is damaged; `out` may then hold anything.
        """
        parts = self._parts(channels, out)
        with chunk_path(self._store, "x", row).open("rb") as file:
            if self._compression == "none":
                self._decode_raw(_Checked(file), parts)
            else:
                self._decode_packed(self._scratch.bytes_of(file), parts)

    def read_y(self, row: int, out: np.ndarray) -> None:
        """Fill `out`, uint8 (h, w), with the label codes of a sample; errors are those of `read_x`."""
        with chunk_path(self._store, "y", row).open("rb") as file:
            if self._compression == "none":
                checked = _Checked(file)
                checked.fill(out)
                checked.finish()
            else:
                _unpack(self._scratch.bytes_of(file), out)

    def _parts(self, channels: Sequence[int], out: np.ndarray) -> list[_Part]:
        """The bands of the file, and where each goes; all of them in order are one tall band, which takes fewer steps."""
        bands, height, width = self._shape
        if list(channels) == list(range(bands)):
            return [(bands * height, [out.reshape(-1, width)])]
        return [(height, [out[at] for at, channel in enumerate(channels) if channel == band]) for band in range(bands)]

    def _decode_raw(self, file: "_Checked", parts: list[_Part]) -> None:
        step = max(1, _PIECE // self._scratch.rows[0].nbytes)
        for height, targets in parts:
            for top in range(0, height, step):
                numbers = self._scratch.rows[: min(step, height - top)]
                file.fill(numbers)
                for target in targets:
                    self._dequantise(numbers, target[top : top + step])
        file.finish()

    def _decode_packed(self, packed: np.ndarray, parts: list[_Part]) -> None:
        _unpack(packed, self._scratch.rows)
        top = 0
        for height, targets in parts:
            for target in targets:
                self._dequantise(self._scratch.rows[top : top + height], target)
            top += height

    def _dequantise(self, numbers: np.ndarray, out: np.ndarray) -> None:
        # zarr divides in float64 and rounds to float32. One division in float32 gives the same bits: rounding the quotient
        # of two float32 numbers twice does no harm where the wider type has more than twice the digits (Figueroa 1995).
        np.divide(numbers, self._scale, out=out, dtype=np.float32)


class _Checked:
    """Reads a file that ends in the CRC32C of all bytes before, piece by piece."""

    def __init__(self, file: BufferedReader) -> None:
        self._file, self._checksum = file, 0

    def fill(self, piece: np.ndarray) -> None:
        """Read the next bytes, as many as `piece` holds."""
        if self._file.readinto(piece.data) != piece.nbytes:
            raise ValueError("it is too short")
        self._checksum = google_crc32c.extend(self._checksum, piece)

    def finish(self) -> None:
        """Nothing but the checksum may be left, and it must be right."""
        if self._file.read() != struct.pack("<I", self._checksum):
            raise ValueError("its checksum differs")


class _Scratch(threading.local):
    """Buffers of one thread, made once: the rows of pixels of all bands as they are stored, and bytes of a file."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        bands, height, width = shape
        self.rows = np.empty((bands * height, width), "<u2")
        self._bytes = np.empty(0, np.uint8)

    def bytes_of(self, file: BufferedReader) -> np.ndarray:
        """All bytes of a file before its checksum; they stay until the next call."""
        size = os.fstat(file.fileno()).st_size - _CHECKSUM_BYTES
        if self._bytes.size < size:
            self._bytes = np.empty(size + size // 4, np.uint8)  # most others will fit, too
        checked = _Checked(file)
        for start in range(0, size, _PIECE):
            checked.fill(self._bytes[start : min(start + _PIECE, size)])
        checked.finish()
        return self._bytes[: max(size, 0)]


def _unpack(packed: np.ndarray, out: np.ndarray) -> None:
    if packed.nbytes < _BLOSC_HEADER.size:
        raise ValueError("it is too short")
    unpacked_bytes, packed_bytes = _BLOSC_HEADER.unpack_from(packed.data)
    if (unpacked_bytes, packed_bytes) != (out.nbytes, packed.nbytes):
        raise ValueError(f"it holds {unpacked_bytes} bytes, not {out.nbytes}")
    blosc.decompress(packed, out)
