"""Lengths of time as a user reads them."""

import math
from itertools import pairwise

from darts.core.html import NOTHING

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def duration_text(seconds: float) -> str:
    """Seconds in two units: `2 d 3 h`, `1 h 12 min`, `4 min 10 s`, `32 s`; a dash where they aren't finite."""
    if not math.isfinite(seconds):
        return NOTHING
    left = round(seconds)
    for (name, size), (smaller, smaller_size) in pairwise(_UNITS):
        if left >= size:
            return f"{left // size} {name} {left % size // smaller_size} {smaller}"
    return f"{left} s"
