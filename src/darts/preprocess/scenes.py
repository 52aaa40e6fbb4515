"""A scene: one acquisition on one grid, and what reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.transform import array_bounds
from rasterio.windows import Window
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

    def rows(self, block: "Block") -> "Grid":
        """The grid of some rows; they may reach beyond this grid."""
        return self.window(Window(0, block.start, self.width, block.height))

    def buffered(self, pixels: int) -> "Grid":
        """The grid with so many more pixels on each side."""
        return self.window(Window(-pixels, -pixels, self.width + 2 * pixels, self.height + 2 * pixels))

    def window(self, window: Window) -> "Grid":
        """The grid of a window of whole pixels."""
        x, y = apply(self.transform, window.col_off, window.row_off)
        moved = Affine(self.transform.a, self.transform.b, x, self.transform.d, self.transform.e, y)
        return Grid(self.crs, moved, int(window.height), int(window.width))

    def window_around(self, bounds: tuple[float, float, float, float]) -> tuple[slice, slice]:
        """Rows and columns of the pixels that touch a box (left, bottom, right, top) in the units of `crs`."""
        left, bottom, right, top = bounds
        corners = (left, top), (right, top), (right, bottom), (left, bottom)
        columns, rows = zip(*(apply(~self.transform, *corner) for corner in corners), strict=True)
        return _touched(rows, self.height), _touched(columns, self.width)


def _touched(edges: tuple[float, ...], length: int) -> slice:
    """The pixels of an axis between the lowest and the highest of some places."""
    first, last = np.clip([np.floor(min(edges)), np.ceil(max(edges))], 0, length)
    return slice(int(first), int(last))


@dataclass(frozen=True, slots=True)
class Block:
    """Whole rows of a scene, from `start` up to, not including, `stop`."""

    start: int
    stop: int

    @property
    def height(self) -> int:
        """In pixels."""
        return self.stop - self.start


def apply(transform: Affine, x: float, y: float) -> tuple[float, float]:
    """The point that an affine transform takes (x, y) to."""
    a, b, c, d, e, f = transform[:6]
    return a * x + b * y + c, d * x + e * y + f


@dataclass(frozen=True, slots=True)
class Sun:
    """Where the sun stands: degrees, the azimuth clockwise from true north."""

    azimuth: float
    elevation: float


@dataclass(frozen=True, slots=True)
class SceneRows:
    """Some rows of a scene, read into memory.

    Attributes
    ----------
    bands
        Canonical name -> physical values, float32 (height, width), NaN where there is none.
    quality
        INVALID, LOW or GOOD, uint8 (height, width).
    """

    bands: Mapping[str, np.ndarray]
    quality: np.ndarray


class SceneFiles(Protocol):
    """A scene as found on disk: all that can be said of it without reading its pixels."""

    @property
    def scene_id(self) -> str:
        """Unique in a dataset."""

    @property
    def folder(self) -> Path:
        """The folder of the scene."""

    @property
    def place(self) -> str:
        """The region where no administrative area is."""

    @property
    def sun(self) -> Sun | None:
        """Where the sun stood, or None when it is not known."""

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


@dataclass(frozen=True, slots=True)
class UnusableScene:
    """A scene that was found, but can't be used, and why."""

    scene_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Found(Generic[Files]):
    """The scenes that a search found."""

    scenes: tuple[Files, ...]
    unusable: tuple[UnusableScene, ...] = ()


class SceneReader(Protocol[Files]):
    """Finds and reads the scenes of one sensor; picklable, since it is sent to other processes."""

    def find(self, bands: Sequence[str]) -> Found[Files]:
        """The scenes that can give these bands, in an order that depends on their names alone.

        Raises
        ------
        SceneError
            When there is none at all.
        ConfigError
            When a setting breaks a rule.
        """

    def read(self, files: Files, bands: Sequence[str], block: Block) -> SceneRows:
        """Read some rows of a scene with the given measured bands.

        A value doesn't depend on the block that it is read with.

        Raises
        ------
        SceneError
            When a file is damaged.
        """
