"""What happens beside the steps of a run: checkpoints, early stopping, stops from outside, progress, throughput."""

import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint

from darts.core.artifacts import RunDirectory
from darts.core.errors import Interrupted
from darts.core.log import console
from darts.core.stopping import EXIT, heeded
from darts.training.averaging import weight_averaging
from darts.training.config import OptimiserConfig, TrainerConfig
from darts.training.epoch_rows import EpochRows, read_epochs, write_epochs
from darts.training.run_record import MONITOR
from darts.training.sample_figures import SampleFigures

_ONE_REQUEST = 1.0
"""Seconds within which a second signal is the first one, passed on once more, as `uv run` does."""


class ValidateLastEpoch(Callback):
    """The last epoch is validated, whatever the interval."""

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Make the interval 1 in the last epoch."""
        if trainer.max_epochs and trainer.current_epoch + 1 >= trainer.max_epochs:
            trainer.check_val_every_n_epoch = 1

    on_train_start = on_train_epoch_start  # an epoch that is gone on with has no start


class PlainProgress(Callback):
    """One line for each epoch, where no terminal can show a bar."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Say the validation metrics."""
        if trainer.state.fn == "fit" and trainer.is_global_zero:
            metrics = trainer.callback_metrics
            shown = ", ".join(
                f"{name!s} {float(metrics[name]):.4f}"
                for name in ("val/loss", "val/F1Score", MONITOR)
                if name in metrics
            )
            console.print(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: {shown}", highlight=False)


class BestCheckpoint(ModelCheckpoint):
    """The checkpoint of the best validation; gone on with elsewhere, the best so far stays the best."""

    def __init__(self, directory: RunDirectory) -> None:
        self.best = directory.best_checkpoint
        super().__init__(
            dirpath=self.best.parent,
            filename=self.best.stem,
            monitor=MONITOR,
            mode="max",
            save_top_k=1,
            save_on_train_epoch_end=False,
            enable_version_counter=False,
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Look for the best checkpoint in this run's folder, wherever it was before."""
        if state_dict["best_model_path"] and self.best.exists():
            here = str(self.best)
            state_dict = state_dict | {
                "dirpath": self.dirpath,
                "best_model_path": here,
                "kth_best_model_path": here,
                "best_k_models": {here: state_dict["best_model_score"]},
            }
        super().load_state_dict(state_dict)


class LastCheckpoint(ModelCheckpoint):
    """The checkpoint of every epoch, in the place of the one before."""

    def __init__(self, directory: RunDirectory) -> None:
        last = directory.last_checkpoint
        super().__init__(
            dirpath=last.parent,
            filename=last.stem,
            save_top_k=1,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )


class EveryNthCheckpoint(ModelCheckpoint):
    """A checkpoint of every n-th epoch, which stays; epochs count from 0 as in `metrics.csv`."""

    def __init__(self, directory: RunDirectory, epochs: int) -> None:
        super().__init__(
            dirpath=directory.checkpoints,
            filename="epoch-{epoch:04d}",
            auto_insert_metric_name=False,
            every_n_epochs=epochs,
            save_top_k=-1,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )


class ResumableEarlyStopping(EarlyStopping):
    """Early stopping that goes on counting in a run that goes on, with the patience of that run."""

    def __init__(self, patience: int) -> None:
        super().__init__(MONITOR, mode="max", patience=patience)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the best score and what was waited for it."""
        super().load_state_dict(state_dict | {"patience": self.patience, "stopped_epoch": 0})


class StopOnRequest(Callback):
    """Ctrl-C, SIGTERM and SIGHUP end a fit after the step, or the validation, that is under way; a second one at once.

    Parameters
    ----------
    checkpoint
        Where the state is kept, so that the next start goes on with the next step.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self._asked: int | None = None
        self._asked_at = 0.0
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Listen, where Python allows it."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in heeded()}

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:  # noqa: ARG002
        """Leave signals as they were."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: Any) -> None:  # noqa: ARG002
        if self._asked is not None:
            if time.monotonic() - self._asked_at > _ONE_REQUEST:
                raise SystemExit(EXIT + number)
            return
        self._asked, self._asked_at = number, time.monotonic()
        console.print("stopping after this step or validation; once more stops at once.", highlight=False)

    def _is_asked(self, trainer: pl.Trainer) -> bool:
        asked = self._asked is not None
        return trainer.strategy.reduce_boolean_decision(asked, all=False) if trainer.world_size > 1 else asked

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Save and stop, unless the epoch is about to end, or gradients are collected, which no checkpoint holds."""
        has_stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if has_stepped and not trainer.is_last_batch and self._is_asked(trainer):
            trainer.save_checkpoint(self.checkpoint)
            self._stop(f"stopped in epoch {trainer.current_epoch + 1}.")

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Stop between two epochs; the last one is saved."""
        if self._is_asked(trainer):
            self._stop(f"stopped after epoch {trainer.current_epoch}.")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Stop after the last epoch; the next start only measures the best one."""
        if self._is_asked(trainer):
            self._stop("stopped after the last epoch.")

    def _stop(self, message: str) -> None:
        raise Interrupted(message, EXIT + (self._asked or signal.SIGTERM), self.checkpoint)


class Throughput(Callback):
    """`throughput.csv`: of each epoch its seconds, samples a second, and the share of time that steps waited for data."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: EpochRows = {}
        self._samples = 0
        self._begun = self._ready = self._waited = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the epochs that an earlier start measured."""
        self._rows = read_epochs(self.path)
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Begin to count."""
        self._begun = self._ready = time.perf_counter()
        self._samples, self._waited = 0, 0.0

    def on_train_batch_start(
        self,
        trainer: pl.Trainer,  # noqa: ARG002
        pl_module: pl.LightningModule,  # noqa: ARG002
        batch: Mapping[str, Any],
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Count what was waited for this batch."""
        self._waited += time.perf_counter() - self._ready
        self._samples += len(batch["row"])

    def on_train_batch_end(self, *arguments: Any, **keywords: Any) -> None:  # noqa: ARG002
        """The next batch is waited for from now on."""
        self._ready = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Write the table anew."""
        seconds = max(self._ready - self._begun, 1e-9)
        measured = {
            "seconds": f"{seconds:.3f}",
            "samples_per_second": f"{self._samples * trainer.world_size / seconds:.2f}",
            "waiting_share": f"{self._waited / seconds:.4f}",
        }
        self._rows[trainer.current_epoch] = {"epoch": trainer.current_epoch, **measured}
        if trainer.is_global_zero:
            write_epochs(self.path, self._rows, ["epoch", *measured])


def run_callbacks(
    directory: RunDirectory, trainer: TrainerConfig, optimiser: OptimiserConfig, samples: SampleFigures
) -> list[Callback]:
    """The callbacks of a fit."""
    averaging = weight_averaging(optimiser, trainer.max_epochs)
    patience, every = trainer.early_stopping_patience, trainer.save_every_n_epochs
    return [
        *([averaging] if averaging else []),
        ValidateLastEpoch(),
        samples,
        Throughput(directory.throughput),
        *([] if console.is_terminal else [PlainProgress()]),
        *([ResumableEarlyStopping(patience)] if patience else []),
        BestCheckpoint(directory),
        LastCheckpoint(directory),
        *([EveryNthCheckpoint(directory, every)] if every else []),
        StopOnRequest(directory.last_checkpoint),
    ]
