"""Augmentation: laws that hold for any number of bands."""

import numpy as np
import pytest

from darts.training.augment import augment
from darts.training.config import AUGMENTATIONS


def sample(bands: int = 7, size: int = 32, seed: int = 0):
    rng = np.random.default_rng(seed)
    return rng.random((bands, size, size), dtype=np.float32), rng.integers(0, 3, (size, size), dtype=np.uint8)


@pytest.mark.parametrize("bands", [1, 3, 7, 13])
@pytest.mark.parametrize("names", [AUGMENTATIONS, *[(name,) for name in AUGMENTATIONS]])
def test_shape_type_and_range_are_kept(bands, names):
    for seed in range(6):
        x, y = augment(*sample(bands), names, np.random.default_rng(seed))
        assert (x.shape, x.dtype, y.shape, y.dtype) == ((bands, 32, 32), np.float32, (32, 32), np.uint8)
        assert x.flags["C_CONTIGUOUS"]
        assert y.flags["C_CONTIGUOUS"]
        assert 0 <= x.min() <= x.max() <= 1


def test_the_same_generator_gives_the_same_sample_and_another_one_another():
    first, again, other = (augment(*sample(), AUGMENTATIONS, np.random.default_rng(seed))[0] for seed in (5, 5, 6))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("names", [("flip",), ("rotate90",), ("flip", "rotate90")])
def test_flips_and_turns_move_image_and_label_together(names):
    _, y = sample()
    x = np.repeat(y[None].astype(np.float32) / 2, 4, axis=0)
    for seed in range(16):
        moved_x, moved_y = augment(x, y, names, np.random.default_rng(seed))
        assert (moved_x[2] * 2 == moved_y).all()


def test_flips_and_turns_reach_all_eight_orientations():
    x, y = sample(1)
    seen = {augment(x, y, ("flip", "rotate90"), np.random.default_rng(seed))[0].tobytes() for seed in range(200)}
    assert len(seen) == 8


@pytest.mark.parametrize("name", ["blur", "brightness-contrast", "multiplicative-noise", "posterize"])
def test_radiometric_changes_leave_the_label_alone_and_do_change_the_image(name):
    x, y = sample()
    changed = 0
    for seed in range(20):
        new_x, new_y = augment(x, y, (name,), np.random.default_rng(seed))
        assert (new_y == y).all()
        changed += bool((new_x != x).any())
    assert 4 <= changed <= 16


def test_the_input_is_not_changed():
    x, y = sample()
    before = x.copy(), y.copy()
    augment(x, y, AUGMENTATIONS, np.random.default_rng(0))
    assert (x == before[0]).all()
    assert (y == before[1]).all()


def test_nothing_asked_for_is_nothing_done():
    x, y = sample()
    new_x, new_y = augment(x, y, (), np.random.default_rng(0))
    assert (new_x == x).all()
    assert (new_y == y).all()
