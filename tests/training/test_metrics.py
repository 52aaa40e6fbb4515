"""Metrics from counts equal torchmetrics on the same input."""

import numpy as np
import pytest
import torch
import torchmetrics.classification as tm

from darts.dataset.schema import IGNORE
from darts.training.metrics import (
    BINS,
    Confusion,
    PixelStatistics,
    confusion_metrics,
    curve_metrics,
    curves,
    named_metrics,
)

GROUP = torch.tensor([0, 1, 1])


def batches(count: int = 4, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        y = torch.randint(0, 3, (3, 24, 24), generator=generator, dtype=torch.uint8)
        logits = torch.randn(3, 24, 24, generator=generator) * 2 + (y == 1) * 1.5
        yield logits, y


def counted(count: int = 4):
    pixels = PixelStatistics(groups=2)
    for logits, y in batches(count):
        pixels.update(logits, y, torch.tensor(1.0), GROUP)
    return pixels.statistics()


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("Accuracy", tm.BinaryAccuracy),
        ("Precision", tm.BinaryPrecision),
        ("Recall", tm.BinaryRecall),
        ("Specificity", tm.BinarySpecificity),
        ("F1Score", tm.BinaryF1Score),
        ("JaccardIndex", tm.BinaryJaccardIndex),
        ("CohenKappa", tm.BinaryCohenKappa),
        ("HammingDistance", tm.BinaryHammingDistance),
    ],
)
def test_metrics_of_a_whole_epoch_equal_torchmetrics(name, reference):
    expected = reference(ignore_index=IGNORE)
    for logits, y in batches():
        expected.update(logits, y.long())
    assert confusion_metrics(counted().total())[name] == pytest.approx(float(expected.compute()), abs=1e-6)


@pytest.mark.parametrize(
    ("name", "reference"), [("AUROC", tm.BinaryAUROC), ("AveragePrecision", tm.BinaryAveragePrecision)]
)
def test_curve_metrics_are_within_a_thousandth_of_the_exact_ones(name, reference):
    expected = reference(ignore_index=IGNORE)
    for logits, y in batches():
        expected.update(logits, y.long())
    assert curve_metrics(counted().histogram)[name] == pytest.approx(float(expected.compute()), abs=1e-3)


def test_groups_add_up_to_the_total_and_count_their_own_patches():
    statistics = counted()
    parts = [statistics.group(index) for index in range(2)]
    for name in ("tp", "fp", "fn", "tn"):
        assert sum(getattr(part, name) for part in parts) == getattr(statistics.total(), name)
    first = sum(int((y[0] != IGNORE).sum()) for _, y in batches())
    assert parts[0].tp + parts[0].fp + parts[0].fn + parts[0].tn == first


def test_the_order_of_batches_and_their_size_change_nothing():
    merged, apart = PixelStatistics(groups=1), PixelStatistics(groups=1)
    group = torch.zeros(3, dtype=torch.int64)
    for logits, y in batches(2):
        apart.update(logits, y, torch.tensor(0.5), group)
    logits, y = (torch.cat(parts) for parts in zip(*batches(2), strict=True))
    merged.update(logits, y, torch.tensor(0.5), torch.cat([group, group]))
    assert (merged.statistics().confusion == apart.statistics().confusion).all()
    assert (merged.statistics().histogram == apart.statistics().histogram).all()


def test_the_loss_of_an_epoch_weighs_each_pixel_equally():
    pixels = PixelStatistics()
    y = torch.zeros(1, 4, 4, dtype=torch.uint8)
    half = y.clone()
    half[:, :2] = IGNORE
    pixels.update(torch.zeros(1, 4, 4), y, torch.tensor(1.0), torch.tensor([0]))
    pixels.update(torch.zeros(1, 4, 4), half, torch.tensor(4.0), torch.tensor([0]))
    assert pixels.statistics().loss == pytest.approx((16 * 1.0 + 8 * 4.0) / 24)


def test_a_worked_confusion():
    metrics = confusion_metrics(Confusion(tp=6, fp=2, fn=4, tn=8))
    assert metrics["Accuracy"] == pytest.approx(0.7)
    assert metrics["Precision"] == pytest.approx(0.75)
    assert metrics["Recall"] == pytest.approx(0.6)
    assert metrics["JaccardIndex"] == pytest.approx(0.5)
    assert metrics["CohenKappa"] == pytest.approx(0.4)


def test_nothing_to_count_gives_zeros_not_nan():
    statistics = PixelStatistics().statistics()
    assert set(named_metrics("val", statistics).values()) == {0.0}


def test_curves_run_from_nothing_predicted_to_everything():
    c = curves(counted().histogram)
    assert (c.recall[0], c.recall[-1], c.false_positive_rate[-1], c.precision[0]) == (0, 1, 1, 1)
    assert (np.diff(c.recall) >= 0).all()
    assert len(c.threshold) == BINS + 1


def test_names_carry_their_stage_and_curves_are_left_out_in_training():
    assert "val/AUROC" in named_metrics("val", counted())
    assert "train/AUROC" not in named_metrics("train", counted())
    assert all(name.startswith("train/") for name in named_metrics("train", counted()))
