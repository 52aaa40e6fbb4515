"""Converted models give the logits of their checkpoint, and execute nothing; so do models straight from a run."""

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn

from darts.core.artifacts import find_runs
from darts.core.errors import CheckpointError, ConfigError, ModelError, RunError
from darts.training import convert_lightning_checkpoint, load_model
from darts.training.checkpoint import load_checkpoint, write_checkpoint
from darts.training.model import ModelSpec, build_model, predict_logits
from darts.training.normalise import Normalisation, Normaliser
from darts.training.reload import load_from_run, load_run
from factories import nextgen_checkpoint

ENCODER = "tu-test_resnet.r160_in1k"
BANDS = ("blue", "red", "slope")
SPEC = ModelSpec("Unet", ENCODER, len(BANDS))
QUANTILE = Normalisation("quantile", (0.1, None, 0.0), (0.9, None, 0.3), (0.1, 0.5, 0.0), (1.25, 0.3, 1 / 0.3))


def make_model(spec: ModelSpec = SPEC, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model = build_model(spec, allowed_factory=spec.factory)
    model(torch.randn(4, spec.in_channels, 64, 64))  # running statistics that are not those of a new one
    return model.eval()


def write_training_checkpoint(
    path: Path, model: nn.Module, spec: ModelSpec = SPEC, normalisation: Normalisation | None = None, described=()
) -> Path:
    """A checkpoint as a training writes it, with heads of deep supervision beside the model."""
    config = {
        "model": spec.as_dict(),
        "bands": list(BANDS),
        "scaling": {name: {"lo": -0.1, "hi": 0.5, "unit": "1", "fill": 0.25} for name in BANDS},
        "patch_size": 64,
        "run_name": "first",
        "run_id": "abc123",
        "dataset_fingerprint": "f" * 32,
        "settings": {"max_epochs": 3},
    }
    config |= {} if normalisation is None else {"normalisation": normalisation.as_dict()}
    state = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    state["supervision.heads.0.weight"] = torch.ones(1, 8, 1, 1)
    content = {"state_dict": state, "hyper_parameters": {"config": config | dict(described), "hyperparameters": {}}}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint(content, path)
    return path


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return make_model()


@pytest.fixture(scope="module")
def checkpoint(model, tmp_path_factory) -> Path:
    return write_training_checkpoint(tmp_path_factory.mktemp("run") / "best.ckpt", model)


@pytest.fixture(scope="module")
def normalised(model, tmp_path_factory) -> Path:
    return write_training_checkpoint(tmp_path_factory.mktemp("run") / "best.ckpt", model, SPEC, QUANTILE)


def convert(path: Path, out: Path, **settings):
    return convert_lightning_checkpoint(lightning_checkpoint=path, out_directory=out, **settings)


def images(bands: int = len(BANDS), height: int = 64, width: int = 64) -> torch.Tensor:
    return torch.rand(3, bands, height, width, generator=torch.Generator().manual_seed(3))


def expected_logits(model: nn.Module, x: torch.Tensor, normalisation: Normalisation | None = None) -> torch.Tensor:
    with torch.no_grad():
        return predict_logits(model, Normaliser(normalisation or Normalisation()), x)[:, None]


def require_equal(loaded: nn.Module, model: nn.Module, normalisation: Normalisation | None = None) -> None:
    bands = next(m.in_channels for m in model.modules() if isinstance(m, nn.Conv2d))
    for height, width in ((64, 64), (70, 33)):
        x = images(bands, height, width)
        with torch.no_grad():
            difference = (loaded(x) - expected_logits(model, x, normalisation)).abs().max()
        assert float(difference) <= 1e-5


@pytest.mark.parametrize("format_", ["directory", "darts"])
def test_both_formats_give_the_logits_of_the_checkpoint(format_, checkpoint, model, tmp_path):
    result = convert(checkpoint, tmp_path, format=format_)
    loaded, card = load_model(result.path)
    require_equal(loaded, model)
    assert result.max_difference <= 1e-5
    assert card["model"]["encoder_name"] == ENCODER
    assert not loaded.training


def test_the_directory_format_is_safetensors_and_json_that_say_all(checkpoint, tmp_path):
    result = convert(checkpoint, tmp_path, checkpoint_name="mine")
    assert result.path == tmp_path / "mine"
    assert sorted(path.name for path in result.path.iterdir()) == ["config.json", "model.safetensors"]
    card = json.loads((result.path / "config.json").read_text())
    assert [band["name"] for band in card["bands"]] == list(BANDS)
    assert card["bands"][0] == {"name": "blue", "lo": -0.1, "hi": 0.5, "unit": "1", "fill": 0.25}
    assert (card["patch_size"], card["threshold"], card["ignore"]["label"]) == (64, 0.5, 2)
    assert (card["padding"], card["normalisation"]["method"]) == (32, "none")
    assert card["provenance"]["run_id"] == "abc123"


def test_the_darts_format_is_what_the_existing_pipeline_reads(checkpoint, model, tmp_path):
    result = convert(checkpoint, tmp_path, format="darts")
    assert result.path.name == f"first_{datetime.now(UTC):%Y-%m-%d}.ckpt"
    content = torch.load(result.path, weights_only=True)
    assert set(content) == {"config", "statedict"}
    assert {"model", "bands", "time", "name", "model_framework"} <= set(content["config"])
    assert set(content["statedict"]) == set(model.state_dict())


def test_the_darts_format_hands_options_to_create_model(tmp_path):
    spec = dataclasses.replace(
        SPEC, options={"decoder_channels": [32, 32, 16, 16, 16], "decoder_attention_type": "scse"}
    )
    model = make_model(spec)
    path = write_training_checkpoint(tmp_path / "best.ckpt", model, spec)
    result = convert(path, tmp_path, format="darts")
    content = torch.load(result.path, weights_only=True)
    theirs = smp.create_model(**content["config"]["model"], encoder_weights=None)
    theirs.load_state_dict(content["statedict"])
    for loaded in (theirs.eval(), load_model(result.path)[0]):
        with torch.no_grad():
            torch.testing.assert_close(loaded(images()), model(images()), rtol=1e-4, atol=1e-5)


def test_options_are_part_of_the_directory_format(tmp_path):
    spec = dataclasses.replace(SPEC, options={"encoder_depth": 3, "decoder_channels": [8, 8, 8]})
    model = make_model(spec)
    result = convert(write_training_checkpoint(tmp_path / "best.ckpt", model, spec), tmp_path)
    loaded, card = load_model(result.path)
    require_equal(loaded, model)
    assert (card["model"]["options"], card["padding"]) == (dict(spec.options), 8)


def test_a_normalisation_becomes_part_of_the_model(normalised, model, tmp_path):
    result = convert(normalised, tmp_path)
    loaded, card = load_model(result.path)
    require_equal(loaded, model, QUANTILE)
    x = images()
    assert not torch.allclose(expected_logits(model, x), expected_logits(model, x, QUANTILE), atol=1e-3)
    assert Normalisation.from_dict(card["normalisation"]) == QUANTILE


def test_the_darts_format_has_no_place_for_a_normalisation(normalised, tmp_path):
    with pytest.raises(ConfigError, match=r"no place for normalisation quantile .*use --format directory"):
        convert(normalised, tmp_path / "out", format="darts")
    assert not (tmp_path / "out").exists()


def test_a_normalisation_of_other_bands_is_refused(model, tmp_path):
    other = Normalisation("z-score", (None,), (None,), (0.5,), (2.0,))
    path = write_training_checkpoint(tmp_path / "best.ckpt", model, SPEC, other)
    with pytest.raises(CheckpointError, match="normalises 1 bands, but its model takes 3"):
        convert(path, tmp_path / "out")


FACTORY = """
import torch

def make(in_channels, classes, width=4):
    return torch.nn.Sequential(torch.nn.Conv2d(in_channels, width, 3, padding=1), torch.nn.Conv2d(width, classes, 1))
"""


def test_a_model_of_the_user_is_converted_and_loaded_only_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "my_network.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(tmp_path)
    spec = ModelSpec("", "", len(BANDS), options={"width": 6}, factory="my_network:make")
    model = make_model(spec)
    path = write_training_checkpoint(tmp_path / "_runs" / "first-abc123" / "checkpoints" / "best.ckpt", model, spec)
    (path.parents[1] / "split.parquet").touch()
    with pytest.raises(ModelError, match="give --model-factory my_network:make if you trust it"):
        convert(path, tmp_path / "out")
    with pytest.raises(ConfigError, match=r"no place for the model of my_network:make"):
        convert(path, tmp_path / "out", format="darts")
    with pytest.raises(ModelError, match="give --model-factory"):
        load_from_run(tmp_path, run_name="first")
    loaded, card = load_from_run(tmp_path, run_name="first", model_factory="my_network:make")
    require_equal(loaded, model)
    assert card["model"]["factory"] == "my_network:make"
    assert card["padding"] == 32


@pytest.mark.parametrize("format_", ["directory", "darts"])
def test_checkpoints_of_darts_nextgen_are_converted(format_, tmp_path):
    spec = ModelSpec("Unet", ENCODER, 2)
    model = make_model(spec)
    torch.save(nextgen_checkpoint(model.state_dict()), tmp_path / "old.ckpt")
    result = convert(tmp_path / "old.ckpt", tmp_path / "out", format=format_)
    require_equal(load_model(result.path)[0], model)


def test_a_model_that_was_converted_before_there_were_normalisations_is_loaded(checkpoint, model, tmp_path):
    result = convert(checkpoint, tmp_path)
    card = json.loads((result.path / "config.json").read_text())
    del card["normalisation"], card["padding"]
    (result.path / "config.json").write_text(json.dumps(card))
    require_equal(load_model(result.path)[0], model)


@pytest.mark.parametrize(
    "described", [{"arch": "Unet"}, "Unet", {"arch": "Unet", "encoder_name": "a", "in_channels": "b"}]
)
def test_a_checkpoint_that_does_not_describe_its_model_is_refused(described, model, tmp_path):
    path = write_training_checkpoint(tmp_path / "best.ckpt", model, described={"model": described})
    with pytest.raises(CheckpointError, match="a model is described by arch, encoder_name and in_channels"):
        convert(path, tmp_path / "out")


def test_weights_of_another_model_are_refused(model, tmp_path):
    path = write_training_checkpoint(tmp_path / "best.ckpt", model, dataclasses.replace(SPEC, arch="Linknet"))
    with pytest.raises(CheckpointError, match="don't fit the model that it describes"):
        convert(path, tmp_path / "out")


def test_an_existing_model_is_not_overwritten(checkpoint, tmp_path):
    (tmp_path / "first").mkdir()
    with pytest.raises(CheckpointError, match="exists"):
        convert(checkpoint, tmp_path)


@pytest.mark.parametrize("name", ["../up", "a/b", "/etc/x", "", ".."])
def test_a_name_that_is_no_file_name_is_refused(name, checkpoint, tmp_path):
    with pytest.raises(ConfigError):
        convert(checkpoint, tmp_path / "out", checkpoint_name=name)
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_cut_short_is_refused(checkpoint, tmp_path):
    weights = convert(checkpoint, tmp_path).path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="no converted model"):
        load_model(weights.parent)


def test_a_changed_weight_is_noticed(checkpoint, tmp_path):
    weights = convert(checkpoint, tmp_path).path / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-9] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match="no converted model"):
        load_model(weights.parent)


def test_a_conversion_that_fails_its_check_leaves_nothing(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("darts.training.convert.TOLERANCE", -1.0)
    with pytest.raises(CheckpointError, match="differ"):
        convert(checkpoint, tmp_path)
    assert not list(tmp_path.iterdir())


# Straight from a run


@pytest.fixture
def artifacts(tmp_path) -> Path:
    """Two runs, one of them in a cross-validation, with other weights in best and in last."""
    for place, run in (("_runs", "first-a1"), ("_cross_validations/second", "fold-b2")):
        directory = tmp_path / place / run
        for seed, which in enumerate(("best", "last")):
            path = directory / "checkpoints" / f"{which}.ckpt"
            write_training_checkpoint(path, make_model(seed=seed), SPEC, QUANTILE)
        (directory / "split.parquet").touch()
    return tmp_path


@pytest.mark.parametrize(("which", "seed"), [("best", 0), ("last", 1)])
def test_the_model_of_a_run_is_that_of_its_checkpoint(which, seed, artifacts):
    for directory in find_runs(artifacts):
        loaded, card = load_run(directory, which)
        require_equal(loaded, make_model(seed=seed), QUANTILE)
        assert not loaded.training
        assert card["name"] == directory.name_and_id[0]


def test_a_run_and_its_converted_model_say_the_same(artifacts, tmp_path):
    converted = convert(find_runs(artifacts)[-1].best_checkpoint, tmp_path / "models")
    written = json.loads((converted.path / "config.json").read_text())
    written.pop("weights_sha256")
    model, card = load_from_run(artifacts, run_name="first", run_id="a1")
    assert card == written
    with torch.no_grad():
        assert torch.equal(model(images()), load_model(converted.path)[0](images()))


def test_a_run_is_found_by_its_row(artifacts):
    assert load_from_run(str(artifacts), run_id="b2")[1]["name"] == "fold"
    with pytest.raises(RunError, match="no run with the name third"):
        load_from_run(artifacts, run_name="third")
    with pytest.raises(ConfigError, match="neither was given"):
        load_from_run(artifacts)
    with pytest.raises(ConfigError, match="best or last, but got 'worst'"):
        load_from_run(artifacts, run_name="first", which="worst")


def test_a_run_that_was_stopped_early_has_no_best_model(artifacts):
    find_runs(artifacts)[-1].best_checkpoint.unlink()
    with pytest.raises(CheckpointError, match="first-a1 has no best checkpoint"):
        load_from_run(artifacts, run_name="first")
    assert load_from_run(artifacts, run_name="first", which="last")


def test_a_finished_training_is_converted_and_reloaded(trained_once, tmp_path):
    described = load_checkpoint(trained_once.checkpoint)["hyper_parameters"]["config"]
    converted, card = load_model(convert(trained_once.checkpoint, tmp_path).path)
    reloaded, _ = load_from_run(trained_once.directory.parents[1], run_id=trained_once.run_id)
    x = images(len(described["bands"]))
    with torch.no_grad():
        assert torch.equal(converted(x), reloaded(x))
    assert [band["name"] for band in card["bands"]] == described["bands"]
    assert card["provenance"]["run_id"] == trained_once.run_id
