"""The report of a run: one HTML file that needs nothing else, neither a network nor other files."""

from importlib import resources
from pathlib import Path

from darts.core.artifacts import RunDirectory
from darts.core.durations import duration_text
from darts.core.files import write_text
from darts.core.html import Html, counted, page, paragraph
from darts.training.report.parts import PARTS
from darts.training.report.view import RunView


def write_report(directory: RunDirectory) -> Path:
    """Write the report of a run into its folder, in the place of an earlier one, and give back its path.

    The run may be unfinished, and may lack any of its files. Curves and the data distribution are drawn into the folder of
    figures; the other figures are those that the run left there. The same run gives the same bytes.

    Raises
    ------
    RunError
        When a file of the run is damaged, naming it.
    """
    view = RunView.of(directory)
    text = page(
        kind="darts run",
        title=view.run.name_and_id[0],
        subtitle=_subtitle(view),
        body="\n".join(part for make in PARTS if (part := make(view))),
        footer=_footer(view),
        style=resources.files("darts.training.report").joinpath("style.css").read_text(encoding="utf-8"),
    )
    write_text(directory.report, text)
    return directory.report


def _subtitle(view: RunView) -> Html:
    run = view.run
    fold = "" if run.fold is None else f", fold {run.fold}"
    seed = "" if run.seed is None else f", seed {run.seed}"
    took = run.result.get("duration")
    state = (
        f"finished after {counted(run.epochs, 'epoch')}"
        if run.is_finished
        else f"not finished, {counted(run.epochs, 'epoch')} so far"
    )
    in_time = f" and {duration_text(took)}" if took else ""
    return Html(paragraph(f"Run {run.name_and_id[1]}{fold}{seed}; {state}{in_time}.", ""))


def _footer(view: RunView) -> str:
    fingerprint = view.run.record.get("dataset_fingerprint", "none")
    dataset = "" if fingerprint == "none" else f" Dataset {fingerprint}."
    return f"Written by darts from the files of run {view.run.name_and_id[1]}.{dataset}"
