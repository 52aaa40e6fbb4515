"""The role of each patch in a run, from the `split.parquet` that the run left."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from darts.core.errors import ConfigError, one_line
from darts.dataset.reader import Dataset

_COLUMNS = ["row", "sample_id", "role"]


def read_roles(path: Path, dataset: Dataset) -> "pd.Series[Any]":
    """Role -- `train`, `val`, `test`, or several joined by `and` -- of each row that the run used.

    Raises
    ------
    ConfigError
        When the file is missing, is no split, or is that of another dataset.
    """
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ConfigError(f"--split-file: {path} can't be read as a split.parquet ({one_line(error, 120)}).") from None
    if missing := [column for column in _COLUMNS if column not in table.columns]:
        raise ConfigError(f"--split-file: {path} must have the columns {', '.join(_COLUMNS)}, but lacks {missing}.")
    here = dataset.metadata["sample_id"].astype(str)
    there = here.reindex(table["row"])
    if not (there.to_numpy() == table["sample_id"].astype(str).to_numpy()).all():
        raise ConfigError(
            f"--split-file: {path} is of another dataset than {dataset.directory}: its rows are of other scenes; give "
            "the split.parquet of a run on this dataset."
        )
    return table.groupby("row", sort=True)["role"].agg(lambda roles: " and ".join(dict.fromkeys(roles.astype(str))))
