"""A run leaves what the contract says, and the same seed gives the same weights."""

import csv
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
import tomllib

import pandas as pd
import pytest
import torch
import zarr

from darts.core.artifacts import RunDirectory
from darts.core.errors import CheckpointError, DatasetError, ModelError, RunError
from darts.dataset.schema import chunk_path
from darts.training.checkpoint import load_checkpoint
from darts.training.config import DataConfig, Hyperparameters, RunLoggingConfig, TrainerConfig
from darts.training.metrics import Confusion, confusion_metrics
from darts.training.plan import plan_run
from darts.training.run_record import ALL_REGIONS


def weights(path) -> str:
    digest = hashlib.sha256()
    for name, tensor in load_checkpoint(path)["state_dict"].items():
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def test_a_run_leaves_the_files_of_the_contract(trained_once):
    directory = RunDirectory(trained_once.directory)
    assert directory.path.name == f"first-{trained_once.run_id}"
    assert len(trained_once.run_id) == 8
    for path in (directory.config, directory.split, directory.metrics, directory.confusion):
        assert path.is_file()
    assert sorted(path.name for path in directory.checkpoints.iterdir()) == ["best.ckpt", "last.ckpt"]
    figures = {path.name for path in directory.figures.iterdir()}
    assert {"val-confusion-matrix.png", "val-roc.png", "val-precision-recall.png", "val-samples.png"} <= figures


def test_the_result_is_written_last_and_says_what_the_run_returned(trained_once):
    directory = RunDirectory(trained_once.directory)
    result = json.loads(directory.result.read_text())
    assert directory.is_finished
    assert result["metrics"] == trained_once.metrics
    assert (result["run_id"], result["seed"], result["fold"]) == (trained_once.run_id, 42, 0)


def test_the_config_records_settings_and_what_they_were_applied_to(trained_once):
    record = tomllib.loads(RunDirectory(trained_once.directory).config.read_text())["darts"]
    assert record["model_encoder"] == "tu-test_resnet.r160_in1k"
    assert record["focal_loss_alpha"] == "none"
    assert record["dataset_fingerprint"].startswith("sha256:")
    assert any(version.startswith("torch ") for version in record["versions"])
    assert record["git_commit"]


def test_the_split_file_gives_each_patch_its_role(trained_once):
    roles = pd.read_parquet(RunDirectory(trained_once.directory).split)
    assert roles["role"].value_counts().to_dict() == {"train": 12, "val": 6, "test": 6}
    assert not roles["row"].duplicated().any()
    assert set(roles.loc[roles["role"] == "test", "region"]) == {"West"}


def test_every_epoch_has_a_row_and_the_last_one_is_validated(trained_once):
    with RunDirectory(trained_once.directory).metrics.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert [bool(row["val/JaccardIndex"]) for row in rows] == [False, True, True]
    assert all(row["train/loss"] for row in rows)
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx([1e-3, 0.9e-3, 0.81e-3])


def test_last_is_the_last_epoch_and_best_the_best_validated_one(trained_once):
    directory = RunDirectory(trained_once.directory)
    with directory.metrics.open() as file:
        scores = {int(row["epoch"]): float(row["val/JaccardIndex"] or -1) for row in csv.DictReader(file)}
    assert load_checkpoint(directory.last_checkpoint)["epoch"] == 2
    assert load_checkpoint(directory.best_checkpoint)["epoch"] == max(scores, key=scores.__getitem__)
    assert trained_once.metrics["val/JaccardIndex"] == pytest.approx(max(scores.values()), abs=1e-6)


def test_the_confusion_table_gives_the_metrics_of_the_best_checkpoint(trained_once):
    table = pd.read_parquet(RunDirectory(trained_once.directory).confusion).set_index(["split", "region"])
    total = table.loc[("val", ALL_REGIONS)]
    metrics = confusion_metrics(Confusion(*(int(total[name]) for name in ("tp", "fp", "fn", "tn"))))
    assert metrics["JaccardIndex"] == pytest.approx(trained_once.metrics["val/JaccardIndex"])
    regions = table.drop(index=("val", ALL_REGIONS))
    assert (regions.sum() == total).all()


@pytest.mark.parametrize("workers", [0, 2])
def test_one_seed_gives_identical_weights_for_any_number_of_workers(workers, train, tmp_path):
    """The reference is drawn once; both numbers of workers are held against it."""
    reference = train(tmp_path / "reference", random_seed=7)
    other = train(tmp_path / "other", random_seed=7, num_workers=workers)
    for name in ("best.ckpt", "last.ckpt"):
        assert weights(reference.checkpoint.parent / name) == weights(other.checkpoint.parent / name)
    assert reference.metrics == other.metrics


def test_another_seed_gives_other_weights_and_in_memory_changes_nothing(train, tmp_path):
    one = train(tmp_path / "one", random_seed=1, max_epochs=1)
    two = train(tmp_path / "two", random_seed=2, max_epochs=1)
    in_memory = train(tmp_path / "three", random_seed=1, max_epochs=1, in_memory=True)
    assert weights(one.checkpoint) != weights(two.checkpoint)
    assert weights(one.checkpoint) == weights(in_memory.checkpoint)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_goes_on_from_a_checkpoint_as_if_it_had_not_stopped(workers, train, tmp_path):
    whole = train(tmp_path / "whole", max_epochs=3)
    half = train(tmp_path / "half", max_epochs=2)
    last = half.checkpoint.with_name("last.ckpt")
    rest = train(tmp_path / "rest", max_epochs=3, continue_from_checkpoint=last, num_workers=workers)
    assert weights(whole.checkpoint.with_name("last.ckpt")) == weights(rest.checkpoint.with_name("last.ckpt"))
    tables = [RunDirectory(run.directory).metrics.read_text() for run in (whole, rest)]
    assert tables[0] == tables[1]


def test_going_on_with_other_bands_or_no_epochs_left_is_refused(trained_once, train, tmp_path):
    last = trained_once.checkpoint.with_name("last.ckpt")
    with pytest.raises(CheckpointError, match="was trained with"):
        train(tmp_path, bands="red,nir", continue_from_checkpoint=last, max_epochs=9)
    with pytest.raises(CheckpointError, match=r"was trained with fold 0, but this run has 1"):
        train(tmp_path, fold=1, continue_from_checkpoint=last, max_epochs=9)
    with pytest.raises(CheckpointError, match=r"was trained with learning_rate 0.001, but this run has 0.1"):
        train(tmp_path, learning_rate=0.1, continue_from_checkpoint=last, max_epochs=9)
    with pytest.raises(RunError, match="has finished 3 epochs already"):
        train(tmp_path, continue_from_checkpoint=last, max_epochs=3)
    assert not list(tmp_path.iterdir())


def test_early_stopping_stops_when_nothing_gets_better(train, tmp_path):
    result = train(tmp_path, max_epochs=6, early_stopping_patience=1, learning_rate=1e-12, augment=False)
    assert result.epochs < 6


def test_what_cannot_be_trained_is_refused_before_anything_is_written(train, tmp_path):
    with pytest.raises(ModelError):
        train(tmp_path, model_encoder="resnet81")
    with pytest.raises(RunError, match=r"no CUDA device 7.*--device cpu"):
        train(tmp_path, device="7")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_sample_stops_the_run_with_its_name(workers, train, dataset_dir, tmp_path):
    damaged = tmp_path / "dataset"
    shutil.copytree(dataset_dir, damaged)
    chunk_path(damaged / "data.zarr", "x", 7).unlink()
    with pytest.raises(DatasetError, match=r"x of sample 7.*chunk file is missing") as caught:
        train(tmp_path / "artifacts", train_data_dir=damaged, num_workers=workers, data_split_by="East")
    assert "\n" not in str(caught.value)


def test_a_run_directory_is_never_shared(tmp_path, dataset_dir):
    spec = plan_run(
        DataConfig(train_data_dir=dataset_dir),
        Hyperparameters(),
        TrainerConfig(),
        RunLoggingConfig(artifact_dir=tmp_path),
    )
    again = plan_run(spec.data, spec.hyperparameters, spec.trainer, spec.logging)
    assert spec.directory.path != again.directory.path


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_samples(train, tmp_path, monkeypatch):
    from darts.training.losses import MaskedLoss

    monkeypatch.setattr(MaskedLoss, "forward", lambda _self, logits, _y: logits.sum() * torch.nan)
    with pytest.raises(RunError, match=r"loss became nan in epoch 0 at the samples \["):
        train(tmp_path)


def heed_signals():
    """Undo that nohup, or the background of a shell, had the tests ignore signals."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_run_with_its_code_and_says_how_to_go_on(signum, code, dataset_dir, tmp_path):
    command = [
        *(sys.executable, "-m", "darts", "train-smp", "--train-data-dir", str(dataset_dir), "--device", "cpu"),
        *("--artifact-dir", str(tmp_path), "--run-name", "long", "--model-encoder", "tu-test_resnet.r160_in1k"),
        *("--max-epochs", "10000", "--early-stopping-patience", "0", "--check-val-every-n-epoch", "1000"),
    ]
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, preexec_fn=heed_signals, **pipes) as process:  # noqa: PLW1509 -- it only sets signals
        while process.poll() is None and not list(tmp_path.rglob("last.ckpt")):
            time.sleep(0.05)
        process.send_signal(signum)
        _, said = process.communicate(timeout=120)
    assert process.returncode == code, said
    (last,) = tmp_path.rglob("last.ckpt")
    assert said.rstrip().endswith(f"--resume {RunDirectory(last.parents[1]).name_and_id[1]}")
    assert load_checkpoint(last)["epoch"] >= 0
    assert "Traceback" not in said


def test_labels_outside_of_the_codes_stop_the_run_with_the_sample(train, dataset_dir, tmp_path):
    damaged = tmp_path / "dataset"
    shutil.copytree(dataset_dir, damaged)
    array = zarr.open_array(damaged / "data.zarr" / "y", mode="r+")
    array[7] = 255
    with pytest.raises(DatasetError, match=r"sample 7 .* label codes \(0, 1, 2\), but holds \[255\]"):
        train(tmp_path / "artifacts", train_data_dir=damaged, data_split_by="East")
