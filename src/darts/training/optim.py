"""Optimisers and schedules of the learning rate by name."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler

from darts.training.config import OptimiserConfig

_ADAMW_DECAY = 1e-2
_CYCLE_EPOCHS = 4


@dataclass(frozen=True, slots=True)
class Duration:
    """How long a run is.

    Attributes
    ----------
    epochs
        At most.
    steps
        Optimiser steps of all epochs.
    """

    epochs: int
    steps: int

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of an epoch."""
        return max(1, self.steps // self.epochs)


def make_optimizer(settings: OptimiserConfig, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The optimiser of `settings.optimizer`."""
    decay = settings.weight_decay
    if decay is None:
        decay = _ADAMW_DECAY if settings.optimizer == "adamw" else 0.0
    common: dict[str, Any] = {"lr": settings.learning_rate, "weight_decay": decay}
    match settings.optimizer:
        case "adamw":
            return torch.optim.AdamW(parameters, **common)
        case "adam":
            return torch.optim.Adam(parameters, **common)
        case "radam":
            return torch.optim.RAdam(parameters, **common)
        case "sgd":
            return torch.optim.SGD(parameters, momentum=settings.momentum, **common)


def make_schedule(settings: OptimiserConfig, optimizer: Optimizer, duration: Duration) -> dict[str, Any] | None:
    """The schedule of `settings.lr_schedule`, as Lightning takes it; None where the learning rate stays.

    Exponential and cosine act after each epoch, one-cycle (Smith and Topin 2018, arXiv 1708.07120) and cyclic (Smith 2017,
    doi 10.1109/WACV.2017.58, "triangular2") after each step. Plateau is stepped by the module, after each validation.
    """
    match settings.lr_schedule:
        case "exponential":
            return {"scheduler": lr_scheduler.ExponentialLR(optimizer, gamma=settings.gamma)}
        case "cosine":
            return {"scheduler": lr_scheduler.CosineAnnealingLR(optimizer, duration.epochs, settings.lr_min)}
        case "plateau":
            plateau = lr_scheduler.ReduceLROnPlateau(
                optimizer, factor=settings.gamma, patience=settings.lr_patience, min_lr=settings.lr_min
            )
            # Lightning would step it after the checkpoint of the epoch was written: never within the run.
            return {"scheduler": plateau, "monitor": "val/loss", "frequency": duration.epochs + 1}
        case "one-cycle":
            warmup = settings.lr_warmup
            if math.isclose(warmup * duration.steps, 1):  # torch divides by the difference
                warmup *= 1.001
            cycle = lr_scheduler.OneCycleLR(
                optimizer, settings.learning_rate, total_steps=duration.steps, pct_start=warmup
            )
            return {"scheduler": cycle, "interval": "step"}
        case "cyclic":
            cyclic = lr_scheduler.CyclicLR(
                optimizer,
                base_lr=settings.lr_min,
                max_lr=settings.learning_rate,
                step_size_up=duration.steps_per_epoch * _CYCLE_EPOCHS // 2,
                mode="triangular2",
                cycle_momentum=False,
            )
            return {"scheduler": cyclic, "interval": "step"}
        case "none":
            return None
