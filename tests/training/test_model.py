"""Models by name or by a function, what they can't take, and how patches of any size go through them."""

import json

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn

from darts.core.errors import ModelError
from darts.training.config import ModelConfig
from darts.training.model import (
    ModelSpec,
    Predictor,
    build_model,
    has_idle_parameters,
    padded,
    padding_multiple,
    predict_logits,
    require_model_takes,
    set_encoder_trainable,
)
from darts.training.normalise import Normalisation, Normaliser

ENCODER = "tu-test_resnet.r160_in1k"
PLAIN = Normaliser(Normalisation())
ARCHITECTURES = [model.__name__ for model in smp.MODEL_ARCHITECTURES_MAPPING.values()]


def small_options(arch: str) -> dict:
    """Few channels, so that every decoder is quick."""
    if arch in ("Unet", "UnetPlusPlus", "MAnet"):
        return {"decoder_channels": [16, 12, 8, 8, 8]}
    if arch == "DPT":
        return {"decoder_intermediate_channels": [8, 8, 8, 8], "decoder_fusion_channels": 8, "dynamic_img_size": True}
    return {}


def encoder_for(arch: str) -> str:
    return "tu-test_vit" if arch == "DPT" else ENCODER


@pytest.fixture(scope="module")
def unet() -> nn.Module:
    torch.manual_seed(0)
    model = build_model(ModelSpec("Unet", ENCODER, 4, options=small_options("Unet")))
    model(torch.randn(4, 4, 64, 64))  # running statistics that are not those of a new model
    return model.eval()


def images(n: int, bands: int, height: int, width: int) -> torch.Tensor:
    return torch.rand(n, bands, height, width, generator=torch.Generator().manual_seed(4))


def test_a_model_gives_one_logit_for_each_pixel_of_any_number_of_bands():
    spec = ModelSpec("Unet", ENCODER, 7)
    logits = build_model(spec).eval()(torch.zeros(1, 7, 64, 64))
    assert logits.shape == (1, 1, 64, 64)
    require_model_takes(build_model(spec), spec, 64)


def test_logits_are_not_squashed():
    torch.manual_seed(0)
    logits = build_model(ModelSpec("Unet", ENCODER, 3))(torch.randn(2, 3, 64, 64) * 10)
    assert logits.min() < 0


# What a model is


def test_a_specification_without_options_is_what_older_checkpoints_hold():
    spec = ModelSpec("Unet", "resnet18", 4)
    assert spec.as_dict() == {"arch": "Unet", "encoder_name": "resnet18", "in_channels": 4, "classes": 1}
    assert ModelSpec.from_dict(spec.as_dict()) == spec


@pytest.mark.parametrize(
    "spec",
    [
        ModelSpec("Unet", "resnet18", 4, options={"decoder_attention_type": "scse", "decoder_channels": [8, 4]}),
        ModelSpec("", "", 3, 1, {"width": 8}, "mine.models:make"),
        ModelSpec("", "", 3, factory="mine.models:make"),
    ],
)
def test_a_specification_survives_json(spec):
    assert ModelSpec.from_dict(json.loads(json.dumps(spec.as_dict()))) == spec
    assert hash(ModelSpec.from_dict(spec.as_dict())) == hash(spec)


def test_arguments_of_create_model_that_darts_nextgen_stores_are_options():
    stored = {"arch": "Unet", "encoder_name": "resnet18", "encoder_weights": "imagenet", "in_channels": 2, "classes": 1}
    assert ModelSpec.from_dict(stored) == ModelSpec("Unet", "resnet18", 2)
    assert ModelSpec.from_dict(stored | {"encoder_depth": 3}).options == {"encoder_depth": 3}


def test_settings_make_a_specification():
    settings = ModelConfig(model_encoder="resnet18", model_options=["encoder_depth=4", "decoder_attention_type=scse"])
    options = {"encoder_depth": 4, "decoder_attention_type": "scse"}
    assert ModelSpec.of(settings, 5) == ModelSpec("Unet", "resnet18", 5, options=options)
    mine = ModelConfig(model_factory="mine.models:make", model_options="width=8")
    assert ModelSpec.of(mine, 5) == ModelSpec("", "", 5, options={"width": 8}, factory="mine.models:make")


# Names


def test_an_unknown_encoder_is_refused_with_the_nearest_names():
    with pytest.raises(ModelError, match=r"--model-encoder: .* no 'resnet81'; did you mean resnet18"):
        build_model(ModelSpec("Unet", "resnet81", 3))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tu-nothing_like_this", "--model-encoder: .* no 'tu-nothing_like_this'"),
        ("tu-resnet81", "did you mean tu-resnet"),
        ("tu-resnet18.mine", r"Invalid pretrained tag \(mine\)"),
        ("tu-hf-hub:somebody/model", "no 'tu-hf-hub:somebody/model'"),
    ],
)
def test_an_unknown_timm_encoder_is_refused(name, message):
    with pytest.raises(ModelError, match=message):
        build_model(ModelSpec("Unet", name, 3))


def test_an_unknown_architecture_is_refused_with_the_nearest_names():
    with pytest.raises(ModelError, match=r"--model-arch: .* no 'Unit'; did you mean Unet"):
        build_model(ModelSpec("Unit", "resnet18", 3))


@pytest.mark.parametrize(
    ("arch", "name"),
    [
        ("FPN", ENCODER),
        ("UPerNet", "tu-test_convnext"),
        ("Linknet", "tu-test_efficientnet"),
        ("Segformer", "mit_b0"),
        ("MAnet", "timm-regnetx_002"),
        ("DPT", "tu-test_vit"),
    ],
)
def test_architectures_and_encoders_of_all_kinds_are_built(arch, name):
    spec = ModelSpec(arch, name, 4, options=small_options(arch))
    require_model_takes(build_model(spec), spec, 64)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture_takes_patches_of_any_size(arch):
    spec = ModelSpec(arch, encoder_for(arch), 5, options=small_options(arch))
    model = build_model(spec)
    for size in (128, 150, 177):
        require_model_takes(model, spec, size)
    assert predict_logits(model.eval(), PLAIN, images(1, 5, 129, 190)).shape == (1, 129, 190)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("name", ["resnet18", "mit_b0", "efficientnet-b0", "mobilenet_v2", "tu-test_convnext"])
def test_every_architecture_is_built_with_every_kind_of_encoder_that_smp_builds_it_with(arch, name):
    spec = ModelSpec(arch, name, 4)
    try:
        theirs = smp.create_model(**spec.as_dict(), encoder_weights=None)
        theirs.eval()(torch.zeros(1, 4, 64, 64))
    except Exception as error:
        with pytest.raises(ModelError):
            require_model_takes(build_model(spec), spec, 64)
        pytest.skip(f"segmentation-models-pytorch refuses it: {error}")
    model = build_model(spec)
    require_model_takes(model, spec, 64)
    assert {k: v.shape for k, v in model.state_dict().items()} == {k: v.shape for k, v in theirs.state_dict().items()}


# Options


def test_options_reach_the_architecture_and_a_timm_encoder():
    spec = ModelSpec("Unet", ENCODER, 3, options={"decoder_attention_type": "scse", "drop_path_rate": 0.5})
    model = build_model(spec)
    assert any("cSE" in name for name, _ in model.named_modules())
    assert any(getattr(module, "drop_prob", 0) == 0.5 for module in model.encoder.modules())


@pytest.mark.parametrize("name", ["resnet18", ENCODER])
@pytest.mark.parametrize(
    "options",
    [
        {"decoder_attention": "scse"},
        {"decoder_channels": [8]},
        {"decoder_attention_type": "unheard_of"},
        {"encoder_depth": 9},
        {"activation": "sigmoid"},
        {"aux_params": {"classes": 2}},
        {"in_channels": 5},
        {"checkpoint_path": "somewhere.pth"},
        {"pretrained_cfg_overlay": {"file": "somewhere.pth"}},
    ],
    ids=str,
)
def test_a_wrong_option_is_refused_with_those_that_there_are(name, options):
    with pytest.raises(ModelError, match=r"takes .*encoder_depth, .*decoder_attention_type") as caught:
        build_model(ModelSpec("Unet", name, 3, options=options))
    message = str(caught.value)
    assert next(iter(options)) in message
    assert "\n" not in message
    assert "activation," not in message


# A function of the user

FACTORY = """
import torch

class Tiny(torch.nn.Module):
    output_stride = 8

    def __init__(self, bands, width):
        super().__init__()
        self.encoder = torch.nn.Conv2d(bands, width, 3, padding=1)
        self.head = torch.nn.Conv2d(width, 1, 1)

    def forward(self, x):
        assert x.shape[-1] % 8 == 0
        return self.head(self.encoder(x))

def make(in_channels, classes, width=4):
    assert classes == 1
    return Tiny(in_channels, width)

def fail(in_channels, classes):
    raise RuntimeError("no\\nmodel")

def no_model(in_channels, classes):
    return [in_channels]

number = 3
"""


@pytest.fixture
def factory(tmp_path, monkeypatch, request) -> str:
    """The name of a module of the user."""
    name = f"models_of_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(FACTORY)
    (tmp_path / f"broken_{name}.py").write_text("import nothing_like_this\n")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_function_of_the_user_makes_the_model(factory):
    spec = ModelSpec("", "", 6, options={"width": 7}, factory=f"{factory}:make")
    model = build_model(spec, allowed_factory=f"{factory}:make")
    assert model.head.in_channels == 7
    assert padding_multiple(model) == 8
    require_model_takes(model, spec, 30)
    assert predict_logits(model, PLAIN, images(2, 6, 30, 9)).shape == (2, 30, 9)


@pytest.mark.parametrize("allowed", [None, "other.module:make"])
def test_what_a_checkpoint_names_is_not_imported_unless_the_user_names_it_too(allowed, tmp_path, monkeypatch):
    (tmp_path / "canary_module.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match="give --model-factory canary_module:make if you trust it"):
        build_model(ModelSpec("", "", 3, factory="canary_module:make"), allowed_factory=allowed)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        ("nothing_like_this:make", {}, "can't be imported .*No module named 'nothing_like_this'"),
        ("broken_{}:make", {}, "can't be imported .*No module named 'nothing_like_this'"),
        ("{}:other", {}, "has no function other"),
        ("{}:number", {}, "has no function number"),
        ("{}", {}, "is package.module:function"),
        ("{}:fail", {}, r"failed with in_channels=3, classes=1 \(RuntimeError: no model\)"),
        ("{}:make", {"depth": 2}, "failed with .*depth=2 .*unexpected keyword"),
        ("{}:no_model", {}, "must return a torch.nn.Module, but returned a list"),
    ],
)
def test_a_function_that_makes_no_model_is_refused_in_one_line(function, options, message, factory):
    name = function.format(factory)
    with pytest.raises(ModelError, match=message) as caught:
        build_model(ModelSpec("", "", 3, options=options, factory=name), allowed_factory=name)
    assert "\n" not in str(caught.value)


def test_weights_by_name_are_not_for_a_function_but_a_file_is(factory, tmp_path):
    name = f"{factory}:make"
    with pytest.raises(ModelError, match="makes its own"):
        build_model(ModelSpec("", "", 3, factory=name), "imagenet", name)
    torch.save({"weight": torch.ones(4, 3, 3, 3), "bias": torch.zeros(4)}, tmp_path / "weights.pth")
    model = build_model(ModelSpec("", "", 3, factory=name), str(tmp_path / "weights.pth"), name)
    assert (model.encoder.weight == 1).all()


# Patches of any size


def test_an_image_is_padded_by_its_last_row_and_column_and_only_where_it_must_be():
    x = images(1, 2, 5, 8)
    out = padded(x, 4)
    assert out.shape == (1, 2, 8, 8)
    assert torch.equal(out[..., :5, :], x)
    assert torch.equal(out[..., 5:, :], x[..., 4:, :].expand(-1, -1, 3, -1))
    assert padded(out, 4) is out


def test_the_multiple_is_that_of_the_encoder():
    assert padding_multiple(build_model(ModelSpec("Unet", ENCODER, 3))) == 32
    shallow = ModelSpec("Unet", ENCODER, 3, options={"encoder_depth": 3, "decoder_channels": [8, 8, 8]})
    assert padding_multiple(build_model(shallow)) == 8
    assert padding_multiple(build_model(ModelSpec("DPT", "tu-test_vit", 3, options=small_options("DPT")))) == 32
    assert padding_multiple(nn.Conv2d(3, 1, 1)) == 32


def test_logits_are_those_of_the_normalised_and_padded_image(unet):
    normaliser = Normaliser(Normalisation("z-score", (None,) * 4, (None,) * 4, (0.5,) * 4, (2.0, 3.0, 4.0, 5.0)))
    x = images(2, 4, 50, 40)
    with torch.no_grad():
        logits = predict_logits(unet, normaliser, x)
        by_hand = (x - 0.5) * torch.tensor([2.0, 3.0, 4.0, 5.0]).view(1, 4, 1, 1)
        by_hand = torch.cat([by_hand, by_hand[:, :, -1:].expand(-1, -1, 14, -1)], dim=2)
        by_hand = torch.cat([by_hand, by_hand[:, :, :, -1:].expand(-1, -1, -1, 24)], dim=3)
        expected = unet(by_hand)[:, 0, :50, :40]
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
        assert torch.equal(Predictor(unet, normaliser)(x)[:, 0], logits)


def test_an_image_that_fits_goes_through_as_it_is(unet):
    x = images(1, 4, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(predict_logits(unet, PLAIN, x), unet(x)[:, 0], rtol=1e-4, atol=1e-5)


# What a model can't take


def test_a_patch_size_that_the_encoder_cannot_take_is_refused_before_training():
    spec = ModelSpec("Unet", "tu-maxvit_nano_rw_256", 3)
    with pytest.raises(ModelError, match=r"can't take patches of 64 pixels .* --patch-size"):
        require_model_takes(build_model(spec), spec, 64)


@pytest.mark.parametrize("size", [50, 33, 1])
def test_a_patch_size_that_is_no_multiple_is_padded(size):
    spec = ModelSpec("FPN", ENCODER, 3)
    require_model_takes(build_model(spec), spec, size)


class Answers(nn.Module):
    """Gives what it is told to."""

    def __init__(self, answer) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return self.answer(x)


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: x,
        lambda x: x[:, :1, ::2, ::2],
        lambda x: x[:, 0],
        lambda x: (x[:, :1], x),
        lambda x: nn.functional.pad(x[:, :1], (0, 4, 0, 4)),
    ],
    ids=["two logits", "half the size", "no channel", "a tuple", "too large"],
)
def test_a_model_that_does_not_give_one_logit_for_each_pixel_is_refused(answer):
    with pytest.raises(ModelError, match="one logit for each pixel, but --model-factory a:b gives"):
        require_model_takes(Answers(answer), ModelSpec("", "", 2, factory="a:b"), 30)


def test_the_look_at_a_model_leaves_no_trace(unet):
    unet.train()
    unet.encoder.eval()
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    modes = [module.training for module in unet.modules()]
    noisy = nn.Sequential(unet, Answers(lambda logits: logits + torch.rand(1)))
    random = torch.get_rng_state()
    require_model_takes(noisy, ModelSpec("Unet", ENCODER, 4), 64)
    with pytest.raises(ModelError):
        require_model_takes(unet, ModelSpec("Unet", ENCODER, 5), 64)
    assert torch.equal(torch.get_rng_state(), random)
    assert [module.training for module in unet.modules()] == modes
    assert all(torch.equal(before[name], value) for name, value in unet.state_dict().items())
    unet.eval()


# A frozen encoder


def test_a_frozen_encoder_keeps_its_weights_and_statistics_while_the_decoder_learns():
    torch.manual_seed(0)
    model = build_model(ModelSpec("Unet", ENCODER, 3, options=small_options("Unet"))).train()
    state = {name: value.clone() for name, value in model.state_dict().items()}

    def step():
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1)
        model(images(2, 3, 64, 64)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        return {name for name, value in model.state_dict().items() if not torch.equal(state[name], value)}

    set_encoder_trainable(model, False)
    changed = step()
    assert changed
    assert not any(name.startswith("encoder.") for name in changed)
    set_encoder_trainable(model, True)
    assert {name for name in step() if name.startswith("encoder.")} >= {
        "encoder.model.conv1.0.weight",
        "encoder.model.bn1.running_mean",
    }


def test_an_encoder_that_is_let_go_in_evaluation_stays_in_evaluation(unet):
    set_encoder_trainable(unet, False)
    set_encoder_trainable(unet, True)
    assert not any(module.training for module in unet.modules())


def test_a_model_without_an_encoder_cannot_be_frozen():
    with pytest.raises(
        ModelError, match="--freeze-encoder-epochs needs a model with an `encoder`, but Conv2d has none"
    ):
        set_encoder_trainable(nn.Conv2d(1, 1, 1), False)


def test_parameters_that_no_gradient_reaches_are_found():
    spec = ModelSpec("PSPNet", "resnet18", 3)
    assert has_idle_parameters(build_model(spec), spec, 64)
    spec = ModelSpec("Unet", "resnet18", 3)
    model = build_model(spec)
    before = torch.get_rng_state()
    assert not has_idle_parameters(model, spec, 64)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.grad is None for parameter in model.parameters())
