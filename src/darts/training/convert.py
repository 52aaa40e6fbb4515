"""From a training checkpoint to a model that a pipeline can use, and back into memory."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from darts import __version__
from darts.core.bands import known_bands, nextgen_bands
from darts.core.config import keyword_settings
from darts.core.errors import CheckpointError
from darts.core.files import flush_to_disk, make_directory, write_text
from darts.core.names import random_id, safe_name
from darts.dataset.schema import IGNORE
from darts.training.checkpoint import load_checkpoint, model_config, model_state, write_checkpoint
from darts.training.config import ConvertConfig
from darts.training.metrics import THRESHOLD
from darts.training.model import ModelSpec, build_model

WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "config.json"
MODEL_FRAMEWORK = "smp"
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
    spec: ModelSpec
    described: dict[str, Any]
    weights: dict[str, torch.Tensor]


def plan_conversion(config: ConvertConfig) -> Conversion:
    """Read the checkpoint and choose the target; nothing is written.

    Raises
    ------
    CheckpointError
        When the checkpoint can't be used, or the target exists.
    """
    checkpoint = load_checkpoint(config.lightning_checkpoint)
    described = model_config(checkpoint, config.lightning_checkpoint)
    weights = model_state(checkpoint, config.lightning_checkpoint)
    name = safe_name(config.checkpoint_name or described.get("run_name", config.lightning_checkpoint.stem))
    target = config.out_directory / (name if config.format == "directory" else f"{name}_{_today()}.ckpt")
    if target.exists():
        raise CheckpointError(f"{target} exists; choose another --checkpoint-name or --out-directory, or remove it.")
    return Conversion(name, target, ModelSpec.from_dict(described["model"]), described, weights)


def convert(config: ConvertConfig) -> ConvertResult:
    """Write the model of a checkpoint in one of two formats, read it back, and compare its logits.

    Raises
    ------
    CheckpointError
        When the checkpoint can't be used, the target exists, or what was written doesn't give the same logits.
    """
    plan = plan_conversion(config)
    original = _with_weights(plan.spec, plan.weights, config.lightning_checkpoint)
    make_directory(config.out_directory, CheckpointError)
    write = _write_directory if config.format == "directory" else _write_darts_file
    partial = plan.target.with_name(f".partial-{random_id()}-{plan.target.name}")
    try:
        write(plan, partial)
        difference = _compare(original, partial, plan.described.get("patch_size") or 256)
        partial.rename(plan.target)
        flush_to_disk(plan.target.parent)
    finally:
        _remove(partial)
    return ConvertResult(plan.target, difference)


convert_lightning_checkpoint = keyword_settings(convert)
"""Convert a checkpoint; the keywords are the flags of `darts convert-lightning-checkpoint`, with underscores."""


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


def _card(plan: Conversion) -> dict[str, Any]:
    """What `config.json` says."""
    described = plan.described
    return {
        "name": plan.name,
        "model_framework": MODEL_FRAMEWORK,
        "model": plan.spec.as_dict(),
        "bands": _bands(described),
        "patch_size": described.get("patch_size"),
        "threshold": THRESHOLD,
        "output": "logits (n, 1, h, w); the probability is their sigmoid",
        "ignore": {
            "label": IGNORE,
            "rule": "a pixel without a value in a band holds the fill of the band, and its prediction is not to be used",
        },
        "provenance": {
            "darts": __version__,
            "time": _today(),
            **{key: described.get(key) for key in ("run_name", "run_id", "dataset_fingerprint", "settings")},
        },
    }


def _bands(described: dict[str, Any]) -> list[dict[str, Any]]:
    """Bands in order with lo, hi, unit and fill; darts-nextgen's own ranges where the checkpoint doesn't say them."""
    scaling = described.get("scaling", {})
    known = {band.name: band.as_dict() for band in nextgen_bands(known_bands())}
    return [{"name": name, **scaling.get(name, known.get(name, {}))} for name in described["bands"]]


def _write_directory(plan: Conversion, target: Path) -> None:
    target.mkdir()
    save_file({name: tensor.contiguous() for name, tensor in plan.weights.items()}, target / WEIGHTS_FILE)
    flush_to_disk(target / WEIGHTS_FILE)
    card = _card(plan) | {"weights_sha256": _sha256(target / WEIGHTS_FILE)}
    write_text(target / CARD_FILE, json.dumps(card, indent=2) + "\n")


def _write_darts_file(plan: Conversion, target: Path) -> None:
    config = {
        "model": plan.spec.as_dict(),
        "bands": list(plan.described["bands"]),
        "time": _today(),
        "name": plan.name,
        "model_framework": MODEL_FRAMEWORK,
    }
    write_checkpoint({"config": config, "statedict": plan.weights}, target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def load_model(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load a converted model of either format; nothing in it is executed.

    Returns
    -------
    nn.Module
        In evaluation mode: x (n, bands, h, w) in [0, 1] -> logits (n, 1, h, w).
    dict
        What the model says of itself: `model`, `bands`, and for the directory format scaling, patch size, threshold and
        provenance.

    Raises
    ------
    CheckpointError
        When it is neither format, or damaged.
    """
    path = Path(path)
    card, weights = _read_directory(path) if path.is_dir() else _read_darts_file(path)
    return _with_weights(ModelSpec.from_dict(card["model"]), weights, path), card


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


def _with_weights(spec: ModelSpec, weights: dict[str, torch.Tensor], path: Path) -> nn.Module:
    model = build_model(spec)
    try:
        model.load_state_dict(weights)
    except RuntimeError:
        raise CheckpointError(
            f"the weights in {path} don't fit the model that it describes; use another one."
        ) from None
    return model.eval()


def _compare(original: nn.Module, target: Path, patch_size: int) -> float:
    model, card = load_model(target)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, len(card["bands"]), patch_size, patch_size, generator=generator)
    with torch.no_grad():
        difference = float((original(x) - model(x)).abs().max())
    if not difference <= TOLERANCE:
        raise CheckpointError(
            f"the converted model gives logits that differ by {difference:.2g} from those of the checkpoint."
        )
    return difference
