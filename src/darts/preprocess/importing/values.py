"""What the numbers of ready patches mean: physical values, label codes, and what was seen of them."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from darts.core.bands import Band, get_bands, index_band, known_bands, rescaled
from darts.dataset.schema import BACKGROUND, IGNORE, POSITIVE
from darts.preprocess.features import normalise
from darts.preprocess.importing.arrays import Layers
from darts.preprocess.importing.config import ImportConfig

MOST_CLIPPED = 0.01
"""Share of the values of a band outside of its range from which on the scale is probably wrong."""
LEAST_SPAN = 0.01
"""Share of the range of a band that its values take up, below which the scale is probably wrong."""
MOST_MASK_VALUES = 16
_TOLERANCE = 1e-6
"""Share of a range by which a value may lie outside for the rounding of its file."""


@dataclass(frozen=True, slots=True)
class BandSeen:
    """What was seen of a band.

    Attributes
    ----------
    count
        How many values there are.
    clipped
        How many of them lie outside of the range of the band.
    low, high
        The least and the greatest, as physical values before clipping; None when there is none.
    """

    count: int = 0
    clipped: int = 0
    low: float | None = None
    high: float | None = None

    @property
    def clipped_share(self) -> float:
        """Share of the values that were clipped."""
        return self.clipped / max(self.count, 1)

    def merged(self, other: "BandSeen") -> "BandSeen":
        """What was seen of both; in any order, the result is the same."""
        lows = [low for low in (self.low, other.low) if low is not None]
        highs = [high for high in (self.high, other.high) if high is not None]
        return BandSeen(
            self.count + other.count,
            self.clipped + other.clipped,
            min(lows, default=None),
            max(highs, default=None),
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen in some patches.

    Attributes
    ----------
    bands
        Of each band.
    mask_values
        The least 16 of the numbers in the masks, sorted.
    positive_pixels
        Number of pixels of the masks that are positive.
    """

    bands: tuple[BandSeen, ...]
    mask_values: tuple[float, ...] = ()
    positive_pixels: int = 0

    def merged(self, other: "Seen") -> "Seen":
        """What was seen in both; in any order, the result is the same."""
        return Seen(
            tuple(mine.merged(theirs) for mine, theirs in zip(self.bands, other.bands, strict=True)),
            tuple(sorted({*self.mask_values, *other.mask_values})[:MOST_MASK_VALUES]),
            self.positive_pixels + other.positive_pixels,
        )

    def numbers_text(self) -> str:
        """The numbers in the masks, as far as they are kept."""
        shown = ", ".join(f"{value:g}" for value in self.mask_values)
        return f"{shown}, and maybe more" if len(self.mask_values) == MOST_MASK_VALUES else shown

    def as_facts(self) -> dict[str, Any]:
        """As JSON can hold it."""
        lists = {"bands": [asdict(band) for band in self.bands], "mask_values": list(self.mask_values)}
        return lists | {"positive_pixels": self.positive_pixels}

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> "Seen":
        """What `as_facts` gave."""
        bands = tuple(BandSeen(**band) for band in facts["bands"])
        return cls(bands, tuple(facts["mask_values"]), facts["positive_pixels"])


def all_seen(parts: Sequence[Seen], bands: int) -> Seen:
    """What was seen in all parts."""
    return reduce(Seen.merged, parts, Seen((BandSeen(),) * bands))


def imported_bands(config: ImportConfig) -> tuple[Band, ...]:
    """The bands with their scaling: as usual, or in the range that was given.

    In another range than the usual one, numbers of an optical band are not known to be reflectance: they have no unit.
    """
    return tuple(_band(name, config.ranges.get(name)) for name in config.bands)


def _band(name: str, given: tuple[float, float] | None) -> Band:
    band = get_bands([name])[0] if name in known_bands() else index_band(name)
    if given is None:
        return band
    return replace(rescaled(band, *given), unit="1" if band.unit == "reflectance" else band.unit)


def physical_values(layers: Layers, config: ImportConfig) -> np.ndarray:
    """Physical values, number * scale + offset: float64 (bands, h, w), NaN where there is no value."""
    values = layers.numbers * np.float64(config.scale) + config.offset
    for channel, numbers, declared in zip(values, layers.numbers, layers.nodata, strict=True):
        for nodata in (*config.nodata, *(() if declared is None else (declared,))):
            channel[numbers == nodata] = np.nan
    values[~np.isfinite(values)] = np.nan
    return values


def scaled_values(values: np.ndarray, bands: Sequence[Band]) -> np.ndarray:
    """Physical values (bands, h, w) as float32 in [0, 1]; NaN stays NaN."""
    x = np.empty(values.shape, dtype=np.float32)
    for channel, of_band, band in zip(x, values, bands, strict=True):
        normalise(of_band, band, channel)
    return x


def label_codes(mask: np.ndarray, missing: np.ndarray, config: ImportConfig) -> np.ndarray:
    """Label codes, uint8 (h, w).

    Parameters
    ----------
    mask
        The numbers of the file, (h, w).
    missing
        Where some band has no value, bool (h, w): nothing is to be learnt there.
    """
    ignored = missing | _is_one_of(mask, config.ignore_values)
    if mask.dtype.kind == "f":
        ignored |= ~np.isfinite(mask)
    codes = np.where(_is_one_of(mask, config.positive_values), np.uint8(POSITIVE), np.uint8(BACKGROUND))
    codes[ignored] = IGNORE
    return codes


def _is_one_of(numbers: np.ndarray, values: Sequence[float]) -> np.ndarray:
    found = np.zeros(numbers.shape, dtype=bool)
    for value in values:
        found |= numbers == value
    return found


def look_at(values: np.ndarray, mask: np.ndarray, bands: Sequence[Band], positive_values: Sequence[float]) -> Seen:
    """What is seen of the physical values (bands, h, w) and of the numbers of the mask (h, w) of a patch."""
    numbers = np.unique(mask[np.isfinite(mask)])[:MOST_MASK_VALUES]
    return Seen(
        tuple(_look_at_band(of_band[np.isfinite(of_band)], band) for of_band, band in zip(values, bands, strict=True)),
        tuple(float(number) for number in numbers),
        int(_is_one_of(mask, positive_values).sum()),
    )


def _look_at_band(values: np.ndarray, band: Band) -> BandSeen:
    if not values.size:
        return BandSeen()
    margin = _TOLERANCE * (band.hi - band.lo)
    outside = (values < band.lo - margin) | (values > band.hi + margin)
    return BandSeen(values.size, int(outside.sum()), float(values.min()), float(values.max()))


def doubts(seen: Seen, bands: Sequence[Band], config: ImportConfig) -> list[str]:
    """What looks as if a setting were wrong, a sentence each."""
    return [*_doubts_of_scale(seen, bands), *_doubts_of_labels(seen, config)]


def _doubts_of_scale(seen: Seen, bands: Sequence[Band]) -> Iterator[str]:
    pairs = list(zip(bands, seen.bands, strict=True))
    if outside := [pair for pair in pairs if pair[1].clipped_share > MOST_CLIPPED]:
        yield (
            f"more than {MOST_CLIPPED:.0%} of the values of some bands lie outside of their range, and are clipped: "
            f"{'; '.join(_described(*pair) for pair in outside)}; look at --scale, --offset and --band-ranges."
        )
    if narrow := [pair for pair in pairs if pair not in outside and _is_narrow(*pair)]:
        yield (
            f"the values of some bands take up less than {LEAST_SPAN:.0%} of their range: "
            f"{'; '.join(_described(*pair) for pair in narrow)}; look at --scale, --offset and --band-ranges."
        )


def _is_narrow(band: Band, seen: BandSeen) -> bool:
    if seen.low is None or seen.high is None:
        return False
    low, high = np.clip([seen.low, seen.high], band.lo, band.hi)
    return bool(high - low < LEAST_SPAN * (band.hi - band.lo))


def _described(band: Band, seen: BandSeen) -> str:
    share = f", {seen.clipped_share:.1%} clipped" if seen.clipped else ""
    return f"{band.name} ({seen.low:.4g} to {seen.high:.4g} in {band.lo:g} to {band.hi:g}{share})"


def _doubts_of_labels(seen: Seen, config: ImportConfig) -> Iterator[str]:
    if not seen.positive_pixels:
        wanted = ", ".join(f"{value:g}" for value in config.positive_values)
        found = seen.numbers_text() or "NaN"
        yield f"no mask that was read holds a positive value ({wanted}), only {found}; look at --positive-values."
