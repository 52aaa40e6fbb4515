"""Settings of cross-validation, tuning and sweeps; standard library and pydantic only."""

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    model_validator,
)

from darts.core.config import Config, Listed, OrNone
from darts.core.names import SafeName

ScoreStrategy = Literal["harmonic", "arithmetic", "geometric", "min"]
SpacePruner = Literal["none", "wilcoxon"]
DEFAULT_METRICS = ("val/JaccardIndex", "val/Recall")
LONGEST_NAME = 40
SWEEP_DB_VARIABLE = "DARTS_SWEEP_DB"


def normalised_metric(text: str) -> str:
    """`val0/JaccardIndex` -> `val/JaccardIndex`; a direction, `:higher` or `:lower`, is kept.

    Raises
    ------
    ValueError
        When it isn't `val/NAME`, or has another suffix.
    """
    name, colon, direction = text.strip().partition(":")
    name = re.sub(r"^val\d+/", "val/", name)
    if not re.fullmatch(r"val/\w+", name) or (colon and direction not in ("higher", "lower")):
        raise ValueError("a scoring metric is val/NAME, val/NAME:higher or val/NAME:lower")
    return f"{name}{colon}{direction}"


def _metrics(values: tuple[str, ...]) -> tuple[str, ...]:
    metrics = tuple(map(normalised_metric, values))
    names = [metric.partition(":")[0] for metric in metrics]
    if len(set(names)) < len(names):
        raise ValueError("a scoring metric may come once")
    return metrics


def _short(name: str) -> str:
    if len(name) > LONGEST_NAME:
        raise ValueError(
            f"a name that others are made of has at most {LONGEST_NAME} characters, so that theirs have at most 64"
        )
    return name


def _count_or_grid(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


ShortName = Annotated[SafeName, AfterValidator(_short)]
"""A `SafeName` that leaves room for `-cv12-run-f0s42`."""


class CrossValidationConfig(Config, frozen=True):
    """How many runs a cross-validation has, and what its score is."""

    panel: ClassVar[str] = "Cross-validation"

    n_folds: OrNone[PositiveInt] = None
    """Number of folds that are run, from fold 0 on; all of total-folds if not given."""
    folds: Listed[NonNegativeInt] = ()
    """The folds that are run, such as 0,2, in place of n-folds."""
    n_randoms: PositiveInt = 3
    """Number of random seeds that each fold is run with: 42, 21, 69, then others that are always the same."""
    scoring_metric: Annotated[Listed[str], AfterValidator(_metrics)] = DEFAULT_METRICS
    """What is scored: metrics of the best checkpoint, such as val/JaccardIndex or val/loss:lower. Of one metric, the score
    is the mean over the runs; several are combined in each run first. Repeatable."""
    multi_score_strategy: ScoreStrategy = "harmonic"
    """How several metrics of a run become one number: harmonic, arithmetic or geometric mean, or the min; a metric with
    `:lower` enters as 1 / metric."""

    @model_validator(mode="after")
    def _something_is_scored(self) -> Self:
        if not self.scoring_metric:
            raise ValueError("--scoring-metric: at least one metric is scored, but none was given")
        return self

    @model_validator(mode="after")
    def _one_choice_of_folds(self) -> Self:
        if self.folds and self.n_folds is not None:
            raise ValueError("--folds and --n-folds each say which folds are run; give one of them")
        if len(set(self.folds)) < len(self.folds):
            raise ValueError("--folds names each fold once")
        return self


class NamedCrossValidationConfig(CrossValidationConfig, frozen=True):
    """A cross-validation by itself."""

    cv_name: OrNone[ShortName] = None
    """Name of the cross-validation, random and readable if not given; with the name of one that was stopped, only what is
    missing is run."""


class TuneConfig(Config, frozen=True):
    """Which hyperparameters are tried."""

    panel: ClassVar[str] = "Tune"

    hpconfig: OrNone[Path] = None
    """File with the search space (YAML or TOML): `hyperparameters`, or a sweep file of W&B."""
    n_trials: Annotated[PositiveInt | Literal["grid"], BeforeValidator(_count_or_grid)] = 100
    """Number of points to try, drawn with seed 42; `grid` tries every combination of choices and constants."""
    retrain_and_test: bool = False
    """Train the best point once more on the whole train split, without folds, and test that model on the test split."""
    tune_name: OrNone[ShortName] = None
    """Name of the tune, random and readable if not given; with the name of one that was stopped, it goes on."""


class SweepDatabaseConfig(Config, frozen=True):
    """Where sweeps are kept."""

    panel: ClassVar[str] = "Sweep"

    sweep_db: OrNone[SecretStr] = None
    """URL of the database that runners share, such as postgresql://user@host:5432/sweeps; also read from the environment,
    DARTS_SWEEP_DB. If not given, the file sweeps.db in the artifact directory, which serves runners on one computer."""


class SweepConfig(SweepDatabaseConfig, frozen=True):
    """Which hyperparameters are tried, by whom, and for how long."""

    sweep_config: OrNone[Path] = None
    """File with the search space (YAML or TOML), as W&B writes sweeps, or `hyperparameters`; needed for a new sweep only."""
    sweep_id: OrNone[ShortName] = None
    """Name of the sweep to join; one that doesn't exist yet names the new sweep. If not given, the name in the sweep file,
    or a random and readable one."""
    n_trials: Annotated[PositiveInt | Literal["grid"], BeforeValidator(_count_or_grid)] = 10
    """Number of trials that this runner finishes; `grid` tries every combination, whichever runner does."""
    total_trials: OrNone[PositiveInt] = None
    """Number of trials of all runners together; a later runner may raise it. No limit if not given."""
    pruner: SpacePruner = "none"
    """`wilcoxon` gives a trial up when its runs are clearly worse than those of the best trial on the same folds and
    seeds."""
    grace: PositiveFloat = 60.0
    """Seconds after which a runner that can't be reached has lost its trial to the next one; a runner that is only slow
    keeps it."""
    runners_on: Listed[str] = ()
    """Start one runner process on each of these devices, such as 0,1,2,3, and wait for them."""


class SweepViewConfig(SweepDatabaseConfig, frozen=True):
    """Which sweep is looked at."""

    sweep_id: OrNone[SafeName] = None
    """Name of the sweep; all sweeps of the database are listed if not given."""
    artifact_dir: Path = Path("artifacts")
    """Folder of all runs."""


class SweepReportConfig(SweepDatabaseConfig, frozen=True):
    """Which sweep is drawn, and into what."""

    sweep_id: SafeName = Field()
    """Name of the sweep."""
    artifact_dir: Path = Path("artifacts")
    """Folder of all runs."""
    output: OrNone[Path] = None
    """HTML file to write; report.html in the folder of the sweep if not given."""
