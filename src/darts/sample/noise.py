"""Smooth random fields, the stuff that the simulated world is made of."""

import numpy as np
import numpy.typing as npt
from scipy import fft

from darts.core.seeds import derive_seed

Field = npt.NDArray[np.float32]
"""A field over a grid, float32 (height, width)."""


def generator(*parts: int | str) -> np.random.Generator:
    """A random generator that depends on what it is for alone."""
    return np.random.default_rng(derive_seed(*parts))


def spectral_noise(
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    roughness: float = 3.0,
    longest: float = 200.0,
    shortest: float = 2.0,
) -> Field:
    """Gaussian noise with a power-law spectrum between two wavelengths.

    Parameters
    ----------
    shape
        Height and width, pixels.
    rng
        Where the randomness comes from.
    roughness
        Power falls with wavenumber to minus this: 2 is rough as rock, 4 smooth as dunes.
    longest, shortest
        Wavelengths in pixels beyond which there is little.

    Returns
    -------
    Field
        float32 (height, width), mean 0, standard deviation 1.
    """
    height, width = (fft.next_fast_len(n, real=True) for n in shape)
    white = rng.standard_normal((height, width), dtype=np.float32)
    wavenumber = np.hypot(fft.fftfreq(height)[:, None], fft.rfftfreq(width)[None, :]).astype(np.float32)
    wavenumber[0, 0] = 1.0
    gain = wavenumber ** (-roughness / 2)
    gain *= 1 - np.exp(-((wavenumber * longest) ** 2))
    gain *= np.exp(-((wavenumber * shortest) ** 2) / 2)
    gain[0, 0] = 0.0
    field = fft.irfft2(fft.rfft2(white) * gain, s=(height, width))[: shape[0], : shape[1]]
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def smoothstep(values: npt.NDArray[np.floating], low: float | Field, high: float | Field) -> Field:
    """0 below `low`, 1 above `high` (or the reverse where high < low), smooth between, float32 of the same shape."""
    t = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)
