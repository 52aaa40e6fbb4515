"""The on-disk contract of a dataset directory: file names, array layout, label codes, metadata columns."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.codecs.numcodecs import FixedScaleOffset

# Every zarr reader in Python decodes this filter; the warning speaks of readers in other languages.
warnings.filterwarnings("ignore", message="Numcodecs codecs are not in the Zarr version 3 specification")

SCHEMA_VERSION = 1

CONFIG_FILE = "config.toml"
DATA_STORE = "data.zarr"
METADATA_FILE = "metadata.parquet"
LABELS_FILE = "labels.geojson"
REPORT_FILE = "report.csv"

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

SCALE = 65535
"""x is stored as round(x * 65535) in 16 bits: the error is below 8e-6."""


def create_arrays(store: Path, rows: int, channels: int, patch_size: int) -> tuple[zarr.Array[Any], zarr.Array[Any]]:
    """Lay out x [rows, channels, patch_size, patch_size] and y [rows, patch_size, patch_size] in an empty store.

    One sample is one chunk, and one file. Every chunk ends in a checksum, and is written even when all of it is zero,
    so that a lost chunk is never mistaken for an empty one.
    """
    group = zarr.create_group(store, zarr_format=3)
    x = group.create_array(
        "x",
        shape=(rows, channels, patch_size, patch_size),
        chunks=(1, channels, patch_size, patch_size),
        dtype="float32",
        filters=[FixedScaleOffset(offset=0, scale=SCALE, dtype="f4", astype="u2")],
        compressors=[BloscCodec(cname="lz4", shuffle="bitshuffle", typesize=2), Crc32cCodec()],
        fill_value=0,
        config={"write_empty_chunks": True},
    )
    y = group.create_array(
        "y",
        shape=(rows, patch_size, patch_size),
        chunks=(1, patch_size, patch_size),
        dtype="uint8",
        compressors=[BloscCodec(cname="lz4", shuffle="bitshuffle", typesize=1), Crc32cCodec()],
        fill_value=0,
        config={"write_empty_chunks": True},
    )
    return x, y


def sample_folder(store: Path, array: str, row: int) -> Path:
    """The folder that holds the one chunk of a sample: `array` is "x" or "y"."""
    return store / array / "c" / str(row)


def chunk_path(store: Path, array: str, row: int) -> Path:
    """The file of one sample's chunk: `array` is "x" or "y"."""
    return sample_folder(store, array, row).joinpath(*["0"] * (3 if array == "x" else 2))


def quantise(x: np.ndarray) -> np.ndarray:
    """The 16-bit integers that x (float32, 0 to 1) is stored as."""
    return np.round(x * np.float32(SCALE)).astype(np.uint16)
