"""Files that say which patch trains, validates and tests in which fold.

A long table, parquet or CSV, with a row for each patch and role: `patch_id` (or `row`, where patches have no id), `dataset`
where several are read as one, `role` (train, val or test), and `fold`, counted from 0. The test patches are those of every
fold, and may leave `fold` empty; without the column all rows are of fold 0. Further columns are for people.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from darts.core.errors import ConfigError, one_line
from darts.training.config.splits import SUFFIXES
from darts.training.splits import Fold, Split
from darts.training.tables import is_csv, write_table

ROLES = ("train", "val", "test")
_COLUMNS = ("patch_id", "dataset", "sample_id", "region")


@dataclass(frozen=True, slots=True)
class SplitFile:
    """What a split file says, in rows of the metadata.

    Attributes
    ----------
    split
        Test rows, and the rows that train or validate in any fold.
    folds
        In the order of their numbers.
    doubts
        What is to be said about it.
    """

    split: Split
    folds: tuple[Fold, ...]
    doubts: tuple[str, ...] = ()

    def within(self, rows: np.ndarray) -> "SplitFile":
        """Only what is among these rows."""

        def kept(part: np.ndarray) -> np.ndarray:
            return part[np.isin(part, rows)]

        folds = tuple(replace(fold, train=kept(fold.train), val=kept(fold.val)) for fold in self.folds)
        return replace(self, split=Split(kept(self.split.trainval), kept(self.split.test)), folds=folds)


def split_table(metadata: pd.DataFrame, split: Split, folds: Sequence[Fold]) -> pd.DataFrame:
    """The table of a split file.

    Returns
    -------
    Train and val of each fold, then test, each sorted by row: `row`; `patch_id`, `dataset`, `sample_id` and `region` where
    the metadata have them; `role`; `fold`, a nullable integer that is empty for test.
    """
    parts = [(role, fold.number, getattr(fold, role)) for fold in folds for role in ("train", "val")]
    columns = [name for name in _COLUMNS if name in metadata.columns]
    tables = [
        pd.DataFrame(metadata.loc[np.sort(rows), columns])
        .rename_axis("row")
        .reset_index()
        .assign(role=role, fold=pd.array([number] * len(rows), dtype="Int64"))
        for role, number, rows in [*parts, ("test", None, split.test)]
    ]
    return pd.concat(tables, ignore_index=True)


def write_split_file(path: Path, metadata: pd.DataFrame, split: Split, folds: Sequence[Fold]) -> None:
    """Write a split file, whole or not at all; the same split gives the same bytes.

    Parameters
    ----------
    path
        Ends in .parquet or .csv.

    Raises
    ------
    ConfigError
        When its folder can't be written to, or another file stands there.
    """
    write_table(split_table(metadata, split, folds), path, known_by="role")


def read_split_file(path: Path, metadata: pd.DataFrame) -> SplitFile:
    """Read a split file, as `write_split_file` and a run write it, or another that has the columns.

    Parameters
    ----------
    metadata
        All patches of the dataset, indexed by row.

    Raises
    ------
    ConfigError
        When it is missing or no table, lacks a column, names a patch or role that isn't there, or gives a patch two roles
        in a fold; the roles train and val may only share all patches of train, as may train and test.
    """
    table = _read_table(path)
    roles = pd.DataFrame(
        {"row": _rows(path, table, metadata), "role": table["role"].to_numpy(), "fold": _fold_numbers(path, table)}
    )
    if twice := int(roles.duplicated().sum()):
        raise _refusal(path, f"gives a patch the same role in a fold once, but has {twice} repeated; remove them")
    test, is_test = _test_rows(path, roles), roles["role"] == "test"
    others = roles[~is_test]
    folds = tuple(_fold(path, number, others[others["fold"] == number], test) for number in np.unique(others["fold"]))
    split = Split(np.unique(others["row"].to_numpy()), test)
    return SplitFile(split, folds, tuple(_doubts(path, len(metadata), split, folds)))


def _refusal(path: Path, text: str) -> ConfigError:
    return ConfigError(f"--split-file: {path} {text}.")


def _read_table(path: Path) -> pd.DataFrame:
    """The table, with a role in each line."""
    if path.suffix.lower() not in SUFFIXES:
        raise _refusal(path, f"must be a file {' or '.join('*' + suffix for suffix in SUFFIXES)}")
    try:
        table = (
            pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
            if is_csv(path)
            else pd.read_parquet(path)
        )
    except FileNotFoundError:
        raise _refusal(path, "isn't there; darts make-split writes one") from None
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _refusal(path, f"can't be read as a table ({one_line(error, 120)})") from None
    if "role" not in table.columns:
        raise _refusal(path, f"must have the column role, but has {', '.join(map(str, table.columns))}")
    if unknown := sorted(set(map(str, table["role"])) - set(ROLES)):
        raise _refusal(path, f"may have the roles {', '.join(ROLES)}, but has {', '.join(unknown[:5])}")
    return table


def _rows(path: Path, table: pd.DataFrame, metadata: pd.DataFrame) -> np.ndarray:
    """The row of the metadata that each line is about."""
    known, named = _names(path, table, metadata)
    position = known.get_indexer(named)
    if len(lost := np.flatnonzero(position < 0)):
        raise _refusal(
            path,
            f"may only name patches of the dataset, but {len(lost)} aren't there, such as {named[lost[0]]}; give the file "
            "of this dataset",
        )
    rows = metadata.index.to_numpy()[position]
    _require_same_scenes(path, table, metadata, rows)
    return rows


def _names(path: Path, table: pd.DataFrame, metadata: pd.DataFrame) -> tuple["pd.Index[Any]", "pd.Index[Any]"]:
    """What each patch of the dataset, and each line of the file, is called."""
    keys = [key for key in ("patch_id", "dataset") if key in table.columns and key in metadata.columns]
    if "patch_id" in keys and not metadata.duplicated(keys).any() and not metadata[keys].isna().any(axis=None):
        return _texts(metadata, keys), _texts(table, keys)
    if "row" in table.columns:
        return metadata.index, pd.Index(pd.to_numeric(table["row"], errors="coerce"))
    raise _refusal(
        path,
        "must name patches by the column patch_id (and dataset, where it takes both to tell them apart) or row, but has "
        f"{', '.join(map(str, table.columns))}",
    )


def _texts(table: pd.DataFrame, columns: list[str]) -> "pd.Index[Any]":
    """One text for each line."""
    texts = table[columns[0]].astype(str)
    for column in columns[1:]:
        texts = texts + " of " + table[column].astype(str)
    return pd.Index(texts.to_numpy())


def _require_same_scenes(path: Path, table: pd.DataFrame, metadata: pd.DataFrame, rows: np.ndarray) -> None:
    """Rows of another dataset are numbers that exist here, too."""
    if "sample_id" not in table.columns or "sample_id" not in metadata.columns:
        return
    here, there = metadata.loc[rows, "sample_id"].astype(str).to_numpy(), table["sample_id"].astype(str).to_numpy()
    if (here != there).any():
        raise _refusal(path, "is of another dataset: its patches are of other scenes; give the file of this dataset")


def _fold_numbers(path: Path, table: pd.DataFrame) -> np.ndarray:
    """The fold of each line, float64; NaN is every fold, which only test rows may have."""
    if "fold" not in table.columns:
        return np.zeros(len(table))
    given = table["fold"].replace("", np.nan)
    numbers = pd.to_numeric(given, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    is_empty = given.isna().to_numpy()
    if not is_empty.all() and not ((numbers >= 0) & (numbers % 1 == 0))[~is_empty].all():
        raise _refusal(path, "counts folds from 0 in whole numbers, but not in each line of the column fold")
    if (is_empty & (table["role"] != "test").to_numpy()).any():
        raise _refusal(path, "must name the fold of each patch of train and val, but not each line does")
    return numbers


def _test_rows(path: Path, roles: pd.DataFrame) -> np.ndarray:
    """The test rows, which are those of every fold."""
    is_test = roles["role"] == "test"
    folds, numbered = roles.loc[~is_test, "fold"].unique(), roles[is_test & roles["fold"].notna()]
    if not len(folds):
        raise _refusal(path, "must name patches of train and val, but names none")
    if (numbered.groupby("row").size() != len(folds)).any() or not numbered["fold"].isin(folds).all():
        raise _refusal(
            path, "must test every fold on the same patches; write one file for each fold, or leave fold empty"
        )
    return np.unique(roles.loc[is_test, "row"].to_numpy())


def _fold(path: Path, number: float, roles: pd.DataFrame, test: np.ndarray) -> Fold:
    train, val = (np.sort(roles.loc[roles["role"] == role, "row"].to_numpy()) for role in ("train", "val"))
    for name, held_out in (("val", val), ("test", test)):
        _require_apart(path, f"train and {name} of fold {number:g}", train, held_out)
    if not np.isin(train, test).all():
        _require_apart(path, f"val and test of fold {number:g}", val, test)
    return Fold(int(number), train, val)


def _require_apart(path: Path, names: str, rows: np.ndarray, held_out: np.ndarray) -> None:
    """Without a division, the rows that are held out are those of train; anything between is a mistake."""
    shared = np.isin(rows, held_out)
    if shared.any() and not shared.all():
        raise _refusal(path, f"must keep {names} apart, but {int(shared.sum())} are in both; leave out one")


def _doubts(path: Path, patches: int, split: Split, folds: Sequence[Fold]) -> list[str]:
    doubts = []
    if unnamed := patches - len(np.union1d(split.trainval, split.test)):
        doubts.append(f"{path} gives {unnamed} of {patches} patches no role; they are left out.")
    if any(len(fold.train) and np.isin(fold.train, split.test).all() for fold in folds):
        doubts.append(f"{path} tests on patches that it trains on: test figures say nothing new.")
    return doubts
