"""One run: a `RunSpec` is the plan, a `RunResult` the outcome."""

import importlib.metadata
import json
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import tomli_w
import torch
from lightning.pytorch.loggers.logger import Logger

from darts.core.artifacts import RunDirectory
from darts.core.config import keyword_settings, resolved_settings
from darts.core.errors import Interrupted, RunError
from darts.core.files import make_directory, write_atomically, write_text
from darts.core.lock import single_writer
from darts.core.log import console, get_logger
from darts.core.stopping import stop_if_asked
from darts.training.callbacks import run_callbacks
from darts.training.checkpoint import load_checkpoint, model_state
from darts.training.config import DataConfig, Hyperparameters, RunLoggingConfig, TrainerConfig
from darts.training.epoch_rows import copy_epochs, read_epochs
from darts.training.loggers import EpochTable, EventFiles, WandbTracker
from darts.training.module import SegmentationModule
from darts.training.outcome import draw_preview, write_stage
from darts.training.plan import PreparedRun, RunSpec, forget_identity, plan_run, share_identity
from darts.training.reload import weighted_model
from darts.training.report import write_report
from darts.training.resume import ResumePoint
from darts.training.sample_figures import sample_figures
from darts.training.trainer import make_trainer, quieten_lightning, stoppable

_log = get_logger(__name__)
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
        Seconds, with the whole epochs of earlier starts.
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
    """Train, and measure the best checkpoint on the val rows; a run that is finished is left as it is.

    Raises
    ------
    DartsError
        Before anything is written, when the run can't work.
    Interrupted
        When somebody asked to stop, saying how to go on.
    """
    if spec.directory.is_finished:
        console.print(f"{spec.directory.path} is finished, and left as it is.", highlight=False, soft_wrap=True)
        return read_result(spec.directory)
    quieten_lightning()
    prepared = PreparedRun(spec)
    started = time.monotonic()
    module = prepared.make_module(prepared.model, prepared.supervision)
    if not prepared.placement.is_main_process:
        _train_missing_epochs(prepared, module)
        raise SystemExit(0)  # what is left is done by one process
    for hint in prepared.hints:
        console.print(hint, highlight=False, soft_wrap=True)
    _claim_directory(spec)
    with single_writer(spec.directory.path, RunError):
        _record(prepared)
        _train_missing_epochs(prepared, module)
        return _finish(prepared, started)


def _finish(prepared: PreparedRun, started: float) -> RunResult:
    spec = prepared.spec
    metrics = _validate_best(prepared)
    result = RunResult(
        run_name=spec.run_name,
        run_id=spec.run_id,
        directory=spec.directory.path,
        checkpoint=spec.directory.best_checkpoint,
        fold=spec.data.fold,
        seed=spec.trainer.random_seed,
        epochs=int(load_checkpoint(spec.directory.last_checkpoint)["epoch"]) + 1,
        duration=_seconds_before(prepared) + time.monotonic() - started,
        metrics=metrics,
    )
    write_text(spec.directory.result, json.dumps(asdict(result), default=str, indent=2) + "\n")
    write_report(spec.directory)
    return result


def _seconds_before(prepared: PreparedRun) -> float:
    """What the epochs of earlier starts took."""
    measured = read_epochs(prepared.spec.directory.throughput)
    done = prepared.resume_point.epochs if prepared.resume_point else 0
    return sum(float(row["seconds"]) for epoch, row in measured.items() if epoch < done)


def read_result(directory: RunDirectory) -> RunResult:
    """What a finished run gave; where it lies now, if the folder was moved."""
    recorded = json.loads(directory.result.read_text(encoding="utf-8"))
    here = {"directory": directory.path, "checkpoint": directory.best_checkpoint}
    return RunResult(**{field.name: (recorded | here)[field.name] for field in fields(RunResult)})


def train(
    data: DataConfig, hyperparameters: Hyperparameters, trainer: TrainerConfig, logging: RunLoggingConfig
) -> RunResult:
    """Plan a run and run it."""
    return run(plan_run(data, hyperparameters, trainer, logging))


train_smp = keyword_settings(train)
"""Train a model; the keywords are the flags of `darts train-smp`, with underscores."""


def _claim_directory(spec: RunSpec) -> None:
    directory = spec.directory
    make_directory(directory.path.parent, RunError)
    try:
        directory.path.mkdir(exist_ok=spec.is_resumed)
    except FileExistsError:
        raise RunError(
            f"a run has a folder of its own, but {directory.path} exists; choose another --run-name, or go on with it by "
            "--resume last."
        ) from None


def _record(prepared: PreparedRun) -> None:
    """Write what is known of a run before it begins."""
    spec, directory = prepared.spec, prepared.spec.directory
    record = resolved_settings(*spec.configs) | {
        "run_name": spec.run_name,
        "run_id": spec.run_id,
        "dataset_fingerprint": prepared.data.dataset.fingerprint,
        "dropped_for_overlap": len(prepared.data.division.dropped),
        "audit": prepared.data.division.account(),
        "positive_share": prepared.labels.positive_share,
        "git_commit": _git_commit(),
        "versions": [f"{name} {importlib.metadata.version(name)}" for name in _VERSIONED],
    }
    write_text(directory.config, tomli_w.dumps({"darts": record}))
    write_atomically(directory.split, lambda path: prepared.roles.to_parquet(path, index=False))
    draw_preview(prepared.data, directory)
    if prepared.resume_point is None:
        for table in (directory.metrics, directory.throughput):  # of a start that finished no epoch
            table.unlink(missing_ok=True)
    else:
        _take_history(prepared.resume_point, directory)


def _take_history(point: ResumePoint, directory: RunDirectory) -> None:
    """The metrics and the best checkpoint of the epochs before; what came after them is done again."""
    before = RunDirectory(point.path.resolve().parents[1])
    for table in ("metrics", "throughput"):
        copy_epochs(getattr(before, table), getattr(directory, table), before=point.epochs)
    if before.path != directory.path.resolve() and before.best_checkpoint.exists():
        directory.checkpoints.mkdir(exist_ok=True)
        write_atomically(directory.best_checkpoint, lambda path: shutil.copyfile(before.best_checkpoint, path))


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


def _train_missing_epochs(prepared: PreparedRun, module: SegmentationModule) -> None:
    """Train, unless only what follows is left to be done; the processes that are started for it know its name and id."""
    if prepared.is_trained:
        return
    share_identity(prepared.spec)
    try:
        _fit(prepared, module)
    finally:
        forget_identity()


def _fit(prepared: PreparedRun, module: SegmentationModule) -> None:
    spec, directory, data = prepared.spec, prepared.spec.directory, prepared.data
    hyperparameters = spec.hyperparameters
    figures = sample_figures(
        data.metadata, data.validated, data.bands, directory.figures, spec.logging.plot_every_n_val_epochs
    )
    loggers = _loggers(spec)
    trainer = make_trainer(
        run_callbacks(directory, spec.trainer, hyperparameters, figures),
        precision=spec.trainer.precision,
        deterministic=spec.trainer.deterministic,
        max_epochs=spec.trainer.max_epochs,
        accumulate_grad_batches=hyperparameters.accumulate_grad_batches,
        gradient_clip_val=hyperparameters.gradient_clip,
        logger=loggers,
        log_every_n_steps=spec.logging.log_every_n_steps,
        check_val_every_n_epoch=spec.logging.check_val_every_n_epoch,
        **prepared.placement.trainer_settings,
    )
    last, point = directory.last_checkpoint, prepared.resume_point
    stop_if_asked()
    try:
        with stoppable(hyperparameters.batch_size):
            trainer.fit(module, datamodule=data, ckpt_path=point.path if point else None, weights_only=True)
    except Interrupted as stop:
        raise Interrupted(str(stop), stop.exit_code, last if last.exists() else None) from None
    finally:
        for logger in loggers:
            if isinstance(logger, WandbTracker):
                logger.close()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()  # one process does the rest, and waits for no other


def _loggers(spec: RunSpec) -> list[Logger]:
    loggers: list[Logger] = [EpochTable(spec.directory.metrics)]
    if spec.logging.tensorboard:
        loggers.append(EventFiles(spec.directory.path))
    if spec.logging.wandb_project:
        tracker = WandbTracker(
            spec.directory.path,
            spec.run_name,
            spec.run_id,
            project=spec.logging.wandb_project,
            entity=spec.logging.wandb_entity,
            group=spec.tune_name,
            job_type=spec.cv_name,
            settings=resolved_settings(*spec.configs),
        )
        loggers.append(tracker)
    return loggers


def _validate_best(prepared: PreparedRun) -> dict[str, float]:
    """Measure the best checkpoint on all val rows, and draw it."""
    spec, directory, data = prepared.spec, prepared.spec.directory, prepared.data
    if not directory.best_checkpoint.exists():
        raise RunError(f"{directory.path} has no best checkpoint; train again.")
    best = directory.best_checkpoint
    # A model of its own: what was trained may be divided among devices.
    module = prepared.make_module(
        weighted_model(
            prepared.model_spec, model_state(load_checkpoint(best), best), best, spec.hyperparameters.model_factory
        )
    )
    figures = sample_figures(data.metadata, data.fold_rows.val, data.bands, directory.figures)
    trainer = make_trainer(
        [figures],
        precision=spec.trainer.precision,
        deterministic=spec.trainer.deterministic,
        accelerator=prepared.placement.accelerator,
        devices=prepared.placement.devices[:1] if isinstance(prepared.placement.devices, list) else 1,
        logger=False,
    )
    stop_if_asked()
    with stoppable(spec.hyperparameters.batch_size):
        trainer.validate(module, datamodule=data, verbose=False, weights_only=True)
    write_stage(directory, "val", module.statistics["val"], data.metadata)
    return module.metrics["val"]
