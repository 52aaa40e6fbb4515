"""The parts of the report of a run, in their order."""

import math
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from darts.core.durations import duration_text
from darts.core.html import (
    NOTHING,
    Html,
    counted,
    element,
    paragraph,
    section,
    shown,
    table,
    tiles,
    unfoldable,
)
from darts.training.report.origin import origin
from darts.training.report.view import RunView
from darts.training.run_details import changed_settings, next_commands
from darts.training.run_figures import AUGMENTATIONS_PREVIEW, LOSS_CURVES, METRIC_CURVES
from darts.training.run_record import lower_is_better, setting_text

_HEADLINES = {
    "val/JaccardIndex": "IoU on val",
    "test/JaccardIndex": "IoU on test",
    "val/F1Score": "F1 on val",
    "val/Precision": "precision on val",
    "val/Recall": "recall on val",
    "val/AveragePrecision": "average precision on val",
}
_ORDER = ("JaccardIndex", "F1Score", "Precision", "Recall", "AveragePrecision", "AUROC")
_NAMES = {"JaccardIndex": "IoU (JaccardIndex)"}
_STAGES = {"val": "Validation", "test": "Test"}
_MOST_PLACES = 12


def metric_text(value: Any) -> str:
    """A metric, four digits after the point."""
    return f"{value:.4f}" if isinstance(value, (int, float)) and math.isfinite(value) else NOTHING


def _tiles(view: RunView) -> str:
    run = view.run
    known = run.metrics("val") | run.metrics("test")
    entries: list[tuple[str, Any, str]] = [
        ("best" if name == "val/JaccardIndex" else "", metric_text(known[name]), label)
        for name, label in _HEADLINES.items()
        if name in known
    ]
    entries.append(("", run.best_epoch or NOTHING, f"best of {counted(run.epochs, 'epoch')}"))
    if len(view.roles):
        entries.append(("", int((view.roles["role"] == "train").sum()), "patches to train on"))
    return tiles(entries)


def _doubts(view: RunView) -> str:
    if not view.doubts:
        return section("Doubts", paragraph("Nothing was found that speaks against these numbers."))
    content = element("ul", "".join(element("li", shown(line)) for line in view.doubts), "doubts")
    return element("section", element("h2", "Doubts") + content, "grave")


def _curves(view: RunView) -> str:
    loss = view.figure(LOSS_CURVES, "Loss of train and val by epoch")
    metrics = view.figure(METRIC_CURVES, "Metrics of train and val by epoch")
    if not loss:
        return section("Curves", paragraph("No epoch is finished yet."))
    about = "Train is measured during each epoch, while the weights change and patches are augmented; val at its end."
    return section("Curves", paragraph(about), *(element("div", one, "scroll wide") for one in (loss, metrics)))


def _stage(view: RunView, stage: str) -> str:
    """Metrics, confusion, curves and samples of the best checkpoint on one split."""
    metrics = view.run.metrics(stage)
    if not metrics:
        return ""
    other = "train" if stage == "val" else "val"
    confusion = view.figure(f"{stage}-confusion-matrix.png", f"Confusion matrix of {stage}")
    pair = (
        [_metrics_table(view, (stage, other)), element("div", confusion, "charts one")]
        if confusion
        else [_metrics_table(view, (stage, other))]
    )
    charts = [
        view.figure(f"{stage}-{name}.png", f"{what} of {stage}")
        for name, what in (
            ("roc", "ROC"),
            ("precision-recall", "Precision and recall"),
            ("threshold", "F1 and IoU by threshold"),
        )
    ]
    samples = view.newest_samples(stage)
    return section(
        _STAGES[stage],
        paragraph(_about_stage(view, stage)),
        element("div", "".join(element("div", one) for one in pair), "pair"),
        element("div", "".join(filter(None, charts)), "charts") if any(charts) else "",
        _samples(view, samples, stage) if samples else "",
    )


def _about_stage(view: RunView, stage: str) -> str:
    counts = view.run.counts(stage)
    of = "the best checkpoint" if view.run.is_finished else f"epoch {view.run.best_epoch}, the best so far,"
    if not counts:
        return f"Metrics of {of} on the pixels of {stage} that are not ignored."
    pixels, positive = sum(counts.values()), counts["tp"] + counts["fn"]
    share = positive / pixels if pixels else 0.0
    seen = f"{pixels:,} pixels of {stage} that are not ignored"
    return f"Metrics of {of} on {seen}, {positive:,} ({share:.2%}) of them positive."


def _metrics_table(view: RunView, stages: Sequence[str]) -> Html:
    values = {
        stage: {name.partition("/")[2]: value for name, value in view.run.metrics(stage).items()} for stage in stages
    }
    names = sorted(values[stages[0]], key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))
    shown_stages = [stage for stage in stages if values[stage]]
    rows = [
        [
            Html(
                f"{shown(_NAMES.get(name, name))}{' <small>lower is better</small>' if lower_is_better(name) else ''}"
            ),
            *(metric_text(values[stage].get(name)) for stage in shown_stages),
        ]
        for name in names
    ]
    return table(["metric", *shown_stages], rows, ["", *["n"] * len(shown_stages)])


def _samples(view: RunView, name: str, stage: str) -> Html:
    figure = view.figure(name, f"Patches of {stage} with label and prediction", "photo")
    return Html(element("h3", "Samples", "below") + element("div", figure, "scroll wide"))


def _validation(view: RunView) -> str:
    return _stage(view, "val")


def _test(view: RunView) -> str:
    return _stage(view, "test")


def _places(view: RunView) -> str:
    """Scores by region and by scene."""
    blocks = [
        block
        for split in _STAGES
        for what, scores in (("region", view.regions), ("scene", view.scenes))
        for block in _place_blocks(scores[scores["split"] == split], split, what)
    ]
    if not blocks:
        return ""
    about = "Worst first; places without a positive pixel, where IoU says nothing, come last."
    return section("Regions and scenes", paragraph(about), *blocks)


def _place_blocks(scores: pd.DataFrame, split: str, what: str) -> Iterable[str]:
    if not len(scores):
        return
    yield element("h3", shown(f"{split}, by {what}"), "below")
    yield _places_table(scores.head(_MOST_PLACES), what)
    if len(scores) > _MOST_PLACES:
        rest = scores.iloc[_MOST_PLACES:]
        yield _folded(f"{counted(len(rest), f'better {what}')}", _places_table(rest, what))


def _places_table(scores: pd.DataFrame, what: str) -> Html:
    names = [name for name in _ORDER[1:] if name in scores.columns]
    header = [what, "IoU", "", *names, "positive", "pixels"]
    rows = [_place_row(row, what, names) for _, row in scores.iterrows()]
    return element("div", table(header, rows, ["place", "n", "bars", *["n"] * (len(names) + 2)]), "places")


def _place_row(row: "pd.Series[Any]", what: str, names: Sequence[str]) -> list[Any]:
    positive, iou = row["tp"] + row["fn"], float(row["JaccardIndex"])
    share = f"{positive / row['pixels']:.2%}" if row["pixels"] else NOTHING
    counts = [share, f"{int(row['pixels']):,}"]
    if not positive:
        return [str(row[what]), NOTHING, "", *[NOTHING] * len(names), *counts]
    bar = Html(f'<i class="bar" style="width:{100 * iou:.0f}%"></i>')
    return [str(row[what]), metric_text(iou), bar, *(metric_text(float(row[name])) for name in names), *counts]


def _folded(summary: str, content: str) -> Html:
    """What is shown on a click, within a section."""
    return element("div", unfoldable(summary, content), "folded")


def _augmentation(view: RunView) -> str:
    figure = view.figure(AUGMENTATIONS_PREVIEW, "A patch and augmented versions of it", "photo")
    if not figure:
        return ""
    about = "One patch of train as it is, and as training may see it; outlined is its label, grey is ignored."
    return section("Augmentation", paragraph(about), element("div", figure, "scroll wide"))


def _speed(view: RunView) -> str:
    speed = view.throughput
    if not len(speed):
        return ""
    seconds, rate, waiting = (
        float(speed[name].median()) for name in ("seconds", "samples_per_second", "waiting_share")
    )
    about = (
        f"An epoch took {duration_text(seconds)} in the middle, at {rate:.4g} patches per second; {waiting:.0%} of the time "
        "was spent waiting for data."
    )
    rows = [
        [
            int(row["epoch"]) + 1,
            f"{row['seconds']:.1f}",
            f"{row['samples_per_second']:.4g}",
            f"{row['waiting_share']:.1%}",
        ]
        for _, row in speed.iterrows()
    ]
    every = table(["epoch", "seconds", "patches per second", "waiting"], rows, ["n"] * 4)
    return section("Throughput", paragraph(about), _folded("Every epoch", every))


def _settings(view: RunView) -> str:
    settings = {name: value for name, value in view.run.settings.items() if not isinstance(value, dict)}
    if not settings:
        return section("Settings", paragraph("They are not recorded."))
    changed = changed_settings(settings)
    rest = {name: value for name, value in settings.items() if name not in changed}
    content = table([], [(name, setting_text(value)) for name, value in changed.items()], ["name", ""])
    others = table([], [(name, setting_text(value)) for name, value in rest.items()], ["name", ""])
    return section(
        "Settings that differ from the defaults",
        element("div", content, "settings"),
        _folded(f"All others ({len(rest)})", element("div", others, "settings")),
    )


def _next(view: RunView) -> str:
    recorded = view.run.record.get("artifact_dir", "artifacts")
    commands = [shlex.join(words) for words in next_commands(view.run, Path(str(recorded)))]
    if not commands:
        return ""
    lines = "".join(element("li", element("code", shown(command))) for command in commands)
    return section("What to type next", element("ul", lines, "commands"))


PARTS: tuple[Callable[[RunView], str], ...] = (
    _tiles,
    _doubts,
    origin,
    _curves,
    _validation,
    _test,
    _places,
    _augmentation,
    _speed,
    _settings,
    _next,
)
