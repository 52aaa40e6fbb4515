"""A search space: laws of its points, whatever it is made of."""

import json
import math
import statistics
import subprocess
import sys
import warnings

import pytest

from darts.core.errors import ConfigError
from darts.tune.space import LARGEST_GRID, Choice, Constant, Range, Space, describe

CONTINUOUS = Space(
    {
        "learning_rate": Range(1e-5, 1e-3, scale="log"),
        "gamma": Range(1e-3, 0.1, scale="reversed-log"),
        "focal_loss_alpha": Range(0.8, 0.99),
        "focal_loss_gamma": Range(0.0, 2.0, step=0.3),
        "batch_size": Range(4, 9, integer=True),
        "model_arch": Choice(("Unet", "MAnet", "UPerNet")),
        "augment": Choice((True, False, "flip,rotate90")),
        "model_encoder_weights": Choice((None, "imagenet")),
        "model_encoder": Constant("resnet18"),
        "bands": Constant("blue,green,red"),
    }
)
FINITE = Space(
    {
        "model_arch": Choice(("Unet", "MAnet")),
        "batch_size": Range(4, 12, step=4, integer=True),
        "focal_loss_gamma": Range(0.0, 1.0, step=0.25),
        "gamma": Constant(0.997),
    }
)
RANGES = {
    "linear": Range(0.8, 0.99),
    "log": Range(1e-5, 1e-3, scale="log"),
    "reversed-log": Range(1e-3, 0.1, scale="reversed-log"),
    "integer": Range(4, 9, integer=True),
    "integer step": Range(4, 32, step=8, integer=True),
    "step": Range(0.1, 0.95, step=0.1),
}


def draws(dimension, count: int = 2000, seed: int = 1) -> list:
    """Of a space that is too large to be listed, so that draws are independent."""
    space = Space({"x": dimension, "other": Range(0.0, 1.0)})
    return [space.point(seed, k)["x"] for k in range(count)]


def frozen(point: dict) -> tuple:
    return tuple(point.items())


@pytest.mark.parametrize("space", [CONTINUOUS, FINITE], ids=["continuous", "finite"])
def test_a_point_depends_on_the_space_the_seed_and_k_alone(space):
    again = Space(dict(reversed(space.dimensions.items())))
    forward = [space.point(7, k) for k in range(20)]
    assert [again.point(7, k) for k in reversed(range(20))] == forward[::-1]
    assert [space.point(8, k) for k in range(20)] != forward


def test_points_are_equal_in_another_process():
    script = (
        "import json, sys; from darts.tune.space import Space; spaces = map(Space.from_dict, json.load(sys.stdin))\n"
        "print(json.dumps([[space.point(42, k) for k in range(25)] for space in spaces]))"
    )
    records = json.dumps([CONTINUOUS.as_dict(), FINITE.as_dict()])
    out = subprocess.run([sys.executable, "-c", script], input=records, capture_output=True, text=True, check=True)
    assert json.loads(out.stdout) == [[space.point(42, k) for k in range(25)] for space in (CONTINUOUS, FINITE)]


def test_one_more_hyperparameter_leaves_the_others_of_a_continuous_space_as_they_were():
    fewer = Space({name: d for name, d in CONTINUOUS.dimensions.items() if name != "gamma"})
    point = CONTINUOUS.point(1, 3)
    assert fewer.point(1, 3) == {name: value for name, value in point.items() if name != "gamma"}


def test_points_hold_plain_values_sorted_by_name():
    for k in range(50):
        point = CONTINUOUS.point(0, k)
        assert list(point) == sorted(CONTINUOUS.dimensions)
        assert {type(value) for value in point.values()} <= {int, float, str, bool, type(None)}
        assert type(point["batch_size"]) is int
        assert type(point["focal_loss_gamma"]) is float


@pytest.mark.parametrize("name", RANGES)
def test_draws_are_between_the_ends_and_reach_towards_both(name):
    dimension = RANGES[name]
    values = draws(dimension)
    assert dimension.bottom <= min(values) <= max(values) <= dimension.top
    lower, upper = sorted((dimension.quantile(0.01), dimension.quantile(0.99)))
    assert min(values) <= lower
    assert max(values) >= upper


@pytest.mark.parametrize("name", RANGES)
def test_the_ends_of_the_unit_interval_stay_inside(name):
    dimension = RANGES[name]
    ends = {dimension.quantile(0.0), dimension.quantile(math.nextafter(1, 0)), dimension.quantile(1.0)}
    assert all(dimension.bottom <= value <= dimension.top for value in ends)
    assert min(ends) == pytest.approx(dimension.bottom)
    assert max(ends) == pytest.approx(dimension.top)


def test_points_of_a_continuous_space_are_distinct():
    assert len({frozen(CONTINUOUS.point(3, k)) for k in range(1000)}) == 1000


def test_a_log_range_has_its_median_at_the_geometric_mean():
    assert statistics.median(draws(RANGES["log"])) == pytest.approx(1e-4, rel=0.15)


def test_a_reversed_log_range_has_the_median_distance_at_the_geometric_mean():
    distances = [1 - value for value in draws(RANGES["reversed-log"])]
    assert statistics.median(distances) == pytest.approx(1e-2, rel=0.15)


def test_a_reversed_log_range_counts_from_its_offset():
    dimension = Range(0.1, 1.0, scale="reversed-log", offset=3.0)
    assert (dimension.bottom, dimension.top) == (2.0, 2.9)
    assert all(2.0 <= value <= 2.9 for value in draws(dimension, 100))


def test_whole_numbers_include_both_ends_with_equal_shares():
    values = draws(RANGES["integer"], 6000)
    assert set(values) == {4, 5, 6, 7, 8, 9}
    assert all(values.count(value) == pytest.approx(1000, rel=0.15) for value in set(values))


def test_steps_end_with_the_last_one_that_fits_and_are_written_as_one_writes_them():
    assert set(draws(RANGES["step"])) == {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}
    assert set(draws(RANGES["integer step"])) == {4, 12, 20, 28}
    assert set(draws(Range(0.1, 0.3, step=0.2), 50)) == {0.1, 0.3}


def test_a_choice_has_equal_shares():
    values = draws(Choice(("a", "b", "c")), 6000)
    assert all(values.count(value) == pytest.approx(2000, rel=0.1) for value in "abc")


def test_a_finite_space_visits_each_point_once():
    assert FINITE.size == 2 * 3 * 5
    points = {frozen(FINITE.point(5, k)) for k in range(30)}
    assert len(points) == 30
    assert points == {frozen(FINITE.point(6, k)) for k in range(30)}
    assert all(len({dict(p)[name] for p in points}) == n for name, n in [("batch_size", 3), ("focal_loss_gamma", 5)])


@pytest.mark.parametrize(("space", "k"), [(FINITE, 30), (FINITE, -1), (CONTINUOUS, -1)])
def test_there_is_no_point_beyond_the_last_or_before_the_first(space, k):
    with pytest.raises(IndexError, match=f"but got {k}"):
        space.point(0, k)


def test_a_space_has_a_size_when_its_points_can_be_listed():
    assert Space({"a": Constant(1), "b": Choice((1, 2, 3))}).size == 3
    assert Space({"a": Range(0.0, 1.0)}).size is None
    assert Space({"a": Range(1, LARGEST_GRID, integer=True)}).size == LARGEST_GRID
    too_many = Space({"a": Range(1, LARGEST_GRID + 1, integer=True)})
    assert too_many.size is None
    assert too_many.point(0, 10**7)["a"] <= LARGEST_GRID + 1


def test_a_grid_has_constants_and_choices_only():
    assert Space({"a": Constant(1), "b": Choice((1, 2))}).is_grid
    assert not FINITE.is_grid
    assert not CONTINUOUS.is_grid


@pytest.mark.parametrize("space", [CONTINUOUS, FINITE], ids=["continuous", "finite"])
def test_optuna_takes_every_point(space):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        distributions = space.distributions()
    for k in range(30):
        for name, value in space.point(2, k).items():
            internal = distributions[name].to_internal_repr(value)
            assert distributions[name]._contains(internal), (name, value)
            assert distributions[name].to_external_repr(internal) == value


def test_optuna_draws_on_the_same_scales():
    distributions = CONTINUOUS.distributions()
    assert distributions["learning_rate"].log
    assert distributions["focal_loss_gamma"].step == 0.3
    assert (distributions["batch_size"].low, distributions["batch_size"].high) == (4, 9)
    assert (distributions["gamma"].low, distributions["gamma"].high) == (0.9, 0.999)
    assert distributions["model_encoder"].choices == ("resnet18",)


def test_only_a_reversed_log_range_is_a_problem_for_bayes():
    assert FINITE.bayes_problem() is None
    assert "(gamma)" in CONTINUOUS.bayes_problem()


@pytest.mark.parametrize("space", [CONTINUOUS, FINITE], ids=["continuous", "finite"])
def test_a_space_comes_back_from_json(space):
    again = Space.from_dict(json.loads(json.dumps(space.as_dict())))
    assert again == space
    assert list(again.dimensions) == sorted(space.dimensions)
    assert [again.point(1, k) for k in range(5)] == [space.point(1, k) for k in range(5)]


@pytest.mark.parametrize("record", [{"a": {"kind": "cloud"}}, {"a": {}}, {"a": {"kind": "constant"}}, {"a": 1}, []])
def test_a_damaged_record_is_refused(record):
    with pytest.raises(ConfigError, match="record of a search space"):
        Space.from_dict(record)


def test_a_space_is_described_in_words():
    assert dict(describe(CONTINUOUS)) == {
        "augment": "true | false | flip,rotate90",
        "bands": "blue,green,red",
        "batch_size": "4 to 9, whole numbers",
        "focal_loss_alpha": "0.8 to 0.99",
        "focal_loss_gamma": "0 to 1.8, step 0.3",
        "gamma": "0.9 to 0.999, reversed-log",
        "learning_rate": "0.00001 to 0.001, log",
        "model_arch": "Unet, MAnet, UPerNet",
        "model_encoder": "resnet18",
        "model_encoder_weights": "none, imagenet",
    }


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"low": 1, "high": 1}, "from a smaller number to a larger"),
        ({"low": 2, "high": 1}, "got 2 to 1"),
        ({"low": 0, "high": math.inf}, "finite"),
        ({"low": math.nan, "high": 1}, "finite"),
        ({"low": 0, "high": 1, "scale": "log"}, "above 0"),
        ({"low": -1, "high": 1, "scale": "reversed-log"}, "above 0"),
        ({"low": 0.1, "high": 1, "scale": "log", "step": 0.1}, "linear"),
        ({"low": 1, "high": 9, "scale": "log", "integer": True}, "linear"),
        ({"low": 0, "high": 1, "step": 0}, "step is above 0"),
        ({"low": 0, "high": 1, "step": -0.1}, "step is above 0"),
        ({"low": 0, "high": 1, "step": math.nan}, "step is above 0"),
        ({"low": 0, "high": 1, "step": 2}, "at most high - low"),
        ({"low": 0.5, "high": 4, "integer": True}, "whole"),
        ({"low": 0, "high": 4, "integer": True, "step": 1.5}, "whole"),
    ],
)
def test_there_is_no_range_that_breaks_a_rule(fields, rule):
    with pytest.raises(ConfigError, match=rule):
        Range(**fields)


@pytest.mark.parametrize(("values", "rule"), [((), "empty list"), ((1, 2, 1), "1 twice"), ((None, None), "None twice")])
def test_a_choice_has_values_and_each_once(values, rule):
    with pytest.raises(ConfigError, match=rule):
        Choice(values)
