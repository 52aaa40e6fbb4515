"""Reading a scene in blocks of rows."""

import numpy as np
import pytest

from darts.preprocess import blocks
from darts.preprocess.blocks import blocks_of, windows_with_values
from darts.preprocess.patches import Window, patch_windows


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 32)


class Source:
    """Values of a scene, and what was read of them."""

    def __init__(self, shape):
        self.values = np.random.default_rng(0).random((2, *shape))
        self.read = []

    def __call__(self, block):
        self.read.append((block.start, block.stop))
        return self.values[:, block.start : block.stop]


def test_blocks_cover_every_row_once():
    assert [(block.start, block.stop) for block in blocks_of(70)] == [(0, 32), (32, 64), (64, 70)]


@pytest.mark.parametrize(("size", "overlap"), [(8, 0), (20, 5), (32, 16), (50, 10), (90, 89)])
@pytest.mark.parametrize("rows_below", [0, 3, 40])
def test_each_window_has_its_values_and_each_block_is_read_once(size, overlap, rows_below):
    source = Source((100, 90))
    windows = list(patch_windows(100, 90, size, overlap))
    given = []
    for window, values in windows_with_values(100, windows, source, rows_below):
        given.append(window)
        np.testing.assert_array_equal(values, source.values[(slice(None), *window.slices)])
        assert source.read[-1][1] >= min(window.row + size + rows_below, 100)
    assert given == windows
    assert source.read == [(0, 32), (32, 64), (64, 96), (96, 100)]


def test_no_more_is_read_than_the_next_window_needs():
    source = Source((100, 90))
    next(windows_with_values(100, [Window(0, 0, 20), Window(40, 0, 20)], source))
    assert source.read == [(0, 32)]
