"""Which point a trial is depends on its number, not on the runner, the order or the process that asks."""

import optuna
import pytest

from darts.tune.sampler import PlanSampler, SeededTpeSampler, suggest
from darts.tune.space import Choice, Constant, Range, Space

SPACE = Space(
    {
        "learning_rate": Range(1e-5, 1e-2, "log"),
        "gamma": Range(0.001, 0.1, "reversed-log"),
        "batch_size": Range(2, 8, integer=True),
        "model_arch": Choice(("Unet", "FPN")),
        "model_encoder": Constant("resnet18"),
    }
)
EXPRESSIBLE = Space({name: one for name, one in SPACE.dimensions.items() if name != "gamma"})


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def points(study, space, count):
    found = []
    for _ in range(count):
        trial = study.ask()
        found.append({name: suggest(trial, name, one) for name, one in space.distributions().items()})
        study.tell(trial, found[-1]["learning_rate"])
    return found


def test_trial_k_is_point_k():
    study = optuna.create_study(sampler=PlanSampler(SPACE, 42))
    assert points(study, SPACE, 5) == [SPACE.point(42, k) for k in range(5)]


def test_a_new_sampler_goes_on_where_another_stopped():
    study = optuna.create_study(sampler=PlanSampler(SPACE, 42))
    points(study, SPACE, 2)
    study.sampler = PlanSampler(SPACE, 42)
    assert points(study, SPACE, 2) == [SPACE.point(42, k) for k in (2, 3)]


def test_a_parameter_that_was_drawn_is_not_drawn_again():
    study = optuna.create_study(sampler=PlanSampler(SPACE, 42))
    trial = study.ask()
    suggest(trial, "learning_rate", SPACE.distributions()["learning_rate"])
    study.sampler = PlanSampler(SPACE, 7)
    again = optuna.Trial(study, trial._trial_id)
    assert (
        suggest(again, "learning_rate", SPACE.distributions()["learning_rate"]) == SPACE.point(42, 0)["learning_rate"]
    )


def test_tpe_gives_the_same_points_after_the_same_trials_and_never_one_twice():
    first, second = (points(optuna.create_study(sampler=SeededTpeSampler(42)), EXPRESSIBLE, 14) for _ in range(2))
    assert first == second
    assert len({point["learning_rate"] for point in first}) == 14
