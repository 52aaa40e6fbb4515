"""The report of a sweep: one HTML file that needs nothing else, neither a network nor other files."""

from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

from optuna.study import Study

from darts.core.files import write_text
from darts.core.html import Html, counted, page, paragraph
from darts.tune.report.parts import PARTS
from darts.tune.report.view import SweepView


def write_report(study: Study, path: Path) -> Path:
    """Draw the report of a sweep, as it is now, and give back its path.

    The same study gives the same bytes. It may be empty, or hold trials that failed or are running.
    """
    view = SweepView.of(study)
    text = page(
        kind="darts sweep",
        title=study.study_name,
        subtitle=_subtitle(view),
        body="\n".join(part(view) for part in PARTS),
        footer=_footer(view),
        style=resources.files("darts.tune.report").joinpath("style.css").read_text(encoding="utf-8"),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
    return path


def _subtitle(view: SweepView) -> Html:
    record = view.record
    method = f"{record.get('method', 'random')} search with seed {record.get('seed', '?')}"
    begun = f"Begun on {_moment(record['created'])}; {method}." if "created" in record else f"A {method}."
    return Html(paragraph(begun, "") + paragraph(_what_is_scored(view), ""))


def _what_is_scored(view: SweepView) -> str:
    several = len(view.metrics) > 1
    # As in `darts.tune.score`: of several metrics, one that is better when lower enters as its reciprocal.
    names = [
        f"1 / {metric.name}" if several and metric.direction == "lower" else metric.name for metric in view.metrics
    ]
    what = " and ".join(names) or "not known"
    if several:
        strategy = view.record.get("multi_score_strategy", "harmonic")
        what = f"the {'least' if strategy == 'min' else f'{strategy} mean'} of {what}"
    runs = view.record.get("runs_per_trial")
    better = "lower" if view.scores.lower_is_better else "higher"
    averaged = f", averaged over {counted(runs, 'run')}" if runs else ""
    return f"The score is {what}{averaged}; {better} is better."


def _moment(text: Any) -> str:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return str(text)
    return f"{moment.day} {moment:%B %Y, %H:%M %Z}".strip()


def _footer(view: SweepView) -> str:
    ended = [trial.datetime_complete for trial in view.trials if trial.datetime_complete is not None]
    last = f" The last trial ended on {_moment(max(ended))}." if ended else ""
    fingerprint = view.record.get("dataset_fingerprint")
    dataset = f" Dataset {fingerprint}." if fingerprint else ""
    return f"Drawn by darts from {counted(len(view.trials), 'trial')}.{last}{dataset}"
