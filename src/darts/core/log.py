"""Logging and progress: lines on stderr, details in a file, results on stdout."""

import logging
from pathlib import Path

from rich.console import Console

from darts.core.errors import ConfigError
from darts.core.files import make_directory

console = Console(stderr=True)
"""Where progress and messages go; results are printed to stdout."""


def get_logger(name: str) -> logging.Logger:
    """The logger of a module of `darts`."""
    return logging.getLogger(name)


class _OneLine(logging.Handler):
    """Each message is one line on stderr, however long, that begins with its level; a warning is shown once."""

    def __init__(self) -> None:
        super().__init__()
        self._warned: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message."""
        text = " ".join(record.getMessage().split())
        if record.levelno == logging.WARNING:
            if text in self._warned:  # the runs of a cross-validation would all say the same
                return
            self._warned.add(text)
        console.print(f"{record.levelname.lower()}: {text}", markup=False, highlight=False, soft_wrap=True)


def set_up_logging(*, verbose: bool = False, debug: bool = False, log_dir: Path | None = None) -> None:
    """Show warnings (information with `verbose`, everything with `debug`) on stderr, and write all into `log_dir`.

    Raises
    ------
    ConfigError
        When nothing can be written into `log_dir`.
    """
    logger = logging.getLogger("darts")
    logger.handlers.clear()
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    shown = _OneLine()
    shown.setLevel(logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING)
    logger.addHandler(shown)
    if log_dir is not None:
        written = logging.FileHandler(make_directory(log_dir, ConfigError) / "darts.log", encoding="utf-8")
        written.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(written)
