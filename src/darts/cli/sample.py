"""`quickstart` and `make-sample-data`."""

import typer

from darts.cli.config import CommonConfig, QuickstartConfig
from darts.cli.options import config_options
from darts.cli.output import say, say_next
from darts.core.errors import Interrupted
from darts.sample.config import SampleConfig

PANEL = "Getting started"


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command("quickstart", rich_help_panel=PANEL, epilog="Example: [bold]darts quickstart[/bold]")(
        config_options(quickstart)
    )
    app.command(
        "make-sample-data",
        rich_help_panel=PANEL,
        epilog="Example: [bold]darts make-sample-data --output-dir sample --scenes 4[/bold]",
    )(config_options(make_sample_data))


def make_sample_data(*, sample: SampleConfig, common: CommonConfig) -> None:
    """Simulate scenes, labels and regions with known truth, in the layouts of real data."""
    from darts.sample.make import simulate_into

    if common.dry_run:
        say(f"would simulate {sample.scenes} scenes of {sample.size} pixels in {sample.output_dir}.")
        return
    data = simulate_into(sample)
    say(f"{data.output_dir} {'was complete already, nothing to do' if data.already_complete else 'is complete'}.")
    say_next(
        *("darts", "preprocess-s2-train-data", "--sentinel2-dir", data.sentinel2_dir, "--admin-dir", data.admin_dir),
        *("--train-data-dir", data.output_dir / "dataset", "--patch-size", 64, "--overlap", 0, "--s2-offset", 0),
    )


def quickstart(*, quickstart: QuickstartConfig, common: CommonConfig) -> None:
    """Go all the way on simulated scenes: dataset, training, test, converted model; about three minutes on two cores."""
    from darts.cli.quickstart import go_all_the_way, planned_steps

    if common.dry_run:
        for step in planned_steps(quickstart):
            say(step)
        return
    try:
        go_all_the_way(quickstart)
    except Interrupted as stop:
        raise Interrupted(f"{stop} The same command goes on with this step.", stop.exit_code) from None
