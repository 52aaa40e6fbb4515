"""Pretrained weights of an encoder: by a name that segmentation-models-pytorch or timm downloads, or out of a local file."""

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import adapt_input_conv
from torch import nn

from darts.core.errors import CheckpointError, ModelError, one_line
from darts.training.checkpoint import load_checkpoint

FLAG = "--model-encoder-weights"
_SUFFIXES = (".pth", ".pt", ".safetensors", ".ckpt")
_WRAPPERS = re.compile(r"(?:(?:module|model|encoder|backbone)\.)*")
_CLASSIFIER = ("fc.", "head.", "classifier.", "last_linear.")
_IMAGENET_TAG = re.compile(r"in(w?\d+k)")
_RGB = 3
_HTTP_LIBRARIES = ("httpx", "requests", "urllib3", "huggingface_hub")


def timm_name(encoder_name: str) -> str | None:
    """What timm calls an encoder: `tu-resnet18` -> `resnet18`; None for those of segmentation-models-pytorch itself."""
    if smp.encoders.is_equivalent_to_timm_universal(encoder_name):
        encoder_name = encoder_name.replace("timm-", "tu-tf_" if "mobilenetv3" in encoder_name else "tu-")
    return encoder_name.removeprefix("tu-") if encoder_name.startswith("tu-") else None


def is_weights_file(weights: str) -> bool:
    """Whether encoder weights are a local file, and not a name."""
    return weights.endswith(_SUFFIXES) or Path(weights).is_file()


def require_pretrained(encoder_name: str, weights: str) -> None:
    """Refuse a name of weights that an encoder doesn't have.

    timm has one set of weights for each name of an encoder, and further ones by a tag in that name, such as
    `tu-resnet18.a1_in1k`; they are asked for by the tag, or by `imagenet` where they were trained on that.

    Raises
    ------
    ModelError
        Listing the names that it has.
    """
    name = timm_name(encoder_name)
    known = _smp_weights(encoder_name) if name is None else _timm_weights(name)
    if weights not in known:
        others = [] if name is None else timm.list_models(f"{name.partition('.')[0]}.*", pretrained=True)
        more = f" (others by --model-encoder: {', '.join('tu-' + one for one in others)})" if len(others) > 1 else ""
        raise ModelError(
            f"{FLAG}: {encoder_name} has no weights {weights!r}; it has {', '.join(known) or 'none'}{more}; a local file "
            "(.pth, .safetensors), or none, is the other way."
        )


def _smp_weights(encoder_name: str) -> list[str]:
    return list(smp.encoders.encoders[encoder_name]["pretrained_settings"])


def _timm_weights(name: str) -> list[str]:
    pretrained = timm.models.get_pretrained_cfg(name) if timm.models.is_model_pretrained(name) else None
    if pretrained is None:
        return []
    tag = str(pretrained.tag)
    return ["imagenet", tag] if _IMAGENET_TAG.search(tag) else [tag]


def out_of_reach(error: Exception, encoder_name: str, weights: str) -> ModelError | None:
    """The error that weights can't be downloaded, if that is what an error says."""
    library = type(error).__module__.partition(".")[0]
    if not isinstance(error, OSError) and library not in _HTTP_LIBRARIES:
        return None
    return ModelError(
        f"{FLAG} {weights} of {encoder_name} can't be had without network, and there is no copy on this computer "
        f"({one_line(error, 120)}); give a local file (.pth, .safetensors), or none to begin at random."
    )


def load_encoder_weights(encoder: nn.Module, path: Path, in_channels: int) -> None:
    """Load a file of pretrained weights into an encoder, every weight of it.

    The file holds a state dict, by itself or below `state_dict` or `model`; its keys may begin with `module.`, `model.`,
    `encoder.` or `backbone.`, also several of them. What lies beside the encoder in the file is left out, and so is a
    classifier. A convolution on RGB is made one on `in_channels` channels: the three are repeated, and weighted so that the
    sum stays of the same size (`timm.models.adapt_input_conv`).

    Raises
    ------
    ModelError
        When the file can't be read, or lacks weights, has others for the same layers, or such of another shape.
    """
    given, wanted = _read(path), encoder.state_dict()
    fit = _best_fit(wanted, given)
    state: dict[str, torch.Tensor] = dict(wanted)
    missing: list[str] = []
    misshapen: list[str] = []
    for key, own in wanted.items():
        value = given.get(fit.found.get(key, ""))
        value = None if value is None else _for_channels(value, own.shape, in_channels)
        if value is not None and value.shape == own.shape:
            state[key] = value
        elif not _is_left_as_it_is(key, value):
            (missing if value is None else misshapen).append(key)
    too_many = _further_weights(wanted, given, fit)
    if missing or misshapen or too_many:
        first = (misshapen or missing or too_many)[0]
        raise ModelError(
            f"{FLAG}: {path} holds weights of another encoder: of {len(wanted)} weights {len(missing)} are missing and "
            f"{len(misshapen)} have another shape, and {len(too_many)} are too many, the first is {first}; use a file for "
            "this encoder."
        )
    encoder.load_state_dict(state)


def _read(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise ModelError(f"{FLAG}: there is no local file {path}; give one, or a name such as imagenet.")
    try:
        content: dict[str, Any] = load_file(path) if path.suffix == ".safetensors" else load_checkpoint(path)
    except CheckpointError as error:
        raise ModelError(f"{FLAG}: {error}") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{FLAG}: {path} is no safetensors file, or damaged ({one_line(error)}).") from None
    inner = next((content[key] for key in ("state_dict", "model") if isinstance(content.get(key), Mapping)), content)
    state = {str(key): value for key, value in inner.items() if isinstance(value, torch.Tensor)}
    if not state:
        raise ModelError(
            f"{FLAG}: a file of weights holds a state dict, but {path} holds no tensor by name; use another."
        )
    return state


@dataclass(frozen=True, slots=True)
class _Fit:
    """Keys of an encoder -> keys of a file, all of which begin with `beginning`."""

    beginning: str
    found: dict[str, str]


def _best_fit(wanted: Iterable[str], given: Mapping[str, Any]) -> _Fit:
    """Leave out the beginnings of keys, on both sides, with which most keys agree."""
    ways = itertools.product(_beginnings(wanted), _beginnings(given))
    return max((_fit(wanted, given, ours, theirs) for ours, theirs in ways), key=lambda fit: len(fit.found))


def _beginnings(keys: Iterable[str]) -> list[str]:
    """The wrappers that keys begin with: `model.encoder.x` gives the empty text, `model.` and `model.encoder.`."""
    longest = {found.group() for key in keys if (found := _WRAPPERS.match(key))}
    return sorted({"".join(parts[:n]) for one in longest for parts in [re.findall(r"\w+\.", one)] for n in range(9)})


def _fit(wanted: Iterable[str], given: Mapping[str, Any], ours: str, theirs: str) -> _Fit:
    found: dict[str, str] = {}
    for key in wanted:
        names = (theirs + name for name in _spellings(key.removeprefix(ours)) if key.startswith(ours))
        name = next((name for name in names if name in given), None)
        if name is not None:
            found[key] = name
    return _Fit(theirs, found)


def _spellings(name: str) -> list[str]:
    """A key, and as it was before timm took a model apart into its stages: `stages_0.x` was `stages.0.x`."""
    head, dot, rest = name.partition(".")
    parts = head.split("_")
    joints = [f"{'_'.join(parts[:i])}.{'_'.join(parts[i:])}" for i in range(1, len(parts))]
    return [name, *(joint + dot + rest for joint in joints)]


def _bare(key: str) -> str:
    return _WRAPPERS.sub("", key, count=1)


def _is_left_as_it_is(key: str, value: torch.Tensor | None) -> bool:
    """A classifier, which no decoder sees, and counters of batches, which old files don't have."""
    return _bare(key).startswith(_CLASSIFIER) or (value is None and key.endswith("num_batches_tracked"))


def _for_channels(value: torch.Tensor, shape: torch.Size, in_channels: int) -> torch.Tensor:
    """A convolution on RGB, on `in_channels` channels if that is what makes the shape."""
    as_rgb = torch.Size([*shape[:1], _RGB, *shape[2:]])
    if len(shape) == 4 and shape[1] == in_channels and in_channels != _RGB and value.shape == as_rgb:
        return adapt_input_conv(in_channels, value)
    return value


def _further_weights(wanted: Iterable[str], given: Iterable[str], fit: _Fit) -> list[str]:
    """Weights amid those of the encoder: they are of a larger one, as those of resnet34 are for resnet18.

    What comes after the last layer of the encoder is none of it, since it may have been built with fewer stages.
    """
    used = {name.removeprefix(fit.beginning) for name in fit.found.values()}
    layers = {_layer(name) for name in used}
    last = next((fit.found[key].removeprefix(fit.beginning) for key in reversed([*wanted]) if key in fit.found), "")
    names = (key.removeprefix(fit.beginning) for key in given if key.startswith(fit.beginning))
    return [
        name
        for name in names
        if name.endswith((".weight", ".bias"))
        and name not in used
        and _layer(name) in layers
        and not (_layer(name) == _layer(last) and _in_order(name) > _in_order(last))
        and not name.startswith(_CLASSIFIER)
    ]


def _layer(name: str) -> str:
    return name.partition(".")[0]


def _in_order(name: str) -> list[str | int]:
    """A key that sorts `blocks.10` after `blocks.9`."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
