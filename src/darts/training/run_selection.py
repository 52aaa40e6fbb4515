"""Choosing among the rows of a table of runs: conditions, order, the best of each group, and the columns that matter."""

import difflib
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from darts.core.errors import ConfigError
from darts.training.config import PLACE
from darts.training.run_record import MONITOR, is_metric, lower_is_better, setting_text

_CONDITION = re.compile(
    r"""\s*(?:`(?P<quoted>[^`]+)`|(?P<column>[\w/.-]+))
        \s*(?P<relation>==|!=|<=|>=|<|>)
        \s*(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<bare>[^\s'"<>=!]+))\s*""",
    re.VERBOSE,
)
_AND = re.compile(r"and\b", re.IGNORECASE)
_RELATIONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EXAMPLE = "write it as in \"model_encoder == 'resnet34' and val/JaccardIndex > 0.3\""
_MAIN_METRICS = (MONITOR, "test/JaccardIndex", "val/F1Score", "val/Precision", "val/Recall", "test/F1Score")
CHANCE = frozenset({"fold", "random_seed"})
"""Settings whose change repeats a run, rather than making it another one."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold for a run.

    Attributes
    ----------
    relation
        One of == != < <= > >=.
    value
        As it was written; a number, if it was written as one without quotes.
    """

    column: str
    relation: str
    value: str | float


def parse_conditions(expression: str) -> tuple[Condition, ...]:
    """`"model_encoder == 'resnet34' and val/JaccardIndex > 0.3"` -> two conditions.

    Raises
    ------
    ConfigError
        When it is anything else than conditions `column relation value` joined by `and`.
    """
    conditions, rest = [], expression
    while True:
        found = _CONDITION.match(rest)
        if found is None:
            raise ConfigError(
                f"--where: a condition is a column, a relation and a value, but {rest!r} isn't; {_EXAMPLE}."
            )
        conditions.append(_condition(found))
        rest = rest[found.end() :]
        if not rest:
            return tuple(conditions)
        joined = _AND.match(rest)
        if joined is None:
            raise ConfigError(f"--where: conditions are joined by `and`, but {rest!r} follows one; {_EXAMPLE}.")
        rest = rest[joined.end() :]


def _condition(found: re.Match[str]) -> Condition:
    text = found["single"] if found["single"] is not None else found["double"]
    value: str | float = text if text is not None else _number_or_text(found["bare"])
    return Condition(found["quoted"] or found["column"], found["relation"], value)


def _number_or_text(text: str) -> str | float:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text  # an id such as 123e4567 is no number


def require_column(table: pd.DataFrame, column: str, flag: str) -> str:
    """The column itself.

    Raises
    ------
    ConfigError
        When the table doesn't have it, with the nearest one that it has.
    """
    if column in table.columns:
        return column
    nearest = difflib.get_close_matches(column, map(str, table.columns), n=1, cutoff=0.0)
    raise ConfigError(f"{flag}: runs have no column {column!r}; did you mean {nearest[0]!r}?")


def matching(table: pd.DataFrame, expressions: Iterable[str]) -> pd.DataFrame:
    """The runs for which all conditions of all expressions hold.

    Numbers are compared with numbers, times with times such as 2025-01-31, and everything else as text; the word `none`
    stands for what is switched off or missing. What isn't comparable doesn't hold, but for `!=`.

    Raises
    ------
    ConfigError
        When an expression can't be read, names an unknown column, or orders texts.
    """
    for condition in (one for expression in expressions for one in parse_conditions(expression)):
        values = table[require_column(table, condition.column, "--where")]
        table = table[_holds(values, condition)]
    return table


def _holds(values: "pd.Series[Any]", condition: Condition) -> "pd.Series[bool]":
    compare = _RELATIONS[condition.relation]
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return compare(values, _moment(condition))
    if isinstance(condition.value, float):
        numbers = pd.to_numeric(values, errors="coerce").astype("float64")
        return compare(numbers, condition.value)
    if condition.relation not in ("==", "!="):
        raise ConfigError(
            f"--where: {condition.relation} compares numbers and times, but {condition.value!r} is a text; use == or !=."
        )
    return compare(values.map(cell_text), condition.value)


def _moment(condition: Condition) -> pd.Timestamp:
    text = f"{condition.value:.0f}" if isinstance(condition.value, float) else condition.value
    try:
        moment = pd.Timestamp(text)
    except ValueError:
        raise ConfigError(f"--where: {condition.column} is a time such as 2025-01-31, but got {text!r}.") from None
    return moment.tz_localize("UTC") if moment.tzinfo is None else moment


def cell_text(value: Any) -> str:
    """A cell as text; `none` where there is nothing."""
    return "none" if pd.isna(value) else setting_text(bool(value) if pd.api.types.is_bool(value) else value)


def sorted_runs(table: pd.DataFrame, column: str, *, ascending: bool = False) -> pd.DataFrame:
    """Runs in the order of a column; those without a value come last, and equal ones stay in their order.

    Without `ascending`, metrics go from the best to the worst, other numbers and times from the largest to the smallest, and
    texts from a to z.
    """
    values = table[require_column(table, column, "--sort-by")]
    from_small = ascending or values.dtype == "string" or (is_metric(column) and lower_is_better(column))
    return table.sort_values(column, ascending=from_small, kind="stable", na_position="last")


def first_of_each(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The first run for each combination of values of these columns."""
    names = [require_column(table, column, "--best-per") for column in columns]
    return table.drop_duplicates(subset=names, keep="first") if names else table


def varying_settings(table: pd.DataFrame, without: Iterable[str] = ()) -> list[str]:
    """The settings in which runs differ, but for fold and seed, and for where and how the work was done."""
    names = list(table.columns)
    settings = names[names.index("dataset_fingerprint") + 1 : names.index("directory")]
    passed_over = PLACE | CHANCE | set(without)
    return [name for name in settings if not is_metric(name) and name not in passed_over and _varies(table[name])]


def _varies(values: "pd.Series[Any]") -> bool:
    return len(values.drop_duplicates()) > 1


def telling_columns(table: pd.DataFrame, sort_by: str = MONITOR) -> list[str]:
    """The columns that tell the runs apart and say how good they are, the most important ones first."""
    places = [name for name in ("cv_name", "tune_name") if table[name].notna().any()]
    state = ["state"] if (table["state"] != "finished").any() else []
    chance = [name for name in ("fold", "seed") if _varies(table[name])]
    metrics = [name for name in _MAIN_METRICS if name in table.columns and table[name].notna().any()]
    columns = ["run_name", "run_id", sort_by, *metrics[:1], *state, *varying_settings(table), *chance, *places]
    return list(dict.fromkeys([*columns, "epochs", *metrics, "best_epoch"]))


def shown_text(value: Any) -> str:
    """A cell for people: numbers with four digits, times to the minute, nothing where there is nothing."""
    if value is None or pd.isna(value):
        return ""
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        return f"{value:.4f}" if math.isfinite(value) and 1e-3 <= abs(value) < 1e3 else f"{value:.4g}"
    return setting_text(value)
