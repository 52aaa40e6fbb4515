"""The LightningModule: model, loss, optimiser, and the metrics of every epoch."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn

from darts.core.errors import RunError
from darts.core.seeds import derive_seed
from darts.training.config import Hyperparameters
from darts.training.losses import FocalLossIgnoring
from darts.training.metrics import PixelStatistics, Statistics, named_metrics
from darts.training.model import ModelSpec, build_model

Batch = Mapping[str, torch.Tensor]


class SegmentationModule(pl.LightningModule):
    """Train, validate and test a model that gives one logit for each pixel.

    Parameters
    ----------
    config
        JSON-able, and stored in every checkpoint: `model` (a `ModelSpec`), `bands`, and what a reader should know of the
        run.
    hyperparameters
        JSON-able `Hyperparameters`.
    regions
        Names of the groups that batches refer to.
    random_seed
        Seeds what the model draws in an epoch (dropout), anew for each epoch.
    encoder_weights
        Pretrained weights to begin with.
    """

    def __init__(
        self,
        config: dict[str, Any],
        hyperparameters: dict[str, Any],
        regions: Sequence[str] = ("",),
        random_seed: int = 0,
        encoder_weights: str | None = None,
    ) -> None:
        super().__init__()
        json.dumps([config, hyperparameters])  # a checkpoint with anything else can't be loaded safely
        self.save_hyperparameters("config", "hyperparameters")
        self.spec = ModelSpec.from_dict(config["model"])
        self.model: nn.Module = build_model(self.spec, encoder_weights).to(memory_format=torch.channels_last)
        self.settings = Hyperparameters.model_validate(hyperparameters)
        self.criterion = FocalLossIgnoring(self.settings.focal_loss_alpha, self.settings.focal_loss_gamma)
        self.regions = tuple(regions)
        self.random_seed = random_seed
        self.pixels = nn.ModuleDict({stage: PixelStatistics(len(regions)) for stage in ("train_", "val_", "test_")})
        self.statistics: dict[str, Statistics] = {}

    def forward(self, x_nchw: torch.Tensor) -> torch.Tensor:
        """Logits (n, h, w) of images (n, bands, h, w) in [0, 1]."""
        logits: torch.Tensor = self.model(x_nchw.to(memory_format=torch.channels_last))
        return logits.squeeze(1)

    def _step(self, batch: Batch, stage: str) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self(batch["x"])
        loss = self.criterion(logits, batch["y"])
        if not torch.isfinite(loss):
            rows = batch["row"].tolist()
            raise RunError(
                f"the loss became {loss.item()} in epoch {self.current_epoch} at the samples {rows}; lower "
                "--learning-rate, and check the data with: darts validate-dataset --deep."
            )
        self._pixels(stage).update(logits.detach(), batch["y"], loss, batch["group"])
        return loss, logits.detach()

    def _pixels(self, stage: str) -> PixelStatistics:
        pixels = self.pixels[f"{stage}_"]  # the underscore: a module may not be called `train`
        assert isinstance(pixels, PixelStatistics)
        return pixels

    def on_train_epoch_start(self) -> None:
        """Draw the same numbers in an epoch, whether training began before it or at it, and log its learning rate."""
        torch.manual_seed(derive_seed(self.random_seed, "model", self.current_epoch))
        self.log("learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"])

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:  # noqa: ARG002
        """Loss of a batch."""
        loss, _ = self._step(batch, "train")
        self.log("train/loss_step", loss, on_step=True, on_epoch=False, prog_bar=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:  # noqa: ARG002
        """Logits of a batch."""
        return self._step(batch, "val")[1]

    def test_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:  # noqa: ARG002
        """Logits of a batch."""
        return self._step(batch, "test")[1]

    def on_train_epoch_end(self) -> None:
        """Log the metrics of the epoch."""
        self._log_epoch("train")

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the epoch."""
        self._log_epoch("val")

    def on_test_epoch_end(self) -> None:
        """Log the metrics of the epoch."""
        self._log_epoch("test")

    def _log_epoch(self, stage: str) -> None:
        pixels = self._pixels(stage)
        self.statistics[stage] = pixels.statistics()
        pixels.reset()
        for name, value in named_metrics(stage, self.statistics[stage]).items():
            self.log(name, torch.tensor(value, dtype=torch.float64), prog_bar=name == "val/JaccardIndex")

    def configure_optimizers(self) -> tuple[list[Any], list[Any]]:
        """AdamW, and a learning rate that decays by `gamma` after each epoch."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.settings.learning_rate)
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=self.settings.gamma)]
