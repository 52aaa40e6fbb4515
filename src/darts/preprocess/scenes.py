"""A scene: one acquisition on one grid, and what reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.transform import array_bounds
from rasterio.windows import Window
from rasterio.windows import transform as window_transform
from shapely.geometry import Polygon

INVALID, LOW, GOOD = 0, 1, 2
"""Quality of a pixel: no value; a value that is not to be learnt from (cloud, snow, ...); a value to learn from."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the pixels of a raster lie.

    Attributes
    ----------
    crs
        Coordinate reference system, projected or geographic.
    transform
        (column, row) of a pixel corner -> (x, y) in the units of `crs`.
    height, width
        In pixels.
    """

    crs: CRS
    transform: Affine
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def pixel_area(self) -> float:
        """Area of a pixel in squared units of `crs`."""
        return float(abs(self.transform.determinant))

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) in the units of `crs`."""
        left, bottom, right, top = array_bounds(self.height, self.width, self.transform)
        return left, bottom, right, top

    def outline(self, row: int = 0, column: int = 0, height: int | None = None, width: int | None = None) -> Polygon:
        """The outline of a window, by default of the whole grid, in the units of `crs`."""
        bottom = row + (self.height if height is None else height)
        right = column + (self.width if width is None else width)
        corners = [(column, row), (right, row), (right, bottom), (column, bottom)]
        return Polygon([apply(self.transform, *corner) for corner in corners])

    def part_around(self, bounds: tuple[float, float, float, float]) -> "Grid":
        """The pixels of this grid that touch a box (left, bottom, right, top) in the units of `crs`."""
        left, bottom, right, top = bounds
        corners = (left, top), (right, top), (right, bottom), (left, bottom)
        columns, rows = zip(*(apply(~self.transform, *corner) for corner in corners), strict=True)
        first_row, last_row = (int(np.clip(edge, 0, self.height)) for edge in (np.floor(min(rows)), np.ceil(max(rows))))
        first, last = (int(np.clip(edge, 0, self.width)) for edge in (np.floor(min(columns)), np.ceil(max(columns))))
        moved = window_transform(Window(first, first_row, 1, 1), self.transform)
        return Grid(self.crs, moved, last_row - first_row, last - first)


def apply(transform: Affine, x: float, y: float) -> tuple[float, float]:
    """The point that an affine transform takes (x, y) to."""
    a, b, c, d, e, f = transform[:6]
    return a * x + b * y + c, d * x + e * y + f


@dataclass(frozen=True, slots=True)
class Scene:
    """One acquisition, read into memory.

    Attributes
    ----------
    scene_id
        Unique in a dataset.
    date
        Day of acquisition, or None when it is not known.
    grid
        Where the pixels lie.
    bands
        Canonical name -> physical values, float32 (height, width), NaN where there is none.
    quality
        INVALID, LOW or GOOD, uint8 (height, width).
    """

    scene_id: str
    date: date | None
    grid: Grid
    bands: Mapping[str, np.ndarray]
    quality: np.ndarray


class SceneFiles(Protocol):
    """A scene as found on disk: all that can be said of it without reading its pixels."""

    @property
    def scene_id(self) -> str:
        """Unique in a dataset."""

    @property
    def folder(self) -> Path:
        """The folder of the scene; its name is the region where no administrative area is."""

    @property
    def date(self) -> date | None:
        """Day of acquisition."""

    @property
    def grid(self) -> Grid:
        """The grid that the scene will be read on."""

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Every file that is read for the scene."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of how this scene is read."""

    @property
    def facts(self) -> Mapping[str, str | int | float]:
        """What was decided from the files, for the record."""


Files = TypeVar("Files", bound=SceneFiles)


class SceneReader(Protocol[Files]):
    """Finds and reads the scenes of one sensor; picklable, since it is sent to other processes."""

    def find(self, bands: Sequence[str]) -> list[Files]:
        """The scenes that can give these bands, in an order that depends on their names alone.

        Raises
        ------
        SceneError
            When there is none, or one of them lacks a band or can't be used.
        """

    def read(self, files: Files, bands: Sequence[str]) -> Scene:
        """Read a scene with the given physical bands.

        Raises
        ------
        SceneError
            When a file is damaged.
        """
