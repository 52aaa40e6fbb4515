"""PlanetScope scenes and labels as they are published. Their folder is named by the environment variable DARTS_REAL_DATA."""

import json
import os
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.features import rasterize
from rasterio.transform import Affine
from shapely.geometry import box

from darts.preprocess import plan_planet_train_data, preprocess_planet_train_data
from darts.preprocess.findings import Kind

from .conftest import write_polygons, write_raster
from .test_pipeline import checked, report

DATA = Path(os.environ.get("DARTS_REAL_DATA", "."))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("DARTS_REAL_DATA" not in os.environ, reason="DARTS_REAL_DATA names no folder of real scenes"),
]


def coefficients(folder):
    """Reflectance per digital number, of each band in order."""
    text = next(folder.glob("*_metadata.xml")).read_text()
    return [float(part.split("<")[0]) for part in text.split("<ps:reflectanceCoefficient>")[1:]]


@pytest.mark.parametrize(
    ("name", "image_id", "patch"),
    [("planet_103d", "20170915_020728_103d", 128), ("planet_decimated", "20170831_172754_101c", 64)],
)
def test_scenes_as_delivered(tmp_path, name, image_id, patch):
    folder = DATA / name
    with rasterio.open(next(folder.glob("*_AnalyticMS.tif"))) as source:
        numbers, transform, crs, bounds = source.read().astype(float), source.transform, source.crs, source.bounds
    seen = (numbers != 0).all(axis=0)
    if mask := next(folder.glob("*_DN_udm.tif"), None):
        with rasterio.open(mask) as source:
            bits = source.read(1)
        seen &= (bits & 253) == 0
        clear = seen & (bits == 0)
    else:
        clear = seen
    middle = np.argwhere(clear).mean(axis=0)
    x, y = transform * (middle[1], middle[0])
    pixel = transform.a
    shape = box(x - 16 * pixel, y - 14 * pixel, x + 18 * pixel, y + 15 * pixel)
    labels = gpd.GeoSeries([shape], crs=crs).to_crs("EPSG:4326")
    outline = gpd.GeoSeries([box(*bounds)], crs=crs).to_crs("EPSG:4326")
    repository = tmp_path / "labels" / "iteration001"
    write_polygons(repository / "TrainingLabel_a.gpkg", labels, crs="EPSG:4326", image_id=[image_id])
    write_polygons(repository / "ImageFootprints_a.gpkg", outline.buffer(0.01), crs="EPSG:4326", image_id=[image_id])
    result = preprocess_planet_train_data(
        data_dir=folder, labels_dir=tmp_path / "labels", train_data_dir=tmp_path / "out", patch_size=patch, overlap=0,
        exclude_nan=False, bands=["blue", "green", "red", "nir", "ndvi"], workers=1,
    )  # fmt: skip
    assert (result.labels_used, result.failed) == (1, {})
    reflectance = np.where(seen, numbers * np.array(coefficients(folder))[:, None, None], np.nan)
    red, nir = np.clip(reflectance[2], 0, 1), np.clip(reflectance[3], 0, 1)
    wanted = np.concatenate([np.clip((reflectance + 0.1) / 0.6, 0, 1), [((nir - red) / (nir + red) + 1) / 2]])
    codes = np.where(clear, rasterize([shape], out_shape=seen.shape, transform=transform), 2)
    dataset = checked(tmp_path / "out")
    assert len(dataset) >= 4
    assert set(dataset.metadata["scene_date"]) == {f"{image_id[:4]}-{image_id[4:6]}-{image_id[6:8]}"}
    for row, sample in dataset.metadata.iterrows():
        cut = (slice(sample["row"], sample["row"] + patch), slice(sample["column"], sample["column"] + patch))
        np.testing.assert_array_equal(dataset.read_y(row), codes[cut])
        known = wanted[(slice(None), *cut)]
        there = np.isfinite(known)
        np.testing.assert_allclose(dataset.read_x(row)[there], known[there], atol=2e-5)
    assert dataset.metadata["positive_pixels"].sum() == (codes == 1).sum() > 500


@pytest.fixture(scope="module")
def repository():
    """Every published label, with iteration and file."""
    tables = []
    for path in sorted((DATA / "rts_labels").glob("*/TrainingLabel*.gpkg")):
        table = gpd.read_file(path)[["image_id", "geometry"]]
        tables.append(table.assign(iteration=path.stem[-3:], feature=range(len(table))))
    return pd.concat(tables, ignore_index=True)


def outlines(repository):
    """Image id -> the ground it shows: its footprint, or where that is missing, the box around its labels."""
    paths = sorted((DATA / "rts_labels").glob("*/ImageFootprints*.gpkg"))
    footprints = pd.concat([gpd.read_file(path)[["image_id", "geometry"]] for path in paths])
    known = dict(zip(footprints["image_id"], footprints.geometry, strict=True))
    without = repository[repository["iteration"] == "001"]
    return {image_id: box(*part.total_bounds) for image_id, part in without.groupby("image_id")} | known


def write_scene(folder, image_id, outline):
    """A coarse simulated scene that shows an outline, in the UTM zone of its middle."""
    area = gpd.GeoSeries([outline], crs="EPSG:4326")
    projected = area.to_crs(area.estimate_utm_crs())
    left, bottom, right, top = projected.total_bounds
    pixel = max(right - left, top - bottom) / 60
    numbers = np.random.default_rng(len(image_id)).integers(500, 4000, (4, 64, 64)).astype(np.uint16)
    transform = Affine(pixel, 0, left - 2 * pixel, 0, -pixel, top + 2 * pixel)
    stem = "BGRN_SR" if image_id[7] == "_" else "3B_AnalyticMS_SR"
    path = folder / image_id / f"{image_id}_{stem}.tif"
    write_raster(path, numbers, crs=projected.crs.to_string(), transform=transform, nodata=0)


def test_no_published_label_is_lost(tmp_path, repository):
    """Scenes at the places of all published images but a few: each label is burnt in, or listed."""
    places = outlines(repository)
    left_out = sorted(places)[::20]
    for image_id, outline in places.items():
        if image_id not in left_out:
            write_scene(tmp_path / "planet", image_id, outline)
    plan = plan_planet_train_data(
        data_dir=tmp_path / "planet", labels_dir=DATA / "rts_labels", train_data_dir=tmp_path / "out", patch_size=64
    )
    used = sum(len(scene.labels) for scene in plan.scenes)
    lost = [finding for finding in plan.findings if finding.kind == Kind.LABEL_WITHOUT_IMAGE]
    full_id = {label: next(full for full in places if full.startswith(label)) for label in set(repository["image_id"])}
    expected = repository[repository["image_id"].map(full_id).isin(left_out)]
    assert len(repository) == 3749
    assert used + len(lost) == 3749
    assert {(one.file[-8:-5], int(one.feature)) for one in lost} == set(
        expected[["iteration", "feature"]].itertuples(index=False, name=None)
    )
    recovered = [finding for finding in plan.findings if finding.kind == Kind.RECOVERED_ID]
    truncated = repository[repository["iteration"] == "005"]
    assert len(truncated) == 141
    assert len(recovered) == 141 - truncated["image_id"].map(full_id).isin(left_out).sum() > 100


def test_truncated_ids_of_the_fifth_iteration_become_positives(tmp_path, repository):
    truncated = repository[repository["iteration"] == "005"]
    places = outlines(repository)
    ids = sorted({full for full in places for label in set(truncated["image_id"]) if full == label + full[-1]})
    for image_id in ids:
        write_scene(tmp_path / "planet", image_id, places[image_id])
    result = preprocess_planet_train_data(
        data_dir=tmp_path / "planet", labels_dir=DATA / "rts_labels", train_data_dir=tmp_path / "out", patch_size=64,
        all_touched=True, workers=1,
    )  # fmt: skip
    assert len(ids) == result.n_scenes == result.n_positive_patches == 5
    assert result.labels_used == 141
    features = json.loads((tmp_path / "out" / "labels.geojson").read_text())["features"]
    assert {f["properties"]["sample_id"] for f in features} == set(ids)
    kinds = pd.Series([finding.kind for finding in report(tmp_path / "out")]).value_counts()
    assert kinds[Kind.RECOVERED_ID] == 141
    assert kinds[Kind.LABEL_WITHOUT_IMAGE] == 3749 - 141 == result.labels_unused
    dataset = checked(tmp_path / "out")
    for row, sample in dataset.metadata.iterrows():
        with rasterio.open(next((tmp_path / "planet" / sample["sample_id"]).glob("*.tif"))) as source:
            transform, crs = source.transform, source.crs
        mine = truncated[truncated["image_id"] == sample["sample_id"][:-1]].set_crs("EPSG:4326").to_crs(crs)
        burnt = rasterize(mine.geometry.make_valid(), out_shape=(64, 64), transform=transform, all_touched=True)
        y = dataset.read_y(row)
        np.testing.assert_array_equal(y[y != 2], burnt[y != 2])
