"""Settings of the simulated data."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from darts.core.config import Config


class SampleConfig(Config, frozen=True):
    """What to simulate, and where to write it."""

    panel: ClassVar[str] = "Sample data"

    output_dir: Path
    """Folder to write the simulated scenes, labels, elevation and regions into."""

    random_seed: int = 42
    """Seeds the simulation: the same seed gives the same files, byte for byte."""

    scenes: int = Field(default=8, ge=1, le=64)
    """How many Sentinel-2 scenes to simulate."""

    size: int = Field(default=512, ge=128, le=2048, multiple_of=2)
    """Height and width of each scene, in pixels."""
