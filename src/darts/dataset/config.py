"""Settings of looking at a dataset; standard library and pydantic only."""

from pathlib import Path
from typing import ClassVar, Self

from pydantic import NonNegativeInt, model_validator

from darts.core.config import Config, OrNone

PAGE_FILE = "inspection.html"
_SUFFIXES = (".html", ".htm")


class InspectionConfig(Config, frozen=True):
    """Which dataset is looked at, and where the page goes."""

    panel: ClassVar[str] = "Inspection"

    train_data_dir: Path
    """Dataset directory that a preprocess command wrote."""
    page: OrNone[Path] = None
    """HTML file to write, in place of an earlier one; `inspection.html` in the dataset directory if not given."""
    samples: NonNegativeInt = 24
    """Number of patches that are shown as pictures; suspicious ones come first, and fill at most half of them."""
    split_file: OrNone[Path] = None
    """`split.parquet` of a run on this dataset; patches are then also counted and coloured by their role in that run."""

    @property
    def target(self) -> Path:
        """Where the page goes."""
        return self.page or self.train_data_dir / PAGE_FILE

    @model_validator(mode="after")
    def _page_is_a_page(self) -> Self:
        # Whatever stands there is replaced: a slip of the hand must not cost a dataset its metadata.
        if self.page is not None and self.page.suffix.lower() not in _SUFFIXES:
            raise ValueError(f"--page must be a file *.html, but is {self.page}")
        return self
