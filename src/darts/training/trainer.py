"""Lightning's Trainer as all runs and tests use it, and what may happen around it."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import RichProgressBar

from darts.core.errors import Interrupted, RunError
from darts.core.log import console
from darts.training.checkpoint import SafeCheckpointIO

_PRECISION: dict[str, Any] = {"32": "32-true"}
_DETERMINISTIC: dict[str, Any] = {"true": True, "false": False}


def make_trainer(
    callbacks: list[pl.Callback], *, precision: str = "32", deterministic: str = "warn", **settings: Any
) -> pl.Trainer:
    """A Trainer with what all runs and tests have in common; `settings` are further arguments of Lightning's."""
    return pl.Trainer(
        precision=_PRECISION.get(precision, precision),
        deterministic=_DETERMINISTIC.get(deterministic, deterministic),
        num_sanity_val_steps=0,
        enable_model_summary=False,
        enable_progress_bar=console.is_terminal,
        enable_checkpointing="max_epochs" in settings,
        plugins=[SafeCheckpointIO()],
        use_distributed_sampler=False,
        callbacks=[*callbacks, *([RichProgressBar()] if console.is_terminal else [])],
        **settings,
    )


@contextmanager
def stoppable(batch_size: int) -> Iterator[None]:
    """Turn what ends a fit, a validation or a test from outside into errors of ours.

    Raises
    ------
    Interrupted
        On Ctrl-C, SIGTERM and SIGHUP.
    RunError
        When the device is out of memory.
    """
    try:
        yield
    except SystemExit as stop:
        # Lightning makes an exit with code 1 of Ctrl-C; other signals come as an exit with their own code.
        code = stop.code if isinstance(stop.code, int) and stop.code > 1 else 130
        raise Interrupted("stopped.", code) from None
    except torch.OutOfMemoryError:
        raise RunError(
            f"the device has too little memory for batches of {batch_size} patches; lower --batch-size."
        ) from None


def quieten_lightning() -> None:
    """Leave out what Lightning says about itself; what concerns a user is said by `darts`."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    torch.set_float32_matmul_precision("high")
