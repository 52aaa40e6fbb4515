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
