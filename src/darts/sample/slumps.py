"""Thaw slumps: where they form, and their outlines, which are the truth."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rasterio.features import rasterize
from scipy import ndimage
from shapely import Polygon
from shapely.affinity import affine_transform

from darts.core.seeds import derive_seed
from darts.sample.layout import Grid
from darts.sample.noise import Field, generator, smoothstep
from darts.sample.world import Terrain

TARGET_SHARE = 0.065
"""Share of the land that slumps cover."""
SHORTEST, LONGEST = 130.0, 340.0
"""Length of a slump from headwall to toe, metres."""
APART = 40.0
"""Metres that no slump comes nearer to another."""


@dataclass(frozen=True)
class Slump:
    """A slump: its outline and the frame in which it is painted."""

    polygon: Polygon
    """Outline in map coordinates, metres."""
    head: tuple[float, float]
    """Map coordinates of the middle of the headwall."""
    downslope: tuple[float, float]
    """Unit vector (x, y) from headwall to toe."""
    length: float
    """Metres from headwall to toe."""
    half_width: float
    """Metres from the axis to the widest point."""
    dryness: float
    """0 is wet dark mud, 1 is dry pale ground."""
    regrowth: float
    """0 is all bare, 1 is half covered with plants again."""
    number: int
    """Counts the slumps."""
    texture: int
    """Seeds the stripes and the plants."""

    def local(
        self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Position in the frame: u from 0 at the headwall to 1 at the toe, v from -1 to 1 across."""
        dx, dy = x - self.head[0], y - self.head[1]
        ax, ay = self.downslope
        return (dx * ax + dy * ay) / self.length, (dy * ax - dx * ay) / self.half_width


def place_slumps(seed: int, terrain: Terrain, grid: Grid) -> tuple[Slump, ...]:
    """Slumps on the slopes of the world, apart from each other, from water and from roads."""
    rng = generator(seed, "slumps")
    suitable = _suitability(terrain)
    downhill = _downhill(terrain.elevation)
    free = suitable > 0
    wanted = TARGET_SHARE * free.size * grid.resolution**2
    placed: list[Slump] = []
    area = 0.0
    for row, column in _candidates(suitable, rng):
        if area >= wanted:
            break
        if not free[row, column]:
            continue
        middle = (grid.west + column * grid.resolution, grid.north - row * grid.resolution)
        direction = downhill[row, column] + rng.normal(0, 0.25)
        slump = make_slump(rng, middle, direction, len(placed), derive_seed(seed, "texture", len(placed)))
        if _fits(free, slump, grid):
            _claim(free, slump, grid)
            placed.append(slump)
            area += slump.polygon.area
    return tuple(placed)


def _downhill(elevation: Field) -> Field:
    """The direction in which the land falls, radians from east towards north, float32 (height, width)."""
    southward, eastward = np.gradient(ndimage.gaussian_filter(elevation, 4.0))
    return np.asarray(np.arctan2(southward, -eastward), dtype=np.float32)


def make_slump(
    rng: np.random.Generator, middle: tuple[float, float], direction: float, number: int, texture: int
) -> Slump:
    """A slump of random size and outline around a point, sliding towards `direction` (radians from east)."""
    length = float(np.exp(rng.uniform(np.log(SHORTEST), np.log(LONGEST))))
    half_width = length * float(rng.uniform(0.3, 0.48))
    ax, ay = float(np.cos(direction)), float(np.sin(direction))
    head = (middle[0] - ax * length / 2, middle[1] - ay * length / 2)
    outline = affine_transform(
        _outline(rng), [length * ax, -half_width * ay, length * ay, half_width * ax, head[0], head[1]]
    )
    dryness, regrowth = float(rng.uniform(0.1, 0.8)), float(rng.beta(1.5, 3))
    return Slump(outline, head, (ax, ay), length, half_width, dryness, regrowth, number, texture)


def _outline(rng: np.random.Generator) -> Polygon:
    """A horseshoe or teardrop in the slump's own frame, u in [0, 1], v in about [-1, 1]."""
    u = (1 - np.cos(np.linspace(0, np.pi, 60))) / 2
    rounding, taper = rng.uniform(0.3, 0.5), rng.uniform(0.4, 1.3)
    profile = u**rounding * (1 - u) ** taper
    profile /= profile.max()
    left, right = (profile * _wobble(u, rng) for _ in range(2))
    sides = np.concatenate([left, -right[::-1]])
    along = np.concatenate([u, u[::-1]])
    # lobes where the headwall eats into the slope
    lobes = 0.05 * rng.random() * np.sin(np.pi * rng.uniform(1.5, 3.5) * sides + rng.uniform(0, 2 * np.pi))
    along = along + lobes * np.clip(1 - 2 * along, 0, 1)
    polygon = Polygon(np.column_stack([along, sides])).buffer(0)
    return polygon if polygon.geom_type == "Polygon" else max(polygon.geoms, key=lambda part: part.area)


def _wobble(u: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A factor around 1 that wanders along one side."""
    wave = np.ones_like(u)
    for frequency in (1, 2, 3, 5, 8):
        wave += 0.18 / frequency * rng.normal() * np.sin(2 * np.pi * (frequency * u / 2 + rng.random()))
    return np.clip(wave, 0.45, 1.5)


def _suitability(terrain: Terrain) -> Field:
    """How likely a slump starts, 0 to 1, float32 (height, width)."""
    dry = (terrain.river > 160) & (terrain.lakes < -0.25) & (terrain.drybeds < -0.15)
    clear = (terrain.roads > 40) & (terrain.ridges < 0.1)
    return smoothstep(terrain.slope, 1.5, 6.0) * (dry & clear)


def _candidates(suitable: Field, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Pixels (row, column) in random order, drawn as often as they are suitable, int64 (n, 2)."""
    weights = np.cumsum(suitable, dtype=np.float64)
    drawn = np.searchsorted(weights, rng.random(suitable.size // 250) * weights[-1])
    rows, columns = np.unravel_index(np.minimum(drawn, suitable.size - 1), suitable.shape)
    return np.column_stack([rows, columns])


def _fits(free: npt.NDArray[np.bool_], slump: Slump, grid: Grid) -> bool:
    """Whether the land of a slump is free, judged by its outline and two smaller ones inside."""
    outline = np.asarray(slump.polygon.exterior.coords)
    middle = outline.mean(axis=0)
    points = np.concatenate([middle + scale * (outline - middle) for scale in (1.0, 0.66, 0.33)])
    columns = np.floor((points[:, 0] - grid.west) / grid.resolution).astype(int)
    rows = np.floor((grid.north - points[:, 1]) / grid.resolution).astype(int)
    if min(columns.min(), rows.min()) < 0 or columns.max() >= grid.width or rows.max() >= grid.height:
        return False
    return bool(free[rows, columns].all())


def _claim(free: npt.NDArray[np.bool_], slump: Slump, grid: Grid) -> None:
    """Take the land of a slump and some around it."""
    wide = slump.polygon.buffer(APART)
    window = grid.window(wide.bounds)
    part = grid.cut(*window)
    burnt = rasterize([wide], out_shape=part.shape, transform=part.transform, all_touched=True)
    free[window][burnt == 1] = False
