"""Cells of the world, and patches that share ground or lie near each other."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from pyproj import Geod
from shapely.affinity import rotate
from shapely.geometry import MultiPolygon, Point, Polygon, box

from darts.dataset.places import (
    CELL_DEGREES,
    cell_of,
    joined_by_overlap,
    middle_of,
    near,
    on_the_globe,
    outlines_of,
    overlapping,
)

LEAST = 0.5 / 256


def objects(outlines):
    found = np.empty(len(outlines), dtype=object)
    found[:] = outlines
    return found


def random_squares(count, seed=0, spread=3.0):
    rng = np.random.default_rng(seed)
    corners, sizes, angles = rng.uniform(0, spread, (count, 2)), rng.uniform(0.1, 0.4, count), rng.uniform(0, 90, count)
    return objects([rotate(box(x, y, x + s, y + s), a) for (x, y), s, a in zip(corners, sizes, angles, strict=True)])


def grid(zone=32608, *, x0=500_000, y0=7_600_000, step=2560, size=2560, count=4):
    """Outlines in WGS84 of square patches of a scene, row by row."""
    i, j = np.mgrid[:count, :count].reshape(2, -1)
    squares = shapely.box(x0 + j * step, y0 - i * step - size, x0 + j * step + size, y0 - i * step)
    return objects([on_the_globe(place) for place in gpd.GeoSeries(squares, crs=zone).to_crs(4326)])


def plainly_overlap(one, other, least=LEAST):
    return one.intersection(other).area > least * min(one.area, other.area)


# --- cells


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
@pytest.mark.parametrize("degrees", [CELL_DEGREES, 0.03, 0.3])
def test_cells_are_about_as_wide_as_high(latitude, degrees):
    columns = {cell_of(Point(lon, latitude), degrees) for lon in np.arange(0, 20, 0.002)}
    width = Geod(ellps="WGS84").inv(0, latitude, 20, latitude)[2] / len(columns)
    assert width == pytest.approx(degrees * 111_000, rel=0.07)


def test_the_cells_of_datasets_keep_their_names():
    assert cell_of(Point(-135.01, 68.42)) == "1584-0165"
    assert cell_of(Point(-135.01, 68.42), CELL_DEGREES) == cell_of(Point(-135.01, 68.42))


# --- shared ground


@pytest.mark.parametrize("seed", range(3))
def test_what_overlaps_is_what_a_plain_comparison_of_all_pairs_finds(seed):
    mine, theirs = random_squares(120, seed), random_squares(60, seed + 100)
    expected = [any(plainly_overlap(one, other, 0.1) for other in theirs) for one in mine]
    assert overlapping(mine, theirs, 0.1).tolist() == expected
    assert 10 < sum(expected) < 110


@pytest.mark.parametrize("seed", range(3))
def test_groups_are_the_connected_components_of_all_pairs(seed):
    squares = random_squares(80, seed, spread=4)
    labels = np.arange(80)
    labels[[5, 40, 79]] = 5
    linked = [
        (i, j) for i in range(80) for j in range(i) if labels[i] == labels[j] or plainly_overlap(squares[i], squares[j])
    ]
    expected = np.arange(80)
    for _ in range(80):
        for pair in linked:
            expected[list(pair)] = expected[list(pair)].min()
    found = joined_by_overlap(squares, labels, LEAST)
    assert len(set(zip(found, expected, strict=True))) == len(set(found)) == len(set(expected))
    assert 1 < len(set(found)) < 75
    assert set(found) == set(range(len(set(found))))


def test_patches_of_one_grid_share_no_ground_however_it_is_projected():
    for zone in (32608, 3413, 32601):
        patches = grid(zone)
        for index in range(len(patches)):
            assert not overlapping(patches[index : index + 1], np.delete(patches, index), LEAST).any()
        assert joined_by_overlap(patches, np.arange(16), LEAST).tolist() == list(range(16))


def test_a_strip_of_a_pixel_is_shared_and_a_quarter_of_one_is_not():
    one_pixel, quarter = grid(step=2550, count=2), grid(step=2557.5, count=2)
    assert overlapping(one_pixel[:1], one_pixel[1:2], LEAST).all()
    assert not overlapping(quarter[:1], quarter[1:2], LEAST).any()


def test_a_small_patch_within_a_large_one_shares_its_ground():
    large, small = grid(size=10_000, count=1), grid(x0=503_000, y0=7_595_000, size=100, count=1)
    assert overlapping(large, small, 0.9).all()
    assert overlapping(small, large, 0.9).all()


def test_patches_of_neighbouring_zones_share_the_ground_that_both_cover():
    # The zones 8 and 9 meet at 132 degrees west: this place lies 120 km from the middle of either.
    easting, northing = gpd.GeoSeries([Point(-132, 68.5)], crs=4326).to_crs(32608).iloc[0].coords[0]
    other = gpd.GeoSeries([Point(-132, 68.5)], crs=4326).to_crs(32609).iloc[0].coords[0]
    here, there = grid(32608, x0=easting, y0=northing), grid(32609, x0=other[0], y0=other[1])
    far = grid(32609, x0=other[0] + 50_000, y0=other[1])
    assert overlapping(here, there, LEAST).sum() > 10
    assert not overlapping(here, far, LEAST).any()


def test_ground_is_shared_across_the_antimeridian():
    easting = gpd.GeoSeries([Point(180, 65)], crs=4326).to_crs(32601).iloc[0].x
    place = {"x0": easting - 5000, "y0": 7_218_000, "zone": 32601}
    patches, shifted = grid(**place), grid(**{**place, "x0": easting - 5000 + 1280})
    assert any(isinstance(patch, MultiPolygon) for patch in patches)
    assert overlapping(patches, shifted, LEAST).all()
    assert joined_by_overlap(patches, np.arange(16), LEAST).max() == 15
    far = grid(**{**place, "x0": easting + 60_000})
    assert not overlapping(patches, far, LEAST).any()


def test_an_outline_that_spans_the_world_by_mistake_is_that_of_a_patch_at_the_antimeridian():
    spanning = objects([Polygon([(179.9, 65), (-179.9, 65), (-179.9, 65.1), (179.9, 65.1)])])
    assert not overlapping(spanning, objects([box(10, 65, 10.1, 65.1)]), LEAST).any()
    assert overlapping(spanning, objects([box(-180, 65, -179.95, 65.1)]), LEAST).all()


def test_many_copies_of_a_place_are_one_place():
    copies = np.repeat(grid(), 50)
    assert overlapping(copies, grid()[3:5], LEAST).tolist() == np.repeat(np.isin(np.arange(16), [3, 4]), 50).tolist()
    assert (joined_by_overlap(copies, np.arange(800), LEAST) == np.repeat(np.arange(16), 50)).all()


def test_a_patch_without_a_place_shares_and_is_near_nothing():
    metadata = pd.DataFrame({"geometry": [None, Polygon(), np.nan, box(0, 0, 1, 1)]})
    outlines = outlines_of(metadata)
    assert [outline is None for outline in outlines] == [True, True, True, False]
    assert overlapping(outlines, outlines, LEAST).tolist() == [False, False, False, True]
    assert near(outlines, outlines, 5).tolist() == [False, False, False, True]
    assert joined_by_overlap(outlines, np.array([0, 1, 0, 2]), LEAST).tolist() == [0, 1, 0, 2]
    assert outlines_of(metadata[[]]).tolist() == [None] * 4


def test_nothing_shares_ground_with_nothing():
    nothing = objects([])
    assert overlapping(nothing, grid(), LEAST).tolist() == []
    assert not overlapping(grid(), nothing, LEAST).any()
    assert not near(grid(), nothing, 5).any()
    assert joined_by_overlap(nothing, np.arange(0), LEAST).tolist() == []


# --- near


@pytest.mark.parametrize("latitude", [0, 55, -70, 84])
@pytest.mark.parametrize("longitude", [10, 180, -179.7])
def test_what_is_nearer_than_a_distance_is_found_and_what_is_much_farther_is_not(latitude, longitude):
    rng, km, tiny = np.random.default_rng(abs(latitude)), 30, 1e-4
    wide = 1 / np.cos(np.radians(latitude))
    lon = (longitude + rng.uniform(-1, 1, 600) * wide + 180) % 360 - 180
    lat = np.clip(latitude + rng.uniform(-1, 1, 600), -89, 89)
    outlines = objects(list(shapely.box(lon, lat, lon + tiny, lat + tiny)))
    middle = objects([box(longitude, latitude, longitude - tiny, latitude + tiny)])
    distance = Geod(ellps="WGS84").inv(lon, lat, np.full(600, longitude), np.full(600, latitude))[2] / 1000
    found = near(outlines, middle, km)
    assert found[distance < km - 0.5].all()
    assert not found[distance > 1.6 * km].any()
    assert (distance < km).sum() > 5


def test_a_patch_is_near_itself_and_its_neighbours_within_no_distance():
    patches = grid(count=3)
    assert near(patches, patches[4:5], 0).all()
    assert near(patches, patches[:1], 0).sum() == 4
