"""Deep supervision: coarser stages of a decoder are trained, too, each with a head that is no part of the model."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from darts.core.errors import ModelError, one_line
from darts.training.model import padding_multiple, undisturbed

AUXILIARY_WEIGHT = 0.4
"""What the weights of all coarser stages sum to; the logits of the model weigh 1."""
ARCHITECTURES = ("Unet", "UnetPlusPlus", "MAnet", "Linknet")
"""The architectures of segmentation-models-pytorch whose decoder has `blocks`."""

Criterion = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class DeepSupervision(nn.Module):
    """Heads (1x1 convolutions) on what the coarser blocks of a decoder give in training (Lee et al. 2015, arXiv 1409.5185).

    Of several blocks with the same resolution, as in UnetPlusPlus, the last one has the head. The heads are drawn from the
    random numbers of torch, as any layer is, and are no part of the model: neither its state dict nor what it gives changes.

    Parameters
    ----------
    model
        Of `build_model`.
    patch_size
        Height and width of a patch that the model takes, in pixels.

    Raises
    ------
    ModelError
        When its decoder has no blocks, or none is coarser than the image.
    """

    def __init__(self, model: nn.Module, patch_size: int = 64) -> None:
        super().__init__()
        blocks = list(_blocks(model).children())
        self.multiple = padding_multiple(model)
        stages = _coarser_stages(model, blocks, patch_size + -patch_size % self.multiple)
        if not stages:
            raise ModelError(
                f"--deep-supervision: no block of {type(model).__name__} is coarser than the image; leave it out."
            )
        self.heads = nn.ModuleList(nn.Conv2d(channels, 1, kernel_size=1) for _, channels in stages)
        self._captured: dict[int, torch.Tensor] = {}
        for stage, (index, _) in enumerate(stages):
            blocks[index].register_forward_hook(partial(self._capture, stage))

    def _capture(self, stage: int, block: nn.Module, inputs: Any, output: torch.Tensor) -> None:  # noqa: ARG002
        if block.training:
            self._captured[stage] = output

    def forward(self, height: int, width: int) -> list[torch.Tensor]:
        """Logits (n, height, width) of each stage, the finest one first, for the images of the last forward pass.

        They are interpolated (bilinear) to the size of the padded image, and cropped as the logits of the model are.
        """
        assert self._captured, "there was no forward pass in training"
        size = [length + -length % self.multiple for length in (height, width)]
        features = [self._captured[stage] for stage in range(len(self.heads))]
        logits = (head(feature).float() for head, feature in zip(self.heads, features, strict=True))
        upsampled = (nn.functional.interpolate(one, size=size, mode="bilinear", align_corners=False) for one in logits)
        return [one[:, 0, :height, :width] for one in upsampled]

    def auxiliary_loss(self, criterion: Criterion, y: torch.Tensor) -> torch.Tensor:
        """The weighted sum of the losses of all stages; it belongs to the last forward pass in training, and comes once.

        The weight halves from each stage to the next coarser one, and all of them sum to `AUXILIARY_WEIGHT`.

        Parameters
        ----------
        criterion
            logits (n, h, w) float and y -> scalar.
        y
            Label codes, uint8 (n, h, w).
        """
        stages = self(*y.shape[-2:])
        self._captured.clear()  # the graph of the batch isn't kept until the next one
        halving = [0.5**stage for stage in range(len(stages))]
        losses = [weight * criterion(logits, y) for weight, logits in zip(halving, stages, strict=True)]
        return torch.stack(losses).sum() * (AUXILIARY_WEIGHT / sum(halving))


def _blocks(model: nn.Module) -> nn.Module:
    blocks = getattr(getattr(model, "decoder", None), "blocks", None)
    if not isinstance(blocks, (nn.ModuleList, nn.ModuleDict)):
        raise ModelError(
            f"--deep-supervision needs a decoder with blocks, as {', '.join(ARCHITECTURES)} have, but "
            f"{type(model).__name__} has none; choose another --model-arch, or leave it out."
        )
    return blocks


def _coarser_stages(model: nn.Module, blocks: list[nn.Module], size: int) -> list[tuple[int, int]]:
    """Of each resolution below that of the image, the last block that runs and its channels; the finest first."""
    shapes: dict[int, torch.Size] = {}  # in the order in which the blocks run

    def note(index: int, block: nn.Module, inputs: Any, output: torch.Tensor) -> None:  # noqa: ARG001
        shapes[index] = output.shape

    hooks = [block.register_forward_hook(partial(note, index)) for index, block in enumerate(blocks)]
    try:
        with undisturbed(model) as device:
            model(torch.zeros(1, _in_channels(model), size, size, device=device))
    except Exception as error:  # noqa: BLE001 -- encoders refuse a size with errors of many kinds
        raise ModelError(
            f"--deep-supervision: the model can't take patches of {size} pixels ({one_line(error)})."
        ) from None
    finally:
        for hook in hooks:
            hook.remove()
    last = {shape[-1]: (index, shape[1]) for index, shape in shapes.items() if shape[1] and shape[-1] < size}
    return [last[width] for width in sorted(last, reverse=True)]


def _in_channels(model: nn.Module) -> int:
    """Those of the first convolution that an encoder has."""
    return next(module.in_channels for module in model.modules() if isinstance(module, nn.Conv2d))
