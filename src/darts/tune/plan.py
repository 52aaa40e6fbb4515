"""The plan of a cross-validation: its runs, how they are scored, and every check that needs no training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np

from darts.core.artifacts import CrossValidationDirectory, cross_validation_directory
from darts.core.config import Config, build_config
from darts.core.errors import ConfigError
from darts.core.log import get_logger
from darts.core.names import random_id
from darts.core.seeds import SPLIT_SEED
from darts.dataset.joined import open_datasets
from darts.training.config import DataConfig, DatasetConfig, FitConfig, Hyperparameters, LoggingConfig, TrainerConfig
from darts.training.datamodule import PatchDataModule
from darts.training.devices import one_device
from darts.training.metrics import BINS, Statistics, named_metrics
from darts.training.plan import PreparedRun, RunSpec
from darts.training.split_files import read_split_file
from darts.tune.config import CrossValidationConfig, ScoreStrategy
from darts.tune.score import doubtful_direction, parse_scoring_metrics

_log = get_logger(__name__)

_FIRST_SEEDS = (42, 21, 69)
_HIGHEST_SEED = 10_000
VAL_METRICS = tuple(named_metrics("val", Statistics(np.zeros((1, 2, 2), int), np.zeros((2, BINS), int), 0.0)))
"""What can be scored: what a run knows of its best checkpoint."""


@dataclass(frozen=True, slots=True)
class CrossValidationSettings:
    """All groups of settings of a cross-validation."""

    data: DatasetConfig
    hyperparameters: Hyperparameters
    fit: FitConfig
    logging: LoggingConfig
    cv: CrossValidationConfig

    @property
    def groups(self) -> dict[str, Config]:
        """The groups by name."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of(cls, groups: Mapping[str, Config]) -> "CrossValidationSettings":
        """What `groups` was made of; other groups are passed over."""
        return cls(**{name: cast("Any", groups[name]) for name in cls.__slots__})

    def at(self, point: Mapping[str, Any]) -> "CrossValidationSettings":
        """The settings with the values of a point of a search space: hyperparameters, and `bands`.

        Raises
        ------
        ConfigError
            When a value breaks a rule of its setting.
        """
        values = {name: value for name, value in point.items() if name != "bands"}
        hyperparameters = build_config(Hyperparameters, dict(self.hyperparameters) | values)
        data = self.data
        if "bands" in point:
            data = cast("DatasetConfig", build_config(DatasetConfig, dict(data) | {"bands": point["bands"]}))
        return replace(self, data=data, hyperparameters=cast("Hyperparameters", hyperparameters))


def seeds(count: int) -> list[int]:
    """42, 21, 69, then others drawn by a generator that is seeded with 42; none comes twice."""
    rng = np.random.default_rng(SPLIT_SEED)
    chosen = list(_FIRST_SEEDS)
    while len(chosen) < count:
        seed = int(rng.integers(_HIGHEST_SEED))
        if seed not in chosen:
            chosen.append(seed)
    return chosen[:count]


@dataclass(frozen=True, slots=True)
class CrossValidationPlan:
    """The runs of a cross-validation, in their order, and how they are scored.

    Attributes
    ----------
    record
        What is written beside the runs.
    """

    cv_name: str
    tune_name: str | None
    runs: tuple[RunSpec, ...]
    scoring_metric: tuple[str, ...]
    multi_score_strategy: ScoreStrategy
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def directory(self) -> CrossValidationDirectory:
        """Where the cross-validation leaves its files."""
        return cross_validation_directory(self.runs[0].logging.artifact_dir, self.cv_name, self.tune_name)


def plan_cross_validation(
    settings: CrossValidationSettings,
    cv_name: str,
    tune_name: str | None = None,
    record: Mapping[str, Any] | None = None,
) -> CrossValidationPlan:
    """Folds x seeds runs, fold by fold.

    Raises
    ------
    ConfigError
        When more folds are to be run than there are, or a metric is scored that runs don't have.
    """
    data, cv = settings.data, settings.cv
    _require_scorable(cv.scoring_metric)
    runs = tuple(
        RunSpec(
            data=DataConfig(**dict(data), fold=fold),
            hyperparameters=settings.hyperparameters,
            trainer=TrainerConfig(**dict(settings.fit), random_seed=seed),
            logging=settings.logging,
            run_name=f"{cv_name}-run-f{fold}s{seed}",
            run_id=random_id(),
            cv_name=cv_name,
            tune_name=tune_name,
        )
        for fold in _chosen_folds(data, cv)
        for seed in seeds(cv.n_randoms)
    )
    return CrossValidationPlan(cv_name, tune_name, runs, cv.scoring_metric, cv.multi_score_strategy, record or {})


def _chosen_folds(data: DatasetConfig, cv: CrossValidationConfig) -> tuple[int, ...]:
    """The folds to run, of those that there are."""
    there = _fold_numbers(data)
    if cv.n_folds is not None and cv.n_folds > len(there):
        raise ConfigError(
            f"--n-folds {cv.n_folds} asks for more folds than the {len(there)} that {_what_divides(data)} makes; raise "
            "--total-folds, or lower --n-folds."
        )
    if others := [fold for fold in cv.folds if fold not in there]:
        raise ConfigError(
            f"--folds: {_what_divides(data)} makes the folds {', '.join(map(str, there))}, but not {others[0]}; name some "
            "of them."
        )
    return cv.folds or there[: cv.n_folds]


def _fold_numbers(data: DatasetConfig) -> tuple[int, ...]:
    if data.split_file is not None:
        metadata = open_datasets(data.train_data_dir).metadata
        return tuple(fold.number for fold in read_split_file(data.split_file, metadata).folds)
    return (0,) if data.fold_method == "none" else tuple(range(data.total_folds))


def _what_divides(data: DatasetConfig) -> str:
    return f"--split-file {data.split_file}" if data.split_file else f"--fold-method {data.fold_method}"


def _require_scorable(scoring_metric: Sequence[str]) -> None:
    for metric in parse_scoring_metrics(scoring_metric):
        if metric.name not in VAL_METRICS:
            raise ConfigError(f"--scoring-metric: no run has {metric.name!r}; there are {', '.join(VAL_METRICS)}.")
        if doubtful_direction(metric):
            _log.warning("%s is scored as if %s were better.", metric.name, metric.direction)


def check_cross_validation(plan: CrossValidationPlan) -> None:
    """Check all that needs no training: device, dataset, every fold, and that the model takes the patches.

    Raises
    ------
    DartsError
        When a run couldn't work.
    """
    one_device(plan.runs[0].trainer.device)
    PreparedRun(plan.runs[0])
    for spec in {spec.data.fold: spec for spec in plan.runs}.values():
        PatchDataModule(spec.data, spec.hyperparameters, spec.trainer).roles()
