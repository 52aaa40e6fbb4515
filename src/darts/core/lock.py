"""One writer at a time: a lock that the operating system frees when its holder dies."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from darts.core.errors import DartsError

LOCK_FILES = (".lock", ".lock-holder.json")


@contextmanager
def single_writer(directory: Path, error: type[DartsError] = DartsError) -> Iterator[None]:
    """Hold the lock of a folder.

    Raises
    ------
    error
        At once, when another process holds it, saying which.
    """
    lock, holder = (directory / name for name in LOCK_FILES)
    try:
        with FileLock(lock, timeout=0):
            me = {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
            }
            holder.write_text(json.dumps(me), encoding="utf-8")
            yield
    except Timeout:
        raise error(
            f"one process at a time may write to {directory}, and {_describe(holder)} does; wait or stop it."
        ) from None


def _describe(holder: Path) -> str:
    try:
        who = json.loads(holder.read_text(encoding="utf-8"))
        return f"process {who['pid']} on {who['host']} (since {who['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
