"""Coarser stages of a decoder are trained, too, and leave no trace in the model."""

import copy
import pickle

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn

from darts.core.errors import ModelError
from darts.training.model import ModelSpec, build_model, predict_logits, set_encoder_trainable
from darts.training.normalise import Normalisation, Normaliser
from darts.training.supervision import ARCHITECTURES, AUXILIARY_WEIGHT, DeepSupervision

ENCODER = "tu-test_resnet.r160_in1k"
PLAIN = Normaliser(Normalisation())
OTHERS = [model.__name__ for model in smp.MODEL_ARCHITECTURES_MAPPING.values() if model.__name__ not in ARCHITECTURES]


def make(arch: str = "Unet", encoder: str = ENCODER, in_channels: int = 3) -> tuple[nn.Module, DeepSupervision]:
    torch.manual_seed(0)
    model = build_model(ModelSpec(arch, encoder, in_channels))
    return model, DeepSupervision(model)


def images(n: int = 2, size: int = 64, bands: int = 3) -> torch.Tensor:
    return torch.rand(n, bands, size, size, generator=torch.Generator().manual_seed(1))


def labels(n: int = 2, size: int = 64) -> torch.Tensor:
    return torch.randint(0, 2, (n, size, size), generator=torch.Generator().manual_seed(2)).to(torch.uint8)


def criterion(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    assert logits.shape == y.shape
    return nn.functional.binary_cross_entropy_with_logits(logits, y.float())


@pytest.mark.parametrize("encoder", [ENCODER, "tu-test_convnext"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_each_coarser_resolution_has_one_head_and_all_of_them_learn(arch, encoder):
    model, supervision = make(arch, encoder, in_channels=5)
    predict_logits(model.train(), PLAIN, images(bands=5))
    sizes = [feature.shape[-1] for _, feature in sorted(supervision._captured.items())]
    assert sizes == [32, 16, 8, 4]
    supervision.auxiliary_loss(criterion, labels()).backward()
    assert all(head.weight.grad.abs().sum() > 0 for head in supervision.heads)
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.encoder.parameters())


def test_of_blocks_with_one_resolution_the_last_one_has_the_head():
    model, supervision = make("UnetPlusPlus")
    seen = {}
    for name, block in model.decoder.blocks.items():
        block.register_forward_hook(lambda block, inputs, output, name=name: seen.update({name: output}))
    predict_logits(model.train(), PLAIN, images())
    for stage, name in enumerate(("x_0_3", "x_0_2", "x_0_1", "x_0_0")):
        assert supervision._captured[stage] is seen[name]


@pytest.mark.parametrize("size", [64, 50])
def test_the_loss_is_the_weighted_sum_over_the_stages(size):
    model, supervision = make()
    seen = []
    for block in model.decoder.blocks:
        block.register_forward_hook(lambda block, inputs, output: seen.append(output))
    predict_logits(model.train(), PLAIN, images(size=size))
    y = labels(size=size)
    loss = supervision.auxiliary_loss(criterion, y)
    expected = 0.0
    for head, feature, weight in zip(supervision.heads, seen[-2::-1], (8 / 15, 4 / 15, 2 / 15, 1 / 15), strict=True):
        logits = torch.einsum("nchw,c->nhw", feature.double(), head.weight.double()[0, :, 0, 0]) + head.bias.double()
        logits = nn.functional.interpolate(logits[:, None], size=(64, 64), mode="bilinear")[:, 0, :size, :size]
        expected = expected + 0.4 * weight * nn.functional.binary_cross_entropy_with_logits(logits, y.double())
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)


def test_weights_sum_to_the_constant():
    model, supervision = make()
    predict_logits(model.train(), PLAIN, images())
    assert float(supervision.auxiliary_loss(lambda logits, y: torch.ones(()), labels())) == pytest.approx(
        AUXILIARY_WEIGHT
    )
    assert AUXILIARY_WEIGHT == 0.4


def test_the_model_is_as_it_was_without():
    plain = build_model(ModelSpec("Unet", ENCODER, 3))
    model, supervision = make()
    plain.load_state_dict(model.state_dict())
    assert set(plain.state_dict()) == set(model.state_dict())
    assert not {id(p) for p in model.parameters()} & {id(p) for p in supervision.parameters()}
    with torch.no_grad():
        for mode in (False, True):
            assert torch.equal(model.train(mode)(images()), plain.train(mode)(images()))


def test_nothing_is_kept_outside_of_training_or_after_the_loss():
    model, supervision = make()
    predict_logits(model.eval(), PLAIN, images())
    assert not supervision._captured
    predict_logits(model.train(), PLAIN, images())
    supervision.auxiliary_loss(criterion, labels())
    assert not supervision._captured
    with pytest.raises(AssertionError, match="no forward pass in training"):
        supervision.auxiliary_loss(criterion, labels())


def test_the_heads_follow_the_seed_and_the_look_at_the_model_draws_nothing():
    model = build_model(ModelSpec("Unet", ENCODER, 3)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, second, other = (
        (torch.manual_seed(seed), DeepSupervision(model).heads[0].weight.detach())[1] for seed in (7, 7, 8)
    )
    torch.manual_seed(7)
    assert torch.equal(nn.Conv2d(first.shape[1], 1, 1).weight, first)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_it_works_under_autocast_and_with_a_frozen_encoder():
    model, supervision = make()
    set_encoder_trainable(model.train(), False)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        predict_logits(model, PLAIN, images())
        assert supervision._captured[0].dtype == torch.bfloat16
        loss = supervision.auxiliary_loss(criterion, labels())
    assert loss.dtype == torch.float32
    loss.backward()
    assert all(torch.isfinite(head.weight.grad).all() for head in supervision.heads)
    assert all(p.grad is None for p in model.encoder.parameters())


@pytest.mark.parametrize(
    "again", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))], ids=["copy", "pickle"]
)
def test_a_copy_of_both_is_complete_by_itself(again):
    both = nn.ModuleList(make()).train()
    copied = again(both)
    predict_logits(copied[0], PLAIN, images())
    assert not both[1]._captured
    predict_logits(both[0], PLAIN, images())
    losses = [supervision.auxiliary_loss(criterion, labels()).item() for supervision in (both[1], copied[1])]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("arch", [arch for arch in OTHERS if arch != "DPT"])
def test_architectures_without_blocks_are_refused_with_those_that_have_them(arch):
    model = build_model(ModelSpec(arch, ENCODER, 3))
    with pytest.raises(ModelError, match=rf"as Unet, UnetPlusPlus, MAnet, Linknet have, but {arch} has none"):
        DeepSupervision(model)


def test_a_model_of_the_user_may_have_none():
    with pytest.raises(ModelError, match="Conv2d has none"):
        DeepSupervision(nn.Conv2d(3, 1, 1))


def test_a_patch_size_that_the_model_cannot_take_is_refused():
    model = build_model(ModelSpec("Unet", "tu-maxvit_nano_rw_256", 3))
    with pytest.raises(ModelError, match=r"--deep-supervision: the model can't take patches of 64 pixels"):
        DeepSupervision(model)
    assert len(DeepSupervision(model, 256).heads) == 4
