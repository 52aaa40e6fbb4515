"""Patches in batches: which rows, in which order, and how they are augmented."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from darts.core.config import keyword_settings
from darts.core.log import get_logger
from darts.core.seeds import derive_seed
from darts.dataset.reader import Dataset, open_dataset
from darts.training.augment import augment
from darts.training.config import AUGMENTATIONS, DataConfig, Hyperparameters, TrainerConfig
from darts.training.splits import Fold, Split, choose_fold, require_trainable, split_test, subsampled

_log = get_logger(__name__)

EpochRow = tuple[int, int]
"""Epoch and row: what a sample depends on, whichever process reads it."""


class PatchSampler(Sampler[EpochRow]):
    """Rows in order, or shuffled by (seed, epoch); each comes with its epoch."""

    def __init__(self, rows: np.ndarray, shuffle_seed: int | None = None, first_epoch: int = 0) -> None:
        self.rows = rows
        self.shuffle_seed = shuffle_seed
        self.epoch = first_epoch  # Lightning begins to draw before it sets the epoch that it goes on with

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Rows in an epoch."""
        return len(self.rows)

    def __iter__(self) -> Iterator[EpochRow]:
        """One epoch."""
        rows = self.rows
        if self.shuffle_seed is not None:
            rows = np.random.default_rng(derive_seed(self.shuffle_seed, "order", self.epoch)).permutation(rows)
        return ((self.epoch, int(row)) for row in rows)


class PatchSamples(TorchDataset[dict[str, Any]]):
    """Samples of a dataset as tensors.

    A sample is a dict of `x` float32 (bands, h, w) in [0, 1], `y` uint8 (h, w), `row` int, and `group` int, the index of its
    region.
    """

    def __init__(
        self, dataset: Dataset, bands: tuple[str, ...], groups: np.ndarray, augmentations: tuple[str, ...], seed: int
    ) -> None:
        self.dataset = dataset
        self.channels = dataset.channel_indices(bands)
        self.groups = groups
        self.augmentations = augmentations
        self.seed = seed
        self.memory: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def load(self, rows: np.ndarray) -> None:
        """Keep these rows in memory."""
        self.memory.update({int(row): self._read(int(row)) for row in rows if int(row) not in self.memory})

    def _read(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        return self.dataset.read_x(row)[self.channels], self.dataset.read_y(row)

    def __getitem__(self, key: EpochRow) -> dict[str, Any]:
        """The sample of an (epoch, row)."""
        epoch, row = key
        x, y = self.memory[row] if row in self.memory else self._read(row)
        if self.augmentations:
            rng = np.random.default_rng(derive_seed(self.seed, "augment", epoch, row))
            x, y = augment(x, y, self.augmentations, rng)
        return {"x": torch.from_numpy(x), "y": torch.from_numpy(y), "row": row, "group": int(self.groups[row])}


class PatchDataModule(pl.LightningDataModule):
    """The train, val and test patches of one fold of a dataset.

    Parameters
    ----------
    data, hyperparameters, trainer
        Of the hyperparameters it reads `batch_size` and `augment`; of the trainer `num_workers` and `random_seed`.

    Raises
    ------
    DatasetError, ConfigError, RunError
        When the dataset can't be opened, or can't be divided so that training makes sense.
    """

    def __init__(self, data: DataConfig, hyperparameters: Hyperparameters, trainer: TrainerConfig) -> None:
        super().__init__()
        self.data, self.hyperparameters, self.settings = data, hyperparameters, trainer
        self.first_epoch = 0
        self.dataset = open_dataset(data.train_data_dir)
        self.bands = data.bands or self.dataset.manifest.band_names
        self.dataset.channel_indices(self.bands)
        self.regions = tuple(sorted(self.metadata["region"].astype(str).unique()))

    @cached_property
    def metadata(self) -> pd.DataFrame:
        """The rows in use."""
        return subsampled(self.dataset.metadata, self.data.subsample)

    @cached_property
    def split(self) -> Split:
        """Test rows and the others."""
        if self.data.data_split_method == "none":
            _log.warning("without --data-split-method the test split is the train split: test figures say nothing new.")
        return split_test(self.metadata, self.data)

    @cached_property
    def fold_rows(self) -> Fold:
        """Train and val rows."""
        trainval = self.metadata.loc[self.split.trainval]
        fold = choose_fold(trainval, self.data)
        for doubt in require_trainable(trainval, fold):
            _log.warning(doubt)
        return fold

    def roles(self) -> pd.DataFrame:
        """The role of every row in use: columns row, sample_id, region, role; a row that has two roles comes twice."""
        parts = {"train": self.fold_rows.train, "val": self.fold_rows.val, "test": self.split.test}
        tables = [
            self.metadata.loc[rows, ["sample_id", "region"]]
            .astype(str)
            .assign(role=role)
            .rename_axis("row")
            .reset_index()
            for role, rows in parts.items()
        ]
        return pd.concat(tables, ignore_index=True)

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Batches of the train rows, shuffled and augmented."""
        rows, seed = self.fold_rows.train, self.settings.random_seed
        return self._loader(PatchSampler(rows, seed, self.first_epoch), augmentations=self._augmentations())

    def val_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Batches of the val rows, in order."""
        return self._loader(PatchSampler(self.fold_rows.val))

    def test_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Batches of the test rows, in order."""
        return self._loader(PatchSampler(self.split.test))

    def _augmentations(self) -> tuple[str, ...]:
        chosen = self.hyperparameters.augment
        if isinstance(chosen, bool):
            return AUGMENTATIONS if chosen else ()
        return chosen

    @cached_property
    def _groups(self) -> np.ndarray:
        """The index of its region for every row of the dataset (-1 for rows not in use)."""
        return pd.Categorical(self.dataset.metadata["region"].astype(str), categories=self.regions).codes

    def _loader(self, sampler: PatchSampler, augmentations: tuple[str, ...] = ()) -> DataLoader[dict[str, Any]]:
        seed, size, workers = self.settings.random_seed, self.hyperparameters.batch_size, self.settings.num_workers
        samples = PatchSamples(self.dataset, self.bands, self._groups, augmentations, seed)
        if self.data.in_memory:
            samples.load(sampler.rows)
        is_training = sampler.shuffle_seed is not None
        return DataLoader(
            samples,
            batch_size=size,
            sampler=sampler,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            # A last batch of one patch would fail in the batch norms behind a global pooling.
            drop_last=is_training and len(sampler) > size and len(sampler) % size == 1,
            # A generator of its own, so that loading draws nothing from the one that dropout uses.
            generator=torch.Generator().manual_seed(derive_seed(seed, "loader")),
        )


DartsDataModule = keyword_settings(PatchDataModule)
"""A `PatchDataModule` from keywords that read like the flags of `darts train-smp`."""
