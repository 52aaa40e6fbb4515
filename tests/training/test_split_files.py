"""Split files: what is written is read again, by whatever names the patches, and what makes no sense is refused."""

import re
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from shapely.geometry import box

from darts.core.errors import ConfigError
from darts.training.config import DataConfig
from darts.training.config.splits import MakeSplitConfig
from darts.training.split_files import SplitFile, read_split_file, split_table, write_split_file
from darts.training.splits import Fold, Split, make_folds, split_test

SUFFIXES = ("parquet", "csv")


def patches(rows: int = 40, *, ids: bool = True) -> gpd.GeoDataFrame:
    rng = np.random.default_rng(0)
    table = {
        "patch_id": [f"scene-{row // 8}-{row % 8}" for row in range(rows)],
        "sample_id": [f"scene-{row // 8}" for row in range(rows)],
        "region": [f"region-{row // 8}" for row in range(rows)],
        "empty": rng.random(rows) < 0.5,
        "row": 0,  # of pixels in the scene, as our datasets have it
    }
    metadata = gpd.GeoDataFrame(table, geometry=[box(row, 0, row + 1, 1) for row in range(rows)], crs=4326)
    return metadata if ids else metadata.drop(columns="patch_id")


def joined() -> gpd.GeoDataFrame:
    """Two datasets with equal patch ids."""
    both = pd.concat([patches(20), patches(20)], ignore_index=True)
    return gpd.GeoDataFrame(both.assign(dataset=["north"] * 20 + ["south"] * 20))


def divided(metadata, **settings) -> tuple[Split, list[Fold]]:
    defaults = {"data_split_method": "random", "data_split_by": "0.2", "fold_method": "stratified", "total_folds": 3}
    data = DataConfig(train_data_dir=Path("unused"), **{**defaults, **settings})
    split = split_test(metadata, data)
    return split, make_folds(metadata.loc[split.trainval], data)


def as_lists(found: SplitFile) -> list:
    return [
        found.split.trainval.tolist(),
        found.split.test.tolist(),
        *((fold.number, fold.train.tolist(), fold.val.tolist()) for fold in found.folds),
    ]


def csv(tmp_path, text: str) -> Path:
    path = tmp_path / "split.csv"
    path.write_text(text.replace(" ", ""))
    return path


def lines(*texts: str) -> str:
    return "\n".join(texts) + "\n"


# --- round trips


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("metadata", [patches(), patches(ids=False), joined()], ids=["ids", "rows", "joined"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"fold_method": "none"},
        {"data_split_method": "none", "data_split_by": ()},
        {"data_split_method": "none", "data_split_by": (), "fold_method": "none"},
    ],
    ids=["split", "no-folds", "no-test", "neither"],
)
def test_what_is_written_is_read_again(tmp_path, metadata, settings, suffix):
    split, folds = divided(metadata, **settings)
    path = tmp_path / "new" / f"split.{suffix}"
    write_split_file(path, metadata, split, folds)
    again = read_split_file(path, metadata)
    assert as_lists(again) == as_lists(SplitFile(split, folds))
    tests_on_train = "data_split_method" in settings
    assert [("test figures say nothing" in doubt) for doubt in again.doubts] == [True] * tests_on_train
    assert again.split.test.dtype == again.folds[0].train.dtype == np.int64


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_split_is_the_same_bytes_whatever_the_order_of_its_rows(tmp_path, suffix):
    metadata = patches()
    split, folds = divided(metadata)
    turned = [Fold(fold.number, fold.train[::-1], fold.val[::-1]) for fold in folds]
    for name, some in (("a", folds), ("b", turned)):
        write_split_file(tmp_path / f"{name}.{suffix}", metadata, split, some)
    assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_a_patch_is_found_by_its_id_when_rows_have_moved(tmp_path):
    metadata = patches()
    split, folds = divided(metadata)
    write_split_file(tmp_path / "split.csv", metadata, split, folds)
    moved = metadata.sample(frac=1, random_state=0).reset_index(drop=True)
    again = read_split_file(tmp_path / "split.csv", moved)
    for one, other in zip(folds, again.folds, strict=True):
        assert set(metadata["patch_id"][one.val]) == set(moved["patch_id"][other.val])
    assert set(metadata["patch_id"][split.test]) == set(moved["patch_id"][again.split.test])


def test_the_table_has_a_line_for_each_patch_and_role():
    metadata = joined()
    split, folds = divided(metadata)
    table = split_table(metadata, split, folds)
    assert table.columns.tolist() == ["row", "patch_id", "dataset", "sample_id", "region", "role", "fold"]
    assert table.groupby("role").size().to_dict() == {"test": 8, "train": 64, "val": 32}
    assert table.loc[table["role"] == "test", "fold"].isna().all()
    assert (table["dataset"] == metadata["dataset"][table["row"]].to_numpy()).all()


def test_what_a_run_leaves_is_a_split_file(tmp_path):
    metadata = patches()
    split, folds = divided(metadata)
    parts = {"train": folds[2].train, "val": folds[2].val, "test": split.test}
    for columns in (["sample_id", "region"], ["patch_id", "sample_id", "region"]):
        tables = [
            pd.DataFrame(metadata.loc[rows, columns]).assign(role=role).rename_axis("row").reset_index()
            for role, rows in parts.items()
        ]
        table = pd.concat(tables, ignore_index=True)
        table = table.assign(fold=2) if "patch_id" in columns else table
        table.to_parquet(tmp_path / "split.parquet", index=False)
        again = read_split_file(tmp_path / "split.parquet", metadata)
        number = 2 if "patch_id" in columns else 0
        assert as_lists(again) == as_lists(SplitFile(split, (Fold(number, folds[2].train, folds[2].val),)))


def test_a_run_without_a_division_that_lost_train_patches_leaves_a_split_file(tmp_path):
    metadata = patches(6)
    text = lines("row,role", "0,train", "1,train", *(f"{row},val" for row in range(4)), "4,test", "5,test")
    found = read_split_file(csv(tmp_path, text), metadata)
    assert as_lists(found) == [[0, 1, 2, 3], [4, 5], (0, [0, 1], [0, 1, 2, 3])]


# --- written by hand


def test_a_table_of_two_columns_is_enough(tmp_path):
    found = read_split_file(
        csv(tmp_path, lines("patch_id, role, note", "scene-0-1, val, x", "scene-0-0, train,", "scene-1-0, test, y")),
        patches(),
    )
    assert as_lists(found) == [[0, 1], [8], (0, [0], [1])]
    assert [re.sub(".*split.csv", "split.csv", doubt) for doubt in found.doubts] == [
        "split.csv gives 37 of 40 patches no role; they are left out."
    ]


def test_test_patches_are_those_of_every_fold_whether_it_is_said_or_not(tmp_path):
    folds = ("0,train,3", "1,val,3", "0,val,7", "1,train,7")
    expected = [[0, 1], [2], (3, [0], [1]), (7, [1], [0])]
    for test in (("2,test,",), ("2,test,3", "2,test,7")):
        found = read_split_file(csv(tmp_path, lines("row,role,fold", *folds, *test)), patches(3))
        assert as_lists(found) == expected
        assert found.doubts == ()


def test_ids_that_two_datasets_have_are_told_apart_by_dataset_or_row(tmp_path):
    both = joined()
    by_dataset = lines("patch_id,dataset,role", "scene-0-0,south,train", "scene-0-0,north,val")
    by_row = lines("patch_id,row,role", "scene-0-0,20,train", "scene-0-0,0,val")
    for text in (by_dataset, by_row):
        assert as_lists(read_split_file(csv(tmp_path, text), both))[2] == (0, [20], [0])
    neither = lines("patch_id,role", "scene-0-0,train", "scene-0-1,val")
    with pytest.raises(
        ConfigError, match=r"must name patches by the column patch_id .and dataset, .* but has patch_id, role"
    ):
        read_split_file(csv(tmp_path, neither), both)


def test_numbers_as_ids_and_na_as_an_id_stay_text(tmp_path):
    metadata = patches(3).assign(patch_id=["007", "NA", "7"])
    found = read_split_file(csv(tmp_path, lines("patch_id,role", "007,train", "NA,val", "7,test")), metadata)
    assert as_lists(found) == [[0, 1], [2], (0, [0], [1])]


def test_a_part_of_a_split_keeps_roles():
    split, folds = divided(patches())
    rows = np.arange(0, 40, 3)
    part = SplitFile(split, tuple(folds), ("doubt",)).within(rows)
    assert part.doubts == ("doubt",)
    assert set(part.split.test) == set(split.test) & set(rows)
    for fold, whole in zip(part.folds, folds, strict=True):
        assert set(fold.train) == set(whole.train) & set(rows)
        assert set(fold.val) == set(whole.val) & set(rows)


# --- what makes no sense


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (lines("patch_id,fold", "scene-0-0,0"), "must have the column role, but has patch_id, fold"),
        (lines("name,role", "scene-0-0,val"), "must name patches by the column patch_id .* but has name, role"),
        (lines("row,role", "0,train", "1,valid"), "may have the roles train, val, test, but has valid"),
        (lines("patch_id,role", "scene-0-0,train", "scene-9-9,val", "a,val"), "but 2 aren't there, such as scene-9-9;"),
        (lines("row,role", "0,train", "40,val"), "but 1 aren't there, such as 40"),
        (lines("row,role", "0,train", "x,val"), "but 1 aren't there, such as nan"),
        (lines("row,role", "0,train", "0,train", "1,val"), "the same role in a fold once, but has 1 repeated"),
        (lines("row,role", "2,test", "2,test", "0,train", "1,val"), "has 1 repeated"),
        (
            lines("row,role", "0,train", "1,train", "1,val"),
            "must keep train and val of fold 0 apart, but 1 are in both",
        ),
        (lines("row,role", "0,train", "1,train", "2,val", "1,test"), "keep train and test of fold 0 apart"),
        (lines("row,role", "0,train", "1,val", "2,val", "1,test"), "keep val and test of fold 0 apart"),
        (lines("row,role,fold", "0,train,1", "1,train,1", "1,val,1"), "train and val of fold 1"),
        (lines("row,role,fold", "0,train,0", "1,val,"), "must name the fold of each patch of train and val"),
        (lines("row,role,fold", "0,train,0", "1,val,0.5"), "counts folds from 0 in whole numbers"),
        (lines("row,role,fold", "0,train,0", "1,val,-1"), "counts folds from 0 in whole numbers"),
        (lines("row,role,fold", "0,train,0", "1,val,first"), "counts folds from 0 in whole numbers"),
        (lines("row,role,fold", "0,train,0", "1,val,0", "2,test,1"), "must test every fold on the same patches"),
        (lines("row,role,fold", "0,train,0", "1,val,0", "0,val,1", "1,train,1", "2,test,1"), "on the same patches"),
        (lines("row,role", "0,test"), "must name patches of train and val, but names none"),
        (lines("row,sample_id,role", "0,scene-0,train", "1,scene-4,val"), "is of another dataset"),
        ("", "can't be read as a table"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_in_one_line(tmp_path, text, match):
    with pytest.raises(ConfigError, match=match) as refused:
        read_split_file(csv(tmp_path, text), patches())
    assert str(refused.value).startswith(f"--split-file: {tmp_path / 'split.csv'} ")
    assert "\n" not in str(refused.value)


def test_a_file_that_is_missing_or_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="isn't there; darts make-split writes one"):
        read_split_file(tmp_path / "none.parquet", patches())
    (tmp_path / "split.parquet").write_text("no table")
    with pytest.raises(ConfigError, match="can't be read as a table"):
        read_split_file(tmp_path / "split.parquet", patches())
    with pytest.raises(ConfigError, match=r"must be a file \*.parquet or \*.csv"):
        read_split_file(tmp_path / "split.txt", patches())
    with pytest.raises(ValueError, match=r"--output must be a file \*.parquet or \*.csv, but is metadata.json"):
        MakeSplitConfig(output="metadata.json")


def test_empty_cells_of_a_parquet_file_are_refused_like_those_of_a_csv_file(tmp_path):
    table = pd.DataFrame({"row": [0, 1], "role": ["train", None]})
    table.to_parquet(tmp_path / "split.parquet")
    with pytest.raises(ConfigError, match="may have the roles train, val, test, but has"):
        read_split_file(tmp_path / "split.parquet", patches())
    table = pd.DataFrame({"row": [0, 1], "role": ["train", "val"], "fold": pd.array([0, None], dtype="Int64")})
    table.to_parquet(tmp_path / "split.parquet")
    with pytest.raises(ConfigError, match="must name the fold of each patch"):
        read_split_file(tmp_path / "split.parquet", patches())


def test_a_file_that_can_not_be_written_leaves_the_earlier_one(tmp_path, monkeypatch):
    metadata = patches()
    split, folds = divided(metadata)
    path = tmp_path / "split.csv"
    path.write_text("role,earlier\n")

    def fail(self, target, **_):
        Path(target).write_text("half")
        raise OSError("full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    with pytest.raises(OSError, match="full"):
        write_split_file(path, metadata, split, folds)
    assert path.read_text() == "role,earlier\n"
    assert [file.name for file in tmp_path.iterdir()] == ["split.csv"]
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="can't be written to"):
        write_split_file(tmp_path / "file" / "split.csv", metadata, split, folds)


@pytest.mark.parametrize("name", ["metadata.parquet", "notes.csv"])
def test_only_an_earlier_split_file_is_replaced(tmp_path, name):
    metadata = patches()
    split, folds = divided(metadata)
    path = tmp_path / name
    table = pd.DataFrame(metadata.drop(columns="geometry", errors="ignore"))
    (table.to_parquet if path.suffix == ".parquet" else table.to_csv)(path)
    before = path.read_bytes()
    with pytest.raises(
        ConfigError, match=r"replaces an earlier table of the same kind only, but .* has no column role"
    ):
        write_split_file(path, metadata, split, folds)
    assert path.read_bytes() == before
    path.unlink()
    write_split_file(path, metadata, split, folds)
    write_split_file(path, metadata, split, folds)
