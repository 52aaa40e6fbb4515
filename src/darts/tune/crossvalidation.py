"""A cross-validation: folds x seeds runs of one set of hyperparameters, their table, and their score."""

import gc
import json
import math
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import tomli_w
import torch

from darts.core.artifacts import RunDirectory, cross_validation_directory
from darts.core.config import keyword_settings
from darts.core.errors import DatasetError, Interrupted, RunError, SweepError, one_line
from darts.core.files import make_directory, write_atomically, write_text
from darts.core.lock import single_writer
from darts.core.log import console, get_logger
from darts.core.names import random_name
from darts.core.stopping import stop_if_asked
from darts.dataset.joined import open_datasets
from darts.training.config import DatasetConfig, FitConfig, Hyperparameters, LoggingConfig
from darts.training.plan import RunSpec
from darts.training.run import run
from darts.tune.config import NamedCrossValidationConfig
from darts.tune.plan import (
    VAL_METRICS,
    CrossValidationPlan,
    CrossValidationSettings,
    check_cross_validation,
    plan_cross_validation,
)
from darts.tune.score import check_score_is_unstable, score_from_runs
from darts.tune.settings import differing_settings, join_settings, require_same_dataset, settings_record

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What is known of a run that ended.

    Attributes
    ----------
    duration
        Seconds.
    checkpoint
        The best checkpoint by val/JaccardIndex; empty when the run failed.
    metrics
        Validation metrics of the best checkpoint, by name; empty when the run failed.
    error
        Why the run failed; empty when it was finished.
    """

    run_name: str
    run_id: str
    fold: int
    seed: int
    duration: float
    checkpoint: str
    metrics: dict[str, float]
    error: str = ""

    @property
    def is_finished(self) -> bool:
        """Whether the run was trained to its end, and its best checkpoint measured."""
        return not self.error

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CrossValidationResult:
    """What a cross-validation gave.

    Attributes
    ----------
    score
        Mean over the runs; None as long as a run is missing or has failed.
    score_is_unstable
        Whether a scoring metric of any run is zero or not finite.
    """

    plan: CrossValidationPlan
    runs: tuple[RunInfo, ...]
    score: float | None
    score_is_unstable: bool

    @property
    def failed(self) -> tuple[RunInfo, ...]:
        """The runs that failed."""
        return tuple(info for info in self.runs if not info.is_finished)


def finished_runs(plan: CrossValidationPlan) -> dict[str, RunInfo]:
    """The runs that were finished by an earlier start, by name."""
    found = {}
    for spec in plan.runs:
        done = [one for one in plan.directory.runs_named(spec.run_name) if one.is_finished]
        if done:
            found[spec.run_name] = _read_result(done[0], spec)
    return found


def _read_result(directory: RunDirectory, spec: RunSpec) -> RunInfo:
    result = json.loads(directory.result.read_text(encoding="utf-8"))
    return RunInfo(
        run_name=spec.run_name,
        run_id=result["run_id"],
        fold=spec.data.fold,
        seed=spec.trainer.random_seed,
        duration=float(result["duration"]),
        checkpoint=str(directory.best_checkpoint),
        metrics=result["metrics"],
    )


def run_missing(plan: CrossValidationPlan, known: Mapping[str, RunInfo]) -> Iterator[RunInfo]:
    """What every run of the plan gave, in order; those that are known are not run again.

    A run that fails is one that says why. What makes every run fail, a missing dataset or a full disk, is raised.

    Raises
    ------
    Interrupted, DatasetError, OSError
    SweepError
        When the folder holds runs of something else.
    """
    make_directory(plan.directory.path, RunError)
    _claim(plan)
    infos: list[RunInfo] = []
    for number, spec in enumerate(plan.runs, start=1):
        stop_if_asked()
        infos.append(known.get(spec.run_name) or _run_one(spec, plan, number))
        write_run_infos(summarise(plan, infos))
        yield infos[-1]


def _claim(plan: CrossValidationPlan) -> None:
    """Write what the runs of a folder are runs of, or see that those that are there are of the same.

    A new sweep with the name of an old one, whose database is gone, would else take its runs for those of other points.
    """
    config = plan.directory.config
    recorded = _recorded(config) if config.exists() else {}
    if other := differing_settings(recorded, plan.record, _FREE) if recorded else []:
        raise SweepError(
            f"{plan.directory.path} holds runs with another {', '.join(other)}; choose another name, or move the folder "
            "away."
        )
    record = {**plan.record, "cv_name": plan.cv_name}
    if recorded != record:  # the next start goes on with as many seeds as this one
        write_text(config, tomli_w.dumps({"darts": record}))


def _recorded(config: Path) -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads(config.read_text(encoding="utf-8"))["darts"]
    return settings


def _run_one(spec: RunSpec, plan: CrossValidationPlan, number: int) -> RunInfo:
    spec = _gone_on_with(spec, plan)
    console.print(f"run {number} of {len(plan.runs)}: {spec.run_name}", highlight=False)
    try:
        run(spec)
    except (Interrupted, DatasetError, OSError):
        raise
    except Exception as error:  # noqa: BLE001 -- torch, smp and lightning fail in ways of their own
        _log.debug("the run %s failed", spec.run_name, exc_info=error)
        reason = one_line(error) or type(error).__name__
        _log.warning("the run %s failed: %s", spec.run_name, reason)
        return RunInfo(spec.run_name, spec.run_id, spec.data.fold, spec.trainer.random_seed, math.nan, "", {}, reason)
    finally:
        _free_memory()
    return _read_result(spec.directory, spec)


def _gone_on_with(spec: RunSpec, plan: CrossValidationPlan) -> RunSpec:
    """The run that an earlier start began, where it finished an epoch; what else is left of it is removed.

    Its folder gets the id of this start: a runner that was only paused finds its own no more, and can't write into it.
    """
    unfinished = plan.directory.runs_named(spec.run_name)
    kept = next((one for one in unfinished if one.last_checkpoint.exists()), None)
    for other in unfinished:
        if other != kept:
            shutil.rmtree(other.path)
    if kept is None:
        return spec
    kept.path.rename(spec.directory.path)
    return replace(spec, is_resumed=True)


def _free_memory() -> None:
    """Give back what a model held on the GPU, also where Lightning's cycles still hold it."""
    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()


def summarise(plan: CrossValidationPlan, infos: Sequence[RunInfo]) -> CrossValidationResult:
    """The score, when every run of the plan is finished."""
    is_complete = len(infos) == len(plan.runs) and all(info.is_finished for info in infos)
    metrics = [info.metrics for info in infos]
    score = score_from_runs(metrics, plan.scoring_metric, plan.multi_score_strategy) if is_complete else None
    unstable = not is_complete or any(check_score_is_unstable(one, plan.scoring_metric) for one in metrics)
    return CrossValidationResult(plan, tuple(infos), score, unstable)


def run_infos_table(result: CrossValidationResult) -> pd.DataFrame:
    """One row for each run; the score of the cross-validation, NaN as long as it has none, stands in every row."""
    return pd.DataFrame(
        [
            {
                "run_name": info.run_name,
                "run_id": info.run_id,
                "fold": info.fold,
                "seed": info.seed,
                "duration": info.duration,
                "checkpoint": info.checkpoint,
                "state": "finished" if info.is_finished else "failed",
                "error": info.error,
                "is_unstable": not info.is_finished
                or check_score_is_unstable(info.metrics, result.plan.scoring_metric),
                "score": math.nan if result.score is None else result.score,
                "score_is_unstable": result.score_is_unstable,
                **{name: info.metrics.get(name, math.nan) for name in VAL_METRICS},
            }
            for info in result.runs
        ]
    )


def write_run_infos(result: CrossValidationResult) -> None:
    """Write `run_infos.parquet`, whole or not at all."""
    table = run_infos_table(result)
    write_atomically(result.plan.directory.run_infos, lambda path: table.to_parquet(path, index=False))


_FREE = frozenset({"n_folds", "folds", "n_randoms", "scoring_metric", "multi_score_strategy", "cv_name"})


def plan_named_cross_validation(settings: CrossValidationSettings, cv_name: str | None) -> CrossValidationPlan:
    """A new cross-validation, or, with the name of one that was started before, that one with its settings.

    Raises
    ------
    ConfigError
        When it was started with other settings or another dataset.
    """
    name = cv_name or random_name()
    directory = cross_validation_directory(settings.logging.artifact_dir, name)
    fingerprint = open_datasets(settings.data.train_data_dir).fingerprint
    if directory.config.exists():
        what = f"the cross-validation {name}"
        recorded = _recorded(directory.config)
        settings = CrossValidationSettings.of(join_settings(recorded, settings.groups, what, _FREE))
        require_same_dataset(recorded, fingerprint, what)
    record = settings_record(settings.groups) | {"dataset_fingerprint": fingerprint}
    return plan_cross_validation(settings, name, record=record)


def run_cross_validation(plan: CrossValidationPlan) -> CrossValidationResult:
    """Run what is missing, and score it.

    Raises
    ------
    RunError
        When a run failed: a mean without it would say something else.
    Interrupted
        When somebody asked to stop.
    """
    check_cross_validation(plan)
    make_directory(plan.directory.path, RunError)
    with single_writer(plan.directory.path, RunError):
        result = summarise(plan, list(run_missing(plan, finished_runs(plan))))
    if result.failed:
        first = result.failed[0]
        raise RunError(
            f"a cross-validation needs all of its runs, but {len(result.failed)} of {len(plan.runs)} failed (the first, "
            f"{first.run_name}: {first.error.rstrip('.')}); the same with --cv-name {plan.cv_name} runs only those again."
        )
    return result


def cross_validate(
    data: DatasetConfig,
    hyperparameters: Hyperparameters,
    fit: FitConfig,
    logging: LoggingConfig,
    cv: NamedCrossValidationConfig,
) -> CrossValidationResult:
    """Plan a cross-validation and run it."""
    settings = CrossValidationSettings(data, hyperparameters, fit, logging, cv)
    return run_cross_validation(plan_named_cross_validation(settings, cv.cv_name))


cross_validation_smp = keyword_settings(cross_validate)
"""Cross-validate; the keywords are the flags of `darts cross-validation-smp`, with underscores."""
