"""Cells of the world."""

import numpy as np
import pytest
from pyproj import Geod
from shapely.geometry import Point, Polygon

from darts.dataset.places import CELL_DEGREES, cell_of, middle_of, on_the_globe


def test_near_points_share_a_cell_and_far_ones_do_not():
    assert cell_of(Point(-135.01, 68.42)) == cell_of(Point(-135.02, 68.43))
    assert cell_of(Point(-135.0, 68.4)) != cell_of(Point(-134.0, 68.4))
    assert cell_of(Point(-135.0, 68.4)) != cell_of(Point(-135.0, 68.6))
    assert cell_of(Point(180, 0)) == cell_of(Point(-180, 0))


def test_an_outline_across_the_antimeridian_is_two():
    split = on_the_globe(Polygon([(179.9, 65), (-179.95, 65), (-179.95, 65.1), (179.9, 65.1)]))
    assert sorted(part.bounds for part in split.geoms) == [(-180, 65, -179.95, 65.1), (179.9, 65, 180, 65.1)]
    assert cell_of(middle_of(split)) == cell_of(Point(179.95, 65.05))
    plain = Polygon([(10, 0), (11, 0), (11, 1)])
    assert on_the_globe(plain) is plain


@pytest.mark.parametrize("latitude", [0, 35, -62, 75])
def test_cells_are_about_as_wide_as_high(latitude):
    columns = {cell_of(Point(lon, latitude)) for lon in np.arange(0, 10, 0.001)}
    width = Geod(ellps="WGS84").inv(0, latitude, 10, latitude)[2] / len(columns)
    assert width == pytest.approx(CELL_DEGREES * 111_000, rel=0.05)
