"""What holds for the digital numbers of every sensor."""

from pathlib import Path

import numpy as np

from darts.core.errors import SceneError

LEAST_MAXIMUM = 10
"""Digital numbers are reflectance times 10000: where none is this large, they are reflectance itself."""


def without_value(numbers: np.ndarray, nodata: float | None) -> np.ndarray:
    """Where a band has no value: 0, the declared nodata, or not finite; bool of the same shape."""
    empty: np.ndarray = numbers == 0
    if nodata not in (0, None):
        empty |= numbers == nodata
    if numbers.dtype.kind == "f":
        empty |= ~np.isfinite(numbers)
    return empty


def refuse_reflectance(path: Path, numbers: np.ndarray, empty: np.ndarray) -> None:
    """Refuse reflectance where digital numbers belong: scaling it once more would leave nothing to see.

    Parameters
    ----------
    path
        The file, for the message.
    numbers
        (height, width) or (bands, height, width).
    empty
        Where they have no value, (height, width).
    """
    if numbers.dtype.kind == "f" and not empty.all() and (largest := numbers[..., ~empty].max()) < LEAST_MAXIMUM:
        raise SceneError(
            f"{path}: values must be digital numbers, reflectance times 10000, but none is above {largest:.3g}; multiply "
            "them, or get the file again."
        )
