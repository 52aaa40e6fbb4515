"""Small pieces of HTML, in which every text is escaped unless it is HTML already."""

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class Html(str):
    """Text that is HTML, and isn't escaped again."""

    __slots__ = ()


def shown(value: Any) -> str:
    """A value as HTML: numbers with four digits, lists with commas, what isn't there as a dash."""
    if isinstance(value, Html):
        return value
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value)) or "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{html.escape(str(name))} = {shown(one)}" for name, one in value.items()) or "–"
    return html.escape(str(value))


def score_text(score: float) -> str:
    """A score or a metric, four digits after the point."""
    return f"{score:.4f}" if math.isfinite(score) else "–"


def duration_text(seconds: float) -> str:
    """Seconds in words: `2 d 3 h`, `1 h 12 min`, `4 min 10 s`, `32 s`."""
    if not math.isfinite(seconds):
        return "–"
    whole = round(seconds)
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    parts = []
    for name, size in units:
        count, whole = divmod(whole, size)
        parts.append((count, name))
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {name}" for count, name in parts[first : first + 2] if count) or "0 s"


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
    """A row of a table; a style is a CSS class of a column."""
    padded = [*styles, *[""] * 50]
    return element("tr", "".join(element(tag, shown(cell), css) for cell, css in zip(cells, padded, strict=False)))


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
