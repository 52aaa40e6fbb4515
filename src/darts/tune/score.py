"""The score of a cross-validation: metrics are combined in each run, then averaged over the runs."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from darts.core.errors import ConfigError
from darts.tune.config import ScoreStrategy, normalised_metric

Direction = Literal["higher", "lower"]

_LOWER_IS_BETTER = ("loss", "HammingDistance")


@dataclass(frozen=True, slots=True)
class ScoringMetric:
    """A metric of a run, such as `val/JaccardIndex`, and whether more or less of it is better."""

    name: str
    direction: Direction = "higher"

    def __str__(self) -> str:
        return f"{self.name}:{self.direction}"


def parse_scoring_metric(text: str) -> ScoringMetric:
    """`val/loss:lower` -> a metric; without a direction, higher is better.

    Raises
    ------
    ConfigError
        When it isn't `val/NAME`, or has another suffix.
    """
    try:
        name, _, direction = normalised_metric(text).partition(":")
    except ValueError as error:
        raise ConfigError(f"--scoring-metric: {error}, but got {text!r}.") from None
    return ScoringMetric(name, "lower" if direction == "lower" else "higher")


def parse_scoring_metrics(metrics: str | Sequence[str]) -> tuple[ScoringMetric, ...]:
    """One metric, or several."""
    return tuple(map(parse_scoring_metric, [metrics] if isinstance(metrics, str) else metrics))


def doubtful_direction(metric: ScoringMetric) -> bool:
    """Whether more of the metric is worse, but it is scored as if it were better, or the other way round."""
    return (metric.name.rpartition("/")[2] in _LOWER_IS_BETTER) != (metric.direction == "lower")


def score_direction(metrics: Sequence[ScoringMetric]) -> Literal["maximize", "minimize"]:
    """A single metric that is better when lower is minimised; everything else is maximised."""
    return "minimize" if len(metrics) == 1 and metrics[0].direction == "lower" else "maximize"


def score_from_runs(
    run_infos: Iterable[Mapping[str, Any]],
    scoring_metric: str | Sequence[str],
    multi_score_strategy: ScoreStrategy = "harmonic",
) -> float:
    """The score of a cross-validation: the mean over its runs of `score_of_run`.

    Parameters
    ----------
    run_infos
        Metrics of each run by name; other keys are passed over.
    scoring_metric
        One metric or several, each with `:higher` (if nothing is said) or `:lower`.
    multi_score_strategy
        How several metrics of a run become one number.

    Raises
    ------
    ConfigError
        When a run doesn't have a metric, or there is no run.
    """
    metrics = parse_scoring_metrics(scoring_metric)
    scores = [score_of_run(run_info, metrics, multi_score_strategy) for run_info in run_infos]
    if not scores:
        raise ConfigError("a score is made of at least one run, but there is none.")
    return fmean(scores)


def score_of_run(run_info: Mapping[str, Any], metrics: Sequence[ScoringMetric], strategy: ScoreStrategy) -> float:
    """One number for the metrics of a run.

    Of one metric, the metric itself, whatever its direction. Of several, their mean of the given kind or their minimum,
    where a metric m that is better when lower enters as 1 / m. NaN when a metric isn't finite.
    """
    values = [_value(run_info, metric) for metric in metrics]
    if len(values) == 1:
        return values[0]
    if not all(map(math.isfinite, values)):
        return math.nan
    return _COMBINE[strategy]([_higher(value, metric) for value, metric in zip(values, metrics, strict=True)])


def check_score_is_unstable(run_info: Mapping[str, Any], scoring_metric: str | Sequence[str]) -> bool:
    """Whether a scoring metric of a run is zero or not finite, so that a score made of it says little.

    Raises
    ------
    ConfigError
        When the run doesn't have the metric.
    """
    values = [_value(run_info, metric) for metric in parse_scoring_metrics(scoring_metric)]
    return any(value == 0 or not math.isfinite(value) for value in values)


def _value(run_info: Mapping[str, Any], metric: ScoringMetric) -> float:
    if metric.name not in run_info:
        there = ", ".join(name for name in run_info if name.startswith("val/")) or "none"
        raise ConfigError(f"--scoring-metric: a run has no metric {metric.name!r}; its metrics are {there}.")
    return float(run_info[metric.name])


def _higher(value: float, metric: ScoringMetric) -> float:
    """The value, or 1 / value, so that more is better."""
    if metric.direction == "higher":
        return value
    return 1 / value if value else math.inf


def harmonic(values: Sequence[float]) -> float:
    """Number of values / (1/v1 + ... + 1/vn); 0 as soon as one of them is 0, NaN as soon as one is negative."""
    if min(values) <= 0:
        return 0.0 if min(values) == 0 else math.nan
    reciprocal = sum(1 / value for value in values)
    return len(values) / reciprocal if reciprocal else math.inf


def geometric(values: Sequence[float]) -> float:
    """(v1 * ... * vn) ** (1/n); NaN as soon as one of them is negative."""
    return math.prod(values) ** (1 / len(values)) if min(values) >= 0 else math.nan


_COMBINE: Mapping[ScoreStrategy, Callable[[Sequence[float]], float]] = {
    "harmonic": harmonic,
    "geometric": geometric,
    "arithmetic": fmean,
    "min": min,
}
