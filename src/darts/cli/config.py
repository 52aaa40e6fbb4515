"""Settings that every command has."""

from pathlib import Path
from typing import ClassVar

from pydantic import NonNegativeInt

from darts.core.config import Config, OrNone


class CommonConfig(Config, frozen=True):
    """What every command can do beside its work."""

    panel: ClassVar[str] = "Everywhere"

    log_dir: OrNone[Path] = None
    """Also write all messages into `darts.log` in this folder."""
    verbose: bool = False
    """Show what is being done, not only what is wrong."""
    debug: bool = False
    """Show everything, and the traceback of an error."""
    dry_run: bool = False
    """Check the settings and say what would be done, but don't do it."""


class QuickstartConfig(Config, frozen=True):
    """Where the quickstart works."""

    panel: ClassVar[str] = "Quickstart"

    output_dir: Path = Path("darts-quickstart")
    """Folder that everything is written into; what is there already is not done again."""
    random_seed: NonNegativeInt = 42
    """Seeds simulation and training."""
