"""`validate-dataset`, `make-split`."""

from typing import TYPE_CHECKING

import typer

from darts.cli.config import CommonConfig
from darts.cli.options import config_options
from darts.cli.output import flags, say, say_next, say_table
from darts.core.errors import DatasetError
from darts.training.config import DataConfig, DatasetConfig, ValidateConfig
from darts.training.config.splits import MakeSplitConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from darts.dataset.joined import JoinedDataset
    from darts.dataset.reader import Dataset
    from darts.training.leakage import Division

PANEL = "Training"
_GIVEN_AGAIN = ("train_data_dir", "bands", "in_memory", "allow_overlap", "require_positive_in_val")


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command(
        "validate-dataset",
        rich_help_panel=PANEL,
        epilog="Example: [bold]darts validate-dataset --train-data-dir data/s2 --deep[/bold]",
    )(config_options(validate_dataset))
    app.command(
        "make-split",
        rich_help_panel=PANEL,
        epilog="Example: [bold]darts make-split --train-data-dir data/s2 --fold-method spatial --block-size-km 20 "
        "--output split.parquet[/bold]",
    )(config_options(make_split))


def validate_dataset(*, data: DataConfig, validate: ValidateConfig, common: CommonConfig) -> None:
    """Check a dataset directory: structure, splits and folds; with --deep every value; fails on what spoils training."""
    from darts.training.leakage import chosen_fold, doubts_of
    from darts.training.splits import subsampled

    dataset = _open(data)
    divisions = _divide(dataset, data)
    _say_divisions(dataset, divisions)
    if subsampled(dataset.metadata, data.subsample)["empty"].all():
        raise DatasetError(
            "training needs positive pixels, but no patch has one; check that the labels lie on the scenes."
        )
    chosen = chosen_fold([division.fold for division in divisions], data).number
    (division,) = (one for one in divisions if one.fold.number == chosen)
    doubts_of(dataset.metadata, division, data)  # refuses the fold as train-smp would
    if validate.deep and not common.dry_run:
        for part in dataset.parts:
            _read_everything(part)
    say_next("darts", "train-smp", *flags(data))


def make_split(*, data: DatasetConfig, split: MakeSplitConfig, common: CommonConfig) -> None:
    """Write a file that says which patch trains, validates and tests in which fold, for train-smp --split-file."""
    from darts.training.leakage import doubts_of
    from darts.training.split_files import write_split_file

    dataset = _open(data)
    divisions = _divide(dataset, data)
    _say_divisions(dataset, divisions)
    for division in divisions:
        doubts_of(dataset.metadata, division, data)  # the table has said what it warns of
    if common.dry_run:
        say(f"would write {split.output}.")
        return
    folds = [division.fold for division in divisions]
    write_split_file(split.output, dataset.metadata, divisions[0].split, folds)
    say(f"wrote {split.output}")
    which = ["--fold", folds[0].number] if folds[0].number else []
    again = [word for name in _GIVEN_AGAIN for word in flags(data, only=name)]
    say_next("darts", "train-smp", *again, "--split-file", split.output, *which)


def _open(data: DatasetConfig) -> "JoinedDataset":
    """The datasets, after a check of their structure and of the bands."""
    from darts.dataset.check import check_structure
    from darts.dataset.joined import open_datasets

    for directory in data.train_data_dir:
        check_structure(directory)
    dataset = open_datasets(data.train_data_dir)
    dataset.channel_indices(data.bands)
    return dataset


def _divide(dataset: "JoinedDataset", data: DatasetConfig) -> "Sequence[Division]":
    from darts.training.leakage import divide_all

    return divide_all(dataset.metadata, data, dataset.patch_size)


def _say_divisions(dataset: "JoinedDataset", divisions: "Sequence[Division]") -> None:
    from darts.training.splits import count_roles

    metadata = dataset.metadata
    say(
        f"{dataset.name}: {len(dataset)} patches of {dataset.patch_size} pixels, "
        f"{int((~metadata['empty'].astype(bool)).sum())} with positives, {metadata['region'].nunique()} regions; bands "
        f"{', '.join(dataset.band_names)}"
    )
    roles = count_roles(metadata, divisions[0].split, [division.fold for division in divisions])
    say_table("patches by role", ("role", "patches", "with positives", "regions"), roles)
    for line in dict.fromkeys(line for division in divisions for line in (*division.doubts, *division.account())):
        say(line)
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
        raise DatasetError(
            f"{dataset.directory}: {len(facts.broken)} of {len(dataset)} samples break a rule; build the dataset again."
        )
    reasons = spoils_training(facts)
    for reason in reasons:
        say(reason)
    if reasons:
        raise DatasetError(
            f"a training on {dataset.directory} would be spoilt; see above why, and in darts inspect-dataset where."
        )
    total = facts.total
    say(
        f"all {len(dataset)} samples are whole: {total.ignored_share:.2%} of the pixels are ignored, "
        f"{total.positive_share:.2%} of the others positive."
    )
