"""Averaged weights: what is validated, saved and tested in the place of the weights that are trained."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn

from darts.training.config import OptimiserConfig


class WeightAveragingInPlace(WeightAveraging):
    """Averages that lie on the device that computes, so that no step copies the weights to the CPU."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Lightning would take the device of the module, which isn't moved to its own yet."""
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)


class StochasticWeightAveraging(WeightAveragingInPlace):
    """The mean of the weights at the end of each epoch from `first_epoch` on; until then, the weights themselves.

    Izmailov et al. 2018, arXiv 1803.05407. The statistics of batch norms are averaged like weights.
    """

    def __init__(self, first_epoch: int) -> None:
        super().__init__()
        self.first_epoch = first_epoch

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Take the weights in after the last step of an epoch, before it is validated."""
        if trainer.is_last_batch and self._average_model is not None:
            if trainer.current_epoch <= self.first_epoch:
                self._average_model.n_averaged.zero_()  # the next update copies
            self._average_model.update_parameters(pl_module)
            self._latest_update_step = trainer.global_step

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:  # noqa: ARG002
        """Never by itself: at the end of an epoch it would come after the validation."""
        return False


def weight_averaging(settings: OptimiserConfig, max_epochs: int) -> WeightAveraging | None:
    """The callback that the settings ask for, if any."""
    if settings.swa:
        return StochasticWeightAveraging(int(settings.swa_start * max_epochs))
    if settings.ema:
        average = get_ema_multi_avg_fn(settings.ema_decay)  # type: ignore[no-untyped-call] # of torch
        return WeightAveragingInPlace(multi_avg_fn=average)
    return None
