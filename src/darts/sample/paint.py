"""Painting slumps: their polygons become pixels, so that the labels are exact."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.features import rasterize
from scipy.spatial import KDTree

from darts.sample.cover import Reflectance, illumination, land_reflectance, soil_reflectance
from darts.sample.layout import Grid, Sun
from darts.sample.noise import Field, generator, smoothstep, spectral_noise
from darts.sample.slumps import Slump
from darts.sample.world import Terrain, sample_terrain

FINENESS = 3
"""Slumps are painted on pixels this many times smaller, then averaged."""
HEADWALL = 16.0
"""Width of the headwall, metres."""
DEPTH = 3.5
"""How deep a slump cuts into the land below its headwall, metres."""


@dataclass(frozen=True)
class Stamp:
    """A slump on the pixels of a grid."""

    window: tuple[slice, slice]
    """Rows and columns of the grid."""
    coverage: Field
    """Share of each pixel inside the polygon, 0 to 1: the truth."""
    opacity: Field
    """Share of each pixel that is bare, 0 to `coverage`."""
    soil: Reflectance
    """Reflectance of the bare share."""
    depth: Field
    """Metres of land gone."""


@dataclass(frozen=True)
class Land:
    """The ground as a perfect sensor would see it."""

    reflectance: Reflectance
    """float32 (4, height, width)."""
    coverage: Field
    """Share of each pixel inside a slump, 0 to 1: the truth."""


def paint_land(terrain: Terrain, world: Grid, slumps: tuple[Slump, ...], target: Grid, sun: Sun) -> Land:
    """Sample the land on a grid, paint the slumps into it, and light it."""
    rng = generator("texture", f"{target.west} {target.north} {target.resolution}")
    texture = 1 + 0.035 * spectral_noise(target.shape, rng, roughness=1.8, longest=10, shortest=0.7)
    local = sample_terrain(terrain, world, target)
    reflectance = land_reflectance(local)
    coverage = np.zeros(target.shape, dtype=np.float32)
    for slump in slumps:
        stamp = stamp_slump(slump, target)
        if stamp is None:
            continue
        rows, columns = stamp.window
        under = reflectance[:, rows, columns]
        under += stamp.opacity * (stamp.soil - under)
        coverage[rows, columns] = np.maximum(coverage[rows, columns], stamp.coverage)
    light = texture * illumination(local.elevation, target.resolution, sun)
    return Land(reflectance * light, coverage)


def carve(terrain: Terrain, grid: Grid, slumps: tuple[Slump, ...]) -> Terrain:
    """Take the land that the slumps have lost out of the elevation, and bare patches from under them."""
    elevation, blowouts = terrain.elevation.copy(), terrain.blowouts.copy()
    for slump in slumps:
        stamp = stamp_slump(slump, grid)
        if stamp is not None:
            elevation[stamp.window] -= stamp.depth
            blowouts[stamp.window] -= 3 * stamp.coverage
    return replace(terrain, elevation=elevation, blowouts=blowouts)


def stamp_slump(slump: Slump, grid: Grid) -> Stamp | None:
    """Paint one slump, or return None where it lies outside the grid."""
    window = grid.window(slump.polygon.bounds)
    part = grid.cut(*window)
    if part.height == 0 or part.width == 0:
        return None
    fine = part.refined(FINENESS)
    inside = _inside(slump, fine)
    u, v = slump.local(*np.meshgrid(*fine.centres()))
    edge = _metres_to_edge(slump, fine)
    bare = inside * (1 - _plants(slump, u, v))
    soil = soil_reflectance(_dryness(slump, u, v, edge))
    opacity = _average(bare)
    weighted = _average(soil * bare) / np.maximum(opacity, 1e-6)
    depth = DEPTH * inside * smoothstep(edge, 0, 12) * np.clip(1 - u, 0, 1)
    return Stamp(window, _average(inside), opacity, weighted.astype(np.float32), _average(depth))


def _inside(slump: Slump, grid: Grid) -> Field:
    burnt = rasterize([slump.polygon], out_shape=grid.shape, transform=grid.transform, dtype="uint8")
    return np.asarray(burnt, dtype=np.float32)


def _metres_to_edge(slump: Slump, grid: Grid) -> Field:
    """Distance inwards from the outline, metres; where the grid cuts through the slump is no outline."""
    x, y = np.meshgrid(*grid.centres())
    outline = shapely.segmentize(slump.polygon.exterior, grid.resolution)
    nearest, _ = KDTree(np.asarray(outline.coords)).query(np.stack([x, y], axis=-1))
    return np.asarray(nearest, dtype=np.float32)


def _dryness(slump: Slump, u: npt.NDArray[np.float64], v: npt.NDArray[np.float64], edge: Field) -> Field:
    """Dryness of the ground: a pale headwall, its shadow, and dark mud flowing away in stripes."""
    near_head = smoothstep(u, 0.62, 0.38)
    headwall = near_head * smoothstep(edge, HEADWALL + 4, HEADWALL - 4)
    shadow = near_head * smoothstep(edge, HEADWALL - 2, HEADWALL + 6) * smoothstep(edge, HEADWALL + 30, HEADWALL + 16)
    dryness = slump.dryness + 0.30 * _stripes(slump, u, v) - 0.10 * smoothstep(u, 0.5, 1.0)
    dryness = dryness * (1 - headwall) + (slump.dryness + 0.55) * headwall
    return np.asarray((dryness - 0.45 * shadow), dtype=np.float32)


def _stripes(slump: Slump, u: npt.NDArray[np.float64], v: npt.NDArray[np.float64]) -> Field:
    """Mudflow stripes that run down the slump and draw together at its toe, about -1 to 1."""
    rng = generator("stripes", slump.texture)
    spread = v * slump.half_width * (1 + 0.5 * np.clip(u, 0, 1))
    along = u * slump.length
    waves = np.zeros_like(u)
    for wavelength in rng.uniform(28, 60, 4):
        bend = rng.uniform(0.1, 0.4) * np.sin(2 * np.pi * (along / rng.uniform(90, 220) + rng.random()))
        waves += np.sin(2 * np.pi * (spread / wavelength + bend + rng.random()))
    return np.asarray(np.tanh(waves), dtype=np.float32)


def _plants(slump: Slump, u: npt.NDArray[np.float64], v: npt.NDArray[np.float64]) -> Field:
    """Share of plants: islands that grow back from the toe upwards, 0 to 0.9."""
    rng = generator("plants", slump.texture)
    x, y = u * slump.length, v * slump.half_width
    waves = np.zeros_like(u)
    for wavelength in (110, 80, 60, 45, 34, 26, 20):
        turn = rng.uniform(0, 2 * np.pi)
        phase = (x * np.cos(turn) + y * np.sin(turn)) / wavelength + rng.random()
        waves += (wavelength / 60) ** 0.7 * np.sin(2 * np.pi * phase + 0.8 * waves)
    level = waves / 2 + 1.6 * (u - 0.5)
    threshold = 1.9 - 2.0 * slump.regrowth
    return 0.9 * smoothstep(level, threshold, threshold + 0.6)


def _average(fine: npt.NDArray[np.floating]) -> Field:
    """The mean of each block of FINENESS x FINENESS pixels, float32 (..., height, width)."""
    *lead, height, width = fine.shape
    blocks = fine.reshape(*lead, height // FINENESS, FINENESS, width // FINENESS, FINENESS)
    return np.asarray(blocks.mean(axis=(-3, -1)), dtype=np.float32)
