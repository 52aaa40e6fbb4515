"""The preprocess commands, as a user types them: what they say, and how they fail."""

import shutil

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio import Affine
from shapely.geometry import Polygon, box

from darts.dataset.check import check_structure

from .conftest import fails, listing, run, succeeds

SMALL = ("--patch-size", 32, "--overlap", 0, "--workers", 1)
IDS = ("20210818_223529_10_2459", "20210901_220000_11_2460")
CRS = "EPSG:32608"
BOW_TIE = Polygon([(500_010, 7_599_990), (500_060, 7_599_940), (500_060, 7_599_990), (500_010, 7_599_940)])


def write(path, values, *, transform=None, crs=CRS):
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    transform = transform or Affine(3, 0, 500_000, 0, -3, 7_600_000)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=height,
        width=width,
        count=count,
        dtype=values.dtype,
        crs=crs,
        transform=transform,
    ) as target:
        target.write(values)


def numbers(shape=(4, 64, 64)):
    return np.random.default_rng(0).integers(1, 6000, shape).astype(np.uint16)


@pytest.fixture
def planet(tmp_path):
    """Two scenes on the same ground, and the labels of both."""
    for image_id in IDS:
        write(tmp_path / "planet" / image_id / f"{image_id}_3B_AnalyticMS_SR.tif", numbers())
    folder = tmp_path / "labels" / "iteration001"
    folder.mkdir(parents=True)
    shapes = [box(500_030, 7_599_900, 500_090, 7_599_960), BOW_TIE, box(500_030, 7_599_900, 500_090, 7_599_960)]
    labels = gpd.GeoDataFrame({"image_id": [IDS[0], IDS[1], IDS[1][:-1]]}, geometry=shapes, crs=CRS)
    labels.to_crs("EPSG:4326").to_file(folder / "TrainingLabel_a.gpkg")
    outlines = gpd.GeoDataFrame({"image_id": IDS}, geometry=[box(500_000, 7_599_800, 500_200, 7_600_000)] * 2, crs=CRS)
    outlines.to_crs("EPSG:4326").to_file(folder / "ImageFootprints_a.gpkg")
    return tmp_path


def preprocess(root, *more):
    return run(
        "preprocess-planet-train-data", "--data-dir", root / "planet", "--labels-dir", root / "labels",
        "--train-data-dir", root / "out", *SMALL, *more,
    )  # fmt: skip


def scene(root, number=0):
    return next((root / "planet" / IDS[number]).glob("*_SR.tif"))


def test_a_dataset_of_planet_scenes(planet):
    text = succeeds(preprocess(planet))
    assert "8 patches of 2 scenes" in text
    assert "labels: 3 burnt in (0 of them hold no pixel, 0 are in no patch), 0 reach no scene" in text
    assert "darts inspect-dataset --train-data-dir" in text
    assert f"{IDS[1][:-1]},iteration001/TrainingLabel_a.gpkg,2" in (planet / "out" / "report.csv").read_text()


def test_a_dry_run_lists_scenes_and_writes_nothing(planet):
    before = listing(planet)
    text = succeeds(preprocess(planet, "--dry-run"))
    assert "would write up to 8 patches of 32 pixels" in text
    assert IDS[0] in text
    assert listing(planet) == before


def test_a_scene_that_fails_is_named_and_the_command_fails_in_the_end(planet):
    path = scene(planet, 1)
    whole = path.read_bytes()
    path.write_bytes(whole[:-3000])
    result = preprocess(planet)
    line = fails(result, 1)
    assert f"1 of 2 scenes failed ({IDS[1]}: " in line
    assert "run the same command again" in line
    assert "4 patches of 1 scenes" in result.stdout
    assert len(check_structure(planet / "out")) == 4
    path.write_bytes(whole)
    assert "8 patches of 2 scenes" in succeeds(preprocess(planet))


def test_a_mask_of_another_shape(planet):
    write(scene(planet).with_name(f"{IDS[0]}_3B_udm2.tif"), np.zeros((8, 60, 64), np.uint8))
    line = fails(preprocess(planet), 1)
    assert "usable data mask" in line
    assert "60" in line
    assert len(check_structure(planet / "out")) == 4


def test_an_image_that_is_there_twice(planet):
    shutil.copytree(planet / "planet" / IDS[0], planet / "planet" / "copy" / IDS[0])
    line = fails(preprocess(planet), 1)
    assert IDS[0] in line
    assert "copy" in line
    assert not (planet / "out").exists()


def test_all_that_is_missing_is_listed_at_once(planet):
    write(planet / "dem.tif", np.ones((1, 9, 9), np.float32), transform=Affine(3, 0, 0, 0, -3, 0))
    line = fails(preprocess(planet, "--bands", "red,slope,tc_wetness", "--arcticdem-dir", planet / "dem.tif"), 1)
    assert "--tcvis-dir" in line
    assert f"lies over {', '.join(IDS)}" in line
    assert not (planet / "out").exists()


def test_an_elevation_model_that_covers_a_part_leaves_the_rest_without_values(planet):
    write(planet / "dem.tif", np.random.default_rng(1).random((1, 64, 40)).astype(np.float32))
    result = preprocess(planet, "--bands", "red,slope", "--arcticdem-dir", planet / "dem.tif")
    assert "dropped 4 patches: missing values" in succeeds(result)


def test_labels_in_the_wrong_place(planet):
    path = next(planet.rglob("TrainingLabel_a.gpkg"))
    gpd.read_file(path).drop(columns="image_id").to_file(path)
    assert "image_id" in fails(preprocess(planet), 1)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--bands", "red,slop"), "did you mean slope"),
        (("--band-ranges", "red:1"), "--band-ranges: a range is written name:lo:hi"),
        (("--memory-limit", "lots"), "--memory-limit is a size such as 8GB"),
        (("--append", "--force"), "give one of them"),
        (("--tpi-inner-radius", 200), "--tpi-inner-radius must be smaller than --tpi-outer-radius"),
    ],
)
def test_wrong_flags(planet, flags, message):
    assert message in fails(preprocess(planet, *flags), 2)
    assert not (planet / "out").exists()


def test_no_scheduler_is_there(planet, monkeypatch):
    monkeypatch.setattr("darts.preprocess.parallel.SECONDS_TO_CONNECT", 1)
    line = fails(preprocess(planet, "--dask-scheduler", "tcp://127.0.0.1:9"), 1)
    assert "no scheduler answers at tcp://127.0.0.1:9" in line


def test_a_cell_of_a_fetched_elevation_model_is_used(planet, monkeypatch):
    def fetch(self, grids, folder):
        assert (self.resolution, len(grids)) == (2, 2)
        write(folder / "tile_dem.tif", np.random.default_rng(1).random((1, 80, 80)).astype(np.float32))
        return [folder / "tile_dem.tif"]

    monkeypatch.setattr("darts.preprocess.downloads.ArcticDemStac.fetch", fetch)
    flags = ("--bands", "red,slope", "--arcticdem-dir", planet / "dem", "--download", "--arcticdem-resolution", 2)
    assert "there is no" in fails(preprocess(planet, *flags[:4]), 1)
    assert "8 patches" in succeeds(preprocess(planet, *flags))
