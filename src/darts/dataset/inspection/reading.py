"""Reading every patch of a dataset once, for counts that don't grow with the number of patches."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np

from darts.core.errors import DatasetError
from darts.dataset.check import broken_rule
from darts.dataset.fingerprint import content_hash
from darts.dataset.reader import Dataset
from darts.dataset.schema import IGNORE, POSITIVE, SCALE, quantise

BINS = 256
"""Bins of a histogram over x from 0 to 1."""
SATURATED = 0.5
"""A band is saturated in a patch when more than this share of its pixels lies at an end of its range."""

_THREADS = 4
# So many patches are read before the next are begun, so that results never pile up.
_AT_A_TIME = 256


@dataclass(frozen=True, slots=True)
class PatchReading:
    """What the pixels of one patch told.

    Attributes
    ----------
    row
        Row of the patch in x and y.
    positive, ignored, pixels
        Pixels of y that are positive, ignored, and all.
    constant
        Bands that have one value wherever the patch is not ignored.
    saturated
        Band and share, in (0.5, 1], of the pixels that are not ignored and lie at an end of the range of the band.
    positive_at_fill
        Positive pixels where every band is at its fill.
    is_out_of_range
        Whether x has a value below 0 or above 1.
    content_hash
        As in the metadata; computed when they have none.
    problem
        Why the patch can't be read, or None.
    broken
        The rule that it breaks, or else why it can't be read, or None.
    """

    row: int
    positive: int = 0
    ignored: int = 0
    pixels: int = 0
    constant: tuple[str, ...] = ()
    saturated: tuple[tuple[str, float], ...] = ()
    positive_at_fill: int = 0
    is_out_of_range: bool = False
    content_hash: str | None = None
    problem: str | None = None
    broken: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class BandTally:
    """Counts over pixels, exact, with one entry for each band; of pixels that are not ignored unless said otherwise.

    Attributes
    ----------
    pixels, all_pixels
        How many pixels are not ignored, and how many there are.
    low, high
        Least and greatest 16-bit level, int64 (bands,); `low` is above `high` as long as there is no pixel.
    total
        Sum of the levels, int64 (bands,).
    histogram, positive_histogram
        Pixels, and positive pixels, by bin of x, int64 (bands, 256).
    at_lo, at_hi
        Pixels at the ends of the range, int64 (bands,).
    at_fill
        Pixels at the fill of the band, ignored ones too, int64 (bands,).
    constant_patches
        Patches in which the band has one value, int64 (bands,).
    """

    pixels: int
    all_pixels: int
    low: np.ndarray
    high: np.ndarray
    total: np.ndarray
    histogram: np.ndarray
    positive_histogram: np.ndarray
    at_lo: np.ndarray
    at_hi: np.ndarray
    at_fill: np.ndarray
    constant_patches: np.ndarray

    @classmethod
    def nothing(cls, bands: int) -> Self:
        """The tally of no pixel."""
        none, histogram = np.zeros(bands, np.int64), np.zeros((bands, BINS), np.int64)
        return cls(0, 0, none + SCALE, none, none, histogram, histogram, none, none, none, none)

    def merged(self, other: "BandTally") -> "BandTally":
        """The tally of the pixels of both; in any order, the result is the same."""
        return BandTally(
            pixels=self.pixels + other.pixels,
            all_pixels=self.all_pixels + other.all_pixels,
            low=np.minimum(self.low, other.low),
            high=np.maximum(self.high, other.high),
            total=self.total + other.total,
            histogram=self.histogram + other.histogram,
            positive_histogram=self.positive_histogram + other.positive_histogram,
            at_lo=self.at_lo + other.at_lo,
            at_hi=self.at_hi + other.at_hi,
            at_fill=self.at_fill + other.at_fill,
            constant_patches=self.constant_patches + other.constant_patches,
        )


def read_patches(dataset: Dataset, *, threads: int = _THREADS) -> Iterator[tuple[PatchReading, BandTally]]:
    """Read every patch, in order; one that can't be read says so, and counts nothing."""
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(dataset), _AT_A_TIME):
            rows = range(start, min(start + _AT_A_TIME, len(dataset)))
            yield from pool.map(lambda row: read_patch(dataset, row), rows)


def read_patch(dataset: Dataset, row: int) -> tuple[PatchReading, BandTally]:
    """Read one patch."""
    bands = dataset.manifest.bands
    try:
        x, y = dataset.read_x(row), dataset.read_y(row)
    except DatasetError as error:
        return PatchReading(row, problem=str(error), broken=str(error)), BandTally.nothing(len(bands))
    levels = quantise(np.clip(x, 0, 1))
    at_fill = levels == np.array([round(band.fill * SCALE) for band in bands], np.uint16)[:, None, None]
    tally = _tally(levels, y, at_fill)
    names = dataset.manifest.band_names
    ends = (tally.at_lo + tally.at_hi) / max(tally.pixels, 1)
    reading = PatchReading(
        row=row,
        positive=int((y == POSITIVE).sum()),
        ignored=int((y == IGNORE).sum()),
        pixels=y.size,
        constant=tuple(name for name, is_so in zip(names, tally.constant_patches, strict=True) if is_so),
        saturated=tuple((name, float(share)) for name, share in zip(names, ends, strict=True) if share > SATURATED),
        positive_at_fill=int((at_fill.all(axis=0) & (y == POSITIVE)).sum()),
        is_out_of_range=bool(x.min() < 0 or x.max() > 1),
        content_hash=_hash_of(dataset, row, x, y),
        broken=broken_rule(dataset, row, x, y),
    )
    return reading, tally


def _tally(levels: np.ndarray, y: np.ndarray, at_fill: np.ndarray) -> BandTally:
    """Count one patch: levels uint16 (bands, h, w), y (h, w), at_fill bool (bands, h, w)."""
    seen = levels[:, y != IGNORE]
    low, high = seen.min(axis=1, initial=SCALE), seen.max(axis=1, initial=0)
    return BandTally(
        pixels=seen.shape[1],
        all_pixels=y.size,
        low=low.astype(np.int64),
        high=high.astype(np.int64),
        total=seen.sum(axis=1, dtype=np.int64),
        histogram=_histogram(seen),
        positive_histogram=_histogram(levels[:, y == POSITIVE]),
        at_lo=(seen == 0).sum(axis=1),
        at_hi=(seen == SCALE).sum(axis=1),
        at_fill=at_fill.sum(axis=(1, 2)),
        constant_patches=((low == high) & (seen.shape[1] > 1)).astype(np.int64),
    )


def _histogram(levels: np.ndarray) -> np.ndarray:
    """Pixels by bin, int64 (bands, 256), of levels uint16 (bands, pixels)."""
    return np.stack([np.bincount(band.astype(np.int64) * BINS // (SCALE + 1), minlength=BINS) for band in levels])


def _hash_of(dataset: Dataset, row: int, x: np.ndarray, y: np.ndarray) -> str:
    if "content_hash" in dataset.metadata.columns:
        return str(dataset.metadata["content_hash"].iloc[row])
    return content_hash(quantise(np.clip(x, 0, 1)), y)
