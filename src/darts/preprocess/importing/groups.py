"""Which ready patches belong together: a file that gives each patch a group."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from darts.core.errors import SceneError, one_line
from darts.preprocess.importing.files import PatchFiles, listed


def group_patches(path: Path, patches: Sequence[PatchFiles]) -> tuple[str, ...]:
    """The group of each patch.

    A patch is named by its path below the folder, with or without suffix, or by the last part of it.

    Raises
    ------
    SceneError
        When the file can't be used, or gives a patch no group, or several.
    """
    groups = read_groups(path)
    found = [_groups_of(patch, groups) for patch in patches]
    if several := [patch.name for patch, named in zip(patches, found, strict=True) if len(named) > 1]:
        raise SceneError(_several(path, several))
    missing = [patch.name for patch, named in zip(patches, found, strict=True) if not named]
    if missing:
        raise SceneError(
            f"--groups-file {path} gives every patch a group, but {len(missing)} of {len(patches)} have none: "
            f"{listed(missing)}; add them."
        )
    return tuple(named.pop() for named in found)


def _groups_of(patch: PatchFiles, groups: Mapping[str, str]) -> set[str]:
    """What a patch is given by its whole name, or else by the last part of it."""
    folder, slash, last = patch.name.rpartition("/")
    names = [last, last + patch.image.suffix, patch.image.name, patch.image.stem]
    by_path = {groups[folder + slash + name] for name in names if folder + slash + name in groups}
    return by_path or {groups[name] for name in names if name in groups}


def _several(path: Path, names: Sequence[str]) -> str:
    return f"--groups-file {path} gives each patch one group, but {listed(names)} several; keep one."


def read_groups(path: Path) -> Mapping[str, str]:
    """Name of a patch -> its group, from a JSON, CSV or parquet file.

    Raises
    ------
    SceneError
        When the file can't be read, has another form, or gives a patch several groups.
    """
    read = _GROUP_READERS.get(path.suffix.lower())
    if read is None:
        raise SceneError(f"--groups-file is .json, .csv or .parquet, but got {path}.")
    try:
        pairs = read(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SceneError(
            f"--groups-file {path} must be JSON that maps patches to groups, or a table with the columns name and group, "
            f"but can't be read so ({one_line(error, 120)})."
        ) from None
    if any("" in pair for pair in pairs):
        raise SceneError(f"--groups-file {path} names every patch and every group, but a name is empty; fill it in.")
    counts = Counter(name for name, _ in set(pairs))
    if several := sorted(name for name, count in counts.items() if count > 1):
        raise SceneError(_several(path, several))
    return dict(pairs)


def _read_json(path: Path) -> list[tuple[str, str]]:
    # As pairs, an object that names a patch twice keeps both of its groups.
    content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=tuple)
    is_object = isinstance(content, tuple)
    pairs = []
    for key, value in content if is_object else enumerate(content):
        if isinstance(value, list):
            pairs += [(_text(name), str(key)) for name in value]
        elif is_object:
            pairs.append((str(key), _text(value)))
        else:
            raise ValueError(f"{value!r} is no list of patches")
    return pairs


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(f"{value!r} is neither text nor a whole number")
    return str(value)


def _read_csv(path: Path) -> list[tuple[str, str]]:
    import pandas as pd

    return _table_pairs(pd.read_csv(path, dtype=str, keep_default_na=False))


def _read_parquet(path: Path) -> list[tuple[str, str]]:
    import pandas as pd

    return _table_pairs(pd.read_parquet(path, columns=["name", "group"]))


def _table_pairs(table: Any) -> list[tuple[str, str]]:
    if table[["name", "group"]].isna().any(axis=None):
        raise ValueError("a name or group is missing")
    return list(zip(table["name"].astype(str), table["group"].astype(str), strict=True))


_GROUP_READERS: Mapping[str, Callable[[Path], list[tuple[str, str]]]] = {
    ".json": _read_json,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
