"""Figures of a run, as PNG files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure

from darts.core.files import write_atomically
from darts.dataset.pictures import rgb_image
from darts.dataset.schema import IGNORE, POSITIVE
from darts.training.metrics import THRESHOLD, Confusion, Statistics, curve_metrics, curves

_IGNORED = "#8d99a6"
_LABEL_COLORS = ListedColormap(["#f2efe6", "#b5361f", _IGNORED])
_PROBABILITY_COLORS = colormaps["magma"].with_extremes(bad=_IGNORED)
GRID = {"color": "#d9d9d9", "linewidth": 0.6}
BLUE, RED, GREY = "#1f5fa8", "#b5361f", "#999999"


@dataclass(frozen=True, slots=True)
class PredictedSample:
    """A patch and what was predicted for it.

    Attributes
    ----------
    name
        Shown above the patch.
    x_chw
        float32 (bands, h, w) in [0, 1].
    y_hw
        Label codes (h, w).
    probability_hw
        float32 (h, w) in [0, 1].
    """

    name: str
    x_chw: np.ndarray
    y_hw: np.ndarray
    probability_hw: np.ndarray


def new_figure(width: float, height: float) -> Figure:
    """A figure of this many inches, drawn without a display."""
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def picture_grid(rows: int, columns: int, width: float, height: float) -> tuple[Figure, np.ndarray]:
    """A figure of pictures with titles, side by side, and its axes (rows, columns); without what places other figures' axes.

    Parameters
    ----------
    width, height
        Inches of one picture with its title.
    """
    figure = Figure(figsize=(width * columns, height * rows), dpi=120)
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=1 - 0.25 / (height * rows), wspace=0.03, hspace=0.12)
    for axis in axes.flat:
        axis.set_axis_off()
    return figure, axes


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, whole or not at all; the same figure gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # No software version in the file: it would change the bytes.
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png", metadata={"Software": None}))
    return path


def draw_samples(samples: Sequence[PredictedSample], bands: Sequence[str], path: Path) -> Path:
    """One row for each patch: image, label, predicted probability, and the outline of both over the image."""
    figure, axes = picture_grid(len(samples), 4, width=2.5, height=2.7)
    for row, sample in zip(axes, samples, strict=True):
        seen = sample.y_hw != IGNORE
        image = rgb_image(sample.x_chw, bands, seen)
        row[0].imshow(image)
        row[0].set_title(sample.name, fontsize=7)
        row[1].imshow(sample.y_hw, cmap=_LABEL_COLORS, vmin=0, vmax=2, interpolation="nearest")
        row[1].set_title("label (grey: ignored)", fontsize=7)
        row[2].imshow(np.where(seen, sample.probability_hw, np.nan), cmap=_PROBABILITY_COLORS, vmin=0, vmax=1)
        row[2].set_title("predicted probability", fontsize=7)
        labelled = outlined(image, sample.y_hw == POSITIVE, "#ffffff")
        row[3].imshow(outlined(labelled, seen & (sample.probability_hw > THRESHOLD), "#ffb000"))
        row[3].set_title("outlines: label white, predicted orange", fontsize=7)
    return save_figure(figure, path)


def outlined(image: np.ndarray, mask: np.ndarray, color: str) -> np.ndarray:
    """A copy of an image (h, w, 3) in [0, 1] with the border of a mask (h, w) painted inside it, some 300th of a side wide.

    Contour lines would be finer, but thousands of specks, as an untrained model predicts, take seconds to draw.
    """
    reach = 2 * max(1, round(len(mask) / 300)) + 1
    inner = cv2.erode(mask.astype(np.uint8), np.ones((reach, reach), np.uint8), borderType=cv2.BORDER_REPLICATE)
    return np.where((mask & (inner == 0))[..., None], to_rgb(color), image)


def draw_augmentations(patches: Sequence[tuple[np.ndarray, np.ndarray]], bands: Sequence[str], path: Path) -> Path:
    """A patch and augmented versions of it, with the outline of the label; all are stretched as the first one.

    Parameters
    ----------
    patches
        x float32 (bands, h, w) in [0, 1] and label codes (h, w) of each; the first is the original.
    """
    labels = [y for _, y in patches]
    is_original = np.concatenate(
        [np.full(y.shape, index == 0) & (y != IGNORE) for index, y in enumerate(labels)], axis=1
    )
    # Side by side they make one image, whose stretch is taken from the original alone: a brighter version looks brighter.
    together = rgb_image(np.concatenate([x for x, _ in patches], axis=2), bands, is_original)
    images = np.split(together, np.cumsum([y.shape[1] for y in labels])[:-1], axis=1)
    rows = -(-len(patches) // 4)
    columns = -(-len(patches) // rows)
    figure, axes = picture_grid(rows, columns, width=2.5, height=2.7)
    for index, (axis, image, y) in enumerate(zip(axes.flat, images, labels, strict=False)):
        axis.imshow(outlined(np.where((y != IGNORE)[..., None], image, to_rgb(_IGNORED)), y == POSITIVE, "#ffb000"))
        axis.set_title(f"augmented {index}" if index else "original", fontsize=8)
    return save_figure(figure, path)


def draw_confusion(confusion: Confusion, title: str, path: Path) -> Path:
    """The confusion matrix, in pixels and as a share of the true class."""
    counts = np.array([[confusion.tn, confusion.fp], [confusion.fn, confusion.tp]], dtype=float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = new_figure(4.2, 3.8)
    axis = figure.subplots()
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (i, j), share in np.ndenumerate(shares):
        color = "white" if share > 0.5 else "black"
        axis.text(j, i, f"{share:.1%}\n{counts[i, j]:,.0f} px", ha="center", va="center", color=color)
    axis.set_xticks([0, 1], ["background", "positive"])
    axis.set_yticks([0, 1], ["background", "positive"], rotation=90, va="center")
    axis.set_xlabel("predicted")
    axis.set_ylabel("label")
    axis.set_title(title, fontsize=10)
    return save_figure(figure, path)


def draw_roc(statistics: Statistics, title: str, path: Path) -> Path:
    """The ROC curve, with that of guessing."""
    c = curves(statistics.histogram)
    area = curve_metrics(statistics.histogram)["AUROC"]
    figure = new_figure(4.2, 4)
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="guessing")
    axis.plot(c.false_positive_rate, c.recall, color=BLUE, label=f"model, area {area:.3f}")
    _finish_curve(axis, "false positive rate", "recall", title)
    return save_figure(figure, path)


def draw_precision_recall(statistics: Statistics, title: str, path: Path) -> Path:
    """The precision-recall curve, with that of guessing."""
    c = curves(statistics.histogram)
    precision = curve_metrics(statistics.histogram)["AveragePrecision"]
    positives = statistics.histogram[1].sum() / max(statistics.histogram.sum(), 1)
    figure = new_figure(4.2, 4)
    axis = figure.subplots()
    axis.axhline(positives, color=GREY, linestyle="--", linewidth=1, label="guessing")
    axis.plot(c.recall, c.precision, color=BLUE, label=f"model, average precision {precision:.3f}")
    _finish_curve(axis, "recall", "precision", title)
    return save_figure(figure, path)


def draw_threshold(statistics: Statistics, title: str, path: Path) -> Path:
    """F1 and IoU over the threshold of the probability, with the threshold in use and the best one of each."""
    c = curves(statistics.histogram)
    # Curves come with falling thresholds; with precision p and recall r, F1 = 2pr / (p + r) and IoU = pr / (p + r - pr).
    product, total = c.precision * c.recall, np.maximum(c.precision + c.recall, 1e-12)
    figure = new_figure(4.2, 4)
    axis = figure.subplots()
    in_use = int(np.argmin(np.abs(c.threshold - THRESHOLD)))
    for name, color, values in (
        ("F1", BLUE, 2 * product / total),
        ("IoU", RED, product / np.maximum(total - product, 1e-12)),
    ):
        best = int(np.argmax(values))
        label = f"{name}: {values[in_use]:.3f}, best {values[best]:.3f} at {c.threshold[best]:.2f}"
        axis.plot(c.threshold, values, color=color, label=label)
        axis.plot(c.threshold[best], values[best], "o", color=color, markersize=4)
    axis.axvline(THRESHOLD, color=GREY, linestyle="--", linewidth=1, label=f"threshold in use: {THRESHOLD}")
    _finish_curve(axis, "threshold of the probability", "F1 and IoU", title)
    return save_figure(figure, path)


def _finish_curve(axis: Any, x_label: str, y_label: str, title: str) -> None:
    axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=x_label, ylabel=y_label)
    axis.set_title(title, fontsize=10)
    axis.grid(**GRID)
    axis.legend(loc="best", fontsize=8)


def draw_statistics(statistics: Statistics, stage: str, folder: Path) -> list[Path]:
    """Confusion matrix, ROC, precision-recall and the choice of the threshold of a stage."""
    return [
        draw_confusion(statistics.total(), f"{stage}: confusion of pixels", folder / f"{stage}-confusion-matrix.png"),
        draw_roc(statistics, f"{stage}: ROC", folder / f"{stage}-roc.png"),
        draw_precision_recall(statistics, f"{stage}: precision and recall", folder / f"{stage}-precision-recall.png"),
        draw_threshold(statistics, f"{stage}: choice of the threshold", folder / f"{stage}-threshold.png"),
    ]
