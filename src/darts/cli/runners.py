"""Runner processes of a sweep: one on this device, or one on each of several."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from darts.cli.output import say
from darts.core.errors import Interrupted, SweepError
from darts.core.log import console
from darts.tune.config import SWEEP_DB_VARIABLE, SweepConfig

if TYPE_CHECKING:
    import sqlalchemy as sa

    from darts.tune.runner import SweepResult
    from darts.tune.sweep import Sweep

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux
_SIGNALS = 128


def run_here(sweep: "Sweep", config: SweepConfig) -> "SweepResult":
    """Work on trials in this process."""
    from darts.tune.runner import run_trials

    return run_trials(sweep, None if config.n_trials == "grid" else config.n_trials, config.grace)


def start_runners(url: "sa.URL", commands: Sequence[Sequence[str]]) -> None:
    """Start one process for each command, and wait for all; one that fails is not started again.

    Raises
    ------
    SweepError
        When one of them failed.
    Interrupted
        When somebody asked to stop; all of them are asked to, too.
    """
    environment = os.environ | {SWEEP_DB_VARIABLE: url.render_as_string(hide_password=False)}
    runners = [_start(words, environment) for words in commands]
    watchers = [
        threading.Thread(target=_pass_on, args=(runner, words[-1]))
        for runner, words in zip(runners, commands, strict=True)
    ]
    for watcher in watchers:
        watcher.start()
    try:
        codes = [runner.wait() for runner in runners]
    except (KeyboardInterrupt, SystemExit) as stop:
        number = signal.SIGINT if isinstance(stop, KeyboardInterrupt) else signal.SIGTERM
        _ask_to_stop(runners, number)
        code = stop.code if isinstance(stop, SystemExit) and isinstance(stop.code, int) else _SIGNALS + number
        raise Interrupted("stopped all runners.", code) from None
    finally:
        for watcher in watchers:
            watcher.join()
    failed = [words[-1] for words, code in zip(commands, codes, strict=True) if code]
    if failed:
        raise SweepError(
            f"{len(failed)} of {len(runners)} runners failed, on {', '.join(failed)}, and were not started again; see what "
            "they said, then join the sweep again."
        )
    say(f"all {len(runners)} runners are done.")


def _start(words: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 -- our own command
        [sys.executable, "-m", "darts", *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C in the terminal is passed on once, by us
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 -- no thread is there yet
    )


def _end_with_parent() -> None:
    """Have Linux ask a runner to stop when whoever started it was killed; else it would go on unseen."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)


def _pass_on(runner: subprocess.Popen[str], device: str) -> None:
    assert runner.stdout is not None
    for line in runner.stdout:
        if line.strip():
            console.print(f"[{device}] {line.rstrip()}", markup=False, highlight=False, soft_wrap=True)


def _ask_to_stop(runners: Sequence[subprocess.Popen[str]], number: int) -> None:
    for runner in runners:
        with contextlib.suppress(ProcessLookupError):
            runner.send_signal(number)
    for runner in runners:
        runner.wait()
