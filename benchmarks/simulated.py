"""Simulated orthotiles with labels, elevations and trends, made once into a folder; seeded."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from rasterio.warp import transform_bounds

from darts.sample.noise import generator, spectral_noise
from scene_runs import Inputs

UTM, POLAR, DEGREES = "EPSG:32608", "EPSG:3413", "EPSG:4326"
ORIGIN = (500_000.0, 7_600_000.0)
RESOLUTION = 3.0
PIXELS = rasterio.Affine(RESOLUTION, 0, ORIGIN[0], 0, -RESOLUTION, ORIGIN[1])
IDS = tuple(f"5790392_4372514_2022-07-16_{number:04x}" for number in range(4))
LABELS = 400

_BANDS = ((450, 90, -40), (650, 120, -30), (700, 160, -80), (2300, 250, 380))
"""Mean digital number of each band, and how much ground and vegetation change it."""


def orthotiles(folder: Path, size: int, count: int = 1) -> Inputs:
    """Up to four orthotiles of size x size pixels of 3 m; they hold the same, and differ in their names.

    Every one has four bands of 1/f noise and sensor noise in uint16, deflated in tiles of 512, an empty corner, a usable
    data mask with clouds, and labels all over it.
    """
    made = folder / f"{size}"
    if not (made / "done").exists():
        shutil.rmtree(made, ignore_errors=True)
        _write_all(made, size)
        (made / "done").touch()
    images, labels = made / f"images-{count}", made / f"labels-{count}"
    if not images.exists():
        _link_images(made / "image", images, IDS[:count])
        _write_labels(labels, size, IDS[:count])
    return Inputs(images, labels, made / "elevation.tif", made / "trends.tif")


def _write_all(folder: Path, size: int) -> None:
    rng = generator("benchmarks", size)
    empty = np.add.outer(np.arange(size), np.arange(size)) < size // 8
    numbers = _digital_numbers(size, rng)
    numbers[:, empty] = 0
    write(folder / "image" / "SR.tif", numbers, nodata=0)
    write(folder / "image" / "udm2.tif", _usable_data_mask(empty, rng))
    del numbers, empty
    _write_surroundings(folder / "elevation.tif", size, POLAR, 10.0, _elevation(rng), nodata=-9999)
    _write_surroundings(folder / "trends.tif", size, DEGREES, 0.00027, _trends(rng))


def _digital_numbers(size: int, rng: np.random.Generator) -> np.ndarray:
    ground, vegetation = (field(size, size, rng, roughness) for roughness in (2.4, 2.2))
    numbers = np.empty((len(_BANDS), size, size), dtype=np.uint16)
    for band, (mean, of_ground, of_vegetation) in zip(numbers, _BANDS, strict=True):
        values = rng.standard_normal((size, size), dtype=np.float32)
        values *= 0.015 * mean
        values += mean + of_ground * ground + of_vegetation * vegetation
        band[:] = np.clip(values, 50, 6000)
    return numbers


def field(height: int, width: int, rng: np.random.Generator, roughness: float) -> np.ndarray:
    """1/f noise with a mean of 0 and a standard deviation of 1, float32 (height, width)."""
    return spectral_noise((height, width), rng, roughness=roughness, longest=4.0 * max(height, width), shortest=0.1)


def _usable_data_mask(empty: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    coarse = field(len(empty) // 8, len(empty) // 8, rng, 3.0) > 1.9
    cloud = np.kron(coarse, np.ones((8, 8), dtype=bool)) & ~empty
    mask = np.zeros((8, *empty.shape), dtype=np.uint8)
    mask[0], mask[5], mask[6], mask[7] = ~cloud & ~empty, cloud, np.where(empty, 0, 90), empty
    return mask


def _elevation(rng: np.random.Generator) -> Callable[[int, int], np.ndarray]:
    def make(height: int, width: int) -> np.ndarray:
        values = 120 + 60 * field(height, width, rng, 3.6)
        values[field(height, width, rng, 3.0) > 2.2] = -9999
        return values[None].astype(np.float32)

    return make


def _trends(rng: np.random.Generator) -> Callable[[int, int], np.ndarray]:
    def make(height: int, width: int) -> np.ndarray:
        return np.stack([np.clip(128 + 28 * field(height, width, rng, 2.0), 1, 255) for _ in range(3)]).astype(np.uint8)

    return make


def _write_surroundings(
    path: Path, size: int, crs: str, resolution: float, make: Callable[[int, int], np.ndarray], **options: Any
) -> None:
    """A raster in another reference system that covers the orthotile, and a tenth more on each side."""
    metres = size * RESOLUTION
    left, top = ORIGIN
    box = (left - 0.1 * metres, top - 1.1 * metres, left + 1.1 * metres, top + 0.1 * metres)
    west, south, east, north = transform_bounds(UTM, crs, *box)
    height, width = round((north - south) / resolution), round((east - west) / resolution)
    transform = rasterio.Affine(resolution, 0, west, 0, -resolution, north)
    write(path, make(height, width), transform, crs, **options)


def write(path: Path, bands: np.ndarray, transform: rasterio.Affine = PIXELS, crs: str = UTM, **options: Any) -> None:
    """Write (bands, height, width) as a GeoTIFF, deflated in tiles of 512."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = bands.shape
    options = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 6, **options}
    options |= {"predictor": 3 if bands.dtype.kind == "f" else 2, "transform": transform, "crs": crs}
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=bands.dtype, **options
    ) as target:
        target.write(bands)


def _link_images(source: Path, images: Path, ids: Sequence[str]) -> None:
    for name in ids:
        (images / name).mkdir(parents=True)
        for file in sorted(source.iterdir()):
            os.link(file, images / name / f"{name}_{file.name}")


def _write_labels(folder: Path, size: int, ids: Sequence[str]) -> None:
    folder.mkdir(parents=True)
    shapes = polygons(LABELS, size)
    labels = gpd.GeoDataFrame({"image_id": np.repeat(ids, LABELS)}, geometry=shapes * len(ids), crs=UTM)
    labels.to_file(folder / "TrainingLabel_one.gpkg")
    edge = size * RESOLUTION
    outline = shapely.box(ORIGIN[0], ORIGIN[1] - edge, ORIGIN[0] + edge, ORIGIN[1])
    footprints = gpd.GeoDataFrame({"image_id": list(ids)}, geometry=[outline] * len(ids), crs=UTM)
    footprints.to_file(folder / "ImageFootprints_one.gpkg")


def polygons(count: int, size: int) -> list[shapely.Polygon]:
    """Rounded, wavy shapes with 16 to 59 corners, mostly 10 to 30 pixels wide, all over an orthotile."""
    rng = generator("polygons", count, size)
    shapes = []
    for _ in range(count):
        x, y = ORIGIN + rng.uniform(0, size * RESOLUTION, 2) * (1, -1)
        corners = int(rng.integers(16, 60))
        angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
        waves = 0.35 * np.sin(angle * rng.integers(2, 5) + rng.uniform(0, 6)) + 0.08 * rng.standard_normal(corners)
        radius = rng.lognormal(3.6, 0.6) * (1 + waves)
        shapes.append(shapely.Polygon(np.c_[x + radius * np.cos(angle), y + radius * np.sin(angle)]))
    return shapes
