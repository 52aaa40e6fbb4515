"""The model of a training checkpoint, back in memory, and what it says of itself."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from darts import __version__
from darts.core.artifacts import RunDirectory
from darts.core.bands import known_bands, nextgen_bands
from darts.core.errors import CheckpointError, ConfigError
from darts.dataset.schema import IGNORE
from darts.training.checkpoint import load_checkpoint, model_config, model_state
from darts.training.metrics import THRESHOLD
from darts.training.model import ModelSpec, Predictor, build_model
from darts.training.normalise import Normalisation, Normaliser

MODEL_FRAMEWORK = "smp"
_KEPT = ("run_name", "run_id", "dataset_fingerprint", "settings")


@dataclass(frozen=True)
class StoredModel:
    """What a training checkpoint holds of its model.

    Attributes
    ----------
    path
        The checkpoint.
    spec
        What the model is.
    described
        All that the checkpoint says of it: at least `model` and `bands`.
    normalisation
        What is done to the values of each band.
    weights
        Its state dict; of a run with --swa or --ema, that of the averaged weights.
    """

    path: Path
    spec: ModelSpec
    described: dict[str, Any]
    normalisation: Normalisation
    weights: dict[str, torch.Tensor]

    @property
    def patch_size(self) -> int:
        """Height and width of a patch that it was trained on, in pixels; darts-nextgen doesn't say it."""
        return int(self.described.get("patch_size") or 256)


def read_stored_model(path: Path) -> StoredModel:
    """Read a training checkpoint, of ours or of darts-nextgen; nothing in it is executed.

    Raises
    ------
    CheckpointError
        When it can't be used.
    """
    checkpoint = load_checkpoint(path)
    described = model_config(checkpoint, path)
    spec = read_spec(described["model"], path)
    return StoredModel(
        path, spec, described, Normalisation.from_dict(described.get("normalisation")), model_state(checkpoint, path)
    )


def read_spec(values: Any, path: Path) -> ModelSpec:
    """The model that a file describes.

    Raises
    ------
    CheckpointError
        When it doesn't describe one.
    """
    try:
        return ModelSpec.from_dict(values)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise CheckpointError(
            f"a model is described by arch, encoder_name and in_channels, but {path} doesn't do so; use another one."
        ) from None


def weighted_model(
    spec: ModelSpec, weights: dict[str, torch.Tensor], path: Path, model_factory: str | None = None
) -> nn.Module:
    """Build a model, and give it its weights.

    Raises
    ------
    ModelError, CheckpointError
        When it can't be built, or the weights of the file at `path` are of another one.
    """
    model = build_model(spec, allowed_factory=model_factory)
    try:
        model.load_state_dict(weights)
    except RuntimeError:
        raise CheckpointError(
            f"the weights in {path} don't fit the model that it describes; use another one."
        ) from None
    return model


def make_predictor(
    spec: ModelSpec,
    weights: dict[str, torch.Tensor],
    normalisation: Normalisation,
    path: Path,
    *,
    multiple: int | None = None,
    model_factory: str | None = None,
) -> Predictor:
    """A model with its weights and all else that belongs to a prediction.

    Raises
    ------
    ModelError, CheckpointError
        When it can't be built, or what the file at `path` holds doesn't fit together.
    """
    bands = len(normalisation.factor)
    if bands not in (0, spec.in_channels):
        raise CheckpointError(
            f"{path} normalises {bands} bands, but its model takes {spec.in_channels}; use another one."
        )
    model = weighted_model(spec, weights, path, model_factory)
    predictor = Predictor(model, Normaliser(normalisation), multiple)
    return predictor.to(memory_format=torch.channels_last).eval()


def model_card(stored: StoredModel, name: str, multiple: int) -> dict[str, Any]:
    """What a model says of itself, JSON-able: what `config.json` of a converted model holds."""
    described = stored.described
    return {
        "name": name,
        "model_framework": MODEL_FRAMEWORK,
        "model": stored.spec.as_dict(),
        "bands": _bands(described),
        "normalisation": stored.normalisation.as_dict(),
        "padding": multiple,
        "patch_size": described.get("patch_size"),
        "threshold": THRESHOLD,
        "output": "logits (n, 1, h, w); the probability is their sigmoid",
        "ignore": {
            "label": IGNORE,
            "rule": "a pixel without a value in a band holds the fill of the band, and its prediction is not to be used",
        },
        "provenance": {"darts": __version__, "time": today(), **{key: described.get(key) for key in _KEPT}},
    }


def _bands(described: dict[str, Any]) -> list[dict[str, Any]]:
    """Bands in order with lo, hi, unit and fill; darts-nextgen's own ranges where the checkpoint doesn't say them."""
    scaling = described.get("scaling", {})
    known = {band.name: band.as_dict() for band in nextgen_bands(known_bands())}
    return [{"name": name, **scaling.get(name, known.get(name, {}))} for name in described["bands"]]


def today() -> str:
    """The date, in UTC."""
    return f"{datetime.now(UTC):%Y-%m-%d}"


def load_from_run(
    artifact_dir: str | Path = "artifacts",
    run_name: str | None = None,
    run_id: str | None = None,
    which: Literal["best", "last"] = "best",
    model_factory: str | None = None,
) -> tuple[nn.Module, dict[str, Any]]:
    """Load the model of a run by what its row of `darts runs list` says.

    Parameters
    ----------
    artifact_dir
        Folder of all runs.
    run_name, run_id
        Of the run; one of them is enough where it is the only one of that name.
    which
        The checkpoint that was best on the val patches, or the last one.
    model_factory
        The function that the run was trained with, if it was with one.

    Returns
    -------
    nn.Module
        In evaluation mode: x (n, bands, h, w) in [0, 1] -> logits (n, 1, h, w).
    dict
        What the model says of itself, as `load_model` gives it.

    Raises
    ------
    RunError, CheckpointError, ModelError
        When there is no such run, or it has no such checkpoint.
    """
    from darts.training.runs import find_run

    if run_name is None and run_id is None:
        raise ConfigError("a run is found by run_name, run_id or both, but neither was given.")
    return load_run(find_run(Path(artifact_dir), run_name, run_id), which, model_factory)


def load_run(
    directory: RunDirectory, which: Literal["best", "last"] = "best", model_factory: str | None = None
) -> tuple[nn.Module, dict[str, Any]]:
    """Load the model of a run directory; see `load_from_run`."""
    checkpoints = {"best": directory.best_checkpoint, "last": directory.last_checkpoint}
    if which not in checkpoints:
        raise ConfigError(f"which is best or last, but got {which!r}.")
    if not checkpoints[which].is_file():
        raise CheckpointError(
            f"the run {directory.path.name} has no {which} checkpoint: it was stopped before it wrote one; train again."
        )
    stored = read_stored_model(checkpoints[which])
    predictor = make_predictor(
        stored.spec, stored.weights, stored.normalisation, stored.path, model_factory=model_factory
    )
    return predictor, model_card(stored, directory.name_and_id[0], predictor.multiple)
