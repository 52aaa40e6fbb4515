"""Training: splits, models, losses, metrics, runs, their tests, and converted models.

    from darts.training import train_smp, test_smp, convert_lightning_checkpoint, DartsDataModule, load_from_run, load_model

Each name is imported when it is first used: torch is slow to import, and the settings live in this package too.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "train_smp": "darts.training.run",
    "test_smp": "darts.training.testing",
    "convert_lightning_checkpoint": "darts.training.convert",
    "load_model": "darts.training.convert",
    "load_from_run": "darts.training.reload",
    "DartsDataModule": "darts.training.datamodule",
}

__all__ = ["DartsDataModule", "convert_lightning_checkpoint", "load_from_run", "load_model", "test_smp", "train_smp"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
