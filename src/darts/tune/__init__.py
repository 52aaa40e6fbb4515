"""Cross-validation, tuning, and sweeps that many runners share.

    from darts.tune import cross_validation_smp, tune_smp, optuna_sweep_smp
    from darts.tune import score_from_runs, check_score_is_unstable, parse_hyperparameters

Each name is imported when it is first used: torch and optuna are slow to import, and the settings live in this package
too.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "cross_validation_smp": "darts.tune.crossvalidation",
    "tune_smp": "darts.tune.tuning",
    "optuna_sweep_smp": "darts.tune.optuna_sweep",
    "score_from_runs": "darts.tune.score",
    "check_score_is_unstable": "darts.tune.score",
    "parse_hyperparameters": "darts.tune.space_files",
}

__all__ = [
    "check_score_is_unstable",
    "cross_validation_smp",
    "optuna_sweep_smp",
    "parse_hyperparameters",
    "score_from_runs",
    "tune_smp",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
