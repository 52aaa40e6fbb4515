"""Metrics of the positive class over all pixels that are not ignored, from one confusion state and one histogram."""

from dataclasses import dataclass

import numpy as np
import torch
from torchmetrics import Metric

from darts.dataset.schema import IGNORE

BINS = 1024
"""Bins of the predicted probability; the curves are exact up to their width."""
THRESHOLD = 0.5


class PixelStatistics(Metric):
    """Counts, over a whole epoch and all processes, of what was predicted where.

    States: `confusion` (groups, 2, 2) int64, indexed by group, true class, predicted class; `histogram` (2, BINS) int64,
    indexed by true class and predicted probability; `loss_sum` and `loss_count`, the loss of each pixel.
    """

    full_state_update = False
    confusion: torch.Tensor
    histogram: torch.Tensor
    loss_sum: torch.Tensor
    loss_count: torch.Tensor

    def __init__(self, groups: int = 1) -> None:
        super().__init__()
        self.groups = groups
        self.add_state("confusion", torch.zeros(groups, 2, 2, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("histogram", torch.zeros(2, BINS, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("loss_sum", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("loss_count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, logits: torch.Tensor, y: torch.Tensor, loss: torch.Tensor, group: torch.Tensor) -> None:
        """Count a batch.

        Parameters
        ----------
        logits
            float (n, h, w).
        y
            Label codes (n, h, w).
        loss
            Scalar: the mean over the pixels that are not ignored.
        group
            int64 (n): the group (region) of each patch.
        """
        valid = y != IGNORE
        true = y[valid].long()
        probability = torch.sigmoid(logits[valid].float())
        predicted = (probability > THRESHOLD).long()
        where = group[:, None, None].expand_as(y)[valid]
        cells = torch.bincount((where * 2 + true) * 2 + predicted, minlength=self.groups * 4)
        self.confusion += cells.reshape(self.groups, 2, 2)
        bins = (probability * BINS).long().clamp(max=BINS - 1)
        self.histogram += torch.bincount(true * BINS + bins, minlength=2 * BINS).reshape(2, BINS)
        self.loss_sum += loss.detach().double() * true.numel()
        self.loss_count += true.numel()

    def compute(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Confusion, histogram, and mean loss; of all processes."""
        return self.confusion, self.histogram, self.loss_sum / self.loss_count.clamp(min=1)

    def statistics(self) -> "Statistics":
        """What `compute` gives, as plain arrays."""
        confusion, histogram, loss = self.compute()
        return Statistics(confusion.cpu().numpy(), histogram.cpu().numpy(), float(loss))


@dataclass(frozen=True, slots=True)
class Confusion:
    """Pixels by truth and prediction."""

    tp: int
    fp: int
    fn: int
    tn: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """What `PixelStatistics` counted.

    Attributes
    ----------
    confusion
        int64 (groups, 2, 2), by group, true class, predicted class.
    histogram
        int64 (2, BINS), by true class and predicted probability.
    loss
        Mean over all pixels that are not ignored.
    """

    confusion: np.ndarray
    histogram: np.ndarray
    loss: float

    def total(self) -> Confusion:
        """The confusion of all groups together."""
        return _confusion(self.confusion.sum(axis=0))

    def group(self, index: int) -> Confusion:
        """The confusion of one group."""
        return _confusion(self.confusion[index])


def _confusion(counts: np.ndarray) -> Confusion:
    (tn, fp), (fn, tp) = counts.tolist()
    return Confusion(tp, fp, fn, tn)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def confusion_metrics(c: Confusion) -> dict[str, float]:
    """The metrics that follow from a confusion; 0 where a denominator is 0, as in torchmetrics."""
    n = c.tp + c.fp + c.fn + c.tn
    accuracy = _ratio(c.tp + c.tn, n)
    by_chance = _ratio((c.tp + c.fp) * (c.tp + c.fn) + (c.fn + c.tn) * (c.fp + c.tn), n * n)
    return {
        "Accuracy": accuracy,
        "Precision": _ratio(c.tp, c.tp + c.fp),
        "Recall": _ratio(c.tp, c.tp + c.fn),
        "Specificity": _ratio(c.tn, c.tn + c.fp),
        "F1Score": _ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn),
        "JaccardIndex": _ratio(c.tp, c.tp + c.fp + c.fn),
        "CohenKappa": _ratio(accuracy - by_chance, 1 - by_chance),
        "HammingDistance": _ratio(c.fp + c.fn, n),
    }


@dataclass(frozen=True, slots=True)
class Curves:
    """ROC and precision-recall, at thresholds falling from 1 to 0; float64 (BINS + 1) each.

    `precision` is 1 where nothing is predicted positive.
    """

    threshold: np.ndarray
    false_positive_rate: np.ndarray
    recall: np.ndarray
    precision: np.ndarray


def curves(histogram: np.ndarray) -> Curves:
    """The curves of a (2, BINS) histogram."""
    counts = np.concatenate([np.zeros((2, 1)), np.cumsum(histogram[:, ::-1], axis=1)], axis=1)
    negatives, positives = np.maximum(counts[:, -1], 1)
    predicted = counts.sum(axis=0)
    return Curves(
        threshold=np.linspace(1, 0, BINS + 1),
        false_positive_rate=counts[0] / negatives,
        recall=counts[1] / positives,
        precision=np.where(predicted > 0, counts[1] / np.maximum(predicted, 1), 1.0),
    )


def curve_metrics(histogram: np.ndarray) -> dict[str, float]:
    """AUROC (trapezoids) and average precision (sum of precision x step in recall); 0 when a class is missing."""
    if not histogram.sum(axis=1).all():
        return {"AUROC": 0.0, "AveragePrecision": 0.0}
    c = curves(histogram)
    return {
        "AUROC": float(np.trapezoid(c.recall, c.false_positive_rate)),
        "AveragePrecision": float(np.sum(np.diff(c.recall) * c.precision[1:])),
    }


def named_metrics(stage: str, statistics: Statistics) -> dict[str, float]:
    """All metrics of a stage (`train`, `val` or `test`), named `{stage}/{metric}`."""
    values = {"loss": statistics.loss} | confusion_metrics(statistics.total())
    if stage != "train":
        values |= curve_metrics(statistics.histogram)
    return {f"{stage}/{name}": value for name, value in values.items()}
