"""Settings of the whole suite."""

import logging
import os

import pytest

# Torch threads that spin while they wait cost ten times the work on shared cores; said before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(autouse=True)
def leave_logging_as_it_was():
    """A command sets up logging for its process; the next test must not inherit that."""
    logger = logging.getLogger("darts")
    handlers, level, propagate = logger.handlers[:], logger.level, logger.propagate
    yield
    for handler in set(logger.handlers) - set(handlers):
        handler.close()
    logger.handlers[:], logger.propagate = handlers, propagate
    logger.setLevel(level)


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server; databases are to be made anew, and it is to be left running."""
    from databases import Postgres

    server = Postgres()
    yield server
    server.close()


@pytest.fixture(params=["postgresql", "sqlite"])
def database(request, tmp_path):
    """The URL of an empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/sweeps.db"
    return request.getfixturevalue("postgres").new_database()
