"""Hints are given where settings waste a run, and nowhere else."""

import pytest

from darts.training.config import Hyperparameters, TrainerConfig
from darts.training.hints import hints
from darts.training.train_pixels import LabelCounts

RARE, COMMON = LabelCounts(background=960, positive=40), LabelCounts(background=600, positive=400)
LONG, SHORT = TrainerConfig(max_epochs=100), TrainerConfig(max_epochs=10)


def test_the_defaults_on_rare_positives_are_hinted_at():
    said = hints(Hyperparameters(), SHORT, RARE)
    assert len(said) == 1
    assert "4.0% of the train pixels are positive" in said[0]
    assert "--loss 'bce + dice' --lr-schedule one-cycle" in said[0]


@pytest.mark.parametrize(
    ("settings", "labels"),
    [({}, COMMON), ({"loss": "bce + dice"}, RARE), ({"focal_loss_alpha": 0.9}, RARE)],
)
def test_nothing_is_said_of_what_may_well_work(settings, labels):
    assert hints(Hyperparameters(**settings), SHORT, labels) == []


def test_a_learning_rate_that_fades_is_hinted_at_with_a_gamma_that_does_not():
    (said,) = hints(Hyperparameters(), LONG, COMMON)
    assert "after 44 of 100 epochs" in said
    assert "try --gamma 0.955" in said
    assert hints(Hyperparameters(gamma=0.956), LONG, COMMON) == []
    assert hints(Hyperparameters(lr_schedule="one-cycle"), LONG, COMMON) == []
