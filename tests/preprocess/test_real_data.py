"""Real scenes, as they are delivered. The folder of them is named by the environment variable DARTS_REAL_DATA."""

import os
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from shapely.geometry import box

from darts.core.errors import SceneError
from darts.dataset.check import check_structure
from darts.preprocess import plan_s2_train_data, preprocess_s2_train_data
from factories import problems_of

from .conftest import write_polygons

DATA = Path(os.environ.get("DARTS_REAL_DATA", "."))
BYKOVSKY = ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("DARTS_REAL_DATA" not in os.environ, reason="DARTS_REAL_DATA names no folder of real scenes"),
]


def checked(directory):
    """The dataset, after every value of it was checked."""
    dataset = check_structure(directory)
    assert not any(problems_of(dataset))
    return dataset


def labels_in_the_middle(raster, path):
    """A file with one disk of 200 m in the middle of a raster."""
    with rasterio.open(raster) as source:
        return write_polygons(path, [box(*source.bounds).centroid.buffer(200)], crs=source.crs.to_string())


@pytest.fixture(scope="module")
def fort_mcmurray():
    folder = DATA / "s2_l2a_fort_mcmurray"
    with rasterio.open(folder / "B02.tif") as source:
        bounds, crs, shape = source.bounds, source.crs, source.shape
    x, y = (bounds.left + bounds.right) / 2, (bounds.bottom + bounds.top) / 2
    corners = {
        "north-west": (bounds.left, y, x, bounds.top),
        "north-east": (x, y, bounds.right, bounds.top),
        "south-west": (bounds.left, bounds.bottom, x, y),
        "south-east": (x, bounds.bottom, bounds.right, y),
    }
    quadrants = gpd.GeoDataFrame({"name": list(corners)}, geometry=[box(*edge) for edge in corners.values()], crs=crs)
    return folder, quadrants, shape


def test_bare_ground_in_degrees_with_quadrants_as_regions(fort_mcmurray, tmp_path):
    folder, quadrants, (height, width) = fort_mcmurray
    quadrants.to_file(tmp_path / "quadrants.gpkg")
    ignored = [0, 1, 2, 3, 7, 8, 9, 10]
    bands = ["blue", "green", "red", "nir", "swir16"]
    result = preprocess_s2_train_data(
        sentinel2_dir=folder, train_data_dir=tmp_path / "out", bands=bands, admin_dir=tmp_path / "quadrants.gpkg",
        overlap=0, scl_ignore=ignored, patch_size=128,
    )  # fmt: skip
    assert (result.labels_used, result.labels_unused, result.labels_without_pixel) == (3191, 0, 0)
    dataset = checked(tmp_path / "out")
    assert len(dataset) + sum(result.dropped.values()) == 14 * 11
    stored = {
        name: rasterio.open(folder / f"{name}.tif").read(1) for name in ("B02", "B03", "B04", "B08", "B11", "SCL")
    }
    for row, sample in dataset.metadata.iterrows():
        cut = (slice(sample["row"], sample["row"] + 128), slice(sample["column"], sample["column"] + 128))
        classes = stored["SCL"][cut]
        # The labels were made from class 5, and rasterise back to it.
        np.testing.assert_array_equal(dataset.read_y(row), np.where(np.isin(classes, ignored), 2, classes == 5))
        numbers = np.stack([stored[name][cut] for name in ("B02", "B03", "B04", "B08", "B11")]).astype(float)
        np.testing.assert_allclose(dataset.read_x(row), np.clip((numbers / 10_000 + 0.1) / 0.6, 0, 1), atol=1.1e-5)
        half = (sample["row"] + 64 > height / 2, sample["column"] + 64 > width / 2)
        assert sample["region"] == f"{('north', 'south')[half[0]]}-{('west', 'east')[half[1]]}"


def test_a_scene_of_unnamed_bands_with_labels_elsewhere(tmp_path):
    folder = DATA / "rts_bykovsky"
    settings = {"sentinel2_dir": folder, "patch_size": 64, "bands": "blue,green,red,nir,nir08,swir22,ndvi"}
    labels = folder / "official_labels_iteration004_bykovsky.gpkg"
    with pytest.raises(SceneError, match=r"no bands can be recognised.*--source-bands"):
        plan_s2_train_data(train_data_dir=tmp_path / "out", labels_dir=labels, **settings)
    settings["source_bands"] = BYKOVSKY
    with pytest.raises(SceneError, match=r"must hold one label file, but holds Bykovsky_AOI.*--labels-dir"):
        plan_s2_train_data(train_data_dir=tmp_path / "out", **settings)
    with pytest.raises(SceneError, match="none of 1 label files"):
        plan_s2_train_data(train_data_dir=tmp_path / "out", labels_dir=folder / "empty_labels", **settings)
    result = preprocess_s2_train_data(train_data_dir=tmp_path / "out", labels_dir=labels, **settings)
    assert (result.labels_used, result.labels_unused) == (6, 130)
    assert result.n_patches == 25
    assert result.n_positive_patches == 9
    assert set(checked(tmp_path / "out").metadata["scene_date"]) == {"2021-07-21"}


def test_an_empty_label_file_of_a_scene_is_a_scene_without_positives(tmp_path):
    folder = tmp_path / "scene"
    folder.mkdir()
    (folder / "s2.tif").symlink_to(DATA / "rts_bykovsky" / "S2_20210721T035541_20210721T035540_T52WEE.tif")
    for path in (DATA / "rts_bykovsky" / "empty_labels").iterdir():
        (folder / path.name).symlink_to(path)
    result = preprocess_s2_train_data(
        sentinel2_dir=folder, train_data_dir=tmp_path / "out", patch_size=64, source_bands=BYKOVSKY
    )
    assert (result.labels_used, result.n_positive_patches, result.n_patches) == (0, 0, 25)


def test_scenes_of_twelve_files_in_three_resolutions(tmp_path):
    folder = DATA / "s2_l2a_bigearthnet"
    bands = "coastal,blue,green,red,rededge071,rededge075,rededge078,nir,nir08,nir09,swir16,swir22,ndvi"
    settings = {
        "sentinel2_dir": folder,
        "train_data_dir": tmp_path / "out",
        "patch_size": 60,
        "overlap": 0,
        "bands": bands,
    }
    with pytest.raises(SceneError, match=r"has no label file.*--labels-dir"):
        plan_s2_train_data(**settings)
    name = "S2A_MSIL2A_20170613T101031_87_48"
    labels = labels_in_the_middle(folder / name / f"{name}_B02.tif", tmp_path / "labels.gpkg")
    result = preprocess_s2_train_data(labels_dir=labels, **settings)
    assert (result.n_scenes, result.n_patches, result.labels_used) == (6, 24, 1)
    dataset = checked(tmp_path / "out")
    assert dataset.metadata["positive_pixels"].sum() == pytest.approx(np.pi * 20**2, rel=0.01)
    with rasterio.open(folder / name / f"{name}_B08.tif") as source:
        nir = source.read(1)[60:, :60] / 10_000
    np.testing.assert_allclose(dataset.read_x(2)[7], np.clip((nir + 0.1) / 0.6, 0, 1), atol=1.1e-5)


def test_files_of_other_extents_and_resolutions(tmp_path):
    labels = labels_in_the_middle(DATA / "s2_l1c_jp2" / "s2_B05.jp2", tmp_path / "labels.gpkg")
    result = preprocess_s2_train_data(
        sentinel2_dir=DATA / "s2_l1c_jp2", train_data_dir=tmp_path / "out", patch_size=256, overlap=0,
        bands="coastal,rededge071,nir08,swir16", labels_dir=labels,
    )  # fmt: skip
    # Coastal ends 20 m before the others, so that the patches at two edges lack values.
    assert result.n_patches + result.dropped["missing values"] == 16
    assert result.labels_used == 1
    assert checked(tmp_path / "out").metadata["crs"].unique().tolist() == ["EPSG:32618"]
    with pytest.raises(SceneError, match="bands blue are needed, but the scene has only coastal"):
        plan_s2_train_data(sentinel2_dir=DATA / "s2_l1c_jp2", train_data_dir=tmp_path / "out", bands="blue")


@pytest.mark.parametrize("folder", ["planet_103d", "dem"])
def test_other_sensors_are_refused_with_the_way_out(tmp_path, folder):
    with pytest.raises(SceneError, match=r"no bands can be recognised.*--source-bands"):
        plan_s2_train_data(sentinel2_dir=DATA / folder, train_data_dir=tmp_path / "out", patch_size=64)
