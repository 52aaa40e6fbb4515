"""Converted models give the logits of their checkpoint, and execute nothing."""

import json
from datetime import UTC, datetime

import pytest
import torch

from darts.core.errors import CheckpointError, ConfigError
from darts.training import convert_lightning_checkpoint, load_model
from darts.training.checkpoint import load_checkpoint, model_state
from darts.training.model import ModelSpec, build_model
from factories import nextgen_checkpoint


def logits(model: torch.nn.Module, bands: int) -> torch.Tensor:
    x = torch.rand(3, bands, 64, 64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        return model(x)


def of_checkpoint(path) -> torch.nn.Module:
    checkpoint = load_checkpoint(path)
    model = build_model(ModelSpec.from_dict(checkpoint["hyper_parameters"]["config"]["model"]))
    model.load_state_dict(model_state(checkpoint, path))
    return model.eval()


@pytest.mark.parametrize("format_", ["directory", "darts"])
def test_both_formats_give_the_logits_of_the_checkpoint(format_, trained_once, tmp_path):
    result = convert_lightning_checkpoint(
        lightning_checkpoint=trained_once.checkpoint, out_directory=tmp_path, format=format_
    )
    model, card = load_model(result.path)
    difference = (logits(model, 5) - logits(of_checkpoint(trained_once.checkpoint), 5)).abs().max()
    assert float(difference) <= 1e-5
    assert result.max_difference <= 1e-5
    assert card["model"]["encoder_name"] == "tu-test_resnet.r160_in1k"


def test_the_directory_format_is_safetensors_and_json_that_say_all(trained_once, tmp_path):
    result = convert_lightning_checkpoint(
        lightning_checkpoint=trained_once.checkpoint, out_directory=tmp_path, checkpoint_name="mine"
    )
    assert result.path == tmp_path / "mine"
    assert sorted(path.name for path in result.path.iterdir()) == ["config.json", "model.safetensors"]
    card = json.loads((result.path / "config.json").read_text())
    assert [band["name"] for band in card["bands"]] == ["blue", "green", "red", "nir", "ndvi"]
    assert card["bands"][0] == {"name": "blue", "lo": -0.1, "hi": 0.5, "unit": "reflectance", "fill": 0.0}
    assert (card["patch_size"], card["threshold"], card["ignore"]["label"]) == (64, 0.5, 2)
    assert card["provenance"]["run_id"] == trained_once.run_id


def test_the_darts_format_is_what_the_existing_pipeline_reads(trained_once, tmp_path):
    result = convert_lightning_checkpoint(
        lightning_checkpoint=trained_once.checkpoint, out_directory=tmp_path, format="darts"
    )
    assert result.path.name == f"first_{datetime.now(UTC):%Y-%m-%d}.ckpt"
    content = torch.load(result.path, weights_only=True)
    assert set(content) == {"config", "statedict"}
    assert {"model", "bands", "time", "name", "model_framework"} <= set(content["config"])
    assert not any(name.startswith("model.") for name in content["statedict"])


@pytest.mark.parametrize("format_", ["directory", "darts"])
def test_checkpoints_of_darts_nextgen_are_converted(format_, tmp_path):
    torch.manual_seed(0)
    model = build_model(ModelSpec("Unet", "tu-test_resnet.r160_in1k", 2)).eval()
    torch.save(nextgen_checkpoint(model.state_dict()), tmp_path / "old.ckpt")
    result = convert_lightning_checkpoint(
        lightning_checkpoint=tmp_path / "old.ckpt", out_directory=tmp_path / "out", format=format_
    )
    loaded, _ = load_model(result.path)
    assert torch.equal(logits(loaded, 2), logits(model, 2))


def test_an_existing_model_is_not_overwritten(trained_once, tmp_path):
    (tmp_path / "first").mkdir()
    with pytest.raises(CheckpointError, match="exists"):
        convert_lightning_checkpoint(lightning_checkpoint=trained_once.checkpoint, out_directory=tmp_path)


@pytest.mark.parametrize("name", ["../up", "a/b", "/etc/x", "", ".."])
def test_a_name_that_is_no_file_name_is_refused(name, trained_once, tmp_path):
    with pytest.raises(ConfigError):
        convert_lightning_checkpoint(
            lightning_checkpoint=trained_once.checkpoint, out_directory=tmp_path / "out", checkpoint_name=name
        )
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_cut_short_is_refused(trained_once, tmp_path):
    result = convert_lightning_checkpoint(lightning_checkpoint=trained_once.checkpoint, out_directory=tmp_path)
    weights = result.path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="no converted model"):
        load_model(result.path)


def test_a_changed_weight_is_noticed(trained_once, tmp_path):
    result = convert_lightning_checkpoint(lightning_checkpoint=trained_once.checkpoint, out_directory=tmp_path)
    weights = result.path / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-9] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match="no converted model"):
        load_model(result.path)


def test_a_conversion_that_fails_its_check_leaves_nothing(trained_once, tmp_path, monkeypatch):
    monkeypatch.setattr("darts.training.convert.TOLERANCE", -1.0)
    with pytest.raises(CheckpointError, match="differ"):
        convert_lightning_checkpoint(lightning_checkpoint=trained_once.checkpoint, out_directory=tmp_path)
    assert not list(tmp_path.iterdir())
