"""Models of segmentation-models-pytorch by name: one logit for each pixel."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import segmentation_models_pytorch as smp
import torch
from torch import nn

from darts.core.errors import ModelError, one_line


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What is needed to build a model; as a dict, the arguments of `smp.create_model`."""

    arch: str
    encoder_name: str
    in_channels: int
    classes: int = 1

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "arch": self.arch,
            "encoder_name": self.encoder_name,
            "in_channels": self.in_channels,
            "classes": self.classes,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ModelSpec":
        """Read what `as_dict`, or darts-nextgen, wrote."""
        return cls(values["arch"], values["encoder_name"], int(values["in_channels"]), int(values.get("classes", 1)))


def build_model(spec: ModelSpec, encoder_weights: str | None = None) -> nn.Module:
    """Build a model that maps x (n, in_channels, h, w) to logits (n, 1, h, w).

    Raises
    ------
    ModelError
        When there is no such architecture, encoder or weights, or they don't fit together.
    """
    _require_known("--model-arch", spec.arch, _architectures())
    if not spec.encoder_name.startswith("tu-"):
        _require_known("--model-encoder", spec.encoder_name, smp.encoders.get_encoder_names())
    try:
        model: nn.Module = smp.create_model(**spec.as_dict(), encoder_weights=encoder_weights)
    except Exception as error:  # noqa: BLE001 -- smp, timm and a download can fail in any way
        raise ModelError(
            f"--model-arch {spec.arch} with --model-encoder {spec.encoder_name} and --model-encoder-weights "
            f"{encoder_weights or 'none'} can't be built: {one_line(error)}"
        ) from None
    return model


def _architectures() -> list[str]:
    return [model.__name__ for model in smp.MODEL_ARCHITECTURES_MAPPING.values()]


def _require_known(flag: str, name: str, known: list[str]) -> None:
    if name.lower() not in {one.lower() for one in known}:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known[:12])}, ..."
        raise ModelError(f"{flag}: segmentation-models-pytorch has no {name!r}; {hint}")


def require_model_takes(model: nn.Module, spec: ModelSpec, patch_size: int) -> None:
    """Run one forward pass at the real patch size, so that a misfit shows before anything long starts.

    Raises
    ------
    ModelError
        When the model can't take the patches, or doesn't give one logit for each pixel.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            logits = model(torch.zeros(1, spec.in_channels, patch_size, patch_size))
    except Exception as error:  # noqa: BLE001 -- encoders refuse a size with errors of many kinds
        raise ModelError(
            f"--model-encoder {spec.encoder_name} in --model-arch {spec.arch} can't take patches of {patch_size} pixels "
            f"({one_line(error)}); choose another encoder, or preprocess with another --patch-size (multiples of 32 fit "
            "most)."
        ) from None
    finally:
        model.train(was_training)
    if logits.shape != (1, 1, patch_size, patch_size):
        raise ModelError(
            f"a model must give one logit for each pixel, but {spec.arch} with {spec.encoder_name} gives "
            f"{tuple(logits.shape)} for patches of {patch_size} pixels; choose another."
        )
