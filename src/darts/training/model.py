"""Models by name, or by a function of the user: one logit for each pixel, whatever the size of a patch."""

import copy
import difflib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import timm
import torch
from torch import nn

from darts.core.errors import ModelError, one_line
from darts.training.config import ModelConfig, parse_options
from darts.training.encoder_weights import (
    is_weights_file,
    load_encoder_weights,
    out_of_reach,
    require_pretrained,
    timm_name,
)
from darts.training.factory import listed, model_from_factory
from darts.training.normalise import Normaliser

DEFAULT_STRIDE = 32
_NO_OPTIONS = ("arch", "encoder_name", "encoder_weights", "in_channels", "classes", "activation", "aux_params")
"""Arguments of an architecture that have flags of their own, or would give something else than one logit."""
_WEIGHT_OPTIONS = ("pretrained", "checkpoint", "cache")
"""Arguments of timm that begin so say where weights come from; a checkpoint must not choose that."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What is needed to build a model.

    Attributes
    ----------
    arch, encoder_name
        Names of segmentation-models-pytorch; empty where a factory stands in their place.
    in_channels, classes
        Number of bands and of logits for each pixel.
    options
        Further arguments of the architecture or the factory, JSON-able.
    factory
        `package.module:function` of the user, which takes `in_channels`, `classes` and the options.
    """

    arch: str
    encoder_name: str
    in_channels: int
    classes: int = 1
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    factory: str | None = None

    @classmethod
    def of(cls, settings: ModelConfig, in_channels: int) -> "ModelSpec":
        """What the settings ask for."""
        factory = settings.model_factory
        arch, encoder = ("", "") if factory else (settings.model_arch, settings.model_encoder)
        return cls(arch, encoder, in_channels, options=parse_options(settings.model_options), factory=factory)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; without options and factory, the arguments of `smp.create_model`."""
        named = {name: getattr(self, name) for name in ("arch", "encoder_name", "in_channels", "classes")}
        further = {"options": dict(self.options), "factory": self.factory}
        return named | {name: value for name, value in further.items() if value}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ModelSpec":
        """Read what `as_dict` wrote, or the arguments of `smp.create_model`, which darts-nextgen stores."""
        rest = dict(values)
        arch, encoder, channels = rest.pop("arch"), rest.pop("encoder_name"), int(rest.pop("in_channels"))
        classes, factory = int(rest.pop("classes", 1)), rest.pop("factory", None)
        rest.pop("encoder_weights", None)  # a checkpoint brings its own
        return cls(arch, encoder, channels, classes, {**rest.pop("options", {}), **rest}, factory)

    @property
    def label(self) -> str:
        """What a message calls it."""
        if self.factory:
            return f"--model-factory {self.factory}"
        return f"--model-encoder {self.encoder_name} in --model-arch {self.arch}"


def build_model(spec: ModelSpec, encoder_weights: str | None = None, allowed_factory: str | None = None) -> nn.Module:
    """Build a model that maps x (n, in_channels, h, w) to logits (n, 1, h, w).

    Parameters
    ----------
    spec
        What to build.
    encoder_weights
        A local file, a name of weights that is downloaded, or None to begin at random.
    allowed_factory
        The function that may be imported and called, as the user named it; a specification may come out of a checkpoint,
        which must not choose what code is run.

    Raises
    ------
    ModelError
        When there is no such architecture, encoder, option or weights, they don't fit together, or the factory isn't
        allowed.
    """
    is_file = encoder_weights is not None and is_weights_file(encoder_weights)
    name = None if is_file else encoder_weights
    model = _from_factory(spec, name, allowed_factory) if spec.factory else _from_smp(spec, name)
    if encoder_weights is not None and is_file:
        load_encoder_weights(require_encoder(model, "--model-encoder-weights"), Path(encoder_weights), spec.in_channels)
    return model


def _from_factory(spec: ModelSpec, weights: str | None, allowed: str | None) -> nn.Module:
    if weights:
        raise ModelError(
            f"--model-encoder-weights {weights} is for encoders by name, but {spec.label} makes its own; load them there, "
            "give a local file, or none."
        )
    numbers = {"in_channels": spec.in_channels, "classes": spec.classes}
    return model_from_factory(str(spec.factory), allowed, numbers | dict(spec.options))


def _from_smp(spec: ModelSpec, weights: str | None) -> nn.Module:
    _require_known("--model-arch", spec.arch, [model.__name__ for model in smp.MODEL_ARCHITECTURES_MAPPING.values()])
    _require_encoder_name(spec.encoder_name)
    takes = _require_options(spec)
    if weights:
        require_pretrained(spec.encoder_name, weights)
    pretrained = weights if timm_name(spec.encoder_name) is None else bool(weights) or None
    named = {name: value for name, value in spec.as_dict().items() if name != "options"}
    try:
        model: nn.Module = smp.create_model(**named, **spec.options, encoder_weights=pretrained)
    except Exception as error:  # noqa: BLE001 -- smp, timm and a download can fail in any way
        if weights and (unreachable := out_of_reach(error, spec.encoder_name, weights)):
            raise unreachable from None
        options = f" and the options {listed(spec.options)} (it takes {', '.join(takes)})" if spec.options else ""
        raise ModelError(
            f"--model-arch {spec.arch} with --model-encoder {spec.encoder_name}{options} can't be built: {one_line(error)}"
        ) from None
    return model


def _require_encoder_name(name: str) -> None:
    of_timm = timm_name(name)
    if of_timm is None:
        _require_known("--model-encoder", name, smp.encoders.get_encoder_names())
    elif not timm.is_model(of_timm.partition(".")[0]):
        _require_known("--model-encoder", name, [f"tu-{one}" for one in timm.list_models()])


def _require_known(flag: str, name: str, known: Sequence[str]) -> None:
    if name.lower() not in {one.lower() for one in known}:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known[:12])}, ..."
        raise ModelError(f"{flag}: segmentation-models-pytorch has no {name!r}; {hint}")


def _require_options(spec: ModelSpec) -> list[str]:
    """The names of the options that an architecture takes, if it takes those of the specification."""
    parameters = inspect.signature(smp.MODEL_ARCHITECTURES_MAPPING[spec.arch.lower()]).parameters.values()
    takes = [one.name for one in parameters if one.kind is not one.VAR_KEYWORD and one.name not in _NO_OPTIONS]
    # timm takes many more, and refuses what it doesn't know; an encoder of smp would leave that out in silence.
    is_open = timm_name(spec.encoder_name) is not None
    for name in spec.options:
        is_refused = name in _NO_OPTIONS or name.startswith(_WEIGHT_OPTIONS)
        if is_refused or (name not in takes and not is_open):
            raise ModelError(
                f"--model-options: {spec.arch} with {spec.encoder_name} takes no option {name!r}; it takes "
                f"{', '.join(takes)}."
            )
    return takes


def padding_multiple(model: nn.Module) -> int:
    """What height and width of an image must be multiples of: the `output_stride` of the encoder or the model, else 32."""
    strides = (getattr(part, "output_stride", None) for part in (getattr(model, "encoder", None), model))
    stride = next((stride for stride in strides if isinstance(stride, int) and stride > 0), DEFAULT_STRIDE)
    return 2 * stride if isinstance(model, smp.DPT) else stride  # its decoder halves the coarsest features once more


def padded(x_nchw: torch.Tensor, multiple: int) -> torch.Tensor:
    """Repeat the last row and column until height and width are multiples; x itself where they are."""
    below, right = (-length % multiple for length in x_nchw.shape[-2:])
    return nn.functional.pad(x_nchw, (0, right, 0, below), mode="replicate") if below or right else x_nchw


def predict_logits(
    model: nn.Module, normaliser: Normaliser, x_nchw: torch.Tensor, multiple: int | None = None
) -> torch.Tensor:
    """Logits (n, h, w) of images.

    Parameters
    ----------
    model
        Of `build_model`.
    normaliser
        What the model was trained with.
    x_nchw
        float32 (n, bands, h, w) in [0, 1], of any height and width.
    multiple
        What the image is padded to; that of the model if not given.
    """
    height, width = x_nchw.shape[-2:]
    x = padded(normaliser(x_nchw), multiple or padding_multiple(model))
    logits: torch.Tensor = model(x.contiguous(memory_format=torch.channels_last))
    return logits[..., :height, :width].squeeze(1)


class Predictor(nn.Module):
    """A model with all that belongs to a prediction: x (n, bands, h, w) in [0, 1] -> logits (n, 1, h, w), of any size."""

    def __init__(self, model: nn.Module, normaliser: Normaliser, multiple: int | None = None) -> None:
        super().__init__()
        self.model = model
        self.normaliser = normaliser
        self.multiple = multiple or padding_multiple(model)

    def forward(self, x_nchw: torch.Tensor) -> torch.Tensor:
        """Logits (n, 1, h, w)."""
        return predict_logits(self.model, self.normaliser, x_nchw, self.multiple).unsqueeze(1)


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[torch.device]:
    """Evaluation without gradients, on the device of the model; modes and random numbers are afterwards as before."""
    modes = [(module, module.training) for module in model.modules()]
    first = next(model.parameters(), None)
    device = torch.device("cpu") if first is None else first.device
    with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.no_grad():
        try:
            model.eval()
            yield device
        finally:
            for module, mode in modes:
                module.training = mode


def require_model_takes(model: nn.Module, spec: ModelSpec, patch_size: int) -> None:
    """Run one forward pass at the real patch size, so that a misfit shows before anything long starts.

    Raises
    ------
    ModelError
        When the model can't take the patches, or doesn't give one logit for each pixel.
    """
    multiple = padding_multiple(model)
    try:
        with undisturbed(model) as device:
            x = padded(torch.zeros(1, spec.in_channels, patch_size, patch_size, device=device), multiple)
            logits = model(x.contiguous(memory_format=torch.channels_last))
    except Exception as error:  # noqa: BLE001 -- encoders refuse a size with errors of many kinds
        raise ModelError(
            f"{spec.label} can't take patches of {patch_size} pixels ({one_line(error)}); choose another, or preprocess "
            "with another --patch-size (multiples of 32 fit most)."
        ) from None
    shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if shape != (1, 1, *x.shape[-2:]):
        raise ModelError(
            f"a model must give one logit for each pixel, but {spec.label} gives {shape} for patches of "
            f"{tuple(x.shape[-2:])} pixels; choose another."
        )


def has_idle_parameters(model: nn.Module, spec: ModelSpec, patch_size: int) -> bool:
    """Whether some parameters get no gradient in a training step: those of stages that an architecture doesn't use."""
    trial = copy.deepcopy(model).train()
    device = next(trial.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        x = padded(torch.rand(2, spec.in_channels, patch_size, patch_size, device=device), padding_multiple(model))
        trial(x).sum().backward()
    return any(parameter.requires_grad and parameter.grad is None for parameter in trial.parameters())


def require_encoder(model: nn.Module, flag: str) -> nn.Module:
    """The encoder of a model.

    Raises
    ------
    ModelError
        When it has none, naming the flag that needs one.
    """
    encoder = getattr(model, "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise ModelError(f"{flag} needs a model with an `encoder`, but {type(model).__name__} has none; leave it out.")
    return encoder


def set_encoder_trainable(model: nn.Module, trainable: bool) -> None:
    """Let training change the encoder, or not: neither its weights nor the running statistics of its norms.

    `model.train()` lets the norms run again, so that this is to be called after it.

    Raises
    ------
    ModelError
        When the model has no `encoder`.
    """
    encoder = require_encoder(model, "--freeze-encoder-epochs")
    encoder.requires_grad_(trainable)
    for module in encoder.modules():
        if hasattr(module, "running_mean"):
            module.train(trainable and model.training)
