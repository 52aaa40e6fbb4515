"""The same few patches, drawn at every validation and test."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback

from darts.training.figures import PredictedSample, draw_samples

SAMPLES_DRAWN = 4


class SampleFigures(Callback):
    """Draw the same few patches, with what is predicted for them, at every n-th validation.

    Parameters
    ----------
    rows
        Rows to draw.
    names
        Row -> what is written above it.
    bands
        The channels of x.
    folder
        Where the PNG files go.
    every
        Draw at every so many validations.
    """

    def __init__(
        self, rows: Sequence[int], names: Mapping[int, str], bands: Sequence[str], folder: Path, every: int = 1
    ) -> None:
        self.rows, self.names, self.bands, self.folder, self.every = set(rows), names, bands, folder, every
        self._validations = 0
        self._seen: dict[int, PredictedSample] = {}

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,  # noqa: ARG002
        pl_module: pl.LightningModule,  # noqa: ARG002
        outputs: Any,
        batch: Any,
        batch_idx: int,  # noqa: ARG002
        dataloader_idx: int = 0,  # noqa: ARG002
    ) -> None:
        """Keep the chosen patches."""
        for index, row in enumerate(batch["row"].tolist()):
            if row in self.rows:
                x, y = (batch[name][index].cpu().numpy().copy() for name in ("x", "y"))  # a batch is used again
                probability = torch.sigmoid(outputs[index].float()).cpu().numpy()
                self._seen[row] = PredictedSample(self.names[row], x, y, probability)

    def state_dict(self) -> dict[str, Any]:
        """How many validations there were, so that a run that is gone on with draws at the same ones."""
        return {"validations": self._validations}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self._validations = state_dict["validations"]

    def on_test_batch_end(self, *arguments: Any, **keywords: Any) -> None:
        """Keep the chosen patches."""
        self.on_validation_batch_end(*arguments, **keywords)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Draw them."""
        self._validations += 1
        if (self._validations - 1) % self.every == 0 and self._seen:
            self._draw(trainer, "val")

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Draw them."""
        self._draw(trainer, "test")

    def _draw(self, trainer: pl.Trainer, stage: str) -> None:
        if not trainer.is_global_zero:
            return
        epoch = f"-epoch-{trainer.current_epoch + 1:04d}" if trainer.state.fn == "fit" else ""
        samples = [self._seen[row] for row in sorted(self._seen)]
        path = draw_samples(samples, self.bands, self.folder / f"{stage}-samples{epoch}.png")
        for logger in trainer.loggers:
            if hasattr(logger, "log_figure"):
                logger.log_figure(f"{stage}-samples", path)


def choose_samples(metadata: pd.DataFrame, rows: np.ndarray, count: int = SAMPLES_DRAWN) -> list[int]:
    """Rows to draw: evenly spread over those with positives, or over all if none has any."""
    with_positives = [int(row) for row in rows if not metadata.loc[row, "empty"]]
    chosen = with_positives or [int(row) for row in rows]
    return [chosen[index] for index in np.unique(np.linspace(0, len(chosen) - 1, count).round().astype(int))]


def sample_figures(
    metadata: pd.DataFrame, rows: np.ndarray, bands: Sequence[str], folder: Path, every: int = 1
) -> SampleFigures:
    """A `SampleFigures` for a few of these rows."""
    chosen = choose_samples(metadata, rows)
    names = {row: f"sample {row}, {metadata.loc[row, 'region']!s}" for row in chosen}
    return SampleFigures(chosen, names, bands, folder, every)
