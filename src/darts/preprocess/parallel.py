"""Work on scenes in several processes or on a cluster, with results in the order of the tasks, a few at a time."""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from types import FrameType
from typing import Any, TypeVar

import psutil

from darts.core.errors import DartsError, one_line
from darts.preprocess.config import parse_size

T = TypeVar("T")
R = TypeVar("R")

MAX_DEFAULT_WORKERS = 4
SHARE_OF_FREE_MEMORY = 0.8
SECONDS_TO_CONNECT = 20
WORTH_A_PROCESS = 4_000_000
"""Pixels that are done sooner than another process has started."""


def count_workers(wanted: int, pixels: int) -> int:
    """`wanted` processes, or for 0 as many as there are CPU cores, at most 4, and only one for a few pixels."""
    if wanted or pixels < WORTH_A_PROCESS:
        return wanted or 1
    return min(os.cpu_count() or 1, MAX_DEFAULT_WORKERS)


def fit_workers(workers: int, needed: int, limit: int | None) -> int:
    """As many of the workers as fit into the memory (bytes) when each needs so much; at least one."""
    return workers if limit is None else max(1, min(workers, limit // max(needed, 1)))


def memory_limit(text: str) -> int | None:
    """`--memory-limit` in bytes; None is no limit."""
    if text == "none":
        return None
    return int(SHARE_OF_FREE_MEMORY * psutil.virtual_memory().available) if text == "auto" else parse_size(text)


def run_in_order(
    function: Callable[[T], R], tasks: Sequence[T], workers: int, scheduler: str | None = None
) -> Generator[R, None, None]:
    """Yield `function(task)` in the order of the tasks; close the generator to stop early.

    With several workers, each task runs in another process, and no more tasks are begun than there are workers. With
    a scheduler, they run on the workers of a dask cluster. `function` and the tasks must be picklable then.

    Raises
    ------
    DartsError
        When a process was killed, or the cluster can't be reached; other errors of `function` are passed on.
    """
    if scheduler is not None:
        with dask_executor(scheduler) as (executor, threads):
            yield from _results(executor, function, tasks, workers or threads)
        return
    workers = min(workers, len(tasks))
    if workers <= 1:
        yield from map(function, tasks)
        return
    with process_pool(workers) as pool:
        yield from _results(pool, function, tasks, workers)


@contextmanager
def process_pool(workers: int) -> Iterator[Executor]:
    """Processes that end with this one, however it ends."""
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_set_up_worker)
    try:
        yield pool
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


@contextmanager
def dask_executor(address: str) -> Iterator[tuple[Executor, int]]:
    """An executor on a dask cluster, and how many tasks it can do at a time.

    Raises
    ------
    DartsError
        When dask isn't installed, or there is no scheduler with workers at this address.
    """
    try:
        from distributed import Client
    except ImportError:
        raise DartsError("--dask-scheduler needs dask: pip install 'darts[dask]'.") from None
    try:
        client: Any = Client(address, timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        reason = one_line(error, 120)
        raise DartsError(
            f"--dask-scheduler: no scheduler answers at {address} ({reason}); start it, or check it."
        ) from None
    with client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise DartsError(f"--dask-scheduler: the scheduler at {address} has no workers; start some.")
        executor = client.get_executor(pure=False)
        try:
            yield executor, threads
        finally:
            executor.shutdown(wait=False)  # of dask, this cancels what was not begun


def _results(executor: Executor, function: Callable[[T], R], tasks: Sequence[T], at_a_time: int) -> Iterator[R]:
    waiting = iter(tasks)
    running = deque(_submit(executor, function, task) for task in islice(waiting, at_a_time))
    while running:
        result = running.popleft().result()
        running.extend(_submit(executor, function, task) for task in islice(waiting, 1))
        yield result


def _submit(executor: Executor, function: Callable[[T], R], task: T) -> Future[R]:
    with _main_left_alone():
        return executor.submit(function, task)


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
