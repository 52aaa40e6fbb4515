"""A sweep: a search space whose points are cross-validated by all who share its study, and how one is made or joined."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import optuna
import sqlalchemy as sa
from optuna import Study
from optuna.pruners import BasePruner, NopPruner, WilcoxonPruner
from optuna.storages import RDBStorage

from darts.core.artifacts import SweepDirectory, sweep_directory
from darts.core.config import Config
from darts.core.errors import ConfigError, SweepError
from darts.core.log import get_logger
from darts.core.names import random_name, safe_name
from darts.core.seeds import SPLIT_SEED
from darts.dataset.joined import open_datasets
from darts.tune.config import LONGEST_NAME, SpacePruner
from darts.tune.locks import Locks, open_locks
from darts.tune.models import check_space
from darts.tune.plan import CrossValidationSettings, check_cross_validation, plan_cross_validation
from darts.tune.sampler import PlanSampler, SeededTpeSampler
from darts.tune.score import parse_scoring_metrics, score_direction
from darts.tune.settings import join_settings, require_same_dataset, settings_record
from darts.tune.space import Space
from darts.tune.space_files import SpaceFile, read_space_file
from darts.tune.storage import explained, make_place, open_storage, patiently_at_start, persistently, shown_url
from darts.tune.trials import TOTAL_TRIALS

_log = get_logger(__name__)

Method = Literal["random", "grid", "bayes"]

RECORD = "darts"
"""The user attribute of a study that says what its sweep is."""


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """What a sweep is, whoever works on it.

    Attributes
    ----------
    name
        The sweep id: name of the study, and the tune name of all artifacts.
    settings
        The settings of every cross-validation, but for the values of its point.
    dataset_fingerprint
        Of the dataset that all runners train on.
    """

    name: str
    method: Method
    space: Space
    pruner: SpacePruner
    settings: CrossValidationSettings
    dataset_fingerprint: str

    @property
    def directory(self) -> SweepDirectory:
        """Where the sweep leaves its files."""
        return sweep_directory(self.settings.logging.artifact_dir, self.name)

    @property
    def limit(self) -> int | None:
        """Number of points, where each is visited once; a Bayesian search may come back to one."""
        return None if self.method == "bayes" else self.space.size

    def record(self) -> dict[str, Any]:
        """What the study keeps of the plan; JSON-able, without any secret."""
        cv = self.settings.cv
        runs = plan_cross_validation(self.settings, self.name).runs
        return {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "method": self.method,
            "seed": SPLIT_SEED,
            "space": self.space.as_dict(),
            "pruner": self.pruner,
            "scoring_metric": list(map(str, parse_scoring_metrics(cv.scoring_metric))),
            "multi_score_strategy": cv.multi_score_strategy,
            "runs_per_trial": len(runs),
            "settings": settings_record(self.settings.groups),
            "dataset_fingerprint": self.dataset_fingerprint,
        }


@dataclass(frozen=True, slots=True)
class Sweep:
    """A plan, and the study that is shared."""

    plan: SweepPlan
    study: Study
    url: sa.URL
    locks: Locks
    is_new: bool


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """What is wanted of a sweep.

    Attributes
    ----------
    name
        Of the sweep; None lets the file with the search space, or chance, name a new one.
    may_join
        Whether a sweep of this name may be there already.
    method
        None takes that of the file, or of the sweep that is joined.
    pruner
        None takes that of the file, or of the sweep that is joined.
    total_trials
        Of all runners together; None leaves it as it is.
    total_if_new
        The same for a new sweep, when nothing was said.
    """

    url: sa.URL
    name: str | None
    space_file: Path | None
    may_join: bool = True
    method: Method | None = None
    pruner: SpacePruner | None = None
    total_trials: int | None = None
    total_if_new: int | None = None


def open_sweep(settings: CrossValidationSettings, request: SweepRequest) -> Sweep:
    """Join the sweep, or make it.

    Raises
    ------
    SweepError
        When the database can't be used, or holds another sweep of this name.
    ConfigError
        When the search space or a setting is wrong, or not that of the sweep.
    DartsError
        When a new sweep could not work: every model of the search space sees one patch first.
    """
    name, settings, file = _read(settings, request)
    make_place(request.url)
    with explained(request.url):
        locks = open_locks(request.url)
        study = patiently_at_start(lambda: _find(request.url, locks, name))
    if study is not None:
        there = study
        return persistently(lambda: _join(there, name, settings, file, request, locks))
    plan = _new_plan(name, settings, file, request)
    with explained(request.url):
        study, is_new = patiently_at_start(lambda: _create(plan, request, locks))
    if not is_new:
        return persistently(lambda: _join(study, name, settings, file, request, locks))
    return Sweep(plan, _with_sampler(study, plan), request.url, locks, True)


def _read(
    settings: CrossValidationSettings, request: SweepRequest
) -> tuple[str, CrossValidationSettings, SpaceFile | None]:
    """The name of the sweep, its settings, and its file with the search space; flags win over the file."""
    file = None if request.space_file is None else read_space_file(request.space_file)
    name = request.name or (safe_name(file.name) if file and file.name else random_name())
    if len(name) > LONGEST_NAME:
        raise ConfigError(f"the name of a sweep has at most {LONGEST_NAME} characters, but {name!r} has {len(name)}.")
    if file is not None and file.metric and "scoring_metric" not in settings.cv.model_fields_set:
        settings = replace(settings, cv=settings.cv.model_copy(update={"scoring_metric": (file.metric,)}))
    return name, settings, file


def plan_sweep(settings: CrossValidationSettings, request: SweepRequest) -> SweepPlan:
    """Check all that a new sweep needs, and write nothing; the database isn't looked at.

    Raises
    ------
    DartsError
        When the sweep could not work.
    """
    return _new_plan(*_read(settings, request), request)


def open_database(url: sa.URL) -> tuple[RDBStorage, Locks]:
    """The storage of all sweeps, and the locks of their runners.

    Raises
    ------
    SweepError
        When the database can't be used.
    """
    with explained(url):
        locks = open_locks(url)
        return patiently_at_start(lambda: _storage(url, locks)), locks


def _storage(url: sa.URL, locks: Locks) -> RDBStorage:
    with locks.mutex("database"):
        return open_storage(url)


def _find(url: sa.URL, locks: Locks, name: str) -> Study | None:
    storage = _storage(url, locks)
    with locks.mutex(name):
        try:
            study = optuna.load_study(study_name=name, storage=storage)
        except KeyError:
            return None
        # Without a record, its maker died before it was complete, and it is made again.
        return study if RECORD in study.user_attrs or study.get_trials(deepcopy=False) else None


def _create(plan: SweepPlan, request: SweepRequest, locks: Locks) -> tuple[Study, bool]:
    """The study, and whether it is ours: eight runners may come to this place at once."""
    storage = _storage(request.url, locks)
    metrics = parse_scoring_metrics(plan.settings.cv.scoring_metric)
    with locks.mutex(plan.name):
        study = optuna.create_study(
            storage=storage, study_name=plan.name, direction=score_direction(metrics), load_if_exists=True
        )
        if RECORD in study.user_attrs:
            return study, False
        total = request.total_trials or request.total_if_new
        if total is not None:
            study.set_user_attr(TOTAL_TRIALS, total)
        study.set_user_attr(RECORD, plan.record())
        return study, True


def _with_sampler(study: Study, plan: SweepPlan) -> Study:
    study.sampler = SeededTpeSampler(SPLIT_SEED) if plan.method == "bayes" else PlanSampler(plan.space, SPLIT_SEED)
    study.pruner = make_pruner(plan.pruner)
    return study


def make_pruner(name: SpacePruner) -> BasePruner:
    """The pruner of this name; it compares the runs of a trial with those of the best one on the same folds and seeds."""
    if name == "none":
        return NopPruner()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # the user asked for it
        return WilcoxonPruner(p_threshold=0.1, n_startup_steps=2)


def _new_plan(name: str, settings: CrossValidationSettings, file: SpaceFile | None, request: SweepRequest) -> SweepPlan:
    if file is None:
        raise ConfigError(
            f"there is no sweep {name!r} in {shown_url(request.url)}, and a new one needs a file with the search space; "
            "give --sweep-config (--hpconfig for tune-smp), or check --sweep-id, --sweep-db and --artifact-dir."
        )
    fingerprint = open_datasets(settings.data.train_data_dir).fingerprint
    method = request.method or file.method or "random"
    pruner = request.pruner or ("wilcoxon" if file.early_terminate == "wilcoxon" else "none")
    plan = SweepPlan(name, method, file.space, pruner, settings, fingerprint)
    _require_method_fits(plan)
    check_space(settings, file.space)
    check_cross_validation(plan_cross_validation(settings.at(file.space.point(SPLIT_SEED, 0)), name))
    return plan


def _require_method_fits(plan: SweepPlan) -> None:
    if plan.method == "grid" and not (plan.space.is_grid and plan.space.size):
        raise ConfigError(
            "a grid tries every combination of choices and constants, 100000 at most, but the search space has ranges or "
            "more points; name the values of each hyperparameter, or search at random."
        )
    if plan.method == "bayes" and (problem := plan.space.bayes_problem()):
        raise ConfigError(f"{problem.rstrip('.')}; use method random.")


def _join(
    study: Study,
    name: str,
    settings: CrossValidationSettings,
    file: SpaceFile | None,
    request: SweepRequest,
    locks: Locks,
) -> Sweep:
    record = study.user_attrs.get(RECORD)
    if record is None:
        raise SweepError(f"the study {name!r} was not made by darts; choose another --sweep-id.")
    if not request.may_join:
        raise SweepError(
            f"there is a sweep {name!r} already; go on with it by its name (--sweep-id {name} and --device, or --tune-name "
            f"{name}), or give the new one another."
        )
    plan = joined_plan(name, record, settings)
    _require_same(plan, file, request)
    fingerprint = open_datasets(plan.settings.data.train_data_dir).fingerprint
    require_same_dataset(record, fingerprint, f"the sweep {name}")
    _raise_total(study, request.total_trials)
    return Sweep(plan, _with_sampler(study, plan), request.url, locks, False)


def _raise_total(study: Study, total: int | None) -> None:
    """A total may be raised; a runner that comes back with the old command must not lower it again."""
    before = study.user_attrs.get(TOTAL_TRIALS)
    if total is None or total == before:
        return
    if before is not None and total < before:
        _log.warning("the sweep has a total of %d trials, which is not lowered to %d.", before, total)
        return
    study.set_user_attr(TOTAL_TRIALS, total)


def joined_plan(name: str, record: Mapping[str, Any], settings: CrossValidationSettings) -> SweepPlan:
    """The plan of a sweep, from what its study keeps of it, and the settings of this start."""
    groups: dict[str, Config] = join_settings(record["settings"], settings.groups, f"the sweep {name}")
    space, fingerprint = Space.from_dict(record["space"]), record["dataset_fingerprint"]
    joined = CrossValidationSettings.of(groups)
    return SweepPlan(name, record["method"], space, record["pruner"], joined, fingerprint)


def _require_same(plan: SweepPlan, file: SpaceFile | None, request: SweepRequest) -> None:
    said = {"method": request.method or (file and file.method), "pruner": request.pruner}
    for name, value in said.items():
        if value and value != getattr(plan, name):
            raise ConfigError(
                f"the sweep {plan.name} keeps the {name} it was started with, {getattr(plan, name)}, but got {value}; leave "
                "it out, or choose another name."
            )
    if file is not None and file.space != plan.space:
        changed = sorted(
            dimension
            for dimension in {*file.space.dimensions, *plan.space.dimensions}
            if file.space.dimensions.get(dimension) != plan.space.dimensions.get(dimension)
        )
        raise ConfigError(
            f"the sweep {plan.name} keeps the search space it was started with, but {request.space_file} has another "
            f"{', '.join(changed)}; leave the file out, or choose another name."
        )
