"""Looking at a dataset before training on it: facts as data, and one HTML page that shows them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from darts.core.config import keyword_settings
from darts.core.errors import ConfigError, DatasetError
from darts.core.files import make_directory, write_text
from darts.dataset.config import InspectionConfig
from darts.dataset.inspection.facts import DatasetFacts, gather_facts
from darts.dataset.inspection.page import render
from darts.dataset.inspection.roles import read_roles
from darts.dataset.inspection.samples import choose_rows, draw_sample
from darts.dataset.inspection.verdict import spoils_training, training_hints
from darts.dataset.reader import Dataset, open_dataset

__all__ = [
    "DatasetFacts",
    "InspectionPlan",
    "gather_facts",
    "inspect_dataset",
    "plan_inspection",
    "spoils_training",
    "training_hints",
    "write_inspection",
]


@dataclass(frozen=True, slots=True, eq=False)
class InspectionPlan:
    """What is going to be read and written; checked before anything is.

    Attributes
    ----------
    dataset
        Open, and with at least one patch.
    page
        The file to write.
    samples
        How many pictures it shows.
    roles
        Role of each row in a run, or None.
    """

    dataset: Dataset
    page: Path
    samples: int
    roles: "pd.Series[Any] | None"


def plan_inspection(inspection: InspectionConfig) -> InspectionPlan:
    """Open the dataset and the split.

    Raises
    ------
    DatasetError
        When the dataset can't be opened, or is empty.
    ConfigError
        When the split is of another dataset, or the page would take the place of a folder.
    """
    if inspection.target.is_dir():
        raise ConfigError(f"--page must be a file *.html, but {inspection.target} is a folder; give a file in it.")
    dataset = open_dataset(inspection.train_data_dir)
    if not len(dataset):
        raise DatasetError(f"{inspection.train_data_dir} holds no patches, so there is nothing to look at.")
    roles = read_roles(inspection.split_file, dataset) if inspection.split_file is not None else None
    return InspectionPlan(dataset, inspection.target, inspection.samples, roles)


def write_inspection(plan: InspectionPlan, progress: Callable[[int, int], None] | None = None) -> DatasetFacts:
    """Read every patch once, and write the page.

    The same dataset, under the same name, gives the same bytes.

    Parameters
    ----------
    progress
        Called after each patch with the number of patches that are done, and of all.

    Raises
    ------
    DatasetError
        When the page can't be written.
    """
    make_directory(plan.page.parent, DatasetError)
    facts = gather_facts(plan.dataset, plan.roles, progress)
    samples = [draw_sample(plan.dataset, row) for row in choose_rows(facts, plan.samples)]
    write_text(plan.page, render(facts, samples))
    return facts


def _inspect(inspection: InspectionConfig) -> DatasetFacts:
    return write_inspection(plan_inspection(inspection))


inspect_dataset = keyword_settings(_inspect)
"""Look at a dataset; the keywords are the flags of `darts inspect-dataset`, with underscores."""
