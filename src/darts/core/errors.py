"""The errors that a user meets.

DartsError            the command fails, exit code 1
├── ConfigError       a flag, setting or name is wrong, exit code 2
├── DatasetError      a dataset directory is missing, incomplete, damaged, or held by another process
├── SceneError        a scene or label file can't be used
├── ModelError        a model can't be built, or can't take the data
├── CheckpointError   a checkpoint is missing, damaged, or not to be trusted
├── RunError          a training or test run can't start or go on
├── SweepError        a sweep or its database can't be used
└── Interrupted       somebody asked to stop, exit code 130, 143 or 129

A message states the rule, what came, and the way out, in one line.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SIGNALS = 128


def one_line(error: BaseException, length: int = 200) -> str:
    """What an error says, in one line of at most this many characters."""
    return " ".join(str(error).split())[:length]


class DartsError(Exception):
    """A failure that the user can do something about."""

    exit_code = 1


class ConfigError(DartsError):
    """A flag, a setting or a name is wrong."""

    exit_code = 2


class DatasetError(DartsError):
    """A dataset directory is missing, incomplete, damaged, or held by another process."""


class SceneError(DartsError):
    """A scene or a label file can't be used."""


class ModelError(DartsError):
    """A model can't be built, or can't take the data."""


class CheckpointError(DartsError):
    """A checkpoint is missing, damaged, or not to be trusted."""


class RunError(DartsError):
    """A training or test run can't start or go on."""


class SweepError(DartsError):
    """A sweep, or the database that it is kept in, can't be used."""


class Interrupted(DartsError):  # noqa: N818 -- it is no error
    """Somebody asked to stop: Ctrl-C (130), SIGTERM (143) or SIGHUP (129).

    Attributes
    ----------
    checkpoint
        What a training can go on with, if there is anything.
    """

    def __init__(self, message: str, exit_code: int = 130, checkpoint: Path | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.checkpoint = checkpoint


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn Ctrl-C, and an exit with the code of a signal, into an interruption.

    Raises
    ------
    Interrupted
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("stopped.", 130) from None
    except SystemExit as stop:
        if isinstance(stop.code, int) and stop.code > _SIGNALS:
            raise Interrupted("stopped.", stop.code) from None
        raise
