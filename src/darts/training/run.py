"""One run: a `RunSpec` is the plan, a `RunResult` the outcome."""

import importlib.metadata
import json
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import lightning.pytorch as pl
import pandas as pd
import tomli_w
from lightning.pytorch.loggers.logger import Logger

from darts.core.artifacts import RunDirectory
from darts.core.config import keyword_settings, resolved_settings
from darts.core.errors import Interrupted, RunError
from darts.core.files import make_directory, write_atomically, write_text
from darts.training.callbacks import run_callbacks, sample_figures
from darts.training.checkpoint import load_checkpoint, model_state
from darts.training.config import DataConfig, Hyperparameters, RunLoggingConfig, TrainerConfig
from darts.training.figures import draw_statistics
from darts.training.loggers import EpochTable, WandbTracker, copy_epochs
from darts.training.metrics import Statistics, named_metrics
from darts.training.plan import PreparedRun, RunSpec, plan_run
from darts.training.trainer import make_trainer, quieten_lightning, stoppable

_VERSIONED = ("darts", "torch", "lightning", "segmentation-models-pytorch", "timm", "numpy", "zarr")


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run gave.

    Attributes
    ----------
    checkpoint
        The best checkpoint by val/JaccardIndex.
    epochs
        Epochs that were trained.
    duration
        Seconds.
    metrics
        Validation metrics of the best checkpoint, by name.
    """

    run_name: str
    run_id: str
    directory: Path
    checkpoint: Path
    fold: int
    seed: int
    epochs: int
    duration: float
    metrics: dict[str, float]


def run(spec: RunSpec) -> RunResult:
    """Train, and measure the best checkpoint on the val rows.

    Raises
    ------
    DartsError
        Before anything is written, when the run can't work.
    Interrupted
        When somebody asked to stop, saying how to go on.
    """
    quieten_lightning()
    prepared = PreparedRun(spec)
    started = time.monotonic()
    _claim_directory(prepared)
    trainer = _fit(prepared)
    statistics = _validate_best(prepared)
    metrics = named_metrics("val", statistics)
    result = RunResult(
        run_name=spec.run_name,
        run_id=spec.run_id,
        directory=spec.directory.path,
        checkpoint=spec.directory.best_checkpoint,
        fold=spec.data.fold,
        seed=spec.trainer.random_seed,
        epochs=trainer.current_epoch,
        duration=time.monotonic() - started,
        metrics=metrics,
    )
    write_text(spec.directory.result, json.dumps(asdict(result), default=str, indent=2) + "\n")
    return result


def train(
    data: DataConfig, hyperparameters: Hyperparameters, trainer: TrainerConfig, logging: RunLoggingConfig
) -> RunResult:
    """Plan a run and run it."""
    return run(plan_run(data, hyperparameters, trainer, logging))


train_smp = keyword_settings(train)
"""Train a model; the keywords are the flags of `darts train-smp`, with underscores."""


def _claim_directory(prepared: PreparedRun) -> None:
    spec, directory = prepared.spec, prepared.spec.directory
    make_directory(directory.path.parent, RunError)
    try:
        directory.path.mkdir()
    except FileExistsError:
        raise RunError(
            f"a run has a folder of its own, but {directory.path} exists; choose another --run-name."
        ) from None
    record = resolved_settings(*spec.configs) | {
        "run_name": spec.run_name,
        "run_id": spec.run_id,
        "dataset_fingerprint": prepared.data.dataset.manifest.fingerprint or "none",
        "git_commit": _git_commit(),
        "versions": [f"{name} {importlib.metadata.version(name)}" for name in _VERSIONED],
    }
    write_text(directory.config, tomli_w.dumps({"darts": record}))
    write_atomically(directory.split, lambda path: prepared.roles.to_parquet(path, index=False))
    if prepared.resume_from is not None:
        history = RunDirectory(prepared.resume_from.resolve().parents[1]).metrics
        copy_epochs(history, directory.metrics, before=prepared.data.first_epoch)


def _git_commit() -> str:
    """The commit of the source that runs, or `none` outside of a git checkout."""
    source = Path(__file__)
    tracked = ["git", "-C", str(source.parent), "ls-files", "--error-unmatch", source.name]
    head = ["git", "-C", str(source.parent), "rev-parse", "HEAD"]
    try:
        for command in (tracked, head):  # a checkout of something else may hold our installation
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)  # noqa: S603
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "none"


def _fit(prepared: PreparedRun) -> pl.Trainer:
    spec, directory, data = prepared.spec, prepared.spec.directory, prepared.data
    figures = sample_figures(
        data.metadata, data.fold_rows.val, data.bands, directory.figures, spec.logging.plot_every_n_val_epochs
    )
    loggers = _loggers(spec)
    trainer = make_trainer(
        prepared.accelerator,
        prepared.devices,
        max_epochs=spec.trainer.max_epochs,
        callbacks=run_callbacks(directory, spec.trainer, figures),
        logger=loggers,
        log_every_n_steps=spec.logging.log_every_n_steps,
        check_val_every_n_epoch=spec.logging.check_val_every_n_epoch,
    )
    last = directory.last_checkpoint
    try:
        with stoppable(spec.hyperparameters.batch_size):
            trainer.fit(
                prepared.module,
                train_dataloaders=data.train_dataloader(),
                val_dataloaders=data.val_dataloader(),
                ckpt_path=prepared.resume_from,
                weights_only=True,
            )
    except Interrupted as stop:
        message = f"stopped after {trainer.current_epoch} epochs." if last.exists() else "stopped in the first epoch."
        raise Interrupted(message, stop.exit_code, last if last.exists() else None) from None
    finally:
        for logger in loggers:
            if isinstance(logger, WandbTracker):
                logger.close()
    return trainer


def _loggers(spec: RunSpec) -> list[Logger]:
    loggers: list[Logger] = [EpochTable(spec.directory.metrics)]
    if spec.logging.wandb_project:
        tracker = WandbTracker(
            spec.directory.path,
            spec.run_name,
            spec.run_id,
            project=spec.logging.wandb_project,
            entity=spec.logging.wandb_entity,
            group=spec.tune_name,
            job_type=spec.cv_name,
        )
        tracker.log_hyperparams(resolved_settings(*spec.configs))
        loggers.append(tracker)
    return loggers


def _validate_best(prepared: PreparedRun) -> Statistics:
    """Measure the best checkpoint on the val rows, and draw it."""
    directory, data, module = prepared.spec.directory, prepared.data, prepared.module
    module.model.load_state_dict(model_state(load_checkpoint(directory.best_checkpoint), directory.best_checkpoint))
    figures = sample_figures(data.metadata, data.fold_rows.val, data.bands, directory.figures)
    trainer = make_trainer(prepared.accelerator, prepared.devices, callbacks=[figures], logger=False)
    with stoppable(prepared.spec.hyperparameters.batch_size):
        trainer.validate(module, dataloaders=data.val_dataloader(), verbose=False, weights_only=True)
    statistics = module.statistics["val"]
    draw_statistics(statistics, "val", directory.figures)
    write_confusion(directory, "val", statistics, data.regions)
    return statistics


ALL_REGIONS = "(all)"


def write_confusion(directory: RunDirectory, split: str, statistics: Statistics, regions: tuple[str, ...]) -> None:
    """Put the confusion of a split, in all and by region, into `confusion.parquet`, in the place of an earlier one."""
    parts = {ALL_REGIONS: statistics.total()} | {
        region: statistics.group(index) for index, region in enumerate(regions) if statistics.confusion[index].sum()
    }
    table = pd.DataFrame([{"split": split, "region": region, **asdict(part)} for region, part in parts.items()])
    if directory.confusion.exists():
        before = pd.read_parquet(directory.confusion)
        table = pd.concat([before[before["split"] != split], table], ignore_index=True)
    write_atomically(directory.confusion, lambda path: table.to_parquet(path, index=False))
