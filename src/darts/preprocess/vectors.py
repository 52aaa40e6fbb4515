"""Vector files: opened with care, and cut down to what lies in a scene."""

import logging
import warnings
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from darts.core.errors import SceneError, one_line
from darts.core.files import files_below, files_in
from darts.preprocess.scenes import Grid

# What GDAL says while it opens a damaged file becomes the reason in our error; printed, it would only be noise.
logging.getLogger("pyogrio").addHandler(logging.NullHandler())

_SIGNATURES = {".gpkg": b"SQLite format 3\x00", ".shp": b"\x00\x00\x27\x0a", ".geojson": b"{"}
_FOOTPRINTS = "footprint"
"""Files whose name says so outline images, not what is to be found in them."""


def vector_files(folder: Path, *, below: bool = False) -> list[Path]:
    """The vector files in a folder, sorted, and with `below` in all folders in it; footprints are passed over."""
    paths = files_below(folder, SceneError) if below else files_in(folder, SceneError)
    return [path for path in paths if path.suffix.lower() in _SIGNATURES and _FOOTPRINTS not in path.name.lower()]


def companions(path: Path) -> list[Path]:
    """The files that make up a vector file: a shapefile has several."""
    if path.suffix.lower() != ".shp":
        return [path]
    return sorted(p for p in path.parent.glob(f"{path.stem}.*") if p.suffix.lower() in (".shp", ".dbf", ".prj", ".shx"))


def read_vectors(path: Path) -> gpd.GeoDataFrame:
    """Read the features of a vector file with a single layer.

    Raises
    ------
    SceneError
        When it is missing, damaged, not what its suffix says, has several layers, or no coordinate reference system.
    """
    _check_signature(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layers = [name for name, geometry in pyogrio.list_layers(path) if geometry is not None]
            if len(layers) != 1:
                raise SceneError(f"{path} must have one layer with geometry, but has {len(layers)}; save it alone.")
            features: gpd.GeoDataFrame = gpd.read_file(path, layer=layers[0], engine="pyogrio")
    except (DataSourceError, DataLayerError, OSError, ValueError, shapely.errors.ShapelyError) as error:
        reason = one_line(error, 160)
        raise SceneError(f"{path} can't be read as a vector file ({reason}); save it again.") from None
    if features.crs is None:
        raise SceneError(f"{path} has no coordinate reference system; assign one (a shapefile needs its .prj).")
    return features


def _check_signature(path: Path) -> None:
    """Refuse a file that is not what its suffix says, such as a list of other files, which GDAL would open instead."""
    expected = _SIGNATURES.get(path.suffix.lower())
    if expected is None:
        raise SceneError(f"vector files are .gpkg, .geojson or .shp, but got {path}; save it as one of these.")
    try:
        with path.open("rb") as file:
            start = file.read(1024).removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise SceneError(f"{path} can't be read ({error.strerror}); check the file.") from None
    if not start:
        raise SceneError(f"{path} is an empty file; save it again (a layer without polygons is fine).")
    if not start.lstrip().startswith(expected):
        raise SceneError(f"{path} is not a {path.suffix} file by its content; save it again.")
    # A shapefile says its length in its header, in words of two bytes; what is cut off would be read as empty shapes.
    if expected == _SIGNATURES[".shp"] and 2 * int.from_bytes(start[24:28], "big") > path.stat().st_size:
        raise SceneError(f"{path} must be a whole shapefile, but it is shorter than it says; get it again.")


def near(features: gpd.GeoDataFrame, grid: Grid) -> gpd.GeoDataFrame:
    """The features that may touch a grid, in its coordinate reference system."""
    area = _area_in(features.crs, grid)
    close = features if area is None else features.iloc[sorted(features.sindex.query(area))]
    projected: gpd.GeoDataFrame = close.to_crs(grid.crs)
    return projected[np.isfinite(projected.bounds).all(axis=1)]


def _area_in(crs: object, grid: Grid) -> BaseGeometry | None:
    """The bounding box of a grid in another reference system; None when that has no such box."""
    try:
        bounds = transform_bounds(grid.crs, CRS.from_user_input(crs), *grid.bounds)
    except RasterioError:
        return None
    left, bottom, right, top = bounds
    margin = 0.01 * max(abs(right - left), top - bottom)
    if left <= right:
        return box(left - margin, bottom - margin, right + margin, top + margin)
    # The grid lies across the antimeridian: two boxes, one at each end of the world.
    return shapely.union(box(left, bottom, 180, top), box(-180, bottom, right, top))
