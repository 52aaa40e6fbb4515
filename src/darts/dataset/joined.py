"""Several dataset directories read as one: bands matched by name, and every patch with the dataset that it comes from."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

from darts.core.bands import Band
from darts.core.errors import ConfigError, DatasetError
from darts.dataset.reader import Dataset, open_dataset


@dataclass(frozen=True)
class JoinedDataset:
    """One or more open datasets, whose patches are counted through.

    Attributes
    ----------
    parts
        The datasets, in order.
    metadata
        One row for each patch of all of them, indexed from 0; the column `dataset` names where it comes from, if there are
        several, and a region that several have is called `dataset/region`.
    """

    parts: tuple[Dataset, ...]
    metadata: gpd.GeoDataFrame

    def __len__(self) -> int:
        """Number of patches."""
        return len(self.metadata)

    @property
    def directories(self) -> tuple[Path, ...]:
        """The dataset directories."""
        return tuple(part.directory for part in self.parts)

    @property
    def name(self) -> str:
        """The directories, for a message."""
        return " + ".join(map(str, self.directories))

    @property
    def patch_size(self) -> int:
        """Pixels along a side."""
        return self.parts[0].manifest.patch_size

    @property
    def band_names(self) -> tuple[str, ...]:
        """The bands of the first dataset, in its order."""
        return self.parts[0].manifest.band_names

    @cached_property
    def fingerprint(self) -> str:
        """A hash of what all of them hold; `none` if that of one isn't known."""
        prints = [part.manifest.fingerprint for part in self.parts]
        if None in prints:
            return "none"
        if len(prints) == 1:
            return str(prints[0])
        return f"sha256:{hashlib.sha256(' '.join(map(str, prints)).encode()).hexdigest()}"

    def channel_indices(self, bands: Sequence[str]) -> list[list[int]]:
        """Of each dataset, the channels of x that hold these bands, in this order.

        Raises
        ------
        ConfigError
            When a dataset lacks a band.
        """
        return [part.channel_indices(bands) for part in self.parts]

    def bands(self, names: Sequence[str]) -> tuple[Band, ...]:
        """Bands with their scaling, which is the same in all datasets.

        Raises
        ------
        ConfigError
            When a dataset lacks a band.
        DatasetError
            When the same value stands for different things.
        """
        chosen = [self._bands_of(part, names) for part in self.parts]
        for part, bands in zip(self.parts, chosen, strict=True):
            for first, other in zip(chosen[0], bands, strict=True):
                if (first.lo, first.hi) != (other.lo, other.hi):
                    raise DatasetError(
                        f"datasets that are read as one have the same range for a band, but {first.name} is {first.lo:g} to "
                        f"{first.hi:g} in {self.parts[0].directory} and {other.lo:g} to {other.hi:g} in {part.directory}; "
                        "preprocess one of them again with --band-ranges."
                    )
        return chosen[0]

    @staticmethod
    def _bands_of(part: Dataset, names: Sequence[str]) -> tuple[Band, ...]:
        return tuple(part.manifest.bands[index] for index in part.channel_indices(names))

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum([0, *map(len, self.parts)])

    def place_of(self, row: int) -> tuple[int, int]:
        """The number of the dataset that a patch lies in, and its row there."""
        part = int(np.searchsorted(self._starts, row, side="right")) - 1
        return part, row - int(self._starts[part])

    def read_into(self, row: int, channels: Sequence[Sequence[int]], x_out: np.ndarray, y_out: np.ndarray) -> None:
        """Read a patch into buffers of the caller; from any thread.

        Parameters
        ----------
        row
            Of `metadata`.
        channels
            What `channel_indices` gave.
        x_out
            float32 (bands, h, w), becomes values in [0, 1].
        y_out
            uint8 (h, w), becomes label codes.

        Raises
        ------
        DatasetError
            When a chunk is missing or damaged.
        """
        part, inner = self.place_of(row)
        self.parts[part].read_into(inner, channels[part], x_out, y_out)


def open_datasets(directories: Sequence[Path]) -> JoinedDataset:
    """Open one or more dataset directories as one.

    Raises
    ------
    DatasetError
        When one can't be opened, or their patches differ in size.
    """
    parts = tuple(open_dataset(directory) for directory in directories)
    sizes = {part.manifest.patch_size for part in parts}
    if len(sizes) > 1:
        raise DatasetError(
            f"datasets that are read as one have patches of one size, but these have {sorted(sizes)} pixels; preprocess one "
            "of them again."
        )
    if len(parts) == 1:
        return JoinedDataset(parts, parts[0].metadata)
    return JoinedDataset(parts, _joined(parts))


def _joined(parts: Sequence[Dataset]) -> gpd.GeoDataFrame:
    names = _names([part.directory for part in parts])
    tables = [part.metadata.assign(dataset=name) for part, name in zip(parts, names, strict=True)]
    seen = pd.concat([table[["dataset", "region"]].astype(str).drop_duplicates() for table in tables])
    clashing = set(seen.loc[seen["region"].duplicated(keep=False), "region"])
    for table in tables:
        regions = table["region"].astype(str)
        table["region"] = regions.where(~regions.isin(clashing), table["dataset"] + "/" + regions)
    return gpd.GeoDataFrame(pd.concat(tables, ignore_index=True), geometry="geometry", crs=tables[0].crs)


def _names(directories: Sequence[Path]) -> list[str]:
    """The last part of each path, or the last two where that isn't enough to tell them apart."""
    for parts in (1, 2):
        names = [Path(*directory.resolve().parts[-parts:]).as_posix() for directory in directories]
        if len(set(names)) == len(names):
            return names
    raise ConfigError(
        f"--train-data-dir: the names of the datasets must differ, but are {', '.join(names)}; rename one."
    )
