"""Pages of HTML that need no other file, and the small pieces that they are made of.

Every text is escaped unless it is HTML already.
"""

import html
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from itertools import zip_longest
from string import Template
from typing import Any

NOTHING = "\N{EN DASH}"
"""What is shown of a value that isn't there, or isn't finite."""


class Html(str):
    """Text that is HTML, and isn't escaped again."""

    __slots__ = ()


def page(*, kind: str, title: str, subtitle: Html, body: str, footer: str, style: str = "") -> str:
    """A whole page, for light and dark, wide and narrow screens.

    Parameters
    ----------
    kind, title
        What the page is about, in a word or two and by its name.
    subtitle, body
        HTML below the title, and all sections.
    footer
        Text or HTML.
    style
        CSS of this kind of page, beside that of all pages.
    """
    template = Template(resources.files("darts.core").joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        kind=shown(kind), title=shown(title), subtitle=subtitle, body=body, footer=shown(footer), style=style
    )


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


def number_text(value: float, digits: int) -> str:
    """A number with at most this many digits: `0.00025`, `1e-5`."""
    return re.sub(r"e([+-])0*", lambda found: f"e{found[1].strip('+')}", f"{value:.{digits}g}")


def value_text(value: Any) -> str:
    """A value as it would be written in a settings file, with at most four digits."""
    if isinstance(value, float):
        return number_text(value, 4)
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def counted(count: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def element(tag: str, content: str, css: str = "") -> Html:
    """An element around HTML."""
    return Html(f'<{tag} class="{css}">{content}</{tag}>' if css else f"<{tag}>{content}</{tag}>")


def paragraph(text: str, css: str = "note") -> Html:
    """A paragraph of text or HTML."""
    return element("p", shown(text), css)


def section(title: str, *blocks: str) -> Html:
    """A card with a heading."""
    return element("section", element("h2", shown(title)) + "".join(blocks))


def tiles(entries: Iterable[tuple[str, Any, str]]) -> Html:
    """A row of large figures: the CSS class, the figure and its name of each."""
    parts = [
        element("div", element("b", shown(value)) + element("span", shown(name)), css) for css, value, name in entries
    ]
    return element("div", "".join(parts), "tiles")


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
