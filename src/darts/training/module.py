"""The LightningModule: model, loss, optimiser, and the metrics of every epoch."""

import json
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from darts.core.errors import RunError
from darts.core.seeds import derive_seed
from darts.training.config import Hyperparameters
from darts.training.instances import InstanceStatistics
from darts.training.losses import make_loss
from darts.training.metrics import THRESHOLD, PixelStatistics, Statistics, named_metrics
from darts.training.model import predict_logits, set_encoder_trainable
from darts.training.normalise import Normalisation, Normaliser
from darts.training.optim import Duration, make_optimizer, make_schedule
from darts.training.supervision import DeepSupervision

Batch = Mapping[str, torch.Tensor]
_PARTIAL, _RATE = "epoch_so_far", "learning_rate"


class SegmentationModule(pl.LightningModule):
    """Train, validate and test a model that gives one logit for each pixel.

    Parameters
    ----------
    config
        JSON-able, and stored in every checkpoint: `model` (a `ModelSpec`), `bands`, `normalisation`, `pos_weight` (of
        positive pixels in bce), and what a reader should know of the run.
    hyperparameters
        JSON-able `Hyperparameters`.
    model
        What `config` describes, of `build_model`.
    supervision
        Heads on the coarser stages of the model's decoder, which are trained with it.
    rows
        Number of rows of the metadata, which batches refer to.
    random_seed
        Seeds what the model draws in a step (dropout), anew for each step.
    matching_iou
        From which on two objects are the same one.
    """

    def __init__(
        self,
        config: dict[str, Any],
        hyperparameters: dict[str, Any],
        model: nn.Module,
        supervision: DeepSupervision | None = None,
        rows: int = 1,
        random_seed: int = 0,
        matching_iou: float = 0.5,
    ) -> None:
        super().__init__()
        json.dumps([config, hyperparameters])  # a checkpoint with anything else can't be loaded safely
        self.save_hyperparameters("config", "hyperparameters")
        self.settings = Hyperparameters.model_validate(hyperparameters)
        self.model: nn.Module = model.to(memory_format=torch.channels_last)
        self.supervision = supervision
        self.normaliser = Normaliser(Normalisation.from_dict(config.get("normalisation")))
        self.criterion = make_loss(self.settings, config.get("pos_weight"))
        self.random_seed = random_seed
        self.matching_iou = matching_iou
        self.pixels = nn.ModuleDict({stage: PixelStatistics(rows) for stage in ("train_", "val_", "test_")})
        self.statistics: dict[str, Statistics] = {}
        self.instances: InstanceStatistics
        self.metrics: dict[str, dict[str, float]] = {}
        self._partial: dict[str, torch.Tensor] | None = None
        self._learning_rate = 0.0

    def forward(self, x_nchw: torch.Tensor) -> torch.Tensor:
        """Logits (n, h, w) of images (n, bands, h, w) in [0, 1]."""
        return predict_logits(self.model, self.normaliser, x_nchw)

    def _step(self, batch: Batch, stage: str) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self(batch["x"])
        loss = self.criterion(logits, batch["y"])
        self._require_finite(loss, batch)
        self._pixels(stage).update(
            logits.detach(), batch["y"], loss.detach(), batch["row"], with_curves=stage != "train"
        )
        return loss, logits.detach()

    def _require_finite(self, loss: torch.Tensor, batch: Batch) -> None:
        if not torch.isfinite(loss):
            raise RunError(
                f"the loss became {loss.item()} in epoch {self.current_epoch} at the samples {batch['row'].tolist()}; lower "
                "--learning-rate, and check the data with: darts validate-dataset --deep."
            )

    def _pixels(self, stage: str) -> PixelStatistics:
        pixels = self.pixels[f"{stage}_"]  # the underscore: a module may not be called `train`
        assert isinstance(pixels, PixelStatistics)
        return pixels

    def on_train_start(self) -> None:
        """Go on counting where a stopped epoch was left."""
        self._freeze()
        if self._partial is not None:
            self._learning_rate = float(self._partial.pop(_RATE))
            if self.trainer.is_global_zero:
                self._pixels("train").restore(self._partial)
            self._partial = None

    def on_train_epoch_start(self) -> None:
        """Train the encoder, or not yet."""
        self._freeze()

    def _freeze(self) -> None:
        if self.settings.freeze_encoder_epochs:
            set_encoder_trainable(self.model, self.current_epoch >= self.settings.freeze_encoder_epochs)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Draw the same numbers in a step, whether training began before it or at it."""
        if batch_idx == 0:
            self._learning_rate = float(self.trainer.optimizers[0].param_groups[0]["lr"])
        torch.manual_seed(
            derive_seed(self.random_seed, "model", self.current_epoch, batch_idx, self.trainer.global_rank)
        )

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:  # noqa: ARG002
        """Loss of a batch."""
        loss, _ = self._step(batch, "train")
        if self.supervision is not None:
            loss = loss + self.supervision.auxiliary_loss(self.criterion, batch["y"])
            self._require_finite(loss, batch)
        self.log("train/loss_step", loss, on_step=True, on_epoch=False, prog_bar=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:  # noqa: ARG002
        """Logits of a batch."""
        return self._step(batch, "val")[1]

    def test_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:  # noqa: ARG002
        """Logits of a batch."""
        logits = self._step(batch, "test")[1]
        probabilities = torch.sigmoid(logits.float()).cpu().numpy()
        for probability, y in zip(probabilities, batch["y"].cpu().numpy(), strict=True):
            self.instances.add(probability, y)
        return logits

    def on_train_epoch_end(self) -> None:
        """Log the metrics of the epoch, and the learning rate that it began with."""
        self.log("learning_rate", torch.tensor(self._learning_rate, dtype=torch.float64))
        self._end_epoch("train")

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the epoch, and let them act on the learning rate."""
        self._end_epoch("val")
        schedule = self.lr_schedulers() if self.trainer.state.fn == "fit" else None
        if isinstance(schedule, ReduceLROnPlateau):
            schedule.step(self.metrics["val"]["val/loss"])

    def on_test_epoch_start(self) -> None:
        """Count objects anew."""
        self.instances = InstanceStatistics(THRESHOLD, self.matching_iou)

    def on_test_epoch_end(self) -> None:
        """Log the metrics of the epoch, and those of objects."""
        self._end_epoch("test", {f"test/{name}": value for name, value in self.instances.metrics().items()})

    def _end_epoch(self, stage: str, more: Mapping[str, float] | None = None) -> None:
        pixels = self._pixels(stage)
        self.statistics[stage] = pixels.statistics()
        pixels.reset()
        self.metrics[stage] = named_metrics(stage, self.statistics[stage]) | dict(more or {})
        for name, value in self.metrics[stage].items():
            self.log(name, torch.tensor(value, dtype=torch.float64), prog_bar=name == "val/JaccardIndex")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what was counted of an epoch that isn't over."""
        pixels = self._pixels("train")
        if pixels.update_called:
            with pixels.sync_context():  # of all processes; one of them goes on with it
                counted = pixels.counted()
            checkpoint[_PARTIAL] = counted | {_RATE: torch.tensor(self._learning_rate, dtype=torch.float64)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take what was counted of an epoch that isn't over."""
        self._partial = checkpoint.get(_PARTIAL)

    def configure_optimizers(self) -> Any:
        """What the settings name."""
        trainer = self.trainer
        epochs = trainer.max_epochs or 1
        duration = Duration(epochs, int(trainer.estimated_stepping_batches))
        optimizer = make_optimizer(self.settings, self.parameters())
        schedule = make_schedule(self.settings, optimizer, duration)
        return {"optimizer": optimizer} | ({"lr_scheduler": schedule} if schedule else {})
