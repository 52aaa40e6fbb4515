"""Terrain bands: known shapes, plain float64 references, holes that stay as they are, and blocks that fit together."""

import os
from pathlib import Path

import cv2
import numpy as np
import pyproj
import pytest
import rasterio
from rasterio import Affine

from darts.core.errors import ConfigError, SceneError
from darts.preprocess.scenes import Grid, Sun
from darts.preprocess.terrain import (
    DEFAULT_SUN,
    PixelSize,
    convergence_at,
    margin_pixels,
    pixel_size,
    terrain_bands,
)

from .conftest import UTM, pixels

BANDS = ("dem", "relative_elevation", "slope", "aspect", "northness", "eastness", "hillshade", "curvature")
OF_NEIGHBOURS = BANDS[2:]
DIRECTIONS = range(0, 360, 45)
SIZE = PixelSize(10.0, 10.0)
OBLONG = PixelSize(8.0, 5.0)


def grid(crs=UTM, transform=None, shape=(40, 50)):
    return Grid(rasterio.CRS.from_user_input(crs), transform or pixels(10), *shape)


def band(name, dem, *, size=SIZE, margin=None, convergence=0.0, sun=DEFAULT_SUN, outer=50.0, inner=0.0):
    """A band of elevations that have the margin it needs, unless told otherwise."""
    margin = margin_pixels([name], size, outer) if margin is None else margin
    shape = tuple(length - 2 * margin for length in dem.shape)
    angles = np.broadcast_to(np.asarray(convergence, np.float32), shape)
    return terrain_bands([name], np.asarray(dem, np.float32), margin, size, angles, sun, outer, inner)[name]


def places(shape, size=SIZE):
    """Metres north and east of the middle of an array."""
    rows, columns = (np.arange(length) - (length - 1) / 2 for length in shape)
    return -rows[:, None] * size.y, columns[None] * size.x


def plane(aspect, slope, shape=(12, 14), size=SIZE):
    """A plane that falls towards a direction of the grid; both angles in degrees."""
    north, east = places(shape, size)
    fall = np.cos(np.radians(aspect)) * north + np.sin(np.radians(aspect)) * east
    return 100 - np.tan(np.radians(slope)) * fall


def rough(shape, seed=0, highest=5000.0, holes=0):
    """Hills of up to 5000 m with noise, and holes of several sizes."""
    rng = np.random.default_rng(seed)
    north, east = places(shape)
    hills = np.sin(north / 90) * np.cos(east / 70) + rng.random(shape) * 0.02
    dem = ((hills - hills.min()) / np.ptp(hills) * highest).astype(np.float32)
    for _ in range(holes):
        row, column, height, width = *rng.integers(0, shape), *rng.integers(1, 6, 2)
        dem[row : row + height, column : column + width] = np.nan
    return dem


def angular(one, other):
    """Largest difference of directions, in degrees."""
    return np.abs((np.asarray(one, float) - other + 180) % 360 - 180).max()


# Grids


def test_size_of_projected_pixels_is_in_metres():
    assert pixel_size(grid(transform=Affine(10, 0, 5e5, 0, -20, 7.6e6))) == PixelSize(20.0, 10.0)
    feet = pixel_size(grid("EPSG:2225", Affine(10, 0, 6e6, 0, -10, 2e6)))
    assert feet.x == feet.y == pytest.approx(10 * 1200 / 3937)


@pytest.mark.parametrize("lat", [-45.0, 0.5, 70.0])
def test_size_of_pixels_in_degrees_is_that_on_the_ellipsoid(lat):
    step, shape = 1e-4, (40, 50)
    size = pixel_size(grid("EPSG:4326", Affine(3 * step, 0, 20, 0, -step, lat + 20 * step), shape))
    a, e2, phi = 6378137.0, 0.00669437999014, np.radians(lat)
    curve = 1 - e2 * np.sin(phi) ** 2
    assert size.y == pytest.approx(np.radians(step) * a * (1 - e2) / curve**1.5, rel=1e-5)
    assert size.x == pytest.approx(np.radians(3 * step) * a / np.sqrt(curve) * np.cos(phi), rel=1e-5)


@pytest.mark.parametrize(
    "transform",
    [Affine.rotation(5) @ pixels(10), pixels(10) @ Affine.shear(3), pixels(-10), Affine(10, 0, 5e5, 0, 10, 7.6e6)],
    ids=["rotated", "sheared", "upside down", "south-up"],
)
def test_a_grid_must_be_north_up(transform):
    turned = grid(transform=transform)
    with pytest.raises(SceneError, match="need a north-up grid"):
        pixel_size(turned)
    with pytest.raises(SceneError, match="need a north-up grid"):
        convergence_at(turned, 0, 1)


def test_a_grid_must_lie_on_the_earth():
    with pytest.raises(SceneError, match="projected or geographic coordinate reference system, but it is nowhere"):
        pixel_size(grid('LOCAL_CS["nowhere",UNIT["metre",1]]'))
    with pytest.raises(SceneError, match=r"between 90 S and 90 N, but reaches from 7\.5"):
        pixel_size(grid("EPSG:4326", pixels(10)))
    with pytest.raises(SceneError, match=r"doesn't hold at \(5e\+11"):
        convergence_at(grid(transform=pixels(10, origin=(5e11, 7.6e6))), 0, 1)


@pytest.mark.parametrize(
    ("crs", "lon", "lat", "limit"),
    [
        ("EPSG:32603", -167.9, 70.0, 0.01),
        ("EPSG:32608", -132.1, 70.0, 0.01),
        ("EPSG:32718", -73.4, -46.5, 0.01),
        ("EPSG:3413", 134.9, 68.0, 0.02),
        ("EPSG:3413", 20.0, 68.0, 0.02),
        ("EPSG:4326", 25.0, 69.0, 0.0),
    ],
)
def test_convergence_is_that_of_the_projection(crs, lon, lat, limit):
    """On 110 km; in the first grid in EPSG:3413, the angle passes 180 degrees."""
    projection = pyproj.Proj(crs) if crs != "EPSG:4326" else None
    x, y = projection(lon, lat) if projection else (lon, lat)
    step, shape = (5000, (22, 23)) if projection else (0.05, (22, 23))
    whole = grid(crs, Affine(step, 0, x - 11 * step, 0, -step, y + 11 * step), shape)
    angles = convergence_at(whole, 0, 22)
    assert angles.shape == (22, 23)
    assert angles.dtype == np.float32
    if projection is None:
        assert (angles == 0).all()
        return
    columns, rows = np.meshgrid(np.arange(23) + 0.5, np.arange(22) + 0.5)
    places = projection(x + (columns - 11) * step, y + (11 - rows) * step, inverse=True)
    expected = projection.get_factors(*places).meridian_convergence
    assert np.abs(expected).max() > 1
    assert angular(angles, expected) < limit
    assert np.abs(np.diff(angles, axis=1)).max() < 1


def test_convergence_does_not_depend_on_the_rows_it_is_asked_for_with():
    whole = grid(transform=pixels(1000, origin=(300_000, 7_800_000)), shape=(101, 97))
    everything = convergence_at(whole, 0, 101)
    for first, rows in ((0, 40), (40, 1), (41, 60)):
        np.testing.assert_array_equal(convergence_at(whole, first, rows), everything[first : first + rows])


def test_margins():
    assert margin_pixels(["dem", "blue", "ndvi"], SIZE, 100) == 0
    assert margin_pixels([], SIZE, 100) == 0
    for name in OF_NEIGHBOURS:
        assert margin_pixels(["dem", name], SIZE, 100) == 1
    assert margin_pixels(["slope", "relative_elevation"], SIZE, 95) == 10
    assert margin_pixels(["relative_elevation"], PixelSize(20, 3), 100) == 34
    assert margin_pixels(["slope", "relative_elevation"], PixelSize(300, 300), 100) == 1
    assert margin_pixels(["relative_elevation"], PixelSize(10 - 1e-9, 10), 100) == 10


# Slope and aspect


@pytest.mark.parametrize("size", [SIZE, OBLONG])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_planes(direction, size):
    dem = plane(direction, 30, size=size)
    np.testing.assert_allclose(band("slope", dem, size=size), np.full((10, 12), 30), atol=1e-3)
    assert angular(band("aspect", dem, size=size), direction) < 2e-3
    np.testing.assert_allclose(band("northness", dem, size=size), np.cos(np.radians(direction)), atol=3e-5)
    np.testing.assert_allclose(band("eastness", dem, size=size), np.sin(np.radians(direction)), atol=3e-5)
    np.testing.assert_allclose(band("curvature", dem, size=size), 0, atol=1e-3)
    np.testing.assert_allclose(
        band("relative_elevation", plane(direction, 30, (30, 32), size), size=size), 0, atol=1e-3
    )


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_cone_falls_away_from_its_top(direction):
    north, east = places((81, 81))
    dem = 500 - 0.5 * np.hypot(north, east)
    row, column = (round(30 * f(np.radians(direction))) for f in (np.cos, np.sin))
    there = 39 - row, 39 + column  # the margin is cut off
    assert angular(band("aspect", dem)[there], direction) < 1e-3
    assert band("slope", dem)[there] == pytest.approx(np.degrees(np.arctan(0.5)), abs=0.02)
    # A cone is bent by the inverse of the distance to its axis, across the slope alone.
    distance = 10 * np.hypot(row, column)
    assert band("curvature", dem)[there] == pytest.approx(100 * 0.5 / distance, rel=2e-3)


def test_aspect_stays_below_360_and_turns_with_the_grid():
    dem = plane(0, 20)
    for turn in (-370.0, -1e-6, 0.0, 1e-6, 3.0, 725.0):
        aspect = band("aspect", dem, convergence=turn)
        assert (aspect >= 0).all()
        assert (aspect < 360).all()
        assert angular(aspect, turn) < 1e-3


def test_flat_ground_has_no_direction():
    flat = np.full((6, 7), 1234.5)
    for name in ("slope", "aspect", "northness", "eastness", "curvature"):
        np.testing.assert_array_equal(band(name, flat, convergence=7.0), np.zeros((4, 5)))
    np.testing.assert_allclose(band("hillshade", flat, convergence=7.0), np.sin(np.radians(25)), atol=1e-6)


@pytest.mark.parametrize(("crs", "lon"), [("EPSG:32603", -167.9), ("EPSG:32608", -132.1), ("EPSG:32608", -135.0)])
def test_ground_that_rises_with_latitude_faces_true_south(crs, lon):
    projection = pyproj.Proj(crs)
    x, y = projection(lon, 70.0)
    whole = grid(crs, pixels(50, origin=(x, y)), (60, 60))
    size = pixel_size(whole)
    columns, rows = np.meshgrid(np.arange(-1, 61) + 0.5, np.arange(-1, 61) + 0.5)
    _, lats = projection(x + columns * 50, y - rows * 50, inverse=True)
    dem = ((lats - 70.0) * 111_500 * 0.5).astype(np.float32)
    angles = convergence_at(whole, 0, 60)
    if lon != -135.0:
        assert np.abs(angles).min() > 2
    assert angular(band("aspect", dem, size=size, convergence=angles), 180) < 0.01
    np.testing.assert_allclose(band("northness", dem, size=size, convergence=angles), -1, atol=1e-6)
    np.testing.assert_allclose(band("eastness", dem, size=size, convergence=angles), 0, atol=2e-4)
    slope = band("slope", dem, size=size, convergence=angles)
    light = band("hillshade", dem, size=size, convergence=angles, sun=Sun(180, 20))
    np.testing.assert_allclose(light, np.sin(np.radians(20 + slope)), atol=1e-5)


# Light and curvature


def test_light_from_below_and_above_a_slope():
    dem = plane(135, 20)
    for elevation in (5, 30, 60):
        lit = band("hillshade", dem, sun=Sun(135, elevation))
        np.testing.assert_allclose(lit, np.sin(np.radians(elevation + 20)), atol=1e-5)
        unlit = band("hillshade", dem, sun=Sun(315, elevation))
        np.testing.assert_allclose(unlit, max(0, np.sin(np.radians(elevation - 20))), atol=1e-5)
    turned = band("hillshade", dem, sun=Sun(140, 30), convergence=5.0)
    np.testing.assert_allclose(turned, np.sin(np.radians(50)), atol=1e-5)


def test_curvature_of_a_paraboloid_is_positive_on_a_hill():
    north, east = places((12, 14), OBLONG)
    hill = 50 - 0.003 * north**2 - 0.001 * east**2
    np.testing.assert_allclose(band("curvature", hill, size=OBLONG), 100 * (0.006 + 0.002), atol=1e-4)
    np.testing.assert_allclose(band("curvature", -hill, size=OBLONG), -100 * (0.006 + 0.002), atol=1e-4)


# Relative elevation


def relative_elevation(dem, margin, size, outer, inner):
    """By brute force, in float64."""
    ry, rx = (int(np.ceil(outer / side)) for side in (size.y, size.x))
    y, x = np.mgrid[-ry : ry + 1, -rx : rx + 1]
    kernel = (y / ry) ** 2 + (x / rx) ** 2 <= 1
    if inner > 0:
        sy, sx = (np.ceil(inner / side) for side in (size.y, size.x))
        kernel &= (y / sy) ** 2 + (x / sx) ** 2 > 1
    dem = dem.astype(np.float64)
    result = np.full([length - 2 * margin for length in dem.shape], np.nan)
    for row, column in np.ndindex(*result.shape):
        middle = row + margin, column + margin
        around = dem[middle[0] - ry : middle[0] + ry + 1, middle[1] - rx : middle[1] + rx + 1][kernel]
        if not np.isnan(around).all():
            result[row, column] = dem[middle] - np.nanmean(around)
    return result


@pytest.mark.parametrize("size", [SIZE, OBLONG, PixelSize(10, 25)])
@pytest.mark.parametrize(("outer", "inner"), [(50, 0), (48, 20), (100, 0), (100, 61), (8, 0)])
@pytest.mark.parametrize("holes", [0, 12])
def test_relative_elevation_is_that_of_brute_force(size, outer, inner, holes):
    margin = margin_pixels(["relative_elevation"], size, outer)
    dem = rough((34 + 2 * margin, 29 + 2 * margin), seed=margin, holes=holes)
    result = band("relative_elevation", dem, size=size, outer=outer, inner=inner)
    expected = relative_elevation(dem, margin, size, outer, inner)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=3e-4)
    assert np.isnan(result).any() == bool(holes)


def test_relative_elevation_is_right_where_little_is_known():
    """One pixel of thousands in reach: a sum in float32 would be wrong by decimetres there."""
    dem = rough((220, 220), highest=5000.0)
    dem[:, 100:] = np.nan
    dem[110, 150:152] = 4321.0, 4320.0
    result = band("relative_elevation", dem, outer=400)
    np.testing.assert_allclose(result[70, 110:112], [0.5, -0.5], atol=1e-3)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(dem[40:-40, 40:-40]))


@pytest.mark.parametrize("radius", [5, 40])
def test_relative_elevation_has_no_value_where_nothing_around_is_known(radius):
    """The ground beyond the reach of the lone pixel doesn't count, not even by rounding."""
    dem = rough((4 * radius + 1, 7 * radius))
    middle = 2 * radius, 2 * radius
    dem[:, : 4 * radius] = np.nan
    dem[middle] = 100.0
    lone = radius, radius  # the margin is cut off
    assert np.isnan(band("relative_elevation", dem, outer=10 * radius, inner=20)[lone])
    assert band("relative_elevation", dem, outer=10 * radius)[lone] == pytest.approx(0, abs=1e-6)


def test_relative_elevation_needs_something_between_the_radii():
    dem = rough((41, 41))
    with pytest.raises(ConfigError, match=r"--tpi-inner-radius must be at least a pixel below .* got 95 and 100 m"):
        band("relative_elevation", dem, outer=100, inner=95)


# Holes


def by_hand(name, dem, size, convergence=0.0, sun=DEFAULT_SUN):
    """A band of the neighbours by its definition, pixel by pixel, in float64."""
    dem = dem.astype(np.float64)
    result = np.full((dem.shape[0] - 2, dem.shape[1] - 2), np.nan)
    for row, column in np.ndindex(*result.shape):
        window = dem[row : row + 3, column : column + 3]
        if np.isnan(window[1, 1]):
            continue
        opposite = 2 * window[1, 1] - window[::-1, ::-1]
        window = np.where(np.isnan(window), np.where(np.isnan(opposite), window[1, 1], opposite), window)
        result[row, column] = of_window(name, window, size, convergence, sun)
    return result


def of_window(name, window, size, convergence, sun):
    (a, b, c), (d, e, f), (g, h, i) = window
    east = (c + 2 * f + i - a - 2 * d - g) / (8 * size.x)
    north = (a + 2 * b + c - g - 2 * h - i) / (8 * size.y)
    aspect = np.radians(np.degrees(np.arctan2(-east, -north)) + convergence)
    normal = np.array([-east, -north, 1]) / np.sqrt(1 + east**2 + north**2)
    azimuth, elevation = np.radians(sun.azimuth - convergence), np.radians(sun.elevation)
    ray = [np.cos(elevation) * np.sin(azimuth), np.cos(elevation) * np.cos(azimuth), np.sin(elevation)]
    return {
        "slope": np.degrees(np.arccos(normal[2])),
        "aspect": np.degrees(aspect) % 360,
        "northness": np.cos(aspect),
        "eastness": np.sin(aspect),
        "hillshade": max(0.0, normal @ ray),
        "curvature": -100 * ((d - 2 * e + f) / size.x**2 + (b - 2 * e + h) / size.y**2),
    }[name]


@pytest.mark.parametrize("name", OF_NEIGHBOURS)
@pytest.mark.parametrize("holes", [0, 25])
def test_bands_of_neighbours_are_those_of_their_definition(name, holes):
    dem = rough((40, 37), seed=3, highest=300.0, holes=holes)
    result = band(name, dem, size=OBLONG, convergence=4.0, sun=Sun(160, 35))
    expected = by_hand(name, dem, OBLONG, 4.0, Sun(160, 35))
    np.testing.assert_array_equal(np.isnan(result), np.isnan(expected))
    assert np.isnan(result).any() == bool(holes)
    known = ~np.isnan(result)
    if name == "aspect":
        assert angular(result[known], expected[known]) < 1e-2
    else:
        np.testing.assert_allclose(result[known], expected[known], atol=1e-3)


@pytest.mark.parametrize("direction", [0, 30, 45, 135, 200, 270])
def test_a_plane_keeps_its_slope_beside_holes(direction):
    """Beside, above, below and diagonally of holes of one pixel, of several, and of an edge."""
    dem = plane(direction, 25, (24, 26))
    for hole in ((4, 4), (slice(9, 13), slice(8, 15)), (18, 20), (19, 21), (slice(None), slice(-2, None))):
        dem[hole] = np.nan
    known = ~np.isnan(dem[1:-1, 1:-1])
    assert (~known).sum() == 1 + 28 + 2 + 22
    np.testing.assert_allclose(band("slope", dem)[known], 25, atol=2e-3)
    assert angular(band("aspect", dem)[known], direction) < 5e-3
    np.testing.assert_allclose(band("curvature", dem)[known], 0, atol=1e-3)


def test_a_pixel_between_two_holes_is_flat_across_them():
    dem = plane(90, 25, (3, 3))
    dem[:, [0, 2]] = np.nan
    assert band("slope", dem)[0, 0] == 0
    dem = plane(0, 25, (3, 3))
    dem[[0, 0, 2, 2], [0, 2, 0, 2]] = np.nan
    assert band("slope", dem)[0, 0] == pytest.approx(np.degrees(np.arctan(np.tan(np.radians(25)) / 2)), abs=1e-3)


@pytest.mark.parametrize("name", BANDS)
def test_a_hole_is_a_hole_of_its_own_size(name):
    dem = rough((60, 64), seed=5, holes=20)
    holes = np.isnan(dem)[6:-6, 6:-6]
    assert holes.any()
    result = band(name, dem, margin=6)
    np.testing.assert_array_equal(np.isnan(result), holes)
    assert np.isnan(band(name, np.full((20, 20), np.nan), margin=6)).all()


# All bands


@pytest.mark.parametrize("name", BANDS)
@pytest.mark.parametrize("holes", [0, 20])
def test_two_halves_are_the_whole(name, holes):
    margin = 7
    dem = rough((70 + 2 * margin, 61 + 2 * margin), seed=8, highest=1500.0, holes=holes)
    whole = grid(transform=pixels(10, origin=(300_000, 7_800_000)), shape=(70, 61))
    halves = []
    for first, rows in ((0, 33), (33, 37)):
        part, angles = dem[first : first + rows + 2 * margin], convergence_at(whole, first, rows)
        halves.append(band(name, part, margin=margin, convergence=angles, outer=68))
    together = band(name, dem, margin=margin, convergence=convergence_at(whole, 0, 70), outer=68)
    assert together.shape == (70, 61)
    np.testing.assert_allclose(np.concatenate(halves), together, atol=1e-4)


@pytest.mark.parametrize("name", BANDS)
def test_a_larger_margin_changes_nothing(name):
    dem = rough((50, 52), highest=1500.0, holes=8)
    margin = margin_pixels([name], SIZE, 50)
    part = dem[9 - margin : 50 - 9 + margin, 9 - margin : 52 - 9 + margin]
    np.testing.assert_allclose(band(name, dem, margin=9), band(name, part), atol=1e-4)


@pytest.mark.parametrize("name", BANDS)
def test_bands_are_new_float32_arrays(name):
    dem = rough((40, 40), holes=5)
    before = dem.copy()
    result = band(name, dem, margin=5)
    assert (result.dtype, result.shape) == (np.float32, (30, 30))
    assert result.flags.c_contiguous
    assert not np.shares_memory(result, dem)
    np.testing.assert_array_equal(dem, before)


def test_dem_is_the_middle():
    dem = rough((20, 21), holes=3)
    np.testing.assert_array_equal(band("dem", dem, margin=4), dem[4:-4, 4:-4])


def test_the_number_of_threads_changes_nothing():
    dem = rough((300, 300), holes=30)
    before = cv2.getNumThreads()
    try:
        results = []
        for threads in (1, 2, 4):
            cv2.setNumThreads(threads)
            results.append([band("relative_elevation", dem, outer=outer) for outer in (30, 300)])
    finally:
        cv2.setNumThreads(before)
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            np.testing.assert_array_equal(one, other)


def test_other_names_are_refused():
    with pytest.raises(ConfigError, match=r"a terrain band must be one of dem, .*, curvature, not 'ruggedness'"):
        band("ruggedness", rough((8, 8)), margin=1)


# Real elevations

DATA = Path(os.environ.get("DARTS_REAL_DATA", "."))
real_data = pytest.mark.skipif(
    "DARTS_REAL_DATA" not in os.environ, reason="DARTS_REAL_DATA names no folder of real elevations"
)


def read_elevations(name):
    with rasterio.open(DATA / "dem" / name) as source:
        dem = source.read(1).astype(np.float32)
        dem[dem == -9999] = np.nan
        return dem, Grid(source.crs, source.transform, *source.shape)


@pytest.mark.slow
@real_data
@pytest.mark.parametrize("name", BANDS)
def test_voids_of_aster_stay_as_they_are(name):
    dem, whole = read_elevations("AST_L1A_00303182012144228_Z.tif")
    size = pixel_size(whole)
    margin = margin_pixels([name], size, 300)
    voids = np.isnan(dem)
    assert voids.sum() > 1000
    inner = grid(whole.crs, whole.transform @ Affine.translation(margin, margin), np.array(dem.shape) - 2 * margin)
    angles = convergence_at(inner, 0, inner.height)
    result = band(name, dem, size=size, outer=300, convergence=angles)
    np.testing.assert_array_equal(np.isnan(result), voids[margin : -margin or None, margin : -margin or None])
    assert np.isfinite(result[~np.isnan(result)]).all()


@pytest.mark.slow
@real_data
def test_alps_in_degrees():
    dem, whole = read_elevations("hef_srtm.tif")
    size = pixel_size(whole)
    assert size.y == pytest.approx(92.6, abs=0.2)
    assert size.x == pytest.approx(63.6, abs=0.5)
    slope = band("slope", dem, size=size)
    assert 15 < np.median(slope) < 35
    # Against the slope of plain central differences on the same ground.
    north, east = np.gradient(dem.astype(float), size.y, size.x)
    plain = np.degrees(np.arctan(np.hypot(north, east)))[1:-1, 1:-1]
    assert np.corrcoef(slope.ravel(), plain.ravel())[0, 1] > 0.97
    relative = band("relative_elevation", dem, size=size, outer=500)
    assert abs(np.median(relative)) < 10
    assert 10 < np.std(relative) < 200
