"""Metadata files as text: what is searched for plain numbers can't be made to expand or fetch anything, as XML can."""

from pathlib import Path

from darts.core.errors import SceneError

LIMIT = 20_000_000
"""Bytes; ten times what the longest metadata have."""


def read_metadata_text(path: Path) -> str:
    """The text of a metadata file, what is no UTF-8 in it replaced.

    Raises
    ------
    SceneError
        When it can't be read, or is too large to be one.
    """
    try:
        if path.stat().st_size > LIMIT:
            raise SceneError(f"{path} has more than {LIMIT} bytes, so it is no product metadata; remove it.")
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise SceneError(f"{path} can't be read ({error.strerror}); check the file.") from None
