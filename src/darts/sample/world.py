"""The simulated land: relief, water, ground and roads, as smooth fields on one grid."""

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
from rasterio.features import rasterize
from scipy import ndimage
from shapely import LineString

from darts.sample.layout import Grid
from darts.sample.noise import Field, generator, smoothstep, spectral_noise

FAR = 1000.0
"""Distances are cut at this many metres."""


@dataclass(frozen=True)
class Terrain:
    """Continuous fields over a grid, each float32 (height, width); cover classes are steps on them.

    Being continuous, they can be sampled at any resolution, and all sensors see the same land.
    """

    elevation: Field
    """Metres."""
    slope: Field
    """Degrees, of the relief smoothed over about 50 m."""
    moisture: Field
    """Standard deviations, wet is positive."""
    vigour: Field
    """Standard deviations, how well plants grow."""
    river: Field
    """Metres to the middle of the river."""
    bars: Field
    """Standard deviations; rivers leave sand where it is high."""
    lakes: Field
    """A lake where positive."""
    drybeds: Field
    """A drained lake bed where positive."""
    ridges: Field
    """A bare crest where positive."""
    blowouts: Field
    """A bare patch where positive."""
    roads: Field
    """Metres to the edge of a road or gravel pad."""
    soil: Field
    """Standard deviations, how dry and pale bare ground is."""
    grain: Field
    """Standard deviations, fine texture of the ground."""


def simulate_terrain(seed: int, grid: Grid) -> Terrain:
    """The land before any slump, on the world's grid."""

    def noise(name: str, roughness: float, longest: float, shortest: float = 2.0) -> Field:
        rng = generator(seed, "terrain", name)
        return spectral_noise(grid.shape, rng, roughness=roughness, longest=longest, shortest=shortest)

    river = _river_distance(noise("river", 6.0, 160, 20), grid.resolution)
    relief = 38 * noise("relief", 4.2, 110, 6) + 1.2 * noise("knolls", 3.0, 14, 3)
    elevation = _carved_by_rivers(relief + 140, river)
    slope = slope_degrees(ndimage.gaussian_filter(elevation, 2.0), grid.resolution)
    crests = elevation - ndimage.gaussian_filter(elevation, 14.0)
    crests /= crests.std()
    plain = smoothstep(ndimage.gaussian_filter(slope, 5.0), 5.0, 1.5)
    on_land = smoothstep(river, 60, 200)
    return Terrain(
        elevation=elevation,
        slope=slope,
        moisture=(0.7 * noise("moisture", 3.2, 60, 3) - 0.7 * crests).astype(np.float32),
        vigour=noise("vigour", 2.8, 80, 2),
        river=river,
        bars=noise("bars", 3.0, 30, 4),
        lakes=noise("lakes", 4.0, 34, 6) - 2.3 + 1.7 * plain * on_land,
        drybeds=noise("drybeds", 4.0, 30, 6) - 2.9 + 1.7 * plain * on_land,
        ridges=crests + 0.5 * noise("ridges", 4.0, 20, 5) - 1.9,
        blowouts=noise("blowouts", 5.0, 13, 7) - 1.75 - 0.8 * (1 - on_land),
        roads=_road_distance(seed, grid),
        soil=noise("soil", 3.0, 26, 2),
        grain=noise("grain", 1.6, 8, 1.0),
    )


def sample_terrain(terrain: Terrain, source: Grid, target: Grid) -> Terrain:
    """The fields at the pixel centres of another grid that lies inside the source grid."""
    x, y = target.centres()
    columns = (x - source.west) / source.resolution - 0.5
    rows = (source.north - y) / source.resolution - 0.5
    top, left = max(0, int(rows[0]) - 4), max(0, int(columns[0]) - 4)
    part = slice(top, int(rows[-1]) + 6), slice(left, int(columns[-1]) + 6)
    order = 1 if target.resolution == source.resolution else 3
    at = np.meshgrid(rows - top, columns - left, indexing="ij")
    sampled = {
        field.name: ndimage.map_coordinates(getattr(terrain, field.name)[part], at, order=order, mode="nearest")
        for field in fields(terrain)
    }
    return replace(terrain, **sampled)


def slope_degrees(elevation: Field, resolution: float) -> Field:
    """Slope of a surface with square pixels, degrees, float32 (height, width)."""
    dy, dx = np.gradient(elevation, resolution)
    return np.asarray(np.degrees(np.arctan(np.hypot(dx, dy))), dtype=np.float32)


def _river_distance(winding: Field, resolution: float) -> Field:
    """Metres to the curve along which a smooth field is zero: the field divided by its gradient."""
    dy, dx = np.gradient(winding, resolution)
    distance = np.abs(winding) / np.maximum(np.hypot(dx, dy), 2e-4)
    return np.asarray(np.minimum(distance, FAR), dtype=np.float32)


def _carved_by_rivers(relief: Field, river: Field) -> Field:
    """Lower the land beside the river into a valley with a flat floor, metres."""
    floor = ndimage.gaussian_filter(relief, 40.0) - 22
    valley = np.exp(-((river / 260) ** 2))
    return np.asarray((relief * (1 - valley) + floor * valley), dtype=np.float32)


def _road_distance(seed: int, grid: Grid) -> Field:
    """Metres to the nearest road or pad, 0 on them."""
    rng = generator(seed, "roads")
    length = grid.width * grid.resolution
    lines = [_winding_road(rng, grid) for _ in range(2)]
    pads = [_pad(line, rng) for line in lines for _ in range(max(2, int(length / 1800)))]
    fine = grid.refined(2)
    burnt = rasterize([line.buffer(6.0) for line in lines] + pads, out_shape=fine.shape, transform=fine.transform)
    distance = ndimage.distance_transform_edt(burnt == 0) * fine.resolution
    coarse = distance.reshape(grid.height, 2, grid.width, 2).mean(axis=(1, 3))
    return np.asarray(np.minimum(coarse, FAR), dtype=np.float32)


def _winding_road(rng: np.random.Generator, grid: Grid) -> LineString:
    """A road from the west to the east edge of the world."""
    west, south, east, north = grid.bounds
    x = np.linspace(west - 100, east + 100, 200)
    waves: npt.NDArray[np.float64] = np.zeros_like(x)
    for wavelength in (9000, 4000, 1700):
        waves += 0.05 * wavelength * rng.uniform(0.4, 1) * np.sin(2 * np.pi * (x / wavelength + rng.random()))
    middle = south + (north - south) * rng.uniform(0.25, 0.75)
    return LineString(np.column_stack([x, middle + waves]))


def _pad(road: LineString, rng: np.random.Generator) -> LineString:
    """A gravel pad beside a road: a short, very wide piece of road with square ends."""
    at = road.interpolate(rng.random(), normalized=True)
    length, width, turn = rng.uniform(60, 140), rng.uniform(30, 55), rng.uniform(0, np.pi)
    dx, dy = length / 2 * np.cos(turn), length / 2 * np.sin(turn)
    return LineString([(at.x - dx, at.y - dy), (at.x + dx, at.y + dy)]).buffer(width, cap_style="flat")
