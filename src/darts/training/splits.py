"""Which patches test, validate and train: rows of the metadata, equal in every process and on every call."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
)

from darts.core.errors import ConfigError, RunError
from darts.core.seeds import SPLIT_SEED
from darts.dataset.places import near, outlines_of
from darts.training.config import DataConfig, DatasetConfig, FoldMethod
from darts.training.grouping import groups_of, strata_of, unit_of

DEFAULT_TEST_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Split:
    """Rows to test on, and rows to train and validate on; both sorted."""

    trainval: np.ndarray
    test: np.ndarray


@dataclass(frozen=True, slots=True)
class Fold:
    """Rows to train on, and rows to validate on; both sorted, inside the trainval rows of a Split."""

    number: int
    train: np.ndarray
    val: np.ndarray


def subsampled(metadata: pd.DataFrame, count: int | None) -> pd.DataFrame:
    """At most `count` rows, drawn with seed 42, in their old order and with their old index."""
    if count is None or count >= len(metadata):
        return metadata
    return metadata.sample(n=count, random_state=SPLIT_SEED).sort_index()


def split_test(metadata: pd.DataFrame, data: DatasetConfig) -> Split:
    """Choose the test rows.

    Parameters
    ----------
    metadata
        Indexed by row, with the columns `region` and `sample_id`.
    data
        Its `data_split_method` and `data_split_by`.

    Raises
    ------
    ConfigError
        When a share is not in (0, 1), or a name is not in the metadata.
    RunError
        When no row is left to test or to train on.
    """
    rows = metadata.index.to_numpy()
    if data.data_split_method == "none":
        return Split(rows, rows)
    if data.data_split_method == "random":
        tested = _random_share(len(rows), data.data_split_by)
    else:
        column = "region" if data.data_split_method == "region" else "sample_id"
        tested = _named(metadata[column], data.data_split_by)
    split = Split(rows[~tested], rows[tested])
    if not len(split.test) or not len(split.trainval):
        raise RunError(
            f"a split needs rows on both sides, but --data-split-method {data.data_split_method} leaves "
            f"{len(split.trainval)} to train and {len(split.test)} to test; change --data-split-by."
        )
    return split


def _random_share(count: int, by: tuple[str, ...]) -> np.ndarray:
    text = by[0] if by else str(DEFAULT_TEST_SHARE)
    try:
        share = float(text)
    except ValueError:
        share = float("nan")
    if not 0 < share < 1 or len(by) > 1:
        raise ConfigError(f"--data-split-by: the share to test on is one number in (0, 1), but got {', '.join(by)}.")
    chosen = np.random.default_rng(SPLIT_SEED).permutation(count)[: round(share * count)]
    return np.isin(np.arange(count), chosen)


def _named(column: "pd.Series[Any]", names: tuple[str, ...]) -> np.ndarray:
    known = sorted(column.astype(str).unique())
    if missing := [name for name in names if name not in known]:
        raise ConfigError(
            f"--data-split-by: no {column.name} is called {', '.join(missing)}; the dataset has {', '.join(known[:20])}."
        )
    return column.astype(str).isin(names).to_numpy()


def make_folds(
    metadata: pd.DataFrame, data: DatasetConfig, tested: pd.DataFrame | None = None, patch_size: int = 256
) -> list[Fold]:
    """Divide the trainval rows into the folds of `data.fold_method`, seeded with 42.

    Parameters
    ----------
    metadata
        The trainval rows, with the columns `region` and `empty`, and those that the settings name.
    data
        Its `fold_method` and all that belongs to it.
    tested
        Metadata of the test rows, which the buffer of `spatial` keeps train rows away from as well.
    patch_size
        Pixels along a side, for `group_by` overlap.

    Raises
    ------
    ConfigError
        When a column is missing, or has too many values to share out.
    RunError
        When the rows can't be divided so, saying what there is and what to change.
    """
    rows = metadata.index.to_numpy()
    if data.fold_method == "none":
        return [Fold(0, rows, rows)]
    groups, strata = groups_of(metadata, data, patch_size), strata_of(metadata, data)
    _require_enough(len(rows) if groups is None else len(np.unique(groups)), data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # rare classes are reported by `require_trainable`
            parts = list(_SPLITTERS[data.fold_method](data.total_folds).split(rows, strata, groups))
    except ValueError as error:
        raise RunError(
            f"--fold-method {data.fold_method} can't divide {len(rows)} patches "
            f"({int((~metadata['empty'].astype(bool)).sum())} with positives, {metadata['region'].nunique()} regions) into "
            f"{data.total_folds} folds: {error}"
        ) from None
    folds = [Fold(number, rows[np.sort(train)], rows[np.sort(val)]) for number, (train, val) in enumerate(parts)]
    return [_buffered(metadata, fold, tested, data.buffer_km) for fold in folds] if data.buffer_km else folds


_SPLITTERS: dict[FoldMethod, Callable[[int], Any]] = {
    "kfold": KFold,
    "stratified": lambda n: StratifiedKFold(n, shuffle=True, random_state=SPLIT_SEED),
    "shuffle": lambda n: StratifiedShuffleSplit(n, test_size=1 / n, random_state=SPLIT_SEED),
    "region": lambda n: GroupShuffleSplit(n, test_size=1 / n, random_state=SPLIT_SEED),
    "region-kfold": GroupKFold,
    "region-stratified": lambda n: StratifiedGroupKFold(n, shuffle=True, random_state=SPLIT_SEED),
    "spatial": lambda n: StratifiedGroupKFold(n, shuffle=True, random_state=SPLIT_SEED),
}


def _buffered(metadata: pd.DataFrame, fold: Fold, tested: pd.DataFrame | None, km: float) -> Fold:
    """A fold without the train rows that are nearer than this to a row of val or test."""
    held_out = [outlines_of(metadata.loc[fold.val]), *([] if tested is None else [outlines_of(tested)])]
    is_near = near(outlines_of(metadata.loc[fold.train]), np.concatenate(held_out), km)
    return replace(fold, train=fold.train[~is_near])


def _require_enough(count: int, data: DatasetConfig) -> None:
    """Check that there are as many patches, or groups of them, as it takes."""
    needed = 2 if data.fold_method == "region" else data.total_folds
    if count < needed:
        raise RunError(
            f"--fold-method {data.fold_method} with {data.total_folds} folds needs at least {needed} {unit_of(data)} to "
            f"train and validate on, but there are {count}; lower --total-folds or choose another --fold-method."
        )


def choose_fold(
    metadata: pd.DataFrame, data: DataConfig, tested: pd.DataFrame | None = None, patch_size: int = 256
) -> Fold:
    """The fold `data.fold` of the trainval rows; parameters and errors are those of `make_folds`."""
    folds = make_folds(metadata, data, tested, patch_size)
    return folds[0] if data.fold_method == "none" else folds[data.fold]


def require_trainable(metadata: pd.DataFrame, fold: Fold, *, positive_in_val: bool = False) -> Iterator[str]:
    """Refuse a fold that can't be trained on, and yield a warning for each doubt.

    Raises
    ------
    RunError
        When the train set has no row, or no patch with a positive pixel; with `positive_in_val`, also when the val set has
        none.
    """
    train, val = (int((~metadata.loc[rows, "empty"].astype(bool)).sum()) for rows in (fold.train, fold.val))
    if not len(fold.train) or not len(fold.val):
        raise RunError(
            f"fold {fold.number} has {len(fold.train)} patches to train on and {len(fold.val)} to validate on, but both "
            "need some; change --fold-method, --total-folds or --data-split-by."
        )
    if not train:
        raise RunError(
            f"the train set of fold {fold.number} has {len(fold.train)} patches and none with a positive pixel; change "
            "--fold-method (the stratified ones share positives out) or --data-split-by."
        )
    if not val:
        what = f"the val set of fold {fold.number} has {len(fold.val)} patches and none with a positive pixel"
        way_out = "--fold-method stratified or region-stratified shares positives out."
        if positive_in_val:
            raise RunError(f"--require-positive-in-val: {what}; {way_out}")
        yield f"{what}: its val/JaccardIndex says nothing; {way_out}"


def count_roles(metadata: pd.DataFrame, split: Split, folds: list[Fold]) -> list[tuple[str, int, int, int]]:
    """(role, patches, patches with positives, regions) of the test split and of each fold."""
    roles = [("test", split.test)]
    for fold in folds:
        roles += [(f"fold {fold.number} train", fold.train), (f"fold {fold.number} val", fold.val)]
    return [
        (role, len(rows), int((~part["empty"].astype(bool)).sum()), part["region"].nunique())
        for role, rows in roles
        for part in [metadata.loc[rows]]
    ]
