"""Every loss against a plain float64 computation, and what holds for all of them."""

import itertools

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch

from darts.dataset.schema import BACKGROUND, IGNORE, POSITIVE
from darts.training.config import LossConfig
from darts.training.losses import make_loss

SHAPE = (3, 12, 10)
SETTINGS = {
    "focal": {},
    "focal, alpha": {"focal_loss_alpha": 0.25, "focal_loss_gamma": 3.5},
    "focal, gamma below 1": {"focal_loss_gamma": 0.5},
    "focal, gamma 0": {"focal_loss_gamma": 0.0},
    "bce": {},
    "bce, smoothed": {"label_smoothing": 0.1},
    "cross-entropy": {},
    "cross-entropy, weighted": {"class_weights": (0.4, 0.6), "label_smoothing": 0.2},
    "cross-entropy, no background": {"class_weights": (0.0, 1.0), "label_smoothing": 0.1},
    "dice": {},
    "jaccard": {},
    "tversky": {},
    "tversky, others": {"tversky_alpha": 0.9, "tversky_beta": 0.0},
    "focal-tversky": {},
    "focal-tversky, above 1": {"focal_tversky_gamma": 1.5},
    "lovasz": {},
    "bce + 0.5 * dice": {},
}
POS_WEIGHT = {"bce": 3.0, "bce, smoothed": 7.5}
BATCHES = ("mixed", "without ignored", "all ignored", "all positive", "all background", "one pixel")


def loss_of(name):
    return make_loss(LossConfig(loss=name.split(",")[0], **SETTINGS[name]), POS_WEIGHT.get(name))


def labels(kind, seed=0):
    y = np.random.default_rng(seed).integers(0, 3, SHAPE).astype(np.uint8)
    if kind == "one pixel":
        y[:] = IGNORE
        y[1, 2, 3] = POSITIVE
    elif kind != "mixed":
        y[y == IGNORE] = BACKGROUND
        codes = {"all ignored": IGNORE, "all positive": POSITIVE, "all background": BACKGROUND}
        y[:] = codes.get(kind, y)
    return y


def normal(seed=1, scale=4.0):
    return np.random.default_rng(seed).normal(0, scale, SHAPE)


def reference(name, logits, y):
    """The loss in float64, from the formulas, of the pixels that aren't ignored alone."""
    seen = y != IGNORE
    if not seen.any():
        return 0.0
    settings, weight = LossConfig(loss="bce", **SETTINGS[name]), POS_WEIGHT.get(name, 1.0)
    x, t = logits.astype(np.float64)[seen], (y[seen] == POSITIVE).astype(np.float64)
    name = name.split(",")[0]
    log_p, log_not_p = -np.logaddexp(0, -x), -np.logaddexp(0, x)
    soft = t + settings.label_smoothing * (1 - 2 * t)
    if name == "focal":
        return reference_focal(x, t, settings.focal_loss_alpha, settings.focal_loss_gamma)
    if name == "bce":
        return np.mean(-(weight * soft * log_p + (1 - soft) * log_not_p))
    if name == "cross-entropy":
        background, positive = settings.class_weights or (1, 1)
        whole = np.where(t == 1, positive, background).sum()
        summed = np.sum(-(positive * soft * log_p + background * (1 - soft) * log_not_p))
        return summed / whole if whole else 0.0
    if name == "lovasz":
        return reference_lovasz(x, t)
    return reference_overlap(name, np.exp(log_p), t, settings)


def reference_focal(x, t, alpha, gamma):
    log_p_t = -np.logaddexp(0, np.where(t == 1, -x, x))
    weight = 1.0 if alpha is None else np.where(t == 1, alpha, 1 - alpha)
    return np.mean(-weight * (1 - np.exp(log_p_t)) ** gamma * log_p_t)


def reference_overlap(name, p, t, settings):
    tp, fp, fn = np.sum(p * t), np.sum(p * (1 - t)), np.sum((1 - p) * t)
    if name == "dice":
        return 1 - (2 * tp + 1) / (2 * tp + fp + fn + 1)
    if name == "jaccard":
        return 1 - (tp + 1) / (tp + fp + fn + 1)
    tversky = 1 - (tp + 1) / (tp + settings.tversky_alpha * fp + settings.tversky_beta * fn + 1)
    return tversky if name == "tversky" else tversky**settings.focal_tversky_gamma


def reference_lovasz(x, t):
    """The Lovasz extension of the Jaccard loss, from its definition: by the loss of the k worst pixels as the wrong ones."""
    hinge = np.maximum(0, 1 - x * (2 * t - 1))
    order = np.argsort(-hinge)
    total, before = 0.0, 0.0
    for k in range(1, len(order) + 1):
        wrong = np.zeros(len(t), dtype=bool)
        wrong[order[:k]] = True
        positive = t == 1
        found = positive ^ wrong
        loss = 1 - np.sum(positive & found) / max(np.sum(positive | found), 1)
        total, before = total + hinge[order[k - 1]] * (loss - before), loss
    return total


@pytest.mark.parametrize("kind", BATCHES)
@pytest.mark.parametrize("name", [name for name in SETTINGS if "+" not in name])
def test_every_loss_equals_its_formula(name, kind):
    logits, y = normal().astype(np.float32), labels(kind)
    loss = loss_of(name)(torch.from_numpy(logits), torch.from_numpy(y))
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(reference(name, logits, y), rel=2e-5, abs=1e-7)


def test_a_sum_adds_its_weighted_terms():
    logits, y = torch.from_numpy(normal()), torch.from_numpy(labels("mixed"))
    parts = {name: make_loss(LossConfig(loss=name), 2.0)(logits, y) for name in ("bce", "dice", "lovasz")}
    whole = make_loss(LossConfig(loss="bce + 0.5 * dice + 2e-1*lovasz"), 2.0)(logits, y)
    assert float(whole) == pytest.approx(float(parts["bce"] + 0.5 * parts["dice"] + 0.2 * parts["lovasz"]), rel=1e-12)


@pytest.mark.parametrize("name", SETTINGS)
def test_gradients_equal_finite_differences(name):
    logits = torch.from_numpy(normal(scale=2.0)[:2, :3, :4].copy()).requires_grad_()
    y = torch.from_numpy(labels("mixed")[:2, :3, :4].copy())
    assert set(y.unique().tolist()) == {0, 1, 2}
    assert torch.autograd.gradcheck(lambda x: loss_of(name)(x, y), logits)


@pytest.mark.parametrize("value", [1e3, float("nan"), float("inf")])
@pytest.mark.parametrize("name", SETTINGS)
def test_ignored_pixels_change_neither_loss_nor_gradient(name, value):
    y = torch.from_numpy(labels("mixed"))
    first = torch.from_numpy(normal()).requires_grad_()
    second = first.detach().masked_fill(y == IGNORE, value).requires_grad_()
    losses = [loss_of(name)(logits, y) for logits in (first, second)]
    for loss in losses:
        loss.backward()
    assert losses[0].item() == losses[1].item()
    assert torch.equal(first.grad, second.grad)
    assert not first.grad[y == IGNORE].any()
    assert first.grad[y != IGNORE].any()


@pytest.mark.parametrize("name", SETTINGS)
def test_a_batch_of_ignored_pixels_has_loss_zero_and_no_gradient(name):
    logits = torch.randn(2, 8, 8, requires_grad=True)
    loss = loss_of(name)(logits, torch.full((2, 8, 8), IGNORE, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("kind", BATCHES)
@pytest.mark.parametrize("name", SETTINGS)
def test_extreme_logits_stay_finite(name, kind):
    y = torch.from_numpy(labels(kind))
    right = torch.where(y == POSITIVE, 100.0, -100.0)
    for logits in (right, -right, right * 100, torch.zeros(SHAPE)):
        x = logits.clone().requires_grad_()
        loss = loss_of(name)(x, y)
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(x.grad).all()
        if logits is right and not SETTINGS[name].get("label_smoothing"):
            assert loss.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", SETTINGS)
def test_half_precision_is_computed_in_float32(name, dtype):
    y = torch.from_numpy(labels("mixed"))
    half = torch.from_numpy(normal()).to(dtype).requires_grad_()
    loss = loss_of(name)(half, y)
    loss.backward()
    assert loss.dtype == torch.float32
    assert torch.equal(loss, loss_of(name)(half.detach().float(), y))
    assert torch.isfinite(half.grad).all()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(loss, loss_of(name)(half, y))


@pytest.mark.parametrize(("alpha", "gamma"), list(itertools.product([None, 0.25], [0.0, 2.0, 3.5])))
def test_focal_equals_that_of_smp(alpha, gamma):
    logits, y = torch.from_numpy(normal()).float(), torch.from_numpy(labels("mixed"))
    expected = smp.losses.FocalLoss("binary", alpha=alpha, gamma=gamma)(logits[y != IGNORE], y[y != IGNORE])
    ours = make_loss(LossConfig(loss="focal", focal_loss_alpha=alpha, focal_loss_gamma=gamma), None)(logits, y)
    assert float(ours) == pytest.approx(float(expected), rel=1e-5)


def test_lovasz_equals_that_of_smp():
    logits, y = torch.from_numpy(normal()).float(), torch.from_numpy(labels("mixed"))
    expected = smp.losses.LovaszLoss("binary", ignore_index=IGNORE)(logits, y.long())
    assert float(loss_of("lovasz")(logits, y)) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropies_equal_those_of_torch(smoothing):
    logits, y = torch.from_numpy(normal()), torch.from_numpy(labels("mixed"))
    x, t = logits[y != IGNORE], y[y != IGNORE].double()
    of_two = torch.nn.CrossEntropyLoss(torch.tensor([0.4, 0.6], dtype=torch.float64), label_smoothing=2 * smoothing)
    settings = {"class_weights": (0.4, 0.6), "label_smoothing": smoothing}
    ours = make_loss(LossConfig(loss="cross-entropy", **settings), None)(logits, y)
    assert float(ours) == pytest.approx(float(of_two(torch.stack([0 * x, x], dim=1), t.long())), rel=1e-9)
    of_one = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0, dtype=torch.float64))
    ours = make_loss(LossConfig(loss="bce", label_smoothing=smoothing), 3.0)(logits, y)
    assert float(ours) == pytest.approx(float(of_one(x, t + smoothing * (1 - 2 * t))), rel=1e-9)


def test_half_weighs_both_errors_as_dice_does():
    """Both are 1 - 2 TP / (2 TP + FP + FN), but for the constant."""
    logits, y = torch.from_numpy(normal()).repeat(1, 40, 40), torch.from_numpy(labels("mixed")).repeat(1, 40, 40)
    tversky = make_loss(LossConfig(loss="tversky", tversky_alpha=0.5, tversky_beta=0.5), None)(logits, y)
    assert float(tversky) == pytest.approx(float(loss_of("dice")(logits, y)), rel=1e-4)


def test_a_batch_without_weight_has_no_loss():
    y = torch.zeros(SHAPE, dtype=torch.uint8)
    logits = torch.randn(SHAPE, requires_grad=True)
    loss = loss_of("cross-entropy, no background")(logits, y)
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"one shape, but these have \(3, 1, 12, 10\) and \(3, 12, 10\)"):
        loss_of("dice")(torch.zeros(3, 1, 12, 10), torch.zeros(SHAPE, dtype=torch.uint8))


def test_a_loss_can_be_sent_to_another_process():
    import pickle

    logits, y = torch.from_numpy(normal()), torch.from_numpy(labels("mixed"))
    loss = loss_of("bce + 0.5 * dice")
    assert torch.equal(pickle.loads(pickle.dumps(loss))(logits, y), loss(logits, y))
