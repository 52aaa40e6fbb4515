"""Rasters that lie side by side, read on any grid as if they were one.

Pixels of all files are put together first, and interpolated only then, so that no seam shows where files meet.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from darts.preprocess.resampling import Bounds, kernel_size, place_of, to_grid, widened
from darts.preprocess.scenes import Grid

PART = 2048
"""Pixels along a side of what is interpolated at a time."""
_AROUND_THE_WORLD = 360.0


@dataclass(frozen=True, slots=True)
class Piece:
    """What is needed of one raster for a grid.

    Attributes
    ----------
    number
        Of the raster, in the order in which rasters are asked for a value.
    window
        The pixels, in the raster.
    grid
        Where these pixels lie.
    """

    number: int
    window: Window
    grid: Grid


def read_mosaic(grids: Sequence[Grid], target: Grid, load: Callable[[Piece], np.ndarray]) -> np.ndarray:
    """Values of rasters in one coordinate reference system on a grid, by cubic interpolation.

    A value doesn't depend on which part of a larger grid is asked for, nor on how the rasters divide the area.

    Parameters
    ----------
    grids
        Of the rasters; where several have a value, that of the first counts.
    target
        The grid that is wanted, in any coordinate reference system.
    load
        Reads a piece: float32 (height, width), NaN where there is no value.

    Returns
    -------
    float32 on the target grid; NaN wherever the nearest pixel has no value, or where there is none.
    """
    result = np.full(target.shape, np.nan, dtype=np.float32)
    near = sorted({piece.number for piece in pieces(grids, target)})
    for window in _parts(target):
        part, values = target.window(window), result[window.toslices()]
        found = pieces([grids[number] for number in near], part)
        for group in _lattices(replace(piece, number=near[piece.number]) for piece in found):
            joined, grid = _joined(group, load)
            np.copyto(values, to_grid(joined, _unbroken(grid), part, Resampling.cubic), where=np.isnan(values))
    return result


def _parts(target: Grid) -> Iterator[Window]:
    """Parts of a grid: what lies around a long strip, in a system that is turned against it, may not fit into memory."""
    for row, column in product(range(0, target.height, PART), range(0, target.width, PART)):
        yield Window(column, row, min(PART, target.width - column), min(PART, target.height - row))


def _unbroken(grid: Grid) -> Grid:
    """A grid in degrees that lies across the antimeridian, in a system whose longitudes don't jump there."""
    if not grid.crs.is_geographic:
        return grid
    left, _, right, _ = grid.bounds
    if left >= -_AROUND_THE_WORLD / 2 and right <= _AROUND_THE_WORLD / 2:
        return grid
    moved = _turned(grid, _AROUND_THE_WORLD) if left < -_AROUND_THE_WORLD / 2 else grid
    wrapped = CRS.from_string(f"{grid.crs.to_proj4()} +lon_wrap=180 +type=crs")
    return Grid(wrapped, moved.transform, moved.height, moved.width)


def _turned(grid: Grid, degrees: float) -> Grid:
    a, b, c, d, e, f = grid.transform[:6]
    return Grid(grid.crs, Affine(a, b, c + degrees, d, e, f), grid.height, grid.width)


def pieces(grids: Sequence[Grid], target: Grid, *, margin: bool = True) -> Iterator[Piece]:
    """The parts of rasters in one coordinate reference system that touch a grid, or that its interpolation needs.

    A raster in degrees also lies 360 degrees further east and west, so that it goes on across the antimeridian.
    """
    bounds = bounds_in(grids[0].crs, target) if grids else None
    if bounds is None:
        return
    turns = (0.0, _AROUND_THE_WORLD, -_AROUND_THE_WORLD) if grids[0].crs.is_geographic else (0.0,)
    kernel = max(kernel_size(grid, target) for grid in grids) if margin else 0
    for number, grid in enumerate(grids):
        around = widened(bounds, grid, kernel)
        for turned in (_turned(grid, degrees) for degrees in turns):
            window = Window.from_slices(*turned.window_around(around))
            if window.height > 0 and window.width > 0:
                yield Piece(number, window, turned.window(window))


def bounds_in(crs: CRS, target: Grid) -> Bounds | None:
    """The box around a grid in another coordinate reference system; None when that doesn't reach there.

    Where the box lies across the antimeridian, its right side is beyond 180 degrees.
    """
    if target.crs == crs:
        return target.bounds
    try:
        left, bottom, right, top = transform_bounds(target.crs, crs, *target.bounds)
    except Exception:  # noqa: BLE001 -- GDAL raises errors of its own, too, where a system has no place on earth
        return None
    if not np.isfinite([left, bottom, right, top]).all():
        return None
    return left, bottom, right + _AROUND_THE_WORLD if crs.is_geographic and right < left else right, top


def _lattices(found: Iterator[Piece]) -> list[list[Piece]]:
    """Pieces whose pixels are parts of one and the same lattice, group by group."""
    groups: list[list[Piece]] = []
    for piece in found:
        group = next((group for group in groups if place_of(piece.grid, group[0].grid) is not None), None)
        if group is None:
            groups.append([piece])
        else:
            group.append(piece)
    return groups


def _joined(group: Sequence[Piece], load: Callable[[Piece], np.ndarray]) -> tuple[np.ndarray, Grid]:
    """Pieces of one lattice as one array, and its grid; where several have a value, that of the first counts."""
    places = [place_of(piece.grid, group[0].grid) or (0, 0) for piece in group]
    starts = np.array(places)
    stops = starts + [piece.grid.shape for piece in group]
    (top, left), (bottom, right) = starts.min(axis=0), stops.max(axis=0)
    values = np.full((bottom - top, right - left), np.nan, dtype=np.float32)
    for piece, (row, column), (below, beyond) in zip(group, starts, stops, strict=True):
        part = values[row - top : below - top, column - left : beyond - left]
        np.copyto(part, load(piece), where=np.isnan(part))
    return values, group[0].grid.window(Window(left, top, right - left, bottom - top))
