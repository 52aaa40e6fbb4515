"""`preprocess-s2-train-data`."""

from typing import TYPE_CHECKING

import typer

from darts.cli.config import CommonConfig
from darts.cli.options import config_options
from darts.cli.output import say, say_next, say_table
from darts.core.config import flat_settings
from darts.preprocess.config import AuxiliaryConfig, LabelConfig, ObsoleteConfig, PatchConfig, Sentinel2Config

if TYPE_CHECKING:
    from darts.preprocess.pipeline import PreprocessResult
    from darts.preprocess.plan import Plan

PANEL = "Data"


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command(
        "preprocess-s2-train-data",
        rich_help_panel=PANEL,
        epilog="Example: [bold]darts preprocess-s2-train-data --sentinel2-dir scenes --train-data-dir data/s2 --patch-size "
        "256[/bold]",
    )(config_options(preprocess_s2_train_data))


def preprocess_s2_train_data(
    *,
    sentinel2: Sentinel2Config,
    labels: LabelConfig,
    patches: PatchConfig,
    auxiliary: AuxiliaryConfig,
    obsolete: ObsoleteConfig,
    common: CommonConfig,
) -> None:
    """Make a dataset directory from Sentinel-2 scenes and label polygons; stopped at any instant, it goes on."""
    from darts.preprocess import plan_s2_train_data
    from darts.preprocess import preprocess_s2_train_data as preprocess

    settings = flat_settings(sentinel2, labels, patches, auxiliary, obsolete)
    if common.dry_run:
        _say_plan(plan_s2_train_data(**settings), patches)
        return
    result = preprocess(**settings)
    if result.already_complete:
        say(f"{result.directory} was complete already, nothing to do: {result.n_patches} patches.")
    else:
        _say_result(result)
    say_next("darts", "validate-dataset", "--train-data-dir", result.directory, "--deep")


def _say_plan(plan: "Plan", patches: PatchConfig) -> None:
    bands = ", ".join(band.name for band in plan.bands)
    say(f"would write up to {plan.n_patches} patches of {patches.patch_size} pixels into {patches.train_data_dir}")
    say(f"bands: {bands}")
    rows = [
        (scene.scene_id, scene.n_patches, len(scene.labels), ", ".join(scene.region_names)) for scene in plan.scenes
    ]
    say_table("scenes", ("scene", "patches", "labels", "regions"), rows)
    for note in plan.notes:
        say(f"note: {note}")


def _say_result(result: "PreprocessResult") -> None:
    say(
        f"{result.directory}: {result.n_patches} patches of {result.n_scenes} scenes, {result.n_positive_patches} with "
        f"positives ({result.positive_share:.2%} of the pixels that are not ignored)."
    )
    if result.resumed_scenes:
        say(f"{result.resumed_scenes} scenes had been finished by an earlier start.")
    for reason, count in result.dropped.items():
        say(f"dropped {count} patches: {reason}.")
    say(
        f"labels: {result.labels_used} burnt in ({result.labels_without_pixel} of them hold no pixel), "
        f"{result.labels_unused} touch no scene."
    )
