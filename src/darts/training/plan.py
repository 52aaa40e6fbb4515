"""The plan of a run, and every check of it that needs no training."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from darts.core.artifacts import RunDirectory, run_directory
from darts.core.config import Config, resolved_settings
from darts.core.errors import CheckpointError, RunError
from darts.core.names import random_id, random_name
from darts.training.checkpoint import load_checkpoint, model_config
from darts.training.config import DataConfig, Hyperparameters, LoggingConfig, RunLoggingConfig, TrainerConfig
from darts.training.datamodule import PatchDataModule
from darts.training.devices import resolve_devices
from darts.training.model import ModelSpec, require_model_takes
from darts.training.module import SegmentationModule

# Another split would validate on patches that were trained on; the others come out of the checkpoint, whatever is asked.
_MUST_AGREE = (
    *("data_split_method", "data_split_by", "fold_method", "total_folds", "fold", "subsample"),
    *(name for name in Hyperparameters.model_fields if name != "model_encoder_weights"),
    "random_seed",
)


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One fit of one set of hyperparameters on one fold with one seed.

    `cv_name` and `tune_name` name the cross-validation and the sweep that it is part of, if it is of any.
    """

    data: DataConfig
    hyperparameters: Hyperparameters
    trainer: TrainerConfig
    logging: LoggingConfig
    run_name: str
    run_id: str
    cv_name: str | None = None
    tune_name: str | None = None

    @property
    def directory(self) -> RunDirectory:
        """Where the run leaves its files."""
        return run_directory(self.logging.artifact_dir, self.run_name, self.run_id, self.cv_name, self.tune_name)

    @property
    def configs(self) -> tuple[Config, ...]:
        """All groups of settings."""
        return (self.data, self.hyperparameters, self.trainer, self.logging)


def plan_run(
    data: DataConfig, hyperparameters: Hyperparameters, trainer: TrainerConfig, logging: RunLoggingConfig
) -> RunSpec:
    """Give a run its name and id."""
    return RunSpec(data, hyperparameters, trainer, logging, logging.run_name or random_name(), random_id())


class PreparedRun:
    """A run that has passed every check that needs no training; nothing is written yet."""

    def __init__(self, spec: RunSpec) -> None:
        self.spec = spec
        self.accelerator, self.devices = resolve_devices(spec.trainer.device)
        self.data = PatchDataModule(spec.data, spec.hyperparameters, spec.trainer)
        self.roles = self.data.roles()
        self.model_spec = ModelSpec(
            spec.hyperparameters.model_arch, spec.hyperparameters.model_encoder, len(self.data.bands)
        )
        self.resume_from = self._resumable(spec.trainer.continue_from_checkpoint)
        pl.seed_everything(spec.trainer.random_seed, workers=True, verbose=False)
        self.module = SegmentationModule(
            self._model_config(),
            spec.hyperparameters.model_dump(mode="json"),
            self.data.regions,
            spec.trainer.random_seed,
            spec.hyperparameters.model_encoder_weights,
        )
        require_model_takes(self.module.model, self.model_spec, self.data.dataset.manifest.patch_size)

    @cached_property
    def role_counts(self) -> dict[str, int]:
        """Number of patches to train, validate and test on."""
        return {role: int((self.roles["role"] == role).sum()) for role in ("train", "val", "test")}

    def _model_config(self) -> dict[str, Any]:
        manifest = self.data.dataset.manifest
        scaling = {band.name: band.as_dict() for band in manifest.bands}
        return {
            "model": self.model_spec.as_dict(),
            "bands": list(self.data.bands),
            "scaling": {name: scaling[name] for name in self.data.bands},
            "patch_size": manifest.patch_size,
            "run_name": self.spec.run_name,
            "run_id": self.spec.run_id,
            "dataset_fingerprint": manifest.fingerprint or "none",
            "settings": resolved_settings(*self.spec.configs)
            | {"train_data_dir": str(self.spec.data.train_data_dir.resolve())},
        }

    def _resumable(self, path: Path | None) -> Path | None:
        """The checkpoint to go on with, when this run is the one that it was written by."""
        if path is None:
            return None
        checkpoint = load_checkpoint(path)
        before, now = model_config(checkpoint, path), self._model_config()
        recorded, chosen = before.get("settings", {}), now["settings"]
        compared = [(name, before.get(name), now[name]) for name in ("model", "bands", "dataset_fingerprint")]
        compared += [(name, recorded.get(name), chosen.get(name)) for name in _MUST_AGREE]
        for name, was, is_now in compared:
            if was != is_now:
                raise CheckpointError(
                    f"--continue-from-checkpoint: {path} was trained with {name} {was}, but this run has {is_now}; use the "
                    "same dataset and settings."
                )
        self.data.first_epoch = int(checkpoint.get("epoch", -1)) + 1
        if self.data.first_epoch >= self.spec.trainer.max_epochs:
            raise RunError(
                f"--continue-from-checkpoint: {path} has finished {self.data.first_epoch} epochs already; raise "
                f"--max-epochs above {self.spec.trainer.max_epochs}."
            )
        return path
