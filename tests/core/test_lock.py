"""One writer at a time; a second is told who holds the lock, and a dead one holds nothing."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from darts.core.errors import DartsError, RunError
from darts.core.lock import single_writer

HOLD = """
import sys, time, pathlib
from darts.core.lock import single_writer
with single_writer(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def other_process(directory):
    """Another process that holds the lock until its stdin is closed."""
    command = [sys.executable, "-c", HOLD, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_second_writer_is_refused_at_once_and_told_which_process_writes(tmp_path):
    with other_process(tmp_path) as holder:
        started = time.monotonic()
        with pytest.raises(RunError) as caught, single_writer(tmp_path, RunError):
            pass
        assert time.monotonic() - started < 1
        assert f"process {holder.pid} on " in str(caught.value)
        assert "one process at a time may write to" in str(caught.value)


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    with other_process(tmp_path) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=30)
        with single_writer(tmp_path):
            pass


def test_the_lock_is_freed_at_the_end_also_by_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="stop"), single_writer(tmp_path):
        raise RuntimeError("stop")
    with single_writer(tmp_path):
        pass


def test_the_lock_holds_within_one_process_too(tmp_path):
    with (
        single_writer(tmp_path),
        pytest.raises(DartsError, match=f"process {os.getpid()} on "),
        single_writer(tmp_path),
    ):
        pass


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"pid": 1}'])
def test_a_holder_that_wrote_nothing_useful_is_another_process(tmp_path, content):
    with other_process(tmp_path):
        (tmp_path / ".lock-holder.json").write_text(content)
        with pytest.raises(DartsError, match="and another process does; wait or stop it"), single_writer(tmp_path):
            pass
