"""Stopped, started again, changed in between; places; a look before."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from rasterio import Affine
from shapely.geometry import Polygon, shape

from darts.core.errors import ConfigError, DatasetError, SceneError
from darts.dataset.config import InspectionConfig
from darts.dataset.inspection import plan_inspection, write_inspection
from darts.dataset.writer import DatasetWriter
from darts.preprocess import plan_import_patches

from ..conftest import UTM, pixels, square
from .conftest import (
    SIZE,
    checked,
    cut,
    mask_of,
    numbers,
    run,
    settings,
    tree,
    write_npy,
    write_pairs,
    write_png,
    write_tif,
)


@pytest.mark.parametrize("commits", range(4))
@pytest.mark.parametrize("when", ["before", "after"])
def test_stopped_at_a_commit_and_started_again_it_ends_with_the_same_bytes(
    tmp_path, small_batches, monkeypatch, commits, when
):
    write_pairs(tmp_path, [f"train/{number}" for number in range(7)])
    run(tmp_path, train_data_dir=tmp_path / "undisturbed")
    real, calls = DatasetWriter.commit, []

    def commit(writer, scene):
        calls.append(scene)
        if len(calls) == commits + 1:
            if when == "after":
                real(writer, scene)
            raise KeyboardInterrupt
        real(writer, scene)

    with monkeypatch.context() as patched:
        patched.setattr(DatasetWriter, "commit", commit)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    result = run(tmp_path)
    assert result.resumed_patches == min(2 * (commits + (when == "after")), 7)
    assert not result.already_complete
    assert tree(tmp_path / "out") == tree(tmp_path / "undisturbed")


@pytest.mark.slow
def test_bytes_dont_depend_on_how_many_work(tmp_path, small_batches):
    write_pairs(tmp_path, [str(number) for number in range(5)])
    run(tmp_path, workers=1)
    run(tmp_path, workers=2, train_data_dir=tmp_path / "two")
    assert tree(tmp_path / "two") == tree(tmp_path / "out")


def test_a_finished_dataset_is_left_as_it_is(tmp_path):
    write_pairs(tmp_path, ["a", "b"])
    first = run(tmp_path)
    before = tree(tmp_path / "out")
    again = run(tmp_path)
    assert (first.already_complete, again.already_complete) == (False, True)
    assert (again.n_patches, again.seen) == (first.n_patches, first.seen)
    assert tree(tmp_path / "out") == before


def test_a_damaged_file_in_a_later_batch_costs_nothing_of_the_earlier(tmp_path, small_batches):
    write_pairs(tmp_path, ["a", "b", "c"], images=".tif")
    whole = (tmp_path / "images" / "c.tif").read_bytes()
    cut(tmp_path / "images" / "c.tif", 0.7)
    with pytest.raises(SceneError, match=r"c\.tif"):
        run(tmp_path)
    (tmp_path / "images" / "c.tif").write_bytes(whole)
    assert run(tmp_path).resumed_patches == 2


def change_image(root):
    write_npy(root / "images" / "a.npy", numbers(99))


def change_mask(root):
    write_npy(root / "masks" / "b.npy", mask_of(99))


def add_a_patch(root):
    write_npy(root / "images" / "d.npy", numbers(9))
    write_npy(root / "masks" / "d.npy", mask_of(9))


def remove_a_patch(root):
    (root / "images" / "c.npy").unlink()
    (root / "masks" / "c.npy").unlink()


def change_groups(root):
    (root / "g.json").write_text('{"a": 1, "b": 2, "c": 3, "d": 4}')


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (change_image, "image of a"),
        (change_mask, "mask of b"),
        (add_a_patch, "group of d"),
        (remove_a_patch, "group of c"),
        (change_groups, "group of b"),
    ],
)
def test_other_files_are_noticed(tmp_path, change, what):
    write_pairs(tmp_path, ["a", "b", "c"])
    (tmp_path / "g.json").write_text('{"a": 1, "b": 1, "c": 1, "d": 1}')
    run(tmp_path, groups_file=tmp_path / "g.json")
    change(tmp_path)
    message = f"was begun with other files: the {what} was changed, added or removed since; .*--force"
    with pytest.raises(DatasetError, match=message):
        run(tmp_path, groups_file=tmp_path / "g.json")
    assert run(tmp_path, groups_file=tmp_path / "g.json", force=True).already_complete is False


@pytest.mark.parametrize("number", [2, 3])
def test_whole_batches_more_or_less_are_noticed(tmp_path, small_batches, number):
    names = ["a", "b", "c", "d"]
    write_pairs(tmp_path, names if number == 2 else names[:2])
    run(tmp_path)
    if number == 2:
        for name in names[2:]:
            (tmp_path / "images" / f"{name}.npy").unlink()
            (tmp_path / "masks" / f"{name}.npy").unlink()
    else:
        write_pairs(tmp_path, names)
    with pytest.raises(DatasetError, match=r"the image of c was changed, added or removed since"):
        run(tmp_path)


def test_other_settings_are_noticed(tmp_path):
    run(write_pairs(tmp_path, ["a"]))
    with pytest.raises(DatasetError, match=r"other settings \(offset was 0.0 and is now 0.1\)"):
        run(tmp_path, offset=0.1)


def test_georeferenced_patches_have_a_place_and_labels(tmp_path):
    labels = np.zeros((SIZE, SIZE), np.uint8)
    labels[2:6, 3:8] = 1
    write_tif(tmp_path / "images" / "a.tif", numbers(0), crs=UTM, transform=pixels(10))
    write_png(tmp_path / "masks" / "a.png", labels)
    write_npy(tmp_path / "images" / "b.npy", numbers(1))
    turned = Affine.translation(500_000, 7_600_000) @ Affine.rotation(30) @ Affine.scale(10, -10)
    write_tif(tmp_path / "masks" / "b.tif", mask_of(1), crs=UTM, transform=turned)
    result = run(tmp_path)
    assert result.n_without_place == 0
    metadata = checked(tmp_path).metadata
    assert metadata["crs"].tolist() == [UTM, UTM]
    assert len(set(metadata["cell_id"])) == 1
    assert metadata["cell_id"].iloc[0] != ""
    outlines = metadata.geometry.to_crs(UTM)
    corners = [turned @ corner for corner in [(0, 0), (SIZE, 0), (SIZE, SIZE), (0, SIZE)]]
    for found, expected in zip(outlines, [square(0, 0, SIZE), Polygon(corners)], strict=True):
        assert found.symmetric_difference(expected).area < 1e-3
    features = json.loads((tmp_path / "out" / "labels.geojson").read_text())["features"]
    own = [shape(f["geometry"]) for f in features if f["properties"]["sample_id"] == "a"]
    (area,) = gpd.GeoSeries(own, crs="EPSG:4326").to_crs(UTM)
    left, bottom, right, top = area.bounds
    assert (left, bottom, right, top) == pytest.approx((500_030, 7_599_940, 500_080, 7_599_980), abs=1e-3)
    assert area.area == pytest.approx(100 * labels.sum())
    # All positive pixels of the other are there, too.
    others = [shape(f["geometry"]) for f in features if f["properties"]["sample_id"] == "b"]
    areas = gpd.GeoSeries(others, crs="EPSG:4326").to_crs(UTM).area.sum()
    assert areas == pytest.approx(100 * mask_of(1).sum(), rel=1e-4)


@pytest.mark.parametrize(
    "place",
    [
        {"crs": None, "transform": pixels(10)},
        {"crs": UTM, "transform": Affine.identity()},
        {"crs": 'LOCAL_CS["somewhere",UNIT["metre",1]]', "transform": pixels(10)},
        {"crs": UTM, "transform": pixels(10, origin=(1e12, 1e12))},
    ],
    ids=["no reference system", "no transform", "a local system", "not on the Earth"],
)
def test_a_place_is_never_invented(tmp_path, place):
    write_tif(tmp_path / "images" / "a.tif", numbers(0), **place)
    write_tif(tmp_path / "masks" / "a.tif", mask_of(0))
    write_tif(tmp_path / "images" / "b.tif", numbers(1), crs=UTM, transform=pixels(10))
    write_tif(tmp_path / "masks" / "b.tif", mask_of(1))
    assert run(tmp_path).n_without_place == 1
    metadata = checked(tmp_path).metadata
    assert metadata["crs"].tolist() == ["", UTM]
    assert metadata["cell_id"].iloc[0] == ""
    assert metadata.geometry.isna().tolist() == [True, False]
    features = json.loads((tmp_path / "out" / "labels.geojson").read_text())["features"]
    assert {feature["properties"]["sample_id"] for feature in features} == {"b"}


def test_patches_without_a_place_can_be_looked_at(tmp_path):
    write_pairs(tmp_path, ["train/a", "train/b", "val/c"])
    run(tmp_path)
    inspection = InspectionConfig(train_data_dir=tmp_path / "out", split_file=tmp_path / "out" / "split.parquet")
    facts = write_inspection(plan_inspection(inspection))
    assert {group.name: group.patches for group in facts.groups["role"]} == {"train": 2, "val": 1}
    assert "there is no place to show" in (tmp_path / "out" / "inspection.html").read_text()
    assert run(tmp_path).already_complete


def test_a_split_file_of_other_patches_is_refused(tmp_path):
    write_pairs(tmp_path, ["a", "b"])
    run(tmp_path)
    pd.DataFrame({"patch_id": ["a", "x"], "role": "train"}).to_parquet(tmp_path / "split.parquet")
    with pytest.raises(ConfigError, match="is of another dataset"):
        plan_inspection(InspectionConfig(train_data_dir=tmp_path / "out", split_file=tmp_path / "split.parquet"))


def test_a_preview_reads_a_part_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("darts.preprocess.importing.pipeline.PREVIEWED", 3)
    write_pairs(tmp_path, [f"val/{number}" for number in range(5)])
    preview = plan_import_patches(**settings(tmp_path, scale=1e-3))
    assert (len(preview.plan.patches), preview.plan.size, preview.n_read) == (5, SIZE, 3)
    assert preview.plan.roles == {"train": 0, "val": 5, "test": 0}
    raw = np.stack([numbers(seed) for seed in (0, 2, 4)])
    assert [band.high for band in preview.seen.bands] == pytest.approx((raw * 1e-3).max(axis=(0, 2, 3)).tolist())
    assert any("lie outside" in doubt for doubt in preview.doubts)
    assert not (tmp_path / "out").exists()
