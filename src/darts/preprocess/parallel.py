"""Work on scenes in several processes, with results in the order of the tasks and a few of them at a time."""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from types import FrameType
from typing import TypeVar

from darts.core.errors import DartsError

T = TypeVar("T")
R = TypeVar("R")

MAX_DEFAULT_WORKERS = 4
WORTH_A_PROCESS = 4_000_000
"""Pixels that are done sooner than another process has started."""


def count_workers(wanted: int, pixels: int) -> int:
    """`wanted` processes, or for 0 as many as there are CPU cores, at most 4, and only one for a few pixels."""
    if wanted or pixels < WORTH_A_PROCESS:
        return wanted or 1
    return min(os.cpu_count() or 1, MAX_DEFAULT_WORKERS)


def run_in_order(function: Callable[[T], R], tasks: Sequence[T], workers: int) -> Generator[R, None, None]:
    """Yield `function(task)` in the order of the tasks; close the generator to stop early.

    With several workers, each task runs in another process, and no more tasks are begun than there are workers.
    `function` and the tasks must be picklable then.

    Raises
    ------
    DartsError
        When a process was killed; other errors of `function` are passed on.
    """
    workers = min(workers, len(tasks))
    if workers <= 1:
        yield from map(function, tasks)
        return
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_set_up_worker)
    try:
        yield from _results(pool, function, tasks, workers)
        pool.shutdown()
    except BrokenProcessPool:
        raise DartsError(
            "a process that worked on a scene was ended from outside, perhaps for want of memory; run the command "
            "again with fewer --workers."
        ) from None
    finally:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        pool.shutdown(cancel_futures=True)


def _results(pool: ProcessPoolExecutor, function: Callable[[T], R], tasks: Sequence[T], workers: int) -> Iterator[R]:
    waiting = iter(tasks)
    running = deque(_submit(pool, function, task) for task in islice(waiting, workers))
    while running:
        result = running.popleft().result()
        running.extend(_submit(pool, function, task) for task in islice(waiting, 1))
        yield result


def _submit(pool: ProcessPoolExecutor, function: Callable[[T], R], task: T) -> Future[R]:
    with _main_left_alone():
        return pool.submit(function, task)


@contextmanager
def _main_left_alone() -> Iterator[None]:
    """Keep a process that starts meanwhile from importing the main module.

    The workers don't need it. A script that calls preprocessing at its top level would otherwise be run again by each
    of them, and a notebook or `python -` has no main module that could be imported.
    """
    main = sys.modules["__main__"]
    names = [name for name in ("__spec__", "__file__") if hasattr(main, name)]
    kept = {name: getattr(main, name) for name in names}
    for name in names:
        setattr(main, name, None)
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(main, name, value)


def _set_up_worker() -> None:
    """Leave Ctrl-C to the parent, give up the task when it says so, and end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Raised inside the task, this ends it without ending the process, which then leaves by the way the pool provides
    # and gives back its locks; killed outright, it would leave them behind with a warning.
    signal.signal(signal.SIGTERM, _give_up)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _give_up(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
