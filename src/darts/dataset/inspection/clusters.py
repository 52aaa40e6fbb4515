"""Where patches lie: places that are far from each other, each with a flat map of its own."""

from collections.abc import Iterator
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely

from darts.core.seeds import derive_seed

MOST_CLUSTERS = 16
MOST_OUTLINES = 5000
"""So many outlines are drawn in all; of more patches, a part."""

_EARTH_RADIUS_KM = 6371.0
_KM_PER_DEGREE = np.pi * _EARTH_RADIUS_KM / 180
_HALF_ROUND_KM = np.pi * _EARTH_RADIUS_KM
# Patches nearer than so many of their widths are of one place; further apart, they would be dots on its map.
_NEAR = 8
_FEWEST_OF_A_CLUSTER = 100


@dataclass(frozen=True, slots=True, eq=False)
class Cluster:
    """Patches near each other, and their outlines on a flat map.

    Attributes
    ----------
    rows
        All patches of the place.
    outlined
        Those whose outlines are given, in order.
    outlines
        Of each of them: float64 (n, 2), kilometres to the east and to the south of the centre.
    longitude, latitude
        Of the centre, in degrees.
    width
        Greater side of the area that the outlines take, in kilometres.
    """

    rows: np.ndarray
    outlined: np.ndarray
    outlines: tuple[np.ndarray, ...]
    longitude: float
    latitude: float
    width: float


@dataclass(frozen=True, slots=True, eq=False)
class _Vertices:
    """Corners of the hulls of patches: owner (position of the patch), longitude and latitude in degrees, unit vector."""

    owner: np.ndarray
    degrees: np.ndarray
    vector: np.ndarray


def find_clusters(patches: gpd.GeoDataFrame, most_outlines: int = MOST_OUTLINES) -> list[Cluster]:
    """Group patches by where they lie; the place with most patches comes first.

    Patches belong to one place when a chain of others, with gaps below eight patch widths, joins them; the gap is doubled
    until there are at most 16 places. Patches without an outline are left out.

    Parameters
    ----------
    patches
        With outlines in WGS84.
    most_outlines
        If there are more patches, each place gets its share of this number, drawn at random with a fixed seed.
    """
    vertices = _vertices(patches)
    if not len(vertices.owner):
        return []
    owners, centres = _centres(vertices)
    labels = _labels(centres, _typical_width(vertices, owners, centres))
    clusters = [
        _cluster_of(owners[labels == label], vertices, most_outlines / len(owners)) for label in np.unique(labels)
    ]
    return sorted(clusters, key=lambda cluster: (-len(cluster.rows), cluster.rows[0]))


def _vertices(patches: gpd.GeoDataFrame) -> _Vertices:
    hulls = shapely.convex_hull(patches.geometry.to_numpy())
    degrees, owner = shapely.get_coordinates(hulls, return_index=True)
    on_earth = (np.abs(degrees) <= (360, 90)).all(axis=1)  # also false for what is not finite
    whole = np.isin(owner, owner[~on_earth], invert=True)
    longitude, latitude = np.radians(degrees[whole]).T
    flat = np.cos(latitude)
    vector = np.stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)], axis=1)
    return _Vertices(owner[whole], degrees[whole], vector)


def _centres(vertices: _Vertices) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the patches that have an outline, and their centres as unit vectors."""
    owners, position = np.unique(vertices.owner, return_inverse=True)
    sums = np.stack([np.bincount(position, axis) for axis in vertices.vector.T], axis=1)
    return owners, sums / np.linalg.norm(sums, axis=1, keepdims=True)


def _typical_width(vertices: _Vertices, owners: np.ndarray, centres: np.ndarray) -> float:
    """About the diagonal of a patch, in kilometres."""
    own_centre = centres[np.searchsorted(owners, vertices.owner)]
    reach = np.linalg.norm(vertices.vector - own_centre, axis=1) * _EARTH_RADIUS_KM
    return float(max(2 * np.median(reach), 0.1))


def _labels(centres: np.ndarray, width: float) -> np.ndarray:
    """A label for each centre; int (patches,)."""
    from sklearn.cluster import DBSCAN  # slow to import

    gap = _NEAR * width
    while True:
        # Centres are first brought to the cells of a grid, so that many patches in one place cost little.
        cell = gap / 4 / _EARTH_RADIUS_KM
        cells, position = np.unique(np.floor(centres / cell), axis=0, return_inverse=True)
        labels = DBSCAN(eps=4.0, min_samples=1).fit_predict(cells)
        if labels.max() < MOST_CLUSTERS or gap > _HALF_ROUND_KM:
            return np.asarray(labels[position.ravel()])
        gap *= 2


def _cluster_of(owners: np.ndarray, vertices: _Vertices, share: float) -> Cluster:
    outlined = _thinned(owners, share)
    here = np.isin(vertices.owner, outlined)
    longitude, latitude = _middle(vertices.vector[here])
    flat = _flat(vertices.degrees[here], longitude, latitude)
    low, high = flat.min(axis=0), flat.max(axis=0)
    east, south = (low + high) / 2
    latitude -= south / _KM_PER_DEGREE
    longitude += east / _KM_PER_DEGREE / max(np.cos(np.radians(latitude)), 1e-6)
    outlines = tuple(_of_each(flat - (east, south), vertices.owner[here]))
    return Cluster(owners, outlined, outlines, (longitude + 180) % 360 - 180, latitude, float((high - low).max()))


def _thinned(owners: np.ndarray, share: float) -> np.ndarray:
    if share >= 1:
        return owners
    count = min(max(round(share * len(owners)), _FEWEST_OF_A_CLUSTER), len(owners))
    random = np.random.default_rng(derive_seed("outlines", len(owners)))
    return np.sort(random.choice(owners, count, replace=False))


def _middle(vectors: np.ndarray) -> tuple[float, float]:
    """Longitude and latitude, in degrees, of the mean direction."""
    x, y, z = vectors.mean(axis=0)
    return float(np.degrees(np.arctan2(y, x))), float(np.degrees(np.arctan2(z, np.hypot(x, y))))


def _flat(degrees: np.ndarray, longitude: float, latitude: float) -> np.ndarray:
    """Kilometres to the east and south of a point, by the equirectangular projection; also across the antimeridian."""
    east = (degrees[:, 0] - longitude + 180) % 360 - 180
    return np.stack([east * np.cos(np.radians(latitude)), latitude - degrees[:, 1]], axis=1) * _KM_PER_DEGREE


def _of_each(flat: np.ndarray, owner: np.ndarray) -> Iterator[np.ndarray]:
    """The vertices of each patch; those of one patch follow each other."""
    yield from np.split(flat, np.flatnonzero(np.diff(owner)) + 1)
