"""The parts of the report of a sweep, in their order."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from darts.core.durations import duration_text
from darts.core.html import (
    NOTHING,
    Html,
    badge,
    counted,
    element,
    paragraph,
    row,
    section,
    shown,
    table,
    tiles,
    unfoldable,
    value_text,
)
from darts.tune.report.figures import (
    draw_history,
    draw_importances,
    draw_parallel_coordinates,
    draw_slice,
)
from darts.tune.report.importance import FEW_TRIALS, parameter_importances
from darts.tune.report.markup import score_text
from darts.tune.report.scales import Scale, number, scale_of, score_scale
from darts.tune.report.view import SweepView, point_of
from darts.tune.score import score_of_run
from darts.tune.space import describe
from darts.tune.status import score_deviation
from darts.tune.table import STATE_WORDS, duration_of, is_unstable, score_of, space_of

BEST_SHOWN = 10
_WITHOUT_SCORE = (TrialState.FAIL, TrialState.PRUNED)


def _tiles(view: SweepView) -> str:
    status = view.status
    total = f" of {status.total}" if status.total else ""
    best = score_text(status.best.score) if status.best else NOTHING
    entries = [("best", best, "best score")]
    if status.spread:
        entries.append(("", score_text(status.spread.median), "median score"))
    entries.append(("", f"{status.counts['complete']}{total}", "trials complete"))
    entries += [("", str(status.counts[state]), state) for state in ("pruned", "failed")]
    entries += [("", str(status.counts[state]), state) for state in ("running", "waiting") if status.counts[state]]
    if status.seconds_per_trial is not None:
        entries.append(("", duration_text(status.seconds_per_trial), "a trial, on average"))
    return tiles(entries)


def _best(view: SweepView) -> str:
    best = view.status.best
    if best is None:
        return section("Best trial", paragraph("No trial is complete yet."))
    spread = "" if best.deviation is None else f" ± {score_text(best.deviation)} from run to run"
    cv_name = f" ({best.cv_name})" if best.cv_name else ""
    about: list[str] = [shown(f"Trial {best.number}{cv_name} scored {score_text(best.score)}{spread}.")]
    if best.is_unstable:
        about += [badge("unstable"), "A scoring metric of one of its runs is zero or not finite, so don't rely on it."]
    parameters = element("h3", "Parameters") + _parameters_table(view, best.params)
    runs = element("h3", "Runs") + _runs_table(view, view.ranked[0])
    columns = element("div", element("div", parameters) + element("div", runs), "halves")
    return section("Best trial", paragraph(Html(" ".join(map(shown, about)))), columns)


def _parameters_table(view: SweepView, params: Mapping[str, Any]) -> Html:
    """What is varied comes first."""
    names = sorted(params, key=lambda name: (name not in view.varied, name))
    rows = (
        element(
            "tr",
            element("td", shown(name), "name") + element("td", shown(value_text(params[name]))),
            "" if name in view.varied else "constant",
        )
        for name in names
    )
    return element("div", element("table", "".join(rows)), "scroll")


def _runs_table(view: SweepView, trial: FrozenTrial) -> Html:
    runs = trial.user_attrs.get("runs", ())
    if not runs:
        return paragraph("No run is recorded.")
    several = len(view.metrics) > 1
    names = [metric.name for metric in view.metrics]
    header = ["fold", "seed", *names, *(["score"] if several else []), "duration", "checkpoint"]
    folder = _common_folder(run.get("checkpoint", "") for run in runs)
    rows = table(header, (_run_row(view, run, folder) for run in runs), [*["n"] * (len(header) - 1), "path"])
    if not folder:
        return rows
    return Html(rows + paragraph(Html(f"Checkpoints are below {element('code', shown(folder))}.")))


def _run_row(view: SweepView, run: Mapping[str, Any], folder: str) -> Iterator[Any]:
    metrics = {name: number(value) for name, value in run.get("metrics", {}).items()}
    values = [metrics.get(metric.name, math.nan) for metric in view.metrics]
    yield run.get("fold")
    yield run.get("seed")
    yield from map(score_text, values)
    if len(values) > 1:
        strategy = view.record.get("multi_score_strategy", "harmonic")
        yield score_text(score_of_run(metrics, view.metrics, strategy) if all(map(math.isfinite, values)) else None)
    yield duration_text(number(run.get("duration")))
    yield run.get("error") or run.get("checkpoint", "").removeprefix(f"{folder}/") or NOTHING


def _common_folder(checkpoints: Iterable[str]) -> str:
    """The folder that all checkpoints are below, without which their paths are short; empty if there is none."""
    parents = [PurePosixPath(checkpoint).parent for checkpoint in checkpoints if checkpoint]
    if len(set(parents)) < 2:
        return ""
    shared = zip(*(parent.parts for parent in parents), strict=False)
    same = [parts[0] for parts in itertools.takewhile(lambda parts: len(set(parts)) == 1, shared)]
    return str(PurePosixPath(*same)) if len(same) > 1 else ""


def _history_and_importance(view: SweepView) -> str:
    others = [point_of(trial) for trial in view.trials if trial.state in _WITHOUT_SCORE]
    history = paragraph("No trial has ended yet.")
    if view.ranked or others:
        history = element("div", draw_history(view.scores, others), "scroll")
    return element("div", section("Scores", history) + _importance(view), "pair")


def _importance(view: SweepView) -> str:
    importances = parameter_importances(view.study, list(view.varied))
    title = "Which parameters matter"
    if isinstance(importances, str):
        return section(title, paragraph(importances))
    about = "How much of the differences between scores each parameter explains by itself (fANOVA)."
    if len(view.ranked) < FEW_TRIALS:
        about += f" There are {len(view.ranked)} trials only, so this may still change much."
    return section(title, paragraph(about), draw_importances(importances))


def _parallel(view: SweepView) -> str:
    if len(view.ranked) < 2 or not view.varied:
        return ""
    score = score_scale(view.scores.range, lower_is_better=view.scores.lower_is_better)
    figure = draw_parallel_coordinates(_scales(view), score, view.scores)
    about = "Each line is a complete trial: the stronger it is, the better its score. The thick one is the best."
    return section("All parameters together", paragraph(about), element("div", figure, "scroll"))


def _scales(view: SweepView) -> dict[str, Scale]:
    return {name: scale_of(dimension) for name, dimension in view.varied.items()}


def _slices(view: SweepView) -> str:
    if not view.ranked or not view.varied:
        return ""
    figures = [
        element("div", element("h3", shown(name)) + draw_slice(name, scale, view.scores))
        for name, scale in _scales(view).items()
    ]
    about = "Each dot is a complete trial: the large one is the best, hollow ones are unstable"
    if any(view.scores.range.side(point.score) for point in view.scores.points):
        about += ", triangles lie beyond the axis"
    if any(scale.is_categorical for scale in _scales(view).values()):
        about += "; lines are medians"
    return section("One parameter at a time", paragraph(f"{about}."), element("div", "".join(figures), "slices"))


def _ranking(view: SweepView) -> str:
    if not view.ranked:
        return ""
    header = ["trial", "score", "± runs", "", *view.varied, "time"]
    bodies = [_ranked_body(view, trial, len(header)) for trial in view.ranked[:BEST_SHOWN]]
    content = element("thead", row(header, ["n", "n", "n"], "th")) + "".join(bodies)
    best = min(BEST_SHOWN, len(view.ranked))
    title = f"The best {best} trials" if best > 1 else "All complete trials"
    return section(title, element("div", element("table", content, "ranking"), "scroll"))


def _ranked_body(view: SweepView, trial: FrozenTrial, columns: int) -> str:
    deviation = score_deviation(view.study, trial)
    cells = [
        trial.number,
        score_text(score_of(trial)),
        score_text(deviation),
        badge("unstable") if is_unstable(trial) else Html(""),
        *(value_text(trial.params[name]) if name in trial.params else NOTHING for name in view.varied),
        duration_text(duration_of(trial)),
    ]
    runs = trial.user_attrs.get("runs", ())
    inner = unfoldable(
        f"{counted(len(runs), 'run')} of {trial.user_attrs.get('cv_name', 'it')}",
        element("div", _runs_table(view, trial), "inner"),
    )
    below = f'<tr><td colspan="{columns}">{inner}</td></tr>'
    return element("tbody", row(cells, ["n", "n", "n"]) + below)


def _without_score(view: SweepView) -> str:
    ended = [trial for trial in view.trials if trial.state in _WITHOUT_SCORE]
    if not ended:
        return ""
    rows = [
        (
            trial.number,
            STATE_WORDS[trial.state],
            len(trial.user_attrs.get("runs", ())),
            trial.user_attrs.get("reason") or NOTHING,
            {name: value_text(trial.params[name]) for name in view.varied if name in trial.params},
        )
        for trial in ended
    ]
    styles = ["n", "", "n", "wide", "wide"]
    return section("Failed and pruned trials", table(["trial", "state", "runs", "reason", "parameters"], rows, styles))


def _space(view: SweepView) -> str:
    lines = describe(space_of(view.study))
    return section("Search space", table([], lines, ["name", ""]) if lines else paragraph("It is not recorded."))


def _settings(view: SweepView) -> str:
    settings = view.record.get("settings", {})
    if not settings:
        return ""
    rows = table([], sorted(settings.items()), ["name", ""])
    return element("section", unfoldable("Settings", element("div", rows, "settings")))


PARTS: tuple[Callable[[SweepView], str], ...] = (
    _tiles,
    _best,
    _history_and_importance,
    _parallel,
    _slices,
    _ranking,
    _without_score,
    _space,
    _settings,
)
