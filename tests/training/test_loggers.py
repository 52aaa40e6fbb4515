"""Metrics are kept in a file always, and tracking never stops a run."""

import csv

import pytest

from darts.training.loggers import EpochTable, WandbTracker


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_metrics_of_one_epoch_come_into_one_row(tmp_path):
    table = EpochTable(tmp_path / "metrics.csv")
    table.log_metrics({"val/loss": 0.5, "epoch": 0}, 10)
    table.log_metrics({"train/loss": 0.7, "epoch": 0}, 10)
    table.log_metrics({"train/loss_step": 0.1, "epoch": 0}, 11)
    table.save()
    assert read(table.path) == [{"epoch": "0", "step": "10", "train/loss": "0.7", "val/loss": "0.5"}]


def test_rows_that_are_there_are_kept_and_repeated_epochs_replaced(tmp_path):
    first = EpochTable(tmp_path / "metrics.csv")
    for epoch in range(3):
        first.log_metrics({"train/loss": float(epoch), "epoch": epoch}, epoch)
    first.save()
    again = EpochTable(tmp_path / "metrics.csv")
    again.log_metrics({"train/loss": 9.0, "epoch": 2}, 2)
    again.log_metrics({"train/loss": 3.0, "epoch": 3}, 3)
    again.save()
    assert [row["train/loss"] for row in read(again.path)] == ["0.0", "1.0", "9.0", "3.0"]


@pytest.fixture
def no_server(monkeypatch, tmp_path):
    """A W&B server that refuses the connection, and a key that looks right."""
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_MODE", raising=False)


def test_an_unreachable_server_makes_the_run_an_offline_one(no_server, tmp_path, caplog):
    with caplog.at_level("WARNING", logger="darts"):
        tracker = WandbTracker(tmp_path, "run", "abcd1234", project="p", entity=None)
        tracker.log_hyperparams({"a": 1})
        tracker.log_metrics({"val/loss": 0.5, "epoch": 0}, 1)
        tracker.close()
    assert "kept offline" in caplog.text
    assert "wandb sync" in caplog.text
    assert list((tmp_path / "wandb").glob("offline-run-*-abcd1234"))


def test_a_tracker_that_breaks_says_so_once_and_is_left_alone(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("WANDB_MODE", "offline")
    tracker = WandbTracker(tmp_path, "run", "abcd1235", project="p", entity=None)

    class Broken:
        def log(self, *_):
            raise RuntimeError("the service is gone")

    tracker.start()
    tracker._run = Broken()
    with caplog.at_level("WARNING", logger="darts"):
        tracker.log_metrics({"a": 1.0}, 1)
        tracker.log_metrics({"a": 2.0}, 2)
        tracker.close()
    assert caplog.text.count("training goes on without it") == 1


def test_a_run_that_goes_on_keeps_its_curves(monkeypatch, tmp_path):
    asked = {}
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr("wandb.init", lambda **arguments: asked.update(arguments))
    WandbTracker(tmp_path, "run", "abcd1236", project="p", entity=None).start()
    assert (asked["id"], asked["resume"]) == ("abcd1236", "allow")
