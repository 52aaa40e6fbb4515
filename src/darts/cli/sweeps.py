"""What `darts sweep` shows of the sweeps in a database."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from darts.cli.output import say, say_next, say_table
from darts.core.artifacts import sweep_directory
from darts.core.errors import SweepError
from darts.tune.config import SweepReportConfig, SweepViewConfig

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import RDBStorage

    from darts.tune.locks import Locks
    from darts.tune.status import SweepStatus

__all__ = ["say_status", "say_sweeps", "write_sweep_report"]


def _open(config: SweepViewConfig | SweepReportConfig) -> tuple["RDBStorage", "Locks"]:
    from darts.tune.storage import database_url
    from darts.tune.sweep import open_database

    given = config.sweep_db.get_secret_value() if config.sweep_db else None
    url = database_url(given, os.environ, config.artifact_dir)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        raise SweepError(f"there is no sweep in {url.database}; name another --artifact-dir, or give --sweep-db.")
    return open_database(url)


def _study(storage: "RDBStorage", name: str) -> "Study":
    import optuna

    from darts.tune.sweep import RECORD

    names = optuna.get_all_study_names(storage)
    if name not in names:
        there = ", ".join(names[-10:]) or "no sweep at all"
        raise SweepError(f"there is no sweep {name!r}; there is {there}.")
    study = optuna.load_study(study_name=name, storage=storage)
    if RECORD not in study.user_attrs:
        raise SweepError(f"the study {name!r} was not made by darts.")
    return study
