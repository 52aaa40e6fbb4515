"""Where the values of a hyperparameter lie on an axis of a figure, and what is written there."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import MaxNLocator

from darts.tune.space import Constant, Dimension, Range

_LONGEST_LABEL = 24
_FEWEST_TICKS = 3


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


def scale_of(dimension: Dimension) -> Scale:
    """The axis of a dimension of a search space."""
    if isinstance(dimension, Range):
        if dimension.scale != "linear":
            return _logarithmic(dimension)
        return linear_scale(dimension.bottom, dimension.top, whole=dimension.integer)
    return _categories((dimension.value,) if isinstance(dimension, Constant) else dimension.values)


def _categories(values: Sequence[Any]) -> Scale:
    # The first one on top, as in a table.
    places = {value: 1 - (index + 0.5) / len(values) for index, value in enumerate(values)}
    ticks = tuple((place, _short(str(value))) for value, place in places.items())
    return Scale(lambda value: places.get(value, math.nan), ticks, is_categorical=True)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"


def linear_scale(low: float, high: float, *, whole: bool = False, upside_down: bool = False) -> Scale:
    """From the least to the greatest of some numbers, or back."""
    width = (high - low) or 1.0

    def place(value: Any) -> float:
        share = (number(value) - low) / width
        return 1 - share if upside_down else share

    values = MaxNLocator(nbins=4, integer=whole).tick_values(low, high)
    # Ticks are computed, and may lie a rounding error outside.
    inside = [float(value) for value in values if low - 1e-9 * width <= value <= high + 1e-9 * width]
    return Scale(place, tuple((place(value), f"{value:.6g}") for value in inside or [low]))


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
    return Scale(place, tuple((place(value), f"{value:.6g}") for value in shown))


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
