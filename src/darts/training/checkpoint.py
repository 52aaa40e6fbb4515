"""Checkpoints: written whole or not at all, and loaded by one function that executes nothing."""

import datetime
import pathlib
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from darts.core.errors import CheckpointError
from darts.core.files import write_atomically

# darts-nextgen stored times and paths among the hyperparameters; neither type can do anything when it is unpickled.
_HARMLESS_TYPES: list[Any] = [
    datetime.datetime,
    datetime.date,
    datetime.timezone,
    datetime.timedelta,
    pathlib.PosixPath,
]


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Load a checkpoint file onto the CPU: tensors and plain values only.

    Raises
    ------
    CheckpointError
        When it is no local file, is damaged, or holds anything that would have to be executed.
    """
    path = _local_file(path)
    _require_intact(path)
    try:
        with torch.serialization.safe_globals(_HARMLESS_TYPES):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, AttributeError, KeyError, TypeError):
        raise CheckpointError(
            f"{path} holds more than tensors and plain values, and loading that could run any code: it is refused; use a "
            "checkpoint that darts or darts-nextgen wrote."
        ) from None
    if not isinstance(content, dict):
        raise CheckpointError(f"a checkpoint is a dict, but {path} holds a {type(content).__name__}.")
    return content


def _local_file(path: str | Path) -> Path:
    if "://" in str(path) or str(path).startswith(("http:", "https:", "s3:")):
        raise CheckpointError(f"a checkpoint must be a local file, but got {path}; download it first.")
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint file {path}.")
    return path


def _require_intact(path: Path) -> None:
    """Every byte is checked against the checksums in the file; one that unfolds to more than it is, is refused."""
    try:
        with zipfile.ZipFile(path) as archive:
            unfolding = any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist())
            damaged = None if unfolding else archive.testzip()
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError):
        raise CheckpointError(f"{path} is no checkpoint, or is cut short; use another one.") from None
    if unfolding:
        raise CheckpointError(f"{path} is compressed, which no checkpoint is; it is refused.")
    if damaged:
        raise CheckpointError(f"{path} is damaged (at {damaged}); use another one, such as last.ckpt beside it.")


def write_checkpoint(content: dict[str, Any], path: Path) -> None:
    """Write a checkpoint file whole or not at all; the same content gives the same bytes."""

    def write(temporary: Path) -> None:
        # Into an open file: given a path, torch writes its name into the archive.
        with temporary.open("wb") as file:
            torch.save(content, file)

    write_atomically(path, write)


class SafeCheckpointIO(CheckpointIO):
    """Lightning's way to files: whole or not at all in, `load_checkpoint` out."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:  # noqa: ARG002
        """Write beside the target, flush, then rename."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_checkpoint(checkpoint, target)

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Any = None,  # noqa: ARG002
        weights_only: bool | None = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Load onto the CPU; Lightning moves the tensors."""
        return load_checkpoint(path)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint file."""
        Path(path).unlink(missing_ok=True)


def model_state(checkpoint: dict[str, Any], path: Path) -> dict[str, torch.Tensor]:
    """The weights of the model in a training checkpoint, without the prefix of the module.

    Raises
    ------
    CheckpointError
        When it is no training checkpoint.
    """
    prefix = "model."
    state = checkpoint.get("state_dict")
    weights = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)} if state else {}
    if not weights:
        raise CheckpointError(f"a training checkpoint has a state_dict with a model, but {path} has none.")
    return weights


def model_config(checkpoint: dict[str, Any], path: Path) -> dict[str, Any]:
    """What a training checkpoint, of ours or of darts-nextgen, says of its model: at least `model` and `bands`.

    Raises
    ------
    CheckpointError
        When it doesn't say.
    """
    hyperparameters = checkpoint.get("hyper_parameters") or {}
    config = dict(hyperparameters.get("config") or {})
    bands = config.get("bands") or config.get("input_combination")
    if "model" not in config or not bands:
        raise CheckpointError(f"a training checkpoint says its model and bands, but {path} doesn't.")
    config |= {name: str(hyperparameters[name]) for name in ("run_name", "run_id") if name in hyperparameters}
    return config | {"bands": [str(getattr(band, "name", band)) for band in bands]}
