"""`train-smp`, `test-smp`, `convert-lightning-checkpoint`."""

import shlex
import sys
from typing import TYPE_CHECKING

import typer

from darts.cli.config import CommonConfig
from darts.cli.options import config_options
from darts.cli.output import say, say_metrics, say_next
from darts.core.errors import Interrupted
from darts.training.config import (
    ConvertConfig,
    DataConfig,
    Hyperparameters,
    RunLoggingConfig,
    TestConfig,
    TrainerConfig,
)

if TYPE_CHECKING:
    from darts.training.plan import RunSpec

PANEL = "Training"


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command(
        "train-smp",
        rich_help_panel=PANEL,
        epilog="Example: [bold]darts train-smp --train-data-dir data/s2 --data-split-method region --data-split-by 'North "
        "Shore' --model-encoder resnet34 --run-name first[/bold]",
    )(config_options(train_smp))
    app.command("test-smp", rich_help_panel=PANEL, epilog="Example: [bold]darts test-smp --run-name first[/bold]")(
        config_options(test_smp)
    )
    app.command(
        "convert-lightning-checkpoint",
        rich_help_panel=PANEL,
        epilog="Example: [bold]darts convert-lightning-checkpoint --lightning-checkpoint "
        "artifacts/_runs/first-1a2b3c4d/checkpoints/best.ckpt --out-directory models[/bold]",
    )(config_options(convert_lightning_checkpoint))


def train_smp(
    *,
    data: DataConfig,
    hyperparameters: Hyperparameters,
    trainer: TrainerConfig,
    logging: RunLoggingConfig,
    common: CommonConfig,
) -> None:
    """Train one model on one fold of a dataset."""
    from darts.training.plan import plan_run
    from darts.training.run import run

    spec = plan_run(data, hyperparameters, trainer, logging)
    if common.dry_run:
        _say_plan(spec)
        return
    try:
        result = run(spec)
    except Interrupted as stop:
        raise _with_command(stop, spec.run_id) from None
    say_metrics(f"best checkpoint of {result.run_name} (id {result.run_id}), {result.epochs} epochs", result.metrics)
    say(f"everything is in {result.directory}; open report.html there in a browser.")
    say_next("darts", "test-smp", "--artifact-dir", logging.artifact_dir, "--run-id", result.run_id)


def _say_plan(spec: "RunSpec") -> None:
    from darts.training.plan import PreparedRun

    prepared = PreparedRun(spec)
    counts = prepared.role_counts
    verb = "go on with" if prepared.resume_point else "train"
    say(f"would {verb} {spec.run_name} on {counts['train']} patches, with {counts['val']} to validate on.")
    for hint in prepared.hints:
        say(hint)


def _with_command(stop: Interrupted, run_id: str) -> Interrupted:
    """The interruption, with the command that goes on."""
    if stop.checkpoint is None:
        return stop
    words = [*_without(sys.argv[1:], "--resume", "--continue-from-checkpoint", "--init-weights"), "--resume", run_id]
    return Interrupted(f"{stop} Go on with: {shlex.join(['darts', *words])}", stop.exit_code, stop.checkpoint)


def _without(words: list[str], *flags: str) -> list[str]:
    """A command line without some flags and their values."""
    kept, after_flag = [], False
    for word in words:
        name, equals, _ = word.partition("=")
        if not after_flag and name not in flags:
            kept.append(word)
        after_flag = name in flags and not equals
    return kept


def test_smp(*, test: TestConfig, common: CommonConfig) -> None:
    """Test a run, or a checkpoint, on the test split."""
    from darts.training import testing

    if common.dry_run:
        say(f"would test {testing.locate(test)[0]}.")
        return
    result = testing.test(test)
    say_metrics(f"{result.checkpoint} on {result.patches} test patches", result.metrics)
    say(f"figures are in {result.directory / 'figures'}")
    say_next(
        *("darts", "convert-lightning-checkpoint", "--lightning-checkpoint", result.checkpoint),
        *("--out-directory", "models"),
    )


def convert_lightning_checkpoint(*, convert: ConvertConfig, common: CommonConfig) -> None:
    """Convert a training checkpoint into a model for a pipeline."""
    from darts.training import convert as conversion

    if common.dry_run:
        say(f"would write {conversion.plan_conversion(convert).target}.")
        return
    result = conversion.convert(convert)
    say(f"wrote {result.path}; its logits differ from the checkpoint's by at most {result.max_difference:.1e}.")
    say_next("python", "-c", f"from darts.training import load_model; print(load_model({str(result.path)!r})[1])")
