"""Bands by name, and how each is scaled to [0, 1] in a dataset."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
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


def _band(name: str, lo: float, hi: float, unit: str, neutral: float) -> Band:
    """A band whose pixels without a value are stored as a physical value that says nothing, such as flat ground."""
    return Band(name, lo, hi, unit, fill=(neutral - lo) / (hi - lo))


def _reflectance(name: str) -> Band:
    return Band(name, -0.1, 0.5, "reflectance")


OPTICAL_BANDS = tuple(
    "coastal blue green05 green yellow red rededge071 rededge075 rededge078 nir nir08 nir09 swir10 swir16 swir22".split()
)
"""Measured by a satellite; the numbers are wavelengths, in units of 10 nm."""
TERRAIN_BANDS = ("dem", "relative_elevation", "slope", "aspect", "northness", "eastness", "hillshade", "curvature")
"""Computed from an elevation model."""
TREND_BANDS = ("tc_brightness", "tc_greenness", "tc_wetness")
"""Trends of tasseled-cap components, from Landsat."""

# Ranges of darts-nextgen (HEAD), so that its models and ours see the same numbers.
_BANDS: Mapping[str, Band] = {
    band.name: band
    for band in (
        *map(_reflectance, OPTICAL_BANDS),
        _band("ndvi", -1.0, 1.0, "1", neutral=0.0),
        *(_band(name, 0.0, 255.0, "1", neutral=128.0) for name in TREND_BANDS),
        _band("dem", -100.0, 3000.0, "m", neutral=0.0),
        _band("relative_elevation", -50.0, 50.0, "m", neutral=0.0),
        _band("slope", 0.0, 90.0, "degree", neutral=0.0),
        _band("aspect", 0.0, 360.0, "degree", neutral=0.0),
        _band("northness", -1.0, 1.0, "1", neutral=0.0),
        _band("eastness", -1.0, 1.0, "1", neutral=0.0),
        _band("hillshade", 0.0, 1.0, "1", neutral=0.5),
        _band("curvature", -1.0, 1.0, "1/100 m", neutral=0.0),
    )
}


def index_band(name: str) -> Band:
    """A spectral index: its range, where none is given, is that of a normalised difference."""
    return _band(name, -1.0, 1.0, "1", neutral=0.0)


def rescaled(band: Band, lo: float, hi: float) -> Band:
    """A band with another range; its fill stands for the same physical value, as far as the range holds it."""
    neutral = band.lo + band.fill * (band.hi - band.lo)
    return replace(band, lo=lo, hi=hi, fill=min(max((neutral - lo) / (hi - lo), 0.0), 1.0))


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


def nextgen_bands(names: Iterable[str]) -> tuple[Band, ...]:
    """The bands of a dataset or model of darts-nextgen, which doesn't say how it was scaled, and fills with 0.

    Raises
    ------
    ConfigError
        When a name is unknown or comes twice.
    """
    return tuple(replace(band, fill=0.0) for band in get_bands(names))
