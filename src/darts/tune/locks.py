"""Who is alive, and who is first: locks that a database, or the operating system, frees when their holder dies.

Every runner holds a lock of its own for as long as it lives; that it is free means that its holder died, or lost its
connection. A mutex makes runners take their turns. Both need one session each beside those of Optuna.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from filelock import FileLock, Timeout

from darts.core.errors import SweepError
from darts.core.seeds import derive_seed
from darts.tune.storage import connect_arguments, shown_url

_RUNNERS = 0x64617274  # the classes of our advisory locks: "dart", and the next
_MUTEXES = _RUNNERS + 1
_POLL = 0.02
_MUTEX_SECONDS = 60
_WAIT_SECONDS = 1
_LOCK_TIMEOUT = "55P03"  # lock_not_available of PostgreSQL


class Locks(Protocol):
    """What every kind of database offers; a contract with one test suite for all."""

    def mutex(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Let one runner in at a time."""

    def hold(self, runner: str) -> None:
        """Hold the lock of a runner, also after the connection was lost; to be called again and again."""

    def is_held(self, runner: str) -> bool:
        """Whether the runner's lock is held, by whichever process."""

    def beat(self, trial_id: int) -> None:
        """Note that the owner of a trial lives."""

    def silent_for(self, trial_id: int) -> float:
        """Seconds since the last beat for a trial, or since the server started; infinite without a beat."""

    def close(self) -> None:
        """Free all that is held."""


def open_locks(url: sa.URL) -> Locks:
    """The locks of a database.

    Raises
    ------
    SweepError
        When this kind of database has none that free themselves.
    """
    kinds: dict[str, Callable[[sa.URL], Locks]] = {
        "sqlite": FileLocks,
        "postgresql": PostgresLocks,
        "mysql": MySqlLocks,
        "mariadb": MySqlLocks,
    }
    if url.get_backend_name() not in kinds:
        raise SweepError(
            f"--sweep-db: sweeps are kept in PostgreSQL, MySQL or SQLite, but got {shown_url(url)}; use one of them."
        )
    return kinds[url.get_backend_name()](url)


_BEAT = sa.text("update trial_heartbeats set heartbeat = current_timestamp where trial_id = :trial")
_FIRST_BEAT = sa.text("insert into trial_heartbeats (trial_id, heartbeat) values (:trial, current_timestamp)")


def _beat(connection: sa.Connection, trial_id: int) -> None:
    if not connection.execute(_BEAT, {"trial": trial_id}).rowcount:
        connection.execute(_FIRST_BEAT, {"trial": trial_id})


def _age(connection: sa.Connection, query: str, trial_id: int) -> float:
    seconds = connection.execute(sa.text(query), {"trial": trial_id}).scalar()
    return float("inf") if seconds is None else float(seconds)


class FileLocks:
    """Locks of the operating system on files beside a SQLite file; runners on one computer only."""

    def __init__(self, url: sa.URL) -> None:
        self._database = Path(str(url.database))
        self._engine = sa.create_engine(url, connect_args=connect_arguments(url), isolation_level="AUTOCOMMIT")
        self._held: dict[str, FileLock] = {}

    def _file(self, name: str) -> Path:
        return self._database.with_name(f"{self._database.name}.{name}.lock")

    @contextlib.contextmanager
    def mutex(self, name: str) -> Iterator[None]:
        """Let one runner in at a time."""
        with FileLock(self._file(f"turn-{name}"), poll_interval=_POLL):
            yield

    def hold(self, runner: str) -> None:
        """Hold the lock of a runner."""
        if runner not in self._held:
            self._held[runner] = FileLock(self._file(f"runner-{runner}"), thread_local=False)
            self._held[runner].acquire(timeout=_MUTEX_SECONDS)

    def is_held(self, runner: str) -> bool:
        """Whether the runner's lock is held; the file of a dead one is removed."""
        path = self._file(f"runner-{runner}")
        if not path.exists():
            return False
        try:
            with FileLock(path, timeout=0):
                path.unlink(missing_ok=True)
        except Timeout:
            return True
        return False

    def beat(self, trial_id: int) -> None:
        """Note that the owner of a trial lives."""
        with self._engine.connect() as connection:
            _beat(connection, trial_id)

    def silent_for(self, trial_id: int) -> float:
        """Seconds since the last beat for a trial."""
        query = "select (julianday('now') - julianday(heartbeat)) * 86400 from trial_heartbeats where trial_id = :trial"
        with self._engine.connect() as connection:
            return _age(connection, query, trial_id)

    def close(self) -> None:
        """Free all that is held."""
        for runner, lock in self._held.items():
            self._file(f"runner-{runner}").unlink(missing_ok=True)
            lock.release()
        self._held.clear()
        self._engine.dispose()


class _SessionLocks:
    """Locks of a database session; the server frees them when the session ends."""

    _release: str

    def __init__(self, url: sa.URL) -> None:
        self._engine = sa.create_engine(
            url, pool_size=2, max_overflow=1, pool_pre_ping=True, isolation_level="AUTOCOMMIT",
            connect_args=connect_arguments(url),
        )  # fmt: skip
        self._session: sa.Connection | None = None
        self._runner: str | None = None

    def _before_a_turn(self, connection: sa.Connection) -> None:
        """What a session needs that is to hold a mutex."""

    def _after_a_turn(self, connection: sa.Connection) -> None:
        """The same session may come to hold the lock of a runner, and wait for days."""

    def _before_a_life(self, connection: sa.Connection) -> None:
        """What a session needs that is to hold the lock of a runner."""

    def _take_turn(self, connection: sa.Connection, name: str) -> bool:
        raise NotImplementedError

    def _take_runner(self, connection: sa.Connection, runner: str) -> bool:
        raise NotImplementedError

    def _free(self, connection: sa.Connection, kind: str, name: str) -> None:
        raise NotImplementedError

    @contextlib.contextmanager
    def mutex(self, name: str) -> Iterator[None]:
        """Let one runner in at a time."""
        with self._engine.connect() as connection:
            self._before_a_turn(connection)
            # A signal is not heard while the server is waited for, so that is not done for long at a time.
            while not self._take_turn(connection, name):
                pass
            try:
                yield
            finally:
                with contextlib.suppress(sa.exc.SQLAlchemyError):  # the server freed it with the connection
                    self._free(connection, "turn", name)
                    self._after_a_turn(connection)

    def hold(self, runner: str) -> None:
        """Hold the lock of a runner, in a session of its own, also after that was lost."""
        session = self._living_session()
        if self._runner != runner and self._take_runner(session, runner):
            self._runner = runner

    def _living_session(self) -> sa.Connection:
        if self._session is not None:
            try:
                self._session.execute(sa.text("select 1"))
            except sa.exc.SQLAlchemyError:
                self._session.invalidate()
                self._session.close()
                self._session = None
        if self._session is None:
            self._runner = None
            self._session = self._engine.connect()
            self._before_a_life(self._session)
        return self._session

    def beat(self, trial_id: int) -> None:
        """Note that the owner of a trial lives."""
        with self._engine.connect() as connection:
            _beat(connection, trial_id)

    def close(self) -> None:
        """Free all that is held."""
        if self._session is not None:
            with contextlib.suppress(sa.exc.SQLAlchemyError):
                self._session.invalidate()
                self._session.close()
        self._session = self._runner = None
        self._engine.dispose()


class PostgresLocks(_SessionLocks):
    """Advisory locks of PostgreSQL."""

    @staticmethod
    def _key(kind: str, name: str) -> dict[str, int]:
        number = int(name, 16) if kind == "runner" else derive_seed(name) & 0xFFFFFFFF
        return {
            "kind": _RUNNERS if kind == "runner" else _MUTEXES,
            "name": number - 2**32 if number >= 2**31 else number,
        }

    def _before_a_turn(self, connection: sa.Connection) -> None:
        connection.execute(sa.text(f"set lock_timeout = '{_WAIT_SECONDS}s'"))
        self._end_when_idle(connection, _MUTEX_SECONDS)  # a holder that is stopped in its turn would stop all others

    def _after_a_turn(self, connection: sa.Connection) -> None:
        self._end_when_idle(connection, 0)

    def _before_a_life(self, connection: sa.Connection) -> None:
        self._end_when_idle(connection, 0)  # whatever the server has as its default

    @staticmethod
    def _end_when_idle(connection: sa.Connection, seconds: int) -> None:
        """Let the server end a session that says nothing for so long; 0 never does."""
        if (connection.dialect.server_version_info or (0,)) >= (14,):
            connection.execute(sa.text(f"set idle_session_timeout = '{seconds}s'"))

    def _take_turn(self, connection: sa.Connection, name: str) -> bool:
        try:
            connection.execute(sa.text("select pg_advisory_lock(:kind, :name)"), self._key("turn", name))
        except sa.exc.DBAPIError as error:
            if _LOCK_TIMEOUT in (getattr(error.orig, "pgcode", None), getattr(error.orig, "sqlstate", None)):
                return False
            raise
        return True

    def _take_runner(self, connection: sa.Connection, runner: str) -> bool:
        query = sa.text("select pg_try_advisory_lock(:kind, :name)")
        return bool(connection.execute(query, self._key("runner", runner)).scalar())

    def _free(self, connection: sa.Connection, kind: str, name: str) -> None:
        connection.execute(sa.text("select pg_advisory_unlock(:kind, :name)"), self._key(kind, name))

    def is_held(self, runner: str) -> bool:
        """Whether the runner's lock is held; to ask doesn't take it."""
        query = (
            "select exists (select 1 from pg_locks where locktype = 'advisory' and granted and database = (select oid from "
            "pg_database where datname = current_database()) and classid::bigint = :kind and objid::bigint = :name)"
        )
        key = self._key("runner", runner) | {"name": int(runner, 16)}
        with self._engine.connect() as connection:
            return bool(connection.execute(sa.text(query), key).scalar())

    def silent_for(self, trial_id: int) -> float:
        """Seconds since the last beat for a trial, or since the server started."""
        query = (
            "select extract(epoch from localtimestamp - greatest(heartbeat, pg_postmaster_start_time()::timestamp)) "
            "from trial_heartbeats where trial_id = :trial"
        )
        with self._engine.connect() as connection:
            return _age(connection, query, trial_id)


class MySqlLocks(_SessionLocks):
    """Named locks of MySQL and MariaDB."""

    @staticmethod
    def _name(kind: str, name: str) -> dict[str, str]:
        return {"name": f"darts:{kind}:{derive_seed(name):x}"}

    def _take_turn(self, connection: sa.Connection, name: str) -> bool:
        query = sa.text(f"select get_lock(:name, {_WAIT_SECONDS})")
        return connection.execute(query, self._name("turn", name)).scalar() == 1

    def _take_runner(self, connection: sa.Connection, runner: str) -> bool:
        return connection.execute(sa.text("select get_lock(:name, 0)"), self._name("runner", runner)).scalar() == 1

    def _free(self, connection: sa.Connection, kind: str, name: str) -> None:
        connection.execute(sa.text("select release_lock(:name)"), self._name(kind, name))

    def is_held(self, runner: str) -> bool:
        """Whether the runner's lock is held."""
        with self._engine.connect() as connection:
            return connection.execute(sa.text("select is_free_lock(:name)"), self._name("runner", runner)).scalar() == 0

    def silent_for(self, trial_id: int) -> float:
        """Seconds since the last beat for a trial, or since the server started."""
        with self._engine.connect() as connection:
            uptime = connection.execute(sa.text("show global status like 'Uptime'")).one()[1]
            seconds = _age(
                connection,
                "select timestampdiff(second, heartbeat, now()) from trial_heartbeats where trial_id = :trial",
                trial_id,
            )
            return min(seconds, float(uptime))
