"""Patches in batches: which rows, in which order, and how they are augmented."""

import hashlib
from collections.abc import Sequence
from functools import cached_property

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch

from darts.core.config import keyword_settings
from darts.core.log import get_logger
from darts.core.seeds import derive_seed
from darts.dataset.joined import JoinedDataset, open_datasets
from darts.dataset.schema import IGNORE
from darts.training.augment import augment
from darts.training.config import AUGMENTATIONS, DEFAULT_AUGMENTATIONS, DataConfig, Hyperparameters, TrainerConfig
from darts.training.leakage import Division, divide, held_out
from darts.training.loader import Draw, PatchLoader
from darts.training.sampling import PADDING, InOrder, Share, Shuffled, draw_probabilities
from darts.training.split_files import split_table
from darts.training.splits import Fold, Split, subsampled

_log = get_logger(__name__)


class PatchSamples:
    """Reads one sample into buffers, augmented or not; what comes out depends on the draw alone, not on the thread.

    Parameters
    ----------
    dataset, bands
        What is read.
    augmentations
        Names of `augment`; none for validation and test.
    seed
        Seeds the augmentation, together with epoch, row and repeat.
    """

    def __init__(self, dataset: JoinedDataset, bands: Sequence[str], augmentations: Sequence[str], seed: int) -> None:
        self.dataset = dataset
        self.channels = dataset.channel_indices(bands)
        self.augmentations = augmentations
        self.seed = seed
        self.memory: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def load(self, rows: np.ndarray) -> None:
        """Keep these rows in memory."""
        size = self.dataset.patch_size
        for row in map(int, rows):
            x, y = np.empty((len(self.channels[0]), size, size), np.float32), np.empty((size, size), np.uint8)
            self.dataset.read_into(row, self.channels, x, y)
            self.memory[row] = x, y

    def __call__(self, draw: Draw, x_out: np.ndarray, y_out: np.ndarray) -> None:
        """Read a draw into float32 (bands, h, w) in [0, 1] and label codes uint8 (h, w)."""
        if draw.row in self.memory:
            x, y = self.memory[draw.row]
            np.copyto(x_out, x)
            np.copyto(y_out, y)
        else:
            self.dataset.read_into(draw.row, self.channels, x_out, y_out)
        if draw.repeat == PADDING:
            y_out.fill(IGNORE)
        elif self.augmentations:
            rng = np.random.default_rng(derive_seed(self.seed, "augment", draw.epoch, draw.row, draw.repeat))
            augment(x_out, y_out, self.augmentations, rng)


class PatchDataModule(pl.LightningDataModule):
    """The train, val and test patches of one fold of one or more datasets.

    A batch is a dict of `x` float32 (n, bands, h, w) in [0, 1], `y` uint8 (n, h, w) and `row` int64 (n), the row of the
    metadata.

    Parameters
    ----------
    data, hyperparameters, trainer
        Of the hyperparameters it reads `batch_size` and how patches are drawn and augmented; of the trainer `num_workers`,
        `random_seed` and `limit_val_patches`.

    Raises
    ------
    DatasetError, ConfigError, RunError
        When a dataset can't be opened, or can't be divided so that training makes sense.
    """

    def __init__(self, data: DataConfig, hyperparameters: Hyperparameters, trainer: TrainerConfig) -> None:
        super().__init__()
        self.data, self.hyperparameters, self.settings = data, hyperparameters, trainer
        self.first_batch = 0
        """Where an epoch that was stopped within is gone on with."""
        self.dataset = open_datasets(data.train_data_dir)
        self.bands = data.bands or self.dataset.band_names
        self.dataset.bands(self.bands)

    @cached_property
    def _all_metadata(self) -> pd.DataFrame:
        return with_shares(self.dataset.metadata, self.dataset.patch_size)

    @cached_property
    def metadata(self) -> pd.DataFrame:
        """The rows in use."""
        return subsampled(self._all_metadata, self.data.subsample)

    @cached_property
    def division(self) -> Division:
        """Test rows, train and val rows, and what of them shares ground or content."""
        if self.data.data_split_method == "none" and self.data.split_file is None:
            _log.warning("without --data-split-method the test split is the train split: test figures say nothing new.")
        division = divide(self._all_metadata, self.data, self.dataset.patch_size)
        for line in (*self.data.unheeded, *division.lines()):
            _log.warning(line)
        return division

    @cached_property
    def split(self) -> Split:
        """Test rows and the others; also where no fold could be trained on."""
        return held_out(self._all_metadata, self.data)

    @cached_property
    def split_hash(self) -> str:
        """Of the rows that are trained, validated and tested on."""
        parts = (self.fold_rows.train, self.fold_rows.val, self.split.test)
        return hashlib.sha256(repr([np.sort(rows).tolist() for rows in parts]).encode()).hexdigest()[:16]

    @property
    def fold_rows(self) -> Fold:
        """Train and val rows."""
        return self.division.fold

    @cached_property
    def validated(self) -> np.ndarray:
        """The val rows that are looked at during training, spread evenly over all of them."""
        rows, limit = self.fold_rows.val, self.settings.limit_val_patches
        if limit is None or limit >= len(rows):
            return rows
        return rows[np.linspace(0, len(rows) - 1, limit).round().astype(int)]

    @cached_property
    def augmentations(self) -> tuple[str, ...]:
        """What train patches are augmented with."""
        chosen = self.hyperparameters.augment
        if isinstance(chosen, bool):
            return DEFAULT_AUGMENTATIONS if chosen else ()
        return tuple(name for name in AUGMENTATIONS if name in chosen)

    @cached_property
    def draw_probabilities(self) -> np.ndarray | None:
        """How probable each train row is, float64, or None where all come equally often."""
        return draw_probabilities(self.metadata.loc[self.fold_rows.train], self.hyperparameters)

    def roles(self) -> pd.DataFrame:
        """The role of every row in use, as a split file holds it; a row that has two roles comes twice."""
        table = split_table(self.metadata, self.split, [self.fold_rows])
        shares = [name for name in ("positive_fraction", "ignored_fraction") if name in self.metadata.columns]
        return table.join(self.metadata[shares], on="row")

    def train_dataloader(self) -> PatchLoader:
        """Batches of the train rows, shuffled and augmented."""
        rows, seed = self.fold_rows.train, self.settings.random_seed
        count = self.hyperparameters.samples_per_epoch or len(rows)
        draws = Shuffled(rows, count, seed, self.draw_probabilities, self._share())
        loader = self._loader(draws, rows, self.augmentations)
        loader.load_state_dict({"batches": self.first_batch})
        return loader

    def train_rows_loader(self) -> PatchLoader:
        """Batches of the train rows as they are: each once, in order, not augmented."""
        rows = self.fold_rows.train
        return self._loader(InOrder(rows, Share()), rows)

    def val_dataloader(self) -> PatchLoader:
        """Batches of the val rows, in order; during training, of `validated`."""
        is_training = self.trainer is not None and self.trainer.state.fn == "fit"
        rows = self.validated if is_training else self.fold_rows.val
        return self._loader(InOrder(rows, self._share()), rows)

    def test_dataloader(self) -> PatchLoader:
        """Batches of the test rows, in order."""
        return self._loader(InOrder(self.split.test, self._share()), self.split.test)

    def _share(self) -> Share:
        trainer = self.trainer
        return Share(trainer.global_rank, trainer.world_size) if trainer is not None else Share()

    def _loader(self, draws: InOrder | Shuffled, rows: np.ndarray, augmentations: Sequence[str] = ()) -> PatchLoader:
        samples = PatchSamples(self.dataset, self.bands, augmentations, self.settings.random_seed)
        if self.data.in_memory:
            samples.load(rows)
        return PatchLoader(
            samples,
            draws,
            batch_size=self.hyperparameters.batch_size,
            channels=len(self.bands),
            patch_size=self.dataset.patch_size,
            num_workers=self.settings.num_workers,
            pin_memory=torch.cuda.is_available(),
            # A last batch of one patch would fail in the batch norms behind a global pooling.
            drop_single=isinstance(draws, Shuffled),
        )


def with_shares(metadata: pd.DataFrame, patch_size: int) -> pd.DataFrame:
    """The metadata with the columns `positive_fraction` and `ignored_fraction`, where pixels were counted.

    The first is the share of positives among the pixels that are not ignored, 0 where all are.
    """
    if not {"positive_pixels", "ignored_pixels"} <= set(metadata.columns):
        return metadata
    seen = patch_size**2 - metadata["ignored_pixels"]
    return metadata.assign(
        positive_fraction=(metadata["positive_pixels"] / seen.clip(lower=1)).astype(float),
        ignored_fraction=metadata["ignored_pixels"] / patch_size**2,
    )


DartsDataModule = keyword_settings(PatchDataModule)
"""A `PatchDataModule` from keywords that read like the flags of `darts train-smp`."""
