"""Messages: on stderr what the user asked for, in the file everything."""

import pytest

from darts.core.errors import ConfigError
from darts.core.log import get_logger, set_up_logging


def speak():
    log = get_logger("darts.somewhere")
    log.debug("a detail")
    log.info("a step")
    log.warning("a doubt [bold]%s[/bold]", 1)


@pytest.mark.parametrize(
    ("settings", "shown"),
    [({}, {"doubt"}), ({"verbose": True}, {"step", "doubt"}), ({"debug": True}, {"detail", "step", "doubt"})],
)
def test_stderr_shows_what_was_asked_for_and_stdout_nothing(capsys, settings, shown):
    set_up_logging(**settings)
    speak()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert {word for word in ("detail", "step", "doubt") if f"a {word}" in captured.err} == shown
    assert "[bold]1[/bold]" in captured.err


def test_a_message_is_one_line_that_begins_with_its_level(capsys):
    set_up_logging(verbose=True)
    log = get_logger("darts.somewhere")
    log.warning("a long %s", "doubt " * 50)
    log.info("a name with a\nline break")
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" a ")[0] for line in lines] == ["warning:", "info:"]


def test_the_file_has_everything_and_grows(tmp_path, capsys):
    folder = tmp_path / "new" / "logs"
    for _ in range(2):
        set_up_logging(log_dir=folder)
        speak()
    lines = (folder / "darts.log").read_text(encoding="utf-8").splitlines()
    assert [line.partition("darts.somewhere: ")[2] for line in lines] == [
        "a detail", "a step", "a doubt [bold]1[/bold]"
    ] * 2  # fmt: skip
    assert "a detail" not in capsys.readouterr().err


def test_a_log_folder_that_cannot_be_written_to_is_refused_with_the_reason(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file/logs can't be written to"):
        set_up_logging(log_dir=tmp_path / "file" / "logs")
