"""What is done to the values of each band before the network sees them, from statistics of the train patches."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import torch
from torch import nn

from darts.core.errors import CheckpointError, DatasetError
from darts.training.config import Normalisation as Method

_QUANTILES = (0.01, 0.99)
_PER_BAND = ("low", "high", "offset", "factor")
# Infinity would do, but weight averaging takes the difference of a buffer and itself, and inf - inf is NaN.
_UNLIMITED = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class BandStatistics:
    """Statistics of the values x in [0, 1] of each band, float64; `std` is that of the population."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]
    q01: tuple[float, ...]
    q99: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Normalisation:
    """out = (clip(x, low, high) - offset) * factor for each band; `none` leaves x as it is, and has no bands.

    Attributes
    ----------
    method
        `none`, `z-score`, `min-max` or `quantile`.
    low, high
        Values of x to clip at, or None where nothing is clipped.
    offset, factor
        What is taken away, and what the rest is multiplied by; a factor of 0 makes a band 0 that is the same everywhere.
    """

    method: Method = "none"
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    offset: tuple[float, ...] = ()
    factor: tuple[float, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; `from_dict` gives the same again, to the last bit."""
        return {"method": self.method, **{name: list(getattr(self, name)) for name in _PER_BAND}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> "Normalisation":
        """Read what `as_dict` wrote; nothing is the normalisation of a model that has none.

        Raises
        ------
        CheckpointError
            When it is something else.
        """
        if values is None:
            return cls()
        try:
            low, high, offset, factor = (tuple(map(_number, values[name])) for name in _PER_BAND)
            fits = values["method"] in get_args(Method) and len({*map(len, (low, high, offset, factor))}) == 1
            if not fits or None in (*offset, *factor) or bool(factor) == (values["method"] == "none"):
                raise ValueError
        except (KeyError, TypeError, ValueError):
            raise CheckpointError(
                f"a normalisation has a method of {', '.join(get_args(Method))} and low, high, offset and factor of each "
                f"band, but this one is {str(values)[:200]}; use another checkpoint."
            ) from None
        return cls(values["method"], low, high, offset, factor)  # type: ignore[arg-type] # None was refused


def _number(value: Any) -> float | None:
    if value is not None and not math.isfinite(value):
        raise ValueError
    return None if value is None else float(value)


def count_values(stored: np.ndarray, valid: np.ndarray, counts: np.ndarray) -> None:
    """Add how often each stored value comes in a patch to `counts`.

    Parameters
    ----------
    stored
        uint16 (bands, h, w): round(x * scale).
    valid
        bool (h, w): the pixels that count.
    counts
        int64 or uint64 (bands, scale + 1), changed in place.

    Raises
    ------
    ValueError
        When a value is above scale.
    """
    everywhere = bool(valid.all())
    for channel, count in zip(stored, counts, strict=True):
        values = channel.ravel() if everywhere else channel[valid]
        np.add(count, np.bincount(values, minlength=count.size).astype(count.dtype, copy=False), out=count)


def statistics_from_counts(counts: np.ndarray, scale: int) -> BandStatistics:
    """Statistics of x = value / scale from how often each value comes.

    Sums are whole numbers of any size, so that nothing is rounded before the last division. Quantiles lie between the
    nearest two values, as in `numpy.quantile`.

    Parameters
    ----------
    counts
        int64 or uint64 (bands, scale + 1).
    scale
        The stored value that stands for 1.

    Raises
    ------
    DatasetError
        When a band has no value at all.
    """
    for band, count in enumerate(counts):
        if not count.any():
            raise DatasetError(
                f"--normalisation needs values of every band, but band {band + 1} of {len(counts)} has none in the train "
                "patches: all their pixels are ignored; use --normalisation none."
            )
    rows = [_statistics(count, scale) for count in counts]
    return BandStatistics(*zip(*rows, strict=True))


def _statistics(count: np.ndarray, scale: int) -> tuple[float, ...]:
    """Mean, std, minimum, maximum and the two quantiles of one band."""
    present = np.flatnonzero(count)
    values, times = present.astype(object), count[present].astype(object)  # whole numbers of Python
    n, first, second = int(times.sum()), int(times @ values), int(times @ values**2)
    std = math.sqrt((n * second - first**2) / (n * scale) ** 2)
    last = np.cumsum(count[present])
    quantiles = [_quantile(present, last, share) / scale for share in _QUANTILES]
    return first / (n * scale), std, int(present[0]) / scale, int(present[-1]) / scale, *quantiles


def _quantile(values: np.ndarray, last: np.ndarray, share: float) -> float:
    """Of sorted values, each of which comes up to place `last`."""
    place = share * (int(last[-1]) - 1)
    below, above = (
        int(values[np.searchsorted(last, at, side="right")]) for at in (math.floor(place), math.ceil(place))
    )
    return below + (above - below) * (place - math.floor(place))


def normalisation_from(method: Method, statistics: BandStatistics) -> Normalisation:
    """The normalisation of a method: `z-score` gives mean 0 and deviation 1, the others clip to a range that becomes 0 to 1.

    A band without spread becomes 0.
    """
    if method == "none":
        return Normalisation()
    if method == "z-score":
        unlimited = (None,) * len(statistics.mean)
        return Normalisation(method, unlimited, unlimited, statistics.mean, _inverse(statistics.std))
    low, high = (statistics.minimum, statistics.maximum) if method == "min-max" else (statistics.q01, statistics.q99)
    return Normalisation(
        method, low, high, low, _inverse([top - bottom for bottom, top in zip(low, high, strict=True)])
    )


def _inverse(spreads: Sequence[float]) -> tuple[float, ...]:
    return tuple(1 / spread if spread > 0 else 0.0 for spread in spreads)


class Normaliser(nn.Module):
    """Apply a normalisation to x, float32 (n, bands, h, w); it adds nothing to a state dict."""

    def __init__(self, normalisation: Normalisation) -> None:
        super().__init__()
        self.normalisation = normalisation
        self.is_clipping = any(limit is not None for limit in (*normalisation.low, *normalisation.high))
        for name, default in zip(_PER_BAND, (-_UNLIMITED, _UNLIMITED, 0.0, 0.0), strict=True):
            numbers = [default if value is None else value for value in getattr(normalisation, name)]
            self.register_buffer(name, torch.tensor(numbers, dtype=torch.float32).view(1, -1, 1, 1), persistent=False)

    def forward(self, x_nchw: torch.Tensor) -> torch.Tensor:
        """The normalised values, of the same shape; x itself where there is nothing to do."""
        if self.normalisation.method == "none":
            return x_nchw
        if self.is_clipping:
            x_nchw = torch.clamp(x_nchw, self.get_buffer("low"), self.get_buffer("high"))
        return (x_nchw - self.get_buffer("offset")) * self.get_buffer("factor")
