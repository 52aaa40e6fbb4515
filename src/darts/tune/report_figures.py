"""Figures of a sweep, as SVG text for an HTML page: its colours are those of the page, and marks say what they are.

Optuna's own figures are not used: they change the style of all of pyplot, can't be dark, and their labels run into each
other where there are categories.
"""

import html
import io
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Curve

from darts.tune.report_scales import Scale

# Each stands for a colour of the page, which is another one in the dark.
_INK, _MUTED, _GRID, _CARD, _POINT, _BEST = (f"#0000f{digit}" for digit in range(1, 7))
_PAGE_COLORS = {
    _INK: "var(--ink)",
    _MUTED: "var(--muted)",
    _GRID: "var(--line)",
    _CARD: "var(--card)",
    _POINT: "var(--point)",
    _BEST: "var(--best)",
}
_STYLE = {
    "font.size": 11,
    "text.color": _INK,
    "text.parse_math": False,
    "axes.edgecolor": _GRID,
    "axes.facecolor": "none",
    "axes.labelcolor": _MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "xtick.color": _GRID,
    "ytick.color": _GRID,
    "xtick.labelcolor": _MUTED,
    "ytick.labelcolor": _MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "svg.fonttype": "none",
}
_TITLE = "title:"
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True)
class Point:
    """A trial, as the figures show it; `score` is finite for complete trials.

    Attributes
    ----------
    state
        As in `darts.tune.table.STATE_WORDS`.
    """

    number: int
    state: str
    score: float
    is_unstable: bool
    params: Mapping[str, Any]

    @property
    def title(self) -> str:
        """What is shown at the mark of the trial."""
        score = f": {self.score:.4f}" if math.isfinite(self.score) else ""
        return f"trial {self.number}{score}{', unstable' if self.is_unstable else ''}"


def _new_figure(width: int, height: int) -> Figure:
    """A figure of this many pixels of the page."""
    figure = Figure(figsize=(width / 72, height / 72), dpi=72, layout="constrained")
    FigureCanvasSVG(figure)
    return figure


def _svg(figure: Figure, label: str) -> str:
    buffer = io.StringIO()
    # No date and no version in the file: the same sweep draws the same bytes.
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context({**_STYLE, "svg.hashsalt": label}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the page has other fonts
        figure.savefig(buffer, format="svg", metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    view = re.search(r'viewBox="[^"]*"', text)
    assert view is not None
    inner = re.sub(r"<style.*?</style>", "", text[text.index(">") + 1 :], flags=re.DOTALL)
    inner = re.sub(rf'<g id="{_TITLE}([^"]*)">', r'<g class="mark"><title>\1</title>', inner)
    inner = re.sub(r' id="[A-Za-z0-9.]+_\d+"', "", inner).replace("xlink:href", "href")
    for color, name in _PAGE_COLORS.items():
        inner = inner.replace(color, name)
    inner = inner.replace('<g id="halo">', '<g class="halo">')
    return f'<svg class="plot" role="img" aria-label="{html.escape(label)}" {view[0]}>{inner}'


@mpl.rc_context(_STYLE)
def draw_history(points: Sequence[Point], best: Point | None, *, lower_is_better: bool) -> str:
    """The score of each trial, the best so far, and which trials came to no score."""
    figure = _new_figure(640, 300)
    axis = figure.subplots()
    complete = [point for point in points if point.state == "complete" and math.isfinite(point.score)]
    _best_so_far(axis, complete, max((point.number for point in points), default=0), lower_is_better)
    for point in complete:
        _mark(axis, point.number, point.score, point, best)
    others = [point for point in points if point.state in ("pruned", "failed")]
    for point in others:
        title = f"trial {point.number}: {point.state}"
        marker = "x" if point.state == "failed" else "|"
        style = {"marker": marker, "color": _MUTED, "markersize": 5, "transform": axis.get_xaxis_transform()}
        axis.plot([point.number], [0.02], gid=_TITLE + title, clip_on=False, **style)
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set(xlabel="trial", ylabel="score")
    _margin(axis, [point.score for point in complete])
    _legend(axis, complete, {point.state for point in others})
    return _svg(figure, "Scores of all trials")


def _best_so_far(axis: Axes, complete: Sequence[Point], last: int, lower_is_better: bool) -> None:
    if not complete:
        return
    scores = np.array([point.score for point in complete])
    best = np.minimum.accumulate(scores) if lower_is_better else np.maximum.accumulate(scores)
    numbers = [point.number for point in complete]
    axis.step([*numbers, last], [*best, best[-1]], where="post", color=_BEST, linewidth=1.3, alpha=0.75, zorder=1.5)


def _mark(axis: Axes, x: float, y: float, point: Point, best: Point | None) -> None:
    """A dot: filled, hollow if the score is unstable, large if it is the best."""
    is_best = best is not None and point.number == best.number
    color = _BEST if is_best else _POINT
    axis.plot(
        [x],
        [y],
        "o",
        gid=_TITLE + point.title,
        markersize=9 if is_best else 6,
        color=color,
        markeredgecolor=color if point.is_unstable else _CARD,
        markerfacecolor=_CARD if point.is_unstable else color,
        markeredgewidth=1.3 if point.is_unstable else 0.7,
        zorder=4 if is_best else 3,
        clip_on=False,
    )


def _margin(axis: Axes, scores: Sequence[float]) -> None:
    """Room below for the trials without a score, and something to see if all scores are equal."""
    low, high = (min(scores), max(scores)) if scores else (0.0, 1.0)
    room = (high - low) or abs(high) * 0.1 or 0.1
    axis.set_ylim(low - 0.14 * room, high + 0.08 * room)


def _legend(axis: Axes, complete: Sequence[Point], others: set[str]) -> None:
    dot = {"marker": "o", "linestyle": "none", "markersize": 6, "markeredgewidth": 1.2}
    axis.plot([], [], color=_BEST, linewidth=1.3, alpha=0.75, label="best so far")
    axis.plot([], [], color=_POINT, label="complete", **dot)
    if any(point.is_unstable for point in complete):
        axis.plot([], [], color=_POINT, markerfacecolor=_CARD, label="unstable", **dot)
    for state, marker in (("pruned", "|"), ("failed", "x")):
        if state in others:
            axis.plot([], [], marker, color=_MUTED, markersize=5, label=state)
    place = {"loc": "lower left", "bbox_to_anchor": (-0.01, 1.0), "borderaxespad": 0.2}
    axis.legend(
        ncols=5, fontsize=10, handlelength=1.2, handletextpad=0.4, columnspacing=1.4, labelcolor=_MUTED, **place
    )


@mpl.rc_context(_STYLE)
def draw_importances(importances: Mapping[str, Mapping[str, float]]) -> str:
    """Bars for each parameter, the most important one on top, in one colour for each of one or two groups of trials."""
    *_, last = importances.values()
    names = sorted(last, key=lambda name: last[name])
    figure = _new_figure(440, max(150, 60 + 40 * len(names)))
    axis = figure.subplots()
    height = 0.62 / len(importances)
    for group, (label, shares) in enumerate(importances.items()):
        strength = 1.0 if group == len(importances) - 1 else 0.35
        for position, name in enumerate(names):
            y = position + height * (len(importances) / 2 - group - 0.5)
            axis.barh(y, shares[name], height * 0.9, color=_POINT, alpha=strength, label="_" if position else label)
            axis.text(shares[name] + 0.01, y, f"{shares[name]:.0%}", va="center", fontsize=9, color=_MUTED)
    axis.set_yticks(range(len(names)), names, color=_INK)
    axis.set(xlim=(0, max(max(shares.values()) for shares in importances.values()) * 1.14), xticks=[])
    axis.spines["bottom"].set_visible(False)
    axis.grid(visible=False)
    if len(importances) > 1:
        axis.legend(loc="lower right", fontsize=10, labelcolor=_MUTED, handlelength=1)
    return _svg(figure, "Importance of the parameters")


@mpl.rc_context(_STYLE)
def draw_slice(name: str, scale: Scale, points: Sequence[Point], best: Point | None) -> str:
    """The score over one parameter; categories are rows, with their median as a line."""
    figure = _new_figure(340, max(220, 60 + 26 * len(scale.ticks)) if scale.is_categorical else 220)
    axis = figure.subplots()
    shown = [(point, scale.place(point.params.get(name))) for point in points]
    shown = [(point, place) for point, place in shown if math.isfinite(place)]
    places, labels = zip(*scale.ticks, strict=True)
    if scale.is_categorical:
        width = 1 / len(scale.ticks)
        for point, place in shown:
            _mark(axis, point.score, place + 0.5 * width * _jitter(point.number), point, best)
        for place, group in groupby(sorted(shown, key=lambda one: one[1]), key=lambda one: one[1]):
            middle = median(point.score for point, _ in group)
            axis.plot([middle] * 2, [place - 0.36 * width, place + 0.36 * width], color=_INK, linewidth=1.4, alpha=0.7)
        axis.set_yticks(places, labels, color=_INK)
        axis.set(ylim=(0, 1), xlabel="score")
        axis.xaxis.get_major_locator().set_params(nbins=5)
    else:
        for point, place in shown:
            _mark(axis, place, point.score, point, best)
        axis.set_xticks(places, labels)
        axis.set(xlim=(-0.03, 1.03), ylabel="score")
    return _svg(figure, f"Score over {name}")


def _jitter(number: int) -> float:
    """From -0.5 to 0.5, far from that of the trials before, and always the same."""
    return (number * _GOLDEN) % 1 - 0.5


@mpl.rc_context(_STYLE)
def draw_parallel_coordinates(
    scales: Mapping[str, Scale], points: Sequence[Point], best: Point | None, score: Scale
) -> str:
    """A line for each trial through its values, the last of which is its score; the better, the stronger."""
    figure = _new_figure(max(480, 170 * (len(scales) + 1)), 380)
    axis = figure.subplots()
    ranks = sorted(points, key=lambda point: score.place(point.score))
    for rank, point in enumerate(ranks):
        places = [scale.place(point.params.get(name)) + _spread(scale, point.number) for name, scale in scales.items()]
        places.append(score.place(point.score))
        if not all(map(math.isfinite, places)):
            continue
        is_best = best is not None and point.number == best.number
        look: dict[str, Any] = {"edgecolor": _POINT, "alpha": 0.08 + 0.62 * (rank / len(ranks)) ** 2, "linewidth": 1.3}
        if is_best:
            look = {"edgecolor": _BEST, "linewidth": 2.4}
        axis.add_patch(PathPatch(_curve(places), facecolor="none", gid=_TITLE + point.title, clip_on=False, **look))
    for x, (name, scale) in enumerate([*scales.items(), ("score", score)]):
        _upright(axis, x, name, scale)
    axis.set(xlim=(-0.05, len(scales) + 0.35), ylim=(-0.04, 1.09))
    axis.set_axis_off()
    return _svg(figure, "Parallel coordinates of all complete trials")


def _spread(scale: Scale, number: int) -> float:
    """Lines of the same category lie side by side."""
    return 0.45 / len(scale.ticks) * _jitter(number) if scale.is_categorical else 0.0


def _curve(places: Sequence[float]) -> Curve:
    """A line that is level where it meets an axis, so that it can be followed."""
    vertices = [(0.0, places[0])]
    for x, (before, after) in enumerate(zip(places, places[1:], strict=False)):
        vertices += [(x + 0.45, before), (x + 0.55, after), (x + 1.0, after)]
    return Curve(vertices, [Curve.MOVETO] + [Curve.CURVE4] * (len(vertices) - 1))


def _upright(axis: Axes, x: float, name: str, scale: Scale) -> None:
    axis.plot([x, x], [0, 1], color=_MUTED, linewidth=1, zorder=3)
    axis.text(x, 1.05, name, ha="center", va="bottom", fontsize=11, fontweight="bold")
    for place, label in scale.ticks:
        axis.plot([x - 0.012, x + 0.012], [place, place], color=_MUTED, linewidth=1, zorder=3)
        axis.text(x + 0.03, place, label, va="center", fontsize=9, color=_INK, gid="halo", zorder=5)
