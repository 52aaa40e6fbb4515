"""Settings of writing a split file; standard library and pydantic only."""

from pathlib import Path
from typing import ClassVar, Self

from pydantic import model_validator

from darts.core.config import Config

SUFFIXES = (".parquet", ".csv")
"""What a split file may end in."""


class MakeSplitConfig(Config, frozen=True):
    """Where the split goes."""

    panel: ClassVar[str] = "Split file"

    output: Path = Path("split.parquet")
    """File to write (*.parquet or *.csv), in place of an earlier one: the role of each patch in each fold."""

    @model_validator(mode="after")
    def _output_is_a_table(self) -> Self:
        # Whatever stands there is replaced: a slip of the hand must not cost a dataset its metadata.
        if self.output.suffix.lower() not in SUFFIXES:
            raise ValueError(
                f"--output must be a file {' or '.join('*' + suffix for suffix in SUFFIXES)}, but is {self.output}"
            )
        return self
