"""The whole of preprocessing: pixels against plain numpy, the same bytes always, and refusals that leave nothing."""

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.features import rasterize
from shapely.geometry import Polygon

from darts.core.errors import ConfigError, DatasetError, SceneError
from darts.dataset.check import check_structure
from darts.dataset.journal import read_journal
from darts.dataset.reader import Dataset, open_dataset
from darts.dataset.writer import SceneStage
from darts.preprocess import plan_s2_train_data, preprocess_s2_train_data
from darts.preprocess.findings import Finding, from_csv
from factories import problems_of

from .conftest import UTM, pixels, square, write_polygons, write_raster, write_stack_scene

LOCKS = {".lock", ".lock-holder.json"}
SMALL = {"patch_size": 64, "overlap": 16, "workers": 1, "exclude_nan": False}


def checked(directory: Path) -> Dataset:
    """The dataset, after every value of it was checked."""
    dataset = check_structure(directory)
    assert not any(problems_of(dataset))
    return dataset


def report(directory: Path) -> list[Finding]:
    """What is listed beside the dataset."""
    return from_csv((directory / "report.csv").read_text())


def tree(directory: Path) -> dict[str, bytes]:
    """Every file of a dataset and its content, locks aside."""
    files = (path for path in directory.rglob("*") if path.is_file() and path.name not in LOCKS)
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


@pytest.fixture
def scenes(tmp_path):
    root = tmp_path / "scenes"
    sizes = [(128, 128), (112, 160), (64, 64), (100, 90)]
    for seed, (name, (height, width)) in enumerate(zip("abcd", sizes, strict=True)):
        write_stack_scene(root, name, height=height, width=width, seed=seed)
    return root


def expected_patches(folder: Path, size: int, step: int):
    """x and y of all patches of a stack scene by plain rasterio and float64."""
    with rasterio.open(next(folder.glob("*_SR*"))) as source:
        numbers, transform = source.read().astype(float), source.transform
    with rasterio.open(next(folder.glob("*_SCL*"))) as source:
        scl = np.kron(source.read(1), np.ones((2, 2), int))
    height, width = numbers.shape[1:]
    shapes = gpd.read_file(next(folder.glob("*.shp"))).geometry
    y = rasterize(shapes, out_shape=(height, width), transform=transform) if len(shapes) else np.zeros((height, width))
    invalid = (numbers == 0).any(axis=0) | (scl == 0)
    y = np.where(invalid | np.isin(scl, [1, 3, 8, 9, 11]), 2, y)
    refl = np.where(invalid, np.nan, numbers / 10_000)
    red, nir = np.clip(refl[2], 0, 1), np.clip(refl[3], 0, 1)
    channels = [np.clip((band + 0.1) / 0.6, 0, 1) for band in refl] + [((nir - red) / (nir + red) + 1) / 2]
    x = np.stack([np.nan_to_num(c, nan=fill) for c, fill in zip(channels, (0, 0, 0, 0, 0.5), strict=True)])
    for row in [*range(0, height - size, step), height - size]:
        for column in [*range(0, width - size, step), width - size]:
            cut = (slice(row, row + size), slice(column, column + size))
            if (y[cut] != 2).mean() >= 0.1:
                yield (folder.name, row, column), x[(slice(None), *cut)], y[cut]


def test_every_pixel_is_what_plain_numpy_says(scenes, tmp_path):
    result = preprocess_s2_train_data(sentinel2_dir=scenes, train_data_dir=tmp_path / "out", **SMALL)
    dataset = open_dataset(tmp_path / "out")
    expected = [patch for folder in sorted(scenes.iterdir()) for patch in expected_patches(folder, 64, 48)]
    assert len(dataset) == result.n_patches == len(expected) > 15
    for row, (place, x, y) in enumerate(expected):
        sample = dataset.metadata.iloc[row]
        assert (sample["region"], sample["row"], sample["column"]) == place
        assert sample["empty"] == (not (y == 1).any())
        np.testing.assert_allclose(dataset.read_x(row), x, atol=1.1e-5)
        np.testing.assert_array_equal(dataset.read_y(row), y)


def test_what_the_dataset_says_of_itself(scenes, tmp_path):
    out = tmp_path / "out"
    result = preprocess_s2_train_data(sentinel2_dir=scenes, train_data_dir=out, **SMALL)
    dataset = check_structure(out)
    assert not any(problems_of(dataset))
    assert dataset.manifest.band_names == ("blue", "green", "red", "nir", "ndvi")
    assert dataset.manifest.settings["scl_ignore"] == [0, 1, 3, 8, 9, 11]
    assert "train_data_dir" not in dataset.manifest.settings
    assert dataset.metadata["sample_id"].iloc[0] == "a_20210818T223529_N0301_T03WXP"
    assert set(dataset.metadata["scene_date"]) == {"2021-08-18"}
    assert dataset.metadata["patch_id"].is_unique
    assert result.n_positive_patches == (~dataset.metadata["empty"]).sum() > 0
    mapped = dataset.metadata["positive_pixels"].sum() / (
        len(dataset) * 64 * 64 - dataset.metadata["ignored_pixels"].sum()
    )
    assert result.positive_share == pytest.approx(mapped)
    entry = read_journal(out).scenes[0]
    with rasterio.open(next((scenes / "a").glob("*_SR*"))) as source:
        transform = list(source.transform)[:6]
    assert entry.facts == {
        "s2_offset": 0, "s2_offset_from": "name (N0301)", "labels_without_pixel": 0, "labels_in_no_patch": 0,
        "transform": transform,
    }  # fmt: skip
    assert set(entry.inputs) == {
        f"{prefix}20210818T223529_N0301_T03WXP{suffix}"
        for prefix, suffix in [
            ("", "_SR_clip.tif"),
            ("", "_SCL_clip.tif"),
            *[("labels: ", f".{s}") for s in ("dbf", "prj", "shp", "shx")],
        ]
    }
    with rasterio.open(next((scenes / "a").glob("*_SR*"))) as source:
        bounds = source.bounds
    first = gpd.GeoSeries([dataset.metadata.geometry.iloc[0]], crs=4326).to_crs("EPSG:32608")[0].bounds
    np.testing.assert_allclose(first, (bounds.left, bounds.top - 640, bounds.left + 640, bounds.top), atol=1e-3)


def test_labels_that_were_burnt_in_are_kept(scenes, tmp_path):
    result = preprocess_s2_train_data(sentinel2_dir=scenes, train_data_dir=tmp_path / "out", **SMALL)
    features = json.loads((tmp_path / "out" / "labels.geojson").read_text())["features"]
    assert len(features) == result.labels_used == 24
    assert {feature["properties"]["sample_id"][0] for feature in features} == set("abcd")
    west = min(x for feature in features for x, _ in feature["geometry"]["coordinates"][0])
    assert -136 < west < -134


@pytest.mark.parametrize("workers", [2, 3])
def test_the_same_bytes_for_any_number_of_workers(scenes, tmp_path, workers):
    settings = {"sentinel2_dir": scenes} | SMALL
    preprocess_s2_train_data(train_data_dir=tmp_path / "one", **settings)
    preprocess_s2_train_data(train_data_dir=tmp_path / "many", **settings | {"workers": workers})
    assert tree(tmp_path / "one") == tree(tmp_path / "many")
    assert {path.name for path in (tmp_path / "many").iterdir()} - LOCKS == {
        "config.toml",
        "data.zarr",
        "labels.geojson",
        "metadata.parquet",
        "report.csv",
    }


def test_a_finished_dataset_is_left_alone(scenes, tmp_path):
    settings = {"sentinel2_dir": scenes, "train_data_dir": tmp_path / "out"} | SMALL
    first = preprocess_s2_train_data(**settings)
    before = tree(tmp_path / "out")
    second = preprocess_s2_train_data(**settings)
    assert not first.already_complete
    assert second.already_complete
    assert second.resumed_scenes == 4
    assert (second.n_patches, second.dropped) == (first.n_patches, first.dropped)
    assert tree(tmp_path / "out") == before


def test_other_settings_scenes_or_files_are_refused(scenes, tmp_path):
    settings = {"sentinel2_dir": scenes, "train_data_dir": tmp_path / "out"} | SMALL
    preprocess_s2_train_data(**settings)
    with pytest.raises(DatasetError, match=r"begun with other settings.*all_touched was False and is now True"):
        preprocess_s2_train_data(**settings | {"all_touched": True})
    write_stack_scene(scenes, "e")
    with pytest.raises(DatasetError, match="made of 4 scenes, but there are now 5"):
        preprocess_s2_train_data(**settings)
    write_stack_scene(scenes, "aa")
    for path in (scenes / "b").iterdir():
        path.rename(scenes / path.name)
    (scenes / "b").rmdir()
    kept = [path for path in scenes.iterdir() if path.is_file()]
    for path in kept:
        path.rename(tmp_path / path.name)
    with pytest.raises(DatasetError, match=r"begun with the scene b_.*, which is not there now"):
        preprocess_s2_train_data(**settings)
    for name in ("e", "aa"):
        for path in (scenes / name).iterdir():
            path.unlink()
        (scenes / name).rmdir()
    write_stack_scene(scenes, "b", height=112, width=161, seed=1)
    with pytest.raises(DatasetError, match=r"_clip.tif' of the scene b_.* has changed"):
        preprocess_s2_train_data(**settings)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_damaged_scene_is_recorded_and_the_others_go_on(scenes, tmp_path, workers):
    settings = {"sentinel2_dir": scenes, "train_data_dir": tmp_path / "out"} | SMALL | {"workers": workers}
    damaged = next((scenes / "c").glob("*_SR*"))
    whole = damaged.read_bytes()
    # The header is at the beginning, so that the damage shows only when the pixels are read.
    damaged.write_bytes(whole[:-2000])
    result = preprocess_s2_train_data(**settings)
    failed = "c_20210818T223529_N0301_T03WXP"
    assert list(result.failed) == [failed]
    assert damaged.name in result.failed[failed]
    assert result.n_scenes == 3
    assert {name[0] for name in checked(tmp_path / "out").metadata["sample_id"]} == set("abd")
    assert [(one.kind, one.name) for one in report(tmp_path / "out")] == [("failed scene", failed)]
    before = tree(tmp_path / "out")
    again = preprocess_s2_train_data(**settings)
    assert (again.already_complete, list(again.failed)) == (True, [failed])
    assert tree(tmp_path / "out") == before
    damaged.write_bytes(whole)
    mended = preprocess_s2_train_data(**settings)
    assert (mended.resumed_scenes, mended.n_scenes, mended.failed) == (3, 4, {})
    assert report(tmp_path / "out") == []
    dataset = checked(tmp_path / "out")
    assert [name[0] for name in dict.fromkeys(dataset.metadata["sample_id"])] == list("abdc")
    preprocess_s2_train_data(**settings | {"train_data_dir": tmp_path / "fresh"})
    fresh = open_dataset(tmp_path / "fresh").metadata
    assert set(fresh["content_hash"]) == set(dataset.metadata["content_hash"])
    assert len(json.loads((tmp_path / "out" / "labels.geojson").read_text())["features"]) == 24


def test_a_scene_that_can_not_even_be_opened_is_recorded_too(scenes, tmp_path):
    settings = {"sentinel2_dir": scenes, "train_data_dir": tmp_path / "out"} | SMALL
    labels = next((scenes / "b").glob("*.shp"))
    labels.rename(tmp_path / "kept.shp")
    result = preprocess_s2_train_data(**settings)
    assert [name[0] for name in result.failed] == ["b"]
    assert "has no label file" in next(iter(result.failed.values()))
    (tmp_path / "kept.shp").rename(labels)
    assert preprocess_s2_train_data(**settings).n_scenes == 4


def test_scenes_are_added_only_when_asked_to(scenes, tmp_path):
    settings = {"sentinel2_dir": scenes, "train_data_dir": tmp_path / "out"} | SMALL
    preprocess_s2_train_data(**settings)
    first = open_dataset(tmp_path / "out").metadata
    write_stack_scene(tmp_path / "more", "e", seed=9)
    more = settings | {"sentinel2_dir": tmp_path / "more", "append": True}
    with pytest.raises(DatasetError, match=r"begun with other settings .*patch_size was 64 and is now 32"):
        preprocess_s2_train_data(**more | {"patch_size": 32})
    result = preprocess_s2_train_data(**more)
    assert (result.n_scenes, result.resumed_scenes) == (5, 4)
    dataset = checked(tmp_path / "out")
    assert dataset.metadata.iloc[: len(first)]["content_hash"].tolist() == first["content_hash"].tolist()
    assert dataset.metadata["sample_id"].iloc[-1][0] == "e"
    assert len(json.loads((tmp_path / "out" / "labels.geojson").read_text())["features"]) == 30
    before = tree(tmp_path / "out")
    assert preprocess_s2_train_data(**more).already_complete
    assert tree(tmp_path / "out") == before


def test_an_addition_that_is_stopped_goes_on(scenes, tmp_path, monkeypatch):
    settings = {"sentinel2_dir": scenes} | SMALL
    write_stack_scene(tmp_path / "more", "e", seed=9)
    more = settings | {"sentinel2_dir": tmp_path / "more", "append": True}
    for name in ("whole", "stopped"):
        preprocess_s2_train_data(train_data_dir=tmp_path / name, **settings)
    preprocess_s2_train_data(train_data_dir=tmp_path / "whole", **more)
    with monkeypatch.context() as patch:
        patch.setattr("darts.dataset.writer.write_metadata", raise_interrupt)
        with pytest.raises(KeyboardInterrupt):
            preprocess_s2_train_data(train_data_dir=tmp_path / "stopped", **more)
    with pytest.raises(DatasetError, match="was not finished"):
        open_dataset(tmp_path / "stopped")
    preprocess_s2_train_data(train_data_dir=tmp_path / "stopped", **more)
    assert tree(tmp_path / "stopped") == tree(tmp_path / "whole")


def raise_interrupt(*_args):
    raise KeyboardInterrupt


def test_force_begins_anew_and_leaves_other_files_alone(scenes, tmp_path):
    settings = {"sentinel2_dir": scenes, "train_data_dir": tmp_path / "out"} | SMALL
    preprocess_s2_train_data(**settings)
    result = preprocess_s2_train_data(**settings | {"patch_size": 32, "force": True})
    assert (result.already_complete, result.resumed_scenes) == (False, 0)
    assert checked(tmp_path / "out").manifest.patch_size == 32
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("years of work")
    with pytest.raises(DatasetError, match="a new dataset needs an empty folder"):
        preprocess_s2_train_data(**settings | {"train_data_dir": tmp_path / "notes", "force": True})
    assert (tmp_path / "notes" / "thesis.txt").exists()
    with pytest.raises(ConfigError, match="--append adds to a dataset and --force removes it"):
        preprocess_s2_train_data(**settings, append=True, force=True)


def test_a_full_disk_leaves_a_dataset_that_goes_on(scenes, tmp_path, monkeypatch):
    settings = {"sentinel2_dir": scenes} | SMALL
    preprocess_s2_train_data(train_data_dir=tmp_path / "whole", **settings)
    real, calls = SceneStage.add, []

    def add(self, *args):
        calls.append(1)
        if len(calls) == 12:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(SceneStage, "add", add)
        with pytest.raises(DatasetError, match=r"no space left on the disk of .*out; free some, and run the same"):
            preprocess_s2_train_data(train_data_dir=tmp_path / "out", **settings)
    done = len(read_journal(tmp_path / "out").scenes)
    assert done >= 1
    assert preprocess_s2_train_data(train_data_dir=tmp_path / "out", **settings).resumed_scenes == done
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


@pytest.mark.parametrize("undated", ["a", "b", "d", "abcd"])
def test_a_stop_leaves_no_trace_whether_or_not_dates_are_known(tmp_path, undated):
    for seed, name in enumerate("abcd"):
        stem = "x_y_z" if name in undated else "20210818T223529_N0301_T03WXP"
        write_stack_scene(tmp_path / "scenes", name, seed=seed, stem=stem)
    settings = {"sentinel2_dir": tmp_path / "scenes", "s2_offset": 0} | SMALL
    damaged = next((tmp_path / "scenes" / "d").glob("*_SR*"))
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-2000])
    preprocess_s2_train_data(train_data_dir=tmp_path / "out", **settings)
    damaged.write_bytes(whole)
    for name in ("out", "fresh"):
        preprocess_s2_train_data(train_data_dir=tmp_path / name, **settings)
    assert tree(tmp_path / "out") == tree(tmp_path / "fresh")


def test_when_no_scene_can_be_used_nothing_is_left(scenes, tmp_path):
    for damaged in scenes.glob("*/*_SR*"):
        damaged.write_bytes(damaged.read_bytes()[:-2000])
    with pytest.raises(SceneError, match=r"_SR_clip.tif must be a whole GeoTIFF.*\(scenes that failed: 4\)"):
        preprocess_s2_train_data(sentinel2_dir=scenes, train_data_dir=tmp_path / "out", **SMALL)
    assert tree(tmp_path / "out") == {}


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"patch_size": 161},
            SceneError,
            r"at least one patch of 161 x 161 pixels, but a_.* has 128 x 128; give --patch-size 128",
        ),
        ({"bands": "blue,swir16"}, SceneError, "bands swir16 are needed.* \\(scenes that can't be used: 4\\)"),
        (
            {"bands": "blue,slope,tc_wetness"},
            SceneError,
            r"an elevation model \(--arcticdem-dir\) for slope; Landsat trends \(--tcvis-dir\) for tc_wetness",
        ),
        ({"bands": "blue,blu"}, ConfigError, "neither a band nor a spectral index 'blu'; did you mean blue"),
        ({"labels_dir": "nowhere"}, SceneError, "--labels-dir"),
        ({"admin_dir": "nowhere"}, SceneError, "--admin-dir"),
        ({"bandz": "blue"}, ConfigError, "did you mean 'bands'"),
    ],
)
def test_refusals_write_nothing(scenes, tmp_path, settings, error, message):
    with pytest.raises(error, match=message):
        preprocess_s2_train_data(sentinel2_dir=scenes, train_data_dir=tmp_path / "out", **SMALL | settings)
    assert not (tmp_path / "out").exists()


def test_a_file_that_claims_too_much_is_refused_at_once(tmp_path):
    path = tmp_path / "scenes" / "s" / "B02.tif"
    path.parent.mkdir(parents=True)
    options = {"crs": UTM, "transform": pixels(10), "sparse_ok": True, "bigtiff": "yes", "tiled": True}
    with rasterio.open(path, "w", driver="GTiff", height=400_000, width=400_000, count=1, dtype="uint16", **options):
        pass
    write_polygons(path.with_name("labels.gpkg"), [square(0, 0, 3)])
    started = time.monotonic()
    with pytest.raises(SceneError, match="its files claim 400000 x 400000 pixels"):
        plan_s2_train_data(sentinel2_dir=tmp_path / "scenes", train_data_dir=tmp_path / "out", bands="blue", **SMALL)
    assert time.monotonic() - started < 10
    path.unlink()


def test_two_scenes_of_one_name_can_not_be_told_apart(tmp_path):
    write_stack_scene(tmp_path / "scenes", "a", stem="b_c_d")
    write_raster(tmp_path / "scenes" / "a_b_c_d" / "B02.tif", np.ones((64, 64), np.uint16))
    with pytest.raises(SceneError, match=r"each scene needs a name of its own, but .*a and .*a_b_c_d are both a_b_c_d"):
        preprocess_s2_train_data(
            sentinel2_dir=tmp_path / "scenes", train_data_dir=tmp_path / "out", bands="blue", **SMALL
        )


def test_a_scene_without_labels_among_others_gives_no_positives_and_stops_nothing(scenes, tmp_path):
    write_polygons(next((scenes / "b").glob("*.shp")), [])
    settings = {"sentinel2_dir": scenes, "exclude_nopositive": True} | SMALL
    result = preprocess_s2_train_data(train_data_dir=tmp_path / "out", **settings)
    assert (result.n_scenes, result.failed) == (4, {})
    entries = {entry.scene_id[0]: entry for entry in read_journal(tmp_path / "out").scenes}
    assert entries["b"].patches == 0
    assert set(entries["b"].dropped) <= {"no positive pixel", "mostly ignored"}
    assert entries["c"].patches == 1, "a scene that is exactly one patch large"
    assert [finding.kind for finding in report(tmp_path / "out")] == ["image without label"]


def test_nothing_left_to_learn_from(scenes, tmp_path):
    for folder in scenes.iterdir():
        write_polygons(next(folder.glob("*.shp")), [])
    settings = {"sentinel2_dir": scenes, "train_data_dir": tmp_path / "out"} | SMALL
    with pytest.raises(DatasetError, match=r"at least one patch, but all .* were dropped .* for no positive pixel"):
        preprocess_s2_train_data(**settings, exclude_nopositive=True)
    assert tree(tmp_path / "out") == {}
    assert preprocess_s2_train_data(**settings).n_positive_patches == 0


def test_a_label_below_clouds_or_in_a_dropped_patch_is_listed(tmp_path):
    folder = tmp_path / "scenes" / "s"
    classes = np.full((64, 96), 4, np.uint8)
    classes[:30] = 9
    values = np.full((64, 96), 3000, np.uint16)
    values[50, 70] = 0
    write_raster(folder / "B02.tif", values)
    write_raster(folder / "SCL.tif", classes)
    shapes = [square(5, 5, 6), square(40, 5, 6), square(40, 70, 6), square(20, 10, 30)]
    write_polygons(folder / "labels.gpkg", shapes)
    settings = SMALL | {"patch_size": 32, "overlap": 0, "bands": "blue", "s2_offset": 0, "exclude_nan": True}
    result = preprocess_s2_train_data(sentinel2_dir=tmp_path / "scenes", train_data_dir=tmp_path / "out", **settings)
    assert (result.labels_used, result.labels_in_no_patch) == (4, 2)
    assert [(finding.kind, finding.name) for finding in report(tmp_path / "out")] == [("labels in no patch", "s")]


def test_a_failure_is_forgotten_once_its_scene_is_gone(scenes, tmp_path):
    settings = {"sentinel2_dir": scenes, "train_data_dir": tmp_path / "out"} | SMALL
    damaged = next((scenes / "b").glob("*_SR*"))
    damaged.write_bytes(damaged.read_bytes()[:100])
    failed = preprocess_s2_train_data(**settings).failed
    assert list(failed) == ["b_20210818T223529_N0301_T03WXP"], "the name that it has when it is whole"
    (listed,) = report(tmp_path / "out")
    assert listed.kind == "failed scene"
    (scenes / "b").rename(tmp_path / "b")
    again = preprocess_s2_train_data(**settings)
    assert (again.already_complete, again.failed) == (True, {})
    assert report(tmp_path / "out") == []


def test_a_scene_of_a_dataset_that_is_damaged_later_stays_in_it(scenes, tmp_path):
    settings = {"sentinel2_dir": scenes, "train_data_dir": tmp_path / "out"} | SMALL
    preprocess_s2_train_data(**settings)
    before = tree(tmp_path / "out")
    damaged = next((scenes / "b").glob("*_SR*"))
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(DatasetError, match="begun with the scene b_"):
        preprocess_s2_train_data(**settings)
    write_stack_scene(scenes, "e")
    result = preprocess_s2_train_data(**settings, append=True)
    assert (result.n_scenes, result.failed) == (5, {})
    assert {name: content for name, content in tree(tmp_path / "out").items() if name in before and "c/" in name} == {
        name: content for name, content in before.items() if "c/" in name
    }


def test_features_without_an_area_are_listed_by_their_number(scenes, tmp_path):
    path = next((scenes / "c").glob("*.shp"))
    for part in path.parent.glob(f"{path.stem}.*"):
        part.unlink(missing_ok=True) if part.suffix in (".shp", ".dbf", ".shx", ".prj", ".cpg") else None
    shapes = [None, square(5, 5, 4), Polygon(), square(5000, 0, 3)]
    gpd.GeoDataFrame({"id": range(4)}, geometry=shapes, crs=UTM).to_file(path.with_suffix(".gpkg"))
    settings = {"sentinel2_dir": scenes / "c", "train_data_dir": tmp_path / "out"} | SMALL
    result = preprocess_s2_train_data(**settings)
    assert (result.labels_used, result.labels_unused) == (1, 3)
    assert [(one.feature, one.reason) for one in report(tmp_path / "out")] == [
        ("0", "it has no area"), ("2", "it has no area"), ("3", "it touches no scene"),
    ]  # fmt: skip


def test_the_report_of_a_dataset_that_grew_lists_what_is_lost_to_all_of_it(tmp_path):
    origins = {"one": 500_000, "two": 600_000}
    for name, left in origins.items():
        write_raster(tmp_path / name / "s" / "B02.tif", np.full((64, 64), 3000, np.uint16), transform=at(left))
        (tmp_path / name / "s").rename(tmp_path / name / f"scene_{name}")
    shapes = [square(5, 5, 4, origin=(left, 7_600_000)) for left in (*origins.values(), 700_000)]
    labels = write_polygons(tmp_path / "labels.gpkg", shapes)
    settings = {"labels_dir": labels, "bands": "blue", "s2_offset": 0, "train_data_dir": tmp_path / "out"} | SMALL
    first = preprocess_s2_train_data(sentinel2_dir=tmp_path / "one", **settings)
    assert (first.labels_used, first.labels_unused) == (1, 2)
    second = preprocess_s2_train_data(sentinel2_dir=tmp_path / "two", append=True, **settings)
    assert (second.labels_used, second.labels_unused) == (2, 1)
    assert [one.feature for one in report(tmp_path / "out")] == ["2"]


def at(left):
    return rasterio.Affine(10, 0, left, 0, -10, 7_600_000)


def test_a_folder_that_can_not_be_listed_is_no_empty_one(scenes, tmp_path, monkeypatch):
    real = Path.iterdir

    def iterdir(path):
        if path.name == "b":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    result = preprocess_s2_train_data(sentinel2_dir=scenes, train_data_dir=tmp_path / "out", **SMALL)
    assert list(result.failed) == ["b"]
    assert "can't be listed (Permission denied); allow it" in result.failed["b"]


def test_a_scene_of_no_place_on_earth_is_refused(tmp_path):
    crs = rasterio.CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')
    write_raster(tmp_path / "scenes" / "s" / "B02.tif", np.ones((64, 64), np.uint16), crs=crs)
    labels = write_polygons(tmp_path / "labels.gpkg", [square(0, 0, 3)])
    with pytest.raises(SceneError, match="must have a place on earth"):
        plan_s2_train_data(
            sentinel2_dir=tmp_path / "scenes", labels_dir=labels, train_data_dir=tmp_path / "out", bands="blue", **SMALL
        )


def test_an_edit_that_keeps_the_size_of_a_file_is_noticed(scenes, tmp_path):
    settings = {"sentinel2_dir": scenes, "train_data_dir": tmp_path / "out"} | SMALL
    preprocess_s2_train_data(**settings)
    shapes = next(scenes.rglob("*.shp"))
    size, labels = shapes.stat().st_size, gpd.read_file(shapes)
    labels.geometry = labels.translate(10, 0)
    labels.to_file(shapes)
    assert shapes.stat().st_size == size
    with pytest.raises(DatasetError, match=rf"{shapes.name}.* has changed since it was read"):
        preprocess_s2_train_data(**settings)


def test_filters_see_missing_values_before_they_are_filled(scenes, tmp_path):
    everything = preprocess_s2_train_data(sentinel2_dir=scenes, train_data_dir=tmp_path / "all", **SMALL)
    whole = preprocess_s2_train_data(
        sentinel2_dir=scenes, train_data_dir=tmp_path / "whole", **SMALL | {"exclude_nan": True}
    )
    assert everything.dropped == {}
    # In every scene, values are missing in the upper left only.
    first = open_dataset(tmp_path / "all").metadata.eval("row < 21 and column < 31")
    assert whole.dropped == {"missing values": first.sum()}
    assert whole.n_patches == (~first).sum() > 8


def test_mask_erosion_ignores_the_border(tmp_path):
    folder = tmp_path / "scenes" / "s"
    write_raster(folder / "B02.tif", np.full((64, 64), 3000, np.uint16))
    write_polygons(folder / "labels.gpkg", [square(0, 0, 64)])
    settings = {"sentinel2_dir": tmp_path / "scenes", "bands": "blue", "s2_offset": 0} | SMALL
    preprocess_s2_train_data(train_data_dir=tmp_path / "out", mask_erosion_size=3, **settings)
    y = open_dataset(tmp_path / "out").read_y(0)
    expected = np.full((64, 64), 2)
    expected[3:-3, 3:-3] = 1
    np.testing.assert_array_equal(y, expected)
    assert open_dataset(tmp_path / "out").read_x(0).min() > 0.6


def test_labels_of_a_folder_are_joined_by_place_and_none_vanishes(tmp_path, caplog):
    for name, origin in (("west", 500_000), ("east", 600_000)):
        values, transform = np.full((64, 64), 3000, np.uint16), rasterio.Affine(10, 0, origin, 0, -10, 7_600_000)
        write_raster(tmp_path / "scenes" / name / "B02.tif", values, transform=transform)
    shapes = [square(5, 5, 4), square(8, 8, 3, origin=(600_000, 7_600_000)), square(500, 0, 3)]
    write_polygons(tmp_path / "labels" / "one" / "TrainingLabels.gpkg", shapes[:1])
    write_polygons(tmp_path / "labels" / "two" / "TrainingLabels.gpkg", shapes[1:])
    write_polygons(tmp_path / "labels" / "two" / "ImageFootprints.gpkg", [square(0, 0, 64)])
    settings = {"sentinel2_dir": tmp_path / "scenes", "labels_dir": tmp_path / "labels", "bands": "blue"} | SMALL
    result = preprocess_s2_train_data(train_data_dir=tmp_path / "out", **settings)
    assert (result.labels_used, result.labels_unused) == (2, 1)
    assert "1 label polygons reach no scene" in caplog.text
    assert [(one.kind, one.file, one.feature) for one in report(tmp_path / "out")] == [
        ("label without image", "two/TrainingLabels.gpkg", "1")
    ]
    dataset = open_dataset(tmp_path / "out")
    assert dict(zip(dataset.metadata["sample_id"], dataset.metadata["positive_pixels"], strict=True)) == {
        "east": 9,
        "west": 16,
    }


def test_labels_that_all_lie_elsewhere_are_refused(scenes, tmp_path):
    far = write_polygons(tmp_path / "far.gpkg", [square(5000, 0, 3)])
    with pytest.raises(SceneError, match="none of the 1 label polygons touches any of the 4 scenes"):
        preprocess_s2_train_data(sentinel2_dir=scenes, labels_dir=far, train_data_dir=tmp_path / "out", **SMALL)
    assert not (tmp_path / "out").exists()


def test_regions_by_administrative_areas(scenes, tmp_path):
    areas = write_polygons(tmp_path / "areas.gpkg", [square(0, 0, 60), square(0, 60, 60)], name=["West", "East"])
    settings = {"sentinel2_dir": scenes / "b", "train_data_dir": tmp_path / "out", "admin_dir": areas} | SMALL
    preprocess_s2_train_data(**settings | {"overlap": 0})
    table = open_dataset(tmp_path / "out").metadata
    regions = {
        (row, column): region
        for row, column, region in zip(table["row"], table["column"], table["region"], strict=True)
    }
    # The areas end at row 60 and column 120; the last column of patches begins at 96.
    assert regions == {
        (0, 0): "West",
        (0, 64): "East",
        (0, 96): "East",
        (48, 0): "West",
        (48, 64): "East",
        (48, 96): "East",
    }


def test_the_plan_says_what_would_be_done_and_writes_nothing(scenes, tmp_path):
    settings = {"sentinel2_dir": scenes, "train_data_dir": tmp_path / "out"} | SMALL
    plan = plan_s2_train_data(**settings)
    assert [scene.scene_id[0] for scene in plan.scenes] == list("abcd")
    assert [scene.region_names for scene in plan.scenes] == [("a",), ("b",), ("c",), ("d",)]
    assert not (tmp_path / "out").exists()
    result = preprocess_s2_train_data(**settings)
    assert plan.n_patches == result.n_patches + sum(result.dropped.values())


def test_obsolete_settings_are_accepted_with_a_warning(scenes, tmp_path, caplog):
    plan_s2_train_data(
        sentinel2_dir=scenes, train_data_dir=tmp_path / "out", test_val_split=0.05, test_regions=["x"], **SMALL
    )
    assert caplog.text.count("--data-split-method") == 2


def run_python(code, *, path):
    path.write_text(code)
    return subprocess.run(
        [sys.executable, path], capture_output=True, text=True, timeout=120, env=os.environ, check=False
    )


def test_a_script_needs_no_main_guard(scenes, tmp_path):
    code = (
        "from darts.preprocess import preprocess_s2_train_data\n"
        f"paths = dict(sentinel2_dir={str(scenes)!r}, train_data_dir={str(tmp_path / 'out')!r})\n"
        "print(preprocess_s2_train_data(**paths, patch_size=64, workers=2, exclude_nan=False).n_scenes)\n"
    )
    done = run_python(code, path=tmp_path / "script.py")
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr


def test_the_import_is_light(tmp_path):
    code = (
        "import sys, darts.preprocess, darts.preprocess.config\n"
        "print([name for name in ('numpy', 'rasterio', 'geopandas') if name in sys.modules])\n"
    )
    assert run_python(code, path=tmp_path / "script.py").stdout == "[]\n"
