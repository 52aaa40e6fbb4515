"""Pretrained weights are those that were asked for, or an error."""

import pickle

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from darts.core.errors import ModelError
from darts.training.encoder_weights import load_encoder_weights
from darts.training.model import ModelSpec, build_model

ENCODER = "tu-test_resnet.r160_in1k"


def encoder(name: str = ENCODER, in_channels: int = 3, **options) -> nn.Module:
    torch.manual_seed(1)
    return build_model(ModelSpec("Unet", name, in_channels, options=options)).encoder.eval()


def whole(name: str, seed: int = 0) -> nn.Module:
    """A classifier of timm, with running statistics that are not those of a new one."""
    torch.manual_seed(seed)
    model = timm.create_model(name)
    model(torch.randn(4, 3, 64, 64))
    return model.eval()


def features(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(x)[-1]


def write(content, path):
    save_file(content, path) if path.suffix == ".safetensors" else torch.save(content, path)
    return path


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "test_efficientnet", "ghostnet_050", "resnet10t"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_the_file_of_a_classifier_of_timm_fits_the_encoder_of_that_name(name, suffix, tmp_path):
    model, ours = whole(name), encoder(f"tu-{name}")
    load_encoder_weights(ours, write(model.state_dict(), tmp_path / f"weights{suffix}"), 3)
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        expected = model.forward_intermediates(x, intermediates_only=True)[-1]
    torch.testing.assert_close(features(ours, x), expected)


WRAPPINGS = {
    "bare": lambda state: state,
    "module": lambda state: {f"module.{key}": value for key, value in state.items()},
    "encoder": lambda state: {f"encoder.{key}": value for key, value in state.items()},
    "lightning": lambda state: {
        "epoch": 3,
        "state_dict": {f"model.encoder.{key}": value for key, value in state.items()}
        | {"model.decoder.conv1.weight": torch.zeros(1), "model.decoder.layer1.0.bias": torch.zeros(1)},
    },
    "below model": lambda state: {"model": state, "optimizer": {"lr": 0.1}},
    "half precision": lambda state: {
        key: value.half() if value.is_floating_point() else value for key, value in state.items()
    },
    "without counters": lambda state: {key: value for key, value in state.items() if "num_batches" not in key},
}


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS)
def test_a_state_dict_is_found_however_it_is_wrapped(wrap, tmp_path):
    given = encoder(decoder_channels=[8] * 5)
    with torch.no_grad():
        for parameter in given.parameters():
            parameter.add_(0.25).mul_(64).round_().div_(64)  # also exact in half precision
    ours = encoder()
    load_encoder_weights(ours, write(wrap(given.state_dict()), tmp_path / "weights.pt"), 3)
    for name, parameter in given.named_parameters():
        assert torch.equal(ours.get_parameter(name), parameter), name


@pytest.mark.parametrize("channels", [1, 2, 3, 5, 6])
def test_a_convolution_on_rgb_is_made_one_on_other_bands(channels, tmp_path):
    model, ours = whole("test_resnet"), encoder(in_channels=channels)
    load_encoder_weights(ours, write(model.state_dict(), tmp_path / "weights.pth"), channels)
    rgb = model.conv1[0].weight.detach()
    expected = rgb.sum(1, keepdim=True) if channels == 1 else rgb.repeat(1, 2, 1, 1)[:, :channels] * 3 / channels
    torch.testing.assert_close(ours.model.conv1[0].weight.detach(), expected)


def test_on_the_same_bands_twice_the_features_are_those_of_rgb(tmp_path):
    path = write(whole("test_resnet").state_dict(), tmp_path / "weights.pth")
    once, twice = encoder(), encoder(in_channels=6)
    load_encoder_weights(once, path, 3)
    load_encoder_weights(twice, path, 6)
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(features(twice, torch.cat([x, x], dim=1)), features(once, x))


def test_a_checkpoint_of_a_model_gives_its_encoder_to_another_architecture(tmp_path):
    first = build_model(ModelSpec("Linknet", ENCODER, 4))
    state = {f"model.{key}": value for key, value in first.state_dict().items()}
    path = write({"state_dict": state}, tmp_path / "best.ckpt")
    second = build_model(ModelSpec("Unet", ENCODER, 4), str(path))
    for name, value in first.encoder.state_dict().items():
        assert torch.equal(second.encoder.state_dict()[name], value)


def test_an_encoder_with_fewer_stages_takes_what_it_has(tmp_path):
    model = whole("test_resnet")
    ours = encoder(encoder_depth=3, decoder_channels=[8, 8, 8])
    load_encoder_weights(ours, write(model.state_dict(), tmp_path / "weights.pth"), 3)
    assert torch.equal(ours.model.layer1[0].conv1.weight, model.layer1[0].conv1.weight)


def without_layer2(state):
    return {key: value for key, value in state.items() if not key.startswith("layer2")}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_layer2, r"15 are missing and 0 .* the first is model\.layer2\.0\.conv1\.weight"),
        (
            lambda state: state | {"conv1.0.weight": torch.zeros(9, 3, 3, 3)},
            r"1 have another shape.*model\.conv1\.0\.weight",
        ),
        (lambda state: state | {"layer1.7.conv1.weight": torch.zeros(1)}, r"1 are too many, the first is layer1\.7"),
        (lambda state: {"weights": [1, 2]}, "holds no tensor by name"),
    ],
    ids=["a layer is missing", "another shape", "a larger encoder", "no weights"],
)
def test_a_file_that_does_not_fit_is_refused(spoil, message, tmp_path):
    path = write(spoil(whole("test_resnet").state_dict()), tmp_path / "weights.pth")
    ours = encoder()
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    with pytest.raises(ModelError, match=message) as caught:
        load_encoder_weights(ours, path, 3)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(before[name], value) for name, value in ours.state_dict().items())


def test_weights_of_a_larger_or_a_smaller_encoder_are_refused(tmp_path):
    deep = write(smp.encoders.get_encoder("resnet34", weights=None).state_dict(), tmp_path / "resnet34.pth")
    with pytest.raises(ModelError, match=r"are too many, the first is layer1\.2"):
        load_encoder_weights(smp.encoders.get_encoder("resnet18", weights=None), deep, 3)
    small = write(smp.encoders.get_encoder("resnet18", weights=None).state_dict(), tmp_path / "resnet18.pth")
    with pytest.raises(ModelError, match="another encoder: of 216 weights"):
        load_encoder_weights(smp.encoders.get_encoder("resnet34", weights=None), small, 3)


def test_damaged_and_hostile_files_are_refused(tmp_path):
    (tmp_path / "text.safetensors").write_text("<html>sign in</html>")
    (tmp_path / "text.pth").write_text("<html>sign in</html>")
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps(print))
    for name in ("text.safetensors", "text.pth", "pickle.pt", "missing.pth", "missing.safetensors"):
        with pytest.raises(ModelError, match=f"--model-encoder-weights.*{name}"):
            build_model(ModelSpec("Unet", ENCODER, 3), str(tmp_path / name))
    with pytest.raises(ModelError, match="no local file"):
        build_model(ModelSpec("Unet", ENCODER, 3), "https://example.org/weights.pth")


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("resnet18", "imagenette", "'imagenette'; it has imagenet, ssl, swsl; a local file"),
        ("mit_b0", "swsl", "it has imagenet; a local file"),
        (ENCODER, "a1_in1k", "it has imagenet, r160_in1k"),
        ("tu-resnet18", "tv_in1k", r"it has imagenet, a1_in1k \(others by --model-encoder: .*tu-resnet18\.tv_in1k"),
        ("tu-resnet50_clip", "imagenet", "it has openai"),
        ("tu-test_mambaout", "imagenette", "no weights 'imagenette'"),
        ("tu-regnetz_005", "imagenet", "it has none"),
    ],
)
def test_a_name_that_an_encoder_does_not_have_is_refused_with_those_that_it_has(name, weights, message):
    with pytest.raises(ModelError, match=message):
        build_model(ModelSpec("Unet", name, 3), weights)


@pytest.mark.parametrize("name", ["resnet18", "tu-test_resnet", ENCODER])
def test_without_network_and_copy_a_name_is_an_error_and_nothing_else(name, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        ModelError, match=rf"imagenet of {name} can't be had without network.*give a local file"
    ) as caught:
        build_model(ModelSpec("Unet", name, 3), "imagenet")
    assert "\n" not in str(caught.value)


def test_any_trouble_of_a_download_is_an_error_in_one_line(monkeypatch):
    def fail(*args, **kwargs):
        raise ConnectionResetError("reset\nby peer")

    monkeypatch.setattr(smp.encoders, "hf_hub_download", fail)
    with pytest.raises(ModelError, match=r"can't be had without network.*\(reset by peer\)"):
        build_model(ModelSpec("Unet", "resnet18", 3), "imagenet")


def test_a_name_gives_the_weights_that_are_downloaded(tmp_path, monkeypatch):
    torch.manual_seed(3)
    state = smp.encoders.get_encoder("resnet18", weights=None).state_dict()
    path = write(state, tmp_path / "model.safetensors")
    monkeypatch.setattr(smp.encoders, "hf_hub_download", lambda *args, **kwargs: str(path))
    model = build_model(ModelSpec("Unet", "resnet18", 3), "imagenet")
    assert torch.equal(model.encoder.conv1.weight, state["conv1.weight"])
