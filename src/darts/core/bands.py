"""Bands by name, and how each is scaled to [0, 1] in a dataset."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from darts.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Band:
    """A channel of a dataset.

    A physical value v is stored as x = clip((v - lo) / (hi - lo), 0, 1); a pixel without a value is stored as `fill`.

    Attributes
    ----------
    name
        Canonical name, such as `nir` or `ndvi`.
    lo, hi
        Physical values that become 0 and 1, in `unit`.
    unit
        Unit of the physical value; "1" for a dimensionless one.
    fill
        What x holds where the band has no value, in [0, 1].
    """

    name: str
    lo: float
    hi: float
    unit: str
    fill: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The scaling, without the name, as TOML and JSON can hold it."""
        return {"lo": self.lo, "hi": self.hi, "unit": self.unit, "fill": self.fill}


def _reflectance(name: str) -> Band:
    return Band(name, -0.1, 0.5, "reflectance")


# Ranges of darts-nextgen (HEAD), so that its models and ours see the same numbers.
_BANDS: Mapping[str, Band] = {
    band.name: band
    for band in (
        *map(
            _reflectance,
            "coastal blue green red rededge071 rededge075 rededge078 nir nir08 nir09 swir10 swir16 swir22".split(),
        ),
        Band("ndvi", -1.0, 1.0, "1"),
        Band("tc_brightness", 0.0, 255.0, "1"),
        Band("tc_greenness", 0.0, 255.0, "1"),
        Band("tc_wetness", 0.0, 255.0, "1"),
        Band("dem", -100.0, 3000.0, "m"),
        Band("relative_elevation", -50.0, 50.0, "m"),
        Band("slope", 0.0, 90.0, "degree"),
        Band("aspect", 0.0, 360.0, "degree"),
        Band("hillshade", 0.0, 1.0, "1"),
        Band("curvature", -1.0, 1.0, "1"),
    )
}


def known_bands() -> tuple[str, ...]:
    """The names of all bands that `darts` can scale."""
    return tuple(_BANDS)


def get_bands(names: Iterable[str]) -> tuple[Band, ...]:
    """The bands of the given names, in the given order.

    Raises
    ------
    ConfigError
        When a name is unknown or comes twice.
    """
    names = tuple(names)
    for name in names:
        if name not in _BANDS:
            raise ConfigError(f"there is no band {name!r}; the bands are {', '.join(_BANDS)}.")
    if len(set(names)) != len(names):
        raise ConfigError(f"each band may come once, but got {', '.join(names)}.")
    if not names:
        raise ConfigError("at least one band is needed, but got none.")
    return tuple(_BANDS[name] for name in names)
