"""Metrics of the positive class over all pixels that are not ignored, from one confusion state and one histogram."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import torch
from scipy.special import expit
from torchmetrics import Metric

from darts.dataset.schema import BACKGROUND, POSITIVE

BINS = 8192
"""Bins of the predicted logit; the curves are exact up to their width."""
THRESHOLD = 0.5
_HALF = 1.5 * 2**-24  # of logits above it the sigmoid is above 0.5; below, in float32, 1 + exp(-x) is rounded to 2
_MIDDLE = 3.0  # half of the bins lie between this logit and minus it, probabilities from 0.05 to 0.95
_HIGHEST = 6e4  # of logits: there, all probabilities are 0 and 1


class PixelStatistics(Metric):
    """Counts, over a whole epoch and all processes, of what was predicted where.

    States: `confusion` (rows, 2, 2) int64, indexed by row of the dataset, true class, predicted class; `histogram`
    (2, BINS) int64, indexed by true class and bin of the logit; `loss_sum` float64 and `loss_count` int64, the loss of each
    pixel. All are sums, so the order of patches and their division into batches and processes change nothing.

    A trained model is sure of most pixels, which would lie in the first and the last of equal bins of probability. So a
    logit x lies in bin BINS / 2 * (1 + x / (3 + |x|)); one is 0.0002 of probability wide at 0.5, and 0.000001 at 0.0001.

    Parameters
    ----------
    rows
        Number of rows that `update` may name.
    """

    full_state_update = False
    confusion: torch.Tensor
    histogram: torch.Tensor
    loss_sum: torch.Tensor
    loss_count: torch.Tensor

    def __init__(self, rows: int = 1) -> None:
        super().__init__()
        self.add_state("confusion", torch.zeros(rows, 2, 2, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("histogram", torch.zeros(2, BINS, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("loss_sum", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("loss_count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(
        self, logits: torch.Tensor, y: torch.Tensor, loss: torch.Tensor, row: torch.Tensor, *, with_curves: bool
    ) -> None:
        """Count a batch, without gradients.

        Parameters
        ----------
        logits
            float (n, h, w); a pixel is predicted positive where their sigmoid in float32 is above 0.5.
        y
            Label codes (n, h, w).
        loss
            Scalar: the mean over the pixels that are not ignored.
        row
            int64 (n): the row of each patch, which may come more than once.
        with_curves
            Fill the histogram, too.
        """
        logits = logits.detach().float()
        cells = (_cells_on_cpu if logits.device.type == "cpu" else _cells)(logits, y)
        # New tensors: what was made in inference mode may not be changed outside of it.
        self.confusion = self.confusion.index_add(0, row, cells)
        if with_curves:
            self.histogram = self.histogram + _histogram(logits, y)
        count = cells.sum()
        self.loss_sum = self.loss_sum + loss.detach().double() * count
        self.loss_count = self.loss_count + count

    def compute(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Confusion, histogram, and mean loss; of all processes."""
        return self.confusion, self.histogram, self.loss_sum / self.loss_count.clamp(min=1)

    def statistics(self) -> "Statistics":
        """What `compute` gives, as plain arrays."""
        confusion, histogram, loss = self.compute()
        return Statistics(confusion.cpu().numpy(), histogram.cpu().numpy(), float(loss))

    def counted(self) -> dict[str, torch.Tensor]:
        """What this process counted so far, on the CPU, for `restore`."""
        return {name: getattr(self, name).detach().cpu().clone() for name in self._defaults}

    def restore(self, counted: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `counted` gave."""
        self.reset()
        for name in self._defaults:
            setattr(self, name, counted[name].to(self.device))
        self._update_count = 1


def _cells(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Confusion of each patch (n, 2, 2) int64, by true class and predicted class, on any device."""
    cell = 2 * y + (logits > _HALF)
    return torch.stack([(cell == code).flatten(1).sum(1) for code in range(4)], dim=1).reshape(-1, 2, 2)


def _cells_on_cpu(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The same, one patch after the other: numpy counts bools many times faster than torch adds them up."""
    cells = np.empty((len(y), 2, 2), dtype=np.int64)
    for patch_logits, patch_y, patch_cells in zip(logits.numpy(), y.numpy(), cells, strict=True):
        predicted = patch_logits > np.float32(_HALF)
        for code in (BACKGROUND, POSITIVE):
            true = patch_y == code
            hits = np.count_nonzero(true & predicted)
            patch_cells[code] = np.count_nonzero(true) - hits, hits
    return torch.from_numpy(cells)


def _histogram(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Pixels by true class and bin (2, BINS) int64, on any device."""
    x = logits.clamp(-_HIGHEST, _HIGHEST)
    bins = x.div_(x.abs().add_(_MIDDLE)).add_(1).mul_(BINS / 2).to(torch.int16)
    codes = bins.add_(y.to(torch.int16), alpha=BINS)  # ignored pixels have those from 2 * BINS on
    return torch.bincount(codes.flatten(), minlength=3 * BINS)[: 2 * BINS].reshape(2, BINS)


def bin_edges() -> np.ndarray:
    """The probabilities between bins, with 0 and 1 at the ends: float64 (BINS + 1), rising."""
    part = np.linspace(-1, 1, BINS + 1)[1:-1]
    logit = _MIDDLE * part / (1 - np.abs(part))
    return np.concatenate([[0.0], expit(logit), [1.0]])


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
        int64 (rows, 2, 2), by row of the dataset, true class, predicted class.
    histogram
        int64 (2, BINS), by true class and bin of the logit.
    loss
        Mean over all pixels that are not ignored.
    """

    confusion: np.ndarray
    histogram: np.ndarray
    loss: float

    def total(self) -> Confusion:
        """The confusion of all rows together."""
        return _confusion(self.confusion.sum(axis=0))

    def by(self, names: np.ndarray) -> dict[str, Confusion]:
        """The confusion of all rows of the same name, sorted by name.

        Parameters
        ----------
        names
            One text for each row. Rows, and so names, of which no pixel was counted are left out.

        Raises
        ------
        ValueError
            When there are more or fewer names than rows.
        """
        if len(names) != len(self.confusion):
            raise ValueError(f"each row has a name, but there are {len(names)} of {len(self.confusion)} rows")
        unique, group = np.unique(np.asarray(names).astype(str), return_inverse=True)
        counts = np.zeros((len(unique), 2, 2), dtype=np.int64)
        np.add.at(counts, group, self.confusion)
        return {str(name): _confusion(part) for name, part in zip(unique, counts, strict=True) if part.any()}


def _confusion(counts: np.ndarray) -> Confusion:
    (tn, fp), (fn, tp) = counts.tolist()
    return Confusion(tp, fp, fn, tn)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def confusion_metrics(c: Confusion) -> dict[str, float]:
    """The metrics that follow from a confusion; 0 where a denominator is 0.

    Torchmetrics says otherwise in two cases: without any pixel its Hamming distance is 1, and where all are labelled and
    predicted as one class its kappa is NaN, as it is without any.
    """
    n = c.tp + c.fp + c.fn + c.tn
    accuracy = _ratio(c.tp + c.tn, n)
    by_chance = _ratio((c.tp + c.fp) * (c.tp + c.fn) + (c.fn + c.tn) * (c.fp + c.tn), n * n)
    return {
        "Accuracy": accuracy,
        "Precision": _ratio(c.tp, c.tp + c.fp),
        "Recall": _ratio(c.tp, c.tp + c.fn),
        "Specificity": _ratio(c.tn, c.tn + c.fp),
        "NegativePredictiveValue": _ratio(c.tn, c.tn + c.fn),
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
    counts = _counts_above(histogram)
    negatives, positives = np.maximum(counts[:, -1], 1)
    predicted = counts.sum(axis=0)
    return Curves(
        threshold=bin_edges()[::-1],
        false_positive_rate=counts[0] / negatives,
        recall=counts[1] / positives,
        precision=np.where(predicted > 0, counts[1] / np.maximum(predicted, 1), 1.0),
    )


def _counts_above(histogram: np.ndarray) -> np.ndarray:
    """False and true positives (2, BINS + 1) float64, at thresholds falling from 1 to 0."""
    return np.concatenate([np.zeros((2, 1)), np.cumsum(histogram[:, ::-1], axis=1)], axis=1)


def curve_metrics(histogram: np.ndarray) -> dict[str, float]:
    """AUROC (trapezoids) and average precision (sum of precision x step in recall).

    AUROC is 0 where a class is missing, and average precision where no label is positive, as in torchmetrics.
    """
    if not histogram[1].any():
        return {"AUROC": 0.0, "AveragePrecision": 0.0}
    c = curves(histogram)
    return {
        "AUROC": float(np.trapezoid(c.recall, c.false_positive_rate)),
        "AveragePrecision": float(np.sum(np.diff(c.recall) * c.precision[1:])),
    }


def threshold_curve(histogram: np.ndarray) -> pd.DataFrame:
    """F1 and IoU by threshold: columns threshold, F1Score, JaccardIndex; BINS + 1 rows, thresholds falling from 1 to 0.

    A pixel of the (2, BINS) histogram is positive where its probability isn't below the threshold.
    """
    fp, tp = _counts_above(histogram)
    fn = tp[-1] - tp
    wrong = fp + fn
    return pd.DataFrame(
        {
            "threshold": bin_edges()[::-1],
            "F1Score": 2 * tp / np.maximum(2 * tp + wrong, 1),
            "JaccardIndex": tp / np.maximum(tp + wrong, 1),
        }
    )


def best_threshold(curve: pd.DataFrame) -> float:
    """The threshold of a `threshold_curve` with the highest F1 (and IoU); of several, the one nearest to 0.5."""
    best = curve["threshold"][curve["F1Score"] == curve["F1Score"].max()]
    return float(best.iloc[int((best - THRESHOLD).abs().argmin())])


def named_metrics(stage: str, statistics: Statistics) -> dict[str, float]:
    """All metrics of a stage (`train`, `val` or `test`), named `{stage}/{metric}`."""
    values = {"loss": statistics.loss} | confusion_metrics(statistics.total())
    if stage != "train":
        values |= curve_metrics(statistics.histogram)
    return {f"{stage}/{name}": value for name, value in values.items()}


def metrics_table(statistics: Statistics, names: np.ndarray) -> pd.DataFrame:
    """The metrics of each name, such as a region or a scene; `names` is as for `Statistics.by`.

    Columns name (sorted), pixels, tp, fp, fn, tn, and those of `confusion_metrics`.
    """
    rows = [
        {"name": name, "pixels": c.tp + c.fp + c.fn + c.tn, **asdict(c), **confusion_metrics(c)}
        for name, c in statistics.by(names).items()
    ]
    columns = ["name", "pixels", *asdict(Confusion(0, 0, 0, 0)), *confusion_metrics(Confusion(0, 0, 0, 0))]
    return pd.DataFrame(rows, columns=columns)
