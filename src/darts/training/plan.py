"""The plan of a run, and every check of it that needs no training."""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from torch import nn

from darts.core.artifacts import RunDirectory, run_directory, run_place
from darts.core.config import Config, resolved_settings
from darts.core.errors import CheckpointError, RunError
from darts.core.log import get_logger
from darts.core.names import random_id, random_name
from darts.dataset.schema import SCALE
from darts.training.checkpoint import load_checkpoint, model_config, model_state
from darts.training.config import DataConfig, Hyperparameters, LoggingConfig, RunLoggingConfig, TrainerConfig
from darts.training.datamodule import PatchDataModule
from darts.training.devices import Placement, place_run
from darts.training.hints import hints
from darts.training.loggers import require_tensorboard
from darts.training.model import ModelSpec, build_model, has_idle_parameters, require_encoder, require_model_takes
from darts.training.module import SegmentationModule
from darts.training.normalise import Normalisation, normalisation_from, statistics_from_counts
from darts.training.resume import ResumePoint, read_resume_point
from darts.training.runs import find_run
from darts.training.supervision import DeepSupervision
from darts.training.train_pixels import LabelCounts, TrainPixels, count_train_pixels, labels_in_metadata

_log = get_logger(__name__)

_IDENTITY = "DARTS_RUN_IDENTITY"


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One fit of one set of hyperparameters on one fold with one seed.

    `cv_name` and `tune_name` name the cross-validation and the sweep that it is part of, if it is of any. A run with
    `is_resumed` goes on in its folder, which is there already.
    """

    data: DataConfig
    hyperparameters: Hyperparameters
    trainer: TrainerConfig
    logging: LoggingConfig
    run_name: str
    run_id: str
    cv_name: str | None = None
    tune_name: str | None = None
    is_resumed: bool = False

    @property
    def directory(self) -> RunDirectory:
        """Where the run leaves its files."""
        return run_directory(self.logging.artifact_dir, self.run_name, self.run_id, self.cv_name, self.tune_name)

    @property
    def configs(self) -> tuple[Config, ...]:
        """All groups of settings."""
        return (self.data, self.hyperparameters, self.trainer, self.logging)

    @property
    def checkpoint_to_go_on_with(self) -> Path | None:
        """The checkpoint whose state this run begins with, if any."""
        if self.is_resumed:
            last = self.directory.last_checkpoint
            return last if last.exists() else None
        return self.trainer.continue_from_checkpoint


def plan_run(
    data: DataConfig, hyperparameters: Hyperparameters, trainer: TrainerConfig, logging: RunLoggingConfig
) -> RunSpec:
    """Give a run its name and id, or find the one that it goes on with.

    Raises
    ------
    RunError
        When there is no run to go on with.
    """
    there = _existing_run(trainer, logging)
    if there and any(run_place(logging.artifact_dir, there)):
        raise RunError(
            f"{there.path} is part of a cross-validation or a sweep; go on with that one, by the same command and name."
        )
    name, run_id = there.name_and_id if there else _identity(logging.run_name, trainer)
    return RunSpec(data, hyperparameters, trainer, logging, name, run_id, is_resumed=there is not None)


def _existing_run(trainer: TrainerConfig, logging: RunLoggingConfig) -> RunDirectory | None:
    """The run that this one goes on with, or that makes it needless."""
    if trainer.resume not in (None, "last"):
        return find_run(logging.artifact_dir, logging.run_name, trainer.resume)
    folder = run_directory(logging.artifact_dir, "", "").path.parent
    runs = [RunDirectory(path.parent) for path in folder.glob("*/config.toml")]
    runs = [run for run in runs if logging.run_name in (None, run.name_and_id[0])]
    if trainer.resume == "last":
        newest = max(runs, key=lambda run: (run.config.stat().st_mtime_ns, run.path), default=None)
        what = f"called {logging.run_name}" if logging.run_name else f"in {folder}"
        _log.info(f"goes on with {newest.path}." if newest else f"there is no run {what} yet, so that one begins.")
        return newest
    if trainer.skip_existing and logging.run_name:
        return next((run for run in sorted(runs, key=lambda run: run.path) if run.is_finished), None)
    return None


def _identity(run_name: str | None, trainer: TrainerConfig) -> tuple[str, str]:
    """A name and an id; equal in all processes that share one run."""
    if inherited := os.environ.get(_IDENTITY):
        name, _, run_id = inherited.partition(" ")
        return name, run_id
    if trainer.num_nodes * trainer.processes_per_node > 1 and (job := _job_of_several_tasks()):
        if run_name is None:
            raise RunError("a run that several tasks share needs a --run-name that all of them know; give one.")
        return run_name, hashlib.sha256(job.encode()).hexdigest()[:8]
    return run_name or random_name(), random_id()


def _job_of_several_tasks() -> str | None:
    """What Slurm or torchrun calls the job whose tasks share a run; None where this process starts the others itself."""
    tasks = os.environ.get("SLURM_JOB_ID") if int(os.environ.get("SLURM_NTASKS", "1")) > 1 else None
    return tasks or os.environ.get("TORCHELASTIC_RUN_ID")


def share_identity(spec: RunSpec) -> None:
    """Let the processes that are started for this run know its name and id."""
    os.environ[_IDENTITY] = f"{spec.run_name} {spec.run_id}"


def forget_identity() -> None:
    """The next run of this process is another one."""
    os.environ.pop(_IDENTITY, None)


class PreparedRun:
    """A run that has passed every check that needs no training; nothing is written yet."""

    def __init__(self, spec: RunSpec) -> None:
        self.spec = spec
        self.placement: Placement = place_run(spec.trainer, spec.hyperparameters)
        self.data = PatchDataModule(spec.data, spec.hyperparameters, spec.trainer)
        self.roles = self.data.roles()
        self.model_spec = ModelSpec.of(spec.hyperparameters, len(self.data.bands))
        _ = self.data.draw_probabilities  # refuses what can't be drawn so
        if spec.logging.tensorboard:
            require_tensorboard()
        self.resume_point = self._resume_point()
        self.data.first_batch = self.resume_point.batches if self.resume_point else 0
        pl.seed_everything(spec.trainer.random_seed, workers=True, verbose=False)
        self.model = self._checked_model()
        with_heads = spec.hyperparameters.deep_supervision
        self.supervision = DeepSupervision(self.model, self.data.dataset.patch_size) if with_heads else None

    def _checked_model(self) -> nn.Module:
        """The model with the weights that it begins with; it has seen a patch of the real size."""
        hyperparameters, init_weights = self.spec.hyperparameters, self.spec.trainer.init_weights
        model = build_model(self.model_spec, hyperparameters.model_encoder_weights, hyperparameters.model_factory)
        require_model_takes(model, self.model_spec, self.data.dataset.patch_size)
        if hyperparameters.freeze_encoder_epochs:
            require_encoder(model, "--freeze-encoder-epochs")
        if self.placement.processes > 1 and (
            hyperparameters.freeze_encoder_epochs
            or has_idle_parameters(model, self.model_spec, self.data.dataset.patch_size)
        ):
            self.placement = self.placement.with_idle_parameters()
        if init_weights is not None:
            self._load_weights(model, init_weights)
        return model

    @property
    def is_trained(self) -> bool:
        """Whether only what follows the training is left to be done."""
        point = self.resume_point
        return point is not None and self.spec.is_resumed and (point.has_stopped_early or self._is_over(point))

    @property
    def hints(self) -> list[str]:
        """What a specialist would say of these settings on these patches."""
        return hints(self.spec.hyperparameters, self.spec.trainer, self.labels)

    @cached_property
    def role_counts(self) -> dict[str, int]:
        """Number of patches to train, validate and test on."""
        return {role: int((self.roles["role"] == role).sum()) for role in ("train", "val", "test")}

    @cached_property
    def _train_pixels(self) -> TrainPixels:
        return count_train_pixels(self.data.train_rows_loader(), len(self.data.bands))

    @cached_property
    def labels(self) -> LabelCounts:
        """How often each label comes in the train patches."""
        train = self.data.metadata.loc[self.data.fold_rows.train]
        return labels_in_metadata(train, self.data.dataset.patch_size) or self._train_pixels.labels

    @cached_property
    def normalisation(self) -> Normalisation:
        """What is done to each band, from the train patches alone."""
        method = self.spec.hyperparameters.normalisation
        if method == "none":
            return Normalisation()
        found = normalisation_from(method, statistics_from_counts(self._train_pixels.values, SCALE))
        if flat := [band for band, factor in zip(self.data.bands, found.factor, strict=True) if factor == 0]:
            _log.warning(
                "%s hold(s) one value in all train patches, and becomes 0 by --normalisation.", ", ".join(flat)
            )
        return found

    def make_module(self, model: nn.Module, supervision: DeepSupervision | None = None) -> SegmentationModule:
        """What trains or measures a model; this looks at all train pixels where the settings ask for numbers of them."""
        return SegmentationModule(
            self._model_config(),
            self.spec.hyperparameters.model_dump(mode="json"),
            model,
            supervision,
            rows=len(self.data.dataset),
            random_seed=self.spec.trainer.random_seed,
        )

    def _load_weights(self, model: nn.Module, path: Path) -> None:
        checkpoint = load_checkpoint(path)
        if (bands := model_config(checkpoint, path)["bands"]) != list(self.data.bands):
            raise CheckpointError(
                f"--init-weights: {path} takes the bands {', '.join(bands)}; give the same with --bands."
            )
        try:
            model.load_state_dict(model_state(checkpoint, path))
        except RuntimeError:
            raise CheckpointError(
                f"--init-weights: the weights in {path} are of another model; give the arch and encoder that it has."
            ) from None
        _log.info("the weights of %s are what this run begins with.", path)

    def _model_config(self) -> dict[str, Any]:
        dataset, pos_weight = self.data.dataset, self.spec.hyperparameters.pos_weight
        return self._facts() | {
            "scaling": {band.name: band.as_dict() for band in dataset.bands(self.data.bands)},
            "normalisation": self.normalisation.as_dict(),
            "pos_weight": self.labels.pos_weight if pos_weight == "auto" else pos_weight,
            "patch_size": dataset.patch_size,
            "run_name": self.spec.run_name,
            "run_id": self.spec.run_id,
        }

    def _facts(self) -> dict[str, Any]:
        """What is known of the run without looking at a pixel, and is compared when it goes on."""
        return {
            "model": self.model_spec.as_dict(),
            "bands": list(self.data.bands),
            "dataset_fingerprint": self.data.dataset.fingerprint,
            "split": self.data.split_hash,
            "processes": self.placement.processes,
            "settings": self._settings(),
        }

    def _settings(self) -> dict[str, Any]:
        data = self.spec.data
        settings = resolved_settings(*self.spec.configs)
        settings["train_data_dir"] = [str(path.resolve()) for path in data.train_data_dir]
        return settings | ({"split_file": str(data.split_file.resolve())} if data.split_file else {})

    def _resume_point(self) -> ResumePoint | None:
        """Where this run goes on, if it does.

        Raises
        ------
        CheckpointError, RunError
            When the checkpoint is of another run, or has nothing left to train.
        """
        path = self.spec.checkpoint_to_go_on_with
        if path is None:
            return None
        point = read_resume_point(path, self._facts())
        if self._is_over(point) and not self.spec.is_resumed:
            raise RunError(
                f"{path} has finished {point.epochs} epochs already; raise --max-epochs above "
                f"{self.spec.trainer.max_epochs}."
            )
        return point

    def _is_over(self, point: ResumePoint) -> bool:
        return point.epochs >= self.spec.trainer.max_epochs
