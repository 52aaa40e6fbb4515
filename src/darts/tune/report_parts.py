"""The parts of the report of a sweep, in their order."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from darts.tune.report_figures import Point, draw_history, draw_importances, draw_parallel_coordinates, draw_slice
from darts.tune.report_importance import FEW_TRIALS, parameter_importances
from darts.tune.report_markup import (
    Html,
    badge,
    duration_text,
    element,
    paragraph,
    row,
    score_text,
    section,
    shown,
    table,
    unfoldable,
)
from darts.tune.report_scales import linear_scale, scale_of
from darts.tune.score import ScoringMetric, parse_scoring_metrics, score_of_run
from darts.tune.space import Choice, Dimension, Range, describe
from darts.tune.status import SweepStatus, score_deviation, sweep_status
from darts.tune.table import STATE_WORDS, duration_of, is_unstable, ranked_trials, score_of, space_of, sweep_record

BEST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class SweepView:
    """A sweep, and what several parts of its report need to know.

    Attributes
    ----------
    trials
        All trials, by number.
    ranked
        The complete trials with a finite score, best first.
    points
        The trials, as figures show them.
    varied
        The dimensions of the search space that have more than one value.
    metrics
        What is scored.
    """

    study: Study
    record: Mapping[str, Any]
    status: SweepStatus
    trials: list[FrozenTrial]
    ranked: list[FrozenTrial]
    points: list[Point]
    varied: Mapping[str, Dimension]
    metrics: tuple[ScoringMetric, ...]

    @classmethod
    def of(cls, study: Study) -> Self:
        """The view of a study, as it is now."""
        trials = sorted(study.get_trials(deepcopy=False), key=lambda trial: trial.number)
        record = sweep_record(study)
        return cls(
            study=study,
            record=record,
            status=sweep_status(study, bool),  # who works on it isn't shown
            trials=trials,
            ranked=ranked_trials(trials, study.direction),
            points=[_point(trial) for trial in trials],
            varied={name: one for name, one in space_of(study).dimensions.items() if _is_varied(one)},
            metrics=parse_scoring_metrics(record.get("scoring_metric", ())),
        )

    @property
    def lower_is_better(self) -> bool:
        """Whether the best score is the least."""
        return self.study.direction == StudyDirection.MINIMIZE

    @property
    def scored(self) -> list[Point]:
        """The complete trials with a finite score, by number."""
        numbers = {trial.number for trial in self.ranked}
        return [point for point in self.points if point.number in numbers]

    @property
    def best(self) -> Point | None:
        """The best trial."""
        return _point(self.ranked[0]) if self.ranked else None


def _point(trial: FrozenTrial) -> Point:
    return Point(trial.number, STATE_WORDS[trial.state], score_of(trial), is_unstable(trial), trial.params)


def _is_varied(dimension: Dimension) -> bool:
    return isinstance(dimension, Range) or (isinstance(dimension, Choice) and len(dimension.values) > 1)


def _tiles(view: SweepView) -> str:
    status = view.status
    total = f" of {status.total}" if status.total else ""
    best = score_text(status.best.score) if status.best else "–"
    tiles = [("best", best, "best score")]
    if status.spread:
        tiles.append(("", score_text(status.spread.median), "median score"))
    tiles.append(("", f"{status.counts['complete']}{total}", "trials complete"))
    tiles += [("", str(status.counts[state]), state) for state in ("pruned", "failed", "running", "waiting")]
    if status.seconds_per_trial is not None:
        tiles.append(("", duration_text(status.seconds_per_trial), "a trial, on average"))
    shown_tiles = [
        element("div", element("b", shown(value)) + element("span", shown(name)), css) for css, value, name in tiles
    ]
    return element("div", "".join(shown_tiles), "tiles")


def _best(view: SweepView) -> str:
    best = view.status.best
    if best is None:
        return section("Best trial", paragraph("No trial is complete yet."))
    spread = f" ± {score_text(best.deviation)} from run to run" if best.deviation is not None else ""
    about = shown(
        f"Trial {best.number}, {best.cv_name or 'without a cross-validation'}, scored {score_text(best.score)}{spread}."
    )
    if best.is_unstable:
        about += f" {badge('unstable')} A scoring metric of one of its runs is zero or not finite; don't rely on it."
    names = sorted(best.params, key=lambda name: (name not in view.varied, name))
    rows = "".join(
        element("tr", element("td", shown(name), "name") + element("td", shown(best.params[name])), css)
        for name in names
        for css in ["" if name in view.varied else "constant"]
    )
    parameters = element("h3", "Parameters") + element("div", element("table", rows), "scroll")
    runs = element("h3", "Runs") + _runs_table(view, view.ranked[0])
    return section(
        "Best trial",
        paragraph(Html(about)),
        element("div", element("div", parameters) + element("div", runs), "halves"),
    )


def _runs_table(view: SweepView, trial: FrozenTrial) -> Html:
    runs = trial.user_attrs.get("runs", ())
    if not runs:
        return paragraph("No run is recorded.")
    several = len(view.metrics) > 1
    names = [metric.name for metric in view.metrics]
    header = ["fold", "seed", *names, *(["score"] if several else []), "duration", "checkpoint"]
    numbers = ["n"] * (len(header) - 1)
    return table(header, (_run_row(view, run, several) for run in runs), [*numbers, "path"])


def _run_row(view: SweepView, run: Mapping[str, Any], several: bool) -> Iterator[Any]:
    metrics = {name: _number(value) for name, value in run.get("metrics", {}).items()}
    yield run.get("fold")
    yield run.get("seed")
    values = [metrics.get(metric.name, math.nan) for metric in view.metrics]
    yield from map(score_text, values)
    if several:
        strategy = view.record.get("multi_score_strategy", "harmonic")
        yield score_text(score_of_run(metrics, view.metrics, strategy)) if all(map(math.isfinite, values)) else "–"
    yield duration_text(_number(run.get("duration")))
    yield run.get("error") or run.get("checkpoint") or "–"


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _history_and_importance(view: SweepView) -> str:
    history = "No trial has ended yet."
    if any(point.state in ("complete", "pruned", "failed") for point in view.points):
        history = draw_history(view.points, view.best, lower_is_better=view.lower_is_better)
        history = element("div", history, "scroll")
    else:
        history = paragraph(history)
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
    scores = [score_of(trial) for trial in view.ranked]
    score = linear_scale(min(scores), max(scores), upside_down=view.lower_is_better)
    scales = {name: scale_of(dimension) for name, dimension in view.varied.items()}
    figure = draw_parallel_coordinates(scales, view.scored, view.best, score)
    about = "Each line is a complete trial; the stronger it is, the better its score. The best one is red."
    return section("All parameters together", paragraph(about), element("div", figure, "scroll broad"))


def _slices(view: SweepView) -> str:
    if not view.ranked or not view.varied:
        return ""
    figures = [
        element("div", element("h3", shown(name)) + draw_slice(name, scale_of(dimension), view.scored, view.best))
        for name, dimension in view.varied.items()
    ]
    about = "Each dot is a complete trial; hollow ones are unstable, the best one is red. Lines are medians."
    return section("One parameter at a time", paragraph(about), element("div", "".join(figures), "slices"))


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
        score_text(math.nan if deviation is None else deviation),
        badge("unstable") if is_unstable(trial) else Html(""),
        *(trial.params.get(name, "–") for name in view.varied),
        duration_text(duration_of(trial)),
    ]
    runs = trial.user_attrs.get("runs", ())
    inner = unfoldable(
        f"{len(runs)} runs of {trial.user_attrs.get('cv_name', 'it')}",
        element("div", _runs_table(view, trial), "inner"),
    )
    below = f'<tr><td colspan="{columns}">{inner}</td></tr>'
    return element("tbody", row(cells, ["n", "n", "n"]) + below)


def _without_score(view: SweepView) -> str:
    ended = [trial for trial in view.trials if trial.state in (TrialState.FAIL, TrialState.PRUNED)]
    if not ended:
        return ""
    rows = [
        (
            trial.number,
            STATE_WORDS[trial.state],
            len(trial.user_attrs.get("runs", ())),
            trial.user_attrs.get("reason") or "–",
            {name: trial.params[name] for name in view.varied if name in trial.params},
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
