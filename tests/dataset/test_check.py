"""Checks that a user runs before training: every broken rule is found, and said with the sample."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import zarr

from darts.core.errors import DatasetError
from darts.dataset.check import check_structure
from darts.dataset.inspection.reading import read_patches
from darts.dataset.journal import read_journal, read_metadata, write_metadata
from darts.dataset.reader import open_dataset
from factories import problems_of

from .conftest import chunk_file, points, row_of, stage_scene, writer_of


def problems(directory):
    return problems_of(open_dataset(directory))


def overwrite(directory, array, row, values):
    zarr.open_array(directory / "data.zarr" / array, mode="r+", config={"write_empty_chunks": True})[row] = values


def test_a_whole_dataset_passes_and_its_pixels_are_counted(pristine):
    dataset = check_structure(pristine)
    facts = [reading for reading, _ in read_patches(dataset, threads=2)]
    assert [fact.broken for fact in facts] == [None] * 6
    labels = [dataset.read_y(row) for row in range(6)]
    assert (
        [fact.positive for fact in facts]
        == [(y == 1).sum() for y in labels]
        == list(dataset.metadata["positive_pixels"])
    )
    assert (
        [fact.ignored for fact in facts] == [(y == 2).sum() for y in labels] == list(dataset.metadata["ignored_pixels"])
    )
    assert {fact.pixels for fact in facts} == {16 * 16}


def test_labels_outside_0_1_2_are_found(dataset_dir):
    y = open_dataset(dataset_dir).read_y(2)
    y[0, 0], y[5, 5] = 3, 255
    overwrite(dataset_dir, "y", 2, y)
    found = problems(dataset_dir)
    assert "sample 2 (scene-0): y must hold only the label codes (0, 1, 2), but holds [3, 255]" in found[2]
    assert [bool(problem) for problem in found] == [False, False, True, False, False, False]


def test_pixels_that_are_not_what_was_written_are_found(dataset_dir):
    dataset = open_dataset(dataset_dir)
    x, y = dataset.read_x(1), dataset.read_y(4)
    x[0, 0, 0] = 1 - x[0, 0, 0]
    y[8, 8] = {0: 2, 1: 2, 2: 0}[int(y[8, 8])]
    overwrite(dataset_dir, "x", 1, x)
    overwrite(dataset_dir, "y", 4, y)
    found = problems(dataset_dir)
    assert "sample 1 (scene-0): x or y is not what was written" in found[1]
    assert "sample 4 (scene-1): x or y is not what was written" in found[4]
    assert [found[row] for row in (0, 2, 3, 5)] == [None] * 4


def test_samples_that_changed_places_are_found(dataset_dir):
    for array in ("x", "y"):
        chunk_file(dataset_dir, array, 1).write_bytes(chunk_file(dataset_dir, array, 4).read_bytes())
    assert "is not what was written" in problems(dataset_dir)[1]


def test_a_lost_chunk_is_a_problem_of_its_sample_alone(dataset_dir):
    chunk_file(dataset_dir, "y", 3).unlink()
    found = problems(dataset_dir)
    assert "y of sample 3" in found[3]
    assert found.count(None) == 5


@pytest.mark.parametrize("row", [0, 1])
def test_a_column_empty_that_is_wrong_is_found(dataset_dir, row):
    dataset, table = open_dataset(dataset_dir), read_metadata(dataset_dir)
    table.loc[row, "empty"] = not table.loc[row, "empty"]
    found = problems_of(replace(dataset, metadata=table))
    assert f"the column `empty` is {row == 1}, but y has" in found[row]
    write_metadata(dataset_dir, table, read_journal(dataset_dir))
    with pytest.raises(DatasetError, match="doesn't match the fingerprint"):
        check_structure(dataset_dir)


@pytest.mark.parametrize(
    ("column", "value"), [("region", "West"), ("sample_id", "other"), ("content_hash", "0" * 64), ("patch_id", "x")]
)
def test_a_table_that_was_changed_is_noticed(dataset_dir, column, value):
    table = read_metadata(dataset_dir)
    table.loc[3, column] = value
    write_metadata(dataset_dir, table, read_journal(dataset_dir))
    with pytest.raises(DatasetError, match="doesn't match the fingerprint"):
        check_structure(dataset_dir)


def test_a_table_that_lost_a_column_is_noticed(dataset_dir):
    write_metadata(dataset_dir, read_metadata(dataset_dir).drop(columns="content_hash"), read_journal(dataset_dir))
    with pytest.raises(DatasetError, match="doesn't match the fingerprint"):
        check_structure(dataset_dir)


def test_missing_labels_are_noticed(dataset_dir):
    (dataset_dir / "labels.geojson").unlink()
    with pytest.raises(DatasetError, match=r"lacks labels\.geojson"):
        check_structure(dataset_dir)


def test_a_sample_without_a_region_is_noticed(tmp_path):
    with writer_of(tmp_path / "d") as writer:
        stage = writer.stage("0", 1)
        stage.add(np.zeros((5, 16, 16), np.float32), np.zeros((16, 16), np.uint8), row_of(0, region=None))
        writer.commit(stage.finish(stage_scene(writer, 1, 0).entry, points()))
        writer.finish()
    with pytest.raises(DatasetError, match="every sample needs a region"):
        check_structure(tmp_path / "d")


def test_a_dataset_without_samples_is_refused(tmp_path):
    with writer_of(tmp_path / "d") as writer:
        writer.finish()
    with pytest.raises(DatasetError, match="holds no samples"):
        check_structure(tmp_path / "d")


def test_the_check_changes_nothing(pristine, tmp_path):
    copy = shutil.copytree(pristine, tmp_path / "copy")
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in copy.rglob("*")}
    problems_of(check_structure(copy))
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in copy.rglob("*")} == before
