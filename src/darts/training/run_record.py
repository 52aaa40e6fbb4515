"""What a run left in its folder, read back; nothing heavy is imported for it."""

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa

from darts.core.artifacts import RunDirectory
from darts.core.config import RECORD_KEYS
from darts.core.errors import RunError, one_line

T = TypeVar("T")

MONITOR = "val/JaccardIndex"
"""The metric by which the best checkpoint of a run is chosen; higher is better."""
ALL_REGIONS = "(all)"
"""The row of `confusion.parquet` that holds a whole split."""
_LOWER_IS_BETTER = ("loss", "HammingDistance", "fp", "fn")
_COUNTS = ("tp", "fp", "fn", "tn")
_NO_SETTING = RECORD_KEYS | {"run_name", "cv_name", "tune_name"}


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a run left in its folder; what it didn't write is empty.

    Attributes
    ----------
    record
        Settings, and what they were applied to: `config.toml`.
    history
        Metrics of every epoch, which counts from 0: `metrics.csv`.
    result
        What the finished run gave: `result.json`.
    test_metrics
        Metrics on the test split, by name.
    confusion
        Columns split, region, tp, fp, fn, tn, of the best checkpoint.
    """

    directory: RunDirectory
    record: Mapping[str, Any]
    history: pd.DataFrame
    result: Mapping[str, Any]
    test_metrics: Mapping[str, float]
    confusion: pd.DataFrame

    @property
    def name_and_id(self) -> tuple[str, str]:
        """Run name and run id, as recorded, else as the folder is called."""
        name, run_id = self.directory.name_and_id
        return str(self.record.get("run_name", name)), str(self.record.get("run_id", run_id))

    @property
    def settings(self) -> dict[str, Any]:
        """The recorded settings."""
        return {name: value for name, value in self.record.items() if name not in _NO_SETTING}

    @property
    def is_finished(self) -> bool:
        """Whether the run was trained to its end, and its best checkpoint measured."""
        return bool(self.result)

    @property
    def fold(self) -> int | None:
        """The fold whose val rows were held out."""
        return _number(self.result.get("fold", self.record.get("fold")))

    @property
    def seed(self) -> int | None:
        """The random seed."""
        return _number(self.result.get("seed", self.record.get("random_seed")))

    @property
    def epochs(self) -> int:
        """Epochs that were trained to their end."""
        seen = int(self.history["epoch"].max()) + 1 if len(self.history) else 0
        return int(self.result.get("epochs", seen))

    @property
    def best_epoch(self) -> int | None:
        """The epoch of the best checkpoint, from 1; None before the first validation."""
        best = self._best_row
        return None if best is None else int(best["epoch"]) + 1

    @property
    def _best_row(self) -> "pd.Series[Any] | None":
        if MONITOR not in self.history or not self.history[MONITOR].notna().any():
            return None
        best = int(np.nanargmax(self.history[MONITOR].to_numpy()))  # the first of equals, as checkpoints are kept
        return self.history.iloc[best]

    def metrics(self, stage: str) -> dict[str, float]:
        """The metrics of the best checkpoint in a stage, by full name.

        Those of `train` were measured during its epoch. Those of `val` come from the history where the run isn't finished.
        """
        if stage == "test":
            return dict(self.test_metrics)
        if stage == "val" and self.is_finished:
            return {name: float(value) for name, value in self.result["metrics"].items()}
        best = self._best_row
        if best is None:
            return {}
        return {str(name): float(best[name]) for name in best.index if str(name).startswith(f"{stage}/")}

    def counts(self, split: str) -> dict[str, int]:
        """tp, fp, fn, tn of a whole split, by the best checkpoint; empty if they aren't known."""
        rows = self.confusion[(self.confusion["split"] == split) & (self.confusion["region"] == ALL_REGIONS)]
        return {name: int(rows[name].iloc[0]) for name in _COUNTS} if len(rows) else {}


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def is_metric(column: str) -> bool:
    """Whether a column of the table holds a metric."""
    return column.startswith(("train/", "val/", "test/"))


def lower_is_better(metric: str) -> bool:
    """Whether less of a metric, such as val/loss, is better."""
    return metric.rpartition("/")[2] in _LOWER_IS_BETTER


def setting_text(value: Any) -> str:
    """A setting as one text: lists with commas, switches as true and false, numbers with all their digits."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(setting_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_run(directory: RunDirectory) -> RunRecord:
    """Read what a run left, finished or not.

    Raises
    ------
    RunError
        When a file that is there is damaged, naming it.
    """
    return RunRecord(
        directory=directory,
        record=_read(directory.config, _record, {}),
        history=_read(directory.metrics, _history, pd.DataFrame({"epoch": []})),
        result=_read(directory.result, _result, {}),
        test_metrics=_read(directory.test_metrics, _metrics, {}),
        confusion=_read(directory.confusion, _confusion, pd.DataFrame(columns=["split", "region", *_COUNTS])),
    )


def _read(path: Path, parse: Callable[[Path], T], missing: T) -> T:
    if not path.is_file():
        return missing
    try:
        return parse(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise RunError(f"{path} is damaged ({type(error).__name__}: {one_line(error, 120)}); remove the run.") from None


def _record(path: Path) -> dict[str, Any]:
    return dict(tomllib.loads(path.read_text(encoding="utf-8"))["darts"])


def _history(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path).apply(pd.to_numeric)
    return table.dropna(subset=["epoch"]).sort_values("epoch", ignore_index=True)


def _result(path: Path) -> dict[str, Any]:
    result = json.loads(path.read_text(encoding="utf-8"))
    return {**result, "metrics": {name: float(value) for name, value in result["metrics"].items()}}


def _metrics(path: Path) -> dict[str, float]:
    return {name: float(value) for name, value in json.loads(path.read_text(encoding="utf-8")).items()}


def _confusion(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path)[["split", "region", *_COUNTS]]
