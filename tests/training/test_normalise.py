"""Statistics of counted values, and what is made of them."""

import copy
import json
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from darts.core.errors import CheckpointError, DatasetError
from darts.training.normalise import (
    Normalisation,
    Normaliser,
    count_values,
    normalisation_from,
    statistics_from_counts,
)

SCALE = 48000
METHODS = ("none", "z-score", "min-max", "quantile")


def stored_values(bands: int = 3, size: int = 40, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.beta(2, 5, (bands, size, size)) * SCALE).astype(np.uint16)


def counted(stored: np.ndarray, dtype: type = np.int64) -> np.ndarray:
    counts = np.zeros((len(stored), SCALE + 1), dtype)
    count_values(stored, np.ones(stored.shape[1:], bool), counts)
    return counts


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_values_are_counted_where_they_are_valid(dtype):
    rng = np.random.default_rng(1)
    stored = rng.integers(0, SCALE + 1, (2, 30, 20)).astype(np.uint16)
    stored[0, 0, :2] = 0, SCALE
    counts = np.zeros((2, SCALE + 1), dtype)
    expected = np.zeros((2, SCALE + 1), np.int64)
    for valid in (rng.random((30, 20)) < 0.4, np.ones((30, 20), bool), np.zeros((30, 20), bool)):
        count_values(stored, valid, counts)
        for band in range(2):
            np.add.at(expected[band], stored[band][valid], 1)
    assert counts.dtype == dtype
    np.testing.assert_array_equal(counts.astype(np.int64), expected)


def test_a_value_above_the_scale_is_not_lost_in_silence():
    stored = np.full((1, 2, 2), SCALE + 1, np.uint16)
    with pytest.raises(ValueError, match="broadcast"):
        count_values(stored, np.ones((2, 2), bool), np.zeros((1, SCALE + 1), np.int64))


@pytest.mark.parametrize("pixels", [1, 2, 7, 1600])
def test_statistics_are_those_of_the_values_in_float64(pixels):
    stored = stored_values().reshape(3, 1, -1)[:, :, :pixels]
    statistics = statistics_from_counts(counted(stored), SCALE)
    x = stored.reshape(3, -1).astype(np.float64) / SCALE
    expected = {
        "mean": x.mean(axis=1),
        "std": x.std(axis=1),
        "minimum": x.min(axis=1),
        "maximum": x.max(axis=1),
        "q01": np.quantile(x, 0.01, axis=1),
        "q99": np.quantile(x, 0.99, axis=1),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(statistics, name), values, rtol=1e-12, atol=1e-12, err_msg=name)


def test_nothing_is_rounded_or_overflows_in_a_large_dataset():
    counts = np.zeros((1, SCALE + 1), np.uint64)
    counts[0, [47999, 48000]] = 10**11 + 1, 10**11  # the sum of squares is above 2**64
    statistics = statistics_from_counts(counts, SCALE)
    n = 2 * 10**11 + 1
    mean = Fraction(47999 * (10**11 + 1) + 48000 * 10**11, n * SCALE)
    variance = Fraction((10**11 + 1) * 10**11, n**2 * SCALE**2)
    assert statistics.mean[0] == float(mean)
    assert statistics.std[0] == math.sqrt(variance)
    assert (statistics.q01[0], statistics.q99[0]) == (47999 / SCALE, 1.0)


def test_the_order_in_which_patches_are_counted_does_not_matter():
    first, second = counted(stored_values(seed=1)), counted(stored_values(seed=2))
    assert statistics_from_counts(first + second, SCALE) == statistics_from_counts(second + first, SCALE)


def test_a_band_without_a_value_is_refused():
    counts = counted(stored_values())
    counts[1] = 0
    with pytest.raises(DatasetError, match="band 2 of 3 has none"):
        statistics_from_counts(counts, SCALE)


def normalised(method: str, stored: np.ndarray) -> np.ndarray:
    normalisation = normalisation_from(method, statistics_from_counts(counted(stored), SCALE))
    x = torch.from_numpy((stored / SCALE).astype(np.float32))[None]
    out = Normaliser(normalisation)(x)
    assert out.dtype == torch.float32
    return out.numpy()[0].astype(np.float64)


def test_each_method_gives_what_it_says():
    stored = stored_values()
    x = stored / SCALE
    axes = {"axis": (1, 2), "keepdims": True}
    low, high = (np.quantile(x, share, **axes) for share in (0.01, 0.99))
    expected = {
        "none": x,
        "z-score": (x - x.mean(**axes)) / x.std(**axes),
        "min-max": (x - x.min(**axes)) / (x.max(**axes) - x.min(**axes)),
        "quantile": (np.clip(x, low, high) - low) / (high - low),
    }
    for method in METHODS:
        np.testing.assert_allclose(normalised(method, stored), expected[method], atol=3e-6, err_msg=method)


@pytest.mark.parametrize("method", ["min-max", "quantile"])
def test_values_beyond_those_of_the_train_patches_stay_in_0_to_1(method):
    normaliser = Normaliser(normalisation_from(method, statistics_from_counts(counted(stored_values()), SCALE)))
    x = torch.tensor([-1.0, 0.0, 1.0, 2.0]).expand(1, 3, 1, 4)
    np.testing.assert_allclose(normaliser(x), np.broadcast_to([0, 0, 1, 1], (1, 3, 1, 4)), atol=1e-6)


@pytest.mark.parametrize("method", METHODS[1:])
def test_a_band_that_is_the_same_everywhere_becomes_0(method):
    stored = stored_values()
    stored[1] = 12345
    out = normalised(method, stored)
    assert (out[1] == 0).all()
    assert np.isfinite(out).all()
    assert out[0].std() > 0.1


@pytest.mark.parametrize("method", METHODS)
def test_a_round_trip_by_json_keeps_every_bit(method):
    normalisation = normalisation_from(method, statistics_from_counts(counted(stored_values()), SCALE))
    again = Normalisation.from_dict(json.loads(json.dumps(normalisation.as_dict(), allow_nan=False)))
    assert again == normalisation


def test_a_checkpoint_that_says_nothing_has_none():
    assert Normalisation.from_dict(None) == Normalisation("none")
    x = torch.rand(2, 5, 4, 4)
    assert Normaliser(Normalisation())(x) is x


GOOD = Normalisation("z-score", (None,), (None,), (0.5,), (2.0,)).as_dict()


@pytest.mark.parametrize(
    "change",
    [
        {"method": "whiten"},
        {"method": "none"},
        {"offset": [0.5, 0.5]},
        {"factor": [None]},
        {"factor": [float("inf")]},
        {"low": ["a"]},
        {"high": 3},
    ],
    ids=str,
)
def test_a_normalisation_that_cannot_be_is_refused(change):
    with pytest.raises(CheckpointError, match="a normalisation has a method of none, z-score"):
        Normalisation.from_dict(GOOD | change)
    with pytest.raises(CheckpointError, match="a normalisation has"):
        Normalisation.from_dict({"method": "z-score"})


def test_a_layer_adds_nothing_to_a_state_dict_and_survives_averaging_and_copying():
    normaliser = Normaliser(Normalisation("quantile", (0.25, None), (0.75, None), (0.25, 0.5), (2.0, 1.0)))
    assert normaliser.state_dict() == {}
    x = torch.rand(2, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    averaged = AveragedModel(copy.deepcopy(normaliser), multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for _ in range(3):
        averaged.update_parameters(normaliser)
    assert torch.equal(averaged(x), normaliser(x))
