"""Spectral indices by name."""

import numpy as np
import pytest

from darts.core.errors import ConfigError
from darts.preprocess.indices import index_inputs, spectral_index


@pytest.fixture
def bands():
    rng = np.random.default_rng(0)
    return {
        name: rng.uniform(0.01, 0.6, (5, 7)).astype(np.float32) for name in ("blue", "green", "red", "nir", "swir16")
    }


def double(bands):
    return {name: values.astype(np.float64) for name, values in bands.items()}


@pytest.mark.parametrize(
    ("name", "inputs", "formula"),
    [
        ("NDWI", ("green", "nir"), lambda b: (b["green"] - b["nir"]) / (b["green"] + b["nir"])),
        ("MNDWI", ("green", "swir16"), lambda b: (b["green"] - b["swir16"]) / (b["green"] + b["swir16"])),
        (
            "EVI",
            ("nir", "red", "blue"),
            lambda b: 2.5 * (b["nir"] - b["red"]) / (b["nir"] + 6 * b["red"] - 7.5 * b["blue"] + 1),
        ),
        ("SAVI", ("nir", "red"), lambda b: 2 * (b["nir"] - b["red"]) / (b["nir"] + b["red"] + 1)),
    ],
)
def test_an_index_is_what_its_publication_says(bands, name, inputs, formula):
    assert set(index_inputs(name)) == set(inputs)
    computed = spectral_index(name, bands)
    assert computed.dtype == np.float32
    np.testing.assert_allclose(computed, formula(double(bands)), rtol=2e-5)


def test_missing_stays_missing_and_darkness_is_neutral(bands):
    bands["green"][0, :2] = [np.nan, 0]
    bands["nir"][0, 1] = 0
    index = spectral_index("NDWI", bands)
    assert np.isnan(index[0, 0])
    assert index[0, 1] == 0
    assert np.isfinite(index).sum() == index.size - 1


def test_reflectance_below_zero_counts_as_zero(bands):
    bands["green"][0, 0], bands["nir"][0, 0] = -0.02, 0.01
    assert spectral_index("NDWI", bands)[0, 0] == -1


def test_an_index_of_bands_that_no_scene_has():
    with pytest.raises(ConfigError, match="needs lwir"):
        index_inputs("NDISIb")
