"""PlanetScope scene folders, and the labels and footprints that go with them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
from rasterio.features import rasterize
from shapely import Polygon
from shapely.affinity import rotate, scale

from darts.sample.atmosphere import Sky, simulate_sky, through_the_air, to_digital_numbers
from darts.sample.cover import BANDS, Reflectance
from darts.sample.layout import UTM, Acquisition, Grid
from darts.sample.paint import paint_land
from darts.sample.rasters import write_geopackage, write_geotiff
from darts.sample.slumps import Slump
from darts.sample.world import Terrain

GEOGRAPHIC = "EPSG:4326"
UDM2_BANDS = ("clear", "snow", "shadow", "haze_light", "haze_heavy", "cloud", "confidence", "unusable")
ITERATION = "iteration001"
TRACK = 8.0
"""Degrees by which the scene is turned against its grid; the corners stay empty."""


@dataclass(frozen=True)
class PlanetScene:
    """A simulated scene before it is written."""

    acquisition: Acquisition
    footprint: Polygon
    """In UTM, metres; inside the grid and turned."""
    seen: npt.NDArray[np.bool_]
    """Pixels inside the footprint (height, width)."""
    sky: Sky
    measured: Reflectance
    """float32 (4, height, width)."""


def simulate_planet_scene(
    seed: int, terrain: Terrain, world: Grid, slumps: tuple[Slump, ...], acquisition: Acquisition
) -> PlanetScene:
    """What a PlanetScope satellite sees of the land on the day of the acquisition."""
    grid, name = acquisition.grid, acquisition.name
    land = paint_land(terrain, world, slumps, grid, acquisition.sun)
    sky = simulate_sky(seed, name, grid, acquisition.sun, mean_cover=0.03)
    footprint = scale(rotate(grid.outline, -TRACK), 0.88, 0.88)
    seen = rasterize([footprint], out_shape=grid.shape, transform=grid.transform, dtype="uint8") == 1
    measured = through_the_air(land.reflectance, sky, seed, name)
    return PlanetScene(acquisition, footprint, seen, sky, measured)


def write_planet_scene(folder: Path, scene: PlanetScene) -> None:
    """Write the reflectance, the usable data mask and the metadata of a scene into its folder."""
    grid, name = scene.acquisition.grid, scene.acquisition.name
    digital = np.where(scene.seen, to_digital_numbers(scene.measured), 0).astype(np.uint16)
    write_geotiff(folder / f"{name}_3B_AnalyticMS_SR.tif", digital, grid.transform, UTM, nodata=0, names=BANDS)
    write_geotiff(folder / f"{name}_3B_udm2.tif", udm2(scene), grid.transform, UTM, names=UDM2_BANDS)
    metadata = json.dumps(scene_metadata(scene), indent=2)
    (folder / f"{name}_metadata.json").write_text(metadata + "\n", encoding="utf-8")


def udm2(scene: PlanetScene) -> npt.NDArray[np.uint8]:
    """The usable data mask, uint8 (8, height, width) in the order of UDM2_BANDS."""
    seen, cloud, shadow = scene.seen, scene.sky.cloud, scene.sky.shadow
    opaque, hazy = cloud > 0.30, (cloud > 0.08) & (cloud <= 0.30)
    dark = (shadow > 0.25) & ~opaque & ~hazy
    nothing = np.zeros_like(seen)
    clear = ~opaque & ~hazy & ~dark
    certainty = np.clip(np.rint(60 + 90 * np.abs(cloud - 0.30)), 0, 100)
    flags = [clear, nothing, dark, hazy, nothing, opaque, nothing]
    mask = np.stack([flag & seen for flag in flags] + [~seen]).astype(np.uint8)
    mask[6] = np.where(seen, certainty, 0)
    return mask


def scene_metadata(scene: PlanetScene) -> dict[str, Any]:
    """The scene as an item of the provider's catalogue: a GeoJSON feature."""
    acquisition = scene.acquisition
    cloudy = float((udm2(scene)[5] == 1).sum() / max(1, scene.seen.sum()))
    return {
        "id": acquisition.name,
        "type": "Feature",
        "geometry": _geographic([scene.footprint]).iloc[0].__geo_interface__,
        "properties": {
            "acquired": f"{acquisition.time:%Y-%m-%dT%H:%M:%S.%fZ}",
            "cloud_cover": round(cloudy, 2),
            "gsd": acquisition.grid.resolution,
            "item_type": "PSScene",
            "satellite_id": acquisition.name.rsplit("_", 1)[1],
            "sun_azimuth": round(acquisition.sun.azimuth, 1),
            "sun_elevation": round(acquisition.sun.elevation, 1),
        },
    }


def write_labels(folder: Path, scenes: list[PlanetScene], slumps: tuple[Slump, ...]) -> None:
    """Write the labels and the footprints of all scenes into the folder of one labelling iteration."""
    inside = folder / ITERATION
    write_geopackage(inside / f"TrainingLabel_{ITERATION}.gpkg", label_table(scenes, slumps))
    write_geopackage(inside / f"ImageFootprints_{ITERATION}.gpkg", footprint_table(scenes))


def label_table(scenes: list[PlanetScene], slumps: tuple[Slump, ...]) -> gpd.GeoDataFrame:
    """One row for each slump in each scene, cut at the footprint, EPSG:4326."""
    found = [
        (scene.acquisition, slump.number, slump.polygon.intersection(scene.footprint))
        for scene in scenes
        for slump in slumps
        if slump.polygon.intersects(scene.footprint)
    ]
    columns = {
        "image_id": [one.name for one, _, _ in found],
        "image_date": [f"{one.time:%Y-%m-%d}" for one, _, _ in found],
        "region": ["Simulation"] * len(found),
        "site": ["Simulated tundra"] * len(found),
        "id_ds": [number for _, number, _ in found],
        "label": [1] * len(found),
        "id": list(range(len(found))),
        "datasource": ["PSScene"] * len(found),
        "author": ["simulated"] * len(found),
        "subset": [1] * len(found),
        "target": ["slump"] * len(found),
    }
    return gpd.GeoDataFrame(columns, geometry=_geographic([shape for _, _, shape in found]), crs=GEOGRAPHIC)


def footprint_table(scenes: list[PlanetScene]) -> gpd.GeoDataFrame:
    """One row for each scene, EPSG:4326."""
    columns = {
        "image_id": [scene.acquisition.name for scene in scenes],
        "image_date": [f"{scene.acquisition.time:%Y-%m-%d}" for scene in scenes],
        "datasource": ["PlanetScope Scene"] * len(scenes),
        "subset": [1] * len(scenes),
        "iteration": [ITERATION] * len(scenes),
    }
    return gpd.GeoDataFrame(columns, geometry=_geographic([scene.footprint for scene in scenes]), crs=GEOGRAPHIC)


def _geographic(shapes: list[Polygon]) -> gpd.GeoSeries:
    return gpd.GeoSeries(shapes, crs=UTM).to_crs(GEOGRAPHIC)


def scene_centres(slumps: tuple[Slump, ...], grids: list[Grid]) -> list[tuple[float, float]]:
    """For each grid, the slump nearest to its middle, so that no scene is without labels; else the middle."""
    centres = []
    for grid in grids:
        west, south, east, north = grid.bounds
        x, y = (west + east) / 2, (south + north) / 2
        nearest = min(
            ((slump.polygon.centroid.x, slump.polygon.centroid.y) for slump in slumps),
            key=lambda point: float(np.hypot(point[0] - x, point[1] - y)),
            default=(x, y),
        )
        far = np.hypot(nearest[0] - x, nearest[1] - y) > (east - west) / 3
        centres.append((x, y) if far else nearest)
    return centres
