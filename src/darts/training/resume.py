"""Where a stopped run is gone on with, and whether it is the same run that goes on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts.core.config import build_config, resolved_settings
from darts.core.errors import CheckpointError
from darts.training.checkpoint import load_checkpoint, model_config
from darts.training.config import ENDING_SCHEDULES, DataConfig, Hyperparameters

# The others come out of the checkpoint, whatever is asked; of a split file, its rows are compared.
_MUST_AGREE = (
    *(name for name in DataConfig.model_fields if name not in ("train_data_dir", "split_file", "bands", "in_memory")),
    *(name for name in Hyperparameters.model_fields if name != "model_encoder_weights"),
    *("random_seed", "precision", "limit_val_patches"),
)
_COUNTED_IN_STEPS = ("one-cycle", "cyclic")


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """How far a checkpoint has come.

    Attributes
    ----------
    path
        The checkpoint.
    epochs
        Whole epochs that it has behind it.
    batches
        Batches of the epoch that it was saved within; 0 between two epochs.
    has_stopped_early
        Whether its run ended for want of a better validation.
    """

    path: Path
    epochs: int
    batches: int
    has_stopped_early: bool


def read_resume_point(path: Path, now: Mapping[str, Any]) -> ResumePoint:
    """Read how far a checkpoint has come, and check that what goes on is the run that it was written by.

    Parameters
    ----------
    now
        What the run would write into its checkpoints: at least `model`, `bands`, `dataset_fingerprint`, `split`,
        `processes` and `settings`.

    Raises
    ------
    CheckpointError
        When anything differs on which the rest of the training depends.
    """
    checkpoint = load_checkpoint(path)
    before = model_config(checkpoint, path)
    for name, was, is_now in _compared(before, now):
        if was != is_now:
            raise CheckpointError(
                f"{path} was trained with {name} {was}, but this run has {is_now}; go on with the same dataset and "
                "settings, or begin another run with --init-weights."
            )
    epochs, batches = _progress(checkpoint)
    # Steps are counted in batches of all processes together.
    counts_steps = batches > 0 or now["settings"]["lr_schedule"] in _COUNTED_IN_STEPS
    if counts_steps and before.get("processes") != now["processes"]:
        raise CheckpointError(
            f"{path} counts steps of {before.get('processes')} processes or GPUs together, but this run has "
            f"{now['processes']}; go on with as many."
        )
    return ResumePoint(path, epochs, batches, _has_stopped_early(checkpoint))


def _compared(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Name, value in the checkpoint, and value now, of all that must be equal."""
    for name in ("model", "bands", "dataset_fingerprint"):
        yield name, before.get(name), now[name]
    recorded, chosen = _spelt_out(before.get("settings", {})), _spelt_out(now["settings"])
    length_matters = chosen["lr_schedule"] in ENDING_SCHEDULES or chosen["swa"]
    for name in (*_MUST_AGREE, *(["max_epochs"] if length_matters else [])):
        if name in recorded:
            yield name, recorded[name], chosen.get(name)
    yield "split", before.get("split"), now["split"]  # a split file may have been edited


def _spelt_out(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with a default such as `augment = true` in the form that it has once it was read."""
    given = {name: settings[name] for name in Hyperparameters.model_fields if name in settings}
    return {**settings, **resolved_settings(build_config(Hyperparameters, given))}


def _progress(checkpoint: Mapping[str, Any]) -> tuple[int, int]:
    """Whole epochs that a checkpoint has behind it, and batches of the one that it was saved within."""
    epoch = int(checkpoint.get("epoch", -1))
    loop = checkpoint.get("loops", {}).get("fit_loop", {})
    progress = loop.get("epoch_progress", {}).get("current", {"processed": 0, "ready": 0})
    if progress["processed"] < progress["ready"]:
        return epoch, int(loop["epoch_loop.batch_progress"]["current"]["ready"])
    return epoch + 1, 0


def _has_stopped_early(checkpoint: Mapping[str, Any]) -> bool:
    callbacks = checkpoint.get("callbacks", {})
    return any(state["stopped_epoch"] > 0 for name, state in callbacks.items() if "EarlyStopping" in name)
