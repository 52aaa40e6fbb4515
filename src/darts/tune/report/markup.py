"""Scores as the report of a sweep shows them."""

import math

from darts.core.html import NOTHING


def score_text(score: float | None) -> str:
    """A score or a metric, four digits after the point."""
    return NOTHING if score is None or not math.isfinite(score) else f"{score:.4f}"
