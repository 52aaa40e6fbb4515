"""Label polygons: found, repaired, joined to scenes, and burnt into label codes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from rasterio.features import rasterize
from rasterio.windows import Window
from shapely.geometry.base import BaseGeometry

from darts.core.errors import SceneError
from darts.dataset.schema import BACKGROUND, IGNORE, POSITIVE
from darts.preprocess.patches import Window as PatchWindow
from darts.preprocess.scenes import GOOD, INVALID, LOW, Grid
from darts.preprocess.vectors import companions, near, read_vectors, vector_files


@dataclass(frozen=True, slots=True, eq=False)
class LabelFile:
    """The polygons of one vector file.

    Attributes
    ----------
    path
        The file.
    polygons
        Valid polygons and multipolygons, in the reference system and order of the file, with all its columns; the index
        is the number of the feature in the file, from 0.
    without_area
        Numbers of the features that have no area, and can't be burnt in.
    """

    path: Path
    polygons: gpd.GeoDataFrame
    without_area: tuple[int, ...] = ()

    @property
    def inputs(self) -> list[Path]:
        """Every file that was read."""
        return companions(self.path)


def read_labels(path: Path) -> LabelFile:
    """Read a file of label polygons, and repair them; one without polygons is a file of nothing to find.

    Raises
    ------
    SceneError
        When the file can't be used, or holds other things than polygons.
    """
    features = read_vectors(path)
    check_polygons(features, path, "labels")
    polygons = repaired(features)
    return LabelFile(path, polygons, tuple(features.index.difference(polygons.index)))


def check_polygons(features: gpd.GeoDataFrame, path: Path, what: str) -> None:
    """Refuse other things than polygons.

    Raises
    ------
    SceneError
        When there is one.
    """
    kinds = features.geom_type[shapely.get_num_coordinates(features.geometry.values) > 0]
    if other := sorted(set(kinds) - {"Polygon", "MultiPolygon"}):
        raise SceneError(f"{path}: {what} must be polygons, but there is a {other[0]}; save the polygons alone.")


def repaired(features: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The polygons that have an area, as valid polygons and multipolygons; they keep their index."""
    features = features[shapely.get_num_coordinates(features.geometry.values) > 0]
    shapes = gpd.GeoSeries([_repair(shape) for shape in features.geometry], index=features.index, crs=features.crs)
    shapes = shapes[~shapes.is_empty]
    return features.loc[shapes.index].set_geometry(shapes)


def _repair(shape: shapely.Geometry) -> shapely.Geometry:
    """A valid polygon or multipolygon of the same area; what has no area is left out."""
    if shapely.is_valid(shape):
        return shapely.force_2d(shape)
    parts = shapely.get_parts(shapely.make_valid(shapely.force_2d(shape))).ravel()
    parts = shapely.get_parts(parts)
    return shapely.union_all([part for part in parts if part.geom_type in ("Polygon", "MultiPolygon")])


def labels_of_scene(folder: Path, scene_id: str) -> LabelFile:
    """The labels of a scene folder, which holds one vector file, or of several one that is named as the scene.

    Raises
    ------
    SceneError
        When there is none, or more than one.
    """
    files = vector_files(folder)
    named = [file for file in files if file.stem in scene_id]
    for chosen in (files, named):
        if len(chosen) == 1:
            return read_labels(chosen[0])
    if files:
        raise SceneError(
            f"{folder} must hold one label file, but holds {', '.join(file.name for file in files)}; keep one, or give "
            "the right one with --labels-dir."
        )
    raise SceneError(
        f"{folder} has no label file (.shp, .gpkg or .geojson); put one there (without polygons, if there is nothing "
        "to find), or give --labels-dir."
    )


def labels_below(path: Path) -> list[LabelFile]:
    """The label files of `--labels-dir`: the file itself, or all in this folder and below.

    Raises
    ------
    SceneError
        When there is none, or none has a polygon.
    """
    if not path.exists():
        raise SceneError(f"--labels-dir must be a label file, or a folder of them, but there is no {path}.")
    paths = vector_files(path, below=True) if path.is_dir() else [path]
    files = [read_labels(file) for file in paths]
    if not any(len(file.polygons) for file in files):
        raise SceneError(
            f"--labels-dir must hold label polygons (.shp, .gpkg or .geojson), but none of {len(files)} label files in "
            f"{path} has a polygon; check the path."
        )
    return files


def touching(file: LabelFile, grid: Grid) -> gpd.GeoDataFrame:
    """The polygons that touch a scene, in its reference system; their index is that of `file.polygons`."""
    close = near(file.polygons, grid)
    return close[close.intersects(grid.outline())]


def joined(parts: Sequence[gpd.GeoDataFrame], grid: Grid) -> gpd.GeoDataFrame:
    """Labels of several files as one table."""
    kept = [part for part in parts if len(part)]
    if not kept:
        return gpd.GeoDataFrame({"geometry": []}, geometry="geometry", crs=grid.crs)
    tables = [_plain(part) for part in kept]
    return gpd.GeoDataFrame(pd.concat(tables, ignore_index=True), geometry="geometry", crs=grid.crs)


def _plain(labels: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Labels with their columns as GeoJSON can hold them, whatever the types of the file were."""
    labels = labels.copy()
    attributes = labels.drop(columns="geometry")
    for column in attributes.columns:
        if pd.api.types.is_float_dtype(attributes[column]):
            labels[column] = attributes[column].where(np.isfinite(attributes[column]))  # JSON knows no infinity
        if not pd.api.types.is_numeric_dtype(attributes[column]):
            texts = [None if pd.isna(value) else str(value) for value in attributes[column]]
            labels[column] = pd.Series(texts, index=labels.index, dtype=object)
    return labels


def burn(labels: gpd.GeoDataFrame, grid: Grid, *, all_touched: bool) -> np.ndarray:
    """Label codes without regard to quality: POSITIVE inside a polygon, BACKGROUND elsewhere; uint8 (height, width).

    A pixel is inside when its centre is, or, with `all_touched`, when any of it is.
    """
    if labels.empty:
        return np.full(grid.shape, BACKGROUND, dtype=np.uint8)
    return _burnt(labels.geometry, grid, all_touched)


def _burnt(shapes: Iterable[BaseGeometry], grid: Grid, all_touched: bool) -> np.ndarray:
    codes: np.ndarray = rasterize(
        _as_geojson(shapes),
        out_shape=grid.shape,
        transform=grid.transform,
        fill=BACKGROUND,
        default_value=POSITIVE,
        all_touched=all_touched,
        dtype=np.uint8,
    )
    return codes


def mask_bad_pixels(codes: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """Label codes with IGNORE wherever the quality isn't GOOD; uint8 (height, width)."""
    return np.where(quality == GOOD, codes, np.uint8(IGNORE)).astype(np.uint8)


def _as_geojson(shapes: Iterable[BaseGeometry]) -> list[dict[str, Any]]:
    """Polygons as rasterio takes them, several times faster than one by one."""
    polygons = shapely.get_parts(np.asarray(list(shapes), dtype=object))
    rings, owners = shapely.get_rings(polygons, return_index=True)
    points, of_rings = shapely.get_coordinates(rings, return_index=True)
    parts = np.split(points, np.cumsum(np.bincount(of_rings, minlength=len(rings)))[:-1])
    found: list[dict[str, Any]] = [{"type": "Polygon", "coordinates": []} for _ in polygons]
    for owner, part in zip(owners, parts, strict=True):
        # Tuples: the garbage collector would go through as many lists again and again.
        found[owner]["coordinates"].append(list(zip(*part.T.tolist(), strict=True)))
    return found


def burn_mapped(mapped: BaseGeometry | None, grid: Grid) -> np.ndarray:
    """Where a scene was looked at for labels: bool (height, width), by pixel centres; everywhere for None."""
    if mapped is None:
        return np.ones(grid.shape, dtype=bool)
    if mapped.is_empty:
        return np.zeros(grid.shape, dtype=bool)
    return _burnt([mapped], grid, all_touched=False) == POSITIVE


def eroded(quality: np.ndarray, window: PatchWindow, radius: int) -> np.ndarray:
    """Quality in a window, with GOOD pixels lowered that are at most `radius` pixels from one that isn't, or from outside.

    This is the erosion of the good area by a disk. Pixels that lose their rank keep their values.

    Parameters
    ----------
    quality
        Of the whole scene, uint8 (height, width); only `radius` pixels around the window are looked at.
    window
        What is wanted.
    radius
        In pixels; 0 leaves all as it is.
    """
    inside = quality[window.slices]
    if radius == 0:
        return inside
    import cv2  # not needed otherwise

    rows, columns = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disk = (rows**2 + columns**2 <= radius**2).astype(np.uint8)
    good = (_with_border(quality, window, radius) == GOOD).astype(np.uint8)
    left = cv2.erode(good, disk)[radius:-radius, radius:-radius]
    return np.where((inside == GOOD) & (left == 0), np.uint8(LOW), inside)


def _with_border(quality: np.ndarray, window: PatchWindow, border: int) -> np.ndarray:
    """A window and `border` pixels around it; outside the scene there is INVALID."""
    height, width = quality.shape
    top, left = window.row - border, window.column - border
    bottom, right = window.row + window.size + border, window.column + window.size + border
    part = quality[max(top, 0) : bottom, max(left, 0) : right]
    outside = (max(-top, 0), max(bottom - height, 0)), (max(-left, 0), max(right - width, 0))
    return np.pad(part, outside, constant_values=INVALID)


def count_pixels(labels: gpd.GeoDataFrame, grid: Grid, kept: np.ndarray, *, all_touched: bool) -> tuple[int, int]:
    """How many labels hold no pixel, too small or too thin; and how many of the others hold none that was kept.

    Parameters
    ----------
    labels
        In the reference system of the grid.
    grid
        Of the scene.
    kept
        Positive pixels that are in some patch, bool (height, width).
    all_touched
        As for `burn`.
    """
    held = [_pixels(shape, grid, kept, all_touched) for shape in labels.geometry]
    return sum(count == 0 for count, _ in held), sum(count > 0 == seen for count, seen in held)


def _pixels(shape: shapely.Geometry, grid: Grid, kept: np.ndarray, all_touched: bool) -> tuple[int, int]:
    """How many pixels of the scene a label holds, and how many of them were kept."""
    rows, columns = grid.window_around(shape.bounds)
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return 0, 0
    inside = _burnt([shape], grid.window(Window.from_slices(rows, columns)), all_touched) == POSITIVE
    return int(inside.sum()), int((inside & kept[rows, columns]).sum())
