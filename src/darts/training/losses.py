"""Training losses, on logits: of the pixels that are not ignored, and finite whatever a batch holds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.nn import functional

from darts.dataset.schema import BACKGROUND, IGNORE, POSITIVE
from darts.training.config import LossConfig, LossName, parse_loss


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """A batch as losses see it; where a pixel is ignored, all three are 0, and no gradient flows.

    Attributes
    ----------
    margin
        Logits of the true class (n, h, w): the logit where the label is positive, minus the logit where it is background.
        The probability of the true class is the sigmoid of it. float32, or float64.
    positive, background
        1 where the label is so, otherwise 0, in the type of `margin`.
    """

    margin: torch.Tensor
    positive: torch.Tensor
    background: torch.Tensor

    @classmethod
    def of(cls, logits: torch.Tensor, y: torch.Tensor) -> "Pixels":
        """Logits (n, h, w) and label codes (n, h, w); logits of half precision become float32."""
        logits = logits if logits.dtype == torch.float64 else logits.float()
        positive, background = ((y == code).to(logits.dtype) for code in (POSITIVE, BACKGROUND))
        # Filled, and not multiplied with 0: a logit that isn't finite is ignored, too.
        margin = logits.masked_fill(y == IGNORE, 0.0) * (positive - background)
        return cls(margin, positive, background)

    @property
    def count(self) -> torch.Tensor:
        """Number of pixels that are not ignored."""
        return self.positive.sum() + self.background.sum()


Term = Callable[[Pixels], torch.Tensor]


class MaskedLoss(nn.Module):
    """A weighted sum of losses, each over the pixels of a batch that are not ignored.

    Parameters
    ----------
    terms
        Weight and loss of each.
    """

    def __init__(self, terms: Sequence[tuple[float, Term]]) -> None:
        super().__init__()
        self.terms = tuple(terms)

    def forward(self, logits_nhw: torch.Tensor, y_nhw: torch.Tensor) -> torch.Tensor:
        """Scalar loss, float32 (float64 for logits in float64), of logits against label codes, both (n, h, w).

        It is 0, with a gradient of 0, where all pixels are ignored.

        Raises
        ------
        ValueError
            When logits and labels differ in shape.
        """
        if logits_nhw.shape != y_nhw.shape:
            raise ValueError(
                f"logits and labels have one shape, but these have {tuple(logits_nhw.shape)} and {tuple(y_nhw.shape)}"
            )
        # Sums over millions of pixels need the digits that autocast would take away.
        with torch.autocast(logits_nhw.device.type, enabled=False):
            pixels = Pixels.of(logits_nhw, y_nhw)
            return torch.stack([weight * term(pixels) for weight, term in self.terms]).sum()


def make_loss(settings: LossConfig, pos_weight: float | None) -> MaskedLoss:
    """The loss that the settings name.

    Parameters
    ----------
    settings
        `loss` and what belongs to it; its `pos_weight`, which may be `auto`, isn't looked at.
    pos_weight
        Weight of positive pixels in bce; None is 1.
    """
    return MaskedLoss([(weight, _term(name, settings, pos_weight)) for weight, name in parse_loss(settings.loss)])


def _term(name: LossName, settings: LossConfig, pos_weight: float | None) -> Term:
    smoothing, alpha, beta = settings.label_smoothing, settings.tversky_alpha, settings.tversky_beta
    weights = tuple(settings.class_weights or (1.0, 1.0))
    terms: dict[LossName, Term] = {
        "focal": partial(focal, alpha=settings.focal_loss_alpha, gamma=settings.focal_loss_gamma),
        "bce": partial(binary_cross_entropy, pos_weight=1.0 if pos_weight is None else pos_weight, smoothing=smoothing),
        "cross-entropy": partial(cross_entropy, weights=(weights[0], weights[1]), smoothing=smoothing),
        "dice": dice,
        "jaccard": jaccard,
        "tversky": partial(tversky, alpha=alpha, beta=beta),
        "focal-tversky": partial(focal_tversky, alpha=alpha, beta=beta, gamma=settings.focal_tversky_gamma),
        "lovasz": lovasz,
    }
    return terms[name]


def focal(pixels: Pixels, alpha: float | None, gamma: float) -> torch.Tensor:
    """FL(p_t) = -alpha_t (1 - p_t)^gamma log(p_t), the mean over pixels (Lin et al. 2017, doi 10.1109/ICCV.2017.324).

    Parameters
    ----------
    pixels
        The batch.
    alpha
        Weight of positive pixels in [0, 1], that of background is 1 - alpha; None weighs neither.
    gamma
        0 is cross entropy.
    """
    log_true = functional.logsigmoid(pixels.margin)
    log_wrong = log_true - pixels.margin  # log(1 - p_t), whose power has a gradient even where p_t is 1
    positive, background = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    weight = positive * pixels.positive + background * pixels.background
    return _ratio(-(weight * log_true * torch.exp(gamma * log_wrong)).sum(), pixels.count)


def binary_cross_entropy(pixels: Pixels, pos_weight: float, smoothing: float) -> torch.Tensor:
    """-(w t log(p) + (1 - t) log(1 - p)), the mean over pixels, as in `torch.nn.BCEWithLogitsLoss`.

    Parameters
    ----------
    pixels
        The batch.
    pos_weight
        w.
    smoothing
        t is 1 - smoothing where the label is positive, and smoothing where it is background.
    """
    return _ratio(_summed_cross_entropy(pixels, (1.0, pos_weight), smoothing), pixels.count)


def cross_entropy(pixels: Pixels, weights: tuple[float, float], smoothing: float) -> torch.Tensor:
    """Cross entropy of two classes, whose logits are 0 and the one logit: the weighted mean of `torch.nn.CrossEntropyLoss`.

    Parameters
    ----------
    pixels
        The batch.
    weights
        Of background and of positive pixels. The mean is over these weights; it is 0 where they sum up to 0.
    smoothing
        As in `binary_cross_entropy`; torch calls twice of it `label_smoothing`.
    """
    weight = (pixels.background * weights[0] + pixels.positive * weights[1]).sum()
    return _ratio(_summed_cross_entropy(pixels, weights, smoothing), weight)


def _summed_cross_entropy(pixels: Pixels, weights: tuple[float, float], smoothing: float) -> torch.Tensor:
    """Sum over pixels of -w log(probability) of both classes, times how far each is the true one."""
    background, positive = weights
    log_true = functional.logsigmoid(pixels.margin)
    true = pixels.background * background + pixels.positive * positive
    loss = (1 - smoothing) * true * log_true
    if smoothing:
        other = pixels.background * positive + pixels.positive * background
        loss = loss + smoothing * other * (log_true - pixels.margin)
    return -loss.sum()


def dice(pixels: Pixels) -> torch.Tensor:
    """1 - (2 TP + 1) / (2 TP + FP + FN + 1), of sums over the batch (Milletari et al. 2016, doi 10.1109/3DV.2016.79).

    TP, FP and FN are sums of probabilities, here and below: p and 1 - p where the label is positive, p where it is
    background. The 1 makes the loss 0 where there is nothing to find and nothing is found.
    """
    return _overlap_loss(pixels, 2.0, 1.0, 1.0)


def jaccard(pixels: Pixels) -> torch.Tensor:
    """1 - (TP + 1) / (TP + FP + FN + 1), of sums over the batch (Rahman and Wang 2016, doi 10.1007/978-3-319-50835-1_22)."""
    return _overlap_loss(pixels, 1.0, 1.0, 1.0)


def tversky(pixels: Pixels, alpha: float, beta: float) -> torch.Tensor:
    """1 - (TP + 1) / (TP + alpha FP + beta FN + 1), of sums over the batch (Salehi et al. 2017, arXiv 1706.05721).

    Parameters
    ----------
    pixels
        The batch.
    alpha
        Weight of false positives.
    beta
        Weight of false negatives.
    """
    return _overlap_loss(pixels, 1.0, alpha, beta)


def focal_tversky(pixels: Pixels, alpha: float, beta: float, gamma: float) -> torch.Tensor:
    """The Tversky loss to the power of gamma (Abraham and Khan 2019, arXiv 1810.07842, whose gamma is 1 / gamma).

    Parameters
    ----------
    pixels
        The batch.
    alpha, beta
        As in `tversky`.
    gamma
        Below 1, a loss near 0 keeps a steep gradient.
    """
    loss = tversky(pixels, alpha, beta)
    some = loss > 0
    # A power below 1 has no finite gradient at 0, where there is nothing left to learn.
    return torch.where(some, loss, 1.0) ** gamma * some


def _overlap_loss(pixels: Pixels, per_tp: float, per_fp: float, per_fn: float) -> torch.Tensor:
    """1 minus an index of overlap, as the ratio that it is: without a difference of numbers that are nearly equal."""
    wrong = torch.sigmoid(-pixels.margin)
    missed = wrong * pixels.positive
    tp = (pixels.positive - missed).sum()
    errors = per_fp * (wrong * pixels.background).sum() + per_fn * missed.sum()
    return errors / (per_tp * tp + errors + 1)


def lovasz(pixels: Pixels) -> torch.Tensor:
    """Lovasz hinge of the Jaccard loss, of the whole batch (Berman et al. 2018, arXiv 1705.08790, algorithm 1).

    Without a positive label, it is the hinge of the worst pixel.
    """
    hinge = functional.relu((1 - pixels.margin) * (pixels.positive + pixels.background))
    # Pixels that are ignored have none; they come last, among those that are right, and weigh nothing.
    sorted_hinge, order = torch.sort(hinge.flatten(), descending=True, stable=True)
    positive, background = (
        torch.cumsum(mask.flatten()[order], 0, dtype=torch.int64) for mask in (pixels.positive, pixels.background)
    )
    loss = 1 - (positive[-1:] - positive) / (positive[-1:] + background).clamp(min=1).to(hinge.dtype)
    return (sorted_hinge * torch.diff(loss, prepend=loss.new_zeros(1))).sum()


def _ratio(part: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """A ratio of numbers, which is 0, with a gradient of 0, where the whole is 0."""
    some = whole > 0
    return part * some / torch.where(some, whole, 1.0)
