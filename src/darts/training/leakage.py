"""Which train patches share ground or content with patches that are held out, and a division without them.

Such a patch lets a model be measured on what it was trained on. It is left out of train, never of val or test.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from darts.core.errors import ConfigError, RunError
from darts.dataset.places import outlines_of, overlapping
from darts.training.config import DataConfig, DatasetConfig
from darts.training.grouping import content_of, least_shared
from darts.training.split_files import SplitFile, read_split_file
from darts.training.splits import Fold, Split, make_folds, require_trainable, split_test, subsampled

_WHAT = {"ground": "on the ground of", "content": "with the content of"}


@dataclass(frozen=True, slots=True)
class Finding:
    """Rows of one role that share `ground` or `content` (`kind`) with a row of another role; sorted, maybe none."""

    role: str
    other: str
    kind: str
    rows: np.ndarray

    def __str__(self) -> str:
        """One line."""
        stays = " (they stay there)" if self.role == "val" else ""
        return f"{_patches(self.rows)} of {self.role} {_WHAT[self.kind]} one of {self.other}{stays}"


@dataclass(frozen=True, slots=True)
class Audit:
    """What the roles of a fold share.

    Attributes
    ----------
    fold
        Number of the fold.
    findings
        One for each two roles that were compared, and each kind; where one role holds the other, as without a split, they
        aren't compared.
    without_place, without_content
        Patches that have no outline, or no content hash, and could be compared in one way only.
    """

    fold: int
    findings: tuple[Finding, ...]
    without_place: int
    without_content: int

    @property
    def train_rows(self) -> np.ndarray:
        """The train rows that share something with val or test, sorted."""
        found = [finding.rows for finding in self.findings if finding.role == "train"]
        return np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not any(len(finding.rows) for finding in self.findings)

    def count(self, role: str, other: str, kind: str) -> int:
        """Rows of one role that share `ground` or `content` with another; 0 where the two weren't compared."""
        wanted = (role, other, kind)
        return sum(len(one.rows) for one in self.findings if (one.role, one.other, one.kind) == wanted)

    def lines(self) -> list[str]:
        """What was found, for people; at least one line."""
        start = f"fold {self.fold}: "
        if not self.findings:
            return [f"{start}val and test hold what train holds, so nothing is kept apart."]
        found = [f"{start}{finding}." for finding in self.findings if len(finding.rows)]
        if not found:
            roles = " or ".join(dict.fromkeys(one.other for one in self.findings))
            found = [f"{start}no patch of train shares ground or content with one of {roles}."]
        return found + [f"{start}{doubt}" for doubt in self._doubts()]

    def _doubts(self) -> list[str]:
        doubts = []
        if self.without_place:
            doubts.append(f"{self.without_place} patches have no place, so it isn't known whether they share ground.")
        if self.without_content:
            doubts.append(f"{self.without_content} patches have no content hash, so duplicates of them aren't known.")
        return doubts


@dataclass(frozen=True, slots=True)
class Division:
    """The patches of one fold, ready to train on.

    Attributes
    ----------
    split
        Test rows and the others.
    fold
        Train and val rows; train is without `dropped`.
    audit
        What was shared before anything was dropped.
    dropped
        Train rows that were left out because of it.
    buffered
        Rows that were left out because they are nearer than the buffer to val or test.
    doubts
        What else is to be said.
    """

    split: Split
    fold: Fold
    audit: Audit
    dropped: np.ndarray
    buffered: np.ndarray
    doubts: tuple[str, ...] = ()

    def account(self) -> list[str]:
        """What the roles share, and what was left out for it; at least one line."""
        start, lines = f"fold {self.fold.number}: ", self.audit.lines()
        if len(self.buffered):
            lines.append(f"{start}{_patches(self.buffered)} within --buffer-km of val or test left out of train.")
        if len(self.dropped):
            lines.append(f"{start}{_patches(self.dropped)} shared with val or test left out of train.")
        elif len(self.audit.train_rows):
            lines.append(f"{start}{_patches(self.audit.train_rows)} shared with val or test kept by --allow-overlap.")
        return lines

    def lines(self) -> list[str]:
        """What a user should know before training; nothing for a clean split."""
        is_plain = self.audit.is_clean and not len(self.buffered)
        return [*self.doubts, *([] if is_plain else self.account())]


def audit(metadata: pd.DataFrame, fold: Fold, test: np.ndarray, patch_size: int) -> Audit:
    """Compare train with val and test, and val with test.

    Parameters
    ----------
    metadata
        Indexed by row; `geometry` holds outlines in WGS84, `content_hash` is equal for patches of equal x and y. Both may
        be missing.
    fold
        Train and val rows.
    test
        Test rows.
    patch_size
        Pixels along a side. Patches share ground if they have more in common than a strip of half a pixel.
    """
    pairs = [
        ("train", fold.train, "val", fold.val),
        ("train", fold.train, "test", test),
        ("val", fold.val, "test", test),
    ]
    kept_apart = [pair for pair in pairs if not np.isin(pair[1], pair[3]).all()]
    outlines = pd.Series(outlines_of(metadata), index=metadata.index, dtype=object)
    contents = pd.Series(content_of(metadata), index=metadata.index)
    findings = []
    for role, rows, other, held_out in kept_apart:
        share = overlapping(outlines[rows].to_numpy(), outlines[held_out].to_numpy(), least_shared(patch_size))
        same = contents[rows].isin(contents[held_out]).to_numpy() & (contents[rows] >= 0).to_numpy()
        findings += [Finding(role, other, "ground", rows[share]), Finding(role, other, "content", rows[same])]
    used = np.unique(np.concatenate([fold.train, fold.val, test]))
    return Audit(fold.number, tuple(findings), int(outlines[used].isna().sum()), int((contents[used] < 0).sum()))


def without_leaks(fold: Fold, audit: Audit) -> Fold:
    """The fold without the train rows that share something with val or test."""
    return replace(fold, train=np.setdiff1d(fold.train, audit.train_rows))


def divide(metadata: pd.DataFrame, data: DataConfig, patch_size: int) -> Division:
    """Choose the test, train and val rows of one run, from a split file or by the methods, and leave leaks out of train.

    Parameters
    ----------
    metadata
        All patches of the dataset, or what `subsample` leaves of them.
    data
        How they are divided.
    patch_size
        Pixels along a side.

    Raises
    ------
    ConfigError
        When a setting or the split file doesn't fit the metadata.
    RunError
        When the patches can't be divided so, or too few are left to train on.
    """
    plan = _plan(metadata, data, patch_size)
    division = _division(metadata, data, patch_size, plan, chosen_fold(plan.folds, data))
    return replace(division, doubts=(*division.doubts, *doubts_of(metadata, division, data)))


def divide_all(metadata: pd.DataFrame, data: DatasetConfig, patch_size: int) -> tuple[Division, ...]:
    """`divide` for every fold; those that can't be trained on come, too."""
    plan = _plan(metadata, data, patch_size)
    return tuple(_division(metadata, data, patch_size, plan, fold) for fold in plan.folds)


def doubts_of(metadata: pd.DataFrame, division: Division, data: DatasetConfig) -> list[str]:
    """Refuse a division that can't be trained on, and give a line for each doubt.

    Raises
    ------
    RunError
        When train has no row or no patch with a positive pixel, also because of what was left out; or when val has none,
        and the settings require one.
    """
    _require_enough_left(metadata, division)
    return list(require_trainable(metadata, division.fold, positive_in_val=data.require_positive_in_val))


def held_out(metadata: pd.DataFrame, data: DatasetConfig) -> Split:
    """The test rows, and the others, of `divide`; it needs no fold that can be trained on."""
    used = subsampled(metadata, data.subsample)
    return split_test(used, data) if data.split_file is None else _read(metadata, used, data.split_file).split


def _read(metadata: pd.DataFrame, used: pd.DataFrame, path: Path) -> SplitFile:
    return read_split_file(path, metadata).within(used.index.to_numpy())


def _plan(metadata: pd.DataFrame, data: DatasetConfig, patch_size: int) -> SplitFile:
    """Test rows and folds, with what may still leak."""
    used = subsampled(metadata, data.subsample)
    if data.split_file is not None:
        plan = _read(metadata, used, data.split_file)
        whole = Fold(0, plan.split.trainval, plan.split.trainval)
        return replace(plan, folds=(whole,)) if data.fold_method == "none" else plan
    split = split_test(used, data)
    tested = None if data.data_split_method == "none" else used.loc[split.test]
    return SplitFile(split, tuple(make_folds(used.loc[split.trainval], data, tested, patch_size)))


def chosen_fold(folds: Sequence[Fold], data: DataConfig) -> Fold:
    """The one of these folds that is trained on.

    Raises
    ------
    ConfigError
        When a split file has no such fold.
    """
    if data.fold_method == "none":
        return folds[0]
    numbered = {fold.number: fold for fold in folds}
    if data.fold not in numbered:
        there = ", ".join(map(str, numbered))
        raise ConfigError(f"--fold {data.fold}: {data.split_file} has no such fold, but {there}; give one of them.")
    return numbered[data.fold]


def _division(metadata: pd.DataFrame, data: DatasetConfig, patch_size: int, plan: SplitFile, fold: Fold) -> Division:
    found = audit(metadata, fold, plan.split.test, patch_size)
    kept = fold if data.allow_overlap else without_leaks(fold, found)
    in_fold = np.concatenate([fold.train, fold.val])
    # A split file may leave out what it likes, a method only what its buffer says.
    divided = plan.split.trainval if data.split_file is None else in_fold
    return Division(
        plan.split,
        kept,
        found,
        dropped=np.setdiff1d(fold.train, kept.train),
        buffered=np.setdiff1d(divided, in_fold),
        doubts=plan.doubts,
    )


def _require_enough_left(metadata: pd.DataFrame, division: Division) -> None:
    train, left_out = division.fold.train, []
    if len(division.dropped):
        left_out.append(f"{len(division.dropped)} that share ground or content with val or test")
    if len(division.buffered):
        left_out.append(f"{len(division.buffered)} within --buffer-km of val or test")
    if left_out and metadata.loc[train, "empty"].astype(bool).all():
        raise RunError(
            f"fold {division.fold.number} has {_patches(train)} to train on and none with a positive pixel, for it is "
            f"without {' and without '.join(left_out)}; use --fold-method region-kfold or spatial, preprocess with a "
            "smaller --overlap, lower --buffer-km, or give --allow-overlap."
        )


def _patches(rows: np.ndarray) -> str:
    return f"{len(rows)} {'patch' if len(rows) == 1 else 'patches'}"
