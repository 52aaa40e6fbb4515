"""The part of the page that shows where the patches lie."""

from collections.abc import Sequence
from dataclasses import dataclass

from darts.core.html import Html, counted, element, number_text, paragraph, section, shown
from darts.dataset.inspection.clusters import Cluster, find_clusters
from darts.dataset.inspection.drawing import Mark, draw_map
from darts.dataset.inspection.facts import DatasetFacts, GroupFacts

_COLORS = 10
_NAMED = 3
_FEW = 2


@dataclass(frozen=True, slots=True)
class _Palette:
    """CSS classes of the groups of one kind: the largest ones have a colour of their own.

    Attributes
    ----------
    by
        What the choice of this palette is called in the page, such as `region`.
    letter
        What its classes begin with.
    names
        The groups with a colour of their own; the largest comes first.
    others
        How many groups there are beside.
    """

    by: str
    letter: str
    names: tuple[str, ...]
    others: int

    def css(self, name: str) -> str:
        """The class of a group."""
        return f"{self.letter}{self.names.index(name) if name in self.names else 'x'}"


def _palette(by: str, letter: str, groups: Sequence[GroupFacts]) -> _Palette:
    names = tuple(group.name for group in sorted(groups, key=lambda group: (-group.patches, group.name)))
    return _Palette(by, letter, names[:_COLORS], max(len(names) - _COLORS, 0))


def map_section(facts: DatasetFacts) -> Html:
    """Maps of all places, coloured by label, by region and, with a split, by role; a click chooses."""
    clusters = find_clusters(facts.patches)
    if not clusters:
        return section("Where the patches lie", paragraph("No patch says where it lies, so there is no place to show."))
    palettes = [_palette("region", "r", facts.groups["region"])]
    if "role" in facts.groups:
        palettes.append(_palette("role", "s", facts.groups["role"]))
    figures = [_figure(facts, cluster, palettes) for cluster in clusters]
    choices = _choice("label", "positives", is_first=True) + "".join(_choice(one.by, one.by) for one in palettes)
    legends = _label_legend(facts) + "".join(_legend(one) for one in palettes)
    return section(
        "Where the patches lie",
        paragraph(_about(facts, clusters)),
        Html(choices + legends),
        element("div", "".join(figures), "places few" if len(clusters) <= _FEW else "places"),
    )


def _about(facts: DatasetFacts, clusters: Sequence[Cluster]) -> str:
    placed, drawn = sum(len(cluster.rows) for cluster in clusters), sum(len(cluster.outlined) for cluster in clusters)
    text = "Patches that are near each other share a map; north is up, and each map has a scale of its own."
    if drawn < placed:
        text += f" Of {placed} patches {drawn} are drawn, chosen at random in each place."
    if placed < len(facts.patches):
        text += f" {len(facts.patches) - placed} patches have no outline in degrees, and are not drawn."
    return text


def _choice(by: str, text: str, *, is_first: bool = False) -> str:
    checked = " checked" if is_first else ""
    return (
        f'<input class="choice" type="radio" name="colour" id="by-{by}"{checked}><label for="by-{by}">by {text}</label>'
    )


def _label_legend(facts: DatasetFacts) -> Html:
    total = facts.total
    entries = [
        ("p", f"with positives ({total.with_positives})"),
        ("e", f"without ({total.patches - total.with_positives})"),
    ]
    return _entries("label", entries)


def _legend(palette: _Palette) -> Html:
    entries = [(palette.css(name), name) for name in palette.names]
    if palette.others:
        entries.append((f"{palette.letter}x", f"{palette.others} others"))
    return _entries(palette.by, entries)


def _entries(by: str, entries: Sequence[tuple[str, str]]) -> Html:
    return element(
        "div",
        "".join(element("span", Html(f'<i class="{css}"></i>') + shown(text)) for css, text in entries),
        f"legend by-{by}",
    )


def _figure(facts: DatasetFacts, cluster: Cluster, palettes: Sequence[_Palette]) -> Html:
    patches = facts.patches

    def mark(row: int) -> Mark:
        patch = patches.iloc[row]
        has_positives = bool(patch["positive"])
        groups = [str(patch[palette.by]) for palette in palettes]
        css = ["p" if has_positives else "e", *(one.css(name) for one, name in zip(palettes, groups, strict=True))]
        positive = counted(int(patch["positive"]), "positive pixel")
        return Mark(" ".join(css), ", ".join([f"row {row}", str(patch["patch_id"]), *groups, positive]), has_positives)

    regions = patches["region"].iloc[cluster.rows].value_counts(sort=True)
    names = ", ".join(map(str, regions.index[:_NAMED])) + (
        f" and {len(regions) - _NAMED} more" if len(regions) > _NAMED else ""
    )
    count = f"{len(cluster.rows)} patch{'' if len(cluster.rows) == 1 else 'es'}"
    caption = Html(
        f"<b>{shown(names)}</b><br>{shown(f'{_coordinates(cluster)}, {count}, {_distance(cluster.width)} across')}"
    )
    return element(
        "figure", draw_map(cluster, f"Map of {count} at {_coordinates(cluster)}", mark) + element("figcaption", caption)
    )


def _coordinates(cluster: Cluster) -> str:
    north, east = ("N" if cluster.latitude >= 0 else "S"), ("E" if cluster.longitude >= 0 else "W")
    return f"{abs(cluster.latitude):.2f}° {north}, {abs(cluster.longitude):.2f}° {east}"


def _distance(kilometres: float) -> str:
    return f"{number_text(kilometres, 2 if kilometres < 100 else 3)} km"
