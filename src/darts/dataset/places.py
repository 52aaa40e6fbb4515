"""Names for places on the ground, the same for every scene and date."""

from math import ceil, cos, floor, radians

from shapely.geometry import Point

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
