"""Checkpoints are whole or absent, and loading one executes nothing."""

import os
import pathlib
import pickle
import tarfile
import zipfile

import pytest
import torch

from darts.core.errors import CheckpointError
from darts.training.checkpoint import SafeCheckpointIO, load_checkpoint, model_config, model_state
from factories import nextgen_checkpoint


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, canary: pathlib.Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch {self.canary}",)


def harmless() -> dict:
    return {"state_dict": {"model.weight": torch.arange(4000.0)}, "hyper_parameters": {"config": {"a": 1}}}


def hostile_torch_file(path, canary):
    torch.save({"state_dict": {}, "evil": Payload(canary)}, path)


def hostile_pickle(path, canary):
    path.write_bytes(pickle.dumps(Payload(canary)))


def hostile_legacy_file(path, canary):
    torch.save({"evil": Payload(canary)}, path, _use_new_zipfile_serialization=False)


def hostile_tar(path, canary):
    inner = path.with_suffix(".pickle")
    hostile_pickle(inner, canary)
    with tarfile.open(path, "w") as archive:
        archive.add(inner, "pickle")


def hostile_hyperparameters(path, canary):
    content = harmless()
    content["hyper_parameters"]["_instantiator"] = "os.system"
    content["hyper_parameters"]["config"] = Payload(canary)
    torch.save(content, path)


HOSTILE = [hostile_torch_file, hostile_pickle, hostile_legacy_file, hostile_tar, hostile_hyperparameters]


@pytest.mark.parametrize("forced", [False, True], ids=["", "weights-only-forced-off"])
@pytest.mark.parametrize("make", HOSTILE)
def test_nothing_in_a_hostile_file_is_executed(make, forced, tmp_path, monkeypatch):
    if forced:
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    canary, path = tmp_path / "canary", tmp_path / "model.ckpt"
    make(path, canary)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert not canary.exists()
    assert "weights_only" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["http://127.0.0.1/a.ckpt", "https://127.0.0.1/a.ckpt", "s3://bucket/a.ckpt"])
def test_a_path_that_is_not_local_is_refused(path):
    with pytest.raises(CheckpointError, match="local file"):
        load_checkpoint(path)


def test_a_round_trip_keeps_every_value(tmp_path):
    SafeCheckpointIO().save_checkpoint(harmless(), tmp_path / "a" / "x.ckpt")
    loaded = load_checkpoint(tmp_path / "a" / "x.ckpt")
    assert torch.equal(loaded["state_dict"]["model.weight"], torch.arange(4000.0))
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["x.ckpt"]


def test_every_flipped_bit_and_every_cut_is_noticed(tmp_path):
    path = tmp_path / "x.ckpt"
    torch.save(harmless(), path)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        weights = next(entry for entry in archive.infolist() if entry.filename.endswith("data/0"))
    for offset in range(weights.header_offset + 200, weights.header_offset + 200 + 8000, 1000):
        damaged = bytearray(whole)
        damaged[offset] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged"):
            load_checkpoint(path)
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            load_checkpoint(path)


def test_a_file_that_unfolds_to_more_than_it_is_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.ckpt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10_000_000)
    with pytest.raises(CheckpointError, match="compressed"):
        load_checkpoint(tmp_path / "bomb.ckpt")


def test_a_page_of_html_is_no_checkpoint(tmp_path):
    (tmp_path / "x.ckpt").write_text("<html>sign in</html>")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_checkpoint(tmp_path / "x.ckpt")


def test_a_failed_save_leaves_the_checkpoint_before_it(tmp_path):
    path = tmp_path / "last.ckpt"
    SafeCheckpointIO().save_checkpoint(harmless(), path)
    before = path.read_bytes()
    with pytest.raises((AttributeError, pickle.PicklingError, TypeError)):
        SafeCheckpointIO().save_checkpoint({"a": torch.zeros(10), "b": lambda: None}, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_checkpoints_of_darts_nextgen_are_read(tmp_path):
    path = tmp_path / "old.ckpt"
    torch.save(nextgen_checkpoint({"weight": torch.ones(3)}), path)
    checkpoint = load_checkpoint(path)
    described = model_config(checkpoint, path)
    assert described["bands"] == ["red", "nir"]
    assert described["run_name"] == "old"
    assert list(model_state(checkpoint, path)) == ["weight"]


def test_the_older_name_of_bands_is_understood(tmp_path):
    content = nextgen_checkpoint({"weight": torch.ones(3)})
    content["hyper_parameters"]["config"]["input_combination"] = content["hyper_parameters"]["config"].pop("bands")
    assert model_config(content, tmp_path)["bands"] == ["red", "nir"]


def test_a_checkpoint_without_a_model_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="state_dict"):
        model_state({"a": 1}, tmp_path)
    with pytest.raises(CheckpointError, match="model and bands"):
        model_config({"hyper_parameters": {}}, tmp_path)


def test_the_same_content_gives_the_same_bytes(tmp_path):
    for name in ("one.ckpt", "another.ckpt"):
        SafeCheckpointIO().save_checkpoint(harmless(), tmp_path / name)
    assert (tmp_path / "one.ckpt").read_bytes() == (tmp_path / "another.ckpt").read_bytes()
