"""Administrative areas, which give patches their region."""

from pathlib import Path

import geopandas as gpd
import pandas as pd
import shapely
from shapely.geometry.base import BaseGeometry

from darts.core.errors import SceneError
from darts.preprocess.scenes import Grid
from darts.preprocess.vectors import near, read_vectors, vector_files

_NAME_COLUMNS = ("shapename", "name", "region")
_PREFERRED = "ADM2"
"""Of the files of geoBoundaries, districts make the best regions."""
NAME = "region"


def admin_file(path: Path) -> Path:
    """The file of administrative areas: `path` itself, or the one in this folder (of several, the one with ADM2).

    Raises
    ------
    SceneError
        When there is none, or it isn't clear which.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise SceneError(f"--admin-dir must be a file of areas, or a folder with one, but there is no {path}.")
    files = vector_files(path)
    preferred = [file for file in files if _PREFERRED in file.name] or files
    if len(preferred) != 1:
        raise SceneError(
            f"--admin-dir must hold one file of areas (.shp, .gpkg or .geojson), but {path} has {len(preferred)}; "
            "give the file itself."
        )
    return preferred[0]


def read_regions(path: Path) -> gpd.GeoDataFrame:
    """Read administrative areas: a column `region` and valid geometries, in the order of the file.

    Raises
    ------
    SceneError
        When the file can't be used, or no column names the areas.
    """
    areas = read_vectors(path)
    columns = {str(column).lower(): column for column in areas.columns if column != areas.geometry.name}
    column = next((columns[name] for name in _NAME_COLUMNS if name in columns), None)
    if column is None:
        raise SceneError(
            f"{path}: a column shapeName, name or region must name the areas, but there are only {sorted(columns)}; "
            "rename the one that does."
        )
    named = areas[areas[column].notna() & areas.geometry.notna()]
    geometry = gpd.GeoSeries(shapely.make_valid(named.geometry.values), crs=areas.crs)
    return gpd.GeoDataFrame({NAME: named[column].astype(str).to_list()}, geometry=geometry)


def regions_of(areas: gpd.GeoDataFrame, grid: Grid) -> gpd.GeoDataFrame:
    """The areas that touch a scene, in its coordinate reference system."""
    close = near(areas, grid)
    geometry = gpd.GeoSeries(shapely.make_valid(close.geometry.values), index=close.index, crs=close.crs)
    close = close.set_geometry(geometry)
    return close[close.intersects(grid.outline())].reset_index(drop=True)


def region_of(outline: BaseGeometry, areas: gpd.GeoDataFrame | None, otherwise: str) -> str:
    """The name that covers most of a patch; of equals, the first by alphabet.

    Parameters
    ----------
    outline
        The outline of the patch, in the reference system of `areas`.
    areas
        Areas of the scene, as from `regions_of`, or None.
    otherwise
        The region where no area is.
    """
    if areas is None or areas.empty:
        return otherwise
    areas_shared = shapely.area(shapely.intersection(areas.geometry.values, outline))
    shared = pd.Series(areas_shared).groupby(areas[NAME].to_numpy()).sum()
    return str(shared.idxmax()) if shared.max() > 0 else otherwise
