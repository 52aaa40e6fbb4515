"""The focal loss against a plain float64 computation."""

import numpy as np
import pytest
import torch

from darts.dataset.schema import IGNORE
from darts.training.losses import FocalLossIgnoring


def reference(logits: np.ndarray, y: np.ndarray, alpha: float | None, gamma: float) -> float:
    """-alpha_t (1 - p_t)^gamma log(p_t), the mean over the pixels that are not ignored, in float64."""
    z, t = logits.astype(np.float64)[y != IGNORE], y[y != IGNORE]
    log_p_t = -np.logaddexp(0, np.where(t == 1, -z, z))
    weight = 1.0 if alpha is None else np.where(t == 1, alpha, 1 - alpha)
    return float(np.mean(-weight * (1 - np.exp(log_p_t)) ** gamma * log_p_t))


@pytest.mark.parametrize("alpha", [None, 0.25, 0.9])
@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 3.5])
def test_focal_loss_equals_the_formula(alpha, gamma):
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 4, (3, 16, 16)).astype(np.float32)
    y = rng.integers(0, 3, (3, 16, 16)).astype(np.uint8)
    loss = FocalLossIgnoring(alpha, gamma)(torch.from_numpy(logits), torch.from_numpy(y))
    assert float(loss) == pytest.approx(reference(logits, y, alpha, gamma), rel=1e-5)


def test_without_focus_and_weight_it_is_binary_cross_entropy():
    logits, y = torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(0)), torch.ones(2, 8, 8, dtype=torch.uint8)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, y.float())
    assert float(FocalLossIgnoring(None, 0.0)(logits, y)) == pytest.approx(float(expected), rel=1e-6)


def test_ignored_pixels_change_neither_loss_nor_gradient():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 8, 8, generator=generator, requires_grad=True)
    y = torch.zeros(1, 8, 8, dtype=torch.uint8)
    y[:, :4] = IGNORE
    FocalLossIgnoring(None, 2.0)(logits, y).backward()
    assert not logits.grad[:, :4].any()
    assert logits.grad[:, 4:].all()


def test_a_batch_of_ignored_pixels_has_loss_zero_and_finite_gradients():
    logits = torch.randn(2, 8, 8, requires_grad=True)
    loss = FocalLossIgnoring(None, 2.0)(logits, torch.full((2, 8, 8), IGNORE, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("value", [-80.0, 80.0])
def test_extreme_logits_stay_finite(value):
    logits = torch.full((1, 4, 4), value, requires_grad=True)
    loss = FocalLossIgnoring(0.9, 2.0)(logits, torch.tensor([0, 1], dtype=torch.uint8).repeat(8).reshape(1, 4, 4))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
