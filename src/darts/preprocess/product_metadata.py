"""Metadata files of Sentinel-2 products, read as text: unlike XML, that can't be made to expand or fetch anything."""

import re
from collections.abc import Sequence
from pathlib import Path

from darts.preprocess.headers import RasterHeader
from darts.preprocess.metadata_text import read_metadata_text
from darts.preprocess.scenes import Sun

PRODUCT_FILES = ("MTD_MSIL2A.xml", "MTD_MSIL1C.xml")
TILE_FILE = "MTD_TL.xml"

_MEAN_SUN = re.compile(r"<Mean_Sun_Angle>(.*?)</Mean_Sun_Angle>", re.DOTALL)
_ANGLE = r"<{0}_ANGLE[^>]*>\s*(-?\d+(?:\.\d+)?)\s*<"


def metadata_of(folder: Path) -> tuple[Path, ...]:
    """The metadata files of a product: of the whole, then of its tile."""
    whole = [folder / name for name in PRODUCT_FILES]
    tile = [folder / TILE_FILE, *sorted(folder.glob(f"GRANULE/*/{TILE_FILE}"))]
    return tuple(path for path in (*whole, *tile) if path.is_file())


def find_sun(metadata: Sequence[Path], headers: Sequence[RasterHeader]) -> Sun | None:
    """The mean position of the sun: from the metadata of the tile, else from the tags of a raster."""
    for path in metadata:
        if mean := _MEAN_SUN.search(read_metadata_text(path)):
            zenith, azimuth = (re.search(_ANGLE.format(name), mean[1]) for name in ("ZENITH", "AZIMUTH"))
            if zenith and azimuth:
                return Sun(float(azimuth[1]), 90 - float(zenith[1]))
    for header in headers:
        angles = [header.tags.get(f"view:sun_{name}") for name in ("azimuth", "elevation")]
        if all(angles):
            return Sun(*(float(str(angle)) for angle in angles))
    return None
