"""The training loss, on logits."""

import torch
from segmentation_models_pytorch.losses import FocalLoss
from torch import nn

from darts.dataset.schema import IGNORE


class FocalLossIgnoring(nn.Module):
    """Focal loss over the pixels that are not ignored: their mean, and 0 when there are none.

    FL(p_t) = -alpha_t (1 - p_t)^gamma log(p_t) (Lin et al. 2017, doi 10.1109/ICCV.2017.324).

    Parameters
    ----------
    alpha
        Weight of the positive class in [0, 1], that of the negative class is 1 - alpha; None weighs neither.
    gamma
        0 is cross entropy.
    """

    def __init__(self, alpha: float | None, gamma: float) -> None:
        super().__init__()
        # A sum, divided here: the mean over no pixel would be NaN, and one NaN ends a run.
        self.sum = FocalLoss("binary", alpha=alpha, gamma=gamma, ignore_index=IGNORE, reduction="sum")

    def forward(self, logits_nhw: torch.Tensor, y_nhw: torch.Tensor) -> torch.Tensor:
        """Scalar loss of float logits (n, h, w) against label codes (n, h, w)."""
        total: torch.Tensor = self.sum(logits_nhw.float(), y_nhw)
        return total / (y_nhw != IGNORE).sum().clamp(min=1)
