"""Reading a dataset directory: what is missing or damaged is an error that names the sample, never zeros."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import zarr

from darts.core.errors import ConfigError, DatasetError, one_line
from darts.core.log import get_logger
from darts.dataset.chunks import ChunkReader
from darts.dataset.fingerprint import FINGERPRINTED_COLUMNS, dataset_fingerprint
from darts.dataset.journal import read_metadata
from darts.dataset.manifest import Manifest, read_manifest
from darts.dataset.schema import DATA_STORE, LABEL_CODES, chunk_path, compression_of

_log = get_logger(__name__)


@dataclass(frozen=True)
class Dataset:
    """An open dataset directory; picklable, and cheap to send to another process.

    Attributes
    ----------
    directory
        The dataset directory.
    manifest
        Bands with their scaling, patch size, settings.
    metadata
        One row for each sample, indexed by its row in x and y.
    """

    directory: Path
    manifest: Manifest
    metadata: gpd.GeoDataFrame

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.metadata)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open arrays behind: each process opens its own."""
        return {name: self.__dict__[name] for name in ("directory", "manifest", "metadata")}

    @cached_property
    def _arrays(self) -> dict[str, zarr.Array[Any]]:
        store = self.directory / DATA_STORE
        return {name: zarr.open_array(store / name, mode="r") for name in ("x", "y")}

    @cached_property
    def _chunks(self) -> ChunkReader | None:
        """What reads our own layout; None where zarr must."""
        if self.manifest.schema_version is None:
            return None
        x, y = (self._arrays[name] for name in ("x", "y"))
        compression = compression_of(x, y, self.manifest.scale)
        if compression is None:
            return None
        return ChunkReader(self._store, self._sample_shape, self.manifest.scale, compression)

    @property
    def _sample_shape(self) -> tuple[int, int, int]:
        return len(self.manifest.bands), self.manifest.patch_size, self.manifest.patch_size

    def channel_indices(self, bands: Sequence[str]) -> list[int]:
        """The channels of x that hold these bands, in this order.

        Raises
        ------
        ConfigError
            When a band is not in the dataset.
        """
        names = self.manifest.band_names
        if missing := [band for band in bands if band not in names]:
            raise ConfigError(f"--bands: the dataset has the bands {', '.join(names)}, but not {', '.join(missing)}.")
        return [names.index(band) for band in bands]

    def read_x(self, row: int) -> np.ndarray:
        """The image of a sample: float32 in [0, 1], shape (bands, h, w).

        Raises
        ------
        DatasetError
            When its chunk is missing or damaged, or holds a value that is not finite.
        """
        x: np.ndarray = self._read("x", row)
        if not np.isfinite(x).all():
            raise self._damage("x", row, "it holds values that are not finite")
        return x

    def read_y(self, row: int) -> np.ndarray:
        """The label codes of a sample: uint8, shape (h, w).

        Raises
        ------
        DatasetError
            When its chunk is missing or damaged, or holds another code.
        """
        y: np.ndarray = self._read("y", row)
        self._check_codes(row, y)
        return y

    def read_into(self, row: int, channels: Sequence[int], x_out: np.ndarray, y_out: np.ndarray) -> None:
        """Read a sample into buffers of the caller, to the same bits as `read_x` and `read_y`; safe in threads.

        Parameters
        ----------
        row
            The sample.
        channels
            Indices of bands, see `channel_indices`.
        x_out
            float32 (len(channels), h, w), C-contiguous; becomes the image, in [0, 1].
        y_out
            uint8 (h, w), C-contiguous; becomes the label codes.

        Raises
        ------
        DatasetError
            As `read_x` and `read_y` do; the buffers may then hold anything.
        """
        self._check_buffers(channels, x_out, y_out)
        if self._chunks is None:
            x_out[...] = self.read_x(row)[list(channels)]
            y_out[...] = self.read_y(row)
            return
        self._check_row(row)
        with self._naming("x", row):
            self._chunks.read_x(row, channels, x_out)
        with self._naming("y", row):
            self._chunks.read_y(row, y_out)
        self._check_codes(row, y_out)

    def _check_buffers(self, channels: Sequence[int], x_out: np.ndarray, y_out: np.ndarray) -> None:
        bands, height, width = self._sample_shape
        for buffer, dtype, shape in (
            (x_out, np.float32, (len(channels), height, width)),
            (y_out, np.uint8, (height, width)),
        ):
            if buffer.dtype != dtype or buffer.shape != shape or not buffer.flags.c_contiguous:
                raise ValueError(f"a buffer must be {np.dtype(dtype)} {shape} and C-contiguous.")
        if channels and not 0 <= min(channels) <= max(channels) < bands:
            raise IndexError(f"the dataset has {bands} bands, but the channels {list(channels)} were asked for.")

    def _check_codes(self, row: int, y: np.ndarray) -> None:
        if y.max() > max(LABEL_CODES):
            others = sorted(set(np.unique(y).tolist()) - set(LABEL_CODES))
            raise DatasetError(
                f"{self.directory}: sample {row} ({self._sample_id(row)}): y must hold only the label codes {LABEL_CODES}, "
                f"but holds {others}; build the dataset again."
            )
        if self.manifest.schema_version is None and not self.metadata["empty"].iloc[row] and not y.any():
            raise self._damage("y", row, "it is empty, but the metadata says that it has positive pixels")

    def _check_row(self, row: int) -> None:
        if not 0 <= row < len(self):
            raise IndexError(f"the dataset has {len(self)} samples, but sample {row} was asked for.")

    def _read(self, array: str, row: int) -> np.ndarray:
        self._check_row(row)
        with self._naming(array, row):
            if self.manifest.schema_version is not None and not chunk_path(self._store, array, row).exists():
                raise FileNotFoundError
            return np.asarray(self._arrays[array][row])

    @contextmanager
    def _naming(self, array: str, row: int) -> Iterator[None]:
        """Raise what goes wrong with a chunk as an error that names the sample."""
        try:
            yield
        except FileNotFoundError:
            raise self._damage(array, row, "its chunk file is missing") from None
        except Exception as error:  # noqa: BLE001 -- codecs raise errors of many kinds on damaged bytes
            raise self._damage(array, row, f"its chunk can't be decoded ({_named(error)})") from None

    @property
    def _store(self) -> Path:
        return self.directory / DATA_STORE

    def _sample_id(self, row: int) -> str:
        return str(self.metadata["sample_id"].iloc[row])

    def _damage(self, array: str, row: int, what: str) -> DatasetError:
        sample = self.metadata.iloc[row]
        name = sample.get("patch_id", sample["sample_id"])
        return DatasetError(
            f"{self.directory}: {array} of sample {row} ({name}) is damaged: {what}; build the dataset again."
        )


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error, 120)}"


def open_dataset(directory: Path) -> Dataset:
    """Open a dataset of ours or of darts-nextgen.

    Raises
    ------
    DatasetError
        When it is missing, was not finished, or its parts disagree in number or shape.
    """
    if not directory.is_dir():
        raise DatasetError(f"there is no dataset directory {directory}; run a preprocess command first.")
    manifest = read_manifest(directory)
    if not manifest.is_complete:
        raise DatasetError(
            f"{directory} was not finished; run the same preprocess command again, it goes on where it was."
        )
    dataset = Dataset(directory, manifest, read_metadata(directory))
    _check_structure(dataset)
    _check_fingerprint(dataset)
    if manifest.schema_version is None:
        _log.warning("%s has no checksums: a lost or damaged chunk can't be noticed.", directory)
    return dataset


def _check_fingerprint(dataset: Dataset) -> None:
    """An edited region or `empty` would divide the dataset otherwise than it was divided before."""
    manifest, table = dataset.manifest, dataset.metadata
    if manifest.schema_version is None:
        return
    if set(FINGERPRINTED_COLUMNS) - set(table.columns) or dataset_fingerprint(manifest, table) != manifest.fingerprint:
        raise DatasetError(
            f"{dataset.directory}: metadata.parquet doesn't match the fingerprint in config.toml; one of them was changed; "
            "restore it, or build the dataset again."
        )


def _check_structure(dataset: Dataset) -> None:
    directory, manifest = dataset.directory, dataset.manifest
    for name in ("x", "y"):
        if not (directory / DATA_STORE / name / "zarr.json").exists():
            raise DatasetError(
                f"a dataset directory has {DATA_STORE}/{name}, but {directory} has none; preprocess again."
            )
    try:
        zarr.open_group(directory / DATA_STORE, mode="r")
        x, y = (dataset._arrays[name] for name in ("x", "y"))
    except Exception as error:  # noqa: BLE001 -- a damaged zarr.json can fail in many ways
        raise DatasetError(f"{directory / DATA_STORE} can't be opened ({_named(error)}); preprocess again.") from None
    listed = len(dataset) if manifest.n_patches is None else manifest.n_patches
    rows = (x.shape[0], y.shape[0], len(dataset), listed)
    if len(set(rows)) > 1:
        raise DatasetError(
            f"{directory}: x, y, metadata and config.toml must count the same samples, but count {rows}; run the same "
            "preprocess command again."
        )
    size = manifest.patch_size
    if x.shape[1:] != (len(manifest.bands), size, size) or y.shape[1:] != (size, size):
        raise DatasetError(
            f"{directory}: config.toml says {len(manifest.bands)} bands and patches of {size} pixels, but "
            f"x is {x.shape} and y is {y.shape}; build the dataset again."
        )
    if list(dataset.metadata.index) != list(range(len(dataset))):
        raise DatasetError(
            f"{directory}: the index of metadata.parquet must count 0, 1, 2, ...; build the dataset again."
        )
