"""`tune-smp`: one runner searches a space on one computer, then trains and tests the best point once more."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from darts.core.artifacts import RunDirectory, find_runs
from darts.core.config import build_config, keyword_settings
from darts.core.errors import RunError
from darts.core.log import console
from darts.core.names import random_id
from darts.core.seeds import SPLIT_SEED
from darts.training.config import (
    DataConfig,
    DatasetConfig,
    FitConfig,
    Hyperparameters,
    LoggingConfig,
    TestConfig,
    TrainerConfig,
)
from darts.training.plan import RunSpec
from darts.training.run import run
from darts.training.testing import TestResult, test
from darts.tune.config import CrossValidationConfig, TuneConfig
from darts.tune.plan import CrossValidationSettings
from darts.tune.runner import SweepResult, run_trials
from darts.tune.space import Value
from darts.tune.storage import database_url
from darts.tune.sweep import Sweep, SweepPlan, SweepRequest, open_sweep, plan_sweep

_GRACE = 60.0
_OF_FOLDS = ("group_by", "stratify_by", "block_size_km", "buffer_km")


@dataclass(frozen=True, slots=True)
class TuneResult:
    """What a tune gave.

    Attributes
    ----------
    sweep
        Its trials, and the best of them.
    best_run
        The run that was trained on the whole train split, if that was asked for.
    tested
        Its metrics on the test split.
    """

    sweep: SweepResult
    best_run: RunDirectory | None = None
    tested: TestResult | None = None


def open_tune(settings: CrossValidationSettings, tune: TuneConfig) -> Sweep:
    """Make the sweep of a tune, or go on with it."""
    return open_sweep(settings, _request(settings, tune))


def plan_tune(settings: CrossValidationSettings, tune: TuneConfig) -> SweepPlan:
    """The sweep of a new tune, checked, but not made."""
    return plan_sweep(settings, _request(settings, tune))


def _request(settings: CrossValidationSettings, tune: TuneConfig) -> SweepRequest:
    count = None if isinstance(tune.n_trials, str) else tune.n_trials
    return SweepRequest(
        url=database_url(None, {}, settings.logging.artifact_dir),
        name=tune.tune_name,
        space_file=tune.hpconfig,
        may_join=tune.tune_name is not None,
        method="grid" if tune.n_trials == "grid" else None,
        total_trials=count if "n_trials" in tune.model_fields_set else None,
        total_if_new=count,
    )


def run_tune(sweep: Sweep, retrain_and_test: bool) -> TuneResult:
    """Try what is left to try; then, if asked for, train the best point on the whole train split, and test it.

    Raises
    ------
    Interrupted
        When somebody asked to stop.
    RunError
        When no trial could be scored, so that there is none to train again.
    """
    result = run_trials(sweep, None, _GRACE)
    if not retrain_and_test:
        return TuneResult(result)
    if result.best is None or result.best_point is None:
        raise RunError(f"the tune {result.name} has no trial with a score, so there is none to train again.")
    best_run = _retrained(sweep.plan, result.best, result.best_point)
    tested = test(
        TestConfig(
            run_id=best_run.name_and_id[1],
            artifact_dir=sweep.plan.settings.logging.artifact_dir,
            device=sweep.plan.settings.fit.device,
            num_workers=sweep.plan.settings.fit.num_workers,
            model_factory=sweep.plan.settings.at(result.best_point).hyperparameters.model_factory,
        )
    )
    return TuneResult(result, best_run, tested)


def _retrained(plan: SweepPlan, number: int, point: Mapping[str, Value]) -> RunDirectory:
    """The best point, trained on the whole train split without folds; once, however often it is asked for."""
    name = f"{plan.name}-best-cv{number}"
    for there in find_runs(plan.directory.path):
        if there.name_and_id[0] == name and there.is_finished:
            return there
    settings = plan.settings.at(point)
    undivided = {name: DataConfig.model_fields[name].default for name in _OF_FOLDS} | {"fold_method": "none"}
    data = build_config(DataConfig, dict(settings.data) | undivided)
    spec = RunSpec(
        data=cast("DataConfig", data),
        hyperparameters=settings.hyperparameters,
        trainer=TrainerConfig(**dict(settings.fit), random_seed=SPLIT_SEED),
        logging=settings.logging,
        run_name=name,
        run_id=random_id(),
        tune_name=plan.name,
    )
    console.print(f"training the best point once more on the whole train split: {name}", highlight=False)
    run(spec)
    return spec.directory


def tune(
    data: DatasetConfig,
    hyperparameters: Hyperparameters,
    fit: FitConfig,
    logging: LoggingConfig,
    cv: CrossValidationConfig,
    tune: TuneConfig,
) -> TuneResult:
    """Plan a tune and run it."""
    sweep = open_tune(CrossValidationSettings(data, hyperparameters, fit, logging, cv), tune)
    return run_tune(sweep, tune.retrain_and_test)


tune_smp = keyword_settings(tune)
"""Tune; the keywords are the flags of `darts tune-smp`, with underscores."""
