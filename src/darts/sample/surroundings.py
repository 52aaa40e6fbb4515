"""Data that is there for a whole land: elevation, trends of the surface, and regions."""

from pathlib import Path

import geopandas as gpd
import numpy as np
from rasterio.crs import CRS
from rasterio.features import rasterize
from rasterio.transform import Affine
from rasterio.warp import Resampling, reproject, transform_bounds
from scipy import ndimage
from shapely import MultiPoint, Point, voronoi_polygons

from darts.sample.layout import UTM, Grid
from darts.sample.noise import Field, generator, smoothstep, spectral_noise
from darts.sample.rasters import write_geopackage, write_geotiff
from darts.sample.slumps import Slump
from darts.sample.world import Terrain

POLAR = "EPSG:3413"
GEOGRAPHIC = "EPSG:4326"
DEM_NODATA = -9999.0
DEM_STEP = 1 / 32
"""Elevations are multiples of this many metres, which halves the file."""
TREND_PIXEL = 0.00026949458523585647
"""Degrees: about 30 m from north to south."""
TRENDS = ("tc_brightness", "tc_greenness", "tc_wetness")
REGIONS = {
    "West Plain": (0.12, 0.50),
    "North Shore": (0.38, 0.80),
    "South Valley": (0.42, 0.22),
    "Middle Uplands": (0.66, 0.58),
    "East Hills": (0.88, 0.38),
}
"""Names of the regions, and where in the world (west to east, south to north) their middles lie."""


def write_elevation(path: Path, terrain: Terrain, world: Grid) -> None:
    """Write the elevation, float32 metres on the polar grid of ArcticDEM mosaics."""
    transform, shape = _covering_grid(world, POLAR, 10.0)
    elevation = np.full(shape, DEM_NODATA, dtype=np.float32)
    reproject(
        terrain.elevation, elevation, src_transform=world.transform, src_crs=UTM, dst_transform=transform,
        dst_crs=POLAR, dst_nodata=DEM_NODATA, resampling=Resampling.cubic_spline,
    )  # fmt: skip
    known = elevation != DEM_NODATA
    elevation[known] = np.rint(elevation[known] / DEM_STEP) * DEM_STEP
    write_geotiff(path, elevation[None], transform, POLAR, nodata=DEM_NODATA, names=["dem"])


def write_trends(path: Path, seed: int, terrain: Terrain, world: Grid, slumps: tuple[Slump, ...]) -> None:
    """Write the trends of tasseled-cap brightness, greenness and wetness, uint8 around 128."""
    transform, shape = _covering_grid(world, GEOGRAPHIC, TREND_PIXEL)
    trends = np.full((len(TRENDS), *shape), 128, dtype=np.uint8)
    for number, field in enumerate(_trends(seed, terrain, world, slumps)):
        reproject(
            ndimage.gaussian_filter(field, 1.5), trends[number], src_transform=world.transform, src_crs=UTM,
            dst_transform=transform, dst_crs=GEOGRAPHIC, init_dest_nodata=False, resampling=Resampling.bilinear,
        )  # fmt: skip
    write_geotiff(path, trends, transform, GEOGRAPHIC, names=TRENDS)


def _trends(seed: int, terrain: Terrain, world: Grid, slumps: tuple[Slump, ...]) -> list[Field]:
    """Trends on the world's grid: slumps, drained lakes and old burns all lose plants."""
    shapes = [(slump.polygon, 1.0 - 0.6 * slump.regrowth) for slump in slumps]
    lost = rasterize(shapes, out_shape=world.shape, transform=world.transform, dtype="float32") if shapes else 0.0
    burns = spectral_noise(world.shape, generator(seed, "burns"), roughness=3.2, longest=60, shortest=4)
    disturbed = lost + smoothstep(burns, 1.5, 1.9) + smoothstep(terrain.drybeds, -0.05, 0.1)
    noise = [
        spectral_noise(world.shape, generator(seed, name), roughness=2.0, longest=40, shortest=3) for name in TRENDS
    ]
    levels = [128 + gain * np.clip(disturbed, 0, 1.2) for gain in (38, -42, -16)]
    return [np.clip(level + 11 * one, 1, 254).astype(np.float32) for level, one in zip(levels, noise, strict=True)]


def write_regions(path: Path, seed: int, world: Grid) -> None:
    """Write the regions that divide the land, with their names in the column `shapeName`."""
    west, south, east, north = world.bounds
    rng = generator(seed, "regions")
    places = {
        name: Point(
            west + (x + rng.normal(0, 0.02)) * (east - west), south + (y + rng.normal(0, 0.03)) * (north - south)
        )
        for name, (x, y) in REGIONS.items()
    }
    land = world.outline
    cells = voronoi_polygons(MultiPoint(list(places.values())), extend_to=land).geoms
    shapes = [next(cell for cell in cells if cell.contains(place)).intersection(land) for place in places.values()]
    table = gpd.GeoDataFrame({"shapeName": list(places)}, geometry=shapes, crs=UTM)
    write_geopackage(path, table.segmentize(500).to_frame("geometry").assign(shapeName=list(places)).to_crs(GEOGRAPHIC))


def _covering_grid(world: Grid, crs: str, pixel: float) -> tuple[Affine, tuple[int, int]]:
    """A north-up grid in another system that covers the world: transform and shape, snapped to whole pixels."""
    west, south, east, north = transform_bounds(CRS.from_string(UTM), CRS.from_string(crs), *world.bounds)
    left, top = np.floor(west / pixel), np.ceil(north / pixel)
    width, height = int(np.ceil(east / pixel) - left), int(top - np.floor(south / pixel))
    return Affine(pixel, 0, left * pixel, 0, -pixel, top * pixel), (height, width)
