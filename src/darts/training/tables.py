"""Tables that a user asks for: written as CSV or parquet, whole or not at all, and never over something else."""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from darts.core.errors import ConfigError
from darts.core.files import make_directory, write_atomically


def write_table(table: pd.DataFrame, path: Path, known_by: str) -> Path:
    """Write a table; the same table gives the same bytes.

    Parameters
    ----------
    path
        Ends in .csv or .parquet, and is the value of --output.
    known_by
        A column by which an earlier table of this kind is known, which may be replaced.

    Raises
    ------
    ConfigError
        When its folder can't be written to, or a file that is no such table stands there: a slip of the hand must not cost
        a dataset its metadata.
    """
    if path.exists() and known_by not in _columns(path):
        raise ConfigError(
            f"--output replaces an earlier table of the same kind only, but {path} is none (it has no column {known_by}); "
            "choose another name."
        )
    make_directory(path.parent, ConfigError)
    if is_csv(path):
        write_atomically(path, lambda temporary: table.to_csv(temporary, index=False, lineterminator="\n"))
    else:
        write_atomically(path, lambda temporary: table.to_parquet(temporary, index=False))
    return path


def is_csv(path: Path) -> bool:
    """Whether a table is CSV, by the ending of its file."""
    return path.suffix.lower() == ".csv"


def _columns(path: Path) -> list[str]:
    try:
        if is_csv(path):
            return list(pd.read_csv(path, nrows=0).columns)
        return list(pa.parquet.read_schema(path).names)
    except (OSError, ValueError, pa.ArrowException):
        return []
