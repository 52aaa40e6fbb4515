"""Optimisers and schedules by name."""

import math

import pytest
import torch

from darts.training.config import OptimiserConfig
from darts.training.optim import Duration, make_optimizer, make_schedule

EPOCHS, STEPS = 8, 40


def trained(schedule="exponential", epochs=EPOCHS, losses=None, **settings):
    """The learning rate in each step, when one weight is trained by the schedule."""
    config = OptimiserConfig(lr_schedule=schedule, learning_rate=0.1, **settings)
    optimizer = make_optimizer(config, [torch.nn.Parameter(torch.ones(1))])
    plan = make_schedule(config, optimizer, Duration(epochs, STEPS))
    rates = []
    for step in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        ends_epoch = (step + 1) % (STEPS // epochs) == 0
        if plan is None or (plan.get("interval") != "step" and not ends_epoch):
            continue
        if "monitor" in plan:
            epoch = step // (STEPS // epochs)
            assert plan["frequency"] > epochs, "it is stepped after a validation, which comes every second epoch here"
            if (epoch + 1) % 2 == 0:
                plan["scheduler"].step(losses[epoch])
        else:
            plan["scheduler"].step()
    return rates


def by_epoch(rates):
    return rates[:: STEPS // EPOCHS]


@pytest.mark.parametrize(("name", "cls"), [("adamw", "AdamW"), ("adam", "Adam"), ("radam", "RAdam"), ("sgd", "SGD")])
def test_the_optimiser_is_the_one_that_is_named(name, cls):
    optimizer = make_optimizer(OptimiserConfig(optimizer=name), [torch.nn.Parameter(torch.ones(1))])
    assert type(optimizer).__name__ == cls
    assert optimizer.param_groups[0]["weight_decay"] == (0.01 if name == "adamw" else 0)


def test_weight_decay_and_momentum_are_passed_on():
    config = OptimiserConfig(optimizer="sgd", weight_decay=0.2, momentum=0.7)
    group = make_optimizer(config, [torch.nn.Parameter(torch.ones(1))]).param_groups[0]
    assert (group["weight_decay"], group["momentum"]) == (0.2, 0.7)


def test_exponential_falls_by_gamma_after_each_epoch():
    assert by_epoch(trained(gamma=0.5)) == pytest.approx([0.1 * 0.5**epoch for epoch in range(EPOCHS)])


def test_cosine_ends_at_the_least_rate():
    expected = [0.01 + 0.09 * (1 + math.cos(math.pi * epoch / EPOCHS)) / 2 for epoch in range(EPOCHS)]
    assert by_epoch(trained("cosine", lr_min=0.01)) == pytest.approx(expected)


def test_one_cycle_rises_to_the_rate_and_falls_below_where_it_began():
    rates = trained("one-cycle", lr_warmup=0.25)
    assert max(rates) == pytest.approx(0.1)
    assert rates.index(max(rates)) == round(0.25 * STEPS) - 1
    assert rates[-1] < rates[0] < max(rates)


@pytest.mark.parametrize("steps", [9, 10, 11])
def test_one_cycle_has_any_number_of_steps(steps):
    optimizer = make_optimizer(OptimiserConfig(), [torch.nn.Parameter(torch.ones(1))])
    plan = make_schedule(OptimiserConfig(lr_schedule="one-cycle"), optimizer, Duration(1, steps))
    for _ in range(steps - 1):
        optimizer.step()
        plan["scheduler"].step()
    assert 0 < optimizer.param_groups[0]["lr"] < 1e-6


def test_cyclic_halves_its_height():
    rates = trained("cyclic", lr_min=0.02)
    half = 2 * STEPS // EPOCHS
    assert rates[0] == pytest.approx(0.02)
    assert rates[half] == pytest.approx(0.1)
    assert rates[2 * half] == pytest.approx(0.02)
    assert rates[3 * half] == pytest.approx(0.06)


def test_plateau_falls_when_validations_get_no_better():
    better = trained("plateau", gamma=0.5, lr_patience=0, losses=[1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
    stuck = trained("plateau", gamma=0.5, lr_patience=0, losses=[1] * EPOCHS)
    assert set(better) == {0.1}
    assert by_epoch(stuck) == pytest.approx([0.1] * 4 + [0.05] * 2 + [0.025] * 2)


def test_none_stays():
    assert set(trained("none")) == {0.1}
