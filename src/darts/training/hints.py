"""What a specialist would say before a run begins."""

from darts.training.config import Hyperparameters, TrainerConfig
from darts.training.train_pixels import LabelCounts

RARE = 0.1
"""Share of positive pixels below which the defaults of the loss learn little."""
_FADED = 0.01


def hints(hyperparameters: Hyperparameters, trainer: TrainerConfig, labels: LabelCounts) -> list[str]:
    """Hints about settings that are likely to waste the run; none if there is nothing to say.

    Parameters
    ----------
    labels
        Of the train patches.
    """
    return [*_about_rare_positives(hyperparameters, labels), *_about_the_learning_rate(hyperparameters, trainer)]


def _about_rare_positives(hyperparameters: Hyperparameters, labels: LabelCounts) -> list[str]:
    share = labels.positive_share
    if hyperparameters.loss != "focal" or hyperparameters.focal_loss_alpha is not None or share >= RARE:
        return []
    said = (
        f"hint: {share:.1%} of the train pixels are positive, where the focal loss without --focal-loss-alpha learns "
    )
    return [f"{said}little; try --loss 'bce + dice' --lr-schedule one-cycle."]


def _about_the_learning_rate(hyperparameters: Hyperparameters, trainer: TrainerConfig) -> list[str]:
    gamma, epochs = hyperparameters.gamma, trainer.max_epochs
    if hyperparameters.lr_schedule != "exponential" or gamma**epochs >= _FADED:
        return []
    faded = next(epoch for epoch in range(1, epochs + 1) if gamma**epoch < _FADED)
    said = f"hint: with --gamma {gamma:g} the learning rate is below a hundredth after {faded} of {epochs} epochs; "
    return [f"{said}try --gamma {_FADED ** (1 / epochs):.3f}, or --lr-schedule one-cycle."]
