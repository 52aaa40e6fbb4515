"""`preprocess-s2-train-data`, `preprocess-planet-train-data`."""

from typing import TYPE_CHECKING

import typer

from darts.cli.config import CommonConfig
from darts.cli.options import config_options
from darts.cli.output import say, say_next, say_table
from darts.core.config import flat_settings
from darts.core.errors import DartsError
from darts.preprocess.config import (
    AuxiliaryConfig,
    ExecutionConfig,
    ImageLabelConfig,
    LabelConfig,
    ObsoleteConfig,
    PatchConfig,
    PlanetConfig,
    Sentinel2Config,
)

if TYPE_CHECKING:
    from darts.preprocess.execution import PreprocessResult
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
    app.command(
        "preprocess-planet-train-data",
        rich_help_panel=PANEL,
        epilog="Example: [bold]darts preprocess-planet-train-data --data-dir planet --labels-dir labels --arcticdem-dir dem "
        "--bands red,green,blue,nir,ndvi,slope --train-data-dir data/planet[/bold]",
    )(config_options(preprocess_planet_train_data))


def preprocess_s2_train_data(
    *,
    sentinel2: Sentinel2Config,
    labels: LabelConfig,
    patches: PatchConfig,
    auxiliary: AuxiliaryConfig,
    execution: ExecutionConfig,
    obsolete: ObsoleteConfig,
    common: CommonConfig,
) -> None:
    """Make a dataset directory from Sentinel-2 scenes and label polygons; stopped at any instant, it goes on."""
    from darts.preprocess import plan_s2_train_data
    from darts.preprocess import preprocess_s2_train_data as preprocess

    settings = flat_settings(sentinel2, labels, patches, auxiliary, execution, obsolete)
    if common.dry_run:
        _say_plan(plan_s2_train_data(**settings), patches)
        return
    _say_result(preprocess(**settings))


def preprocess_planet_train_data(
    *,
    planet: PlanetConfig,
    labels: ImageLabelConfig,
    patches: PatchConfig,
    auxiliary: AuxiliaryConfig,
    execution: ExecutionConfig,
    obsolete: ObsoleteConfig,
    common: CommonConfig,
) -> None:
    """Make a dataset directory from PlanetScope scenes and labels that name their image; stopped, it goes on."""
    from darts.preprocess import plan_planet_train_data
    from darts.preprocess import preprocess_planet_train_data as preprocess

    settings = flat_settings(planet, labels, patches, auxiliary, execution, obsolete)
    if common.dry_run:
        _say_plan(plan_planet_train_data(**settings), patches)
        return
    _say_result(preprocess(**settings))


def _say_plan(plan: "Plan", patches: PatchConfig) -> None:
    bands = ", ".join(band.name for band in plan.recipe.bands)
    say(f"would write up to {plan.n_patches} patches of {patches.patch_size} pixels into {patches.train_data_dir}")
    say(f"bands: {bands}")
    rows = [
        (scene.scene_id, scene.n_patches, len(scene.labels), ", ".join(scene.region_names)) for scene in plan.scenes
    ]
    say_table("scenes", ("scene", "patches", "labels", "regions"), rows)
    for note in plan.notes:
        say(f"note: {note}")


def _say_result(result: "PreprocessResult") -> None:
    """Print what was done, and what to type next.

    Raises
    ------
    DartsError
        When scenes failed: the dataset is good without them, but the user must know.
    """
    if result.already_complete:
        say(f"{result.directory} was complete already, nothing to do: {result.n_patches} patches.")
    else:
        _say_counts(result)
    say_next("darts", "inspect-dataset", "--train-data-dir", result.directory)
    if result.failed:
        name, reason = next(iter(result.failed.items()))
        count = f"{len(result.failed)} of {len(result.failed) + result.n_scenes} scenes"
        raise DartsError(
            f"{count} failed ({name}: {reason.rstrip('.')}); the dataset is complete without them; mend them, and run the "
            "same command again to add them."
        )


def _say_counts(result: "PreprocessResult") -> None:
    say(
        f"{result.directory}: {result.n_patches} patches of {result.n_scenes} scenes, {result.n_positive_patches} with "
        f"positives ({result.positive_share:.2%} of the pixels that are not ignored)."
    )
    if result.resumed_scenes:
        say(f"{result.resumed_scenes} scenes had been finished by an earlier start.")
    for reason, count in result.dropped.items():
        say(f"dropped {count} patches: {reason}.")
    say(
        f"labels: {result.labels_used} burnt in ({result.labels_without_pixel} of them hold no pixel, "
        f"{result.labels_in_no_patch} are in no patch), {result.labels_unused} reach no scene; "
        f"{result.directory / 'report.csv'} lists what was lost."
    )
