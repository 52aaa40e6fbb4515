"""What each channel is made of, and the scaling of all of them to [0, 1]."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from darts.core.bands import (
    OPTICAL_BANDS,
    TERRAIN_BANDS,
    TREND_BANDS,
    Band,
    get_bands,
    index_band,
    known_bands,
    rescaled,
)
from darts.core.errors import ConfigError
from darts.preprocess.indices import index_inputs, spectral_index
from darts.preprocess.scenes import GOOD

NDVI = "ndvi"
_SLAB = 16


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the channels of a dataset are made of.

    Attributes
    ----------
    bands
        The channels, in order, with their scaling.
    measured
        The bands that a scene must be read with.
    terrain, trends
        The channels that come from an elevation model, and from Landsat trends.
    mask_indices
        Whether indices have no value where the quality isn't GOOD.
    """

    bands: tuple[Band, ...]
    measured: tuple[str, ...]
    terrain: tuple[str, ...]
    trends: tuple[str, ...]
    mask_indices: bool = False


def make_recipe(
    names: Sequence[str], ranges: Mapping[str, tuple[float, float]] | None = None, *, mask_indices: bool = False
) -> Recipe:
    """Find out what the channels of the given names are made of.

    Raises
    ------
    ConfigError
        When there is no such band or index, one comes twice, or a range is given for none of them.
    """
    ranges = ranges or {}
    if unused := sorted(set(ranges) - set(names)):
        raise ConfigError(f"--band-ranges names {unused[0]}, which is none of the bands {', '.join(names)}.")
    measured = tuple(dict.fromkeys(source for name in names for source in _inputs(name)))
    if not measured:
        raise ConfigError(
            f"--bands needs at least one band that a satellite measures, but got {', '.join(names)}; add one."
        )
    return Recipe(
        bands=tuple(_scaled(name, ranges.get(name)) for name in names),
        measured=measured,
        terrain=tuple(name for name in names if name in TERRAIN_BANDS),
        trends=tuple(name for name in names if name in TREND_BANDS),
        mask_indices=mask_indices,
    )


def _scaled(name: str, given: tuple[float, float] | None) -> Band:
    band = get_bands([name])[0] if name in known_bands() else index_band(name)
    return band if given is None else rescaled(band, *given)


def _inputs(name: str) -> tuple[str, ...]:
    """The measured bands that a channel needs."""
    if name in OPTICAL_BANDS:
        return (name,)
    if name in TERRAIN_BANDS + TREND_BANDS:
        return ()
    return ("red", "nir") if name == NDVI else index_inputs(name)


def optical_channel(name: str, measured: Mapping[str, np.ndarray], quality: np.ndarray, recipe: Recipe) -> np.ndarray:
    """A measured band, or an index of such: physical values, float32 (h, w), NaN where there is none."""
    if name in OPTICAL_BANDS:
        return measured[name]
    index = ndvi(measured["red"], measured["nir"]) if name == NDVI else spectral_index(name, measured)
    return np.where(quality == GOOD, index, np.float32(np.nan)) if recipe.mask_indices else index


def ndvi(red: np.ndarray, nir: np.ndarray) -> np.ndarray:
    """Normalised difference vegetation index (Rouse et al. 1974): (nir - red) / (nir + red).

    Parameters
    ----------
    red, nir
        Reflectance, float32 (h, w); clipped to [0, 1], so that the index is in [-1, 1].

    Returns
    -------
    float32 (h, w); 0 where both are 0, as in deep shadow: such a pixel is dark, not missing. NaN where either is NaN.
    """
    index = np.empty_like(red)
    for start in range(0, len(red), _SLAB):  # a few rows stay in the cache of the processor
        rows = slice(start, start + _SLAB)
        r, n = np.clip(red[rows], 0, 1), np.clip(nir[rows], 0, 1)
        total = n + r
        with np.errstate(invalid="ignore", divide="ignore"):
            np.divide(n - r, total, out=index[rows])
        index[rows][total == 0] = 0
    return index


def normalise(values: np.ndarray, band: Band, out: np.ndarray) -> None:
    """Write physical values as x = clip((v - lo) / (hi - lo), 0, 1), float32, into `out`; NaN stays NaN."""
    for start in range(0, len(values), _SLAB):
        rows = slice(start, start + _SLAB)
        np.subtract(values[rows], np.float32(band.lo), out=out[rows])
        np.divide(out[rows], np.float32(band.hi - band.lo), out=out[rows])
        np.clip(out[rows], 0, 1, out=out[rows])


def fill(x_chw: np.ndarray, bands: Iterable[Band]) -> np.ndarray:
    """Replace NaN by the fill of each band; float32 (bands, h, w)."""
    missing = np.isnan(x_chw)
    if not missing.any():
        return x_chw
    filled = x_chw.copy()
    for channel, holes, band in zip(filled, missing, bands, strict=True):
        channel[holes] = band.fill
    return filled
