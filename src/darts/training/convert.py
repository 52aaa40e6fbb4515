"""From a training checkpoint to a model that a pipeline can use, and back into memory."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from darts.core.config import keyword_settings
from darts.core.errors import CheckpointError, ConfigError
from darts.core.files import flush_to_disk, make_directory, write_text
from darts.core.names import random_id, safe_name
from darts.training.checkpoint import load_checkpoint, write_checkpoint
from darts.training.config import ConvertConfig
from darts.training.normalise import Normalisation
from darts.training.reload import (
    MODEL_FRAMEWORK,
    StoredModel,
    make_predictor,
    model_card,
    read_spec,
    read_stored_model,
    today,
)

WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "config.json"
TOLERANCE = 1e-5
"""How far the logits of a converted model may be from those of its checkpoint."""


@dataclass(frozen=True, slots=True)
class ConvertResult:
    """What was written.

    Attributes
    ----------
    path
        The model directory, or the `.ckpt` file.
    max_difference
        Largest difference between its logits and those of the checkpoint, on random input.
    """

    path: Path
    max_difference: float


@dataclass(frozen=True)
class Conversion:
    """What will be written, and from what."""

    name: str
    target: Path
    stored: StoredModel


def plan_conversion(config: ConvertConfig) -> Conversion:
    """Read the checkpoint and choose the target; nothing is written.

    Raises
    ------
    CheckpointError
        When the checkpoint can't be used, or the target exists.
    ConfigError
        When the format has no place for what the model is made of.
    """
    stored = read_stored_model(config.lightning_checkpoint)
    if config.format == "darts":
        _require_plain(stored)
    name = safe_name(config.checkpoint_name or stored.described.get("run_name", config.lightning_checkpoint.stem))
    target = config.out_directory / (name if config.format == "directory" else f"{name}_{today()}.ckpt")
    if target.exists():
        raise CheckpointError(f"{target} exists; choose another --checkpoint-name or --out-directory, or remove it.")
    return Conversion(name, target, stored)


def _require_plain(stored: StoredModel) -> None:
    """The existing pipeline builds a model with `smp.create_model`, and gives it the values of the bands as they are."""
    method, factory = stored.normalisation.method, stored.spec.factory
    problem = f"normalisation {method}" if method != "none" else f"the model of {factory}" if factory else None
    if problem:
        raise ConfigError(f"--format darts has no place for {problem} of {stored.path}; use --format directory.")


def convert(config: ConvertConfig) -> ConvertResult:
    """Write the model of a checkpoint in one of two formats, read it back, and compare its logits.

    Raises
    ------
    CheckpointError, ConfigError, ModelError
        When the checkpoint can't be used, the target exists, or what was written doesn't give the same logits.
    """
    plan, factory = plan_conversion(config), config.model_factory
    stored = plan.stored
    original = make_predictor(stored.spec, stored.weights, stored.normalisation, stored.path, model_factory=factory)
    make_directory(config.out_directory, CheckpointError)
    partial = plan.target.with_name(f".partial-{random_id()}-{plan.target.name}")
    try:
        if config.format == "directory":
            _write_directory(stored.weights, model_card(stored, plan.name, original.multiple), partial)
        else:
            _write_darts_file(plan, partial)
        difference = _compare(original, load_model(partial, factory)[0], stored)
        partial.rename(plan.target)
        flush_to_disk(plan.target.parent)
    finally:
        _remove(partial)
    return ConvertResult(plan.target, difference)


convert_lightning_checkpoint = keyword_settings(convert)
"""Convert a checkpoint; the keywords are the flags of `darts convert-lightning-checkpoint`, with underscores."""


def _write_directory(weights: dict[str, torch.Tensor], card: dict[str, Any], target: Path) -> None:
    target.mkdir()
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, target / WEIGHTS_FILE)
    flush_to_disk(target / WEIGHTS_FILE)
    card = card | {"weights_sha256": _sha256(target / WEIGHTS_FILE)}
    write_text(target / CARD_FILE, json.dumps(card, indent=2) + "\n")


def _write_darts_file(plan: Conversion, target: Path) -> None:
    model = plan.stored.spec.as_dict()
    config = {
        "model": model | model.pop("options", {}),  # the pipeline hands all of it to `smp.create_model`
        "bands": list(plan.stored.described["bands"]),
        "time": today(),
        "name": plan.name,
        "model_framework": MODEL_FRAMEWORK,
    }
    write_checkpoint({"config": config, "statedict": plan.stored.weights}, target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def load_model(path: str | Path, model_factory: str | None = None) -> tuple[nn.Module, dict[str, Any]]:
    """Load a converted model of either format; nothing in it is executed.

    Parameters
    ----------
    path
        The model directory, or the `.ckpt` file.
    model_factory
        The function that the model was trained with, if it was with one: `package.module:function`. What a model names is
        never run by itself.

    Returns
    -------
    nn.Module
        In evaluation mode: x (n, bands, h, w) in [0, 1] -> logits (n, 1, h, w). It normalises, pads and crops by itself, so
        that h and w may be any.
    dict
        What the model says of itself: `model`, `bands`, and for the directory format scaling, normalisation, padding, patch
        size, threshold and provenance.

    Raises
    ------
    CheckpointError
        When it is neither format, or damaged.
    ModelError
        When it can't be built, or was made by a function that isn't `model_factory`.
    """
    path = Path(path)
    card, weights = _read_directory(path) if path.is_dir() else _read_darts_file(path)
    predictor = make_predictor(
        read_spec(card.get("model"), path),
        weights,
        Normalisation.from_dict(card.get("normalisation")),
        path,
        multiple=card.get("padding"),
        model_factory=model_factory,
    )
    return predictor, card


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_directory(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    try:
        card = json.loads((path / CARD_FILE).read_text(encoding="utf-8"))
        if card["weights_sha256"] != _sha256(path / WEIGHTS_FILE):
            raise ValueError(f"{WEIGHTS_FILE} is not what {CARD_FILE} was written for")
        weights = load_file(path / WEIGHTS_FILE)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"{path} is no converted model ({error}); convert the checkpoint again.") from None
    return card, weights


def _read_darts_file(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    content = load_checkpoint(path)
    if not {"config", "statedict"} <= content.keys():
        raise CheckpointError(f"a converted model has a config and a statedict, but {path} doesn't; convert it first.")
    return content["config"], content["statedict"]


def _compare(original: nn.Module, converted: nn.Module, stored: StoredModel) -> float:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, stored.spec.in_channels, stored.patch_size, stored.patch_size, generator=generator)
    with torch.no_grad():
        difference = float((original(x) - converted(x)).abs().max())
    if not difference <= TOLERANCE:
        raise CheckpointError(
            f"the converted model gives logits that differ by {difference:.2g} from those of the checkpoint."
        )
    return difference
