"""Augmentation of one training patch with any number of bands; what is drawn depends on the generator alone."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage

Sample = tuple[np.ndarray, np.ndarray]
"""x: float32 (bands, h, w) in [0, 1]; y: uint8 (h, w)."""

PROBABILITY = 0.5
"""Probability of each radiometric change; the eight flips and turns are equally probable."""


def _flip(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Sample:
    for axis in (-2, -1):
        if rng.random() < 0.5:
            x, y = np.flip(x, axis), np.flip(y, axis)
    return x, y


def _rotate90(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Sample:
    turns = int(rng.integers(4))
    return np.rot90(x, turns, (-2, -1)), np.rot90(y, turns, (-2, -1))


def _blur(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gaussian of 0.5 to 1.2 pixels, the same for all bands."""
    sigma = rng.uniform(0.5, 1.2)
    return np.asarray(ndimage.gaussian_filter(x, (0, sigma, sigma), mode="reflect", truncate=3.0))


def _brightness_contrast(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Per band: up to +-20 % contrast around the mean of the band, and up to +-0.1 brightness."""
    shape = (len(x), 1, 1)
    contrast = rng.uniform(0.8, 1.2, shape).astype(np.float32)
    brightness = rng.uniform(-0.1, 0.1, shape).astype(np.float32)
    mean = x.mean(axis=(1, 2), keepdims=True)
    return (x - mean) * contrast + mean + brightness


def _multiplicative_noise(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each value times a number from [0.9, 1.1]."""
    return x * (0.9 + 0.2 * rng.random(x.shape, dtype=np.float32))


def _posterize(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Round to 16 to 128 levels (4 to 7 bits)."""
    levels = np.float32(2 ** int(rng.integers(4, 8)) - 1)
    return np.round(x * levels) / levels


_GEOMETRIC: dict[str, Callable[[np.ndarray, np.ndarray, np.random.Generator], Sample]] = {
    "flip": _flip,
    "rotate90": _rotate90,
}
_RADIOMETRIC: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "blur": _blur,
    "brightness-contrast": _brightness_contrast,
    "multiplicative-noise": _multiplicative_noise,
    "posterize": _posterize,
}


def augment(x_chw: np.ndarray, y_hw: np.ndarray, names: Sequence[str], rng: np.random.Generator) -> Sample:
    """Change a training patch at random.

    Parameters
    ----------
    x_chw
        float32 (bands, h, w) in [0, 1].
    y_hw
        uint8 label codes (h, w); only flips and turns move it, nothing changes a code.
    names
        Any of `config.AUGMENTATIONS`; the order in which they are applied is fixed.
    rng
        All randomness comes from it.

    Returns
    -------
    Sample
        New contiguous arrays of the same types and ranges.
    """
    for name, move in _GEOMETRIC.items():
        if name in names:
            x_chw, y_hw = move(x_chw, y_hw, rng)
    for name, change in _RADIOMETRIC.items():
        if name in names and rng.random() < PROBABILITY:
            x_chw = change(x_chw, rng)
    return np.ascontiguousarray(np.clip(x_chw, 0, 1), dtype=np.float32), np.ascontiguousarray(y_hw)
