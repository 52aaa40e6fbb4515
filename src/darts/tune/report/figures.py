"""Figures of a sweep, as SVG text for an HTML page: its colours are those of the page, and marks say what they are.

Optuna's own figures are not used: they change the style of all of pyplot, can't be dark, and their labels run into each
other where there are categories.
"""

import html
import io
import math
import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby, pairwise
from statistics import median
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Curve
from matplotlib.ticker import MaxNLocator

from darts.tune.report.scales import Scale, short_text
from darts.tune.report.view import Point, Scores

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
_STYLE: Any = {  # the type of its keys is a list of some hundred names
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
    "legend.fontsize": 10,
    "legend.labelcolor": _MUTED,
    "legend.handlelength": 1.2,
    "legend.handletextpad": 0.4,
    "legend.columnspacing": 1.4,
    "figure.facecolor": "none",
    "svg.fonttype": "none",
}
_TITLE, _HALO = "title:", "halo"
_ABOVE: Any = {"loc": "lower left", "bbox_to_anchor": (-0.01, 1.0), "borderaxespad": 0.2}
_OTHERS = {"pruned": "|", "failed": "x"}
# By the side of the axis on which a score lies beyond it.
_MARKERS = {False: {0: "o", -1: "v", 1: "^"}, True: {0: "o", -1: "<", 1: ">"}}
_MOST_BARS, _MANY_ROWS = 10, 8
_GOLDEN = (math.sqrt(5) - 1) / 2


def _new_figure(width: int, height: int) -> Figure:
    """A figure of this many pixels of the page."""
    figure = Figure(figsize=(width / 72, height / 72), dpi=72, layout="constrained")
    FigureCanvasSVG(figure)
    return figure


def _svg(figure: Figure, label: str) -> str:
    buffer = io.StringIO()
    # No date and no version in the file: the same sweep draws the same bytes.
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context({"svg.hashsalt": label}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the page has other fonts
        figure.savefig(buffer, format="svg", metadata=nothing)
    return _for_page(buffer.getvalue(), label)


def _for_page(text: str, label: str) -> str:
    """The SVG of matplotlib without its head, ids and styles, which would meet those of the page and other figures."""
    svg = text[text.index("<svg") :]
    view = re.search(r'viewBox="0 0 (\S+) [^"]*"', svg)
    assert view is not None
    inner = re.sub(r"<style.*?</style>", "", svg[svg.index(">") + 1 :], flags=re.DOTALL)
    inner = re.sub(rf'<g id="{_TITLE}([^"]*)">', r'<g class="mark"><title>\1</title>', inner)
    inner = inner.replace(f'<g id="{_HALO}">', f'<g class="{_HALO}">')
    inner = re.sub(r' id="[A-Za-z0-9.]+_\d+"', "", inner).replace("xlink:href", "href")
    for color, name in _PAGE_COLORS.items():
        inner = inner.replace(color, name)
    about = f'role="img" aria-label="{html.escape(label)}" style="--width: {float(view[1]):.0f}px"'
    return f'<svg class="plot" {about} {view[0]}>{inner}'


@mpl.rc_context(_STYLE)
def draw_history(scores: Scores, others: Sequence[Point]) -> str:
    """The score of each trial, the best so far, and, at the bottom, trials that failed or were pruned."""
    figure = _new_figure(640, 340)
    axis = figure.subplots()
    last = max((point.number for point in (*scores.points, *others)), default=0)
    _draw_best_so_far(axis, scores, last)
    for point in scores.points:
        _mark(axis, point.number, point, scores)
    for point in others:
        axis.plot(
            [point.number], [0.02], _OTHERS[point.state], gid=_TITLE + point.title, color=_MUTED, markersize=6,
            transform=axis.get_xaxis_transform(), clip_on=False,
        )  # fmt: skip
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlim(-0.03 * last - 0.5, 1.03 * last + 0.5)
    low, high, room = scores.range.low, scores.range.high, scores.range.room
    axis.set(xlabel="trial", ylabel="score", ylim=(low - 0.2 * room, high + 0.1 * room))
    _legend(axis, scores, {point.state for point in others})
    return _svg(figure, "Scores of all trials")


def _draw_best_so_far(axis: Axes, scores: Scores, last: int) -> None:
    if scores.points:
        best = np.minimum if scores.lower_is_better else np.maximum
        heights = best.accumulate([scores.range.pinned(point.score) for point in scores.points])
        numbers = [point.number for point in scores.points]
        axis.step([*numbers, last], [*heights, heights[-1]], where="post", color=_BEST, linewidth=1.3, alpha=0.75)


def _mark(axis: Axes, place: float, point: Point, scores: Scores, *, sideways: bool = False) -> None:
    """A dot: hollow if the score is unstable, large if it is the best, a triangle if it lies beyond the axis."""
    is_best = point.number == scores.best
    color = _BEST if is_best else _POINT
    height = scores.range.pinned(point.score)
    side = scores.range.side(point.score)
    (mark,) = axis.plot(
        [height if sideways else place],
        [place if sideways else height],
        _MARKERS[sideways][side],
        gid=_TITLE + point.title,
        color=color,
        markersize=9 if is_best else 6,
        markeredgecolor=color if point.is_unstable else _CARD,
        markerfacecolor=_CARD if point.is_unstable else color,
        markeredgewidth=1.3 if point.is_unstable else 0.7,
        zorder=4 if is_best else 3,
        clip_on=False,
    )
    mark.set_in_layout(False)  # else its extent is computed again and again


def _legend(axis: Axes, scores: Scores, states: Collection[str]) -> None:
    axis.plot([], [], color=_BEST, linewidth=1.3, alpha=0.75, label="best so far")
    look: dict[str, Any] = {"color": _POINT, "linestyle": "none", "markersize": 6, "markeredgewidth": 1.2}
    axis.plot([], [], marker="o", label="complete", **look)
    if any(point.is_unstable for point in scores.points):
        axis.plot([], [], marker="o", markerfacecolor=_CARD, label="unstable", **look)
    sides = {scores.range.side(point.score) for point in scores.points} - {0}
    for side in sides:
        axis.plot([], [], marker=_MARKERS[False][side], label="beyond the axis", **look)
    for state in [state for state in _OTHERS if state in states]:
        axis.plot([], [], _OTHERS[state], color=_MUTED, markersize=6, label=state)
    axis.legend(ncols=6, **_ABOVE)


@mpl.rc_context(_STYLE)
def draw_importances(importances: Mapping[str, Mapping[str, float]]) -> str:
    """Bars of the ten parameters that are most important in the last group of trials, one for each group."""
    *_, last = importances.values()
    names = sorted(last, key=lambda name: last[name])[-_MOST_BARS:]
    figure = _new_figure(440, 50 + 44 * max(2, len(names)))
    axis = figure.subplots()
    height = 0.64 / len(importances)
    for group, (label, shares) in enumerate(importances.items(), start=1):
        offset = height * (len(importances) / 2 - group + 0.5)
        places = np.arange(len(names)) + offset
        strength = 1.0 if group == len(importances) else 0.35
        axis.barh(places, [shares[name] for name in names], height * 0.9, color=_POINT, alpha=strength, label=label)
        for place, name in zip(places, names, strict=True):
            axis.text(shares[name] + 0.01, place, f"{shares[name]:.0%}", va="center", fontsize=9, color=_MUTED)
    axis.set_yticks(range(len(names)), names, color=_INK)
    axis.set(xlim=(0, 1.14 * max(max(shares.values()) for shares in importances.values())), xticks=[])
    axis.spines["bottom"].set_visible(False)
    axis.grid(visible=False)
    if len(importances) > 1:
        axis.legend(ncols=2, **_ABOVE)
    return _svg(figure, "Importance of the parameters")


@mpl.rc_context(_STYLE)
def draw_slice(name: str, scale: Scale, scores: Scores) -> str:
    """The score over one parameter; of categories, each is a row, with its median as a line."""
    many = len(scale.ticks) > _MANY_ROWS
    figure = _new_figure(340, max(220, 60 + (15 if many else 26) * len(scale.ticks)) if scale.is_categorical else 220)
    axis = figure.subplots()
    places = [(scale.place(point.params.get(name)), point) for point in scores.points]
    shown = [(place, point) for place, point in places if math.isfinite(place)]
    ticks, labels = zip(*scale.ticks, strict=True)
    limits = scores.range.low - 0.1 * scores.range.room, scores.range.high + 0.1 * scores.range.room
    if scale.is_categorical:
        _draw_rows(axis, shown, 1 / len(ticks), scores)
        axis.set_yticks(ticks, labels, color=_INK, fontsize=9 if many else 11)
        axis.set(ylim=(0, 1), xlim=limits, xlabel="score")
        axis.xaxis.set_major_locator(MaxNLocator(nbins=5))
    else:
        for place, point in shown:
            _mark(axis, place, point, scores)
        axis.set_xticks(ticks, labels)
        axis.set(xlim=(-0.03, 1.03), ylim=limits, ylabel="score")
    return _svg(figure, f"Score over {name}")


def _draw_rows(axis: Axes, shown: Sequence[tuple[float, Point]], height: float, scores: Scores) -> None:
    for place, point in shown:
        _mark(axis, place + 0.55 * height * _jitter(point.number), point, scores, sideways=True)
    for place, group in groupby(sorted(shown, key=lambda one: one[0]), key=lambda one: one[0]):
        middle = scores.range.pinned(median(point.score for _, point in group))
        axis.plot([middle] * 2, [place - 0.38 * height, place + 0.38 * height], color=_INK, linewidth=1.4, alpha=0.7)


def _jitter(number: int) -> float:
    """From -0.5 to 0.5, far from that of the trials before, and always the same."""
    return (number * _GOLDEN) % 1 - 0.5


@mpl.rc_context(_STYLE)
def draw_parallel_coordinates(scales: Mapping[str, Scale], score: Scale, scores: Scores) -> str:
    """A line for each trial through its values, at last its score; the better it is, the stronger is the line."""
    most_ticks = max(len(scale.ticks) for scale in scales.values())
    figure = _new_figure(max(480, 160 * (len(scales) + 1)), max(380, 50 + 18 * most_ticks))
    axis = figure.subplots()
    ranked = sorted(scores.points, key=lambda point: (point.score, -point.number), reverse=scores.lower_is_better)
    for rank, point in enumerate(ranked):
        places = [scale.place(point.params.get(name)) + _apart(scale, point.number) for name, scale in scales.items()]
        places.append(score.place(point.score))
        if all(map(math.isfinite, places)):
            look: dict[str, Any] = {
                "edgecolor": _POINT,
                "alpha": 0.1 + 0.65 * (rank / len(ranked)) ** 2,
                "linewidth": 1.3,
            }
            if point.number == scores.best:
                look = {"edgecolor": _BEST, "linewidth": 2.4}
            axis.add_patch(PathPatch(_curve(places), fill=False, gid=_TITLE + point.title, clip_on=False, **look))
    for x, (name, scale) in enumerate([*scales.items(), ("score", score)]):
        _draw_upright(axis, x, name, scale)
    axis.set(xlim=(-0.05, len(scales) + 0.3), ylim=(-0.04, 1.1))
    axis.set_axis_off()
    return _svg(figure, "Parallel coordinates of all complete trials")


def _apart(scale: Scale, number: int) -> float:
    """Lines through the same category lie side by side."""
    return 0.45 / len(scale.ticks) * _jitter(number) if scale.is_categorical else 0.0


def _curve(places: Sequence[float]) -> Curve:
    """A line that is level where it meets an axis, so that it can be followed."""
    vertices = [(0.0, places[0])]
    for x, (before, after) in enumerate(pairwise(places)):
        vertices += [(x + 0.45, before), (x + 0.55, after), (x + 1.0, after)]
    return Curve(vertices, [Curve.MOVETO] + [Curve.CURVE4] * (len(vertices) - 1))


def _draw_upright(axis: Axes, x: float, name: str, scale: Scale) -> None:
    axis.plot([x, x], [0, 1], color=_MUTED, linewidth=1, zorder=3)
    axis.text(x, 1.055, short_text(name), ha="center", va="bottom", fontweight="bold")
    for place, label in scale.ticks:
        axis.plot([x - 0.012, x + 0.012], [place, place], color=_MUTED, linewidth=1, zorder=3)
        axis.text(x + 0.03, place, label, va="center", fontsize=10, gid=_HALO, zorder=5)
