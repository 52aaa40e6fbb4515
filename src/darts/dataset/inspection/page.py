"""The page about a dataset: one HTML file that needs nothing else, neither a network nor other files."""

import base64
import html
import math
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Any

from darts.core.config import to_toml_value
from darts.core.html import (
    NOTHING,
    Html,
    badge,
    counted,
    element,
    page,
    paragraph,
    section,
    shown,
    table,
    tiles,
    unfoldable,
)
from darts.dataset.inspection.drawing import draw_histogram
from darts.dataset.inspection.facts import UNKNOWN, DatasetFacts, GroupFacts
from darts.dataset.inspection.maps import map_section
from darts.dataset.inspection.samples import Sample
from darts.dataset.inspection.suspicions import RULES
from darts.dataset.inspection.verdict import spoils_training, training_hints

_EXAMPLES = 5
_LONG = 20
_SMALLEST_SHARE = 5e-5


def render(facts: DatasetFacts, samples: Sequence[Sample]) -> str:
    """The page; the same facts and samples give the same text."""
    parts = (_tiles(facts), _verdict(facts), map_section(facts), _suspicious(facts), _samples(facts, samples),
             _bands(facts), *_groups(facts), _left_out(facts), _origin(facts))  # fmt: skip
    return page(
        kind="darts dataset",
        title=facts.name,
        subtitle=Html(paragraph(_subtitle(facts), "")),
        body="\n".join(part for part in parts if part),
        footer=f"Drawn by darts.{_fingerprint(facts)}",
        style=resources.files("darts.dataset.inspection").joinpath("style.css").read_text(encoding="utf-8"),
    )


def share_text(share: float) -> str:
    """A share in percent, two digits after the point."""
    if not math.isfinite(share):
        return NOTHING
    if share < _SMALLEST_SHARE:
        return "< 0.01%" if share else "0%"
    return f"{share:.2%}"


def years_text(facts: DatasetFacts) -> str:
    """The years of the scenes: `2018, 2021`, or from the first to the last, if they are many."""
    years = [group.name for group in facts.groups["year"] if group.name != UNKNOWN]
    if len(years) > 3:
        return f"{years[0]} to {years[-1]}"
    return ", ".join(years) or NOTHING


def _subtitle(facts: DatasetFacts) -> str:
    manifest = facts.manifest
    size = manifest.patch_size
    bands = ", ".join(manifest.band_names)
    foreign = "" if manifest.schema_version else " It was written by darts-nextgen, so some things are not recorded."
    return f"Patches of {size} x {size} pixels, with {counted(len(manifest.bands), 'band')}: {bands}.{foreign}"


def _fingerprint(facts: DatasetFacts) -> str:
    return f" Dataset {facts.manifest.fingerprint}." if facts.manifest.fingerprint else ""


def _tiles(facts: DatasetFacts) -> Html:
    total = facts.total
    suspicious = len({finding.row for finding in facts.findings})
    return tiles(
        [
            ("", total.patches, "patches"),
            ("", total.with_positives, "with positives"),
            ("", share_text(total.positive_share), "positive, of what isn't ignored"),
            ("", share_text(total.ignored_share), "ignored"),
            ("", len(facts.groups["scene"]), "scenes"),
            ("", len(facts.groups["region"]), "regions"),
            ("", years_text(facts), "years"),
            ("", suspicious, "suspicious patches"),
        ]
    )


def _verdict(facts: DatasetFacts) -> Html:
    problems, hints = spoils_training(facts), training_hints(facts)
    blocks = [_list(problems) if problems else paragraph("Nothing was found that would spoil a training.")]
    if hints:
        blocks.append(_list(hints))
    content = element("h2", shown("What would spoil a training")) + "".join(blocks)
    return element("section", content, "grave" if problems else "")


def _list(lines: Sequence[str]) -> Html:
    return element("ul", "".join(element("li", shown(line)) for line in lines), "problems")


def _suspicious(facts: DatasetFacts) -> Html:
    if not facts.findings:
        return section("Suspicious patches", paragraph("No rule found one."))
    rows = [
        (element("b", shown(rule)), len(found), about, Html("<br>".join(_examples(facts, rule))))
        for rule, about in RULES.items()
        if (found := facts.found_by(rule))
    ]
    note = "A patch that a rule finds may be right all the same; look at it. The worst are named first."
    header = ("rule", "patches", "what it finds", "worst")
    content = element("div", table(header, rows, ["", "n", "wide", "wide"]), "rules")
    silent = [rule for rule in RULES if not facts.found_by(rule)]
    quiet = [paragraph(f"Without a finding: {', '.join(silent)}.")] if silent else []
    return section("Suspicious patches", paragraph(note), content, *quiet)


def _examples(facts: DatasetFacts, rule: str) -> Iterator[Html]:
    found = facts.found_by(rule)
    names = facts.patches["patch_id"]
    for finding in found[:_EXAMPLES]:
        name = element("code", shown(names.iloc[finding.row]))
        yield Html(f"row {finding.row}, {name}: {shown(finding.detail)}")
    if len(found) > _EXAMPLES:
        yield Html(f"and {len(found) - _EXAMPLES} more")


def _samples(facts: DatasetFacts, samples: Sequence[Sample]) -> Html:
    if not samples:
        return Html("")
    about = (
        "Suspicious patches come first, then others at random, with and without positives. Outlined in yellow is what is "
        "labelled positive; striped grey is ignored. Each picture is stretched by itself."
    )
    toggle = Html('<input type="checkbox" id="labels" checked><label class="toggle" for="labels">show labels</label>')
    figures = element("div", "".join(_sample(facts, sample) for sample in samples), "samples")
    return section("Samples", paragraph(about), toggle, figures)


def _sample(facts: DatasetFacts, sample: Sample) -> Html:
    patch = facts.patches.iloc[sample.row]
    positive = counted(int(patch["positive"]), "positive pixel")
    badges = [badge(f"{found.rule}: {found.detail}") for found in facts.findings if found.row == sample.row]
    lines = [Html(f"<b>row {sample.row}</b>, {shown(patch['region'])}"), shown(patch["patch_id"]), shown(positive)]
    images = _image(sample.image, f"Patch {patch['patch_id']}, {positive}", "picture") + _image(
        sample.labels, "", "layer"
    )
    caption = "<br>".join([*lines, "".join(badges)] if badges else lines)
    return element("figure", element("div", images, "patch") + element("figcaption", caption))


def _image(png: bytes, alternative: str, css: str) -> str:
    data = base64.b64encode(png).decode()
    return f'<img class="{css}" alt="{html.escape(alternative)}" src="data:image/png;base64,{data}">'


def _bands(facts: DatasetFacts) -> Html:
    about = (
        "All but the share at fill is of the pixels that are not ignored. Clipped are those at lo or hi, the ends of the "
        "stored range; where the fill is one of them, filled pixels count, too. The share at fill is an estimate of the "
        "pixels without a value: a true value may be equal to the fill."
    )
    header = [
        "band",
        "unit",
        "lo",
        "min",
        "mean",
        "max",
        "hi",
        "clipped at lo",
        "at hi",
        "fill",
        "at fill",
        "constant in",
    ]
    rows = [
        [
            one.band.name, one.band.unit, one.band.lo, one.low, one.mean, one.high, one.band.hi, share_text(one.at_lo),
            share_text(one.at_hi), one.band.lo + one.band.fill * (one.band.hi - one.band.lo), share_text(one.at_fill),
            f"{one.constant_patches} patches",
        ]
        for one in facts.bands
    ]  # fmt: skip
    figures = [
        element("div", element("h3", shown(f"{one.band.name} ({one.band.unit})")) + draw_histogram(one))
        for one in facts.bands
    ]
    legend = (
        "The area is of all pixels that are not ignored, the line of positive ones; each is drawn to its own height, so "
        "that their forms can be compared."
    )
    styles = ["name", "name", *["n"] * (len(header) - 2)]
    return section(
        "Bands",
        paragraph(about),
        table(header, rows, styles),
        element("h3", "Histograms", "below"),
        paragraph(legend),
        element("div", "".join(figures), "bands"),
    )


def _groups(facts: DatasetFacts) -> Iterator[Html]:
    titles = {"role": "Roles in the run", "region": "Regions", "year": "Years", "scene": "Scenes"}
    for name, title in titles.items():
        if name in facts.groups:
            yield _group_section(title, name, facts.groups[name])


def _group_section(title: str, name: str, groups: Sequence[GroupFacts]) -> Html:
    header = [name, "patches", "with positives", "positive share", "ignored share"]
    rows = [
        (one.name, one.patches, one.with_positives, share_text(one.positive_share), share_text(one.ignored_share))
        for one in groups
    ]
    content = table(header, rows, ["", *["n"] * 4])
    if len(groups) > _LONG:
        return element("section", unfoldable(f"{title} ({len(groups)})", content))
    return section(title, content)


def _left_out(facts: DatasetFacts) -> Html:
    title = "Left out"
    if facts.scenes is None:
        return section(title, paragraph("What was left out is not recorded."))
    blocks = []
    if facts.dropped:
        blocks.append(table(["dropped for", "patches"], sorted(facts.dropped.items()), ["wide", "n"]))
    if facts.failed:
        blocks += [
            element("h3", "Scenes that failed", "below"),
            table(["scene", "why"], facts.failed.items(), ["wide", "wide"]),
        ]
    return section(title, *(blocks or [paragraph("No patch was dropped, and no scene failed.")]))


def _origin(facts: DatasetFacts) -> Html:
    manifest = facts.manifest
    entries: Mapping[str, Any] = {
        "fingerprint": manifest.fingerprint,
        "schema_version": manifest.schema_version,
        "patch_size": manifest.patch_size,
        "overlap": manifest.overlap,
        "versions": manifest.versions,
        **{name: to_toml_value(value) for name, value in sorted(manifest.settings.items())},
    }
    rows = table([], entries.items(), ["name", ""])
    return element("section", unfoldable("Settings and versions", element("div", rows, "settings")))
