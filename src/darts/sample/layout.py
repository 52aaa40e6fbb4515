"""Where everything lies: grids, scenes, their names, dates and suns."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
from rasterio.transform import Affine
from shapely import Polygon, box

from darts.sample.noise import generator

UTM = "EPSG:32603"
TILE = "T03WXP"
WEST, NORTH = 620_000.0, 7_380_000.0
S2_RESOLUTION = 10.0
PLANET_RESOLUTION = 3.0
GAP = 24
"""Pixels between neighbouring Sentinel-2 scenes, so that no two scenes share a slump's pixels."""
MARGIN = 64
"""Pixels of simulated world around the scenes: clouds, terrain windows and coarser files reach beyond them."""


@dataclass(frozen=True)
class Grid:
    """A north-up pixel grid in UTM; edges and pixel size in metres."""

    west: float
    north: float
    resolution: float
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return self.height, self.width

    @property
    def transform(self) -> Affine:
        """Pixel to map coordinates, as rasterio wants it."""
        return Affine(self.resolution, 0, self.west, 0, -self.resolution, self.north)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north, metres."""
        east = self.west + self.width * self.resolution
        return self.west, self.north - self.height * self.resolution, east, self.north

    @property
    def outline(self) -> Polygon:
        """The border of the grid."""
        return box(*self.bounds)

    def centres(self) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
        """Map coordinates of the pixel centres: x (width,), y (height,), metres."""
        x = self.west + (np.arange(self.width) + 0.5) * self.resolution
        y = self.north - (np.arange(self.height) + 0.5) * self.resolution
        return x, y

    def window(self, bounds: tuple[float, float, float, float]) -> tuple[slice, slice]:
        """Rows and columns that cover the bounds (west, south, east, north), cut to the grid."""
        west, south, east, north = bounds
        top = max(0, int(np.floor((self.north - north) / self.resolution)))
        bottom = min(self.height, int(np.ceil((self.north - south) / self.resolution)))
        left = max(0, int(np.floor((west - self.west) / self.resolution)))
        right = min(self.width, int(np.ceil((east - self.west) / self.resolution)))
        return slice(top, max(top, bottom)), slice(left, max(left, right))

    def cut(self, rows: slice, columns: slice) -> "Grid":
        """The part of the grid inside a window."""
        west = self.west + columns.start * self.resolution
        north = self.north - rows.start * self.resolution
        return Grid(west, north, self.resolution, rows.stop - rows.start, columns.stop - columns.start)

    def refined(self, factor: int) -> "Grid":
        """The same area with `factor` times `factor` pixels for one."""
        return Grid(self.west, self.north, self.resolution / factor, self.height * factor, self.width * factor)

    def coarsened(self, factor: int) -> "Grid":
        """The same area with one pixel for `factor` times `factor`; height and width must be multiples."""
        return Grid(self.west, self.north, self.resolution * factor, self.height // factor, self.width // factor)


@dataclass(frozen=True)
class Sun:
    """Where the sun stands, degrees; azimuth clockwise from north."""

    azimuth: float
    elevation: float


@dataclass(frozen=True)
class Acquisition:
    """One scene to simulate."""

    name: str
    grid: Grid
    time: datetime
    sun: Sun


def scene_columns(scenes: int) -> int:
    """Scenes in a row of the layout: about twice as wide as high."""
    return int(np.ceil(np.sqrt(2 * scenes)))


def world_grid(scenes: int, size: int) -> Grid:
    """The grid of the simulated world, around all scenes."""
    columns = min(scene_columns(scenes), scenes)
    rows = int(np.ceil(scenes / columns))
    height, width = (n * (size + GAP) - GAP + 2 * MARGIN for n in (rows, columns))
    return Grid(WEST, NORTH, S2_RESOLUTION, height, width)


def sentinel2_acquisitions(seed: int, scenes: int, size: int) -> list[Acquisition]:
    """The Sentinel-2 scenes, row by row, each of its own date."""
    world = world_grid(scenes, size)
    columns = min(scene_columns(scenes), scenes)
    found = []
    for index in range(scenes):
        row, column = divmod(index, columns)
        top, left = (MARGIN + n * (size + GAP) for n in (row, column))
        grid = world.cut(slice(top, top + size), slice(left, left + size))
        found.append(_acquire(f"site-{index + 1:02d}", grid, generator(seed, "acquisition", index)))
    return found


def planet_acquisitions(seed: int, centres: list[tuple[float, float]], size: int) -> list[Acquisition]:
    """PlanetScope scenes of `size` pixels around the given points (x, y), snapped to the pixel size."""
    found = []
    for index, (x, y) in enumerate(centres):
        half = size * PLANET_RESOLUTION / 2
        west, north = (round(v / PLANET_RESOLUTION) * PLANET_RESOLUTION for v in (x - half, y + half))
        grid = Grid(west, north, PLANET_RESOLUTION, size, size)
        rng = generator(seed, "planet", index)
        acquisition = _acquire("", grid, rng)
        name = f"{acquisition.time:%Y%m%d_%H%M%S}_{rng.integers(10, 99)}_{rng.integers(0x1000, 0x2500):04x}"
        found.append(Acquisition(name, grid, acquisition.time, acquisition.sun))
    return found


def _acquire(name: str, grid: Grid, rng: np.random.Generator) -> Acquisition:
    start = datetime(2021, 7, 5, 22, 5, tzinfo=UTC)
    time = start + timedelta(days=int(rng.integers(0, 50)), seconds=int(rng.integers(0, 1800)))
    sun = Sun(azimuth=float(rng.uniform(165, 185)), elevation=float(rng.uniform(36, 45)))
    return Acquisition(name, grid, time, sun)
