"""Results on stdout: lines, tables, and what to type next."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from darts.core.config import Config, setting_to_flag
from darts.tune.settings import PLACE


def say(text: str) -> None:
    """Print a line."""
    Console(soft_wrap=True).print(text, markup=False, highlight=False)


def flags(config: Config, only: str | None = None) -> list[str]:
    """The flags that give these settings, or only one of them, without those that are defaults."""
    return [
        word
        for name, value in config
        if only in (None, name) and value != type(config).model_fields[name].default
        for item in (value if isinstance(value, tuple) else (value,))
        for word in ([setting_to_flag(name)] if item is True else [setting_to_flag(name), str(item)])
    ]


def place_flags(*configs: Config) -> list[str]:
    """The flags, of those that were given, that say where and how work is done, but for the device."""
    return [
        word
        for config in configs
        for name in type(config).model_fields
        if name in config.model_fields_set & PLACE - {"device"}
        for word in flags(config, only=name)
    ]


def command_line(command: str, data: Config, fit: Config, logging: Config, **settings: Any) -> str:
    """What to type to go on with a command that keeps its settings under a name.

    Parameters
    ----------
    data, fit, logging
        Only where and how the work is done is taken from them; all other settings are kept.
    settings
        The name, and what else is to be given again.
    """
    words = [*place_flags(data, fit, logging), *flags(fit, only="device")]
    for name, value in settings.items():
        words += (
            [] if value is False else [setting_to_flag(name)] if value is True else [setting_to_flag(name), str(value)]
        )
    return shlex.join(["darts", command, *words])


def say_next(*words: object) -> None:
    """Print, as the last line, what to type next; each word is quoted where the shell needs it."""
    say(f"\nNext: {shlex.join(map(str, words))}")


def say_metrics(title: str, metrics: Mapping[str, float]) -> None:
    """Print metrics by name, four digits each."""
    say(title)
    table = Table(show_header=False, box=None)
    for name, value in metrics.items():
        table.add_row(name, f"{value:.4f}")
    Console().print(table)


def say_table(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table."""
    table = Table(*header, title=title, title_justify="left")
    for row in rows:
        table.add_row(*map(str, row))
    Console().print(table)
