"""The on-disk contract of a dataset directory: file names, array layout, label codes, metadata columns."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import zarr
from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.codecs.numcodecs import FixedScaleOffset
from zarr.storage import MemoryStore, StoreLike

# Every zarr reader in Python decodes this filter; the warning speaks of readers in other languages.
warnings.filterwarnings("ignore", message="Numcodecs codecs are not in the Zarr version 3 specification")

SCHEMA_VERSION = 2

CONFIG_FILE = "config.toml"
DATA_STORE = "data.zarr"
METADATA_FILE = "metadata.parquet"
LABELS_FILE = "labels.geojson"
REPORT_FILE = "report.csv"
SPLIT_FILE = "split.parquet"

BACKGROUND, POSITIVE, IGNORE = 0, 1, 2
"""Label codes of y: mapped and negative, mapped and positive, not mapped or of bad quality."""
LABEL_CODES = (BACKGROUND, POSITIVE, IGNORE)

REQUIRED_COLUMNS = ("sample_id", "region", "empty", "geometry")
"""Columns that every reader may rely on; the index is the row of x and y."""
PATCH_COLUMNS = (
    "patch_id",
    "sample_id",
    "region",
    "empty",
    "scene_date",
    "row",
    "column",
    "positive_pixels",
    "ignored_pixels",
    "crs",
    "cell_id",
    "content_hash",
    "geometry",
)
"""Columns that the writer writes, in this order.

`row` and `column` are the upper left pixel of the patch in its scene, `crs` is that of the scene; `geometry` is the
outline of the patch in WGS84; `cell_id` names a fixed 11 km cell of the world; `content_hash` is the SHA-256 of the
stored x and y.
"""

SCALES: Mapping[int, int] = {1: 65535, 2: 48000}
"""By schema version: x is stored as round(x * scale) in 16 bits.

A digital number of reflectance is 1 / 6000 of the usual range, so 48000 stores it as a multiple of 8: the three lowest bits
of optical bands are zero, and pack away. The error of any value is below 1.1e-5.
"""
SCALE = SCALES[SCHEMA_VERSION]

Compression = Literal["lz4", "none"]
"""How chunks are packed: `none` is read faster from a fast local disk, and takes about a third more space."""
COMPRESSION: Compression = "lz4"
"""That of a dataset that doesn't say."""


def create_arrays(
    store: StoreLike,
    rows: int,
    channels: int,
    patch_size: int,
    scale: int = SCALE,
    compression: Compression = COMPRESSION,
) -> tuple[zarr.Array[Any], zarr.Array[Any]]:
    """Lay out x [rows, channels, patch_size, patch_size] and y [rows, patch_size, patch_size] in an empty store.

    One sample is one chunk, and one file. Every chunk ends in a checksum, and is written even when all of it is zero,
    so that a lost chunk is never mistaken for an empty one.
    """
    scaling = FixedScaleOffset(offset=0, scale=scale, dtype="f4", astype="u2")
    return _create(store, (rows, channels, patch_size, patch_size), "float32", [scaling], compression)


def create_stage(
    store: StoreLike, rows: int, channels: int, patch_size: int, compression: Compression = COMPRESSION
) -> tuple[zarr.Array[Any], zarr.Array[Any]]:
    """Arrays whose chunks are those of `create_arrays`, but that take x as it is stored, in 16 bits."""
    return _create(store, (rows, channels, patch_size, patch_size), "uint16", [], compression)


def _create(
    store: StoreLike, shape: tuple[int, int, int, int], x_type: str, filters: list[Any], compression: Compression
) -> tuple[zarr.Array[Any], zarr.Array[Any]]:
    rows, channels, height, width = shape
    group = zarr.create_group(store, zarr_format=3)
    x = group.create_array(
        "x",
        shape=shape,
        chunks=(1, channels, height, width),
        dtype=x_type,
        filters=filters,
        compressors=_compressors(compression, typesize=2),
        fill_value=0,
        config={"write_empty_chunks": True},
    )
    y = group.create_array(
        "y",
        shape=(rows, height, width),
        chunks=(1, height, width),
        dtype="uint8",
        compressors=_compressors(compression, typesize=1),
        fill_value=0,
        config={"write_empty_chunks": True},
    )
    return x, y


def _compressors(compression: Compression, typesize: int) -> list[BytesBytesCodec]:
    packed = [BloscCodec(cname="lz4", shuffle="bitshuffle", typesize=typesize)] if compression == "lz4" else []
    return [*packed, Crc32cCodec()]


def compression_of(x: zarr.Array[Any], y: zarr.Array[Any], scale: int) -> Compression | None:
    """How the chunks of two opened arrays are packed, or None where they aren't laid out as `create_arrays` does it."""
    rows, channels, patch_size = x.shape[:3]
    found = [_layout(x), _layout(y)]
    for compression in get_args(Compression):
        ours = create_arrays(MemoryStore(), rows, channels, patch_size, scale, compression)
        if found == [_layout(array) for array in ours]:
            return compression
    return None


def _layout(array: zarr.Array[Any]) -> dict[str, Any]:
    """All that decides how a chunk is found and decoded."""
    return {name: value for name, value in array.metadata.to_dict().items() if name != "attributes"}


def sample_folder(store: Path, array: str, row: int) -> Path:
    """The folder that holds the one chunk of a sample: `array` is "x" or "y"."""
    return store / array / "c" / str(row)


def chunk_path(store: Path, array: str, row: int) -> Path:
    """The file of one sample's chunk: `array` is "x" or "y"."""
    return store / (f"x/c/{row}/0/0/0" if array == "x" else f"y/c/{row}/0/0")


def quantise(x: np.ndarray, scale: int = SCALE) -> np.ndarray:
    """The 16-bit integers that x (float32, 0 to 1) is stored as."""
    scaled = x * np.float32(scale)
    np.round(scaled, out=scaled)
    return scaled.astype("<u2")
