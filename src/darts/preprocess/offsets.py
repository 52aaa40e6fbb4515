"""What has to be added to Sentinel-2 digital numbers: reflectance is (DN + offset) / 10000."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from darts.core.errors import SceneError
from darts.preprocess.headers import RasterHeader
from darts.preprocess.metadata_text import read_metadata_text

QUANTIFICATION = 10_000
"""Digital numbers per unit of reflectance, in every product and baseline."""
OFFSET_SINCE_BASELINE = 400
"""Processing baseline 04.00, in production since 2022-01-25, introduced the offset of -1000."""
OFFSET_SINCE_DATE = date(2022, 1, 25)

_ADD_OFFSET = re.compile(r"<(?:BOA|RADIO)_ADD_OFFSET[^>]*>\s*(-?\d+(?:\.\d+)?)\s*<")
_XML_BASELINE = re.compile(r"<PROCESSING_BASELINE>\s*(\d{2})\.(\d{2})\s*<")
_NAME_BASELINE = re.compile(r"(?:^|_)N(\d{4})(?=[_.]|$)")
_DATE = re.compile(r"(?<!\d)(20\d{2})(\d{2})(\d{2})(?!\d)")


@dataclass(frozen=True, slots=True)
class Offset:
    """An offset and where it was found.

    Attributes
    ----------
    value
        What is added to a digital number.
    origin
        Where the value comes from, in words.
    note
        What the user should know of it, or None.
    """

    value: float
    origin: str
    note: str | None = None


def find_offset(
    headers: Sequence[RasterHeader],
    metadata: Sequence[Path],
    names: Sequence[str],
    given: float | None,
    day: date | None,
) -> Offset:
    """The offset of a scene: from its files, else its metadata, else its name, else as given, else 0 with a note.

    Parameters
    ----------
    headers
        Headers of the files that are read.
    metadata
        Product metadata (XML) of the scene.
    names
        Names that may tell the processing baseline, as `_N0500_`.
    given
        `--s2-offset`.
    day
        Day of acquisition, if known.
    """
    found = _from_headers(headers) or _from_metadata(metadata) or _from_names(names)
    if found is not None:
        if given is not None and given != found.value:
            note = f"--s2-offset {given:g} isn't used, since the {found.origin} says {found.value:g}"
            return Offset(found.value, found.origin, note)
        return found
    return Offset(given, "--s2-offset") if given is not None else _assumed(day)


def _assumed(day: date | None) -> Offset:
    advice = "if the processing baseline is 04.00 or later, give --s2-offset -1000 (0 confirms what is taken)"
    if day is not None and day >= OFFSET_SINCE_DATE:
        return Offset(0, "nothing", f"acquired after 2022-01-25 but without a known offset, so 0 is taken: {advice}")
    return Offset(
        0, "nothing", f"neither metadata nor name tells the offset of the digital numbers, so 0 is taken: {advice}"
    )


def _from_headers(headers: Sequence[RasterHeader]) -> Offset | None:
    declared = {offset for header in headers for offset in _declared(header)}
    return Offset(_the_one(declared, headers[0].path), "file") if declared else None


def _declared(header: RasterHeader) -> list[float]:
    """The offsets that a file declares for its bands, in digital numbers."""
    if tag := header.tags.get("BOA_ADD_OFFSET") or header.tags.get("RADIO_ADD_OFFSET"):
        try:
            return [float(tag)]
        except ValueError:
            raise SceneError(f"{header.path}: the offset that it declares must be a number, but is {tag!r}.") from None
    scaled = [(s, o) for s, o in zip(header.scales, header.offsets, strict=True) if (s, o) != (1, 0)]
    for scale, _ in scaled:
        if abs(scale * QUANTIFICATION - 1) > 1e-6:
            raise SceneError(
                f"{header.path}: digital numbers must be reflectance times 10000, but the file declares a scale of "
                f"{scale:g}; convert it."
            )
    return [round(offset * QUANTIFICATION, 3) for _, offset in scaled]


def _from_metadata(paths: Sequence[Path]) -> Offset | None:
    for path in paths:
        text = read_metadata_text(path)
        if values := {float(value) for value in _ADD_OFFSET.findall(text)}:
            return Offset(_the_one(values, path), "metadata")
        if baseline := _XML_BASELINE.search(text):
            return Offset(_by_baseline(int("".join(baseline.groups()))), "metadata")
    return None


def _from_names(names: Sequence[str]) -> Offset | None:
    for name in names:
        if match := _NAME_BASELINE.search(name):
            return Offset(_by_baseline(int(match[1])), f"name (N{match[1]})")
    return None


def _by_baseline(baseline: int) -> float:
    return -1000.0 if baseline >= OFFSET_SINCE_BASELINE else 0.0


def _the_one(values: set[float], path: Path) -> float:
    if len(values) > 1:
        raise SceneError(
            f"{path}: all bands must have one offset, but {sorted(values)} are declared; convert the bands."
        )
    return values.pop()


def find_date(names: Sequence[str]) -> date | None:
    """The first day that is written as YYYYMMDD in one of the names, or None."""
    for name in names:
        for match in _DATE.finditer(name):
            year, month, day = map(int, match.groups())
            try:
                return date(year, month, day)
            except ValueError:
                continue
    return None
