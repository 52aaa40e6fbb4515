"""Leaks between train and what is held out: each planted kind is found, and a clean split stays whole."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from shapely.geometry import Point

from darts.core.errors import ConfigError, RunError
from darts.dataset.places import on_the_globe
from darts.training.config import DataConfig
from darts.training.leakage import Audit, audit, divide, divide_all, without_leaks
from darts.training.splits import Fold, count_roles, subsampled

SIZE = 256
SIDE = 2560
EVERY_METHOD = ("kfold", "shuffle", "stratified", "region", "region-stratified", "region-kfold", "spatial", "none")


def config(**settings) -> DataConfig:
    return DataConfig(train_data_dir=Path("unused"), **settings)


def scene(name, region="West", *, x=500_000.0, y=7_000_000.0, count=4, step=SIDE, zone=32608) -> gpd.GeoDataFrame:
    """A square scene of patches; those in the first column have positives."""
    i, j = np.mgrid[:count, :count].reshape(2, -1)
    squares = shapely.box(x + j * step, y - i * step - SIDE, x + j * step + SIDE, y - i * step)
    outlines = [on_the_globe(place) for place in gpd.GeoSeries(squares, crs=zone).to_crs(4326)]
    table = {
        "patch_id": [f"{name}-{index}" for index in range(count * count)],
        "sample_id": name,
        "region": region,
        "empty": j > 0,
        "content_hash": [f"{name}-{index}-content" for index in range(count * count)],
    }
    return gpd.GeoDataFrame(table, geometry=outlines, crs=4326)


def together(*scenes) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(pd.concat(scenes, ignore_index=True), crs=4326)


def rows(*parts) -> list[int]:
    return [row for part in parts for row in part]


def planted(train, val, **others) -> tuple[gpd.GeoDataFrame, Audit]:
    """Scenes as train and val."""
    metadata = together(train, val)
    fold = Fold(0, np.arange(len(train)), np.arange(len(train), len(metadata)))
    return metadata, audit(metadata, fold, metadata.index.to_numpy(), SIZE)


# --- planted leaks


def test_neighbours_that_only_touch_are_clean():
    metadata = scene("one", count=6)
    fold = Fold(0, np.arange(18), np.arange(18, 36))
    found = audit(metadata, fold, np.arange(36), SIZE)
    assert found.is_clean
    assert found.train_rows.tolist() == []
    assert found.lines() == ["fold 0: no patch of train shares ground or content with one of val."]
    assert without_leaks(fold, found).train.tolist() == fold.train.tolist()


def test_overlapping_patches_of_one_scene_are_found():
    metadata = scene("one", count=6, step=SIDE - 160)
    fold = Fold(0, np.arange(18), np.arange(18, 36))
    found = audit(metadata, fold, np.arange(36), SIZE)
    assert found.train_rows.tolist() == [12, 13, 14, 15, 16, 17]
    assert found.count("train", "val", "ground") == 6
    assert found.count("train", "val", "content") == 0
    assert without_leaks(fold, found).train.tolist() == list(range(12))
    assert without_leaks(fold, found).val.tolist() == fold.val.tolist()


def test_another_date_of_the_same_ground_is_found():
    _, found = planted(together(scene("2020"), scene("far", x=900_000)), scene("2021"))
    assert found.train_rows.tolist() == list(range(16))
    assert found.lines() == ["fold 0: 16 patches of train on the ground of one of val."]


def test_a_shift_by_half_a_patch_is_found():
    _, found = planted(scene("one"), scene("other", x=500_000 + SIDE / 2, y=7_000_000 - SIDE / 2, count=1))
    assert found.train_rows.tolist() == [0, 1, 4, 5]


def test_a_copy_elsewhere_is_found_by_its_content():
    here, there = scene("one"), scene("other", x=800_000)
    there.loc[[2, 3, 9], "content_hash"] = ["one-5-content", "one-5-content", "one-11-content"]
    _, found = planted(here, there)
    assert found.train_rows.tolist() == [5, 11]
    assert found.count("train", "val", "content") == 2
    assert found.count("train", "val", "ground") == 0
    assert found.lines() == ["fold 0: 2 patches of train with the content of one of val."]


def test_the_same_ground_in_two_zones_is_found():
    place = gpd.GeoSeries([Point(-132, 63)], crs=4326)
    one, other = (place.to_crs(zone).iloc[0] for zone in (32608, 32609))
    _, found = planted(scene("eight", x=one.x, y=one.y), scene("nine", x=other.x, y=other.y, zone=32609, count=1))
    assert 0 in found.train_rows
    assert 15 not in found.train_rows
    assert 1 <= len(found.train_rows) <= 6


def test_the_same_ground_at_the_antimeridian_is_found():
    x = gpd.GeoSeries([Point(180, 65)], crs=4326).to_crs(32601).iloc[0].x - 5000
    first = scene("one", x=x, y=7_218_000, zone=32601)
    assert "MultiPolygon" in set(first.geom_type)
    _, same = planted(first, scene("other", x=x, y=7_218_000, zone=32601))
    assert same.train_rows.tolist() == list(range(16))
    _, beside = planted(first, scene("other", x=x + 4 * SIDE, y=7_218_000, zone=32601))
    assert beside.is_clean
    _, half = planted(first, scene("other", x=x + SIDE / 2, y=7_218_000, zone=32601, count=1))
    assert half.train_rows.tolist() == [0, 1]


def test_patches_without_a_place_are_compared_by_content_alone():
    metadata = together(scene("one"), scene("two"))
    metadata["geometry"] = [None] * 32
    metadata.loc[20, "content_hash"] = "one-3-content"
    found = audit(metadata, Fold(2, np.arange(16), np.arange(16, 32)), np.arange(32), SIZE)
    assert found.train_rows.tolist() == [3]
    assert found.without_place == 32
    assert found.lines()[-1] == "fold 2: 32 patches have no place, so it isn't known whether they share ground."


def test_a_table_without_places_and_hashes_says_that_nothing_is_known():
    metadata = pd.DataFrame({"empty": [False] * 6})
    found = audit(metadata, Fold(0, np.arange(3), np.arange(3, 6)), np.arange(6), SIZE)
    assert found.is_clean
    assert [line.partition(" ")[2].partition(",")[0] for line in found.lines()[1:]] == [
        "0: 6 patches have no place",
        "0: 6 patches have no content hash",
    ]


def test_missing_hashes_are_not_equal():
    metadata = together(scene("one"), scene("two", x=800_000)).assign(content_hash=None)
    assert audit(metadata, Fold(0, np.arange(16), np.arange(16, 32)), np.arange(32), SIZE).is_clean


# --- roles


def test_val_that_shares_with_test_is_told_and_stays():
    metadata = together(scene("train", x=800_000), scene("2020"), scene("2021", count=2))
    fold = Fold(0, np.arange(16), np.arange(16, 32))
    found = audit(metadata, fold, np.arange(32, 36), SIZE)
    assert found.count("val", "test", "ground") == 4
    assert found.train_rows.tolist() == []
    assert found.lines() == ["fold 0: 4 patches of val on the ground of one of test (they stay there)."]
    assert without_leaks(fold, found).val.tolist() == fold.val.tolist()


def test_what_is_not_divided_is_not_compared():
    metadata = scene("one", step=SIDE / 2)
    everything = np.arange(16)
    assert audit(metadata, Fold(0, everything, everything), everything, SIZE).lines() == [
        "fold 0: val and test hold what train holds, so nothing is kept apart."
    ]
    only_val = audit(metadata, Fold(0, everything[:8], everything[8:]), everything, SIZE)
    assert {finding.other for finding in only_val.findings} == {"val"}
    only_test = audit(metadata, Fold(0, everything[:8], everything[:8]), everything[8:], SIZE)
    assert {finding.other for finding in only_test.findings} == {"test"}
    assert only_test.count("train", "test", "ground") == only_test.count("val", "test", "ground") == 4


# --- whole divisions


def many_scenes() -> gpd.GeoDataFrame:
    """Five places, each with two dates a quarter of a patch beside each other; two regions have a copy of one patch."""
    scenes = [
        scene(f"{place}-{date}", f"region-{place}", x=500_000 + 30_000 * place + 640 * date)
        for place in range(5)
        for date in range(2)
    ]
    metadata = together(*scenes)
    metadata.loc[[3, 150], "content_hash"] = "copy"
    return metadata


@pytest.fixture(scope="module")
def shared() -> np.ndarray:
    """Which of `many_scenes` share ground or content, by a plain comparison of all pairs; bool (rows, rows)."""
    metadata = many_scenes()
    places, hashes = metadata.geometry.to_numpy(), metadata["content_hash"].to_numpy()
    common = shapely.area(shapely.intersection(places[:, None], places[None])) / shapely.area(places)
    return (common > 0.5 / SIZE) | (hashes[:, None] == hashes[None])


@pytest.mark.parametrize("split", ["none", "random", "region"])
@pytest.mark.parametrize("method", EVERY_METHOD)
def test_a_division_drops_from_train_what_is_shared_and_nothing_else(shared, method, split):
    metadata = many_scenes()
    by = {"random": "0.1", "region": "region-2"}
    data = config(
        fold_method=method,
        total_folds=3,
        data_split_method=split,
        data_split_by=by.get(split, ()),
        block_size_km=4,
    )
    for division in divide_all(metadata, data, SIZE):
        train, val, test = division.fold.train, division.fold.val, division.split.test
        held_out = np.array(rows([] if method == "none" else val, [] if split == "none" else test), dtype=int)
        assert not shared[train][:, held_out].any()
        assert shared[division.dropped][:, held_out].any(axis=1).all()
        before = np.union1d(train, division.dropped)
        assert len(before) == len(train) + len(division.dropped)
        assert set(division.split.trainval) == set(before) | set(val)


@pytest.mark.parametrize("method", ["region-kfold", "region", "region-stratified"])
def test_a_clean_split_loses_nothing(method):
    metadata = many_scenes()
    metadata["content_hash"] = [f"hash-{row}" for row in metadata.index]
    data = config(fold_method=method, total_folds=3, data_split_method="region", data_split_by="region-2")
    for division in divide_all(metadata, data, SIZE):
        assert division.audit.is_clean
        assert len(division.dropped) == 0
        assert division.lines() == []
        assert len(division.fold.train) + len(division.fold.val) == len(division.split.trainval)


def test_groups_of_what_overlaps_are_clean_too():
    data = config(fold_method="region-kfold", group_by="overlap", total_folds=4)
    for division in divide_all(many_scenes(), data, SIZE):
        assert division.audit.is_clean


def test_one_fold_is_that_of_all_folds():
    metadata = many_scenes()
    data = config(fold_method="shuffle", total_folds=3, data_split_method="random", data_split_by="0.1", fold=2)
    one, all_folds = divide(metadata, data, SIZE), divide_all(metadata, data, SIZE)
    assert one.fold.train.tolist() == all_folds[2].fold.train.tolist()
    assert one.fold.val.tolist() == all_folds[2].fold.val.tolist()
    assert one.dropped.tolist() == all_folds[2].dropped.tolist()
    assert one.lines() == all_folds[2].lines()
    roles = count_roles(metadata, one.split, [division.fold for division in all_folds])
    assert [role[0] for role in roles] == ["test", *(f"fold {n} {role}" for n in range(3) for role in ("train", "val"))]


def test_what_is_left_out_does_not_depend_on_the_order_of_rows():
    metadata = many_scenes()
    data = config(
        fold_method="region-kfold",
        group_by="sample_id",
        total_folds=3,
        data_split_method="sample",
        data_split_by="1-0",
    )
    shuffled = metadata.sample(frac=1, random_state=4)
    for one, other in zip(divide_all(metadata, data, SIZE), divide_all(shuffled, data, SIZE), strict=True):
        assert len(one.dropped) > 20
        assert one.dropped.tolist() == other.dropped.tolist()
        assert one.fold.train.tolist() == other.fold.train.tolist()


def test_overlap_that_is_allowed_is_told_and_stays():
    data = {"fold_method": "stratified", "total_folds": 3}
    strict, lax = (divide(many_scenes(), config(**data, allow_overlap=allowed), SIZE) for allowed in (False, True))
    assert len(lax.dropped) == 0
    assert set(lax.fold.train) == {*strict.fold.train, *strict.dropped}
    kept = len(strict.dropped)
    assert strict.lines()[-1] == f"fold 0: {kept} patches shared with val or test left out of train."
    assert lax.lines()[-1] == f"fold 0: {kept} patches shared with val or test kept by --allow-overlap."


def test_a_buffer_is_told():
    data = config(fold_method="spatial", block_size_km=20, buffer_km=1, total_folds=2)
    division = divide(many_scenes(), data, SIZE)
    assert len(division.buffered) > 0
    assert any(f"{len(division.buffered)} patches within --buffer-km" in line for line in division.lines())
    assert len(division.fold.train) + len(division.fold.val) + len(division.buffered) == 160


def test_a_subsample_is_drawn_once():
    metadata = many_scenes()
    data = config(fold_method="region-kfold", total_folds=3, subsample=100)
    whole, drawn = divide(metadata, data, SIZE), divide(subsampled(metadata, 100), data, SIZE)
    assert whole.split.trainval.tolist() == drawn.split.trainval.tolist() == subsampled(metadata, 100).index.tolist()
    assert whole.fold.train.tolist() == drawn.fold.train.tolist()


# --- what can't be trained on


def test_a_train_set_that_loses_everything_is_refused_with_the_ways_out():
    metadata = together(scene("2020", "West"), scene("2021", "East"))
    with pytest.raises(
        RunError,
        match=r"fold 0 has 0 patches to train on and none with a positive pixel, for it is without 16 that share ground .*; "
        r"use --fold-method region-kfold or spatial, preprocess with a smaller --overlap, .* --allow-overlap",
    ):
        divide(metadata, config(fold_method="region-kfold", total_folds=2), SIZE)
    assert (
        len(divide(metadata, config(fold_method="region-kfold", total_folds=2, allow_overlap=True), SIZE).fold.train)
        == 16
    )
    assert [len(one.fold.train) for one in divide_all(metadata, config(fold_method="kfold", total_folds=2), SIZE)] == [
        0,
        0,
    ]


def test_a_train_set_that_loses_its_positives_is_refused():
    metadata = together(scene("2020", "West"), scene("2021", "East", count=1), scene("far", "East", x=900_000))
    metadata["empty"] = metadata.index != 0
    with pytest.raises(RunError, match=r"fold 0 has 15 patches .* without 1 that share"):
        divide(metadata, config(fold_method="region-kfold", total_folds=2), SIZE)


def test_doubts_and_requirements_of_a_fold_are_those_of_its_own():
    metadata = together(scene("one", "West"), scene("two", "East", x=700_000))
    metadata.loc[metadata["region"] == "East", "empty"] = True
    held_out = config(fold_method="region-kfold", total_folds=2)
    number = next(d.fold.number for d in divide_all(metadata, held_out, SIZE) if 16 in d.fold.val)
    data = held_out.model_copy(update={"fold": number})
    assert "its val/JaccardIndex says nothing" in divide(metadata, data, SIZE).lines()[0]
    with pytest.raises(RunError, match="--require-positive-in-val: the val set"):
        divide(metadata, data.model_copy(update={"require_positive_in_val": True}), SIZE)
    with pytest.raises(
        RunError, match=f"the train set of fold {1 - number} has 16 patches and none with a positive pixel"
    ):
        divide(metadata, held_out.model_copy(update={"fold": 1 - number}), SIZE)


# --- split files


def test_a_split_file_is_audited_like_any_other_split(tmp_path):
    metadata = together(scene("2020"), scene("2021", count=2), scene("far", x=900_000))
    roles = ["train"] * 16 + ["val"] * 4 + ["train"] * 12 + ["test"] * 4
    pd.DataFrame({"patch_id": metadata["patch_id"], "role": roles}).to_csv(tmp_path / "split.csv", index=False)
    data = config(split_file=tmp_path / "split.csv")
    division = divide(metadata, data, SIZE)
    assert division.dropped.tolist() == [0, 1, 4, 5]
    assert division.fold.val.tolist() == [16, 17, 18, 19]
    assert division.split.test.tolist() == [32, 33, 34, 35]
    with pytest.raises(ConfigError, match=r"--fold 3: .*split.csv has no such fold, but 0; give one of them"):
        divide(metadata, data.model_copy(update={"fold": 3}), SIZE)


def test_a_subsample_of_a_split_file_is_a_part_of_it(tmp_path):
    metadata = together(scene("one"), scene("two", x=700_000), scene("three", x=900_000))
    roles = np.repeat(["train", "val", "test"], 16)
    pd.DataFrame({"patch_id": metadata["patch_id"], "role": roles}).to_parquet(tmp_path / "split.parquet")
    division = divide(metadata, config(split_file=tmp_path / "split.parquet", subsample=24), SIZE)
    kept = [*division.fold.train, *division.fold.val, *division.split.test]
    assert kept == subsampled(metadata, 24).index.tolist()
    assert division.lines() == []
