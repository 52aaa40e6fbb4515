"""Tables with one row for each epoch, as CSV: what was there before a stop is kept."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from darts.core.files import write_text

EpochRows = dict[int, dict[str, Any]]
"""Epoch, from 0 -> its row, which has the key `epoch`, too."""


def read_epochs(path: Path) -> EpochRows:
    """The rows of a table; none if there is no such file."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {int(row["epoch"]): dict(row) for row in csv.DictReader(file)}


def write_epochs(path: Path, rows: Mapping[int, Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write a table whole, in the order of epochs."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row for _, row in sorted(rows.items()))
    write_text(path, text.getvalue())


def copy_epochs(source: Path, target: Path, before: int) -> None:
    """Begin a table with the rows of another one up to an epoch; nothing happens when there are none."""
    rows = {epoch: row for epoch, row in read_epochs(source).items() if epoch < before}
    if rows:
        write_epochs(target, rows, list(next(iter(rows.values()))))
