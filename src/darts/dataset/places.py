"""Places on the ground: names for them, and which patches share ground or lie near each other."""

from collections.abc import Callable, Iterator
from math import ceil, cos, floor, radians
from typing import Any

import numpy as np
import pandas as pd
import shapely
from shapely.geometry import MultiPolygon, Point, Polygon, box
from shapely.geometry.base import BaseGeometry

HALF_A_TURN = 180
"""Degrees."""
CELL_DEGREES = 0.1
"""Height of a cell: about 11 km."""
KM_PER_DEGREE = 111.32
"""Length of a degree of latitude."""

_HIGHEST_LATITUDE = 89.0
_QUERIED_AT_ONCE = 4096
_TINY = np.finfo(float).tiny

Outlines = np.ndarray[Any, np.dtype[np.object_]]
"""Outlines in WGS84, shape (n,); None where there is none."""


def cell_of(point: Point, degrees: float = CELL_DEGREES) -> str:
    """The cell of a fixed raster of the world that a point in WGS84 lies in; cells are roughly square.

    Patches of one cell are near each other, whichever scene they come from; those of one place always share it.

    Parameters
    ----------
    degrees
        Height of a cell.
    """
    row = floor((point.y + 90) / degrees)
    middle = radians((row + 0.5) * degrees - 90)
    cells = max(1, ceil(360 / degrees * cos(middle)))
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
    parts = [part for half in (west, moved) for part in shapely.get_parts(half)]
    return MultiPolygon([part for part in parts if isinstance(part, Polygon) and not part.is_empty])


def middle_of(outline: BaseGeometry) -> Point:
    """The middle of an outline, or of its larger part where it is in two."""
    parts = shapely.get_parts(outline)
    return Point(parts[shapely.area(parts).argmax()].centroid)


def outlines_of(metadata: pd.DataFrame) -> Outlines:
    """The outline of each patch, None where it has no place on the ground."""
    if "geometry" not in metadata.columns:
        return np.full(len(metadata), None, dtype=object)
    found = np.array(metadata["geometry"], dtype=object)
    found[~shapely.is_geometry(found)] = None  # what pandas says where there is none
    found[shapely.is_empty(found)] = None
    return found


def overlapping(outlines: Outlines, others: Outlines, least_share: float) -> np.ndarray:
    """Which outlines share ground with one of the others.

    Parameters
    ----------
    outlines, others
        Shape (n,) and (m,); None shares no ground.
    least_share
        Two outlines share ground if what is common to them is more than this share of the smaller one. Areas are measured
        in degrees, where a place stretches both alike.

    Returns
    -------
    bool, shape (n,).
    """
    mine, which = _distinct(outlines)
    theirs, _ = _distinct(others)
    found = np.zeros(len(mine) + 1, dtype=bool)  # the last stands for no place
    for block in _near_pairs(mine, theirs, least_share):
        for left, right in _rounds(block, lambda pairs: found[pairs[0]]):
            found[left] = _share_ground(mine[left], theirs[right], least_share)
    return found[which]


def joined_by_overlap(outlines: Outlines, labels: np.ndarray, least_share: float) -> np.ndarray:
    """Labels that are equal where patches have the same label or share ground, directly or by others.

    Parameters
    ----------
    outlines
        Shape (n,).
    labels
        Numbers from 0, shape (n,).
    least_share
        As of `overlapping`.

    Returns
    -------
    int, shape (n,): the connected components, numbered from 0.
    """
    distinct, which = _distinct(outlines)
    count, placed = int(labels.max(initial=-1)) + 1, which >= 0
    component = _components(count + len(distinct), labels[placed], count + which[placed])
    for block in _near_pairs(distinct, distinct, least_share):
        for left, right in _rounds(block, lambda pairs: np.equal(*component[count + pairs])):
            shared = _share_ground(distinct[left], distinct[right], least_share)
            ends = component[count + left[shared]], component[count + right[shared]]
            component[:] = _components(len(component), *ends)[component]
    return np.unique(component[labels], return_inverse=True)[1]


def near(outlines: Outlines, others: Outlines, km: float) -> np.ndarray:
    """Which outlines have a bounding box within this distance of that of one of the others, also across the antimeridian.

    A box is grown by the distance to all sides, in longitude by as much as it needs at its end that is nearer to a pole.

    Returns
    -------
    bool, shape (n,).
    """
    mine, which = _distinct(outlines)
    theirs, _ = _distinct(others)
    parts, owner = shapely.get_parts(mine, return_index=True)
    tree = shapely.STRtree(shapely.box(*shapely.bounds(parts).T))
    found = np.zeros(len(mine) + 1, dtype=bool)
    for some in _in_turn(_grown(shapely.bounds(shapely.get_parts(theirs)), km)):
        for turn in (-2 * HALF_A_TURN, 0, 2 * HALF_A_TURN):
            moved = shapely.box(*(some + np.array([turn, 0, turn, 0])).T)
            found[owner[tree.query(moved)[1]]] = True
    return found[which]


def _grown(bounds: np.ndarray, km: float) -> np.ndarray:
    up = km / KM_PER_DEGREE
    latitude = np.minimum(np.abs(bounds[:, [1, 3]]).max(axis=1, initial=0) + up, _HIGHEST_LATITUDE)
    aside = np.minimum(up / np.cos(np.radians(latitude)), HALF_A_TURN)
    return bounds + np.stack([-aside, np.full_like(aside, -up), aside, np.full_like(aside, up)], axis=1)


def _distinct(outlines: Outlines) -> tuple[Outlines, np.ndarray]:
    """The outlines that differ, sound and in two where they cross the antimeridian; and which of them each one is.

    Scenes of one place often have the very same patches, each of which needs to be looked at only once; -1 is no place.
    """
    which, _ = pd.factorize(shapely.to_wkb(outlines))
    places = np.empty(which.max(initial=-1) + 1, dtype=object)
    places[which[which >= 0]] = outlines[which >= 0]
    left, _, right, _ = shapely.bounds(places).T
    for index in np.flatnonzero((right - left > HALF_A_TURN) & (shapely.get_num_geometries(places) == 1)):
        places[index] = on_the_globe(shapely.get_geometry(places[index], 0))
    return shapely.make_valid(places), which


def _near_pairs(mine: Outlines, theirs: Outlines, least_share: float) -> Iterator[np.ndarray]:
    """Pairs that may share ground by their bounding boxes, the likeliest first, in blocks that fit into memory.

    A block is an int array (2, n) of places in `mine` and in `theirs`. Where both are the same, each pair comes once.
    """
    my_parts, me = shapely.get_parts(mine, return_index=True)
    their_parts, they = shapely.get_parts(theirs, return_index=True)
    my_bounds, their_bounds, tree = shapely.bounds(my_parts), shapely.bounds(their_parts), shapely.STRtree(their_parts)
    my_area, their_area = shapely.area(mine)[me], shapely.area(theirs)[they]
    for some in _in_turn(np.arange(len(my_parts))):
        i, j = tree.query(my_parts[some])
        i = some[i]
        if mine is theirs:
            i, j = i[me[i] < they[j]], j[me[i] < they[j]]
        smaller = np.minimum(my_area[i], their_area[j]).clip(min=_TINY)
        share = _common_box(my_bounds[i], their_bounds[j]) / smaller
        order = np.argsort(-share, kind="stable")
        # An outline has at most two parts, either of which may hold half of what is shared.
        order = order[share[order] > least_share / 2]
        yield np.stack([me[i[order]], they[j[order]]])


def _rounds(pairs: np.ndarray, are_decided: Callable[[np.ndarray], np.ndarray]) -> Iterator[np.ndarray]:
    """Pairs (2, n) in rounds: in each, the likeliest of each left outline of those that aren't decided by now."""
    while pairs.shape[1]:
        now = np.unique(pairs[0], return_index=True)[1]
        yield pairs[:, now]
        pairs = np.delete(pairs, now, axis=1)
        pairs = pairs[:, ~are_decided(pairs)]


def _common_box(bounds: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Areas that bounding boxes (n, 4) have in common."""
    sides = np.minimum(bounds[:, 2:], others[:, 2:]) - np.maximum(bounds[:, :2], others[:, :2])
    return sides.clip(min=0).prod(axis=1)


def _share_ground(outlines: Outlines, others: Outlines, least_share: float) -> np.ndarray:
    common = shapely.area(shapely.intersection(outlines, others))
    return common > least_share * np.minimum(shapely.area(outlines), shapely.area(others))


def _components(count: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Of each of `count` nodes, the number of its connected component; left and right are the ends of the edges."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(count, count))
    return np.asarray(connected_components(edges, directed=False)[1])


def _in_turn(items: np.ndarray) -> Iterator[np.ndarray]:
    """Items in blocks."""
    for start in range(0, len(items), _QUERIED_AT_ONCE):
        yield items[start : start + _QUERIED_AT_ONCE]
