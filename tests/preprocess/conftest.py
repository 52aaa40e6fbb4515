"""Small scenes, written the way users have them."""

from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio import Affine
from shapely.geometry import Polygon, box

UTM = "EPSG:32608"
ORIGIN = (500_000.0, 7_600_000.0)


def write_raster(path, values, *, crs=UTM, transform=None, nodata=None, descriptions=None, **options):
    """Write (h, w) or (bands, h, w) as a raster file; 10 m pixels unless told otherwise."""
    values = np.atleast_3d(values) if values.ndim == 1 else values
    values = values[None] if values.ndim == 2 else values
    count, height, width = values.shape
    profile = {"driver": "GTiff", "crs": crs, "transform": transform or pixels(10), "nodata": nodata} | options
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", height=height, width=width, count=count, dtype=values.dtype, **profile) as target:
        target.write(values)
        for index, text in enumerate(descriptions or (), start=1):
            target.set_band_description(index, text)
    return path


def pixels(size, *, origin=ORIGIN):
    """The transform of square, north-up pixels."""
    return Affine(size, 0, origin[0], 0, -size, origin[1])


def square(row, column, size, *, resolution=10.0, origin=ORIGIN):
    """A square of `size` pixels, in map coordinates."""
    left, top = origin[0] + column * resolution, origin[1] - row * resolution
    return box(left, top - size * resolution, left + size * resolution, top)


def write_polygons(path, shapes, *, crs=UTM, **columns):
    """Write polygons as a vector file of the type that the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = gpd.GeoDataFrame({"id": range(len(shapes)), **columns}, geometry=list(shapes), crs=crs)
    options = {} if len(shapes) else {"geometry_type": "Polygon"}
    frame.to_file(path, engine="pyogrio", **options)
    return path


@dataclass(frozen=True)
class StackScene:
    """A scene in the layout of a stack, and what was written."""

    folder: Path
    numbers: np.ndarray = field(repr=False)
    classes: np.ndarray = field(repr=False)
    shapes: list[Polygon] = field(repr=False)


def write_stack_scene(
    root, name="scene_a", *, height=128, width=128, seed=0, stem="20210818T223529_N0301_T03WXP", shapes=None
):
    """A scene of one SR file, one SCL file and labels, with clouds and slumps, and missing values in the upper left."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(1, 6000, (4, height, width)).astype(np.uint16)
    numbers[:, :5, :7] = 0
    numbers[2, 20, 30] = 0
    classes = rng.choice(np.array([4, 5, 6, 7, 10, 2, 1, 3, 8, 9, 11], np.uint8), (height // 2, width // 2))
    classes[:4, 5:9] = 0
    if shapes is None:
        shapes = [square(*rng.integers(0, [height - 12, width - 12]), rng.integers(3, 12)) for _ in range(6)]
    folder = root / name
    write_raster(folder / f"{stem}_SR_clip.tif", numbers, nodata=0)
    write_raster(folder / f"{stem}_SCL_clip.tif", classes, transform=pixels(20))
    write_polygons(folder / f"{stem}.shp", shapes)
    return StackScene(folder, numbers, classes, shapes)


@pytest.fixture
def no_noise(capfd):
    """Nothing is printed by libraries, to stdout or stderr."""
    yield
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""
