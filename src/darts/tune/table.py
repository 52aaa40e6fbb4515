"""A sweep as a table, one row for each trial, and which of its trials are best."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from darts.core.files import write_atomically
from darts.tune.score import parse_scoring_metrics, score_of_run
from darts.tune.space import Choice, Dimension, Range, Space

STATE_WORDS: Mapping[TrialState, str] = {
    TrialState.COMPLETE: "complete",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
"""How the states of trials are called, in the order in which they are listed."""

PARAMETER = "params/"
_DTYPES = {
    "trial": "Int64",
    "state": "string",
    "score": "float64",
    "score_is_unstable": "boolean",
    "cv_name": "string",
    "runs_finished": "Int64",
    "duration": "float64",
    "lost": "Int64",
    "runner": "string",
    "host": "string",
    "device": "string",
    "started": "datetime64[us]",
    "completed": "datetime64[us]",
    "reason": "string",
}
_BEFORE_PARAMETERS = ("trial", "state", "score", "score_is_unstable", "cv_name")


def sweep_record(study: Study) -> dict[str, Any]:
    """What the sweep was started with: method, search space, scoring, settings."""
    return dict(study.user_attrs.get("darts", {}))


def space_of(study: Study) -> Space:
    """The search space of the sweep."""
    return Space.from_dict(sweep_record(study).get("space", {}))


def trials_table(study: Study) -> pd.DataFrame:
    """One row for each trial, in the order of their numbers; the columns and their types don't depend on the trials.

    `score` is that of all runs, or, of a pruned trial, of those that were made; `duration` is the sum over its runs, in
    seconds; `started` and `completed` are local times.
    """
    trials = sorted(study.get_trials(deepcopy=False), key=lambda trial: trial.number)
    space = space_of(study).dimensions
    names = sorted({*space, *(name for trial in trials for name in trial.params)})
    rows = [_row(trial) for trial in trials]
    first = {name: _DTYPES[name] for name in _BEFORE_PARAMETERS}
    parameters = {PARAMETER + name: _dtype(space.get(name)) for name in names}
    dtypes = first | parameters | _DTYPES
    return pd.DataFrame({name: _column([row.get(name) for row in rows], dtype) for name, dtype in dtypes.items()})


def write_trials_table(study: Study, path: Path) -> None:
    """Write the table of the trials (parquet), whole or not at all."""
    table = trials_table(study)
    write_atomically(path, lambda temporary: table.to_parquet(temporary, index=False))


def _row(trial: FrozenTrial) -> dict[str, Any]:
    attributes = trial.user_attrs
    owner = attributes.get("owner") or {}
    return {
        "trial": trial.number,
        "state": STATE_WORDS[trial.state],
        "score": score_of(trial),
        "score_is_unstable": attributes.get("score_is_unstable"),
        "cv_name": attributes.get("cv_name"),
        "runs_finished": len(finished_runs_of(trial)),
        "duration": duration_of(trial),
        "lost": attributes.get("lost", 0),
        "runner": owner.get("runner"),
        "host": host_of(owner) if "host" in owner else None,
        "device": owner.get("device"),
        "started": trial.datetime_start,
        "completed": trial.datetime_complete,
        "reason": attributes.get("reason"),
    } | {PARAMETER + name: value for name, value in trial.params.items()}


def _dtype(dimension: Dimension | None) -> str:
    """The type of a column that holds any value of the dimension."""
    if isinstance(dimension, Range):
        return "Int64" if dimension.integer else "float64"
    if dimension is None:  # of no use but to be seen
        return "string"
    values = dimension.values if isinstance(dimension, Choice) else (dimension.value,)  # noqa: PD011 -- not pandas
    types = {type(value) for value in values if value is not None}
    if types <= {int, float} and types:
        return "Int64" if types == {int} else "float64"
    return "boolean" if types == {bool} else "string"


def _column(values: Sequence[Any], dtype: str) -> "pd.Series[Any]":
    if dtype == "string":
        values = [None if value is None else str(value) for value in values]
    return pd.Series(values, dtype="object").astype(dtype)  # type: ignore[call-overload] # a name only known here


def score_of(trial: FrozenTrial) -> float:
    """The score of a trial, NaN if it has none; that of a pruned trial is made of a part of its runs."""
    return math.nan if trial.value is None else trial.value


def is_unstable(trial: FrozenTrial) -> bool:
    """Whether a scoring metric of one of its runs is zero or not finite."""
    return bool(trial.user_attrs.get("score_is_unstable"))


def finished_runs_of(trial: FrozenTrial) -> list[Mapping[str, Any]]:
    """The runs of a trial that did not fail, as the study keeps them."""
    return [run for run in trial.user_attrs.get("runs", ()) if not run.get("error")]


def duration_of(trial: FrozenTrial) -> float:
    """Seconds that all runs of a trial took; NaN if there is none."""
    durations = [float(run.get("duration", math.nan)) for run in trial.user_attrs.get("runs", ())]
    return math.fsum(durations) if durations else math.nan


def host_of(owner: Mapping[str, Any]) -> str:
    """The name of the computer that a runner is on, without the space that its process id is a number in."""
    return str(owner.get("host", "")).partition("/")[0]


def run_scores(study: Study, trial: FrozenTrial) -> list[float]:
    """The score of each finished run of a trial, in their order."""
    record = sweep_record(study)
    metrics = parse_scoring_metrics(record.get("scoring_metric", ()))
    strategy = record.get("multi_score_strategy", "harmonic")
    infos = [run.get("metrics", {}) for run in finished_runs_of(trial)]
    if not metrics:
        return []
    return [score_of_run(info, metrics, strategy) for info in infos if all(metric.name in info for metric in metrics)]


def ranked_trials(trials: Iterable[FrozenTrial], direction: StudyDirection) -> list[FrozenTrial]:
    """The complete trials with a finite score, best first; of equal ones, that with the lower number."""
    sign = -1 if direction == StudyDirection.MAXIMIZE else 1
    scored = [trial for trial in trials if trial.state == TrialState.COMPLETE and math.isfinite(score_of(trial))]
    return sorted(scored, key=lambda trial: (sign * score_of(trial), trial.number))


def best_trial(trials: Iterable[FrozenTrial], direction: StudyDirection) -> FrozenTrial | None:
    """The complete trial with the best finite score; of equal ones, that with the lowest number."""
    return next(iter(ranked_trials(trials, direction)), None)
