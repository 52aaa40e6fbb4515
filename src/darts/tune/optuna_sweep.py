"""`optuna-sweep-smp`: make a sweep or join one, and work on its trials."""

import os
from pathlib import Path

from darts.core.config import keyword_settings
from darts.core.errors import ConfigError
from darts.training.config import DatasetConfig, FitConfig, Hyperparameters, LoggingConfig
from darts.tune.config import CrossValidationConfig, SweepConfig
from darts.tune.plan import CrossValidationSettings
from darts.tune.runner import SweepResult, run_trials
from darts.tune.storage import database_url
from darts.tune.sweep import Sweep, SweepPlan, SweepRequest, open_sweep, plan_sweep


def request_of(sweep: SweepConfig, artifact_dir: Path) -> SweepRequest:
    """What the settings ask for: a new sweep, or to join one.

    Raises
    ------
    SweepError
        When the URL is none.
    """
    given = sweep.sweep_db.get_secret_value() if sweep.sweep_db else None
    return SweepRequest(
        url=database_url(given, os.environ, artifact_dir),
        name=sweep.sweep_id,
        space_file=sweep.sweep_config,
        may_join=sweep.sweep_id is not None,
        method="grid" if sweep.n_trials == "grid" else None,
        pruner=sweep.pruner if "pruner" in sweep.model_fields_set else None,
        total_trials=sweep.total_trials,
    )


def runs_trials(fit: FitConfig) -> bool:
    """Whether a device was named, on which trials are to be run."""
    return "device" in fit.model_fields_set


def plan_requested(settings: CrossValidationSettings, sweep: SweepConfig) -> SweepPlan:
    """The new sweep that the settings ask for, checked, but not made."""
    return plan_sweep(settings, request_of(sweep, settings.logging.artifact_dir))


def open_requested(settings: CrossValidationSettings, sweep: SweepConfig) -> Sweep:
    """Make or join the sweep that the settings ask for.

    Raises
    ------
    ConfigError
        When a sweep is to be joined without a device to run on.
    """
    opened = open_sweep(settings, request_of(sweep, settings.logging.artifact_dir))
    if not opened.is_new and not runs_trials(settings.fit) and not sweep.runners_on:
        opened.locks.close()
        raise ConfigError(
            f"the sweep {opened.plan.name} exists, and to join it needs a device to run trials on; add --device 0, or "
            "--device cpu."
        )
    return opened


def optuna_sweep(
    data: DatasetConfig,
    hyperparameters: Hyperparameters,
    fit: FitConfig,
    logging: LoggingConfig,
    cv: CrossValidationConfig,
    sweep: SweepConfig,
) -> SweepResult:
    """Make a sweep or join one, and run trials if a device is given."""
    if sweep.runners_on:
        raise ConfigError("--runners-on starts processes of the command; from Python, call this once in each process.")
    opened = open_requested(CrossValidationSettings(data, hyperparameters, fit, logging, cv), sweep)
    if not runs_trials(fit):
        opened.locks.close()
        return SweepResult(opened.plan.name, opened.is_new, opened.plan.directory.path)
    return run_trials(opened, None if sweep.n_trials == "grid" else sweep.n_trials, sweep.grace)


optuna_sweep_smp = keyword_settings(optuna_sweep)
"""Make or join a sweep; the keywords are the flags of `darts optuna-sweep-smp`, with underscores."""
