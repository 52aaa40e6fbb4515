"""The on-disk contract of a dataset directory: file names, array layout, label codes, metadata columns."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.codecs.numcodecs import FixedScaleOffset

# Every zarr reader in Python decodes this filter; the warning speaks of readers in other languages.
warnings.filterwarnings("ignore", message="Numcodecs codecs are not in the Zarr version 3 specification")

SCHEMA_VERSION = 2

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

SCALES: Mapping[int, int] = {1: 65535, 2: 48000}
"""By schema version: x is stored as round(x * scale) in 16 bits.

A digital number of reflectance is 1 / 6000 of the usual range, so 48000 stores it as a multiple of 8: the three lowest bits
of optical bands are zero, and pack away. The error of any value is below 1.1e-5.
"""
SCALE = SCALES[SCHEMA_VERSION]


def create_arrays(
    store: Path, rows: int, channels: int, patch_size: int, scale: int = SCALE
) -> tuple[zarr.Array[Any], zarr.Array[Any]]:
    """Lay out x [rows, channels, patch_size, patch_size] and y [rows, patch_size, patch_size] in an empty store.

    One sample is one chunk, and one file. Every chunk ends in a checksum, and is written even when all of it is zero,
    so that a lost chunk is never mistaken for an empty one.
    """
    scaling = FixedScaleOffset(offset=0, scale=scale, dtype="f4", astype="u2")
    return _create(store, (rows, channels, patch_size, patch_size), "float32", [scaling])


def create_stage(store: Path, rows: int, channels: int, patch_size: int) -> tuple[zarr.Array[Any], zarr.Array[Any]]:
    """Arrays whose chunks are those of `create_arrays`, but that take x as it is stored, in 16 bits."""
    return _create(store, (rows, channels, patch_size, patch_size), "uint16", [])


def _create(
    store: Path, shape: tuple[int, int, int, int], x_type: str, filters: list[Any]
) -> tuple[zarr.Array[Any], zarr.Array[Any]]:
    rows, channels, height, width = shape
    group = zarr.create_group(store, zarr_format=3)
    x = group.create_array(
        "x",
        shape=shape,
        chunks=(1, channels, height, width),
        dtype=x_type,
        filters=filters,
        compressors=[BloscCodec(cname="lz4", shuffle="bitshuffle", typesize=2), Crc32cCodec()],
        fill_value=0,
        config={"write_empty_chunks": True},
    )
    y = group.create_array(
        "y",
        shape=(rows, height, width),
        chunks=(1, height, width),
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


def quantise(x: np.ndarray, scale: int = SCALE) -> np.ndarray:
    """The 16-bit integers that x (float32, 0 to 1) is stored as."""
    scaled = x * np.float32(scale)
    np.round(scaled, out=scaled)
    return scaled.astype("<u2")
