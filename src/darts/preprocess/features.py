"""Bands that are computed from other bands, and the scaling of all bands to [0, 1]."""

from collections.abc import Mapping, Sequence

import numpy as np

from darts.core.bands import Band

_INPUTS: Mapping[str, tuple[str, ...]] = {"ndvi": ("red", "nir")}


def measured_bands(names: Sequence[str]) -> tuple[str, ...]:
    """The bands that a scene must be read with to compute the given ones, each once, in order."""
    needed = [source for name in names for source in _INPUTS.get(name, (name,))]
    return tuple(dict.fromkeys(needed))


def compute_band(name: str, bands: Mapping[str, np.ndarray]) -> np.ndarray:
    """A measured or computed band as physical values: float32 (h, w), NaN where there is none."""
    return ndvi(bands["red"], bands["nir"]) if name == "ndvi" else bands[name]


def ndvi(red: np.ndarray, nir: np.ndarray) -> np.ndarray:
    """Normalised difference vegetation index.

    Parameters
    ----------
    red, nir
        Reflectance, float32 (h, w); clipped to [0, 1], so that the index is in [-1, 1].

    Returns
    -------
    float32 (h, w); 0 where both are 0, as in deep shadow: such a pixel is dark, not missing. NaN where either is NaN.
    """
    red, nir = np.clip(red, 0, 1), np.clip(nir, 0, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        index: np.ndarray = np.clip((nir - red) / (nir + red), -1, 1)
    return np.where((red == 0) & (nir == 0), np.float32(0), index)


def normalise(values: np.ndarray, band: Band) -> np.ndarray:
    """Physical values as x = clip((v - lo) / (hi - lo), 0, 1), float32; NaN stays NaN."""
    scaled: np.ndarray = np.clip((values - np.float32(band.lo)) / np.float32(band.hi - band.lo), 0, 1)
    return scaled.astype(np.float32, copy=False)


def fill(x_chw: np.ndarray, bands: Sequence[Band]) -> np.ndarray:
    """Replace NaN by the fill of each band; float32 (bands, h, w)."""
    filled = x_chw.copy()
    for channel, band in zip(filled, bands, strict=True):
        channel[np.isnan(channel)] = band.fill
    return filled
