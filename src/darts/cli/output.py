"""Results on stdout: lines, tables, and what to type next."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def say(text: str) -> None:
    """Print a line."""
    Console(soft_wrap=True).print(text, markup=False, highlight=False)


def say_next(command: str) -> None:
    """Print, as the last line, what to type next."""
    say(f"\nNext: {command}")


def say_metrics(title: str, metrics: Mapping[str, float]) -> None:
    """Print metrics by name, four digits each."""
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    for name, value in metrics.items():
        table.add_row(name, f"{value:.4f}")
    Console().print(table)


def say_table(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table."""
    table = Table(*header, title=title, title_justify="left")
    for row in rows:
        table.add_row(*map(str, row))
    Console().print(table)
