"""A run that is stopped at any step and goes on is the run that wasn't: weights, metrics, best checkpoint."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from darts.core.artifacts import RunDirectory, find_runs
from darts.core.errors import CheckpointError, Interrupted, RunError
from darts.core.lock import single_writer
from darts.training import test_smp as run_test
from darts.training.callbacks import StopOnRequest
from darts.training.checkpoint import load_checkpoint

SCHEDULES = [
    {},
    {"lr_schedule": "one-cycle", "ema": True},
    {"lr_schedule": "plateau", "swa": True, "swa_start": 0.3, "lr_patience": 0},
    {"lr_schedule": "cyclic", "accumulate_grad_batches": 2, "gradient_clip": 0.5, "deep_supervision": True},
    {"lr_schedule": "cosine", "optimizer": "sgd", "freeze_encoder_epochs": 1, "positive_fraction": 0.5},
]
EPOCHS = 4


def weights(directory, name="last.ckpt"):
    digest = hashlib.sha256()
    for key, tensor in load_checkpoint(directory.checkpoints / name)["state_dict"].items():
        digest.update(key.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def outcome(run):
    directory = RunDirectory(run.directory)
    files = [directory.metrics, directory.confusion, directory.regions, directory.scenes]
    return weights(directory), weights(directory, "best.ckpt"), run.metrics, [file.read_bytes() for file in files]


@pytest.fixture
def stopped(train, monkeypatch):
    """Train, and ask to stop as a signal does when so many steps were made; the interruption."""

    def run(folder, steps, **settings):
        with monkeypatch.context() as patched:
            _stop_after(patched, steps)
            with pytest.raises(Interrupted) as stop:
                train(folder, **settings)
        return stop.value

    return run


def _stop_after(monkeypatch, steps):
    ask = StopOnRequest.on_train_batch_end
    made = []

    def on_train_batch_end(self, trainer, *arguments, **keywords):
        made.append(1)
        if len(made) == steps:
            self._note(signal.SIGTERM, None)
        ask(self, trainer, *arguments, **keywords)

    monkeypatch.setattr(StopOnRequest, "on_train_batch_end", on_train_batch_end)


SETTINGS = {
    "run_name": "one",
    "max_epochs": EPOCHS,
    "check_val_every_n_epoch": 2,
    "batch_size": 3,
    "early_stopping_patience": 0,
}


@pytest.mark.parametrize(
    ("settings", "workers"),
    [(settings, 2 * (number == 0)) for number, settings in enumerate(SCHEDULES)],
    ids=lambda value: value.get("lr_schedule", "exponential") if isinstance(value, dict) else f"{value} workers",
)
def test_a_run_stopped_within_an_epoch_goes_on_as_if_it_had_not(settings, workers, train, stopped, tmp_path):
    settings = SETTINGS | settings
    whole = train(tmp_path / "whole", **settings)
    assert str(stopped(tmp_path / "part", 6, num_workers=workers, **settings)) == "stopped in epoch 2."
    rest = train(tmp_path / "part", num_workers=workers, resume="last", **settings)
    assert outcome(rest) == outcome(whole)
    assert len(list((tmp_path / "part" / "_runs").iterdir())) == 1


@pytest.mark.parametrize("steps", [1, 8])
def test_every_step_is_one_to_stop_at(steps, train, stopped, tmp_path):
    whole = train(tmp_path / "whole", **SETTINGS)
    stopped(tmp_path / "part", steps, **SETTINGS)
    assert outcome(train(tmp_path / "part", resume="last", **SETTINGS)) == outcome(whole)


def test_a_run_of_its_own_keeps_the_best_of_the_run_it_goes_on_with(train, stopped, tmp_path):
    """The later epochs learn nothing, so that the best one lies before the stop."""
    settings = SETTINGS | {"check_val_every_n_epoch": 1, "gamma": 1e-6}
    whole = train(tmp_path / "whole", **settings)
    stop = stopped(tmp_path / "part", 14, **settings)
    own = {name: value for name, value in settings.items() if name != "run_name"}
    rest = train(tmp_path / "rest", continue_from_checkpoint=stop.checkpoint, **own)
    assert load_checkpoint(whole.checkpoint)["epoch"] < 3
    assert outcome(rest)[:3] == outcome(whole)[:3]


def test_early_stopping_goes_on_counting(train, stopped, tmp_path):
    settings = SETTINGS | {
        "check_val_every_n_epoch": 1,
        "early_stopping_patience": 2,
        "learning_rate": 1e-12,
        "augment": False,
        "max_epochs": 9,
    }
    whole = train(tmp_path / "whole", **settings)
    stopped(tmp_path / "part", 9, **settings)
    rest = train(tmp_path / "part", resume="last", **settings)
    assert rest.epochs == whole.epochs < 9
    assert outcome(rest) == outcome(whole)


def test_a_run_that_another_process_goes_on_with_is_left_to_it(train, stopped, tmp_path):
    stopped(tmp_path, 2, **SETTINGS)
    (directory,) = find_runs(tmp_path)
    before = weights(directory)
    with (
        single_writer(directory.path),
        pytest.raises(RunError, match=f"process {os.getpid()} on .* does; wait or stop"),
    ):
        train(tmp_path, resume="last", **SETTINGS)
    assert weights(directory) == before
    rest = train(tmp_path, resume="last", **SETTINGS)
    assert rest.epochs == EPOCHS
    assert rest.duration >= pd.read_csv(directory.throughput)["seconds"].sum()


def test_what_comes_after_the_training_is_done_by_the_next_start(train, tmp_path):
    whole = train(tmp_path, **SETTINGS)
    directory = RunDirectory(whole.directory)
    before = outcome(whole)
    for path in (directory.result, directory.confusion, directory.regions, directory.scenes, directory.report):
        path.unlink()
    assert outcome(train(tmp_path, resume="last", **SETTINGS)) == before
    assert directory.report.exists()


def test_a_finished_run_is_left_alone(train, tmp_path, capsys):
    first = train(tmp_path, **SETTINGS)
    written = {path: path.stat().st_mtime_ns for path in first.directory.rglob("*") if path.is_file()}
    assert train(tmp_path, resume="last", **SETTINGS) == first
    assert train(tmp_path, skip_existing=True, **SETTINGS) == first
    assert {path: path.stat().st_mtime_ns for path in first.directory.rglob("*") if path.is_file()} == written


def test_resume_begins_a_run_that_is_not_there_and_skip_existing_too(train, tmp_path):
    short = SETTINGS | {"max_epochs": 1}
    train(tmp_path / "a", resume="last", **short)
    train(tmp_path / "b", skip_existing=True, **short)
    assert [len(find_runs(tmp_path / name)) for name in "ab"] == [1, 1]


def test_an_id_that_is_not_there_is_an_error(train, tmp_path):
    with pytest.raises(RunError, match="has no run with the name one and id 12345678"):
        train(tmp_path, resume="12345678", **SETTINGS)


def test_the_weights_of_a_checkpoint_are_all_that_init_weights_takes(train, trained_once, tmp_path):
    last = trained_once.checkpoint.with_name("last.ckpt")
    run = train(tmp_path, init_weights=last, learning_rate=1e-30, weight_decay=0.0, max_epochs=1)
    before, after = (load_checkpoint(path)["state_dict"] for path in (last, run.checkpoint))
    trained = [name for name in before if name.endswith("weight") and before[name].ndim == 4]
    assert all((before[name] == after[name]).all() for name in trained)
    assert run.epochs == 1


def command(folder, dataset, *more):
    return [
        *(sys.executable, "-m", "darts", "train-smp", "--train-data-dir", dataset, "--artifact-dir", folder),
        *("--model-encoder", "tu-test_resnet.r160_in1k", "--device", "cpu", "--run-name", "one", "--max-epochs", "6"),
        *("--fold-method", "region-kfold", "--total-folds", "4", "--batch-size", "2", "--resume", "last"),
        *("--check-val-every-n-epoch", "2", "--early-stopping-patience", "0", "--num-workers", "2"),
        *more,
    ]


def environment():
    return os.environ | {"OMP_NUM_THREADS": "1"}


def only_run(folder):
    (run,) = find_runs(folder)
    return run


@pytest.mark.slow
def test_killed_at_five_random_steps_the_same_command_ends_where_the_undisturbed_run_does(dataset_dir, tmp_path):
    whole, part = tmp_path / "whole", tmp_path / "part"
    subprocess.run(command(whole, dataset_dir), check=True, env=environment(), capture_output=True, timeout=600)
    rng = random.Random(5)
    kills = 0
    while kills < 5:
        process = subprocess.Popen(
            command(part, dataset_dir), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        metrics = part / "_runs"
        started = time.monotonic()
        seen = sum(path.stat().st_mtime_ns for path in metrics.glob("*/throughput.csv"))
        epochs = rng.randint(0, 1)  # epochs to let it finish before it is killed within the next one
        while process.poll() is None and time.monotonic() - started < 300:
            now = sum(path.stat().st_mtime_ns for path in metrics.glob("*/throughput.csv"))
            has_begun = any(metrics.glob("*/config.toml"))
            if has_begun and (epochs == 0 or now != seen):
                break
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.6))
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        kills += 1
    subprocess.run(command(part, dataset_dir), check=True, env=environment(), capture_output=True, timeout=600)
    one, other = only_run(whole), only_run(part)
    assert kills >= 3
    for name in ("last.ckpt", "best.ckpt"):
        assert weights(one, name) == weights(other, name)
    assert one.metrics.read_bytes() == other.metrics.read_bytes()
    results = [json.loads(run.result.read_text())["metrics"] for run in (one, other)]
    assert results[0] == results[1]
    assert pd.read_parquet(one.split).equals(pd.read_parquet(other.split))


def test_gradients_that_are_collected_are_not_lost(train, stopped, tmp_path):
    """Asked to stop after the first of two batches that make a step, it makes the step."""
    settings = SETTINGS | {"accumulate_grad_batches": 2}
    whole = train(tmp_path / "whole", **settings)
    stopped(tmp_path / "part", 5, **settings)
    assert outcome(train(tmp_path / "part", resume="last", **settings)) == outcome(whole)


def test_plateau_remembers_the_last_validation_before_a_stop(train, tmp_path, monkeypatch):
    settings = SETTINGS | {"lr_schedule": "plateau", "lr_patience": 0, "learning_rate": 1e-6, "max_epochs": 5}
    settings |= {"check_val_every_n_epoch": 1, "gamma": 0.5, "augment": False}
    whole = train(tmp_path / "whole", **settings)
    with monkeypatch.context() as patched:
        patched.setattr(StopOnRequest, "on_train_epoch_start", _ask_in_epoch(3))
        with pytest.raises(Interrupted, match="stopped after epoch 3"):
            train(tmp_path / "part", **settings)
    rest = train(tmp_path / "part", resume="last", **settings)
    rates = [pd.read_csv(RunDirectory(run.directory).metrics)["learning_rate"].tolist() for run in (whole, rest)]
    assert rates[0] == rates[1]
    assert len(set(rates[0])) > 2
    assert outcome(rest) == outcome(whole)


def _ask_in_epoch(epoch):
    before = StopOnRequest.on_train_epoch_start

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == epoch:
            self._note(signal.SIGTERM, None)
        before(self, trainer, pl_module)

    return on_train_epoch_start


def test_a_run_of_its_own_after_early_stopping_waits_with_its_own_patience(train, stopped, tmp_path):
    settings = SETTINGS | {"check_val_every_n_epoch": 1, "learning_rate": 1e-12, "augment": False, "max_epochs": 12}
    first = train(tmp_path / "first", **settings | {"early_stopping_patience": 1})
    last = first.directory / "checkpoints" / "last.ckpt"
    again = settings | {"early_stopping_patience": 4, "continue_from_checkpoint": last, "run_name": "again"}
    whole = train(tmp_path / "whole", **again)
    assert whole.epochs == first.epochs + 3
    stopped(tmp_path / "part", 2, **again)
    resumed = {name: value for name, value in again.items() if name != "continue_from_checkpoint"}
    assert outcome(train(tmp_path / "part", resume="last", **resumed)) == outcome(whole)


def write_roles(path, train_rows, val_rows, test_rows):
    roles = {"train": train_rows, "val": val_rows, "test": test_rows}
    lines = [f"{row},{role}" for role, rows in roles.items() for row in rows]
    path.write_text("\n".join(["row,role", *lines, ""]))
    return path


def test_a_split_file_that_was_edited_leaks_nothing(train, stopped, tmp_path):
    first, middle, last = range(12), range(12, 18), range(18, 24)
    path = write_roles(tmp_path / "split.csv", first, middle, last)
    divided = {"split_file": path, "data_split_method": "none", "data_split_by": (), "fold_method": "kfold"}
    whole = train(tmp_path / "whole", **SETTINGS, **divided)
    stopped(tmp_path / "part", 2, **SETTINGS, **divided)
    write_roles(path, last, middle, first)
    with pytest.raises(CheckpointError, match="was trained with split"):
        train(tmp_path / "part", resume="last", **SETTINGS, **divided)
    with pytest.raises(RunError, match=r"split\.csv divides the patches in another way"):
        run_test(artifact_dir=tmp_path / "whole", run_id=whole.run_id, device="cpu")
    write_roles(path, first, middle, last)
    path.rename(tmp_path / "moved.csv")
    train(tmp_path / "part", resume="last", **SETTINGS, **divided | {"split_file": tmp_path / "moved.csv"})
    (tmp_path / "moved.csv").rename(path)
    assert run_test(artifact_dir=tmp_path / "whole", run_id=whole.run_id, device="cpu").patches == 6


def test_a_run_of_a_cross_validation_goes_on_with_it_alone(train, tmp_path):
    run = train(tmp_path, **SETTINGS | {"max_epochs": 1})
    there = tmp_path / "_cross_validations" / "cv" / run.directory.name
    there.parent.mkdir(parents=True)
    run.directory.rename(there)
    with pytest.raises(RunError, match="is part of a cross-validation or a sweep; go on with that one"):
        train(tmp_path, resume=run.run_id, **SETTINGS)
    assert not list((tmp_path / "_runs").iterdir())


def test_steps_of_several_processes_go_on_with_as_many(train, stopped, tmp_path):
    settings = SETTINGS | {"lr_schedule": "one-cycle"}
    stopped(tmp_path, 6, **settings)
    with pytest.raises(CheckpointError, match="counts steps of 1 processes or GPUs together, but this run has 2"):
        train(tmp_path, resume="last", num_processes=2, **settings)
