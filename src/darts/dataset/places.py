"""Names for places on the ground, the same for every scene and date."""

from math import ceil, cos, floor, radians

import shapely
from shapely.geometry import MultiPolygon, Point, Polygon, box
from shapely.geometry.base import BaseGeometry

HALF_A_TURN = 180
"""Degrees."""
CELL_DEGREES = 0.1
"""Height of a cell: about 11 km."""


def cell_of(point: Point) -> str:
    """The cell of a fixed, roughly square 11 km raster of the world that a point in WGS84 lies in.

    Patches of one cell are near each other, whichever scene they come from; those of one place always share it.
    """
    row = floor((point.y + 90) / CELL_DEGREES)
    middle = radians((row + 0.5) * CELL_DEGREES - 90)
    cells = max(1, ceil(360 / CELL_DEGREES * cos(middle)))
    column = floor((point.x + 180) % 360 / 360 * cells)
    return f"{row:04d}-{column:04d}"


def on_the_globe(outline: Polygon) -> BaseGeometry:
    """An outline in WGS84, as two polygons where it lies across the antimeridian and would seem to span the world."""
    left, _, right, _ = outline.bounds
    if right - left <= HALF_A_TURN:
        return outline
    unbroken = shapely.transform(outline, lambda points: points + (points[:, :1] < 0) * [2 * HALF_A_TURN, 0])
    west = unbroken.intersection(box(0, -90, HALF_A_TURN, 90))
    east = unbroken.intersection(box(HALF_A_TURN, -90, 2 * HALF_A_TURN, 90))
    moved = shapely.transform(east, lambda points: points - [2 * HALF_A_TURN, 0])
    return MultiPolygon([part for part in (west, moved) if isinstance(part, Polygon) and not part.is_empty])


def middle_of(outline: BaseGeometry) -> Point:
    """The middle of an outline, or of its larger part where it is in two."""
    parts = shapely.get_parts(outline)
    return Point(parts[shapely.area(parts).argmax()].centroid)
