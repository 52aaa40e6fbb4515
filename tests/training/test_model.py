"""Models by name, and what they can't take."""

import pytest
import torch

from darts.core.errors import ModelError
from darts.training.model import ModelSpec, build_model, require_model_takes


def test_a_model_gives_one_logit_for_each_pixel_of_any_number_of_bands():
    spec = ModelSpec("Unet", "tu-test_resnet.r160_in1k", 7)
    logits = build_model(spec).eval()(torch.zeros(1, 7, 64, 64))
    assert logits.shape == (1, 1, 64, 64)
    require_model_takes(build_model(spec), spec, 64)


def test_logits_are_not_squashed():
    torch.manual_seed(0)
    logits = build_model(ModelSpec("Unet", "tu-test_resnet.r160_in1k", 3))(torch.randn(2, 3, 64, 64) * 10)
    assert logits.min() < 0


def test_an_unknown_encoder_is_refused_with_the_nearest_names():
    with pytest.raises(ModelError, match=r"--model-encoder: .* no 'resnet81'; did you mean resnet18"):
        build_model(ModelSpec("Unet", "resnet81", 3))


def test_an_unknown_timm_encoder_is_refused():
    with pytest.raises(ModelError, match="tu-nothing_like_this"):
        build_model(ModelSpec("Unet", "tu-nothing_like_this", 3))


def test_an_unknown_architecture_is_refused_with_the_nearest_names():
    with pytest.raises(ModelError, match=r"--model-arch: .* no 'Unit'; did you mean Unet"):
        build_model(ModelSpec("Unit", "resnet18", 3))


@pytest.mark.parametrize(
    ("arch", "encoder", "size"), [("FPN", "tu-test_resnet.r160_in1k", 50), ("Unet", "tu-maxvit_nano_rw_256", 64)]
)
def test_a_patch_size_that_the_encoder_cannot_take_is_refused_before_training(arch, encoder, size):
    spec = ModelSpec(arch, encoder, 3)
    with pytest.raises(ModelError, match=rf"can't take patches of {size} pixels .* --patch-size"):
        require_model_takes(build_model(spec), spec, size)
