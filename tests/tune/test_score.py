"""Scores against cases that were worked by hand."""

import math

import pytest

from darts.core.errors import ConfigError
from darts.tune import check_score_is_unstable, score_from_runs
from darts.tune.score import doubtful_direction, parse_scoring_metric, parse_scoring_metrics, score_direction

IOU, RECALL, LOSS = "val/JaccardIndex", "val/Recall", "val/loss"


def runs(**columns):
    """`IOU=(0.5, 0.25)` -> two runs."""
    names = {"iou": IOU, "recall": RECALL, "loss": LOSS}
    return [
        {names[name]: value for name, value in zip(columns, row, strict=True)}
        for row in zip(*columns.values(), strict=True)
    ]


# Each run is combined first, then the runs are averaged: worked with fractions.
BY_HAND = [
    # one metric is the plain mean, whatever strategy or direction, also in a list
    (runs(iou=(0.5, 0.25, 0.75)), IOU, "harmonic", 0.5),
    (runs(iou=(0.5, 0.25, 0.75)), [IOU], "geometric", 0.5),
    (runs(loss=(0.25, 0.75)), "val/loss:lower", "min", 0.5),
    (runs(loss=(0.25, 0.75)), ["val/loss:lower"], "arithmetic", 0.5),
    # 2/(1/0.5 + 1/1) = 2/3; 2/(1/0.2 + 1/0.3) = 0.24; mean 0.4533...
    (runs(iou=(0.5, 0.2), recall=(1.0, 0.3)), [IOU, RECALL], "harmonic", (2 / 3 + 0.24) / 2),
    # sqrt(0.5 * 0.5) = 0.5; sqrt(0.04 * 0.25) = 0.1; mean 0.3
    (runs(iou=(0.5, 0.04), recall=(0.5, 0.25)), [IOU, RECALL], "geometric", 0.3),
    # 0.75 and 0.25
    (runs(iou=(0.5, 0.2), recall=(1.0, 0.3)), [IOU, RECALL], "arithmetic", 0.5),
    # 0.5 and 0.2
    (runs(iou=(0.5, 0.2), recall=(1.0, 0.3)), [IOU, RECALL], "min", 0.35),
    (runs(iou=(0.5,), recall=(1.0,)), [f"{IOU}:higher", f"{RECALL}:higher"], "arithmetic", 0.75),
    # a lower-is-better metric enters as 1/0.5 = 2
    (runs(iou=(0.5,), loss=(0.5,)), [IOU, "val/loss:lower"], "harmonic", 2 / (1 / 0.5 + 1 / 2)),
    (runs(iou=(0.5,), loss=(0.5,)), [IOU, "val/loss:lower"], "geometric", 1.0),
    (runs(iou=(0.5,), loss=(0.5,)), [IOU, "val/loss:lower"], "arithmetic", 1.25),
    (runs(iou=(0.5,), loss=(0.5,)), [IOU, "val/loss:lower"], "min", 0.5),
    (runs(iou=(0.5,), loss=(0.5,)), [IOU, "val/loss"], "arithmetic", 0.5),
    # three metrics: 3/(2 + 4 + 1) with 1/loss = 1
    (runs(iou=(0.5,), recall=(0.25,), loss=(1.0,)), [IOU, RECALL, "val/loss:lower"], "harmonic", 3 / 7),
    (runs(iou=(0.5,), recall=(0.25,), loss=(1.0,)), [IOU, RECALL, "val/loss:lower"], "geometric", 0.125 ** (1 / 3)),
    # a zero makes the harmonic and geometric mean and the minimum 0
    (runs(iou=(0.0, 0.5), recall=(1.0, 0.5)), [IOU, RECALL], "harmonic", 0.25),
    (runs(iou=(0.0, 0.5), recall=(1.0, 0.5)), [IOU, RECALL], "geometric", 0.25),
    (runs(iou=(0.0, 0.5), recall=(1.0, 0.5)), [IOU, RECALL], "arithmetic", 0.5),
    (runs(iou=(0.0, 0.5), recall=(1.0, 0.5)), [IOU, RECALL], "min", 0.25),
    # 1/0 is infinite: 2/(1/0.5 + 0) = 1
    (runs(iou=(0.5,), loss=(0.0,)), [IOU, "val/loss:lower"], "harmonic", 1.0),
    (runs(iou=(0.5,), loss=(0.0,)), [IOU, "val/loss:lower"], "arithmetic", math.inf),
    (runs(iou=(0.5,), loss=(0.0,)), [IOU, "val/loss:lower"], "min", 0.5),
    # a metric that isn't finite leaves no score
    (runs(iou=(math.nan, 0.5)), IOU, "harmonic", math.nan),
    (runs(iou=(0.5, 0.5), recall=(math.nan, 0.5)), [IOU, RECALL], "min", math.nan),
    (runs(iou=(0.5,), loss=(math.inf,)), [IOU, "val/loss:lower"], "arithmetic", math.nan),
    # CohenKappa may be negative, for which two of the means are not defined
    ([{IOU: 0.5, "val/CohenKappa": -0.5}], [IOU, "val/CohenKappa"], "harmonic", math.nan),
    ([{IOU: 0.5, "val/CohenKappa": -0.5}], [IOU, "val/CohenKappa"], "geometric", math.nan),
    ([{IOU: 0.5, "val/CohenKappa": -0.5}], [IOU, "val/CohenKappa"], "arithmetic", 0.0),
]


@pytest.mark.parametrize(("run_infos", "metric", "strategy", "expected"), BY_HAND)
def test_a_score_is_what_it_is_by_hand(run_infos, metric, strategy, expected):
    assert score_from_runs(run_infos, metric, strategy) == pytest.approx(expected, nan_ok=True)


def test_harmonic_is_the_default_strategy():
    both = runs(iou=(0.5,), recall=(1.0,))
    assert score_from_runs(both, [IOU, RECALL]) == score_from_runs(both, [IOU, RECALL], "harmonic")


@pytest.mark.parametrize(
    ("run_info", "metric", "unstable"),
    [
        ({IOU: 0.5}, IOU, False),
        ({IOU: 0.0}, IOU, True),
        ({IOU: math.nan}, IOU, True),
        ({IOU: math.inf}, [IOU], True),
        ({LOSS: 0.0}, "val/loss:lower", True),
        ({LOSS: 0.1}, "val/loss:lower", False),
        ({IOU: 0.5, RECALL: 0.0}, [IOU, RECALL], True),
        ({IOU: 0.5, RECALL: 0.0}, IOU, False),
        ({IOU: -0.5}, IOU, False),
    ],
)
def test_a_score_is_unstable_when_a_metric_of_it_is_zero_or_not_finite(run_info, metric, unstable):
    assert check_score_is_unstable(run_info, metric) is unstable


def test_only_a_single_lower_metric_is_minimised():
    assert score_direction(parse_scoring_metrics("val/loss:lower")) == "minimize"
    assert score_direction(parse_scoring_metrics(["val/loss:lower"])) == "minimize"
    assert score_direction(parse_scoring_metrics("val/loss")) == "maximize"
    assert score_direction(parse_scoring_metrics([IOU, "val/loss:lower"])) == "maximize"


def test_names_of_older_files_are_read():
    assert str(parse_scoring_metric("val0/JaccardIndex")) == "val/JaccardIndex:higher"
    assert str(parse_scoring_metric("val12/loss:lower")) == "val/loss:lower"


@pytest.mark.parametrize("text", ["JaccardIndex", "val/JaccardIndex:up", "test/Recall", "val/", "", "val/Recall:"])
def test_what_is_no_metric_is_refused(text):
    with pytest.raises(ConfigError, match="a scoring metric is val/NAME"):
        parse_scoring_metric(text)


def test_a_metric_that_runs_do_not_have_is_refused_naming_those_they_have():
    with pytest.raises(ConfigError, match="no metric 'val/Recall'; its metrics are val/JaccardIndex"):
        score_from_runs([{IOU: 0.5}], RECALL)
    with pytest.raises(ConfigError, match="no metric 'val/Recall'"):
        check_score_is_unstable({IOU: 0.5}, RECALL)
    with pytest.raises(ConfigError, match="at least one run"):
        score_from_runs([], IOU)


def test_a_direction_that_is_probably_wrong_is_noticed():
    assert doubtful_direction(parse_scoring_metric("val/loss"))
    assert doubtful_direction(parse_scoring_metric("val/Recall:lower"))
    assert not doubtful_direction(parse_scoring_metric("val/HammingDistance:lower"))
    assert not doubtful_direction(parse_scoring_metric("val/Recall"))
