"""Terrain bands from elevations that lie on the grid of a scene, with a margin around them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pyproj import CRS, Geod, Transformer

from darts.core.bands import TERRAIN_BANDS
from darts.core.errors import ConfigError, SceneError
from darts.preprocess.scenes import Grid, Sun

DEFAULT_SUN = Sun(225.0, 25.0)
"""Light of a hillshade where the sun of the scene is not known."""

_OF_GRADIENT = ("slope", "aspect", "northness", "eastness", "hillshade")
_OF_NEIGHBOURS = (*_OF_GRADIENT, "curvature")


@dataclass(frozen=True, slots=True)
class PixelSize:
    """Height (north to south) and width (west to east) of a pixel in metres on the ground, both positive."""

    y: float
    x: float


@dataclass(frozen=True, slots=True, eq=False)
class _Gradient:
    """Rise of the ground in m/m towards the east and the north of the grid, float32 (h, w); NaN in holes."""

    east: np.ndarray
    north: np.ndarray


def pixel_size(grid: Grid) -> PixelSize:
    """Size of the pixels of a grid.

    In a projected reference system it is that of the map, in metres: its scale factor is left out. In a geographic
    one it is the geodesic length of a step of one pixel east and south from the middle of the grid.

    Raises
    ------
    SceneError
        When the grid isn't north-up, or doesn't lie on the earth.
    """
    crs, geod = _on_earth(grid)
    width, height = grid.transform.a, -grid.transform.e
    if not crs.is_geographic:
        metres = grid.crs.linear_units_factor[1]
        return PixelSize(height * metres, width * metres)
    left, bottom, right, top = grid.bounds
    lon, lat = (left + right) / 2, (bottom + top) / 2
    if not (-90 <= bottom < top <= 90):
        raise SceneError(
            f"a grid in degrees must lie between 90 S and 90 N, but reaches from {bottom:g} to {top:g}; assign the "
            "right coordinate reference system, for example with gdal_edit."
        )
    _, _, east = geod.inv(lon, lat, lon + width, lat)
    _, _, south = geod.inv(lon, lat, lon, lat - height)
    return PixelSize(float(south), float(east))


def _on_earth(grid: Grid) -> tuple[CRS, Geod]:
    """The reference system of a grid, which must be north-up to a hundredth of a pixel, and its ellipsoid."""
    a, b, _, d, e, _ = grid.transform[:6]
    if not (a > 0 > e and abs(b) * grid.height < 0.01 * a and abs(d) * grid.width < -0.01 * e):
        raise SceneError(
            f"terrain bands need a north-up grid, but its transform is ({a:g}, {b:g}, {d:g}, {e:g}), which rotates, "
            "shears or flips; warp the scene, for example with gdalwarp."
        )
    crs = CRS.from_user_input(grid.crs)
    geod = crs.get_geod()
    if geod is None or not (crs.is_geographic or crs.is_projected):
        raise SceneError(
            f"terrain bands need a projected or geographic coordinate reference system, but it is {crs.name}; assign "
            "one, for example with gdal_edit."
        )
    return crs, geod


def convergence_at(grid: Grid, first_row: int, rows: int) -> np.ndarray:
    """Meridian convergence: the true azimuth of the north of the grid at the centre of each pixel.

    It is interpolated between the corners of the whole grid, so that it doesn't depend on the rows it is asked for
    with. Over a scene of 110 km in UTM at 70 N this is right to 0.01 degrees; it doesn't hold around a pole.

    Parameters
    ----------
    grid
        The whole grid.
    first_row, rows
        The rows that are wanted.

    Returns
    -------
    Degrees clockwise from true north, float32 (rows, width), without a jump at 180; 0 in a geographic reference system.

    Raises
    ------
    SceneError
        When the grid isn't north-up, or doesn't lie on the earth.
    """
    crs, geod = _on_earth(grid)
    if crs.is_geographic:
        return np.zeros((rows, grid.width), dtype=np.float32)
    north_west, north_east, south_west, south_east = _corner_azimuths(grid, crs, geod)
    down = (first_row + np.arange(rows)[:, None] + 0.5) / grid.height
    across = ((np.arange(grid.width)[None] + 0.5) / grid.width).astype(np.float32)
    west = north_west + (south_west - north_west) * down
    east = north_east + (south_east - north_east) * down
    angles: np.ndarray = west.astype(np.float32) + (east - west).astype(np.float32) * across
    return angles


def _corner_azimuths(grid: Grid, crs: CRS, geod: Geod) -> np.ndarray:
    """True azimuths of a step of one pixel north on the map, at the corners NW, NE, SW, SE; in degrees, float64 (4,)."""
    left, bottom, right, top = grid.bounds
    x, y = np.array([left, right, left, right]), np.array([top, top, bottom, bottom])
    to_degrees = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    azimuths, _, _ = geod.inv(*to_degrees.transform(x, y), *to_degrees.transform(x, y - grid.transform.e))
    if not np.isfinite(azimuths).all():
        raise SceneError(
            f"a grid must lie where its coordinate reference system holds, but that of {crs.name} doesn't hold at "
            f"({left:g}, {top:g}); assign the right one, for example with gdal_edit."
        )
    first: float = azimuths[0]
    turned: np.ndarray = first + (azimuths - first + 180) % 360 - 180
    return turned


def margin_pixels(names: Sequence[str], size: PixelSize, tpi_outer_radius: float) -> int:
    """How many pixels of elevation are needed around a block to compute the given bands; other names need none."""
    margin = int(any(name in _OF_NEIGHBOURS for name in names))
    if "relative_elevation" in names:
        margin = max(margin, *_radii(tpi_outer_radius, size))
    return margin


def _radii(metres: float, size: PixelSize) -> tuple[int, int]:
    """A radius in whole pixels along y and x, rounded up."""
    # A pixel of 9.9999999 m must not count as more than a tenth of 100 m.
    return math.ceil(metres / size.y - 1e-6), math.ceil(metres / size.x - 1e-6)


def terrain_bands(
    names: Sequence[str],
    dem: np.ndarray,
    margin: int,
    size: PixelSize,
    convergence: np.ndarray,
    sun: Sun,
    tpi_outer_radius: float,
    tpi_inner_radius: float,
) -> dict[str, np.ndarray]:
    """Terrain bands. A hole in the elevations is a hole of the same pixels in them, and spreads no further.

    Parameters
    ----------
    names
        `dem` (m), `relative_elevation` (m), `slope` (0 to 90 degrees), `aspect` (0 to 360 degrees, downslope, clockwise
        from true north), `northness` and `eastness` (cosine and sine of the aspect), `hillshade` (0 to 1) or `curvature`
        (1/100 m, convex is positive). Flat ground has aspect, northness and eastness 0.
    dem
        Elevations in m, float32 (h + 2 margin, w + 2 margin), NaN where there is none.
    margin
        At least `margin_pixels` of the bands.
    size
        Size of the pixels.
    convergence
        True azimuth of the north of the grid in degrees, float32 (h, w).
    sun
        Light of the hillshade.
    tpi_outer_radius, tpi_inner_radius
        Radii in m of the surroundings for relative_elevation: a disk, or a ring when the inner one is above 0.

    Returns
    -------
    Name -> float32 (h, w)

    Raises
    ------
    ConfigError
        When a name is not that of a terrain band, or no pixel is between the two radii.
    """
    gradient = _gradient(_middle(dem, margin, 1, 1), size) if {*names} & {*_OF_GRADIENT} else None

    def band(name: str) -> np.ndarray:
        if name == "dem":
            return _middle(dem, margin, 0, 0).copy()
        if name == "relative_elevation":
            return _relative_elevation(dem, margin, _surroundings(size, tpi_outer_radius, tpi_inner_radius))
        if name == "curvature":
            return _curvature(_middle(dem, margin, 1, 1), size)
        if gradient is None or name not in _OF_GRADIENT:
            raise ConfigError(f"a terrain band must be one of {', '.join(TERRAIN_BANDS)}, not {name!r}.")
        return _of_gradient(name, gradient, convergence, sun)

    return {name: band(name) for name in names}


def _of_gradient(name: str, gradient: _Gradient, convergence: np.ndarray, sun: Sun) -> np.ndarray:
    if name == "slope":
        return np.degrees(np.arctan(np.hypot(gradient.east, gradient.north)))
    if name == "hillshade":
        return _hillshade(gradient, convergence, sun)
    return _exposition(name, gradient, convergence)


def _middle(dem: np.ndarray, margin: int, y: int, x: int) -> np.ndarray:
    """A view of elevations with a margin of y rows and x columns only."""
    assert margin >= max(y, x), f"a margin of {max(y, x)} pixels is needed, but it is {margin}"
    height, width = dem.shape
    return dem[margin - y : height - margin + y, margin - x : width - margin + x]


def _surroundings(size: PixelSize, outer: float, inner: float) -> np.ndarray:
    """1 for each pixel of a disk, or of a ring if there is an inner radius; float64 (2 ry + 1, 2 rx + 1)."""
    radii = _radii(outer, size)
    kernel = _disk(radii, radii)
    if inner > 0:
        kernel &= ~_disk(radii, _radii(inner, size))
    if not kernel.any():
        raise ConfigError(
            f"--tpi-inner-radius must be at least a pixel below --tpi-outer-radius, but got {inner:g} and {outer:g} m for "
            f"pixels of {size.y:.3g} x {size.x:.3g} m; give a smaller inner radius."
        )
    return kernel.astype(np.float64)


def _disk(extent: tuple[int, int], radii: tuple[int, int]) -> np.ndarray:
    """Which pixels of a window that reaches `extent` pixels each way are in an ellipse around its middle."""
    (height, width), (ry, rx) = extent, radii
    y, x = np.ogrid[-height : height + 1, -width : width + 1]
    # A radius of 0 holds the middle alone; any divisor says so of whole pixels.
    inside: np.ndarray = (y / max(ry, 0.5)) ** 2 + (x / max(rx, 0.5)) ** 2 <= 1
    return inside


def _relative_elevation(dem: np.ndarray, margin: int, kernel: np.ndarray) -> np.ndarray:
    """Topographic position index (Weiss 2001): elevation above the mean of the known elevations around."""
    window = _middle(dem, margin, kernel.shape[0] // 2, kernel.shape[1] // 2)
    missing = np.isnan(window)
    known = _count_around(missing, kernel)
    # In float32 a sum over thousands of pixels is good to metres only, which shows where few of them are known.
    elevations = window.astype(np.float64)
    elevations[missing] = 0
    sums = _sum_around(elevations, kernel)
    middle = _middle(dem, margin, 0, 0)
    result = np.empty(middle.shape, dtype=np.float32)
    for first in range(0, len(result), 16):  # so few rows stay in the cache of the processor
        rows = slice(first, first + 16)
        result[rows] = middle[rows] - sums[rows] / known[rows]
    return result


def _count_around(missing: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """How many pixels of a kernel aren't missing, where it lies wholly inside; NaN for 0."""
    if not missing.any():
        ry, rx = kernel.shape[0] // 2, kernel.shape[1] // 2
        return np.broadcast_to(kernel.sum(), (missing.shape[0] - 2 * ry, missing.shape[1] - 2 * rx))
    known = _sum_around((~missing).astype(np.float32), kernel.astype(np.float32))
    np.rint(known, out=known)  # which makes them exact
    known[known == 0] = np.nan
    return known


def _sum_around(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Sums over a symmetric kernel, in the type of the values, where it lies wholly inside of them."""
    import cv2

    ry, rx = kernel.shape[0] // 2, kernel.shape[1] // 2
    sums = cv2.filter2D(values, ddepth=-1, kernel=kernel, borderType=cv2.BORDER_CONSTANT)
    return sums[ry : sums.shape[0] - ry, rx : sums.shape[1] - rx]


def _gradient(window: np.ndarray, size: PixelSize) -> _Gradient:
    """Gradient of a window with a margin of 1 (Horn 1981, Proceedings of the IEEE 69(1), 14-47)."""
    to_north_east, to_south_east = _rise(window, -1, 1), _rise(window, 1, 1)
    east, north = to_north_east + to_south_east, to_north_east - to_south_east
    del to_north_east, to_south_east
    east += 2 * _rise(window, 0, 1)
    north += 2 * _rise(window, -1, 0)
    east /= 8 * size.x
    north /= 8 * size.y
    missing = np.isnan(_neighbour(window, 0, 0))
    east[missing] = np.nan
    north[missing] = np.nan
    return _Gradient(east, north)


def _neighbour(window: np.ndarray, row: int, column: int) -> np.ndarray:
    """A view of the neighbours in one direction of all pixels of a window with a margin of 1."""
    height, width = window.shape
    return window[1 + row : height - 1 + row, 1 + column : width - 1 + column]


def _rise(window: np.ndarray, row: int, column: int) -> np.ndarray:
    """Rise from the opposite neighbour to the one in a direction.

    A missing neighbour is extrapolated from the other one through the pixel between, which doubles the rise of that
    side, so that a plane keeps its slope beside a hole; where both are missing, the rise is 0.
    """
    ahead, behind = _neighbour(window, row, column), _neighbour(window, -row, -column)
    rise: np.ndarray = ahead - behind
    lost = np.isnan(rise)
    if lost.any():
        middle = _neighbour(window, 0, 0)[lost]
        to_middle, from_middle = middle - behind[lost], ahead[lost] - middle
        rise[lost] = 2 * np.nan_to_num(np.where(np.isnan(to_middle), from_middle, to_middle))
    return rise


def _exposition(name: str, gradient: _Gradient, convergence: np.ndarray) -> np.ndarray:
    """The direction downslope as an angle from true north, or its cosine or sine; 0 on flat ground."""
    angle = np.arctan2(-gradient.east, -gradient.north)
    angle += np.radians(convergence)
    if name == "aspect":
        result: np.ndarray = np.degrees(angle, out=angle) % 360
        result[result >= 360] = 0  # what the modulo of a tiny negative angle rounds to
    elif name == "northness":
        result = np.cos(angle, out=angle)
    else:
        result = np.sin(angle, out=angle)
    result[(gradient.east == 0) & (gradient.north == 0)] = 0
    return result


def _hillshade(gradient: _Gradient, convergence: np.ndarray, sun: Sun) -> np.ndarray:
    """Cosine of the angle between the sun and the normal of the ground, at least 0 (Horn 1981)."""
    azimuth, elevation = np.radians(np.float32(sun.azimuth) - convergence), math.radians(sun.elevation)
    light: np.ndarray = gradient.east * np.sin(azimuth)
    light += gradient.north * np.cos(azimuth)
    light *= -math.cos(elevation)
    light += math.sin(elevation)
    light /= np.sqrt(1 + gradient.east**2 + gradient.north**2)
    return np.clip(light, 0, 1, out=light)


def _curvature(window: np.ndarray, size: PixelSize) -> np.ndarray:
    """The negative Laplacian of four neighbours times 100, of a window with a margin of 1."""
    bend = _bend(window, 0, 1) / size.x**2
    bend += _bend(window, 1, 0) / size.y**2
    bend *= -100
    bend[np.isnan(_neighbour(window, 0, 0))] = np.nan
    return bend


def _bend(window: np.ndarray, row: int, column: int) -> np.ndarray:
    """Second difference along one axis; 0 where a neighbour is missing, since it is extrapolated linearly."""
    middle = _neighbour(window, 0, 0)
    bend: np.ndarray = _neighbour(window, row, column) - middle
    bend += _neighbour(window, -row, -column) - middle
    bend[np.isnan(bend)] = 0
    return bend
