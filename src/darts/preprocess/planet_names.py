"""What PlanetScope images, their files and their bands are called.

An image id is that of a scene, `YYYYMMDD_HHMMSS_XXXX` or `YYYYMMDD_HHMMSS_N_XXXX`, or that of an orthotile,
`NNNNNNN_NNNNNNN_YYYY-MM-DD_XXXX`; the last part is the satellite, four hexadecimal digits. The name of a file is the id
and then its product and variant, as in `20210818_223529_10_2459_3B_AnalyticMS_SR_8b_harmonized_clip.tif`.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path

from darts.core.errors import SceneError

FOUR_BANDS = ("blue", "green", "red", "nir")
EIGHT_BANDS = ("coastal", "blue", "green05", "green", "yellow", "red", "rededge071", "nir")
"""Bands of an image in the order of its file, where that doesn't name them."""

_SCENE = r"(?P<day>\d{8})_\d{6}_(?:\d+_)?[0-9a-f]{4}"
# The strip, the first part, has fewer digits in the first years.
_ORTHOTILE = r"\d{5,8}_\d{7}_(?P<tile_day>\d{4}-\d{2}-\d{2})_[0-9a-f]{4}"
_IMAGE_ID = re.compile(rf"(?:{_SCENE}|{_ORTHOTILE})(?![0-9a-z])", re.IGNORECASE | re.ASCII)
# Not orthorectified (1B), not calibrated (DN), or for the eye.
_NO_IMAGE = {"1b", "dn", "visual", "panchromatic", "pansharpened", "preview", "browse", "thumb", "thumbnail"}
_DESCRIBED: Mapping[str, str] = {name: name for name in EIGHT_BANDS} | {
    "coastalblue": "coastal",
    "greeni": "green05",
    "green1": "green05",
    "greenii": "green",
    "green2": "green",
    "rededge": "rededge071",
    "nearinfrared": "nir",
}


class Role(Enum):
    """What a file holds."""

    SURFACE = "surface reflectance"
    TOP = "top of atmosphere"
    UDM2 = "udm2"
    UDM = "udm"
    METADATA_JSON = "metadata"
    CATALOGUE_JSON = "item of a catalogue (STAC)"
    METADATA_XML = "product metadata"
    OTHER_RASTER = "raster of no use"


IMAGES = (Role.SURFACE, Role.TOP)
MASKS = (Role.UDM2, Role.UDM)


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file, and what its name says.

    Attributes
    ----------
    path
        The file.
    image_id
        The id that its name begins with, if any.
    role
        What it holds.
    eight_bands, harmonized, clipped
        Its variant.
    """

    path: Path
    image_id: str | None
    role: Role
    eight_bands: bool
    harmonized: bool
    clipped: bool


def leading_id(name: str) -> str | None:
    """The image id that a name begins with, as it is written there."""
    match = _IMAGE_ID.match(name)
    return match[0] if match else None


def day_of(image_id: str) -> date | None:
    """The day of acquisition that an image id tells, in UTC."""
    match = _IMAGE_ID.fullmatch(image_id)
    try:
        return date.fromisoformat(match["day"] or match["tile_day"]) if match else None
    except ValueError:
        return None


def named_file(path: Path) -> NamedFile | None:
    """What the name of a file says; None when it is of no use and no raster."""
    image_id = leading_id(path.stem)
    words = set(re.findall(r"[a-z0-9]+", path.stem[len(image_id or "") :].lower()))
    role = _role(path.suffix.lower(), words, has_id=image_id is not None)
    if role is None:
        return None
    return NamedFile(
        path=path,
        image_id=image_id,
        role=role,
        eight_bands="8b" in words,
        harmonized="harmonized" in words,
        clipped=any(word.startswith("clip") for word in words),
    )


def _role(suffix: str, words: set[str], *, has_id: bool) -> Role | None:
    if suffix in {".tif", ".tiff"}:
        return _raster_role(words)
    if suffix == ".xml" and "metadata" in words and words.isdisjoint(_NO_IMAGE):
        return Role.METADATA_XML
    if suffix == ".json" and "metadata" in words:
        return Role.METADATA_JSON
    return Role.CATALOGUE_JSON if suffix == ".json" and has_id and not words else None


def _raster_role(words: set[str]) -> Role:
    if "1b" not in words and not words.isdisjoint({"udm", "udm2"}):
        return Role.UDM2 if "udm2" in words else Role.UDM
    if words.isdisjoint(_NO_IMAGE):
        if "sr" in words:
            return Role.SURFACE
        if not words.isdisjoint({"analytic", "analyticms"}):
            return Role.TOP
    return Role.OTHER_RASTER


def choose_image(files: Sequence[NamedFile], bands: Collection[str]) -> NamedFile:
    """The raster of an image that is to be read for some bands.

    Surface reflectance goes before top of atmosphere, eight bands before four only where a band needs them, the plain
    raster before the harmonized one, and the whole image before a clip.

    Raises
    ------
    SceneError
        When two rasters fit alike.
    """
    needs_eight = not set(bands) <= set(FOUR_BANDS)

    def rank(file: NamedFile) -> tuple[bool, ...]:
        lacks = needs_eight and not file.eight_bands
        return file.role is Role.TOP, lacks, file.harmonized, file.eight_bands, file.clipped

    return _the_first(files, rank)


def choose_mask(files: Sequence[NamedFile], image: NamedFile) -> NamedFile | None:
    """The usable data mask of a raster: that of a clip for a clip, and UDM2 before the older one.

    Raises
    ------
    SceneError
        When two masks fit alike.
    """
    return _the_first(files, lambda file: (file.clipped != image.clipped, file.role is Role.UDM)) if files else None


def _the_first(files: Sequence[NamedFile], rank: Callable[[NamedFile], tuple[bool, ...]]) -> NamedFile:
    """The file of the lowest rank, and of those the one that is named by its image."""
    ranks = [(*rank(file), file.image_id is None) for file in files]
    first, *others = [file for file, own in zip(files, ranks, strict=True) if own == min(ranks)]
    if others:
        raise SceneError(
            f"each image must come once, but {first.path} and {others[0].path.name} are both its {first.role.value}; "
            "keep one of them, or give each a folder of its own."
        )
    return first


def bands_of(descriptions: Sequence[str]) -> list[str | None]:
    """The bands of a raster: as it names them, else by their number, four or eight; None for an unknown one."""
    names = [_DESCRIBED.get(re.sub(r"[^a-z0-9]", "", text.lower())) for text in descriptions]
    if any(names):
        return names
    return list({4: FOUR_BANDS, 8: EIGHT_BANDS}.get(len(names), names))
