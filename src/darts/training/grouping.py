"""What a split keeps together, and what it shares out equally."""

from typing import Any

import numpy as np
import pandas as pd

from darts.core.errors import ConfigError, RunError
from darts.dataset.places import KM_PER_DEGREE, cell_of, joined_by_overlap, middle_of, outlines_of
from darts.training.config import DatasetConfig

MOST_STRATA = 20
"""Distinct values that a column may have whose values are shared out equally."""
OVERLAP = "overlap"
"""What `group_by` calls the patches that share ground or content."""

_GROUPED = ("region", "region-kfold", "region-stratified")
_STRATIFIED = ("stratified", "shuffle", "region-stratified", "spatial")


def unit_of(data: DatasetConfig) -> str:
    """What is divided, for a message."""
    if data.fold_method == "spatial":
        return f"squares of {data.block_size_km:g} km (--block-size-km)"
    if data.fold_method not in _GROUPED:
        return "patches"
    if data.group_by == OVERLAP:
        return "groups of patches that share no ground"
    return "regions" if data.group_by == "region" else f"values of {data.group_by}"


def least_shared(patch_size: int) -> float:
    """The share of a patch that two must have in common to share ground: half a pixel along one side.

    Patches of one grid that only touch have less in common, also when rounding moves their outlines in WGS84.
    """
    return 0.5 / patch_size


def groups_of(metadata: pd.DataFrame, data: DatasetConfig, patch_size: int) -> np.ndarray | None:
    """What each patch is kept together by, or None where a method keeps nothing together."""
    if data.fold_method == "spatial":
        return _squares(metadata, data.block_size_km)
    if data.fold_method not in _GROUPED:
        return None
    if data.group_by == OVERLAP:
        return overlap_groups(metadata, patch_size)
    column = _column(metadata, "--group-by", data.group_by)
    if column.isna().any():
        raise ConfigError(
            f"--group-by {data.group_by}: patches are kept together by their value, but {int(column.isna().sum())} have "
            "none; group by another column."
        )
    return column.astype(str).to_numpy()


def _column(metadata: pd.DataFrame, flag: str, name: str) -> "pd.Series[Any]":
    if name not in metadata.columns:
        known = ", ".join(str(column) for column in metadata.columns if column != "geometry")
        raise ConfigError(f"{flag}: the metadata have no column {name}; they have {known}.")
    return metadata[name]


def _squares(metadata: pd.DataFrame, km: float) -> np.ndarray:
    """The square of the ground that the middle of each patch lies in."""
    outlines = outlines_of(metadata)
    if lost := sum(outline is None for outline in outlines):
        raise RunError(
            f"--fold-method spatial divides patches by their place on the ground, but {lost} of {len(outlines)} have none; "
            "choose another --fold-method."
        )
    return np.array([cell_of(middle_of(outline), km / KM_PER_DEGREE) for outline in outlines])


def overlap_groups(metadata: pd.DataFrame, patch_size: int) -> np.ndarray:
    """Patches that share ground or content, directly or by others: each is named by the least row among them.

    Returns
    -------
    int, shape (n,).
    """
    contents = content_of(metadata)
    alone = contents < 0
    labels = np.where(alone, contents.max(initial=-1) + np.cumsum(alone), contents)
    groups = joined_by_overlap(outlines_of(metadata), labels, least_shared(patch_size))
    return pd.Series(metadata.index.to_numpy()).groupby(groups).transform("min").to_numpy()


def content_of(metadata: pd.DataFrame) -> np.ndarray:
    """A number for what each patch holds, equal for equal content; -1 where that isn't known."""
    if "content_hash" not in metadata.columns:
        return np.full(len(metadata), -1)
    return np.asarray(pd.factorize(metadata["content_hash"])[0])


def strata_of(metadata: pd.DataFrame, data: DatasetConfig) -> np.ndarray:
    """What is shared out equally: `empty`, or each combination of the values of the columns that were asked for."""
    if not data.stratify_by or data.fold_method not in _STRATIFIED:
        return metadata["empty"].to_numpy(dtype=bool)
    columns = [_column(metadata, "--stratify-by", name).astype(str) for name in data.stratify_by]
    for column in columns:
        if (count := column.nunique(dropna=False)) > MOST_STRATA:
            raise ConfigError(
                f"--stratify-by {column.name}: a column has at most {MOST_STRATA} distinct values to be shared out equally, "
                f"but this one has {count}; choose another, or keep its values together with --group-by."
            )
    return metadata.groupby([column.to_numpy() for column in columns], dropna=False).ngroup().to_numpy()
