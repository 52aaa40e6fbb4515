"""`import-patches`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from darts.cli.config import CommonConfig
from darts.cli.options import config_options
from darts.cli.output import say, say_next, say_table
from darts.core.config import flat_settings
from darts.preprocess.importing.config import ImportConfig

if TYPE_CHECKING:
    from darts.core.bands import Band
    from darts.preprocess.importing.pipeline import ImportPreview, ImportResult
    from darts.preprocess.importing.values import Seen

PANEL = "Data"
_NEEDED = ("train", "val")
"""What a split file must name patches for."""


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command(
        "import-patches",
        rich_help_panel=PANEL,
        epilog="Example: [bold]darts import-patches --images-dir water/images --masks-dir water/masks --bands "
        "blue,green,red,nir,swir16 --image-bands 2,3,4,5,6 --scale 0.0001 --groups-file water/groups.json --train-data-dir "
        "data/water[/bold]",
    )(config_options(import_patches))


def import_patches(*, settings: ImportConfig, common: CommonConfig) -> None:
    """Make a dataset directory from ready patches: images and masks of the same name (.npy, .tif, .png)."""
    from darts.preprocess import import_patches as run
    from darts.preprocess import plan_import_patches

    if common.dry_run:
        _say_preview(plan_import_patches(**flat_settings(settings)))
        return
    _say_result(run(**flat_settings(settings)), grouped=settings.groups_file is not None)


def _say_preview(preview: "ImportPreview") -> None:
    plan = preview.plan
    say(
        f"would import {len(plan.patches)} patches of {plan.size} pixels in {len(set(plan.regions))} regions into "
        f"{plan.config.train_data_dir}"
    )
    for role, count in plan.roles.items():
        say(f"{role}: {count} patches")
    say(f"so much was seen in {preview.n_read} of them:")
    _say_bands(plan.bands, plan.config.channels, preview.seen)
    for doubt in preview.doubts:
        say(f"warning: {doubt}")


def _say_result(result: "ImportResult", *, grouped: bool) -> None:
    if result.already_complete:
        say(f"{result.directory} was complete already, nothing to do: {result.n_patches} patches.")
    else:
        _say_counts(result)
    if result.n_without_place:
        advice = "the groups of --groups-file keep" if grouped else "--groups-file keeps"
        say(
            f"{result.n_without_place} patches have no CRS: overlap on the ground can't be checked; {advice} those of one "
            "place together."
        )
    missing = [role for role in _NEEDED if result.roles and not result.roles[role]]
    if missing:
        say(f"{result.split_file} can't be trained with: no patch is for {' and '.join(missing)}.")
    if result.split_file is None or missing:
        say_next("darts", "inspect-dataset", "--train-data-dir", result.directory)
    else:
        say_next("darts", "train-smp", "--train-data-dir", result.directory, "--split-file", result.split_file)


def _say_counts(result: "ImportResult") -> None:
    say(
        f"{result.directory}: {result.n_patches} patches in {result.n_regions} regions, {result.n_positive_patches} with "
        f"positives ({result.positive_share:.2%} of the pixels that are not ignored; {result.ignored_share:.2%} of all are)."
    )
    if result.resumed_patches:
        say(f"{result.resumed_patches} patches had been imported by an earlier start.")
    for role, count in result.roles.items():
        say(f"{role}: {count} patches")
    for reason, count in result.dropped.items():
        say(f"dropped {count} patches: {reason}.")
    _say_bands(result.bands, result.channels, result.seen)


def _say_bands(bands: "Sequence[Band]", channels: Sequence[int], seen: "Seen") -> None:
    rows = [
        (
            band.name,
            channel,
            f"{band.lo:g} to {band.hi:g}",
            "nothing" if one.low is None else f"{one.low:.4g} to {one.high:.4g}",
            f"{one.clipped_share:.2%}",
        )
        for band, channel, one in zip(bands, channels, seen.bands, strict=True)
    ]
    say_table("bands", ("band", "channel", "range", "found", "clipped"), rows)
    say(f"numbers in the masks: {seen.numbers_text()}")
