"""Files that are written whole or not at all."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from darts.core.errors import DartsError

_TEMPORARY = ".tmp-"
_READ_WHOLE = 32 * 2**20
_BLOCKS, _BLOCK_BYTES = 64, 256 * 2**10


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk, then put it in the place of `path`.

    What a killed process left behind for the same path is removed first.
    """
    left_behind = re.compile(rf"{re.escape(_TEMPORARY)}\d+-{re.escape(path.name)}")
    for stale in path.parent.iterdir():
        if left_behind.fullmatch(stale.name):
            stale.unlink(missing_ok=True)
    temporary = path.with_name(f"{_TEMPORARY}{os.getpid()}-{path.name}")
    try:
        write(temporary)
        flush_to_disk(temporary)
        temporary.replace(path)
        flush_to_disk(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def is_temporary(path: Path) -> bool:
    """Whether a file is what `write_atomically` leaves when it is killed."""
    return path.name.startswith(_TEMPORARY)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    write_atomically(path, lambda temporary: temporary.write_bytes(text.encode()))


def file_fingerprint(path: Path) -> str:
    """A hash that an edit of a file changes: of its size and content; of a large file, of 64 blocks spread over it."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        if size <= _READ_WHOLE:
            digest.update(file.read())
        else:
            for block in range(_BLOCKS):
                file.seek(block * (size - _BLOCK_BYTES) // (_BLOCKS - 1))
                digest.update(file.read(_BLOCK_BYTES))
    return digest.hexdigest()[:32]


def not_listed(problem: OSError, error: type[DartsError] = DartsError) -> DartsError:
    """The error that a folder can't be listed: what is in it would be missed in silence."""
    return error(f"{problem.filename} can't be listed ({problem.strerror}); allow it, or move it elsewhere.")


def files_in(folder: Path, error: type[DartsError] = DartsError) -> list[Path]:
    """The files directly in a folder, sorted; hidden ones are passed over.

    Raises
    ------
    error
        When it can't be listed.
    """
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file())
    except OSError as problem:
        raise not_listed(problem, error) from None


def files_below(folder: Path, error: type[DartsError] = DartsError) -> list[Path]:
    """Every file in a folder and in all folders below it, sorted; hidden ones are passed over.

    Links are followed, but for those that lead back to a folder that they lie in.

    Raises
    ------
    error
        When a folder can't be listed.
    """
    return sorted(_files_below(folder, error, frozenset()))


def _files_below(folder: Path, error: type[DartsError], above: frozenset[Path]) -> Iterator[Path]:
    within = above | {folder.resolve()}
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as problem:
        raise not_listed(problem, error) from None
    for entry in entries:
        if not entry.is_dir():
            yield entry
        elif entry.resolve() not in within:
            yield from _files_below(entry, error, within)


def short_name(path: Path, folder: Path) -> str:
    """A name that doesn't depend on where the data lie: the path below a folder, else its last two parts."""
    return (path.relative_to(folder) if path.is_relative_to(folder) else Path(*path.parts[-2:])).as_posix()


def flush_to_disk(path: Path) -> None:
    """Have the operating system put a file or a folder on disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path, error: type[DartsError] = DartsError) -> Path:
    """Create a folder that can be written to, and its parents, unless it exists.

    Raises
    ------
    error
        When it can't be created or written to, naming the reason.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f"{_TEMPORARY}{os.getpid()}-probe"
        probe.touch()
        probe.unlink()
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise error(f"the output folder {path} can't be written to ({reason}); choose another, or free it.") from None
    return path
