"""Sentinel-2 scene folders: surface reflectance, scene classification and labels."""

from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt

from darts.sample.atmosphere import Sky, simulate_sky, through_the_air, to_digital_numbers
from darts.sample.cover import BANDS, Reflectance
from darts.sample.layout import TILE, UTM, Acquisition, Grid
from darts.sample.noise import generator, spectral_noise
from darts.sample.paint import Land, paint_land
from darts.sample.rasters import write_geotiff, write_shapefile
from darts.sample.slumps import Slump
from darts.sample.world import Terrain


@dataclass(frozen=True)
class Sentinel2Scene:
    """A simulated scene before it is written."""

    acquisition: Acquisition
    land: Land
    sky: Sky
    measured: Reflectance
    """float32 (4, height, width)."""


def simulate_scene(
    seed: int, terrain: Terrain, world: Grid, slumps: tuple[Slump, ...], acquisition: Acquisition
) -> Sentinel2Scene:
    """What Sentinel-2 sees of the land on the day of the acquisition."""
    land = paint_land(terrain, world, slumps, acquisition.grid, acquisition.sun)
    sky = simulate_sky(seed, acquisition.name, acquisition.grid, acquisition.sun)
    measured = through_the_air(land.reflectance, sky, seed, acquisition.name)
    return Sentinel2Scene(acquisition, land, sky, measured)


def product_name(acquisition: Acquisition) -> str:
    """`<start>_<generated>_<tile>`, as exports from Earth Engine are named."""
    time = f"{acquisition.time:%Y%m%dT%H%M%S}"
    return f"{time}_{time}_{TILE}"


def write_scene(folder: Path, seed: int, scene: Sentinel2Scene, slumps: tuple[Slump, ...]) -> None:
    """Write the reflectance, the classification and the labels of a scene into its folder."""
    grid, name = scene.acquisition.grid, product_name(scene.acquisition)
    digital = to_digital_numbers(scene.measured)
    write_geotiff(folder / f"{name}_SR_clip.tif", digital, grid.transform, UTM, nodata=0, names=BANDS)
    classes = classify(scene, seed)
    coarse = grid.coarsened(2)
    write_geotiff(folder / f"{name}_SCL_clip.tif", classes[None], coarse.transform, UTM, nodata=0, names=["SCL"])
    write_shapefile(folder / f"{name}.shp", label_table(slumps, grid))


def label_table(slumps: tuple[Slump, ...], grid: Grid) -> gpd.GeoDataFrame:
    """The slumps on a grid, cut at its border: the columns `id`, `label` (1) and the polygons."""
    rows = []
    for slump in slumps:
        part = slump.polygon.intersection(grid.outline)
        if part.area > 0:
            rows.append((slump.number, 1, part))
    columns = {"id": [row[0] for row in rows], "label": [row[1] for row in rows]}
    return gpd.GeoDataFrame(columns, geometry=[row[2] for row in rows], crs=UTM)


def classify(scene: Sentinel2Scene, seed: int) -> npt.NDArray[np.uint8]:
    """Scene classification (SCL codes) at 20 m, uint8 (height/2, width/2).

    Like the real one it errs at the edges of clouds: the opacity at which a cloud counts wanders.
    """
    blue, _, red, nir = (_halved(band) for band in scene.measured)
    cloud, shadow = _halved(scene.sky.cloud), _halved(scene.sky.shadow)
    rng = generator(seed, "scl", scene.acquisition.name)
    cloud = cloud + 0.05 * spectral_noise(cloud.shape, rng, roughness=2.0, longest=20) * (cloud > 0.02)
    ndvi = (nir - red) / np.maximum(nir + red, 1e-3)
    classes = np.full(cloud.shape, 5, dtype=np.uint8)
    classes[ndvi > 0.38] = 4
    classes[(ndvi > 0.30) & (ndvi <= 0.38)] = 7
    classes[(nir < 0.06) & (ndvi < 0.1)] = 6
    classes[(blue < 0.03) & (nir < 0.10) & (ndvi > 0.1)] = 2
    classes[shadow > 0.25] = 3
    for code, opacity in ((10, 0.10), (8, 0.22), (9, 0.55)):
        classes[cloud > opacity] = code
    return classes


def _halved(band: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """The mean of each block of 2 x 2 pixels."""
    height, width = band.shape
    halved: npt.NDArray[np.floating] = band.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    return halved
