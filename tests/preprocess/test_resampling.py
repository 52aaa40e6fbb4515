"""Values of one grid brought to another."""

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.windows import Window

from darts.preprocess.resampling import place_of, same_grid, to_grid
from darts.preprocess.scenes import Grid

from .conftest import UTM, pixels

pytestmark = pytest.mark.usefixtures("no_noise")


def grid(size, shape, **where):
    return Grid(rasterio.CRS.from_string(UTM), pixels(size, **where), *shape)


def bilinear(values, factor):
    """Values at the centres of pixels that are `factor` times finer; the border is extended."""
    height, width = values.shape
    rows, columns = ((np.arange(n * factor) + 0.5) / factor - 0.5 for n in (height, width))
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    r0, c0 = np.floor(rows).astype(int), np.floor(columns).astype(int)
    r1, c1 = np.minimum(r0 + 1, height - 1), np.minimum(c0 + 1, width - 1)
    fr, fc = (rows - r0)[:, None], (columns - c0)[None]
    top = values[r0][:, c0] * (1 - fc) + values[r0][:, c1] * fc
    bottom = values[r1][:, c0] * (1 - fc) + values[r1][:, c1] * fc
    return top * (1 - fr) + bottom * fr


@pytest.mark.parametrize("factor", [2, 6])
def test_coarse_bands_are_interpolated(factor):
    values = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    fine = to_grid(values, grid(10 * factor, (20, 30)), grid(10, (20 * factor, 30 * factor)), Resampling.bilinear)
    assert fine.dtype == np.float32
    np.testing.assert_allclose(fine, bilinear(values.astype(float), factor), atol=1e-6)


def test_classes_are_taken_from_the_nearest_pixel():
    values = np.random.default_rng(0).integers(0, 12, (20, 30)).astype(np.float32)
    fine = to_grid(values, grid(20, (20, 30)), grid(10, (40, 60)), Resampling.nearest)
    np.testing.assert_array_equal(fine, np.kron(values, np.ones((2, 2))))


def test_pixels_without_a_value_stay_without_and_do_not_spread():
    values = np.full((10, 10), 0.5, np.float32)
    values[4, 4] = np.nan
    fine = to_grid(values, grid(20, (10, 10)), grid(10, (20, 20)), Resampling.bilinear)
    expected = np.full((20, 20), 0.5)
    expected[8:10, 8:10] = np.nan
    np.testing.assert_allclose(fine, expected, atol=1e-6)


def test_outside_of_the_source_there_is_no_value():
    values = np.full((4, 4), 0.5, np.float32)
    fine = to_grid(values, grid(20, (4, 4)), grid(10, (12, 12)), Resampling.bilinear)
    assert not np.isnan(fine[:8, :8]).any()
    assert np.isnan(fine[8:]).all()
    assert np.isnan(fine[:, 8:]).all()


def test_same_grid_is_exact_for_degrees():
    one = grid(1e-4, (10, 10), origin=(-111.9, 57.1))
    other = grid(1e-4, (10, 10), origin=(-111.9 + 5e-5, 57.1))
    assert same_grid(one, one)
    assert not same_grid(one, other)
    assert not same_grid(one, grid(1e-4, (10, 11), origin=(-111.9, 57.1)))


def test_the_place_of_a_part_is_found_on_its_lattice_alone():
    whole = grid(10, (40, 50))
    assert place_of(whole.window(Window(7, 3, 5, 6)), whole) == (3, 7)
    assert place_of(whole.window(Window(-7, -3, 5, 6)), whole) == (-3, -7)
    assert place_of(grid(10, (5, 5), origin=(500_005, 7_600_000)), whole) is None
    assert place_of(grid(10, (5, 5), origin=(500_000.05, 7_600_000)), whole) == (0, 0)
    assert place_of(grid(20, (5, 5)), whole) is None
    assert place_of(Grid(rasterio.CRS.from_epsg(32609), whole.transform, 5, 5), whole) is None
    assert place_of(grid(10.01, (40, 50)), whole) is None, "the far corners are off by a twentieth of a pixel"
