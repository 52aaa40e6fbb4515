"""Metrics from counts equal torchmetrics on the same input."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
import torchmetrics.classification as tm
from sklearn.metrics import average_precision_score, f1_score, jaccard_score, roc_auc_score

from darts.dataset.schema import BACKGROUND, IGNORE, POSITIVE
from darts.training import metrics
from darts.training.metrics import (
    BINS,
    Confusion,
    PixelStatistics,
    Statistics,
    best_threshold,
    bin_edges,
    confusion_metrics,
    curve_metrics,
    curves,
    metrics_table,
    named_metrics,
    threshold_curve,
)

ROW = torch.tensor([4, 1, 1])
ROWS = 6
REFERENCES = {
    "Accuracy": tm.BinaryAccuracy,
    "Precision": tm.BinaryPrecision,
    "Recall": tm.BinaryRecall,
    "Specificity": tm.BinarySpecificity,
    "NegativePredictiveValue": tm.BinaryNegativePredictiveValue,
    "F1Score": tm.BinaryF1Score,
    "JaccardIndex": tm.BinaryJaccardIndex,
    "CohenKappa": tm.BinaryCohenKappa,
    "HammingDistance": tm.BinaryHammingDistance,
    "AUROC": tm.BinaryAUROC,
    "AveragePrecision": tm.BinaryAveragePrecision,
}
CURVES = ("AUROC", "AveragePrecision")
CASES = ("mixed", "without ignored", "empty", "all positive", "all background")


def batches(kind="mixed", count=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        y = torch.randint(0, 3, (3, 24, 24), generator=generator, dtype=torch.uint8)
        logits = torch.randn(3, 24, 24, generator=generator) * 2 + (y == 1) * 1.5
        if kind == "without ignored":
            y = y.clamp(max=1)
        elif kind != "mixed":
            y = torch.full_like(y, {"empty": IGNORE, "all positive": POSITIVE, "all background": BACKGROUND}[kind])
        yield logits, y


def counted(kind="mixed"):
    pixels = PixelStatistics(ROWS)
    for logits, y in batches(kind):
        pixels.update(logits, y, torch.tensor(1.0), ROW, with_curves=True)
    return pixels.statistics()


def count(logits, y):
    """What is counted of one patch."""
    pixels = PixelStatistics()
    pixels.update(
        torch.as_tensor(logits)[None], torch.as_tensor(y)[None], torch.tensor(0.0), torch.tensor([0]), with_curves=True
    )
    return pixels.statistics()


def of_torchmetrics(name, kind):
    metric = REFERENCES[name](ignore_index=IGNORE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are missing
        for logits, y in batches(kind):
            metric.update(logits, y.long())
        return float(metric.compute())


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("name", REFERENCES)
def test_metrics_of_a_whole_epoch_equal_torchmetrics(name, kind):
    ours = named_metrics("val", counted(kind))[f"val/{name}"]
    if kind == "empty":
        assert ours == 0  # torchmetrics: 0, but 1 for the Hamming distance, NaN for kappa, and an error for curves
    else:
        assert ours == pytest.approx(of_torchmetrics(name, kind), abs=1e-3 if name in CURVES else 1e-6)


def test_kappa_is_0_where_all_agree_on_one_class():
    assert confusion_metrics(Confusion(tp=9, fp=0, fn=0, tn=0))["CohenKappa"] == 0
    assert np.isnan(float(tm.BinaryCohenKappa()(torch.ones(9), torch.ones(9, dtype=torch.int64))))


def sure(rng, y):
    """As a model trained with dice: nearly all probabilities are 0 or 1 in float32."""
    return rng.normal(np.where(y == 1, 8, -20), np.where(y == 1, 12, 6))


def rare(rng, y):
    """As of rare positives: nearly all probabilities are below 0.001."""
    return rng.normal(np.where(y == 1, -6, -9), 2)


def early(rng, y):
    """As early in training: nearly all probabilities are alike."""
    return rng.normal(np.where(y == 1, -1.3, -1.5), 0.2)


def two_values(rng, y):
    return rng.choice([-3.0, 2.0], len(y)) * np.where(rng.random(len(y)) < 0.8, 2 * y - 1, 1)


@pytest.mark.parametrize("case", [sure, rare, early, two_values])
@pytest.mark.parametrize("share", [0.5, 0.03])
def test_curve_metrics_are_within_a_thousandth_of_the_exact_ones(case, share):
    rng = np.random.default_rng(0)
    y = (rng.random(200_000) < share).astype(np.uint8)
    logits = case(rng, y).astype(np.float32)
    ours = curve_metrics(count(logits.reshape(400, 500), y.reshape(400, 500)).histogram)
    assert ours["AUROC"] == pytest.approx(roc_auc_score(y, logits), abs=1e-3)
    assert ours["AveragePrecision"] == pytest.approx(average_precision_score(y, logits), abs=1e-3)


def test_a_pixel_is_positive_when_its_probability_in_float32_is_above_a_half():
    last = torch.tensor(1.5 * 2**-24).view(torch.int32)
    near = (last + torch.arange(-2000, 2000, dtype=torch.int32)).view(torch.float32)  # every number near it
    logits = torch.cat([near, torch.tensor([-1e9, -1e-3, -0.0, 0.0, 1e-45, 1e-3, 1e9, float("nan")])])[None]
    y = torch.zeros(logits.shape, dtype=torch.uint8)
    expected = torch.sigmoid(logits) > 0.5
    assert 0 < expected[0, :4000].sum() < 4000  # some are above 0, and still not above a half
    predicted = count(logits, y).confusion[0, 0]
    np.testing.assert_array_equal(predicted, [torch.sum(~expected), torch.sum(expected)])
    seen = logits[:, :-1]
    of_torchmetrics = tm.BinaryConfusionMatrix()(seen, torch.zeros(seen.shape, dtype=torch.int64))
    np.testing.assert_array_equal(count(seen, y[:, :-1]).confusion[0], of_torchmetrics)
    for one in range(1900, 2100, 7):  # numbers alone, which no vector instruction takes
        assert count(logits[:, one : one + 1], y[:, :1]).confusion[0, 0, 1] == int(expected[0, one])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", CASES)
def test_every_device_counts_alike(kind, dtype):
    for exact, y in batches(kind):
        logits = exact.to(dtype).float()
        assert torch.equal(metrics._cells(logits, y), metrics._cells_on_cpu(logits, y))
        pixels = PixelStatistics(ROWS)
        pixels.update(exact.to(dtype), y, torch.tensor(0.0), ROW, with_curves=True)
        part = np.where(logits < 0, -1, 1) * (1 - 3 / (3 + logits.abs().double().numpy()))
        bins = np.clip(BINS / 2 * (1 + part), 0, BINS - 1).astype(int)
        for code in (BACKGROUND, POSITIVE):
            expected = np.bincount(bins[y.numpy() == code], minlength=BINS)
            moved = np.cumsum(pixels.statistics().histogram[code]) - np.cumsum(expected)
            assert np.abs(moved).max() <= 1  # rounding in float32 may move a pixel into the next bin


@pytest.mark.parametrize("value", [float("inf"), 3e38, 7e4])
def test_logits_beyond_all_bounds_lie_in_the_outermost_bins(value):
    statistics = count([[value, -value]], torch.ones(1, 2, dtype=torch.uint8))
    assert (np.flatnonzero(statistics.histogram[1]) == [0, BINS - 1]).all()
    assert not statistics.histogram[0].any()


def test_rows_keep_their_own_counts_and_may_repeat():
    confusion = counted().confusion
    expected = np.zeros_like(confusion)
    for logits, y in batches():
        for row, x, t in zip(ROW.tolist(), torch.sigmoid(logits).numpy(), y.numpy(), strict=True):
            for true in (0, 1):
                for predicted in (0, 1):
                    expected[row, true, predicted] += np.sum((t == true) & ((x > 0.5) == predicted))
    np.testing.assert_array_equal(confusion, expected)
    assert confusion.dtype == np.int64


def test_the_order_of_batches_and_their_size_change_nothing():
    merged, apart = PixelStatistics(ROWS), PixelStatistics(ROWS)
    for logits, y in batches():
        apart.update(logits, y, torch.tensor(0.5), ROW, with_curves=True)
    logits, y = (torch.cat(parts[::-1]) for parts in zip(*batches(), strict=True))
    merged.update(logits, y, torch.tensor(0.5), ROW.repeat(4), with_curves=True)
    assert (merged.statistics().confusion == apart.statistics().confusion).all()
    assert (merged.statistics().histogram == apart.statistics().histogram).all()
    assert merged.statistics().loss == apart.statistics().loss


def test_processes_add_up_their_counts():
    parts, whole = [PixelStatistics(ROWS) for _ in range(2)], PixelStatistics(ROWS)
    for index, (logits, y) in enumerate(batches()):
        for pixels in (parts[index % 2], whole):
            pixels.update(logits, y, torch.tensor(float(index)), ROW, with_curves=True)
    parts[0].merge_state(parts[1])
    for ours, expected in zip(parts[0].compute(), whole.compute(), strict=True):
        assert torch.equal(ours, expected)


def test_the_loss_of_an_epoch_weighs_each_pixel_equally():
    pixels = PixelStatistics()
    y = torch.zeros(1, 4, 4, dtype=torch.uint8)
    half = y.clone()
    half[:, :2] = IGNORE
    row = torch.tensor([0])
    pixels.update(torch.zeros(1, 4, 4), y, torch.tensor(1.0), row, with_curves=False)
    pixels.update(torch.zeros(1, 4, 4), half, torch.tensor(4.0), row, with_curves=False)
    assert pixels.statistics().loss == pytest.approx((16 * 1.0 + 8 * 4.0) / 24)


def test_training_leaves_the_histogram_empty_and_counts_the_rest():
    pixels = PixelStatistics(ROWS)
    for logits, y in batches():
        pixels.update(logits, y, torch.tensor(1.0), ROW, with_curves=False)
    assert not pixels.statistics().histogram.any()
    np.testing.assert_array_equal(pixels.statistics().confusion, counted().confusion)


def test_no_graph_is_kept():
    logits, y = next(batches())
    pixels = PixelStatistics(ROWS)
    logits.requires_grad_()
    pixels.update(logits, y, logits.sum(), ROW, with_curves=True)
    assert not any(state.requires_grad for state in pixels.metric_state.values())


def test_what_was_counted_in_inference_mode_is_added_to_outside_of_it():
    pixels, (logits, y) = PixelStatistics(ROWS), next(batches())
    with torch.inference_mode():
        pixels.reset()
        pixels.update(logits, y, torch.tensor(1.0), ROW, with_curves=True)
    pixels.update(logits, y, torch.tensor(1.0), ROW, with_curves=True)
    assert pixels.statistics().confusion.sum() == 2 * (y != IGNORE).sum()


def test_counting_goes_on_from_what_was_counted():
    whole, first, second = (PixelStatistics(ROWS) for _ in range(3))
    for index, (logits, y) in enumerate(batches()):
        whole.update(logits, y, torch.tensor(float(index)), ROW, with_curves=True)
        if index == 2:
            second.update(logits, y, torch.tensor(9.0), ROW, with_curves=True)  # is forgotten
            second.restore(first.counted())
        (first if index < 2 else second).update(logits, y, torch.tensor(float(index)), ROW, with_curves=True)
    for ours, expected in zip(second.compute(), whole.compute(), strict=True):
        assert torch.equal(ours, expected)
    fresh = PixelStatistics(ROWS)
    fresh.restore(first.counted())
    assert fresh.update_called


def test_a_worked_confusion():
    values = confusion_metrics(Confusion(tp=6, fp=2, fn=4, tn=8))
    assert values["Accuracy"] == pytest.approx(0.7)
    assert values["Precision"] == pytest.approx(0.75)
    assert values["Recall"] == pytest.approx(0.6)
    assert values["JaccardIndex"] == pytest.approx(0.5)
    assert values["CohenKappa"] == pytest.approx(0.4)


def test_nothing_to_count_gives_zeros_not_nan():
    statistics = Statistics(np.zeros((1, 2, 2), int), np.zeros((2, BINS), int), 0.0)
    assert set(named_metrics("val", statistics).values()) == {0.0}


def test_names_gather_their_rows():
    statistics = counted()
    names = np.array(["c", "b", "a", "c", "b", "never"], dtype=object)
    by = statistics.by(names)
    assert list(by) == ["b"]  # rows 1 and 4; no other was seen
    assert by["b"] == statistics.total()
    by = statistics.by(np.arange(ROWS))
    assert list(by) == ["1", "4"]
    first = sum(int((y[0] != IGNORE).sum()) for _, y in batches())
    assert sum(vars_of(by["4"])) == first
    assert [a + b for a, b in zip(vars_of(by["1"]), vars_of(by["4"]), strict=True)] == vars_of(statistics.total())


def vars_of(confusion):
    return [confusion.tp, confusion.fp, confusion.fn, confusion.tn]


def test_names_that_are_too_few_are_refused():
    with pytest.raises(ValueError, match="each row has a name, but there are 2 of 6 rows"):
        counted().by(np.array(["a", "b"]))


def test_a_table_has_a_line_for_each_name():
    statistics = counted()
    table = metrics_table(statistics, np.array(["c", "b", "a", "c", "a", "never"]))
    assert list(table.columns[:6]) == ["name", "pixels", "tp", "fp", "fn", "tn"]
    assert list(table["name"]) == ["a", "b"]
    assert table["pixels"].sum() == statistics.confusion.sum()
    of_a = confusion_metrics(statistics.by(np.arange(ROWS))["4"])
    assert table.iloc[0][list(of_a)].to_dict() == of_a
    nothing = metrics_table(Statistics(np.zeros((1, 2, 2), int), np.zeros((2, BINS), int), 0.0), np.array(["a"]))
    assert list(nothing.columns) == list(table.columns)
    assert not len(nothing)


def test_statistics_can_be_sent_to_another_process():
    statistics = counted()
    received = pickle.loads(pickle.dumps(statistics))
    np.testing.assert_array_equal(received.histogram, statistics.histogram)
    assert received.total() == statistics.total()


def test_curves_run_from_nothing_predicted_to_everything():
    c = curves(counted().histogram)
    assert (c.recall[0], c.recall[-1], c.false_positive_rate[-1], c.precision[0]) == (0, 1, 1, 1)
    assert (np.diff(c.recall) >= 0).all()
    assert len(c.threshold) == BINS + 1


def test_thresholds_rise_from_0_to_1_through_a_half():
    edges = bin_edges()
    assert (edges[0], edges[BINS // 2], edges[-1]) == (0, 0.5, 1)
    assert (np.diff(edges) >= 0).all()


def test_f1_and_iou_by_threshold_equal_those_of_the_predictions_there():
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, (60, 50)).astype(np.uint8)
    logits = (rng.normal(-1, 2, y.shape) + 2 * (y == 1)).astype(np.float32)
    curve = threshold_curve(count(logits, y).histogram)
    assert isinstance(curve, pd.DataFrame)
    p, t = 1 / (1 + np.exp(-logits[y != IGNORE].astype(np.float64))), y[y != IGNORE]
    for at in (0, 1000, BINS // 2, 6000, BINS):
        predicted = p >= curve["threshold"][at]
        assert curve["F1Score"][at] == pytest.approx(f1_score(t, predicted, zero_division=0), abs=2e-3)
        assert curve["JaccardIndex"][at] == pytest.approx(jaccard_score(t, predicted, zero_division=0), abs=2e-3)
    best = best_threshold(curve)
    at_best, others = f1_score(t, p >= best), [f1_score(t, p >= other) for other in np.linspace(0.01, 0.99, 99)]
    assert at_best >= max(others) - 2e-3
    assert best < 0.5  # logits lie low


def test_of_equally_good_thresholds_the_nearest_to_a_half_is_best():
    logits = np.array([[-4.0, -3.0, -2.0, 4.0]], dtype=np.float32)
    best = best_threshold(threshold_curve(count(logits, np.array([[0, 0, 1, 1]], np.uint8)).histogram))
    assert best == pytest.approx(1 / (1 + np.exp(2)), abs=1e-3)
    nothing = np.zeros((2, BINS), dtype=np.int64)
    assert best_threshold(threshold_curve(nothing)) == 0.5


def test_names_carry_their_stage_and_curves_are_left_out_in_training():
    assert "val/AUROC" in named_metrics("val", counted())
    assert "train/AUROC" not in named_metrics("train", counted())
    assert all(name.startswith("train/") for name in named_metrics("train", counted()))
