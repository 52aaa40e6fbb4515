"""A file is whole or not there; what a killed process left is removed."""

import os
import signal
import subprocess
import sys

import pytest

from darts.core.errors import ConfigError, DatasetError
from darts.core.files import files_below, is_temporary, make_directory, write_atomically, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_text_is_written_as_utf8_without_translating_line_ends(tmp_path):
    write_text(tmp_path / "a.txt", "é\r\nb\n")
    assert (tmp_path / "a.txt").read_bytes() == b"\xc3\xa9\r\nb\n"
    assert names(tmp_path) == ["a.txt"]


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail(temporary):
        temporary.write_text("half of the ne")
        raise RuntimeError("disk is full")

    with pytest.raises(RuntimeError, match="disk is full"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def write(temporary):
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent
        assert is_temporary(temporary)

    write_atomically(path, write)
    assert path.read_text() == "new"


def test_a_writer_that_is_killed_leaves_the_old_file_and_its_rest_is_removed_by_the_next(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    code = (
        "import os, signal, sys, pathlib\n"
        "from darts.core.files import write_atomically\n"
        "def write(temporary):\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomically(pathlib.Path(sys.argv[1]), write)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    (left,) = (one for one in tmp_path.iterdir() if one != path)
    assert is_temporary(left)
    assert not is_temporary(path)

    write_text(path, "new")
    assert names(tmp_path) == ["a.txt"]
    assert path.read_text() == "new"


def test_only_what_was_left_for_the_same_file_is_removed(tmp_path):
    for name in (".tmp-1-a.txt", ".tmp-1-b.txt", "tmp-1-a.txt", ".tmp-1-my-a.txt"):
        (tmp_path / name).touch()
    write_text(tmp_path / "a.txt", "x")
    assert names(tmp_path) == [".tmp-1-b.txt", ".tmp-1-my-a.txt", "a.txt", "tmp-1-a.txt"]


def test_a_name_with_wildcards_is_no_pattern(tmp_path):
    (tmp_path / ".tmp-1-b.txt").touch()
    write_text(tmp_path / "[ab].txt", "x")
    assert names(tmp_path) == [".tmp-1-b.txt", "[ab].txt"]


def test_a_folder_is_made_with_its_parents_and_left_empty(tmp_path):
    made = make_directory(tmp_path / "a" / "b")
    assert made.is_dir()
    assert names(made) == []
    assert make_directory(made) == made


@pytest.mark.parametrize("error", [DatasetError, ConfigError])
def test_a_folder_that_cannot_be_written_to_is_refused_with_the_reason(tmp_path, error):
    (tmp_path / "file").touch()
    with pytest.raises(error, match=r"output folder .*file/sub can't be written to \(Not a directory\)"):
        make_directory(tmp_path / "file" / "sub", error)
    with pytest.raises(error, match=r"output folder /proc/.* can't be written to"):
        make_directory(tmp_path.__class__(f"/proc/{os.getpid()}/made-here"), error)


def test_links_to_folders_are_followed_but_never_round_in_circles(tmp_path):
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "far" / "deep" / "a.txt").touch()
    (tmp_path / "here" / ".hidden").mkdir(parents=True)
    (tmp_path / "here" / ".hidden" / "b.txt").touch()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "deep" / "back").symlink_to(tmp_path / "far")
    assert files_below(tmp_path / "here") == [tmp_path / "here" / "link" / "deep" / "a.txt"]
