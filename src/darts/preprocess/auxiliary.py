"""Elevation models and Landsat trends: found among local files, and read on any grid.

They come as one GeoTIFF, as many in a folder or named by a VRT, or as a zarr, netCDF or icechunk store.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from darts.core.bands import TREND_BANDS
from darts.core.errors import SceneError
from darts.core.files import files_below
from darts.preprocess.cubes import is_cube
from darts.preprocess.headers import BandSource, RasterHeader
from darts.preprocess.mosaics import Piece, pieces, read_mosaic
from darts.preprocess.rasters import (
    RASTER_SUFFIXES,
    inputs_of,
    open_vrt_sources,
    read_bands,
    read_header,
    read_values,
)
from darts.preprocess.scenes import Grid

ELEVATION_BAND = "dem"
ELEVATION_LIMITS = (-500.0, 9000.0)
"""Metres: no land is lower or higher, so that other values are voids that weren't declared."""
TREND_LIMITS = (0.0, 255.0)

_ELEVATION_NAMES = ("dem", "elevation", "height", "band1")
_TREND_NAMES = dict(zip(TREND_BANDS, ("tcb_slope", "tcg_slope", "tcw_slope"), strict=True))
"""Names of the trends in the published mosaics."""
_DEM = "dem"
_NO_ELEVATION = re.compile(
    r"(?<![a-z])(datamask|bitmask|mask(ed)?|matchtag|mad|count|browse|(hill)?shade|slope|aspect|(min|max)date)(?![a-z])"
)
_TREND_VERSION = re.compile(r"tctrend(?:_sr_\d{4}-)?(\d{4})", re.IGNORECASE)
_ALIKE = 1.5
"""Tiles of one elevation model have wider pixels towards the pole, by this factor at most from one to the next."""


@dataclass(frozen=True, slots=True)
class Mosaic:
    """One kind of auxiliary data, ready to be read anywhere.

    Attributes
    ----------
    root
        What was given: a raster, a store or a folder.
    layers
        Canonical name -> where it is found, sorted by path; the n-th source of every layer is in the same raster.
    limits
        The lowest and the highest value; beyond, there is none.
    gap
        What all layers together hold where there is no value, or None.
    """

    root: Path
    layers: Mapping[str, tuple[BandSource, ...]]
    limits: tuple[float, float] = (-np.inf, np.inf)
    gap: float | None = None

    def inputs(self, grid: Grid) -> tuple[Path, ...]:
        """The files that are read for a grid, sorted; of a zarr store, its metadata and the chunks."""
        found: set[Path] = set()
        for piece in pieces(self._grids, grid):
            found.update(inputs_of(self._sources(piece), piece.window))
        return tuple(sorted(found))

    def meets(self, grid: Grid) -> bool:
        """Whether any of it lies over a grid."""
        return any(True for _ in pieces(self._grids, grid, margin=False))

    def read(self, name: str, grid: Grid) -> np.ndarray:
        """A layer on a grid: float32, NaN where there is no value; see `mosaics.read_mosaic`.

        Raises
        ------
        SceneError
            When a file is damaged.
        """

        def load(piece: Piece) -> np.ndarray:
            return self._values(name, piece)

        values = read_mosaic(self._grids, grid, load)
        return np.clip(values, *self.limits, out=values)

    @property
    def _grids(self) -> list[Grid]:
        return [source.header.grid for source in next(iter(self.layers.values()))]

    def _sources(self, piece: Piece) -> list[BandSource]:
        """The bands of all layers in the raster of a piece."""
        return [layer[piece.number] for layer in self.layers.values()]

    def _values(self, name: str, piece: Piece) -> np.ndarray:
        """Physical values of a layer in one raster, float32, NaN where there is none."""
        source = self.layers[name][piece.number]
        if self.gap is None:
            stored = read_values(source, piece.window)
            empty = stored == source.nodata
        else:
            every = read_bands(self._sources(piece), piece.window)
            stored = every[list(self.layers).index(name)]
            empty = (every == self.gap).all(axis=0) | (stored == source.nodata)
        values = stored * source.header.scales[source.index - 1] + source.header.offsets[source.index - 1]
        lowest, highest = self.limits
        values[empty | ~((values >= lowest) & (values <= highest))] = np.nan
        return values.astype(np.float32, copy=False)


def find_elevation(path: Path) -> Mosaic:
    """Elevation in metres, as the layer `dem`.

    Of a folder, files whose names say that they are something else (slope, count, ...) are passed over, and all
    without "dem" in their names where some have it. Of a raster, the band counts that is called dem, elevation, height
    or Band1, else the first.

    Parameters
    ----------
    path
        A GeoTIFF, a VRT, a zarr, netCDF or icechunk store, or a folder with one of these or of GeoTIFFs.

    Raises
    ------
    SceneError
        When there is none, or its files don't go together.
    """
    path = path.absolute()
    headers = [read_header(file) for file in _files_at(path, "--arcticdem-dir", _elevation_files)]
    _check_alike(headers)
    sources = tuple(BandSource(header, _elevation_index(header)) for header in headers)
    return Mosaic(path, {ELEVATION_BAND: sources}, ELEVATION_LIMITS)


def find_trends(path: Path, days: Iterable[date | None]) -> dict[date | None, Mosaic]:
    """Trends of tasseled-cap brightness, greenness and wetness over some twenty years, 0 to 255 around 128.

    A raster names its bands as these layers or as TCB_slope, TCG_slope and TCW_slope, or has three bands without names
    in this order. A pixel that is 0 in all three is one of the gaps of the published mosaics.

    Parameters
    ----------
    path
        As for `find_elevation`; or a folder of several versions, whose names hold TCTrend and the last year.
    days
        When the scenes were acquired, which decides on the version; see `version_for`.

    Returns
    -------
    Day -> the trends for a scene of that day.

    Raises
    ------
    SceneError
        When there are none, their files don't go together, or one has other bands.
    """
    path = path.absolute()
    versions = _versions(path) or {0: [path]}
    chosen = {day: version_for(versions, day) for day in days}
    mosaics = {version: _trends_of(path, versions[version]) for version in set(chosen.values())}
    return {day: mosaics[version] for day, version in chosen.items()}


def _trends_of(root: Path, entries: Sequence[Path]) -> Mosaic:
    """One version of the trends."""
    files = [file for entry in entries for file in _files_at(entry, "--tcvis-dir", list)]
    headers = [read_header(file) for file in sorted(files)]
    _check_alike(headers)
    indexes = [_trend_indexes(header) for header in headers]
    layers = {
        name: tuple(BandSource(header, index[number]) for header, index in zip(headers, indexes, strict=True))
        for number, name in enumerate(TREND_BANDS)
    }
    return Mosaic(root, layers, TREND_LIMITS, gap=0.0)


def version_for(years: Iterable[int], day: date | None) -> int:
    """The last year of the trends for a scene: the first after its own year, else the latest of all."""
    latest = max(years := list(years))
    return latest if day is None else min((year for year in years if year > day.year), default=latest)


def _versions(path: Path) -> dict[int, list[Path]]:
    """Last year of the trends -> what a folder holds of them."""
    found: dict[int, list[Path]] = {}
    if path.is_dir() and not is_cube(path):
        for entry in sorted(path.iterdir()):
            match = _TREND_VERSION.search(entry.name)
            if match and not entry.name.startswith(".") and (entry.is_dir() or _is_store(entry) or _is_raster(entry)):
                found.setdefault(int(match[1]), []).append(entry)
    return found


def _files_at(path: Path, flag: str, keep: Callable[[list[Path]], list[Path]]) -> list[Path]:
    """The rasters of a path, sorted; in a folder, those to keep: a store or VRT, else the GeoTIFFs in it and below."""
    if not path.exists():
        raise SceneError(f"{flag} must be a raster, a store, or a folder of them, but there is no {path}.")
    if path.suffix.lower() == ".vrt":
        return open_vrt_sources(path)
    if _is_raster(path):
        return [path]
    entries = sorted(path.iterdir()) if path.is_dir() else []
    stores = keep([entry for entry in entries if _is_store(entry) and not entry.name.startswith(".")])
    if len(stores) > 1:
        raise SceneError(
            f"{flag} must hold one store, but {path} holds {', '.join(store.name for store in stores)}; give the one "
            "that is meant."
        )
    files = _files_at(stores[0], flag, keep) if stores else keep(_rasters_below(path) if path.is_dir() else [])
    if not files:
        raise SceneError(
            f"{flag} must hold GeoTIFFs (.tif), a VRT of them, or a store (.zarr, .nc or .icechunk), but {path} holds "
            "none; check the path."
        )
    return files


def _is_store(path: Path) -> bool:
    return is_cube(path) or path.suffix.lower() == ".vrt"


def _is_raster(path: Path) -> bool:
    return is_cube(path) or path.suffix.lower() in RASTER_SUFFIXES


def _rasters_below(folder: Path) -> list[Path]:
    return [path for path in files_below(folder, SceneError) if path.suffix.lower() in RASTER_SUFFIXES]


def _elevation_files(paths: Sequence[Path]) -> list[Path]:
    """The files of a folder that hold elevation, by their names."""
    kept = [path for path in paths if not _NO_ELEVATION.search(path.stem.lower())]
    return [path for path in kept if _DEM in path.stem.lower()] or kept


def _check_alike(headers: Sequence[RasterHeader]) -> None:
    """Refuse rasters that can't be one mosaic."""
    first = headers[0]
    sizes = [float(np.sqrt(header.grid.pixel_area)) for header in headers]
    for header, size in zip(headers, sizes, strict=True):
        if header.grid.crs != first.grid.crs:
            raise SceneError(
                f"all files of a mosaic must have one coordinate reference system, but {first.path} has "
                f"{first.grid.crs} and {header.path.name} has {header.grid.crs}; reproject one of them."
            )
        if not 1 / _ALIKE <= size / sizes[0] <= _ALIKE:
            raise SceneError(
                f"all files of a mosaic must have about one resolution, but {first.path} has pixels of {sizes[0]:.6g} "
                f"and {header.path.name} of {size:.6g}; keep one kind in the folder."
            )


def _elevation_index(header: RasterHeader) -> int:
    names = [text.lower() for text in header.descriptions]
    return next((names.index(name) + 1 for name in _ELEVATION_NAMES if name in names), 1)


def _trend_indexes(header: RasterHeader) -> list[int]:
    """The bands of brightness, greenness and wetness."""
    names = [text.lower() for text in header.descriptions]
    for wanted in (list(_TREND_NAMES), list(_TREND_NAMES.values())):
        if set(wanted) <= set(names):
            return [names.index(name) + 1 for name in wanted]
    if len(names) == len(TREND_BANDS) and not any(names):
        return [1, 2, 3]
    described = ", ".join(text or "without a name" for text in header.descriptions)
    raise SceneError(
        f"{header.path} must have the bands {', '.join(TREND_BANDS)} (or TCB_slope, TCG_slope, TCW_slope), or three "
        f"without names in this order, but its bands are: {described}; name them, or give another file."
    )
