"""The group `runs`: list, show and compare the runs of an artifact directory."""

import math
from typing import TYPE_CHECKING, Any

import typer

from darts.cli.config import CommonConfig
from darts.cli.options import config_options
from darts.cli.output import say, say_next
from darts.core.html import counted
from darts.training.config.runs import RunChoiceConfig, RunComparisonConfig, RunTableConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from darts.training.run_comparison import Comparison
    from darts.training.run_record import RunRecord

PANEL = "Training"
_SCORES = {"IoU": "JaccardIndex", "F1": "F1Score", "precision": "Precision", "recall": "Recall"}
_PLACES_SHOWN = 8
_LONGEST_CELL = 24
_CELL_MARGIN = 3


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    group = typer.Typer(no_args_is_help=True, help="Look at runs: list them, show one, compare some.")
    group.command(
        "list",
        epilog="Example: [bold]darts runs list --where \"model_encoder == 'resnet34' and val/JaccardIndex > 0.3\"[/bold]",
    )(config_options(runs_list))
    group.command("show", epilog="Example: [bold]darts runs show --run-name first --report[/bold]")(
        config_options(runs_show)
    )
    group.command("compare", epilog="Example: [bold]darts runs compare --by model_encoder --where 'fold < 5'[/bold]")(
        config_options(runs_compare)
    )
    app.add_typer(group, name="runs", rich_help_panel=PANEL)


def runs_list(*, runs: RunTableConfig, common: CommonConfig) -> None:
    """List the runs of an artifact directory, those of cross-validations and sweeps included, finished or not."""
    from darts.training.run_selection import first_of_each, matching, require_column, sorted_runs
    from darts.training.runs import collect_runs
    from darts.training.tables import write_table

    everything = collect_runs(runs.artifact_dir)
    if not len(everything):
        say(f"{runs.artifact_dir} has no run.")
        return
    for column in runs.columns:
        require_column(everything, column, "--columns")
    table = sorted_runs(matching(everything, runs.where), runs.sort_by, ascending=runs.ascending)
    table = first_of_each(table, runs.best_per).head(runs.top or len(table))
    if not len(table):
        say(f"none of the {len(everything)} runs fits --where.")
        return
    _say_runs(table, runs, len(everything))
    if runs.output is not None:
        if common.dry_run:
            say(f"would write {runs.output}.")
        else:
            write_table(table, runs.output, known_by="run_id")
            say(f"wrote {runs.output} with all {len(table.columns)} columns.")
    say_next("darts", "runs", "show", "--artifact-dir", runs.artifact_dir, "--run-id", table["run_id"].iloc[0])


def _say_runs(table: "pd.DataFrame", runs: RunTableConfig, total: int) -> None:
    """A table as wide as the terminal: the columns that tell most are kept, and what has no room is named."""
    from rich.console import Console

    from darts.training.run_record import is_metric
    from darts.training.run_selection import shown_text, telling_columns

    names = runs.columns or telling_columns(table, runs.sort_by)
    shorten = str if runs.columns else _shortened  # what was asked for is shown whole
    cells = {name: [shorten(shown_text(value)) for value in table[name]] for name in names}
    fitting = list(names) if runs.columns else sorted(_fitting(cells, Console().width), key=is_metric)
    title = f"{len(table)} of {total}" if len(table) < total else "all"
    rows = list(zip(*(cells[name] for name in fitting), strict=True))
    _print_table(f"{title} runs in {runs.artifact_dir}", [_header(name) for name in fitting], rows)
    if hidden := [name for name in names if name not in fitting]:
        say(f"there is no room for {', '.join(hidden)}; choose with --columns, or write all with --output runs.csv.")


def _shortened(text: str) -> str:
    """A cell of at most so many characters, without those in the middle."""
    half = _LONGEST_CELL // 2
    return text if len(text) <= _LONGEST_CELL else f"{text[: half - 1]}\N{HORIZONTAL ELLIPSIS}{text[-half:]}"


def _header(name: str) -> str:
    """A long name in two lines."""
    stage, slash, metric = name.partition("/")
    return f"{stage}{slash}\n{metric}" if slash else name


def _fitting(cells: dict[str, list[str]], width: int) -> list[str]:
    """The columns that fit, of those that are named most important first."""
    room, fitting = width - 1, []
    for name, texts in cells.items():
        needed = (
            max(len(line) for text in (*texts, _header(name)) for line in (text.split("\n") or [""])) + _CELL_MARGIN
        )
        if needed <= room:
            room -= needed
            fitting.append(name)
    return fitting


def _print_table(title: str, header: "Sequence[str]", rows: "Sequence[Sequence[str]]") -> None:
    """A table whose numbers are aligned to the right, and whose cells are taken as they are."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left")
    for index, name in enumerate(header):
        is_number = all(_is_number(row[index]) for row in rows)
        table.add_column(escape(name), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    Console().print(table)


def _is_number(text: str) -> bool:
    try:
        float(text or 0)
    except ValueError:
        return False
    return True


def runs_show(*, choice: RunChoiceConfig, common: CommonConfig) -> None:
    """Show one run: settings that aren't defaults, metrics, regions and scenes, doubts, files, and what to type next."""
    from darts.training.run_details import next_commands
    from darts.training.run_doubts import doubts
    from darts.training.run_record import read_run
    from darts.training.runs import find_run

    directory = find_run(choice.artifact_dir, choice.run_name, choice.run_id)
    run = read_run(directory)
    _say_run(run)
    for doubt in doubts(run):
        say(f"doubt: {doubt}")
    if choice.report and common.dry_run:
        say(f"would write {directory.report}.")
    elif choice.report:
        from darts.training.report import write_report

        say(f"wrote {write_report(directory)}")
    names = sorted(path.name for path in directory.path.iterdir() if not path.name.startswith("."))
    say(f"files are in {directory.path}: {', '.join(names)}")
    for words in list(next_commands(run, choice.artifact_dir))[:1]:
        say_next(*words)


def _say_run(run: "RunRecord") -> None:
    from darts.core.durations import duration_text
    from darts.training.run_details import changed_settings
    from darts.training.run_record import setting_text
    from darts.training.run_selection import shown_text

    name, run_id = run.name_and_id
    took = f" in {duration_text(float(run.result['duration']))}" if "duration" in run.result else ""
    state = "finished" if run.is_finished else "not finished"
    best = f", the best one is {run.best_epoch}" if run.best_epoch else ""
    say(
        f"{name} (id {run_id}) is {state}: {counted(run.epochs, 'epoch')}{took}{best}; fold {run.fold}, seed {run.seed}"
    )
    settings = [(key, setting_text(value)) for key, value in changed_settings(run.settings).items()]
    if settings:
        _print_table("settings that differ from the defaults", ("setting", "value"), settings)
    checkpoint = "best checkpoint" if run.is_finished else "best validation so far"
    metrics = {stage: run.metrics(stage) for stage in ("val", "test") if run.metrics(stage)}
    names = dict.fromkeys(name.partition("/")[2] for values in metrics.values() for name in values)
    rows = [(name, *(shown_text(values.get(f"{stage}/{name}")) for stage, values in metrics.items())) for name in names]
    if rows:
        _print_table(checkpoint, ("metric", *metrics), rows)
    for what in ("region", "scene"):
        _say_places(run, what)


def _say_places(run: "RunRecord", what: str) -> None:
    from darts.training.run_details import scores_by

    for split, scores in scores_by(run, what).groupby("split", sort=False):
        worst = scores.head(_PLACES_SHOWN)
        of = f"the {len(worst)} worst of {len(scores)} {what}s" if len(worst) < len(scores) else f"{what}s, worst first"
        rows = [_place_row(row, what) for _, row in worst.iterrows()]
        _print_table(f"{split}: {of}", (what, "pixels", *_SCORES), rows)


def _place_row(row: "pd.Series[Any]", what: str) -> tuple[str, ...]:
    """Where nothing is positive, the scores say nothing, and aren't shown."""
    has_positives = row["tp"] + row["fn"] > 0
    scores = [f"{row[name]:.4f}" if has_positives and name in row else "" for name in _SCORES.values()]
    return (_shortened(str(row[what])), f"{int(row['pixels'])}", *scores)


def runs_compare(*, comparison: RunComparisonConfig, common: CommonConfig) -> None:  # noqa: ARG001 -- it writes nothing
    """Compare runs in pairs of the same fold and seed: differences, their mean, and whether it is more than noise."""
    from darts.core.errors import RunError
    from darts.training.run_comparison import compare_runs
    from darts.training.run_selection import matching
    from darts.training.runs import collect_runs

    table = collect_runs(comparison.artifact_dir)
    if missing := [one for one in comparison.run_id if one not in set(table["run_id"])]:
        raise RunError(f"{comparison.artifact_dir} has no run with the id {', '.join(missing)}; see darts runs list.")
    chosen = table[table["run_id"].isin(comparison.run_id)] if comparison.run_id else table
    _say_comparison(compare_runs(matching(chosen, comparison.where), comparison.metric, comparison.by))
    say_next("darts", "runs", "list", "--artifact-dir", comparison.artifact_dir, "--sort-by", comparison.metric)


def _say_comparison(comparison: "Comparison") -> None:
    table = comparison.table
    header = [*map(str, table.index.names), *map(str, table.columns)]
    rows = [
        [*map(str, key), *("" if math.isnan(value) else f"{value:.4f}" for value in values)]
        for key, values in zip(table.index, table.to_numpy(), strict=True)
    ]
    if len(table.columns) == 2:
        header.append("difference")
        rows = [[*row, f"{values[1] - values[0]:+.4f}"] for row, values in zip(rows, table.to_numpy(), strict=True)]
    _print_table(comparison.metric, header, rows)
    for difference in comparison.differences:
        say(difference.sentence())
    if comparison.also_differ:
        say(
            f"warning: the variants also differ in {', '.join(comparison.also_differ)}; the difference may come from there."
        )
    for name in comparison.without_pair:
        say(
            f"{name} is left out: none of its runs shares fold, seed, patches and other settings with one of the others."
        )
    if comparison.left_out:
        say(f"{counted(comparison.left_out, 'run')} left out: not finished, or without {comparison.metric}.")
