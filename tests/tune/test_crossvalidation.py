"""A cross-validation keeps what is finished, says what failed, and averages nothing away."""

import math
import random
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from darts.core.artifacts import RunDirectory
from darts.core.errors import ConfigError, DatasetError, RunError
from darts.tune import cross_validation_smp, score_from_runs
from darts.tune import crossvalidation as module
from processes import start_command

NOT_THE_SAME = ["duration", "run_id", "checkpoint"]


def table_of(artifact_dir, name="a"):
    return pd.read_parquet(artifact_dir / "_cross_validations" / name / "run_infos.parquet")


def starts(artifact_dir, name="a"):
    """Folders of runs."""
    return sorted(path.parent.name for path in (artifact_dir / "_cross_validations" / name).rglob("split.parquet"))


@pytest.fixture(scope="module")
def finished(dataset_dir, tmp_path_factory):
    """A finished cross-validation, and its settings; not to be changed."""
    from .conftest import ENCODER

    artifacts = tmp_path_factory.mktemp("finished")
    words = {
        "train_data_dir": dataset_dir, "data_split_method": "region", "data_split_by": "West",
        "fold_method": "region-kfold", "total_folds": 2, "n_randoms": 2, "model_encoder": ENCODER, "max_epochs": 1,
        "check_val_every_n_epoch": 1, "artifact_dir": artifacts, "device": "cpu", "cv_name": "a",
    }  # fmt: skip
    return cross_validation_smp(**words), words


def test_the_table_has_a_row_for_each_run_and_one_score(finished):
    result, words = finished
    table = table_of(words["artifact_dir"])
    assert list(table.columns[:6]) == ["run_name", "run_id", "fold", "seed", "duration", "checkpoint"]
    assert {"is_unstable", "score", "score_is_unstable", "val/JaccardIndex", "val/loss", "val/AUROC"} <= set(table)
    assert list(zip(table["fold"], table["seed"], strict=True)) == [(0, 42), (0, 21), (1, 42), (1, 21)]
    assert set(table["state"]) == {"finished"}
    assert (table["score"] == table["score"][0]).all()
    expected = score_from_runs(table.to_dict("records"), ["val/JaccardIndex", "val/Recall"])
    assert table["score"][0] == result.score == pytest.approx(expected)


def test_a_run_is_scored_by_its_best_checkpoint(finished):
    """The metrics are those of the confusion that was counted with the best checkpoint."""
    result, _ = finished
    for info in result.runs:
        directory = RunDirectory(Path(info.checkpoint).parents[1])
        assert Path(info.checkpoint) == directory.best_checkpoint
        total = pd.read_parquet(directory.confusion).set_index(["split", "region"]).loc[("val", "(all)")]
        jaccard = total["tp"] / (total["tp"] + total["fp"] + total["fn"])
        assert info.metrics["val/JaccardIndex"] == pytest.approx(jaccard)


def test_started_again_by_its_name_it_runs_nothing_and_keeps_its_settings(finished, monkeypatch):
    result, words = finished
    monkeypatch.setattr(module, "run", lambda spec: pytest.fail(f"{spec.run_name} was run again"))
    place = {name: words[name] for name in ("train_data_dir", "artifact_dir", "cv_name", "device")}
    again = cross_validation_smp(**place)
    assert again.score == result.score
    assert [info.run_id for info in again.runs] == [info.run_id for info in result.runs]
    other = cross_validation_smp(**place, scoring_metric="val/loss:lower")
    assert other.score == pytest.approx(sum(info.metrics["val/loss"] for info in result.runs) / 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0.5}, r"--learning-rate was 0.001, and is now 0.5"),
        ({"max_epochs": 2, "gamma": 0.5}, r"--gamma was 0.9, --max-epochs was 1, and is now 0.5, 2"),
        ({"total_folds": 3}, r"--total-folds was 2"),
    ],
)
def test_other_settings_under_its_name_are_refused(finished, change, message):
    _, words = finished
    with pytest.raises(ConfigError, match=message):
        cross_validation_smp(**{**words, **change})


def test_more_seeds_run_only_what_is_missing(tiny):
    first = cross_validation_smp(**tiny | {"n_folds": 1, "n_randoms": 1, "cv_name": "a"})
    second = cross_validation_smp(**tiny | {"n_folds": 2, "n_randoms": 1, "cv_name": "a"})
    assert second.runs[0] == first.runs[0]
    place = {name: tiny[name] for name in ("train_data_dir", "artifact_dir", "device")}
    assert cross_validation_smp(**place, cv_name="a").runs == second.runs
    assert len(second.runs) == len(starts(tiny["artifact_dir"])) == 2


def fail_in(monkeypatch, run_name, error):
    run = module.run

    def fails(spec):
        if spec.run_name == run_name:
            raise error
        return run(spec)

    monkeypatch.setattr(module, "run", fails)


def test_a_run_that_failed_leaves_no_score_and_is_run_again(tiny, monkeypatch):
    words = tiny | {"n_randoms": 1, "cv_name": "a"}
    with monkeypatch.context() as patch:
        fail_in(patch, "a-run-f0s42", ValueError("a strange\nproblem"))
        with pytest.raises(RunError, match=r"1 of 2 failed \(the first, a-run-f0s42: a strange problem\)"):
            cross_validation_smp(**words)
    table = table_of(tiny["artifact_dir"])
    assert list(table["state"]) == ["failed", "finished"]
    assert table["error"][0] == "a strange problem"
    assert table["score"].isna().all()
    assert table["score_is_unstable"].all()
    assert math.isnan(table["val/JaccardIndex"][0])
    finished_before = table["run_id"][1]
    result = cross_validation_smp(**words)
    assert result.runs[1].run_id == finished_before
    assert set(table_of(tiny["artifact_dir"])["state"]) == {"finished"}


def test_what_would_fail_every_run_ends_the_cross_validation(tiny, monkeypatch):
    fail_in(monkeypatch, "a-run-f0s42", DatasetError("a chunk is damaged."))
    with pytest.raises(DatasetError, match="a chunk is damaged"):
        cross_validation_smp(**tiny | {"cv_name": "a"})


def test_an_unstable_run_is_marked_and_the_score_says_so(finished):
    result, _ = finished
    zero = replace(result.runs[1], metrics=result.runs[1].metrics | {"val/Recall": 0.0})
    summary = module.summarise(result.plan, [result.runs[0], zero, *result.runs[2:]])
    table = module.run_infos_table(summary)
    assert list(table["is_unstable"]) == [False, True, False, False]
    assert table["score_is_unstable"].all()
    assert math.isfinite(summary.score)


def test_a_plan_with_a_missing_run_has_no_score(finished):
    result, _ = finished
    assert module.summarise(result.plan, result.runs[:3]).score is None


def command_for(words, artifacts):
    """The same as keywords."""
    words = words | {"artifact_dir": artifacts}
    return [word for name, value in words.items() for word in (f"--{name.replace('_', '-')}", value)]


def start_until_done(words, artifacts, tmp_path, rng, most_kills):
    """Kill the command at random instants and start it again, until it ends by itself; the number of kills."""
    for kills in range(most_kills + 1):
        command = start_command(
            tmp_path / f"{artifacts.name}-{kills}", "cross-validation-smp", *command_for(words, artifacts)
        )
        until = time.monotonic() + (rng.uniform(1.0, 5.0) if kills < most_kills else 300)
        while command.is_running and time.monotonic() < until:
            time.sleep(0.02)
        if not command.is_running:
            assert command.wait() == 0, command.said
            return kills
        command.kill()
    pytest.fail(f"not done after {most_kills} kills")


@pytest.mark.slow
def test_killed_and_resumed_it_gives_the_table_of_the_undisturbed_one(finished, tmp_path):
    _, words = finished
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start_until_done(words, whole, tmp_path, random.Random(5), 0) == 0
    assert start_until_done(words, killed, tmp_path, random.Random(5), 8) >= 2
    tables = [table_of(place).drop(columns=NOT_THE_SAME) for place in (whole, killed)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert len(starts(killed)) == 4
