"""Terrain and trends on the pixels of a scene, computed block by block, and kept in a cache where one is asked for."""

import hashlib
import importlib.metadata
import json
import uuid
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from darts.core.bands import TERRAIN_BANDS
from darts.core.files import file_fingerprint, short_name
from darts.core.log import get_logger
from darts.preprocess.auxiliary import Mosaic
from darts.preprocess.scenes import Block, Grid, Sun
from darts.preprocess.terrain import DEFAULT_SUN, convergence_at, margin_pixels, pixel_size, terrain_bands

_log = get_logger(__name__)

CACHE_VERSION = 1
"""Of the way these bands are computed; another version computes them anew."""
_PACKAGES = ("numpy", "opencv-python-headless", "rasterio", "pyproj")


@dataclass(frozen=True, slots=True)
class AuxiliaryBands:
    """The channels of a scene that don't come from its own files.

    Attributes
    ----------
    terrain, trends
        Names of the channels.
    elevation, trend_data
        What they are made of; None when no channel needs it.
    sun
        For hillshade.
    tpi_outer_radius, tpi_inner_radius
        For relative_elevation, metres.
    """

    terrain: tuple[str, ...] = ()
    trends: tuple[str, ...] = ()
    elevation: Mosaic | None = None
    trend_data: Mosaic | None = None
    sun: Sun = DEFAULT_SUN
    tpi_outer_radius: float = 100.0
    tpi_inner_radius: float = 0.0

    def inputs(self, grid: Grid) -> dict[str, Path]:
        """Name -> every file that is read for a scene; names don't depend on where the data lie."""
        kinds = (("elevation", self.elevation, self.margin(grid)), ("trends", self.trend_data, 0))
        return {
            f"{kind}: {short_name(path, mosaic.root.parent)}": path
            for kind, mosaic, margin in kinds
            if mosaic is not None
            for path in mosaic.inputs(grid.buffered(margin))
        }

    def margin(self, grid: Grid) -> int:
        """Pixels around a place whose elevation matters to its terrain."""
        return margin_pixels(self.terrain, pixel_size(grid), self.tpi_outer_radius) if self.terrain else 0

    def matters_to(self, name: str) -> Mapping[str, object]:
        """The settings that shape one channel."""
        sun = {"sun": [self.sun.azimuth, self.sun.elevation]} if name == "hillshade" else {}
        radii = {"radii": [self.tpi_outer_radius, self.tpi_inner_radius]} if name == "relative_elevation" else {}
        return {**sun, **radii}


def auxiliary_bands(plan: AuxiliaryBands, grid: Grid, block: Block, folder: Path | None) -> dict[str, np.ndarray]:
    """The channels on some rows of a scene.

    Parameters
    ----------
    plan
        What is wanted.
    grid
        The grid of the whole scene.
    block
        The rows.
    folder
        The cache, or None.

    Returns
    -------
    Name -> physical values, float32 (rows, width), NaN where there is none.
    """
    names = (*plan.terrain, *plan.trends)
    places = {name: _place(folder, plan, name, grid, block) for name in names} if folder else {}
    found = {name: values for name, path in places.items() if (values := _load(path)) is not None}
    computed = _compute(plan, [name for name in names if name not in found], grid, block)
    for name, path in places.items():
        if name in computed:
            _keep(path, computed[name])
    return found | computed


def _compute(plan: AuxiliaryBands, names: list[str], grid: Grid, block: Block) -> dict[str, np.ndarray]:
    terrain = [name for name in names if name in TERRAIN_BANDS]
    trends = [name for name in names if name not in TERRAIN_BANDS]
    computed = _terrain(plan, terrain, grid, block) if terrain else {}
    if plan.trend_data is not None:
        computed |= {name: plan.trend_data.read(name, grid.rows(block)) for name in trends}
    return computed


def _terrain(plan: AuxiliaryBands, names: list[str], grid: Grid, block: Block) -> dict[str, np.ndarray]:
    if plan.elevation is None:
        return {}
    size, margin = pixel_size(grid), plan.margin(grid)
    dem = plan.elevation.read("dem", grid.rows(block).buffered(margin))
    north = convergence_at(grid, block.start, block.height)
    return terrain_bands(names, dem, margin, size, north, plan.sun, plan.tpi_outer_radius, plan.tpi_inner_radius)


def _place(folder: Path, plan: AuxiliaryBands, name: str, grid: Grid, block: Block) -> Path:
    """Where a channel is kept: the name is a hash of everything that its values depend on."""
    mosaic = plan.elevation if name in TERRAIN_BANDS else plan.trend_data
    around = grid.rows(block).buffered(plan.margin(grid) if name in TERRAIN_BANDS else 0)
    facts = {
        "name": name,
        "settings": plan.matters_to(name),
        "grid": [grid.crs.to_wkt(), list(grid.transform)[:6], grid.shape],
        "block": [block.start, block.stop],
        "inputs": [_fingerprint(path) for path in (mosaic.inputs(around) if mosaic else ())],
        "version": [CACHE_VERSION, *(importlib.metadata.version(package) for package in _PACKAGES)],
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return folder / digest[:2] / f"{digest}.npz"


def _fingerprint(path: Path) -> str:
    status = path.stat()
    return _fingerprint_of(path, status.st_mtime_ns, status.st_size)


@cache
def _fingerprint_of(path: Path, _time: int, _size: int) -> str:
    return file_fingerprint(path)


def _load(path: Path) -> np.ndarray | None:
    """What was kept; None when there is nothing, or it is damaged."""
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as content:
            values: np.ndarray = content["values"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        _log.warning("%s in the cache is damaged (%s) and is computed again.", path.name, error)
        return None
    return values


def _keep(path: Path, values: np.ndarray) -> None:
    """Put a channel into the cache; other processes may be doing the same, and will write the same bytes.

    Where that isn't possible, the work goes on without.
    """
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex}.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(temporary, values=values)
        temporary.replace(path)
    except OSError as error:
        _log.warning("--preprocess-cache: %s can't be written to (%s).", path.parent.parent, error.strerror)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
