"""Where patches begin, and which are kept."""

import itertools

import numpy as np
import pytest

from darts.dataset.schema import BACKGROUND, IGNORE, POSITIVE
from darts.preprocess import patches


@pytest.mark.parametrize(
    ("length", "size", "overlap", "starts"),
    [
        (1200, 512, 16, [0, 496, 688]),
        (512, 512, 16, [0]),
        (511, 512, 16, []),
        (513, 512, 0, [0, 1]),
        (128, 64, 0, [0, 64]),
        (128, 64, 63, list(range(65))),
        (60, 8, 3, [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 52]),
    ],
)
def test_starts(length, size, overlap, starts):
    assert patches.patch_starts(length, size, overlap) == starts


def test_patches_cover_the_axis_once_over_and_stay_inside():
    rng = np.random.default_rng(1)
    for _ in range(300):
        size = int(rng.integers(1, 40))
        overlap, length = int(rng.integers(0, size)), int(rng.integers(size, 200))
        starts = patches.patch_starts(length, size, overlap)
        assert starts == sorted(set(starts))
        assert (starts[0], starts[-1]) == (0, length - size)
        covered = np.zeros(length, bool)
        for start in starts:
            covered[start : start + size] = True
        assert covered.all()
        assert all(b - a == size - overlap for a, b in itertools.pairwise(starts[:-1]))
        assert len(starts) == int(np.ceil((length - overlap) / (size - overlap)))


def test_windows_go_row_by_row():
    windows = list(patches.patch_windows(130, 64, 64, 0))
    assert [(w.row, w.column) for w in windows] == [(0, 0), (64, 0), (66, 0)]
    assert patches.count_patches(130, 64, 64, 0) == 3
    assert np.arange(130 * 64).reshape(130, 64)[windows[2].slices].shape == (64, 64)


def keep(x, y, **rules):
    return patches.reason_to_drop(x, y, **({"exclude_nopositive": True, "exclude_nan": True} | rules))


def good_patch():
    y = np.full((10, 10), BACKGROUND, np.uint8)
    y[0, 0] = POSITIVE
    return np.full((2, 10, 10), 0.5, np.float32), y


def test_a_good_patch_is_kept():
    assert keep(*good_patch()) is None


def test_reasons_and_their_switches():
    x, y = good_patch()
    x[1, 3, 3] = np.nan
    assert keep(x, y) == patches.MISSING_VALUES
    assert keep(x, y, exclude_nan=False) is None
    y[:] = BACKGROUND
    assert keep(x, y) == patches.NO_POSITIVE
    assert keep(x, y, exclude_nopositive=False, exclude_nan=False) is None
    x[1] = np.nan
    assert keep(x, y, exclude_nopositive=False, exclude_nan=False) == patches.BAND_WITHOUT_VALUE
    y[:] = IGNORE
    assert keep(x, y, exclude_nopositive=False, exclude_nan=False) == patches.MOSTLY_IGNORED


def test_a_tenth_of_mapped_pixels_is_enough():
    x, y = good_patch()
    y[1:] = IGNORE
    assert keep(x, y) is None
    y[0, 1] = IGNORE
    assert keep(x, y) == patches.MOSTLY_IGNORED
