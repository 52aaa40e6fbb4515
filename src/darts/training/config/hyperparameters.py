"""What a sweep may vary: model, loss, optimiser, sampling and augmentation."""

import json
import re
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from darts.core.config import Config, Listed, OrNone
from darts.training.config.data import texts

Augmentation = Literal[
    "flip", "rotate90", "rotate", "blur", "brightness-contrast", "multiplicative-noise", "posterize", "band-dropout"
]
Normalisation = Literal["none", "z-score", "min-max", "quantile"]
LossName = Literal["focal", "dice", "jaccard", "tversky", "focal-tversky", "lovasz", "bce", "cross-entropy"]
AUGMENTATIONS: tuple[Augmentation, ...] = get_args(Augmentation)
DEFAULT_AUGMENTATIONS: tuple[Augmentation, ...] = (
    *("flip", "rotate90", "blur", "brightness-contrast", "multiplicative-noise", "posterize"),
)
"""What `augment = true` stands for."""


def _switch_or_names(value: Any) -> Any:
    words = {"true": DEFAULT_AUGMENTATIONS, "all": AUGMENTATIONS, "false": (), "none": ()}
    if isinstance(value, bool):
        return words[str(value).lower()]
    if isinstance(value, str):
        return words.get(value.strip().lower(), [part.strip() for part in value.split(",")])
    return value


ENDING_SCHEDULES = ("one-cycle", "cosine")
"""Schedules of the learning rate that end near 0 with the last of all epochs."""
_JSON_WORDS = {"true": "true", "false": "false", "none": "null"}
"""Words that mean the same however they are written: the text False would be true."""


def parse_options(texts: tuple[str, ...]) -> dict[str, Any]:
    """`("depth=3", "kind=scse")` -> `{"depth": 3, "kind": "scse"}`: values are JSON, or else plain text.

    Raises
    ------
    ValueError
        When one of them is no `name=value`, or a name comes twice.
    """
    options: dict[str, Any] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name.isidentifier() or name in options:
            raise ValueError(f"an option is name=value, and each name comes once, but {text!r} isn't so")
        try:
            options[name] = json.loads(_JSON_WORDS.get(value.lower(), value))
        except json.JSONDecodeError:
            options[name] = value
    return options


def _option_texts(texts: tuple[str, ...]) -> tuple[str, ...]:
    parse_options(texts)
    return texts


def parse_loss(text: str) -> tuple[tuple[float, LossName], ...]:
    """`"bce + 0.5 * dice"` -> `((1.0, "bce"), (0.5, "dice"))`.

    Raises
    ------
    ValueError
        When a term is no loss, or no positive number times a loss.
    """
    terms = []
    for term in text.split("+"):
        found = re.fullmatch(r"\s*(?:([0-9.eE-]+)\s*\*)?\s*([a-z-]+)\s*", term)
        if found is None or found[2] not in get_args(LossName):
            raise ValueError(
                f"a loss is one of {', '.join(get_args(LossName))}, or a sum such as bce + 0.5 * dice, but {text!r} isn't"
            )
        weight = float(found[1] or 1)
        if not 0 < weight < float("inf"):
            raise ValueError(f"the weights of a sum of losses are above 0, but one in {text!r} isn't")
        terms.append((weight, found[2]))
    return tuple(terms)  # type: ignore[arg-type] # the names were looked up


def _loss_text(text: str) -> str:
    parse_loss(text)
    return text


def parse_sample_weights(texts: tuple[str, ...]) -> dict[str, float]:
    """`("positive_fraction:3", "empty:-0.5")` -> `{"positive_fraction": 3.0, "empty": -0.5}`.

    Raises
    ------
    ValueError
        When one of them is no `column:factor`, or a column comes twice.
    """
    factors: dict[str, float] = {}
    for text in texts:
        column, _, factor = text.partition(":")
        if not column or column in factors or not re.fullmatch(r"[+-]?[0-9]*\.?[0-9]+(e[+-]?[0-9]+)?", factor.strip()):
            raise ValueError(f"a sample weight is column:factor, and each column comes once, but {text!r} isn't so")
        factors[column] = float(factor)
    return factors


def _weight_texts(texts: tuple[str, ...]) -> tuple[str, ...]:
    parse_sample_weights(texts)
    return texts


def _pair(values: tuple[float, ...]) -> tuple[float, ...]:
    if len(values) != 2 or min(values) < 0 or max(values) <= 0:
        raise ValueError("class weights are two numbers, of background and of positives, not below 0 and not both 0")
    return values


Augment = Annotated[tuple[Augmentation, ...] | bool, BeforeValidator(_switch_or_names)]
Options = Annotated[tuple[str, ...], BeforeValidator(texts), AfterValidator(_option_texts)]
LossText = Annotated[str, AfterValidator(_loss_text)]
Weights = Annotated[Listed[str], AfterValidator(_weight_texts)]
ClassWeights = Annotated[Listed[float], AfterValidator(_pair)]


class ModelConfig(Config, frozen=True):
    """What the network is."""

    panel: ClassVar[str] = "Model"

    model_arch: str = "Unet"
    """Architecture of segmentation-models-pytorch, such as Unet, MAnet, UPerNet, Segformer."""
    model_encoder: str = "dpn107"
    """Encoder of segmentation-models-pytorch, such as resnet18, mit_b2, or of timm, such as tu-convnextv2_tiny."""
    model_encoder_weights: OrNone[str] = None
    """Pretrained weights of the encoder: a name such as imagenet, which is downloaded, or a local file (.pth, .safetensors);
    `none` begins at random. Weights that can't be had are an error, never left out."""
    model_options: Options = ()
    """Further arguments of the architecture as name=value, such as decoder_attention_type=scse or
    decoder_channels=[128,64,32,16,8]. Repeatable."""
    model_factory: OrNone[str] = None
    """A function of your own, package.module:function, that takes in_channels, classes and model-options, and returns a
    torch module with logits; it stands in place of arch and encoder."""
    deep_supervision: bool = False
    """Train coarser stages of the decoder, too, each with a head of its own that is left out of the model afterwards; for
    architectures whose decoder has blocks, such as Unet, MAnet, Linknet."""
    freeze_encoder_epochs: NonNegativeInt = 0
    """Epochs at the start in which the encoder isn't trained."""
    normalisation: Normalisation = "none"
    """What is done to the values of a band, which lie in [0, 1], from statistics of the train patches alone: `z-score`,
    `min-max`, `quantile` (1 to 99 % become 0 to 1), or `none`. It becomes part of the model."""


class LossConfig(Config, frozen=True):
    """What is minimised."""

    panel: ClassVar[str] = "Loss"

    loss: LossText = "focal"
    """focal, dice, jaccard, tversky, focal-tversky, lovasz, bce, cross-entropy, or a weighted sum, such as bce + 0.5 * dice.
    Focal, the default, learns slowly where positives are rare: bce + dice is the better start there."""
    focal_loss_alpha: OrNone[Annotated[float, Field(ge=0, le=1)]] = None
    """Weight of the positive class in the focal loss, that of the negative class is 1 - alpha; `none` weighs neither."""
    focal_loss_gamma: float = Field(default=2.0, ge=0)
    """How much the focal loss looks at badly predicted pixels; 0 is cross entropy."""
    pos_weight: OrNone[Annotated[float, Field(gt=0)] | Literal["auto"]] = None
    """Weight of positive pixels in bce; `auto`: background over positive pixels of the train patches."""
    class_weights: OrNone[ClassWeights] = None
    """Weights of background and positive pixels in cross-entropy, such as 0.4,0.6."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """How far labels are moved from 0 and 1 towards 0.5 in bce and cross-entropy: 0.1 makes them 0.1 and 0.9."""
    tversky_alpha: float = Field(default=0.3, ge=0)
    """Weight of false positives in tversky and focal-tversky."""
    tversky_beta: float = Field(default=0.7, ge=0)
    """Weight of false negatives in tversky and focal-tversky."""
    focal_tversky_gamma: float = Field(default=0.75, gt=0)
    """Power that focal-tversky raises the tversky loss to."""

    @model_validator(mode="after")
    def _something_is_weighed(self) -> Self:
        if self.tversky_alpha == 0 and self.tversky_beta == 0:
            raise ValueError("--tversky-alpha and --tversky-beta are not both 0, or the loss would say nothing")
        return self


class OptimiserConfig(Config, frozen=True):
    """How it is minimised."""

    panel: ClassVar[str] = "Optimiser"

    optimizer: Literal["adamw", "adam", "radam", "sgd"] = "adamw"
    """Optimiser of torch."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Initial learning rate; the highest one of the schedules one-cycle and cyclic."""
    weight_decay: OrNone[NonNegativeFloat] = None
    """Weight decay; if `none`, 0.01 in adamw, where it is apart from the gradient, and 0 in the others."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of sgd."""
    lr_schedule: Literal["exponential", "one-cycle", "cosine", "plateau", "cyclic", "none"] = "exponential"
    """How the learning rate changes. `exponential`: times gamma after each epoch; `plateau`: times gamma when val/loss
    hasn't become less for lr-patience validations; `one-cycle`: up for lr-warmup of all steps, then down; `cosine`: down to
    lr-min after max-epochs; `cyclic`: up from lr-min and down again within four epochs, half as high each time."""
    gamma: float = Field(default=0.9, gt=0, le=1)
    """Factor of exponential and plateau. With 0.9 an epoch little is learned after some 30 epochs."""
    lr_patience: NonNegativeInt = 2
    """Validations without a lower val/loss before plateau acts."""
    lr_warmup: float = Field(default=0.1, gt=0, lt=1)
    """Share of all steps in which one-cycle rises."""
    lr_min: NonNegativeFloat = 0.0
    """Least learning rate of cosine, plateau and cyclic."""
    batch_size: PositiveInt = 8
    """Patches per optimiser step; of each device, if there are several."""
    accumulate_grad_batches: PositiveInt = 1
    """Batches whose gradients are added up before a step."""
    gradient_clip: OrNone[Annotated[float, Field(gt=0)]] = None
    """Greatest norm of the gradient of a step."""
    swa: bool = False
    """Stochastic weight averaging: the mean of the weights after each epoch from swa-start on is validated, saved and
    tested."""
    swa_start: float = Field(default=0.75, ge=0, lt=1)
    """Share of max-epochs after which averaging begins."""
    ema: bool = False
    """Exponential moving average of the weights over steps: it is validated, saved and tested."""
    ema_decay: float = Field(default=0.999, gt=0, lt=1)
    """Share of the old average that each step keeps."""


class SamplingConfig(Config, frozen=True):
    """Which train patches come how often, and how they are changed."""

    panel: ClassVar[str] = "Sampling and augmentation"

    augment: Augment = True
    """Augment training patches: true, false, all, or names of flip, rotate90, rotate, blur, brightness-contrast,
    multiplicative-noise, posterize, band-dropout, with commas; true leaves out rotate and band-dropout."""
    samples_per_epoch: OrNone[PositiveInt] = None
    """Patches of an epoch, whatever the size of the dataset; each patch comes once if not given."""
    positive_fraction: OrNone[Annotated[float, Field(gt=0, lt=1)]] = None
    """Share of patches with positive pixels among those that are drawn."""
    balance_by: OrNone[str] = None
    """Column of the metadata, such as region or dataset, whose values are drawn equally often."""
    sample_weights: Weights = ()
    """How often a patch is drawn, by columns of the metadata: column:factor, such as positive_fraction:3 or empty:-0.5; the
    sum of columns times factors is brought to the range from 0.05 to 1. Repeatable."""


class Hyperparameters(SamplingConfig, OptimiserConfig, LossConfig, ModelConfig, frozen=True):
    """What a sweep may vary."""

    panel: ClassVar[str] = "Hyperparameters"

    @model_validator(mode="after")
    def _one_average(self) -> Self:
        if self.swa and self.ema:
            raise ValueError("--swa and --ema are two ways to average weights; give one of them")
        return self

    @model_validator(mode="after")
    def _one_way_to_draw(self) -> Self:
        ways = [name for name in ("positive_fraction", "balance_by", "sample_weights") if getattr(self, name)]
        if len(ways) > 1:
            flags = " and ".join("--" + name.replace("_", "-") for name in ways)
            raise ValueError(f"{flags} each say how often a patch is drawn; give one of them")
        return self
