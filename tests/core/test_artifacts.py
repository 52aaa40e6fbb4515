"""Every file of a run has one place."""

from pathlib import Path

import pytest

from darts.core.artifacts import (
    RunDirectory,
    cross_validation_directory,
    find_runs,
    run_directory,
    sweep_directory,
)


def test_a_single_run_lies_below_runs_by_name_and_id():
    run = run_directory(Path("artifacts"), "quiet-tundra", "1a2b3c4d")
    assert run.path == Path("artifacts/_runs/quiet-tundra-1a2b3c4d")
    assert run.name_and_id == ("quiet-tundra", "1a2b3c4d")


@pytest.mark.parametrize(
    ("attribute", "place"),
    [
        ("config", "config.toml"),
        ("split", "split.parquet"),
        ("metrics", "metrics.csv"),
        ("confusion", "confusion.parquet"),
        ("checkpoints", "checkpoints"),
        ("last_checkpoint", "checkpoints/last.ckpt"),
        ("best_checkpoint", "checkpoints/best.ckpt"),
        ("figures", "figures"),
        ("test_metrics", "test_metrics.json"),
    ],
)
def test_a_run_directory_holds_its_files_where_users_look_for_them(attribute, place):
    assert getattr(RunDirectory(Path("r-1")), attribute) == Path("r-1") / place


def test_a_run_is_finished_when_its_best_checkpoint_was_measured(tmp_path):
    run = RunDirectory(tmp_path)
    assert not run.is_finished
    run.confusion.touch()  # a test of an interrupted run leaves one, too
    assert not run.is_finished
    run.result.touch()
    assert run.is_finished


def test_runs_are_found_wherever_they_lie_in_a_steady_order(tmp_path):
    places = ["_runs/b-2", "_runs/a-1", "_cross_validations/cv/run-f0s42-3", "tune/tune-cv0/run-4"]
    for place in places:
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "split.parquet").touch()
    (tmp_path / "_runs" / "no-run").mkdir()
    assert [run.path for run in find_runs(tmp_path)] == sorted(tmp_path / place for place in places)
    assert find_runs(tmp_path / "not-there") == []


def test_a_run_lies_in_the_folder_of_what_it_is_part_of():
    root = Path("artifacts")
    assert run_directory(root, "r", "1a2b3c4d").path == root / "_runs" / "r-1a2b3c4d"
    assert run_directory(root, "r", "i", cv_name="c").path == root / "_cross_validations" / "c" / "r-i"
    assert run_directory(root, "r", "i", cv_name="t-cv0", tune_name="t").path == root / "t" / "t-cv0" / "r-i"
    assert run_directory(root, "r", "i", tune_name="t").path == root / "t" / "r-i"


def test_runs_of_a_cross_validation_are_found_by_their_whole_name(tmp_path):
    cv = cross_validation_directory(tmp_path, "c")
    for name in ("c-run-f0s4-11111111", "c-run-f0s42-22222222", "c-run-f0s42-33333333"):
        (cv.path / name).mkdir(parents=True)
    assert [run.path.name for run in cv.runs_named("c-run-f0s42")] == ["c-run-f0s42-22222222", "c-run-f0s42-33333333"]
    assert [run.name_and_id for run in cv.runs_named("c-run-f0s4")] == [("c-run-f0s4", "11111111")]


def test_a_sweep_has_a_folder_and_a_table_of_its_name():
    sweep = sweep_directory(Path("artifacts"), "t")
    assert (sweep.path, sweep.table) == (Path("artifacts/t"), Path("artifacts/t/t.parquet"))
