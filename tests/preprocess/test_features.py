"""Computed bands and the scaling to [0, 1]."""

import numpy as np

from darts.core.bands import get_bands
from darts.preprocess.features import fill, measured_bands, ndvi, normalise


def test_bands_that_must_be_read():
    assert measured_bands(["ndvi", "nir", "blue"]) == ("red", "nir", "blue")


def test_ndvi_clips_its_inputs_and_has_no_value_without_light():
    red = np.array([[0.1, -0.2, 0.0, 2.0, np.nan, 0.0]], np.float32)
    nir = np.array([[0.3, 0.4, 0.0, 0.5, 0.1, 0.5]], np.float32)
    result = ndvi(red, nir)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, [[0.5, 1.0, 0.0, -1 / 3, np.nan, 1.0]], rtol=1e-6)


def test_normalise_and_fill():
    band = get_bands(["blue"])[0]
    x = normalise(np.array([[-0.3, -0.1, 0.2, 0.5, 1.0, np.nan]], np.float32), band)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, [[0, 0, 0.5, 1, 1, np.nan]], atol=1e-7)
    filled = fill(x[None], [band])
    assert filled[0, 0, 5] == band.fill
    assert np.isnan(x[0, 5])
