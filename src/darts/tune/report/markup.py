"""Scores and durations as the report of a sweep shows them."""

import math
from itertools import pairwise

from darts.core.html import NOTHING


def score_text(score: float | None) -> str:
    """A score or a metric, four digits after the point."""
    return NOTHING if score is None or not math.isfinite(score) else f"{score:.4f}"


def duration_text(seconds: float) -> str:
    """Seconds in words: `2 d 3 h`, `1 h 12 min`, `4 min 10 s`, `32 s`."""
    if not math.isfinite(seconds):
        return NOTHING
    left = round(seconds)
    for (name, size), (smaller, smaller_size) in pairwise((("d", 86400), ("h", 3600), ("min", 60), ("s", 1))):
        if left >= size:
            return f"{left // size} {name} {left % size // smaller_size} {smaller}"
    return f"{left} s"
