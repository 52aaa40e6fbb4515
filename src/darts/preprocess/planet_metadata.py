"""What the metadata of a PlanetScope image say: how numbers become reflectance, and where the sun stood."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts.core.errors import SceneError
from darts.preprocess.metadata_text import read_metadata_text
from darts.preprocess.scenes import Sun

# The elements are plain numbers; matching them as text can't be made to expand or fetch anything, as XML can.
_BAND = re.compile(r"<(?:\w+:)?bandSpecificMetadata\b[^<>]*>")
_ELEMENT = r"<(?:\w+:)?{}\b[^<>]*>\s*([^<\s]{{1,40}})\s*<"
_NUMBER, _COEFFICIENT, _AZIMUTH, _ELEVATION = (
    re.compile(_ELEMENT.format(name))
    for name in ("bandNumber", "reflectanceCoefficient", "illuminationAzimuthAngle", "illuminationElevationAngle")
)
_SUN_KEYS = (("sun_azimuth", "sun_elevation"), ("view:sun_azimuth", "view:sun_elevation"))


@dataclass(frozen=True, slots=True)
class FoundSun:
    """Where the sun stood, the file that says so, and what the user should know of the files that don't."""

    sun: Sun | None
    path: Path | None
    notes: tuple[str, ...]


def read_coefficients(path: Path, count: int) -> tuple[float, ...]:
    """What the digital numbers of each band are multiplied by to give reflectance at the top of the atmosphere.

    Parameters
    ----------
    path
        The product metadata (XML) with `ps:bandNumber` and `ps:reflectanceCoefficient` for each band.
    count
        Number of bands of the image.

    Raises
    ------
    SceneError
        When the file can't be read, or doesn't have one positive coefficient for each of the bands 1 to `count`.
    """
    found: dict[str, str] = {}
    for band in _BAND.split(read_metadata_text(path))[1:]:
        number, coefficient = _NUMBER.search(band), _COEFFICIENT.search(band)
        if number and coefficient and found.setdefault(number[1], coefficient[1]) != coefficient[1]:
            raise SceneError(f"{path}: a band must have one coefficient, but band {number[1]} has two; get it again.")
    coefficients = [_float(found.get(str(number))) for number in range(1, count + 1)]
    positive = tuple(value for value in coefficients if value is not None and value > 0)
    if len(found) != count or len(positive) != count:
        raise SceneError(
            f"{path} must have a positive reflectanceCoefficient for each of the {count} bands of the image, but has "
            f"{len(found)} of which {len(positive)} fit; get the metadata of this image again, or surface reflectance."
        )
    return positive


def find_sun(paths: Sequence[Path]) -> FoundSun:
    """Where the sun stood, by the first of several metadata files (JSON or XML) that says it.

    A file that can't be read is passed over, with a note.
    """
    notes: list[str] = []
    for path in paths:
        try:
            sun = _sun_of_xml(path) if path.suffix.lower() == ".xml" else _sun_of_json(path)
        except SceneError:
            notes.append(f"its metadata ({path.suffix.lower()}) are damaged, so the place of the sun isn't read there")
            continue
        if sun is not None:
            return FoundSun(sun, path, tuple(notes))
    return FoundSun(None, None, tuple(notes))


def _sun_of_xml(path: Path) -> Sun | None:
    text = read_metadata_text(path)
    azimuth, elevation = _AZIMUTH.search(text), _ELEVATION.search(text)
    return _sun(azimuth and azimuth[1], elevation and elevation[1])


def _sun_of_json(path: Path) -> Sun | None:
    """From the top level, or from the properties of a GeoJSON feature."""
    try:
        item = json.loads(read_metadata_text(path))
    except (ValueError, RecursionError):
        raise SceneError(f"{path} must be JSON, but isn't; get it again.") from None
    properties = item.get("properties") if isinstance(item, dict) else None
    for level in (item, properties):
        for azimuth, elevation in _SUN_KEYS:
            if isinstance(level, Mapping) and (sun := _sun(level.get(azimuth), level.get(elevation))):
                return sun
    return None


def _sun(azimuth: Any, elevation: Any) -> Sun | None:
    """The place of the sun, when both angles are numbers of degrees that can be."""
    numbers = _float(azimuth), _float(elevation)
    if numbers[0] is None or numbers[1] is None or abs(numbers[0]) > 360 or abs(numbers[1]) > 90:
        return None
    return Sun(numbers[0] % 360, numbers[1])


def _float(value: Any) -> float | None:
    """A finite number, or a text that is one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
