"""The database of sweeps: its URL, its connections, and what its errors mean."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import optuna
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage

from darts.core.artifacts import sweep_database
from darts.core.errors import SweepError, one_line
from darts.core.files import make_directory
from darts.core.log import get_logger
from darts.tune.config import SWEEP_DB_VARIABLE

_log = get_logger(__name__)

T = TypeVar("T")

PATIENCE = 3600.0
"""Seconds to wait for a database that is away, before a runner gives up; what it has finished stays on disk."""
_LONGEST_PAUSE = 5.0
_START_PATIENCE = 60.0
_DRIVERS = {"postgres": "postgresql+psycopg2", "postgresql": "postgresql+psycopg2"}
# Names and places are looked for in the words of libpq, which a server in another language would say otherwise.
_REASONS = (
    ("password authentication failed", "the database refuses the password; check it, or use ~/.pgpass"),
    ("no password supplied", "the database wants a password; put it into the URL, or use ~/.pgpass"),
    ("does not exist", "the server has no such database or user; create it (createdb), or check the URL"),
    ("too many clients", "the server has no free connection; raise its max_connections, or start fewer runners"),
    (
        "remaining connection slots",
        "the server has no free connection; raise its max_connections, or start fewer runners",
    ),
    ("Connection refused", "no server answers there; start it, or check host and port"),
    ("No such file or directory", "no server answers there; start it, or check host and port"),
    ("could not translate host name", "there is no such host; check the URL"),
    ("unable to open database file", "the file can't be opened; check the folder and its rights"),
    ("file is not a database", "the file is no SQLite database; name another one"),
)
_BUSY = ("too many clients", "remaining connection slots", "starting up")


def database_url(given: str | None, environment: Mapping[str, str], artifact_dir: Path) -> sa.URL:
    """The URL of the database: as given, else from the environment, else a SQLite file in the artifact directory.

    `postgres://` and `postgresql://` mean psycopg2.

    Raises
    ------
    SweepError
        When it is no URL of a database.
    """
    text = given or environment.get(SWEEP_DB_VARIABLE)
    if not text:
        return sa.URL.create("sqlite", database=str(sweep_database(artifact_dir).resolve()))
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise SweepError(
            "--sweep-db: a database has a URL such as postgresql://user@host:5432/sweeps or sqlite:////folder/sweeps.db, "
            "but got something else (not shown, it may hold a password)."
        ) from None
    if url.drivername.startswith("sqlite") and not url.database:
        raise SweepError("--sweep-db: a sweep in memory would be lost; name a file, as in sqlite:////folder/sweeps.db.")
    return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))


def shown_url(url: sa.URL) -> str:
    """The URL without any password."""
    hidden = {name: "***" for name in url.query if "pass" in name.lower()}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def has_password(url: sa.URL) -> bool:
    """Whether the URL must not be shown as it is."""
    return shown_url(url) != url.render_as_string(hide_password=False)


def connect_arguments(url: sa.URL) -> dict[str, Any]:
    """Arguments of the driver, so that a dead peer is noticed within a minute, and all sessions have one clock."""
    if url.get_backend_name() == "sqlite":
        return {"timeout": 60}
    if url.get_backend_name() != "postgresql":
        return {}
    served = "-c timezone=UTC -c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
    own = url.query.get("options", "")
    return {
        "application_name": "darts",
        "connect_timeout": 10,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        "options": f"{own if isinstance(own, str) else ' '.join(own)} {served}".strip(),
    }


def open_storage(url: sa.URL) -> RDBStorage:
    """Optuna's storage; creates its tables where there are none, so only one process at a time may call it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pool = {} if url.get_backend_name() == "sqlite" else {"pool_size": 1, "max_overflow": 1, "pool_pre_ping": True}
    text = url.render_as_string(hide_password=False)
    # Optuna fills a template in the URL, so that braces in a password would be taken for fields.
    escaped = text.replace("{", "{{").replace("}", "}}")
    return RDBStorage(escaped, engine_kwargs={**pool, "connect_args": connect_arguments(url)})


def make_place(url: sa.URL) -> None:
    """Make the folder of a SQLite file."""
    if url.get_backend_name() == "sqlite":
        make_directory(Path(str(url.database)).resolve().parent, SweepError)


@contextmanager
def explained(url: sa.URL) -> Iterator[None]:
    """Turn the errors of connecting into one clear line, without the password.

    Raises
    ------
    SweepError
    """
    try:
        yield
    except (ImportError, sa.exc.NoSuchModuleError):
        raise SweepError(
            f"--sweep-db: there is no driver for {url.drivername}; install one, or use a URL that begins with postgresql://."
        ) from None
    except (sa.exc.SQLAlchemyError, StorageInternalError, RuntimeError) as error:
        said = _innermost(error)
        reason = next((reason for marker, reason in _REASONS if marker in said), _without(url, said))
        raise SweepError(f"--sweep-db: {shown_url(url)} can't be used: {reason}.") from None


def _innermost(error: BaseException) -> str:
    """What the driver said."""
    while error.__cause__ is not None:
        error = error.__cause__
    return one_line(getattr(error, "orig", None) or error)


def _without(url: sa.URL, text: str) -> str:
    password = url.password
    return (text.replace(str(password), "***") if password else text).rstrip(".")


def is_outage(error: BaseException | None) -> bool:
    """Whether an error means that the database is away, or busy, and may come back."""
    while error is not None:
        if isinstance(error, (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError)):
            return True
        if isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated:
            return True
        error = error.__cause__ or error.__context__
    return False


def persistently(action: Callable[[], T], patience: float | None = None) -> T:
    """Do something with the database; while it is away, wait for it and try again, saying so once.

    Raises
    ------
    SweepError
        When it stays away for longer than `patience` seconds (`PATIENCE` if not given).
    """
    patience = PATIENCE if patience is None else patience
    since, pause, is_told = time.monotonic(), 0.1, False
    while True:
        try:
            result = action()
        except Exception as error:
            if not is_outage(error):
                raise
            away = time.monotonic() - since
            if away > patience:
                raise SweepError(
                    f"the database has been away for {away:.0f} seconds; what is finished is kept on disk, and is reported "
                    "when the sweep is joined again."
                ) from None
            if not is_told:
                _log.warning("the database is away (%s), waiting for it.", _innermost(error))
                is_told = True
        else:
            if is_told:
                _log.warning("the database is back after %.0f seconds.", time.monotonic() - since)
            return result
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def patiently_at_start(action: Callable[[], T]) -> T:
    """Do something with the database for the first time; wait only for a server that is busy or starting."""
    until = time.monotonic() + _START_PATIENCE
    while True:
        try:
            return action()
        except Exception as error:
            if time.monotonic() > until or not any(word in _innermost(error) for word in _BUSY):
                raise
        time.sleep(0.5)
