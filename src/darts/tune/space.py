"""The normal form of a search space: what each hyperparameter may be, and which point comes k-th."""

import functools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, Self

from darts.core.errors import ConfigError
from darts.core.seeds import derive_seed

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

LARGEST_GRID = 100_000
"""A finite space with more points is drawn from like a continuous one."""

Value = bool | int | float | str | None
Scale = Literal["linear", "log", "reversed-log"]


@dataclass(frozen=True, slots=True)
class Constant:
    """One value in every point."""

    value: Value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values, each as likely as the others."""

    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ConfigError("a choice needs at least one value, but got an empty list; name the values.")
        seen: set[Value] = set()
        for value in self.values:
            if value in seen:
                raise ConfigError(f"a choice names each value once, but got {value!r} twice; remove one.")
            seen.add(value)


@dataclass(frozen=True, slots=True)
class Range:
    """A number between two others, both included.

    Attributes
    ----------
    low, high
        The ends. On the scale `reversed-log` they are distances from the offset: the value is offset - d, where d is
        log-uniform in [low, high].
    scale
        Where values are equally likely.
    step
        Distance of neighbouring values, counted from low; None for all numbers (all whole numbers, if integer).
    integer
        Whether only whole numbers are meant.
    offset
        Used by the scale `reversed-log` only.
    """

    low: float
    high: float
    scale: Scale = "linear"
    step: float | None = None
    integer: bool = False
    offset: float = 1.0

    def __post_init__(self) -> None:
        given = f"but got {_text(self.low)} to {_text(self.high)}"
        step = 1 if self.step is None else self.step
        whole = all(float(number).is_integer() for number in (self.low, self.high, step))
        discrete = self.integer or self.step is not None
        # 0.3 - 0.1 is a rounding error below 0.2.
        span = (self.high - self.low) * (1 + 1e-9)
        rules = {
            f"a range has finite ends, {given}": all(map(math.isfinite, (self.low, self.high, self.offset))),
            f"a range goes from a smaller number to a larger one, {given}": self.low < self.high,
            f"a log range begins above 0, {given}": self.scale == "linear" or self.low > 0,
            f"steps and whole numbers are linear, but the scale is {self.scale}": self.scale == "linear"
            or not discrete,
            f"the step is above 0 and at most high - low, but is {step} in {_text(self.low)} to {_text(self.high)}": (
                self.step is None or 0 < step <= span
            ),
            f"whole numbers need whole ends and steps, {given}, step {step}": whole or not self.integer,
        }
        for rule, kept in rules.items():
            if not kept:
                raise ConfigError(f"{rule}; change the range.")

    @property
    def bottom(self) -> float:
        """The least value."""
        return _difference(self.offset, self.high) if self.scale == "reversed-log" else self.low

    @property
    def top(self) -> float:
        """The greatest value; with a step, the last one that fits."""
        if self.scale == "reversed-log":
            return _difference(self.offset, self.low)
        return self.high if self.count is None else self.nth(self.count - 1)

    @property
    def count(self) -> int | None:
        """How many values there are, None for all numbers."""
        if self.step is None and not self.integer:
            return None
        return int((_exact(self.high) - _exact(self.low)) // _exact(self.step or 1)) + 1

    def nth(self, index: int) -> int | float:
        """The value that many steps above low."""
        value = _exact(self.low) + index * _exact(self.step or 1)
        return int(value) if self.integer else float(value)

    def quantile(self, u: float) -> int | float:
        """The value below which a share `u` of the draws lies, u in [0, 1]."""
        if self.count is not None:
            return self.nth(_index(u, self.count))
        if self.scale == "linear":
            value = self.low + u * (self.high - self.low)
        else:
            value = math.exp(math.log(self.low) + u * (math.log(self.high) - math.log(self.low)))
        if self.scale == "reversed-log":
            value = self.offset - value
        # exp(log(x)) may be a rounding error above x.
        return float(min(max(value, self.bottom), self.top))


Dimension = Constant | Choice | Range
_KINDS: dict[str, type[Constant] | type[Choice] | type[Range]] = {
    "constant": Constant,
    "choice": Choice,
    "range": Range,
}


@dataclass(frozen=True)
class Space:
    """What each hyperparameter may be; `dimensions` is sorted by name."""

    dimensions: dict[str, Dimension]

    def __post_init__(self) -> None:
        object.__setattr__(self, "dimensions", dict(sorted(self.dimensions.items())))

    @property
    def size(self) -> int | None:
        """How many points there are; None if they are too many to be listed."""
        size = 1
        for dimension in self.dimensions.values():
            count = _count(dimension)
            if count is None:
                return None
            size *= count
        return size if size <= LARGEST_GRID else None

    @property
    def is_grid(self) -> bool:
        """Whether there are only constants and choices."""
        return not any(isinstance(dimension, Range) for dimension in self.dimensions.values())

    def point(self, seed: int, k: int) -> dict[str, Value]:
        """Point number k, from 0: it depends on the space, the seed and k alone.

        A space that has a `size` is drawn from without replacement, so that its first `size` points are the whole grid.

        Raises
        ------
        IndexError
            When k is negative, or the space has no more than k points.
        """
        size = self.size
        if k < 0 or (size is not None and k >= size):
            raise IndexError(f"points are counted from 0, and this space has {size or 'any number'}, but got {k}.")
        if size is not None:
            return self._grid_point(_shuffled(seed, size)[k])
        return {
            name: _quantile(dimension, derive_seed(seed, k, name) / 2**63)
            for name, dimension in self.dimensions.items()
        }

    def _grid_point(self, index: int) -> dict[str, Value]:
        point: dict[str, Value] = {}
        for name, dimension in self.dimensions.items():
            index, position = divmod(index, _count(dimension) or 1)
            point[name] = _nth(dimension, position)
        return point

    def distributions(self) -> dict[str, "BaseDistribution"]:
        """The space as Optuna's distributions; a reversed-log range becomes a uniform one between the same ends."""
        return {name: _distribution(dimension) for name, dimension in self.dimensions.items()}

    def bayes_problem(self) -> str | None:
        """What a TPE sampler can't express, with the way out; None if it can express all."""
        reversed_log = [
            name
            for name, dimension in self.dimensions.items()
            if isinstance(dimension, Range) and dimension.scale == "reversed-log"
        ]
        if not reversed_log:
            return None
        return f"a reversed-log range ({', '.join(reversed_log)}) can't be searched by bayes; use random, or uniform"

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """The space as JSON can hold it."""
        return {
            name: {"kind": type(dimension).__name__.lower(), **asdict(dimension)}
            for name, dimension in self.dimensions.items()
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Mapping[str, Any]]) -> Self:
        """The space that `as_dict` gave.

        Raises
        ------
        ConfigError
            When the record is damaged.
        """
        try:
            return cls({name: _from_record(**dimension) for name, dimension in record.items()})
        except (AttributeError, KeyError, TypeError) as error:
            raise ConfigError(f"the record of a search space can't be read ({error!r}); read its file again.") from None


def describe(space: Space) -> list[tuple[str, str]]:
    """Each name with its dimension in words, for tables."""
    return [(name, _words(dimension)) for name, dimension in space.dimensions.items()]


@functools.lru_cache(maxsize=8)
def _shuffled(seed: int, size: int) -> tuple[int, ...]:
    return tuple(sorted(range(size), key=lambda index: derive_seed(seed, "grid", index)))


def _exact(number: float) -> Fraction:
    # As it is written: 0.1 + 2 * 0.1 is 0.3 then, and 1 - 0.003 is 0.997.
    return Fraction(str(number))


def _difference(a: float, b: float) -> float:
    return float(_exact(a) - _exact(b))


def _index(u: float, count: int) -> int:
    return min(int(u * count), count - 1)


def _options(dimension: Constant | Choice) -> tuple[Value, ...]:
    return dimension.values if isinstance(dimension, Choice) else (dimension.value,)


def _count(dimension: Dimension) -> int | None:
    return dimension.count if isinstance(dimension, Range) else len(_options(dimension))


def _nth(dimension: Dimension, index: int) -> Value:
    return dimension.nth(index) if isinstance(dimension, Range) else _options(dimension)[index]


def _quantile(dimension: Dimension, u: float) -> Value:
    if isinstance(dimension, Range):
        return dimension.quantile(u)
    options = _options(dimension)
    return options[_index(u, len(options))]


def _distribution(dimension: Dimension) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(dimension, Range):
        return CategoricalDistribution(_options(dimension))
    if dimension.integer:
        return IntDistribution(int(dimension.bottom), int(dimension.top), step=int(dimension.step or 1))
    return FloatDistribution(dimension.bottom, dimension.top, log=dimension.scale == "log", step=dimension.step)


def _from_record(kind: str, **fields: Any) -> Dimension:
    if kind == "choice":
        return Choice(tuple(fields["values"]))
    return _KINDS[kind](**fields)


def _words(dimension: Dimension) -> str:
    if not isinstance(dimension, Range):
        texts = [_text(value) for value in _options(dimension)]
        return (" | " if any("," in text for text in texts) else ", ").join(texts)
    words = [f"{_text(dimension.bottom)} to {_text(dimension.top)}"]
    if dimension.scale != "linear":
        words.append(dimension.scale)
    if dimension.integer:
        words.append("whole numbers")
    if dimension.step is not None:
        words.append(f"step {_text(dimension.step)}")
    return ", ".join(words)


def _text(value: Value) -> str:
    if isinstance(value, float) and (value == 0 or 1e-9 <= abs(value) < 1e12):
        return f"{Decimal(str(value)):f}".removesuffix(".0")
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
