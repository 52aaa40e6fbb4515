"""Real commands in processes of their own, that can be killed; torch is imported once for all of them."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["darts.cli.app", "darts.tune.runner", "darts.tune.tuning", "darts.cli.runners", "psycopg2", "timm", "sklearn"]
)


def _enter(log: Path, environment: Mapping[str, str], action: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    descriptor = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.environ.update(environment)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also when the tests themselves run under nohup
    signal.signal(signal.SIGINT, signal.default_int_handler)  # or in the background of a shell
    action(*arguments)


def _darts(words: list[str]) -> None:
    import torch

    from darts.cli.app import main

    torch.set_num_threads(1)
    sys.argv = ["darts", *words]
    main()


class Started:
    """A process that was started, and what it said."""

    def __init__(self, log: Path, action: Callable[..., Any], *arguments: Any, **environment: str) -> None:
        self.log = log
        self.process = _CONTEXT.Process(target=_enter, args=(log, environment, action, arguments))
        self.process.start()

    @property
    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    @property
    def is_running(self) -> bool:
        return self.process.is_alive()

    def send(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def wait(self, seconds: float = 300) -> int:
        """The exit code; a signal that killed it is a negative one."""
        self.process.join(seconds)
        assert not self.is_running, f"still running after {seconds} s:\n{self.said}"
        return self.process.exitcode

    def wait_for(self, text: str, seconds: float = 120) -> None:
        """Wait until it has said something."""
        until = time.monotonic() + seconds
        while text not in self.said:
            assert self.is_running, f"ended without {text!r}:\n{self.said}"
            assert time.monotonic() < until, f"no {text!r} in {seconds} s:\n{self.said}"
            time.sleep(0.02)

    def end(self) -> None:
        """Leave nothing behind, whatever became of the test."""
        if self.is_running:
            self.send(signal.SIGCONT)
            self.kill()


def start_command(log: Path, *words: object, **environment: str) -> Started:
    """Run `darts` with these words."""
    return Started(log, _darts, [str(word) for word in words], **environment)
