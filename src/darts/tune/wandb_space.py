"""Sweep files of Weights & Biases: what they say is translated, or refused with what to use instead.

The keys are those of https://docs.wandb.ai/models/sweeps/sweep-config-keys.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from darts.core.errors import ConfigError
from darts.tune.config import normalised_metric
from darts.tune.space_values import (
    as_number,
    errors_begin_with,
    number_type,
    require_keys,
    require_known,
    shown,
    underscored,
)

Method = Literal["random", "grid", "bayes"]

SWEEP_KEYS = (
    "method metric parameters name early_terminate program command project entity description run_cap job image_uri "
    "controller scheduler apiVersion kind"
).split()
"""Top-level keys of a sweep file; those that say how W&B starts runs are passed over."""

_ENDS = ("min", "max")
_NEEDED = {
    "constant": ("value",),
    "categorical": ("values",),
    "int_uniform": _ENDS,
    "uniform": _ENDS,
    "q_uniform": _ENDS,
    "log_uniform": _ENDS,
    "log_uniform_values": _ENDS,
    "inv_log_uniform": _ENDS,
    "inv_log_uniform_values": _ENDS,
}
_WEIGHTED = "list values without probabilities, which are equally likely"
_STEPPED_LOG = "use log_uniform_values, or list values"
_BELL = "use uniform with min and max"
_LOG_BELL = "use log_uniform_values with min and max"
_REFUSED = {
    "categorical_w_probabilities": _WEIGHTED,
    "q_log_uniform": _STEPPED_LOG,
    "q_log_uniform_values": _STEPPED_LOG,
    "normal": _BELL,
    "q_normal": "use q_uniform with min, max and q",
    "log_normal": _LOG_BELL,
    "q_log_normal": _LOG_BELL,
    "beta": _BELL,
    "q_beta": "use q_uniform with min, max and q",
}
_GOALS = {"maximize": "higher", "minimize": "lower"}
_METRIC_OPTIONS = ("goal", "target", "impute", "impute_while_running")


def translate_parameter(name: str, content: Any) -> dict[str, Any]:
    """One entry of `parameters`, as an entry of `hyperparameters`.

    Parameters
    ----------
    name
        Name of the setting.
    content
        What W&B calls the search constraints of the parameter.

    Raises
    ------
    ConfigError
        When W&B or Optuna has no such distribution.
    """
    if not isinstance(content, Mapping):
        raise ConfigError(f"a parameter is a mapping, but got {shown(content)}; write 'value: ...' or 'values: [...]'.")
    keys = underscored(content)
    if "parameters" in keys:
        raise ConfigError("darts has no nested parameters; name each setting directly below 'parameters'.")
    if "probabilities" in keys:
        raise ConfigError(f"darts can't draw from categorical_w_probabilities; {_WEIGHTED}.")
    given = keys.pop("distribution", None)
    distribution = _implied(keys) if given is None else str(given).replace("-", "_")
    if distribution in _REFUSED:
        raise ConfigError(f"darts can't draw from {distribution}; {_REFUSED[distribution]}.")
    require_known(distribution, tuple(_NEEDED), "a distribution of W&B")
    require_keys(keys, _NEEDED[distribution], ("q",) if distribution == "q_uniform" else ())
    if given is None and distribution == "uniform":
        return {"low": keys["min"], "high": keys["max"]}
    return _translated(name, distribution, keys)


def _implied(keys: Mapping[str, Any]) -> str:
    if "value" in keys:
        return "constant"
    if "values" in keys:
        return "categorical"
    if not keys.keys() & {"min", "max"}:
        raise ConfigError(f"a parameter has value, values, or min and max, but got {shown(', '.join(keys))}; give one.")
    return "int_uniform" if all(type(keys.get(end)) is int for end in _ENDS) else "uniform"


def _translated(name: str, distribution: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    if distribution == "constant":
        return {"distribution": "value", "value": keys["value"]}
    if distribution == "categorical":
        return {"distribution": "choice", "choices": keys["values"]}
    low, high = keys["min"], keys["max"]
    if distribution == "log_uniform":
        low, high = _power(low), _power(high)
    elif distribution == "inv_log_uniform":
        # The logarithm of 1 / x lies between min and max.
        low, high = _power(high, sign=-1), _power(low, sign=-1)
    if distribution == "q_uniform":
        kind = "intuniform" if number_type(name) is int else "uniform"
        return {"distribution": kind, "low": low, "high": high, "step": keys.get("q", 1)}
    plain = {"int_uniform": "intuniform", "uniform": "uniform"}
    return {"distribution": plain.get(distribution, "loguniform"), "low": low, "high": high}


def _power(exponent: Any, sign: int = 1) -> float:
    try:
        return math.exp(sign * as_number(exponent))
    except OverflowError:
        raise ConfigError(
            f"min and max of this distribution are powers of e, but got {shown(exponent)}; to give the values "
            "themselves, use log_uniform_values."
        ) from None


def sweep_method(content: Mapping[str, Any]) -> Method | None:
    """The search method of a sweep file, if it names one."""
    value = content.get("method")
    for method in get_args(Method):
        if value == method:
            return method
    if value is not None:
        raise ConfigError(f"method is one of {', '.join(get_args(Method))}, but is {shown(value)}; choose one of them.")
    return None


def sweep_name(content: Mapping[str, Any]) -> str | None:
    """The name of a sweep file, if it has one."""
    name = content.get("name")
    if isinstance(name, (Mapping, list)):
        raise ConfigError(f"name is a text, but is {shown(name)}; write one, or leave it out.")
    return None if name is None else str(name)


def sweep_metric(content: Mapping[str, Any]) -> str | None:
    """The metric of a sweep file, such as `val/JaccardIndex:higher`; without a goal, it has no suffix."""
    metric = content.get("metric")
    if metric is None:
        return None
    if not isinstance(metric, Mapping):
        raise ConfigError(f"metric is a mapping, but is {shown(metric)}; write 'name: ...' and 'goal: ...' below it.")
    with errors_begin_with("metric"):
        keys = underscored(metric)
        require_keys(keys, ("name",), _METRIC_OPTIONS)
        goal = keys.get("goal")
        if goal is not None:
            require_known(str(goal), tuple(_GOALS), "goal")
        text = str(keys["name"]) + ("" if goal is None else f":{_GOALS[goal]}")
        try:
            return normalised_metric(text)
        except ValueError as error:
            raise ConfigError(f"{error}, but got {shown(text)}; such as val/JaccardIndex.") from None


def sweep_early_terminate(content: Mapping[str, Any]) -> Literal["wilcoxon"] | None:
    """How a sweep file has hopeless trials stopped, if it says so."""
    rule = content.get("early_terminate")
    if rule is None:
        return None
    if not isinstance(rule, Mapping):
        raise ConfigError(f"early_terminate is a mapping, but is {shown(rule)}; write 'type: wilcoxon' below it.")
    if rule.get("type") != "wilcoxon":
        raise ConfigError(
            f"early_terminate: {shown(rule.get('type'))} stops a run between its epochs, but darts prunes a trial across "
            "its folds; use 'type: wilcoxon', or leave it out and give --pruner wilcoxon."
        )
    with errors_begin_with("early_terminate"):
        require_keys(rule, ("type",))
    return "wilcoxon"
