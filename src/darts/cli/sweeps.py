"""What `darts sweep` shows of the sweeps in a database."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darts.cli.output import say, say_next, say_table
from darts.core.artifacts import sweep_directory
from darts.core.durations import duration_text
from darts.core.errors import SweepError
from darts.tune.config import SweepReportConfig, SweepViewConfig

if TYPE_CHECKING:
    import sqlalchemy as sa
    from optuna import Study
    from optuna.storages import RDBStorage

    from darts.tune.locks import Locks
    from darts.tune.status import SweepStatus


def sweep_url(config: SweepViewConfig | SweepReportConfig) -> "sa.URL":
    """The database that is looked into."""
    from darts.tune.storage import database_url

    given = config.sweep_db.get_secret_value() if config.sweep_db else None
    return database_url(given, os.environ, config.artifact_dir)


def is_found_without_flag(url: "sa.URL", artifact_dir: Path) -> bool:
    """Whether a command finds this database by itself."""
    from darts.tune.storage import database_url

    return url == database_url(None, os.environ, artifact_dir)


def database_words(url: "sa.URL", artifact_dir: Path) -> list[str]:
    """The flag that names a database, where a command doesn't find it by itself; never with a password."""
    from darts.tune.storage import has_password, shown_url

    return [] if is_found_without_flag(url, artifact_dir) or has_password(url) else ["--sweep-db", shown_url(url)]


def sweep_words(name: str, url: "sa.URL", artifact_dir: Path) -> list[str]:
    """The flags by which `darts sweep` finds a sweep."""
    return ["--sweep-id", name, "--artifact-dir", str(artifact_dir), *database_words(url, artifact_dir)]


def _open(config: SweepViewConfig | SweepReportConfig) -> tuple["RDBStorage", "Locks"]:
    from darts.tune.sweep import open_database

    url = sweep_url(config)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        raise SweepError(f"there is no sweep database {url.database}; check --artifact-dir, or give --sweep-db.")
    return open_database(url)


def _studies(storage: "RDBStorage") -> dict[str, "Study"]:
    """The sweeps of a database by name; studies of others are passed over."""
    import optuna

    from darts.tune.sweep import RECORD

    found = (optuna.load_study(study_name=name, storage=storage) for name in optuna.get_all_study_names(storage))
    return {study.study_name: study for study in found if RECORD in study.user_attrs}


def _study(storage: "RDBStorage", name: str) -> "Study":
    studies = _studies(storage)
    if name not in studies:
        there = ", ".join(list(studies)[-10:]) or "no sweep at all"
        raise SweepError(f"there is no sweep {name!r} in the database; it has {there}.")
    return studies[name]


def say_sweeps(config: SweepViewConfig) -> None:
    """Print a line for each sweep of the database."""
    from darts.tune.status import sweep_status

    storage, locks = _open(config)
    rows = []
    for name, study in _studies(storage).items():
        status = sweep_status(study, _living(locks))
        best = "" if status.best is None else f"{status.best.score:.4f}"
        rows.append((name, status.counts.get("complete", 0), status.total or "", len(status.living), best))
    locks.close()
    if not rows:
        say("there is no sweep in the database.")
        return
    say_table("sweeps", ("sweep", "complete", "of", "runners", "best score"), rows)
    say_next("darts", "sweep", "status", *sweep_words(rows[-1][0], sweep_url(config), config.artifact_dir))


def _living(locks: "Locks") -> Any:
    return lambda owner: locks.is_held(str(owner["runner"]))


def say_status(config: SweepViewConfig, name: str) -> None:
    """Print how far a sweep is."""
    from darts.tune.status import sweep_status

    storage, locks = _open(config)
    try:
        status = sweep_status(_study(storage, name), _living(locks))
    finally:
        locks.close()
    _say_counts(status)
    _say_runners(status)
    _say_best(status)
    for failed in status.failed:
        say(f"trial {failed.number} failed: {failed.reason}")
    say_next("darts", "sweep", "report", *sweep_words(name, sweep_url(config), config.artifact_dir))


def _say_counts(status: "SweepStatus") -> None:
    counts = ", ".join(f"{count} {state}" for state, count in status.counts.items() if count)
    of = "" if status.total is None else f" of {status.total}"
    say(f"sweep {status.sweep_id}: {status.counts.get('complete', 0)}{of} trials complete ({counts or 'none begun'})")
    if status.seconds_per_trial is not None:
        left = f"; about {duration_text(status.seconds_left)} left" if status.seconds_left else ""
        say(f"a trial takes {duration_text(status.seconds_per_trial)} on average{left}")


def _say_runners(status: "SweepStatus") -> None:
    if not status.living and not status.lost:
        say("no runner is at work.")
        return
    rows = [
        (one.runner, state, one.host, one.pid, one.device, one.trial, one.runs_finished, one.since)
        for state, runners in (("alive", status.living), ("lost", status.lost))
        for one in runners
    ]
    say_table("runners at work", ("runner", "is", "host", "pid", "device", "trial", "runs finished", "since"), rows)
    if status.lost:
        say("the trial of a lost runner goes to the next runner that asks for one.")


def _say_best(status: "SweepStatus") -> None:
    if status.best is None or status.spread is None:
        say("no trial has a score so far.")
        return
    spread = status.spread
    say(f"scores from {spread.lowest:.4f} to {spread.highest:.4f}, median {spread.median:.4f}")
    deviation = "" if status.best.deviation is None else f" ± {status.best.deviation:.4f} from run to run"
    unstable = ", unstable: a metric of a run is 0" if status.best.is_unstable else ""
    score = f"score {status.best.score:.4f}{deviation}{unstable}"
    say(f"best so far: trial {status.best.number} ({status.best.cv_name}), {score}")
    say_table("", ("hyperparameter", "value"), list(status.best.params.items()))


def write_sweep_report(config: SweepReportConfig) -> Path:
    """Draw a sweep into its folder, or into the file that is named."""
    from darts.tune.report import write_report

    storage, locks = _open(config)
    locks.close()
    study = _study(storage, config.sweep_id)
    return write_report(study, config.output or sweep_directory(config.artifact_dir, config.sweep_id).report)
