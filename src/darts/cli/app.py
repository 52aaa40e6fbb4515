"""The `darts` command."""

import os
import sys
from typing import Annotated

import typer

from darts import __version__
from darts.core.stopping import heed_signals

app = typer.Typer(
    name="darts",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="New here? [bold]darts quickstart[/bold] goes all the way on simulated scenes in about three minutes.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"darts {__version__}")
        raise typer.Exit


@app.callback()
def darts(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Satellite scenes and label polygons in, trained and tested segmentation models out."""


def _register() -> None:
    from darts.cli import import_patches, inspection, preprocess, runs, sample, splits, training, tuning

    for module in (sample, preprocess, import_patches, inspection, splits, training, runs, tuning):
        module.register(app)


_register()


def main() -> None:
    """Run the command line; a signal that asks to stop becomes its exit code."""
    heed_signals()
    try:
        app()
    except BrokenPipeError:
        # The reader of our output went away, as `| head` does: nothing is left to say, also not at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
