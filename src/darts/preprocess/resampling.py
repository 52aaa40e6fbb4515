"""Values of one grid brought to another."""

import numpy as np
from rasterio.enums import Resampling
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT

from darts.preprocess.scenes import Grid, apply

Bounds = tuple[float, float, float, float]
"""(left, bottom, right, top)"""
METRES_PER_DEGREE = 111_195.0
"""Along a meridian of a sphere with a radius of 6371 km."""
TOLERANCE = 1e-5
"""Pixels of the source by which a place may be off."""
KERNEL = 4
"""Pixels around a place that an interpolation may need."""
_ABOUT_EQUAL = 0.95
"""Pixels that are hardly smaller than those that are wanted are interpolated, not averaged."""


def to_grid(values: np.ndarray, source: Grid, target: Grid, resampling: Resampling) -> np.ndarray:
    """Bring a raster to another grid by interpolation, or by an average where its pixels are smaller.

    The kernel has one size everywhere. Left to itself, GDAL derives it from the shapes of the two arrays, which depend
    on the block and, between systems that are turned against each other, have nothing to do with the size of pixels.

    Parameters
    ----------
    values
        float32 (height, width), NaN where there is no value.
    source, target
        The grid of `values`, and the one that is wanted, in any coordinate reference systems.
    resampling
        The nearest value, or an interpolation of the values around.

    Returns
    -------
    float32 on the target grid; NaN wherever the nearest pixel of the source has no value, or where there is none, so
    that a hole keeps its size.
    """
    if same_grid(source, target):
        return values
    shape = {"height": source.height, "width": source.width, "count": 1, "dtype": "float32"}
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", crs=source.crs, transform=source.transform, nodata=np.nan, **shape) as raster:
            raster.write(values, 1)
        nearest = _warped(memory, source, target, Resampling.nearest)
        if resampling == Resampling.nearest:
            return nearest
        interpolated = _warped(memory, source, target, resampling)
    interpolated[np.isnan(nearest)] = np.nan
    return np.where(np.isnan(interpolated), nearest, interpolated)


def _warped(memory: MemoryFile, source: Grid, target: Grid, resampling: Resampling) -> np.ndarray:
    """What is in memory on another grid; unlike this, `reproject` of rasterio always allows an eighth of a pixel."""
    scale = _scale(source, target)
    options = {
        "src_crs": source.crs,
        "src_nodata": np.nan,
        "nodata": np.nan,
        "tolerance": TOLERANCE,
        "XSCALE": scale,
        "YSCALE": scale,
    }
    place = {"crs": target.crs, "transform": target.transform, "height": target.height, "width": target.width}
    with memory.open() as raster, WarpedVRT(raster, resampling=resampling, **place, **options) as warped:
        values: np.ndarray = warped.read(1)
    return values


def _scale(source: Grid, target: Grid) -> float:
    """How large a pixel of the source is beside one of the target, at most 1."""
    ratio = _metres(source) / _metres(target)
    return ratio if ratio < _ABOUT_EQUAL else 1.0


def _metres(grid: Grid) -> float:
    """The height of a pixel, as if on a map without distortion."""
    unit = METRES_PER_DEGREE if grid.crs.is_geographic else grid.crs.linear_units_factor[1]
    return float(np.hypot(grid.transform.b, grid.transform.e) * unit)


def kernel_size(source: Grid, target: Grid) -> int:
    """Pixels of the source around a place that its interpolation may need."""
    return int(np.ceil(KERNEL / _scale(source, target)))


def widened(bounds: Bounds, grid: Grid, pixels: int) -> Bounds:
    """A box with so many more pixels of a grid on each side."""
    left, bottom, right, top = bounds
    x = pixels * (abs(grid.transform.a) + abs(grid.transform.b))
    y = pixels * (abs(grid.transform.d) + abs(grid.transform.e))
    return left - x, bottom - y, right + x, top + y


def same_grid(one: Grid, other: Grid) -> bool:
    """Whether two grids have the same pixels, up to a hundredth of one."""
    return one.shape == other.shape and place_of(one, other) == (0, 0)


def place_of(part: Grid, whole: Grid) -> tuple[int, int] | None:
    """Row and column in `whole` of the first pixel of `part`; None unless their pixels are the same, to a hundredth."""
    if part.crs != whole.crs:
        return None
    corners = np.array([(0, 0), (part.width, 0), (0, part.height)])
    places = np.array([apply(~whole.transform, *apply(part.transform, *corner)) for corner in corners])
    column, row = np.rint(places[0]).astype(int)
    return (int(row), int(column)) if np.abs(places - corners - (column, row)).max() < 0.01 else None
