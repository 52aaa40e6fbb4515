"""Writing GeoTIFFs and vector files so that the same content gives the same bytes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pyogrio
import rasterio
from rasterio.transform import Affine

STAMP = "2021-09-01T00:00:00.000Z"
"""The time that vector formats want to be told; the real one would make every file unique."""


def write_geotiff(
    path: Path,
    bands: npt.NDArray[np.generic],
    transform: Affine,
    crs: str,
    *,
    nodata: float | None = None,
    names: Sequence[str] = (),
) -> None:
    """Write bands (count, height, width) as a tiled, deflated GeoTIFF.

    Parameters
    ----------
    path
        The file; its folder is created.
    bands
        Array (count, height, width) of any type that GeoTIFF knows.
    transform, crs
        Where it lies.
    nodata
        The value that means no data.
    names
        A description for each band.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = bands.shape
    profile: dict[str, Any] = {
        "driver": "GTiff", "count": count, "height": height, "width": width, "dtype": bands.dtype, "crs": crs,
        "transform": transform, "nodata": nodata, "compress": "deflate", "zlevel": 4, "tiled": True,
        "blockxsize": 256, "blockysize": 256, "predictor": 3 if bands.dtype.kind == "f" else 2,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(bands)
        for number, name in enumerate(names, start=1):
            file.set_band_description(number, name)


def write_geopackage(path: Path, frame: gpd.GeoDataFrame) -> None:
    """Write a table of geometries as a GeoPackage."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _fixed_time():
        frame.to_file(path, driver="GPKG", layer=path.stem, engine="pyogrio")


def write_shapefile(path: Path, frame: gpd.GeoDataFrame) -> None:
    """Write a table of polygons as a shapefile, with its .dbf, .shx, .prj and .cpg."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_file(path, driver="ESRI Shapefile", engine="pyogrio", DBF_DATE_LAST_UPDATE=STAMP[:10])


@contextmanager
def _fixed_time() -> Iterator[None]:
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": STAMP})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})
