"""Regions of patches."""

import pytest
import rasterio

from darts.core.errors import SceneError
from darts.preprocess.regions import admin_file, read_regions, region_of, regions_of
from darts.preprocess.scenes import Grid

from .conftest import UTM, pixels, square, write_polygons

GRID = Grid(rasterio.CRS.from_string(UTM), pixels(10), 40, 40)


@pytest.fixture
def areas(tmp_path):
    shapes = [square(0, 0, 13), square(0, 13, 60), square(13, 0, 13), square(200, 200, 5)]
    names = ["West", "East", "West", "Far"]
    return read_regions(write_polygons(tmp_path / "areas.gpkg", shapes, shapeName=names, name=["x"] * 4))


def test_the_largest_overlap_counts(areas):
    here = regions_of(areas, GRID)
    assert sorted(set(here["region"])) == ["East", "West"]
    assert region_of(GRID.outline(0, 0, 10, 10), here, "folder") == "West"
    assert region_of(GRID.outline(0, 7, 10, 10), here, "folder") == "West"
    assert region_of(GRID.outline(0, 9, 10, 10), here, "folder") == "East"
    # Two pieces of one region count together: 10 x 5 and 10 x 5 against 10 x 8.
    assert region_of(GRID.outline(8, 3, 10, 18), here, "folder") == "West"


def test_without_an_area_the_folder_names_the_region(areas):
    here = regions_of(areas, GRID)
    assert region_of(GRID.outline(30, 0, 10, 10), here, "folder") == "folder"
    assert region_of(GRID.outline(), None, "folder") == "folder"


def test_equal_overlaps_go_by_name(tmp_path):
    path = write_polygons(tmp_path / "a.gpkg", [square(0, 0, 10), square(0, 10, 10)], Region=["b", "a"])
    assert region_of(GRID.outline(0, 5, 10, 10), regions_of(read_regions(path), GRID), "folder") == "a"


def test_areas_in_another_reference_system(tmp_path):
    import geopandas as gpd

    shapes = gpd.GeoSeries([square(0, 0, 20), square(0, 20, 20)], crs=UTM).to_crs("EPSG:4326")
    path = write_polygons(tmp_path / "a.geojson", shapes, crs="EPSG:4326", NAME=["a", "b"])
    here = regions_of(read_regions(path), GRID)
    assert region_of(GRID.outline(0, 12, 10, 10), here, "folder") == "a"


def test_which_file(tmp_path):
    with pytest.raises(SceneError, match="--admin-dir must be a file"):
        admin_file(tmp_path / "none")
    with pytest.raises(SceneError, match="has 0"):
        admin_file(tmp_path)
    one = write_polygons(tmp_path / "geoBoundariesCGAZ_ADM1.shp", [square(0, 0, 1)], shapeName=["a"])
    assert admin_file(tmp_path) == admin_file(one) == one
    two = write_polygons(tmp_path / "geoBoundariesCGAZ_ADM2.shp", [square(0, 0, 1)], shapeName=["a"])
    assert admin_file(tmp_path) == two
    two.rename(tmp_path / "areas.shp")
    with pytest.raises(SceneError, match="has 2"):
        admin_file(tmp_path)


def test_names_are_needed(tmp_path):
    with pytest.raises(SceneError, match="shapeName, name or region"):
        read_regions(write_polygons(tmp_path / "a.gpkg", [square(0, 0, 1)], title=["a"]))
