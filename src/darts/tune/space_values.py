"""Names and values of the settings that a sweep may vary; an error here states the rule, not where it was broken."""

import difflib
import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, get_args, get_origin

from darts.core.config import build_config, setting_to_flag
from darts.core.errors import ConfigError
from darts.training.config import DEFAULT_AUGMENTATIONS, Hyperparameters
from darts.tune.space import Choice, Range, Scale, Value

SWEEPABLE = (*Hyperparameters.model_fields, "bands")
"""Names that a search space may have."""


@contextmanager
def errors_begin_with(place: object) -> Iterator[None]:
    """Put a place, such as a file or a name, before the message of each ConfigError."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None


def shown(value: object) -> str:
    """A value as an error shows it, in at most 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def require_known(name: str, known: Collection[str], what: str) -> str:
    """The name itself, when it is known.

    Raises
    ------
    ConfigError
        Naming the nearest known name, and all of them.
    """
    if name in known:
        return name
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}? Known are" if nearest else "use one of"
    raise ConfigError(f"{what} can't be {shown(name)}; {hint} {', '.join(known)}.")


def underscored(content: Mapping[Any, Any]) -> dict[str, Any]:
    """A mapping with `-` in its keys replaced by `_`.

    Raises
    ------
    ConfigError
        When two of the keys are the same then.
    """
    found: dict[str, Any] = {}
    for key, value in content.items():
        name = str(key).replace("-", "_")
        if name in found:
            raise ConfigError(f"a key is given once, but {shown(name)} came twice (- and _ are the same); remove one.")
        found[name] = value
    return found


def require_keys(content: Mapping[str, Any], needed: Collection[str], optional: Collection[str] = ()) -> None:
    """Raise a ConfigError unless a mapping has all the keys it needs, and no others."""
    missing = [key for key in needed if key not in content]
    extra = [key for key in content if key not in needed and key not in optional]
    if missing or extra:
        rule = f"this needs {' and '.join(needed)}" + (f", and may have {' and '.join(optional)}" if optional else "")
        raise ConfigError(f"{rule}, but got {shown(', '.join(content))}; give these keys and no others.")


def as_number(value: Any) -> int | float:
    """A number, also one written as text such as `1e-3`, which YAML doesn't take for a number.

    Raises
    ------
    ConfigError
        When it is none, or not finite.
    """
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not math.isfinite(number):
        raise ConfigError(f"a finite number is needed, but got {shown(value)}; write one, such as 0.001.")
    return value if isinstance(value, int) else number


def number_type(name: str) -> type[int] | type[float] | None:
    """Int or float, for a setting that is a number; None for any other."""
    annotation = None if name == "bands" else Hyperparameters.model_fields[name].annotation
    types = [] if tuple in _origins(annotation) else _types(annotation)
    return int if int in types else float if float in types else None


def _types(annotation: object) -> list[object]:
    return [part for argument in get_args(annotation) for part in _types(argument)] or [annotation]


def _origins(annotation: object) -> list[object]:
    below = [origin for argument in get_args(annotation) for origin in _origins(argument)]
    return [get_origin(annotation), *below]


def _is_word(name: str, value: Any) -> bool:
    """Whether a setting that is a number also takes this word, such as auto."""
    return isinstance(value, str) and value.strip() in _types(Hyperparameters.model_fields[name].annotation)


def checked_value(name: str, value: Any) -> Value:
    """One value of a setting, in the form that a trial stores.

    Parameters
    ----------
    name
        One of `SWEEPABLE`.
    value
        As it stands in a file; a list of names becomes text with commas.

    Raises
    ------
    ConfigError
        When the setting doesn't take the value.
    """
    if name == "bands":
        return _bands(value)
    if number_type(name) and not _is_none(value) and not _is_word(name, value):
        value = as_number(value)
    validated = _validated(name, value)
    if not isinstance(validated, tuple):
        return validated
    if name == "augment" and validated in ((), DEFAULT_AUGMENTATIONS):
        return bool(validated)
    if name == "model_options" and len(validated) > 1:
        raise ConfigError(
            f"a sweep varies one option of a model at a time, but got {shown(value)}; give one name=value."
        )
    return ",".join(map(str, validated))


def _is_none(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() == "none")


def _validated(name: str, value: Any) -> Any:
    try:
        return getattr(build_config(Hyperparameters, {name: value}), name)
    except ConfigError as error:
        # In a file, a setting is no flag.
        raise ConfigError(str(error).removeprefix(f"{setting_to_flag(name)}: ")) from None


def _bands(value: Any) -> str:
    names = value.split(",") if isinstance(value, str) else value
    texts = isinstance(names, (list, tuple)) and all(isinstance(name, str) and name.strip() for name in names)
    if not texts or not names:
        raise ConfigError(f"bands are names of bands, but got {shown(value)}; write them as 'blue,green,red'.")
    return ",".join(name.strip() for name in names)


def checked_choice(name: str, values: Any) -> Choice:
    """A choice between values of a setting; a ConfigError when there is no such choice."""
    if not isinstance(values, (list, tuple)):
        raise ConfigError(f"a choice is a list of values, but got {shown(values)}; put them into [ ].")
    return Choice(tuple(checked_value(name, value) for value in values))


def checked_range(
    name: str,
    low: Any,
    high: Any,
    *,
    scale: Scale = "linear",
    step: Any = None,
    integer: bool = False,
    offset: Any = 1,
) -> Range:
    """A range of values of a setting, whose ends the setting takes.

    Raises
    ------
    ConfigError
        When there is no such range, or the setting doesn't take its ends.
    """
    wanted = number_type(name)
    if wanted is None:
        raise ConfigError("this setting is no number and has no range; list its values instead.")
    if wanted is int and not integer:
        raise ConfigError(
            f"this setting takes whole numbers only, but the range is {scale} over all numbers; use intuniform "
            "(int_uniform in a W&B file), or list its values."
        )
    dimension = Range(
        low=as_number(low),
        high=as_number(high),
        scale=scale,
        step=None if step is None else as_number(step),
        integer=integer,
        offset=float(as_number(offset)),
    )
    for end in (dimension.bottom, dimension.top):
        _validated(name, end)
    return dimension
