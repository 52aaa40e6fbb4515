"""Testing finds a run by name, id or checkpoint, and measures the test split."""

import json
import shutil

import pandas as pd
import pytest

from darts.core.artifacts import RunDirectory
from darts.core.errors import CheckpointError, ConfigError, RunError
from darts.training import test_smp as run_test
from factories import make_dataset


def test_a_run_is_found_by_name_or_id_and_its_results_are_kept(trained):
    artifacts, run_id = trained
    by_name = run_test(run_name="first", artifact_dir=artifacts, device="cpu")
    by_id = run_test(run_id=run_id, artifact_dir=artifacts, device="cpu", batch_size=3)
    assert by_name.metrics == pytest.approx(by_id.metrics, abs=1e-5)
    assert by_name.patches == 6
    directory = RunDirectory(by_name.directory)
    assert json.loads(directory.test_metrics.read_text()) == pytest.approx(by_name.metrics, abs=1e-5)
    assert set(pd.read_parquet(directory.confusion)["split"]) == {"val", "test"}
    assert {"test-roc.png", "test-samples.png"} <= {path.name for path in directory.figures.iterdir()}


def test_a_checkpoint_of_a_run_is_tested_as_the_run(trained):
    artifacts, run_id = trained
    checkpoint = artifacts / "_runs" / f"first-{run_id}" / "checkpoints" / "last.ckpt"
    result = run_test(checkpoint=checkpoint, device="cpu")
    assert result.directory == checkpoint.parents[1]
    assert result.checkpoint == checkpoint


def test_an_unknown_run_is_refused_with_those_that_exist(trained):
    artifacts, run_id = trained
    with pytest.raises(RunError, match=f"no run with the name second; it has first-{run_id}"):
        run_test(run_name="second", artifact_dir=artifacts)


def test_a_run_without_a_best_checkpoint_is_refused(trained):
    artifacts, run_id = trained
    RunDirectory(artifacts / "_runs" / f"first-{run_id}").best_checkpoint.unlink()
    with pytest.raises(CheckpointError, match="no best checkpoint"):
        run_test(run_id=run_id, artifact_dir=artifacts)


def test_something_must_be_named():
    with pytest.raises(ConfigError, match="one of --run-name, --run-id and --checkpoint"):
        run_test()


def test_a_dataset_that_changed_since_training_is_refused(trained, train, tmp_path):
    data = make_dataset(tmp_path / "data", seed=1)
    result = train(tmp_path / "art", train_data_dir=data, max_epochs=1)
    shutil.rmtree(data)
    make_dataset(data, seed=2)
    with pytest.raises(RunError, match="was changed since the model was trained on it"):
        run_test(run_id=result.run_id, artifact_dir=tmp_path / "art")
    with pytest.raises(RunError, match="was changed since the model was trained on it"):
        run_test(run_id=result.run_id, artifact_dir=tmp_path / "art", train_data_dir=data)
    data.rename(tmp_path / "elsewhere")
    other = run_test(run_id=result.run_id, artifact_dir=tmp_path / "art", train_data_dir=tmp_path / "elsewhere")
    assert other.patches == 6


def test_patches_that_the_run_was_trained_on_are_not_tested_on(trained):
    artifacts, run_id = trained
    with pytest.raises(RunError, match="6 patches that the model was trained or validated on"):
        run_test(run_id=run_id, artifact_dir=artifacts, data_split_method="region", data_split_by="East")
    same = run_test(
        run_id=run_id, artifact_dir=artifacts, data_split_method="region", data_split_by="West", device="cpu"
    )
    assert same.patches == 6


def test_the_loss_of_the_test_is_that_of_the_validation(train, tmp_path):
    settings = {"loss": "bce", "pos_weight": "auto", "data_split_method": "none", "data_split_by": ()}
    run = train(tmp_path, max_epochs=1, fold_method="none", **settings)
    tested = run_test(artifact_dir=tmp_path, run_id=run.run_id, device="cpu")
    assert tested.metrics["test/loss"] == pytest.approx(run.metrics["val/loss"], rel=1e-6)
    assert tested.metrics["test/JaccardIndex"] == run.metrics["val/JaccardIndex"]
