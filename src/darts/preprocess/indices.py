"""Spectral indices by name, as the Awesome Spectral Indices catalogue defines them (through spyndex)."""

import difflib
from collections.abc import Mapping

import numpy as np

from darts.core.bands import OPTICAL_BANDS, known_bands
from darts.core.errors import ConfigError


def index_inputs(name: str) -> tuple[str, ...]:
    """The measured bands that an index is computed from, canonical names.

    Raises
    ------
    ConfigError
        When there is no such index, or it needs what no scene here can give.
    """
    import spyndex

    if name not in spyndex.indices:
        known = [*known_bands(), *spyndex.indices]
        same = [one for one in known if one.lower() == name.lower()]
        near = same or difflib.get_close_matches(name, known, n=3, cutoff=0.6)
        hint = (
            f"did you mean {' or '.join(near)}?" if near else f"the bands are {', '.join(known_bands())}, and indices."
        )
        raise ConfigError(f"--bands: there is neither a band nor a spectral index {name!r}; {hint}")
    symbols = spyndex.indices[name].bands
    names = [spyndex.bands[symbol].common_name for symbol in symbols if symbol in spyndex.bands]
    missing = [one for one in names if one not in OPTICAL_BANDS]
    missing += [symbol for symbol in symbols if symbol not in spyndex.bands and _constant(symbol) is None]
    if missing:
        raise ConfigError(
            f"--bands: the index {name} needs {', '.join(missing)}, which scenes don't have; leave it out."
        )
    return tuple(names)


def _constant(symbol: str) -> float | None:
    import spyndex

    return spyndex.constants[symbol].default if symbol in spyndex.constants else None


def spectral_index(name: str, bands: Mapping[str, np.ndarray]) -> np.ndarray:
    """A spectral index.

    Parameters
    ----------
    name
        As the catalogue writes it, such as `NDWI`.
    bands
        Reflectance, float32 (h, w), of at least the bands of `index_inputs`; clipped to [0, 1].

    Returns
    -------
    float32 (h, w); NaN where a band it is computed from has no value, and 0 where the formula gives no finite number
    from values that are there, as 0 / 0 in deep shadow.
    """
    import spyndex

    inputs = index_inputs(name)
    symbols = spyndex.indices[name].bands
    values = {symbol: _constant(symbol) for symbol in symbols if symbol not in spyndex.bands}
    measured = [symbol for symbol in symbols if symbol in spyndex.bands]
    values |= {symbol: np.clip(bands[one], 0, 1) for symbol, one in zip(measured, inputs, strict=True)}
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        index = np.asarray(spyndex.computeIndex(name, params=values), dtype=np.float32)
    known = np.logical_and.reduce([np.isfinite(bands[one]) for one in inputs])
    return np.where(known, np.where(np.isfinite(index), index, np.float32(0)), np.float32(np.nan))
