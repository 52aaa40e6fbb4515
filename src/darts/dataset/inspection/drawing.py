"""Maps and histograms, as SVG whose colours are those of the page."""

import html
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from darts.core.html import Html, number_text
from darts.dataset.inspection.clusters import Cluster
from darts.dataset.inspection.facts import BandFacts

_SIDE, _MARGIN, _BAR_ROOM = 300, 12, 34
_SMALL = 3.0
"""Outlines narrower than this many units would hardly be seen, and are drawn as dots."""
_PLOT_WIDTH, _PLOT_HEIGHT, _AXIS_ROOM = 300, 84, 18


@dataclass(frozen=True, slots=True)
class Mark:
    """How a patch looks on a map: its CSS classes, what is shown when it is pointed at, and whether it covers others."""

    css: str
    title: str
    is_on_top: bool


def draw_map(cluster: Cluster, label: str, mark: Callable[[int], Mark]) -> Html:
    """A map of one place, north up, with a scale bar.

    Parameters
    ----------
    label
        What is said of the map to those who can't see it.
    mark
        The mark of the patch in a row.
    """
    scale = (_SIDE - 2 * _MARGIN) / max(cluster.width, 1e-3)
    marks = [(mark(int(row)), outline) for row, outline in zip(cluster.outlined, cluster.outlines, strict=True)]
    marks.sort(key=lambda pair: pair[0].is_on_top)
    height = scale * max(float(np.abs(outline[:, 1]).max()) for outline in cluster.outlines) * 2 + 2 * _MARGIN
    middle = (_SIDE / 2, height / 2)
    paths = (_outline(one, points * scale + middle) for one, points in marks)
    width = float(np.median([np.ptp(outline[:, 0]) for outline in cluster.outlines])) * scale
    about = f'class="{"place dots" if width < _SMALL else "place"}" role="img" aria-label="{html.escape(label)}"'
    view = f'viewBox="0 0 {_SIDE} {height + _BAR_ROOM:.0f}"'
    return Html(f"<svg {about} {view}>{''.join(paths)}{_scale_bar(scale, height)}</svg>")


def _outline(mark: Mark, points: np.ndarray) -> str:
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "Z"
    return f'<path class="{mark.css}" d="{path}"><title>{html.escape(mark.title)}</title></path>'


def _scale_bar(units_per_km: float, top: float) -> str:
    """A bar of a round length, at most a third of the width of the map, below it."""
    longest = _SIDE / 3 / units_per_km
    power = 10.0 ** math.floor(math.log10(longest))
    # The logarithm may be rounded up to that of the power itself.
    length = max((step * power for step in (1, 2, 5) if step * power <= longest), default=power)
    end = _MARGIN + length * units_per_km
    height = top + 8
    text = f"{number_text(length, 4)} km" if length >= 1 else f"{number_text(1000 * length, 4)} m"
    bar = f'<path class="bar" d="M{_MARGIN} {height - 4:.1f}v4H{end:.1f}v-4"/>'
    return f'{bar}<text x="{_MARGIN}" y="{height + 20:.1f}">{text}</text>'


def draw_histogram(facts: BandFacts) -> Html:
    """Pixels of a band by value, as an area, and positive ones as a line; each is as high as the figure.

    The first and the last bin also hold what was clipped; they don't count for the height, and are cut at it.
    """
    band = facts.band
    parts = [
        _shape("area", facts.histogram),
        _shape("line", facts.positive_histogram),
        f'<path class="axis" d="M0 {_PLOT_HEIGHT}H{_PLOT_WIDTH}"/>',
        _tick(0, "start", band.lo),
        _tick(_PLOT_WIDTH / 2, "middle", (band.lo + band.hi) / 2),
        _tick(_PLOT_WIDTH, "end", band.hi),
    ]
    label = html.escape(f"Histogram of {band.name}")
    view = f'viewBox="0 0 {_PLOT_WIDTH} {_PLOT_HEIGHT + _AXIS_ROOM}"'
    return Html(f'<svg class="histogram" role="img" aria-label="{label}" {view}>{"".join(parts)}</svg>')


def _shape(css: str, counts: np.ndarray) -> str:
    """The bars of a histogram as one shape; nothing, if it counts no pixel."""
    if not counts.any():
        return ""
    highest = counts[1:-1].max() or counts.max()
    tops = _PLOT_HEIGHT * (1 - np.minimum(counts / highest, 1))
    step = _PLOT_WIDTH / len(counts)
    steps = "".join(f"L{step * index:.1f} {top:.1f}H{step * (index + 1):.1f}" for index, top in enumerate(tops))
    return f'<path class="{css}" d="M0 {_PLOT_HEIGHT}{steps}L{_PLOT_WIDTH} {_PLOT_HEIGHT}"/>'


def _tick(x: float, anchor: str, value: float) -> str:
    return f'<text x="{x:.0f}" y="{_PLOT_HEIGHT + 13}" text-anchor="{anchor}">{number_text(value, 4)}</text>'
