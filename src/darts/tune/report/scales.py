"""Where the values of a hyperparameter lie on an axis of a figure, and what is written there."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from matplotlib.ticker import MaxNLocator

from darts.core.html import number_text, value_text
from darts.tune.space import Constant, Dimension, Range

_LONGEST_LABEL = 22
_FEWEST_TICKS = 3
_FEWEST_SCORES = 8


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from 0 to 1.

    Attributes
    ----------
    place
        Where a value lies; NaN for one that has no place.
    ticks
        Place and text of each tick; of each category, if there are.
    """

    place: Callable[[Any], float]
    ticks: tuple[tuple[float, str], ...]
    is_categorical: bool = False


@dataclass(frozen=True, slots=True)
class ScoreRange:
    """The scores that figures have room for, from the least to the greatest; others lie at the edge.

    A few trials that collapsed would press all others together.
    """

    low: float
    high: float

    @classmethod
    def of(cls, scores: Sequence[float], *, lower_is_better: bool) -> Self:
        """The range of all scores but those that are far worse than most."""
        if len(scores) < _FEWEST_SCORES:
            return cls(min(scores, default=0.0), max(scores, default=1.0))
        quarter, three_quarters = map(float, np.percentile(scores, [25, 75]))
        reach = 3 * (three_quarters - quarter)
        if lower_is_better:
            return cls(min(scores), max(score for score in scores if score <= three_quarters + reach))
        return cls(min(score for score in scores if score >= quarter - reach), max(scores))

    @property
    def room(self) -> float:
        """The width of the range, or of what is drawn where all scores are equal."""
        return (self.high - self.low) or abs(self.high) * 0.1 or 0.1

    def side(self, score: float) -> int:
        """-1 for a score below the range, 1 for one above, 0 for one in it."""
        return int(score > self.high) - int(score < self.low)

    def pinned(self, score: float) -> float:
        """Where the score is drawn."""
        edge = {-1: self.low - 0.07 * self.room, 1: self.high + 0.07 * self.room}
        return edge.get(self.side(score), score)


def scale_of(dimension: Dimension) -> Scale:
    """The axis of a dimension of a search space."""
    if isinstance(dimension, Range):
        if dimension.scale != "linear":
            return _logarithmic(dimension)
        return _linear(dimension.bottom, dimension.top, whole=dimension.integer)
    return _categories((dimension.value,) if isinstance(dimension, Constant) else dimension.values)


def _categories(values: Sequence[Any]) -> Scale:
    # The first one on top, as in a table.
    places = {value: 1 - (index + 0.5) / len(values) for index, value in enumerate(values)}
    ticks = tuple((place, short_text(value_text(value))) for value, place in places.items())
    return Scale(lambda value: places.get(value, math.nan), ticks, is_categorical=True)


def short_text(text: str) -> str:
    """The text, or its beginning, if it has no room beside an axis."""
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"


def score_scale(scores: ScoreRange, *, lower_is_better: bool) -> Scale:
    """The axis of the score, the best on top."""
    linear = _linear(scores.low, scores.high, upside_down=lower_is_better)
    return Scale(lambda value: min(max(linear.place(value), 0.0), 1.0), linear.ticks)


def _linear(low: float, high: float, *, whole: bool = False, upside_down: bool = False) -> Scale:
    """From the least to the greatest of some numbers, or back."""
    width = (high - low) or 1.0

    def place(value: Any) -> float:
        share = (number(value) - low) / width
        return 1 - share if upside_down else share

    values = MaxNLocator(nbins=4, integer=whole).tick_values(low, high)
    # Ticks are computed, and may lie a rounding error outside.
    inside = [float(value) for value in values if low - 1e-9 * width <= value <= high + 1e-9 * width]
    return Scale(place, tuple((place(value), number_text(value, 6)) for value in inside or [low]))


def _logarithmic(dimension: Range) -> Scale:
    """Of a reversed-log range, the distances from the offset are logarithmic, the greatest one first."""
    low, high = math.log(dimension.low), math.log(dimension.high)
    is_reversed = dimension.scale == "reversed-log"

    def place(value: Any) -> float:
        distance = dimension.offset - number(value) if is_reversed else number(value)
        share = (math.log(distance) - low) / (high - low) if distance > 0 else math.nan
        return 1 - share if is_reversed else share

    values = _round_numbers(dimension.low, dimension.high)
    shown = [dimension.offset - value for value in values] if is_reversed else values
    return Scale(place, tuple((place(value), number_text(value, 6)) for value in shown))


def _round_numbers(low: float, high: float) -> list[float]:
    """Powers of ten between two numbers; with 2 and 5 times them, if there are few."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 2, 5), tuple(range(1, 10))):
        numbers = [float(f"{step}e{exponent}") for exponent in exponents for step in steps]
        inside = [value for value in numbers if low <= value <= high]
        if len(inside) >= _FEWEST_TICKS:
            return inside[:: math.ceil(len(inside) / 6)]
    return [low, high]


def number(value: Any) -> float:
    """The value as a number; NaN for anything else, such as a value that isn't there."""
    return float(value) if isinstance(value, int | float) else math.nan
