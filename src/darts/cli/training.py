"""`train-smp`, `test-smp`, `convert-lightning-checkpoint`, `validate-dataset`."""

import shlex
import sys
from typing import TYPE_CHECKING

import typer

from darts.cli.config import CommonConfig
from darts.cli.options import config_options
from darts.cli.output import flags, say, say_metrics, say_next, say_table
from darts.core.errors import DatasetError, Interrupted
from darts.training.config import (
    ConvertConfig,
    DataConfig,
    Hyperparameters,
    RunLoggingConfig,
    TestConfig,
    TrainerConfig,
    ValidateConfig,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from darts.dataset.reader import Dataset

PANEL = "Training"


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command(
        "validate-dataset",
        rich_help_panel=PANEL,
        epilog="Example: [bold]darts validate-dataset --train-data-dir data/s2 --deep[/bold]",
    )(config_options(validate_dataset))
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
    from darts.training.plan import PreparedRun, plan_run
    from darts.training.run import run

    spec = plan_run(data, hyperparameters, trainer, logging)
    if common.dry_run:
        counts = PreparedRun(spec).role_counts
        say(f"would train {spec.run_name} on {counts['train']} patches, with {counts['val']} to validate on.")
        return
    try:
        result = run(spec)
    except Interrupted as stop:
        raise _with_command(stop) from None
    say_metrics(f"best checkpoint of {result.run_name} (id {result.run_id}), {result.epochs} epochs", result.metrics)
    say(f"everything is in {result.directory}")
    say_next("darts", "test-smp", "--artifact-dir", logging.artifact_dir, "--run-id", result.run_id)


def _with_command(stop: Interrupted) -> Interrupted:
    """The interruption, with the command that goes on."""
    if stop.checkpoint is None:
        return stop
    command = shlex.join(["darts", *sys.argv[1:], "--continue-from-checkpoint", str(stop.checkpoint)])
    return Interrupted(f"{stop} Go on with: {command}", stop.exit_code, stop.checkpoint)


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


def validate_dataset(*, data: DataConfig, validate: ValidateConfig, common: CommonConfig) -> None:
    """Check a dataset directory: structure, splits and folds; with --deep every value; fails on what spoils training."""
    from darts.dataset.check import check_structure
    from darts.training.splits import count_roles, make_folds, split_test, subsampled

    dataset = check_structure(data.train_data_dir)
    dataset.channel_indices(data.bands)
    metadata = subsampled(dataset.metadata, data.subsample)
    split = split_test(metadata, data)
    folds = make_folds(metadata.loc[split.trainval], data)
    _say_dataset(dataset, count_roles(metadata, split, folds))
    if metadata["empty"].all():
        raise DatasetError(
            "training needs positive pixels, but no patch has one; check that the labels lie on the scenes."
        )
    if validate.deep and not common.dry_run:
        _read_everything(dataset)
    say_next("darts", "train-smp", *flags(data))


def _say_dataset(dataset: "Dataset", roles: "Sequence[tuple[str, int, int, int]]") -> None:
    manifest, metadata = dataset.manifest, dataset.metadata
    say(
        f"{dataset.directory}: {len(dataset)} patches of {manifest.patch_size} pixels, "
        f"{int((~metadata['empty'].astype(bool)).sum())} with positives, {metadata['region'].nunique()} regions; bands "
        f"{', '.join(manifest.band_names)}"
    )
    say_table("patches by role", ("role", "patches", "with positives", "regions"), roles)
    for role, _, positives, _ in roles:
        if not positives:
            say(f"warning: {role} has no patch with a positive pixel.")


def _read_everything(dataset: "Dataset") -> None:
    from rich.progress import Progress

    from darts.core.log import console
    from darts.dataset.inspection import gather_facts, spoils_training

    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("reading")
        facts = gather_facts(dataset, progress=lambda done, total: bar.update(task, completed=done, total=total))
    for problem in facts.broken[:20]:
        say(problem)
    if facts.broken:
        raise DatasetError(f"{len(facts.broken)} of {len(dataset)} samples break a rule; build the dataset again.")
    reasons = spoils_training(facts)
    for reason in reasons:
        say(reason)
    if reasons:
        raise DatasetError(
            "a training on this dataset would be spoilt; see above why, and in darts inspect-dataset where."
        )
    total = facts.total
    say(
        f"all {len(dataset)} samples are whole: {total.ignored_share:.2%} of the pixels are ignored, "
        f"{total.positive_share:.2%} of the others positive."
    )
