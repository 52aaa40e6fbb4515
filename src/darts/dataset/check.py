"""Checking a dataset: its structure, and the values of a sample."""

from pathlib import Path

import numpy as np

from darts.core.errors import DatasetError
from darts.dataset.fingerprint import content_hash
from darts.dataset.reader import Dataset, open_dataset
from darts.dataset.schema import LABELS_FILE, POSITIVE, quantise


def check_structure(directory: Path) -> Dataset:
    """Open a dataset and check all that can be checked without reading samples.

    Raises
    ------
    DatasetError
        With the first broken rule.
    """
    dataset = open_dataset(directory)
    if len(dataset) == 0:
        raise DatasetError(
            f"{directory} holds no samples; check the exclusion filters and the labels, and preprocess again."
        )
    if dataset.manifest.schema_version is not None and not (directory / LABELS_FILE).exists():
        raise DatasetError(f"{directory} lacks {LABELS_FILE}; run the same preprocess command again.")
    if dataset.metadata["region"].isna().any():
        raise DatasetError(f"{directory}: every sample needs a region, but some have none; preprocess again.")
    return dataset


def broken_rule(dataset: Dataset, row: int, x: np.ndarray, y: np.ndarray) -> str | None:
    """The rule that a sample breaks, or None; x and y are as `read_x` and `read_y` give them."""
    sample = dataset.metadata.iloc[row]
    where = f"sample {row} ({sample['sample_id']})"
    if x.min() < 0 or x.max() > 1:
        return f"{where}: x must be in [0, 1], but is in [{x.min():.4g}, {x.max():.4g}]."
    if bool(sample["empty"]) == bool((y == POSITIVE).any()):
        count = int((y == POSITIVE).sum())
        return f"{where}: the column `empty` is {bool(sample['empty'])}, but y has {count} positive pixels."
    if (
        "content_hash" in dataset.metadata.columns
        and content_hash(quantise(x, dataset.manifest.scale), y) != sample["content_hash"]
    ):
        return f"{where}: x or y is not what was written (the content hash differs)."
    return None
