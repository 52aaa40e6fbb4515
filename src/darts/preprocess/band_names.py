"""What Sentinel-2 files and bands are called, and what `darts` calls them."""

import re
from collections.abc import Mapping, Sequence

from darts.core.errors import ConfigError

BAND_NAMES: Mapping[str, str] = {
    "B01": "coastal",
    "B02": "blue",
    "B03": "green",
    "B04": "red",
    "B05": "rededge071",
    "B06": "rededge075",
    "B07": "rededge078",
    "B08": "nir",
    "B8A": "nir08",
    "B09": "nir09",
    "B10": "swir10",
    "B11": "swir16",
    "B12": "swir22",
}
"""Name in Sentinel-2 products -> canonical name."""

SCL = "scl"
_BAND = re.compile(r"(?:(?<![A-Za-z0-9])B[1-9]|B0[1-9]|B1[0-2]|B8A)(?![A-Za-z0-9])", re.IGNORECASE)
_SCL = re.compile(r"(?<![A-Za-z0-9])SCL(?![A-Za-z0-9])", re.IGNORECASE)
_PRODUCT = re.compile(r"\d{8}T\d{6}_\d{8}T\d{6}_T\d{2}[A-Z]{3}|T\d{2}[A-Z]{3}_\d{8}T\d{6}")
_TILE = re.compile(r"(?<![A-Za-z0-9])T\d{2}[A-Z]{3}(?![A-Za-z0-9])")
_SR = re.compile(r"_SR(?![A-Za-z0-9])", re.IGNORECASE)


def band_of(text: str) -> str | None:
    """The band that a text names, if it names exactly one."""
    codes = {match.upper() for match in _BAND.findall(text)}
    names = {BAND_NAMES[code if len(code) == 3 else f"B0{code[1]}"] for code in codes}
    return names.pop() if len(names) == 1 else None


def described_band(text: str) -> str | None:
    """The canonical band that a description names, if any: `B2`, `B02 (blue)`, `Blue`, `SCL`."""
    word = text.strip().lower()
    if word in BAND_NAMES.values():
        return word
    return SCL if is_scl(text) else band_of(text)


def canonical_source_bands(source_bands: Sequence[str]) -> list[str | None]:
    """Canonical names of `--source-bands`; None for `-`."""
    names = [None if text == "-" else described_band(text) for text in source_bands]
    for text, name in zip(source_bands, names, strict=True):
        if name is None and text != "-":
            raise ConfigError(
                f"--source-bands: a band is {', '.join(BAND_NAMES)}, {', '.join(BAND_NAMES.values())}, {SCL}, or - to "
                f"skip one, but got {text!r}."
            )
        if name is not None and names.count(name) > 1:
            raise ConfigError(f"--source-bands: each band may come once, but {name} comes twice.")
    return names


def is_scl(stem: str) -> bool:
    """Whether a file is named as a scene classification."""
    return _SCL.search(stem) is not None


def is_stack(stem: str) -> bool:
    """Whether a file is named as surface reflectance of several bands (`*_SR*`)."""
    return _SR.search(stem) is not None


def product_of(stem: str) -> str:
    """What tells the files of one acquisition from those of others: its times and tile; "" if the name doesn't say."""
    match = _PRODUCT.search(stem)
    return match[0] if match else ""


def tile_of(names: Sequence[str]) -> str | None:
    """The tile that one of the names gives, as `T03WXP`."""
    return next((match[0] for match in map(_TILE.search, names) if match), None)
