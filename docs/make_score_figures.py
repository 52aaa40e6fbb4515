"""Draw how the scoring strategies combine two metrics into `docs/assets/score-*.svg`; the same code gives the same files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from darts.tune.config import ScoreStrategy
from darts.tune.score import parse_scoring_metrics, score_of_run

ASSETS = Path(__file__).parent / "assets"
INK, FAINT, PAPER, EDGE, BEYOND = "#22303a", "#5b6873", "#f8f5ee", "#d8d2c6", "#e6e1d6"
LEVELS = np.linspace(0, 1, 11)
LIGHT = 0.65
"""Colours of scores above this are light, and are written on in dark ink."""
COLOURS = mpl.colormaps["viridis"].with_extremes(over=BEYOND)
NORM = BoundaryNorm(LEVELS, COLOURS.N)
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 14,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 16,
    "axes.titleweight": "bold",
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "hatch.color": "#cfc8b8",
    "hatch.linewidth": 1.2,
    "svg.hashsalt": "darts",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two metrics that are scored together.

    Attributes
    ----------
    across, up
        The metric on each axis, as it is written for `--scoring-metric`, its name, and its greatest value.
    bound
        Whether the metric that goes up can't be greater than the one that goes across.
    """

    file: str
    across: tuple[str, str, float]
    up: tuple[str, str, float]
    bound: bool = False


IOU = ("val/JaccardIndex:higher", "IoU", 1.0)
PAIRS = (
    Pair("score-iou-recall.svg", ("val/Recall:higher", "recall", 1.0), IOU, bound=True),
    Pair("score-iou-loss.svg", ("val/loss:lower", "loss (lower is better)", 2.0), IOU),
)
STRATEGIES: tuple[ScoreStrategy, ...] = ("harmonic", "geometric", "arithmetic", "min")
POINTS, DOTS = 161, 200


def main() -> None:
    """Draw both figures."""
    for pair in PAIRS:
        with mpl.rc_context(STYLE):
            draw(pair).savefig(ASSETS / pair.file, dpi=DOTS, metadata={"Date": None}, transparent=True)
        print(f"wrote {ASSETS / pair.file}")


def draw(pair: Pair) -> Figure:
    """One panel for each strategy, with one scale of colours for all."""
    figure = Figure(figsize=(10.4, 9.4), facecolor="none")
    _card(figure)
    axes = figure.subplots(
        2, 2, sharex=True, sharey=True, gridspec_kw={"left": 0.1, "right": 0.855, "bottom": 0.085, "top": 0.94}
    )
    figure.subplots_adjust(wspace=0.12, hspace=0.17)
    for axis, strategy in zip(axes.flat, STRATEGIES, strict=True):
        _panel(axis, pair, strategy)
    for axis in axes[-1]:
        axis.set_xlabel(pair.across[1])
    for axis in axes[:, 0]:
        axis.set_ylabel(pair.up[1])
    _colour_bar(figure, "neither" if pair.bound else "max")
    return figure


def _card(figure: Figure) -> None:
    """A light background of its own, so that the figure can be read on a dark page."""
    card = FancyBboxPatch((0.002, 0.002), 0.996, 0.996, "round,pad=0,rounding_size=0.016", transform=figure.transFigure)
    card.set(facecolor=PAPER, edgecolor=EDGE, linewidth=1.2, zorder=-1)
    figure.add_artist(card)


def _panel(axis: Axes, pair: Pair, strategy: ScoreStrategy) -> None:
    across = np.linspace(0, pair.across[2], POINTS)
    across[0] = across[1] / 20  # 1 / 0 can't be drawn
    up = np.linspace(0, pair.up[2], POINTS)
    scores = score_grid(pair, strategy, across, up)
    # As an image: drawn as shapes, the file is four times as large, and has seams.
    axis.contourf(across, up, scores, LEVELS, cmap=COLOURS, norm=NORM, extend="max").set_rasterized(True)
    lines = axis.contour(across, up, scores, LEVELS[1:], colors=[_ink_on(level) for level in LEVELS[1:]], linewidths=1)
    _label(axis, lines, pair)
    if scores.max() > 1 + 1e-9:
        _mark_beyond(axis, across, up, scores)
    if pair.bound:
        axis.plot([0, 1], [0, 1], color="white", linewidth=2, linestyle=(0, (4, 3)))
    axis.set(title=strategy, xlim=(0, pair.across[2]), ylim=(0, pair.up[2]))
    axis.set_box_aspect(1)
    for one, highest in ((axis.xaxis, pair.across[2]), (axis.yaxis, pair.up[2])):
        ticks = np.linspace(0, highest, 5)
        one.set_ticks(ticks, [f"{tick:g}" for tick in ticks])


def score_grid(pair: Pair, strategy: ScoreStrategy, across: Any, up: Any) -> Any:
    """The score of every combination of values (up, across)."""
    metrics = parse_scoring_metrics([pair.across[0], pair.up[0]])
    first, second = (metric.name for metric in metrics)
    return np.array(
        [[score_of_run({first: float(x), second: float(y)}, metrics, strategy) for x in across] for y in up]
    )


def _mark_beyond(axis: Axes, across: Any, up: Any, scores: Any) -> None:
    axis.contourf(across, up, scores, [1.0, 1e9], colors="none", hatches=["//"])
    rows, columns = np.nonzero(scores > 1)
    text = axis.text(across[columns].mean(), up[rows].mean(), "above 1", ha="center", va="center")
    text.set_bbox({"facecolor": BEYOND, "edgecolor": "none", "pad": 2})


def _ink_on(level: float) -> str:
    return "white" if level < LIGHT else INK


def _label(axis: Axes, lines: QuadContourSet, pair: Pair) -> None:
    """Write the score on every second line, in the middle of the part that can be."""
    paths = dict(zip(LEVELS[1:], lines.get_paths(), strict=True))
    for level in LEVELS[2::2]:
        corners = paths[level].vertices
        if pair.bound:
            corners = corners[corners[:, 1] <= corners[:, 0]]
        if len(corners) < POINTS / 10:
            continue
        steps = np.hypot(*(np.diff(corners, axis=0) / [pair.across[2], pair.up[2]]).T)
        half = corners[np.searchsorted(np.cumsum(steps), steps.sum() / 2)]
        *_, text = axis.clabel(lines, [level], fmt="%.1f", fontsize=13, inline_spacing=4, manual=[half])
        text.set(fontweight="bold", color=_ink_on(level))


def _colour_bar(figure: Figure, extend: Literal["neither", "max"]) -> None:
    place = figure.add_axes((0.89, 0.085, 0.022, 0.855))
    bar = figure.colorbar(ScalarMappable(NORM, COLOURS), cax=place, extend=extend, extendfrac=0.04, ticks=LEVELS[::2])
    bar.ax.set_title("score", fontsize=14, fontweight="normal", pad=8)
    bar.outline.set_edgecolor(FAINT)


if __name__ == "__main__":
    main()
