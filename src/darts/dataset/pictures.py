"""Pictures of patches, for people to look at."""

from collections.abc import Sequence

import numpy as np


def rgb_image(x_chw: np.ndarray, bands: Sequence[str], seen: np.ndarray) -> np.ndarray:
    """A picture (h, w, 3) in [0, 1]: red, green and blue if there are, else the first band in grey.

    It is stretched from 2 to 98 % of the pixels in `seen` (h, w), so that clouds don't darken the rest.
    """
    names = ("red", "green", "blue") if {"red", "green", "blue"} <= set(bands) else (bands[0],) * 3
    image = np.stack([x_chw[list(bands).index(name)] for name in names], axis=-1)
    low, high = np.percentile(image[seen] if seen.any() else image, [2, 98])
    return np.clip((image - low) / max(high - low, 1e-6), 0, 1)
