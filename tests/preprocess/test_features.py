"""Computed bands and the scaling to [0, 1]."""

import numpy as np
import pytest

from darts.core.bands import get_bands
from darts.core.errors import ConfigError
from darts.preprocess.features import fill, make_recipe, ndvi, normalise, optical_channel
from darts.preprocess.scenes import GOOD, LOW


def test_what_channels_are_made_of():
    recipe = make_recipe(["ndvi", "slope", "nir", "EVI", "tc_wetness"])
    assert recipe.measured == ("red", "nir", "blue")
    assert (recipe.terrain, recipe.trends) == (("slope",), ("tc_wetness",))
    assert [band.name for band in recipe.bands] == ["ndvi", "slope", "nir", "EVI", "tc_wetness"]


def test_a_range_keeps_the_physical_value_of_the_fill():
    slope, curvature = make_recipe(["red", "slope", "curvature"], {"curvature": (-5, 15)}).bands[1:]
    assert (curvature.lo, curvature.hi, curvature.fill) == (-5, 15, 0.25)
    assert slope.hi == 90


@pytest.mark.parametrize(
    ("names", "ranges", "message"),
    [
        (["red", "ndwi"], {}, "neither a band nor a spectral index 'ndwi'; did you mean NDWI"),
        (["slope"], {}, "at least one band that a satellite measures"),
        (["red"], {"blue": (0, 1)}, "--band-ranges names blue, which is none of the bands red"),
        (["red", "kNDVI"], {}, "the index kNDVI needs k"),
    ],
)
def test_bands_that_are_refused(names, ranges, message):
    with pytest.raises(ConfigError, match=message):
        make_recipe(names, ranges)


def test_an_index_where_there_is_a_cloud():
    measured = {"red": np.full((1, 3), 0.1, np.float32), "nir": np.array([[0.3, 0.3, np.nan]], np.float32)}
    quality = np.array([[GOOD, LOW, LOW]], np.uint8)
    for name in ("ndvi", "NDVI"):
        kept = optical_channel(name, measured, quality, make_recipe([name]))
        np.testing.assert_allclose(kept, [[0.5, 0.5, np.nan]], rtol=1e-6)
        masked = optical_channel(name, measured, quality, make_recipe([name], mask_indices=True))
        np.testing.assert_allclose(masked, [[0.5, np.nan, np.nan]], rtol=1e-6)
    assert optical_channel("red", measured, quality, make_recipe(["red"], mask_indices=True)) is measured["red"]


def test_ndvi_clips_its_inputs_and_has_no_value_without_light():
    red = np.array([[0.1, -0.2, 0.0, 2.0, np.nan, 0.0]], np.float32)
    nir = np.array([[0.3, 0.4, 0.0, 0.5, 0.1, 0.5]], np.float32)
    result = ndvi(red, nir)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, [[0.5, 1.0, 0.0, -1 / 3, np.nan, 1.0]], rtol=1e-6)


def test_normalise_and_fill():
    band = get_bands(["blue"])[0]
    x = np.empty((1, 6), np.float32)
    normalise(np.array([[-0.3, -0.1, 0.2, 0.5, 1.0, np.nan]], np.float32), band, x)
    np.testing.assert_allclose(x, [[0, 0, 0.5, 1, 1, np.nan]], atol=1e-7)
    filled = fill(x[None], [band])
    assert filled[0, 0, 5] == band.fill
    assert np.isnan(x[0, 5])
