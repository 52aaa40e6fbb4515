"""Where a run computes: one device, several processes that share a run, and what isn't there."""

import csv
import json
import os
import subprocess
import sys

import pandas as pd
import pytest

from darts.core.artifacts import find_runs
from darts.core.errors import ConfigError, RunError
from darts.training.config import DataConfig, Hyperparameters, RunLoggingConfig, TrainerConfig
from darts.training.devices import one_device, place_run, resolve_devices
from darts.training.plan import PreparedRun, plan_run

from .conftest import ENCODER


def place(**settings):
    hyperparameters = {name: settings.pop(name) for name in ("gradient_clip",) if name in settings}
    return place_run(TrainerConfig(**({"device": "cpu"} | settings)), Hyperparameters(**hyperparameters))


def test_one_device_needs_no_strategy():
    placement = place()
    assert placement.trainer_settings == {"accelerator": "cpu", "devices": 1, "strategy": "auto", "num_nodes": 1}
    assert placement.is_main_process


def test_several_processes_share_a_run_by_ddp():
    placement = place(num_processes=2)
    assert (placement.devices, placement.strategy, placement.processes) == (2, "ddp", 2)
    assert place(num_processes=2, strategy="ddp_spawn").strategy == "ddp_spawn"
    assert place(num_processes=2, num_nodes=3).processes == 6


def test_ddp_looks_for_parameters_without_a_gradient_where_there_are_some():
    assert place(num_processes=2).with_idle_parameters().strategy == "ddp_find_unused_parameters_true"
    assert place().with_idle_parameters().strategy == "auto"


@pytest.mark.parametrize(
    ("settings", "strategy"),
    [
        ({"freeze_encoder_epochs": 1}, "ddp_find_unused_parameters_true"),
        ({"model_arch": "PSPNet", "model_encoder": "resnet18"}, "ddp_find_unused_parameters_true"),
        ({}, "ddp"),
    ],
    ids=["frozen", "unused stages", "plain"],
)
def test_a_prepared_run_knows_whether_its_model_has_such_parameters(settings, strategy, dataset_dir, tmp_path):
    hyperparameters = Hyperparameters(**({"model_encoder": ENCODER} | settings))
    trainer = TrainerConfig(device="cpu", num_processes=2)
    data = DataConfig(train_data_dir=dataset_dir)
    spec = plan_run(data, hyperparameters, trainer, RunLoggingConfig(artifact_dir=tmp_path, run_name="a"))
    assert PreparedRun(spec).placement.strategy == strategy


def test_only_the_first_process_of_a_shared_run_writes(monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "1")
    assert not place(num_processes=2).is_main_process
    assert place().is_main_process, "a run of its own, which a job array started beside others"


def test_fsdp_without_a_gpu_is_refused():
    with pytest.raises(RunError, match="--strategy fsdp needs GPUs, and there is none here; use ddp"):
        place(strategy="fsdp", num_processes=2)


def test_half_precision_without_a_gpu_is_refused():
    with pytest.raises(RunError, match=r"--precision 16-mixed needs a GPU.*use bf16-mixed"):
        place(precision="16-mixed")


def test_an_index_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(RunError, match=r"no CUDA device 7.*use --device cpu"):
        resolve_devices(["7"])


@pytest.mark.parametrize("names", [["gpu"], ["0", "0"], ["cpu", "0"], []])
def test_what_is_no_device_is_refused(names):
    with pytest.raises(ConfigError, match="--device: give auto, cpu, or one or more CUDA indices"):
        resolve_devices(names)


def test_what_uses_one_device_refuses_several(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(RunError, match="only train-smp shares a run between devices, but got 0, 1; choose one"):
        one_device(["0", "1"])
    assert one_device(["1"]) == ("cuda", [1])


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
def test_two_processes_make_one_run_with_the_metrics_of_one(strategy, dataset_dir, tmp_path):
    """The last epoch is the best one; what two processes counted for it is what one counts for its checkpoint."""
    command = [
        *(sys.executable, "-m", "darts", "train-smp", "--train-data-dir", dataset_dir, "--artifact-dir", tmp_path),
        *("--data-split-method", "region", "--data-split-by", "West", "--fold-method", "region-kfold"),
        *("--total-folds", "3", "--model-encoder", "tu-test_resnet.r160_in1k", "--device", "cpu"),
        *("--num-processes", "2", "--strategy", strategy, "--max-epochs", "2", "--check-val-every-n-epoch", "1"),
        *("--batch-size", "4", "--run-name", "shared", "--learning-rate", "1e-12", "--augment", "false"),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    (run,) = find_runs(tmp_path)
    with run.metrics.open() as file:
        epochs = {int(row["epoch"]): row for row in csv.DictReader(file)}
    assert set(epochs) == {0, 1}
    result = json.loads(run.result.read_text())
    for name, value in result["metrics"].items():
        assert float(epochs[0][name]) == pytest.approx(value, abs=2e-4), name
    counts = pd.read_parquet(run.confusion).set_index(["split", "region"]).loc[("val", "(all)")]
    assert counts[["tp", "fp", "fn", "tn"]].sum() == 6 * 64 * (64 - 3), (
        "every val pixel once; three columns are ignored"
    )
    assert done.stdout.count("best checkpoint of shared") == 1
