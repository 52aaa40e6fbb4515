"""`cross-validation-smp`, `tune-smp`, `optuna-sweep-smp`, and the group `sweep`."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from darts.cli.config import CommonConfig
from darts.cli.options import config_options
from darts.cli.output import command_line, flags, place_flags, say, say_metrics, say_next, say_table
from darts.core.errors import Interrupted, interruptible
from darts.training.config import DatasetConfig, FitConfig, Hyperparameters, LoggingConfig
from darts.tune.config import (
    CrossValidationConfig,
    NamedCrossValidationConfig,
    SweepConfig,
    SweepReportConfig,
    SweepViewConfig,
    TuneConfig,
)

if TYPE_CHECKING:
    import sqlalchemy as sa

    from darts.tune.crossvalidation import CrossValidationResult
    from darts.tune.plan import CrossValidationPlan, CrossValidationSettings
    from darts.tune.runner import SweepResult
    from darts.tune.sweep import Sweep, SweepPlan
    from darts.tune.tuning import TuneResult

PANEL = "Tuning"


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command(
        "cross-validation-smp",
        rich_help_panel=PANEL,
        epilog="Example: [bold]darts cross-validation-smp --train-data-dir data/s2 --fold-method region-stratified "
        "--model-encoder resnet34 --n-randoms 2 --cv-name second[/bold]",
    )(config_options(cross_validation_smp))
    app.command(
        "tune-smp",
        rich_help_panel=PANEL,
        epilog="Example: [bold]darts tune-smp --train-data-dir data/s2 --hpconfig space.yaml --n-trials 20 "
        "--retrain-and-test[/bold]",
    )(config_options(tune_smp))
    app.command(
        "optuna-sweep-smp",
        rich_help_panel=PANEL,
        epilog="Example: [bold]darts optuna-sweep-smp --train-data-dir data/s2 --sweep-config sweep.yaml --sweep-id third "
        "--sweep-db postgresql://me@host/sweeps --device 0[/bold]",
    )(config_options(optuna_sweep_smp))
    group = typer.Typer(no_args_is_help=True, help="Look at a sweep, while it runs or later.")
    group.command("status", epilog="Example: [bold]darts sweep status --sweep-id third[/bold]")(
        config_options(sweep_status)
    )
    group.command("report", epilog="Example: [bold]darts sweep report --sweep-id third[/bold]")(
        config_options(sweep_report)
    )
    app.add_typer(group, name="sweep", rich_help_panel=PANEL)


def cross_validation_smp(
    *,
    data: DatasetConfig,
    hyperparameters: Hyperparameters,
    fit: FitConfig,
    logging: LoggingConfig,
    cv: NamedCrossValidationConfig,
    common: CommonConfig,
) -> None:
    """Train one set of hyperparameters on every fold with several seeds, and score it; stopped, it goes on by its name."""
    from darts.tune.crossvalidation import plan_named_cross_validation, run_cross_validation
    from darts.tune.plan import CrossValidationSettings, check_cross_validation

    settings = CrossValidationSettings(data, hyperparameters, fit, logging, cv)
    plan = plan_named_cross_validation(settings, cv.cv_name)
    again = command_line("cross-validation-smp", data, fit, logging, cv_name=plan.cv_name)
    _say_cross_validation(plan, again)
    if common.dry_run:
        check_cross_validation(plan)
        return
    with goes_on_with(again):
        _say_score(run_cross_validation(plan))


@contextmanager
def goes_on_with(command: str) -> Iterator[None]:
    """Let an interruption say the command that goes on, also one that comes between two runs."""
    try:
        with interruptible():
            yield
    except Interrupted as stop:
        raise Interrupted(f"{stop} Go on with: {command}", stop.exit_code) from None


def _say_cross_validation(plan: "CrossValidationPlan", again: str) -> None:
    from darts.tune.crossvalidation import finished_runs

    folds = len({spec.data.fold for spec in plan.runs})
    there = len(finished_runs(plan))
    say(
        f"cross-validation {plan.cv_name}: {len(plan.runs)} runs ({folds} folds x {len(plan.runs) // folds} seeds), "
        f"{there} of them finished already; if it is stopped, it goes on with: {again}"
    )


def _say_score(result: "CrossValidationResult") -> None:
    metrics = [metric.partition(":")[0] for metric in result.plan.scoring_metric]
    rows = [
        (info.fold, info.seed, *(f"{info.metrics[name]:.4f}" for name in metrics), f"{info.duration:.0f} s")
        for info in result.runs
    ]
    say_table(f"cross-validation {result.plan.cv_name}", ("fold", "seed", *metrics, "took"), rows)
    say(f"score {result.score:.4f}{', unstable: a metric of a run is 0' if result.score_is_unstable else ''}")
    say(f"everything is in {result.plan.directory.path}")
    say_next("darts", "tune-smp", "--help")


def tune_smp(
    *,
    data: DatasetConfig,
    hyperparameters: Hyperparameters,
    fit: FitConfig,
    logging: LoggingConfig,
    cv: CrossValidationConfig,
    tune: TuneConfig,
    common: CommonConfig,
) -> None:
    """Search hyperparameters at random or on a grid, on this computer; each point is a cross-validation."""
    from darts.tune.plan import CrossValidationSettings
    from darts.tune.tuning import open_tune, plan_tune, run_tune

    settings = CrossValidationSettings(data, hyperparameters, fit, logging, cv)
    if common.dry_run:
        _say_plan(plan_tune(settings, tune), None if isinstance(tune.n_trials, str) else tune.n_trials)
        return
    sweep = open_tune(settings, tune)
    more = {"n_trials": tune.n_trials, "retrain_and_test": tune.retrain_and_test}
    again = command_line("tune-smp", data, fit, logging, tune_name=sweep.plan.name, **more)
    say(f"tune {sweep.plan.name}; if it is stopped, it goes on with: {again}")
    with goes_on_with(again):
        _say_tuned(run_tune(sweep, tune.retrain_and_test), sweep.url, logging)


def _say_plan(plan: "SweepPlan", total: int | None) -> None:
    from darts.tune.space import describe

    say_table(f"search space of {plan.name}", ("hyperparameter", "values"), describe(plan.space))
    runs = plan.record()["runs_per_trial"]
    points = min((count for count in (plan.limit, total) if count is not None), default=None)
    many = "without end" if points is None else f"{points} in all"
    say(f"would search it by method {plan.method}, {many}; each point is a cross-validation of {runs} runs.")


def _say_tuned(result: "TuneResult", url: "sa.URL", logging: LoggingConfig) -> None:
    from darts.cli.sweeps import sweep_words

    _say_best(result.sweep)
    if result.tested is None or result.best_run is None:
        say_next("darts", "sweep", "report", *sweep_words(result.sweep.name, url, logging.artifact_dir))
        return
    say_metrics(f"the best point, trained on the whole train split, on {result.tested.patches} test patches",
                result.tested.metrics)  # fmt: skip
    say_next(
        *("darts", "convert-lightning-checkpoint", "--lightning-checkpoint", result.tested.checkpoint),
        *("--out-directory", "models"),
    )


def _say_best(result: "SweepResult") -> None:
    say(f"this runner finished {len(result.finished)} trials of {result.name}; everything is in {result.directory}")
    if result.best is None or result.best_point is None:
        say("no trial has a score so far.")
        return
    say(f"best so far: trial {result.best}, score {result.best_score:.4f}")
    say_table(
        "",
        ("hyperparameter", "value"),
        list(result.best_point.items()),
    )


def optuna_sweep_smp(
    *,
    data: DatasetConfig,
    hyperparameters: Hyperparameters,
    fit: FitConfig,
    logging: LoggingConfig,
    cv: CrossValidationConfig,
    sweep: SweepConfig,
    common: CommonConfig,
) -> None:
    """Search hyperparameters with many runners that share a database: make a sweep, or join it with --sweep-id."""
    from darts.cli.runners import run_here, start_runners
    from darts.cli.sweeps import sweep_words
    from darts.tune.optuna_sweep import open_requested, plan_requested
    from darts.tune.plan import CrossValidationSettings

    settings = CrossValidationSettings(data, hyperparameters, fit, logging, cv)
    if common.dry_run:
        _say_plan(plan_requested(settings, sweep), sweep.total_trials)
        return
    opened = open_requested(settings, sweep)
    _say_sweep(opened, _runner_command(opened, settings, sweep, _another(fit)))
    if sweep.runners_on:
        opened.locks.close()
        start_runners(opened.url, [_runner_words(opened, settings, sweep, [device]) for device in sweep.runners_on])
    elif "device" in fit.model_fields_set:
        with goes_on_with(_runner_command(opened, settings, sweep, fit.device)):
            _say_best(run_here(opened, sweep))
        say_next("darts", "sweep", "report", *sweep_words(opened.plan.name, opened.url, logging.artifact_dir))


def _another(fit: FitConfig) -> list[str]:
    """A device for the next runner: the first one, unless this runner is on it."""
    if "device" not in fit.model_fields_set:
        return ["0"]
    return ["cpu" if fit.device == ("cpu",) else "1"]


def _say_sweep(sweep: "Sweep", another: str) -> None:
    from darts.tune.storage import shown_url

    done = "made" if sweep.is_new else "joined"
    say(f"{done} sweep {sweep.plan.name} in {shown_url(sweep.url)}; the sweep id is {sweep.plan.name}")
    say(f"another runner: {another}")


def _runner_words(
    sweep: "Sweep", settings: "CrossValidationSettings", config: SweepConfig, device: Sequence[str]
) -> list[str]:
    """The command that starts a runner on a device, without the name of the program."""
    chosen = config.model_copy(
        update={"sweep_id": sweep.plan.name, "sweep_db": None, "sweep_config": None, "runners_on": ()}
    )
    where = place_flags(settings.data, settings.fit, settings.logging)
    return ["optuna-sweep-smp", *where, *flags(chosen), *(word for one in device for word in ("--device", one))]


def _runner_command(
    sweep: "Sweep", settings: "CrossValidationSettings", config: SweepConfig, device: Sequence[str]
) -> str:
    """The same as a person types it: the URL of the database is part of it, unless it holds a password."""
    from darts.cli.sweeps import database_words, is_found_without_flag

    where = database_words(sweep.url, settings.logging.artifact_dir)
    command = shlex.join(["darts", *_runner_words(sweep, settings, config, device), *where])
    if where or is_found_without_flag(sweep.url, settings.logging.artifact_dir):
        return command
    return f"{command} (with the URL of the database in DARTS_SWEEP_DB)"


def sweep_status(*, sweep: SweepViewConfig, common: CommonConfig) -> None:
    """Show the trials of a sweep, its living runners, the best point and the time left; or list all sweeps."""
    from darts.cli.sweeps import say_status, say_sweeps

    if common.dry_run:
        say("would look, and change nothing.")
    elif sweep.sweep_id is None:
        say_sweeps(sweep)
    else:
        say_status(sweep, sweep.sweep_id)


def sweep_report(*, report: SweepReportConfig, common: CommonConfig) -> None:
    """Draw a sweep as one HTML page: history, importance, parallel coordinates, slices, the best trials and their folds."""
    from darts.cli.sweeps import sweep_url, sweep_words, write_sweep_report

    if common.dry_run:
        say(f"would draw {report.sweep_id}.")
        return
    path = write_sweep_report(report)
    say(f"wrote {path}; open it in a browser.")
    say_next("darts", "sweep", "status", *sweep_words(report.sweep_id, sweep_url(report), report.artifact_dir))
