"""Files that say what a sweep varies: YAML or TOML, with `hyperparameters` of our own or a sweep of W&B."""

import tomllib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from darts.core.errors import ConfigError, one_line
from darts.tune.space import Constant, Dimension, Space
from darts.tune.space_values import (
    SWEEPABLE,
    checked_choice,
    checked_range,
    checked_value,
    errors_begin_with,
    number_type,
    require_keys,
    require_known,
    shown,
    underscored,
)
from darts.tune.wandb_space import (
    SWEEP_KEYS,
    Method,
    sweep_early_terminate,
    sweep_method,
    sweep_metric,
    sweep_name,
    translate_parameter,
)

LARGEST_FILE = 10**6
"""Bytes; a search space is a page of text."""

_WANDB_ONLY = ("parameters", "method", "metric", "early_terminate")
_RANGES: dict[str, dict[str, Any]] = {
    "uniform": {},
    "intuniform": {"integer": True},
    "loguniform": {"scale": "log"},
    "reversed_loguniform": {"scale": "reversed-log"},
}
_DISTRIBUTIONS = (*_RANGES, "choice", "value", "constant")
_OPTIONAL = {"uniform": ("step",), "intuniform": ("step",), "reversed_loguniform": ("n",)}

Entries = Mapping[str, Any] | Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class SpaceFile:
    """What a file says about a sweep; all but the space is said by the files of W&B only.

    Attributes
    ----------
    space
        What each hyperparameter may be.
    method
        How the space is searched.
    name
        Name of the sweep.
    metric
        What is searched for, such as `val/JaccardIndex:higher`; without `:higher` or `:lower` when no goal is given.
    early_terminate
        How hopeless trials are stopped: `wilcoxon`, or not at all.
    """

    space: Space
    method: Method | None = None
    name: str | None = None
    metric: str | None = None
    early_terminate: str | None = None


def read_space_file(path: Path) -> SpaceFile:
    """Read the search space of a YAML or TOML file.

    Raises
    ------
    ConfigError
        Beginning with the path: when the file can't be read, has no search space or two, or breaks a rule.
    """
    with errors_begin_with(path):
        content = _load(Path(path))
        if "hyperparameters" in content:
            return _own_file(content)
        if "parameters" in content:
            return _wandb_file(content)
        raise ConfigError(
            "a search space stands below the key 'hyperparameters' ('parameters' in a W&B sweep file), at the top and not "
            f"below [darts], but the keys are {shown(', '.join(map(str, content)))}; add one."
        )


def parse_hyperparameters(content: Entries) -> Space:
    """Make a search space of the entries that a file has below the key `hyperparameters`.

    Parameters
    ----------
    content
        Name -> a value, a list of values, `{"low": ..., "high": ...}`, or `{"distribution": ..., ...}` with one of
        `uniform`, `loguniform` and `intuniform` (low, high), `reversed-loguniform` (low, high, n: the value is
        n - loguniform), `choice` (choices) and `value` (value). Also a list of such mappings.

    Raises
    ------
    ConfigError
        Naming the hyperparameter, the rule and what came.
    """
    return _space(content, _dimension)


def _own_file(content: Mapping[str, Any]) -> SpaceFile:
    mixed = [key for key in _WANDB_ONLY if key in content]
    if mixed:
        raise ConfigError(
            "a file has either 'hyperparameters' or the keys of a W&B sweep, but got both 'hyperparameters' and "
            f"{', '.join(map(repr, mixed))}; keep one form."
        )
    return SpaceFile(parse_hyperparameters(content["hyperparameters"]))


def _wandb_file(content: Mapping[str, Any]) -> SpaceFile:
    keys = underscored(content)
    for key in keys:
        require_known(key, SWEEP_KEYS, "a key of a W&B sweep file")
    return SpaceFile(
        space=_space(keys["parameters"], lambda name, entry: _dimension(name, translate_parameter(name, entry))),
        method=sweep_method(keys),
        name=sweep_name(keys),
        metric=sweep_metric(keys),
        early_terminate=sweep_early_terminate(keys),
    )


def _space(content: Entries, dimension: Callable[[str, Any], Dimension]) -> Space:
    dimensions: dict[str, Dimension] = {}
    for name, entry in _entries(content):
        require_known(name, SWEEPABLE, "a hyperparameter")
        if name in dimensions:
            raise ConfigError(f"a hyperparameter is given once, but {name} came twice (- and _ are equal); remove one.")
        with errors_begin_with(name):
            dimensions[name] = dimension(name, entry)
    if not dimensions:
        raise ConfigError("a search space has at least one hyperparameter, but this one is empty; add one.")
    return Space(dimensions)


def _entries(content: Entries) -> list[tuple[str, Any]]:
    mappings = [content] if isinstance(content, Mapping) else content
    if not isinstance(mappings, (list, tuple)) or not all(isinstance(part, Mapping) for part in mappings):
        raise ConfigError(
            f"a search space maps names to values, ranges or lists, but got {shown(content)}; write it as "
            "'learning_rate: {low: 0.0001, high: 0.01}'."
        )
    return [(str(name).replace("-", "_"), entry) for part in mappings for name, entry in part.items()]


def _dimension(name: str, content: Any) -> Dimension:
    if isinstance(content, (list, tuple)):
        return checked_choice(name, content)
    if not isinstance(content, Mapping):
        return Constant(checked_value(name, content))
    keys = underscored(content)
    if "distribution" in keys:
        return _explicit(name, str(keys.pop("distribution")).replace("-", "_"), keys)
    if set(keys) != {"low", "high"}:
        raise ConfigError(
            f"a mapping without 'distribution' has low and high, but got {shown(', '.join(keys))}; add the distribution, "
            "or write a value or a list instead."
        )
    return checked_range(name, keys["low"], keys["high"], integer=number_type(name) is int)


def _explicit(name: str, distribution: str, keys: Mapping[str, Any]) -> Dimension:
    require_known(distribution, _DISTRIBUTIONS, "distribution")
    if distribution == "choice":
        require_keys(keys, ("choices",))
        return checked_choice(name, keys["choices"])
    if distribution in ("value", "constant"):
        require_keys(keys, ("value",))
        return Constant(checked_value(name, keys["value"]))
    require_keys(keys, ("low", "high"), _OPTIONAL.get(distribution, ()))
    options = {"offset" if key == "n" else key: value for key, value in keys.items() if key in ("n", "step")}
    return checked_range(name, keys["low"], keys["high"], **options, **_RANGES[distribution])


def _load(path: Path) -> Mapping[str, Any]:
    suffix = path.suffix.lower()
    if suffix not in (".yml", ".yaml", ".toml"):
        raise ConfigError(f"a search space is a .yaml, .yml or .toml file, but got {suffix!r}; rename or convert it.")
    text = _text(path)
    try:
        content = tomllib.loads(text) if suffix == ".toml" else _load_yaml(text)
    except RecursionError:
        raise ConfigError("brackets are nested too deeply; write the space flat.") from None
    except (yaml.YAMLError, ValueError) as error:
        language = "TOML" if suffix == ".toml" else "YAML"
        raise ConfigError(f"the file is not valid {language} ({one_line(error)}); correct it.") from None
    if not isinstance(content, Mapping):
        raise ConfigError(
            f"the file holds keys with values, but got {shown(content)}; write 'hyperparameters:' on top."
        )
    return content


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise ConfigError("there is no such file; correct the path.") from None
    except OSError as error:
        raise ConfigError(f"the file can't be read ({error.strerror}); choose another, or make it readable.") from None
    if len(data) > LARGEST_FILE:
        raise ConfigError(f"a search space has at most {LARGEST_FILE} bytes, but the file is larger; choose another.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"the file is not UTF-8 text ({error.reason}); save it as UTF-8.") from None


class _Loader(yaml.SafeLoader):
    """YAML without what can surprise: a key that comes twice, and aliases, which can blow up a small file."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call] # its stub has no types
        anchor = getattr(event, "anchor", None)
        if anchor:
            raise ConfigError(f"anchors and aliases have no place here, but got {shown(anchor)}; write the value out.")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                line = key.start_mark.line + 1
                raise ConfigError(f"a key comes once, but {shown(key.value)} comes again in line {line}; remove one.")
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _load_yaml(text: str) -> Any:
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()
