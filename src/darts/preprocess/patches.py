"""Cutting a scene into patches, and deciding which of them to keep."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from darts.dataset.schema import IGNORE, POSITIVE

MIN_MAPPED_SHARE = 0.1
"""A patch with a smaller share of pixels that are not ignored is dropped."""

MOSTLY_IGNORED = "mostly ignored"
BAND_WITHOUT_VALUE = "a band without any value"
NO_POSITIVE = "no positive pixel"
MISSING_VALUES = "missing values"


@dataclass(frozen=True, slots=True)
class Window:
    """A square of `size` pixels whose upper left pixel is (row, column)."""

    row: int
    column: int
    size: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the window in an array (height, width)."""
        return slice(self.row, self.row + self.size), slice(self.column, self.column + self.size)


def patch_starts(length: int, size: int, overlap: int) -> list[int]:
    """First pixels of the patches along an axis of `length` pixels.

    Patches begin every `size - overlap` pixels. The last one is moved back so that it ends with the axis: nothing is
    padded, nothing is left out, and the last two may overlap by more.
    """
    if length < size:
        return []
    return [min(start, length - size) for start in range(0, max(length - overlap, 1), size - overlap)]


def patch_windows(height: int, width: int, size: int, overlap: int) -> Iterator[Window]:
    """The patches of a scene, row by row."""
    for row in patch_starts(height, size, overlap):
        for column in patch_starts(width, size, overlap):
            yield Window(row, column, size)


def count_patches(height: int, width: int, size: int, overlap: int) -> int:
    """Number of patches of a scene, before any is dropped."""
    return len(patch_starts(height, size, overlap)) * len(patch_starts(width, size, overlap))


def reason_to_drop(x_chw: np.ndarray, y_hw: np.ndarray, *, exclude_nopositive: bool, exclude_nan: bool) -> str | None:
    """Why a patch is not kept, or None; the first rule that holds.

    Parameters
    ----------
    x_chw
        float32 (bands, h, w), NaN where a band has no value.
    y_hw
        Label codes, uint8 (h, w).
    exclude_nopositive, exclude_nan
        Whether the last two rules are in force.
    """
    missing = np.isnan(x_chw)
    if np.mean(y_hw != IGNORE) < MIN_MAPPED_SHARE:
        return MOSTLY_IGNORED
    if missing.all(axis=(1, 2)).any():
        return BAND_WITHOUT_VALUE
    if exclude_nopositive and not (y_hw == POSITIVE).any():
        return NO_POSITIVE
    if exclude_nan and missing.any():
        return MISSING_VALUES
    return None
