"""The role of each patch, from the `split.parquet` that a run left, or that came with the patches."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from darts.core.errors import ConfigError, one_line
from darts.dataset.reader import Dataset

_COLUMNS = ["row", "sample_id", "role"]


def read_roles(path: Path, dataset: Dataset) -> "pd.Series[Any]":
    """Role -- `train`, `val`, `test`, or several joined by `and` -- of each row that has one.

    Patches are named by the column `patch_id`, or else by `row` and `sample_id`.

    Raises
    ------
    ConfigError
        When the file is missing, is no split, or is that of another dataset.
    """
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ConfigError(f"--split-file: {path} can't be read as a split.parquet ({one_line(error, 120)}).") from None
    named = {"patch_id"} <= set(table.columns) & set(dataset.metadata.columns)
    wanted = ["patch_id", "role"] if named else _COLUMNS
    if missing := [column for column in wanted if column not in table.columns]:
        raise ConfigError(f"--split-file: {path} must have the columns {', '.join(wanted)}, but lacks {missing}.")
    rows = _rows_by_id(table, dataset) if named else _rows_by_number(table, dataset)
    if rows is None:
        raise ConfigError(
            f"--split-file: {path} is of another dataset than {dataset.directory}: its rows are of other scenes; give "
            "the split.parquet of a run on this dataset."
        )
    roles = pd.Series(table["role"].to_numpy(), index=pd.Index(rows, name="row"), name="role")
    return roles.groupby(level=0, sort=True).agg(lambda some: " and ".join(dict.fromkeys(some.astype(str))))


def _rows_by_id(table: pd.DataFrame, dataset: Dataset) -> np.ndarray | None:
    """The row of each line, or None when a patch isn't in the dataset."""
    known = pd.Series(dataset.metadata.index, index=dataset.metadata["patch_id"].astype(str))
    names = table["patch_id"].astype(str)
    return known.loc[names].to_numpy() if names.isin(known.index).all() else None


def _rows_by_number(table: pd.DataFrame, dataset: Dataset) -> np.ndarray | None:
    """The row of each line, or None when the scene of a row is another one in the dataset."""
    here = dataset.metadata["sample_id"].astype(str).reindex(table["row"])
    same = (here.to_numpy() == table["sample_id"].astype(str).to_numpy()).all()
    return table["row"].to_numpy() if same else None
