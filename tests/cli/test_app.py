"""The commands as a whole: help, version, exit codes of the process."""

import re
import shlex
import signal
import subprocess
import sys
import time

import pytest
from typer.main import get_command

import darts
from darts.cli.app import app

from .conftest import run, succeeds


def leaves(command, path=()):
    """Every command, with the words that call it."""
    if not getattr(command, "commands", None):
        yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from leaves(below, (*path, name))


COMMANDS = dict(leaves(get_command(app)))
MARKUP = re.compile(r"\[/?bold\]")


def test_the_commands_are_those_of_the_contract():
    assert {
        ("quickstart",),
        ("make-sample-data",),
        ("preprocess-s2-train-data",),
        ("validate-dataset",),
        ("train-smp",),
        ("test-smp",),
        ("convert-lightning-checkpoint",),
    } <= set(COMMANDS)


def test_help_lists_every_command_in_a_panel():
    text = succeeds(run("--help", columns=200))
    assert all(f" {path[0]} " in text for path in COMMANDS)
    assert "─ Commands ─" not in text  # the panel of a command that was given none
    assert succeeds(run("-h", columns=200)) == text


def test_nothing_to_do_is_answered_by_the_help_too():
    assert "Usage: darts" in run().output


def test_the_version_is_printed():
    assert succeeds(run("--version")).strip() == f"darts {darts.__version__}"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_help_of_a_command_has_panels_an_example_and_every_docstring(path):
    text = succeeds(run(*path, "--help", columns=3000))
    assert f"Usage: darts {' '.join(path)}" in text
    assert "─ Everywhere ─" in text
    assert text.count("╭─") >= 3
    assert f"Example: darts {' '.join(path)}" in text
    for parameter in COMMANDS[path].params:
        assert parameter.opts[0] in text
        assert parameter.help, parameter.name
        assert parameter.help.replace("\\[", "[") in text, parameter.name


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_example_of_a_command_has_only_flags_that_it_takes(path):
    example = MARKUP.sub("", COMMANDS[path].epilog).removeprefix("Example: ")
    words = shlex.split(example)
    assert tuple(words[: len(path) + 1]) == ("darts", *path)
    context = COMMANDS[path].make_context(path[-1], words[len(path) + 1 :])
    assert context.params["config_file"] is None


# --- as a process


def darts_process(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "darts", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **options,
    )


def test_the_process_ends_with_the_exit_code_and_one_line_on_stderr():
    result = darts_process("train-smp", "--train-data-dir", "d", "--run-name", "../../etc/x")
    assert result.returncode == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: --run-name: a name has 1 to 64 letters")
    assert line.endswith("but got '../../etc/x'.")


def test_a_reader_that_goes_away_is_no_traceback():
    command = f"{shlex.quote(sys.executable)} -m darts train-smp --help | head -c 1"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=120)
    assert result.stderr == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_that_asks_to_stop_becomes_the_exit_code(number, code):
    waiting = (
        "import signal, time, darts.cli.app as module\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # also when the tests themselves run under nohup
        "def wait():\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "module.app = wait\n"
        "module.main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", waiting], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as p:
        assert p.stdout.readline() == "ready\n"
        started = time.monotonic()
        p.send_signal(number)
        assert p.wait(timeout=30) == code
        assert time.monotonic() - started < 10
        assert p.stderr.read() == ""
