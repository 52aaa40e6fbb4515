"""Which patches come in an epoch, in which order, and how often."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from darts.core.errors import ConfigError, RunError
from darts.core.seeds import derive_seed
from darts.training.config import SamplingConfig, parse_sample_weights
from darts.training.loader import Draw

LEAST_WEIGHT = 0.05
"""How often the patch with the least weight is drawn, relative to the one with the greatest: none is never drawn."""
PADDING = -1
"""The `repeat` of a draw that only makes the shares of several processes equal, and counts for nothing."""


@dataclass(frozen=True, slots=True)
class Share:
    """The part of an epoch that one of several processes works on."""

    rank: int = 0
    processes: int = 1


class InOrder:
    """Rows in their order, each once; what a process draws too few of is filled up with `PADDING`."""

    def __init__(self, rows: np.ndarray, share: Share) -> None:
        self.rows, self.share = rows, share

    def set_epoch(self, epoch: int) -> None:
        """Every epoch is the same."""

    def __len__(self) -> int:
        """Draws of this process."""
        return math.ceil(len(self.rows) / self.share.processes)

    def __iter__(self) -> Iterator[Draw]:
        """One epoch."""
        own = self.rows[self.share.rank :: self.share.processes]
        yield from (Draw(0, int(row), 0) for row in own)
        yield from (Draw(0, int(self.rows[0]), PADDING) for _ in range(len(self) - len(own)))


class Shuffled:
    """Rows drawn by (seed, epoch): each once, or as often as asked for, with weights or without.

    Parameters
    ----------
    rows
        Rows to draw from.
    count
        Draws of an epoch, of all processes together.
    seed
        With the epoch, all that the order depends on.
    probabilities
        Of each row; None draws every row once before any comes again.
    share
        The part of this process; what doesn't divide evenly is left out, since all processes make as many steps.
    """

    def __init__(self, rows: np.ndarray, count: int, seed: int, probabilities: np.ndarray | None, share: Share) -> None:
        self.rows, self.count, self.seed = rows, count, seed
        self.probabilities, self.share = probabilities, share
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Draws of this process."""
        return self.count // self.share.processes

    def __iter__(self) -> Iterator[Draw]:
        """One epoch."""
        rng = np.random.default_rng(derive_seed(self.seed, "order", self.epoch))
        seen: Counter[int] = Counter()
        draws = []
        for row in self._drawn(rng).tolist():
            draws.append(Draw(self.epoch, row, seen[row]))
            seen[row] += 1
        return iter(draws[self.share.rank :: self.share.processes][: len(self)])

    def _drawn(self, rng: np.random.Generator) -> np.ndarray:
        if self.probabilities is not None:
            return rng.choice(self.rows, size=self.count, p=self.probabilities)
        rounds = -(-self.count // len(self.rows))
        return np.concatenate([rng.permutation(self.rows) for _ in range(rounds)])[: self.count]


def draw_probabilities(train: pd.DataFrame, sampling: SamplingConfig) -> np.ndarray | None:
    """How probable each train patch is, or None where all come equally often.

    Parameters
    ----------
    train
        The metadata of the train patches.

    Returns
    -------
    float64 (patches), sums to 1.

    Raises
    ------
    ConfigError
        When a column isn't there, or holds no numbers.
    RunError
        When there is nothing to choose between.
    """
    if sampling.positive_fraction is not None:
        weights = _by_positives(train, sampling.positive_fraction)
    elif sampling.balance_by is not None:
        values = _column(train, sampling.balance_by, "--balance-by").astype(str)
        weights = 1 / values.map(values.value_counts()).to_numpy(dtype=float)
    elif sampling.sample_weights:
        weights = _by_columns(train, parse_sample_weights(sampling.sample_weights))
    else:
        return None
    return np.asarray(weights / weights.sum())


def _by_positives(train: pd.DataFrame, share: float) -> np.ndarray:
    positive = ~train["empty"].to_numpy(dtype=bool)
    if positive.all() or not positive.any():
        raise RunError(
            f"--positive-fraction {share:g} needs train patches with and without positive pixels, but "
            f"{int(positive.sum())} of {len(positive)} have some; leave it out."
        )
    return np.where(positive, share / positive.sum(), (1 - share) / (~positive).sum())


def _by_columns(train: pd.DataFrame, factors: dict[str, float]) -> np.ndarray:
    """The sum of columns times factors, brought to the range from `LEAST_WEIGHT` to 1."""
    total = np.zeros(len(train))
    for name, factor in factors.items():
        column = pd.to_numeric(_column(train, name, "--sample-weights"), errors="coerce").to_numpy(dtype=float)
        if not np.isfinite(column).all():
            raise ConfigError(
                f"--sample-weights: the column {name} must hold numbers, but some of its values are none."
            )
        total += factor * column
    span = total.max() - total.min()
    if span == 0:
        return np.ones(len(train))
    return np.asarray(LEAST_WEIGHT + (1 - LEAST_WEIGHT) * (total - total.min()) / span)


def _column(train: pd.DataFrame, name: str, flag: str) -> "pd.Series":
    if name not in train.columns:
        there = ", ".join(column for column in train.columns if column != "geometry")
        raise ConfigError(f"{flag}: the metadata has no column {name}; there are {there}.")
    return train[name]
