"""Small pieces of HTML, in which every text is escaped unless it is HTML already."""

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise, zip_longest
from typing import Any

from darts.tune.report.scales import value_text

NOTHING = "\N{EN DASH}"
"""What is shown of a value that isn't there, or isn't finite."""


class Html(str):
    """Text that is HTML, and isn't escaped again."""

    __slots__ = ()


def shown(value: Any) -> Html:
    """A value as HTML: numbers with four digits, lists with commas."""
    if isinstance(value, Html):
        return value
    if isinstance(value, Mapping):
        value = [Html(f"{shown(str(name))} = {shown(one)}") for name, one in value.items()]
    if isinstance(value, list | tuple):
        return Html(", ".join(map(shown, value)) or NOTHING)
    return Html(html.escape(_text(value)))


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NOTHING
    return value_text(value)


def score_text(score: float | None) -> str:
    """A score or a metric, four digits after the point."""
    return NOTHING if score is None or not math.isfinite(score) else f"{score:.4f}"


def counted(count: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def duration_text(seconds: float) -> str:
    """Seconds in words: `2 d 3 h`, `1 h 12 min`, `4 min 10 s`, `32 s`."""
    if not math.isfinite(seconds):
        return NOTHING
    left = round(seconds)
    for (name, size), (smaller, smaller_size) in pairwise((("d", 86400), ("h", 3600), ("min", 60), ("s", 1))):
        if left >= size:
            return f"{left // size} {name} {left % size // smaller_size} {smaller}"
    return f"{left} s"


def element(tag: str, content: str, css: str = "") -> Html:
    """An element around HTML."""
    return Html(f'<{tag} class="{css}">{content}</{tag}>' if css else f"<{tag}>{content}</{tag}>")


def paragraph(text: str, css: str = "note") -> Html:
    """A paragraph of text or HTML."""
    return element("p", shown(text), css)


def section(title: str, *blocks: str) -> Html:
    """A card with a heading."""
    return element("section", element("h2", shown(title)) + "".join(blocks))


def row(cells: Iterable[Any], styles: Sequence[str] = (), tag: str = "td") -> Html:
    """A row of a table; a style is the CSS class of a column."""
    pairs = zip_longest(map(shown, cells), styles, fillvalue="")
    return element("tr", "".join(element(tag, cell, css) for cell, css in pairs))


def table(header: Sequence[str], rows: Iterable[Iterable[Any]], styles: Sequence[str] = ()) -> Html:
    """A table that can be scrolled sideways where the page is narrow."""
    head = element("thead", row(header, styles, "th")) if header else ""
    body = element("tbody", "".join(row(cells, styles) for cells in rows))
    return element("div", element("table", head + body), "scroll")


def unfoldable(summary: str, content: str) -> Html:
    """Content that is shown on a click."""
    return element("details", element("summary", shown(summary)) + content)


def badge(text: str) -> Html:
    """A word that warns."""
    return element("span", shown(text), "badge")
