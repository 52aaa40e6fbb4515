"""The runs of an artifact directory, gathered in one table.

Names and places come from the names of folders; every number comes out of a file.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from darts.core.artifacts import RunDirectory, find_runs, run_place
from darts.core.errors import RunError, one_line
from darts.core.log import get_logger
from darts.training.run_record import MONITOR, RunRecord, is_metric, read_run, setting_text

_log = get_logger(__name__)

_FIRST_COLUMNS = (
    "run_name run_id cv_name tune_name state fold seed epochs best_epoch duration started written dataset_fingerprint"
).split()
_LAST_COLUMNS = ["directory", "checkpoint"]
_STAGES = ("val", "test", "train")


def collect_runs(artifact_dir: Path) -> pd.DataFrame:
    """One row for each run below an artifact directory, those of cross-validations and sweeps included.

    Columns: `run_name`, `run_id`, `cv_name`, `tune_name`; `state` (finished, unfinished); `fold`, `seed`; `epochs`, and
    `best_epoch`, which counts from 1; `duration` in seconds; `started` and `written`, when the settings and the last
    of the results were written (UTC); `dataset_fingerprint`; every recorded setting, lists as text with commas, and the word
    `none` where a setting is switched off; `train/*`, `val/*` of the best checkpoint, and `test/*` once tested, with the
    pixel counts tp, fp, fn and tn; `directory`, `checkpoint` (the best one). What isn't known is missing. Rows are in the
    order of their folders.

    A folder that is damaged, or was left by something else, is passed over with a warning that names it.

    Raises
    ------
    RunError
        When there is no such folder.
    """
    if not artifact_dir.is_dir():
        raise RunError(f"there is no folder {artifact_dir}; give the --artifact-dir that runs were written into.")
    rows = [row for directory in find_runs(artifact_dir) if (row := _row_or_warning(artifact_dir, directory))]
    names = list(dict.fromkeys(name for row in rows for name in [*row, MONITOR] if name not in _LAST_COLUMNS))
    settings = [name for name in names if name not in _FIRST_COLUMNS and not is_metric(name)]
    metrics = sorted(filter(is_metric, names), key=lambda name: (_STAGES.index(name.partition("/")[0]), name))
    columns = [*_FIRST_COLUMNS, *settings, *metrics, *_LAST_COLUMNS]
    return pd.DataFrame({name: _column([row.get(name) for row in rows], name) for name in columns})


def _row_or_warning(artifact_dir: Path, directory: RunDirectory) -> dict[str, Any] | None:
    if not directory.config.is_file():
        _log.warning("%s is passed over: a run has a %s.", directory.path, directory.config.name)
        return None
    try:
        return _row(artifact_dir, read_run(directory))
    except RunError as error:
        _log.warning("%s is passed over: %s", directory.path, error)
    except (ValueError, TypeError) as error:
        _log.warning("%s is passed over: it holds no run (%s).", directory.path, one_line(error))
    return None


def _row(artifact_dir: Path, run: RunRecord) -> dict[str, Any]:
    directory = run.directory
    cv_name, tune_name = run_place(artifact_dir, directory)
    row = {name: setting_text(value) if isinstance(value, list) else value for name, value in run.settings.items()}
    row |= dict(zip(("run_name", "run_id"), run.name_and_id, strict=True))
    row |= {
        "cv_name": cv_name,
        "tune_name": tune_name,
        "state": "finished" if run.is_finished else "unfinished",
        "fold": run.fold,
        "seed": run.seed,
        "epochs": run.epochs,
        "best_epoch": run.best_epoch,
        "duration": float(run.result.get("duration", math.nan)),
        "started": _written([directory.config]),
        "written": _written([directory.config, directory.metrics, directory.result, directory.test_metrics]),
        "dataset_fingerprint": run.record.get("dataset_fingerprint"),
        "directory": str(directory.path),
        "checkpoint": str(directory.best_checkpoint) if directory.best_checkpoint.exists() else None,
    }
    for stage in _STAGES:
        row |= run.metrics(stage)
        row |= {f"{stage}/{name}": count for name, count in run.counts(stage).items()}
    return row


def _written(paths: Iterable[Path]) -> pd.Timestamp:
    return pd.Timestamp(max(path.stat().st_mtime for path in paths if path.exists()), unit="s", tz="UTC").floor("s")


def _column(values: Sequence[Any], name: str) -> "pd.Series[Any]":
    """A column of one type, so that it can be written as parquet: where numbers and words meet, all are words."""
    kinds = {type(value) for value in values if value is not None}
    if name in ("started", "written"):
        return pd.Series(pd.to_datetime(list(values), utc=True))
    if is_metric(name) or name == "duration" or (float in kinds and kinds <= {int, float}):
        return pd.Series([math.nan if value is None else value for value in values], dtype="float64")
    if kinds in ({bool}, {int}):
        return pd.Series(list(values), dtype="boolean" if bool in kinds else "Int64")
    return pd.Series([None if value is None else setting_text(value) for value in values], dtype="string")


def find_run(artifact_dir: Path, run_name: str | None, run_id: str | None) -> RunDirectory:
    """The one run with this name or id, or both.

    Raises
    ------
    RunError
        When there is none, or more than one, listing what there is.
    """
    runs = find_runs(artifact_dir)
    wanted = [one for one in runs if run_name in (None, one.name_and_id[0]) and run_id in (None, one.name_and_id[1])]
    asked = " and ".join(f"{what} {value}" for what, value in (("name", run_name), ("id", run_id)) if value)
    if not wanted:
        there = ", ".join(one.path.name for one in runs[-5:]) or "no run at all"
        raise RunError(f"{artifact_dir} has no run with the {asked}; it has {there}.")
    if len(wanted) > 1:
        ids = ", ".join(one.name_and_id[1] for one in wanted)
        raise RunError(f"{artifact_dir} has {len(wanted)} runs with the {asked}; choose one with --run-id: {ids}.")
    return wanted[0]
