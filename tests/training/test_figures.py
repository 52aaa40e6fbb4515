"""Figures show what they should: clouds don't darken the rest, and files come whole and always the same."""

import io
import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from darts.training import figures, run_figures
from darts.training.figures import (
    PredictedSample,
    draw_augmentations,
    draw_confusion,
    draw_samples,
    draw_statistics,
    draw_threshold,
    outlined,
    rgb_image,
)
from darts.training.metrics import BINS, Confusion, Statistics, curves
from darts.training.run_figures import data_distribution, draw_distribution, draw_loss, draw_metrics
from factories import BANDS, patch_pair
from run_folders import history

PNG = b"\x89PNG"


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, to look into."""
    saved = []
    real = figures.save_figure

    def keep(figure, path):
        saved.append(figure)
        return real(figure, path)

    for module in (figures, run_figures):
        monkeypatch.setattr(module, "save_figure", keep)
    return saved


def lines(axis):
    return {line.get_label(): line for line in axis.lines}


def test_ignored_pixels_do_not_darken_the_rest():
    x = np.random.default_rng(0).uniform(0.1, 0.3, (5, 32, 32)).astype(np.float32)
    seen = np.ones((32, 32), bool)
    seen[:10] = False
    x[:, :10] = 1.0
    image = rgb_image(x, BANDS, seen)
    assert image[seen].max() == 1
    assert image[seen].mean() > 0.4


def test_bands_without_colours_give_a_grey_picture():
    x = np.random.default_rng(0).random((2, 16, 16), dtype=np.float32)
    image = rgb_image(x, ("nir", "ndvi"), np.ones((16, 16), bool))
    assert (image[..., 0] == image[..., 2]).all()


def test_samples_and_matrix_are_drawn_also_where_nothing_is_seen_or_predicted(tmp_path):
    x, y = patch_pair(np.random.default_rng(0))
    blank = np.full_like(y, 2)
    samples = [PredictedSample("a", x, y, x[0]), PredictedSample("b", x, blank, np.zeros_like(x[0]))]
    for path in (
        draw_samples(samples, BANDS, tmp_path / "figures" / "samples.png"),
        draw_confusion(Confusion(0, 0, 0, 0), "nothing", tmp_path / "matrix.png"),
    ):
        assert path.read_bytes().startswith(PNG)
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"samples.png"}


def statistics(seed=0, positives=1):
    rng = np.random.default_rng(seed)
    histogram = np.stack([rng.integers(0, 50, BINS), positives * rng.integers(0, 9, BINS)])
    return Statistics(np.array([[[90, 5], [2, 3]]]), histogram, 0.1)


def patches():
    rng = np.random.default_rng(0)
    count = 40
    return pd.DataFrame(
        {
            "region": rng.choice(["A", "B", "C"], count),
            "role": rng.choice(["train", "val", "test"], count),
            "positive_fraction": rng.random(count) * 0.2,
            "ignored_fraction": rng.random(count),
        }
    )


def augmented():
    rng = np.random.default_rng(0)
    return [patch_pair(rng, size=16) for _ in range(5)]


DRAWINGS = {
    "samples": lambda path: draw_samples([PredictedSample("a", *augmented()[0], augmented()[0][0][0])], BANDS, path),
    "augmentations": lambda path: draw_augmentations(augmented(), BANDS, path),
    "threshold": lambda path: draw_threshold(statistics(), "t", path),
    "loss": lambda path: draw_loss(history([0.1, 0.3, 0.2]), 2, path),
    "metrics": lambda path: draw_metrics(history([0.1, 0.3, 0.2]), 2, path),
    "distribution": lambda path: draw_distribution(patches(), path),
}


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_the_same_data_give_the_same_bytes(draw, tmp_path):
    one, two = (draw(tmp_path / "new" / name).read_bytes() for name in ("1.png", "2.png"))
    assert one == two
    assert one.startswith(PNG)


@pytest.mark.parametrize("positives", [0, 1])
def test_a_stage_is_drawn_with_its_threshold_also_without_positives(positives, tmp_path):
    names = {path.name for path in draw_statistics(statistics(positives=positives), "val", tmp_path)}
    assert names == {f"val-{name}.png" for name in ("confusion-matrix", "roc", "precision-recall", "threshold")}


def test_f1_and_iou_follow_from_the_counts_above_each_threshold(drawn, tmp_path):
    found = statistics()
    draw_threshold(found, "t", tmp_path / "t.png")
    threshold = curves(found.histogram).threshold
    by_name = {name.partition(":")[0]: line for name, line in lines(drawn[0].axes[0]).items()}
    for index in (0, 1, BINS // 3, BINS // 2, BINS - 1, BINS):
        above = found.histogram[:, BINS - index :].sum(axis=1)  # thresholds fall from 1 to 0
        tp, fp, fn = above[1], above[0], found.histogram[1].sum() - above[1]
        for name, expected in (("F1", 2 * tp / (2 * tp + fp + fn)), ("IoU", tp / (tp + fp + fn))):
            x, y = (values[index] for values in by_name[name].get_data())
            assert (x, y) == (threshold[index], pytest.approx(expected, abs=1e-12))


def test_all_augmented_versions_are_stretched_as_the_original(drawn, tmp_path):
    rng = np.random.default_rng(0)
    x, y = patch_pair(rng, size=16)
    darker = (0.5 * x).astype(np.float32)
    draw_augmentations([(x, y), (darker, y), (np.zeros_like(x), y)], BANDS, tmp_path / "a.png")
    background = y == 0  # the label is outlined
    original, dark, black = (axis.images[0].get_array()[background] for axis in drawn[0].axes)
    np.testing.assert_allclose(original, rgb_image(x, BANDS, y != 2)[background], atol=1e-6)
    assert dark.mean() < 0.6 * original.mean()
    assert black.max() == 0
    assert [axis.get_title() for axis in drawn[0].axes] == ["original", "augmented 1", "augmented 2"]


def test_ignored_pixels_of_augmented_versions_are_grey_and_no_panel_is_empty_of_axes(drawn, tmp_path):
    x, y = patch_pair(np.random.default_rng(0), size=16)
    draw_augmentations([(x, y)] * 7, BANDS, tmp_path / "a.png")
    ignored = drawn[0].axes[5].images[0].get_array()[y == 2]
    assert len(np.unique(ignored, axis=0)) == 1
    assert len(drawn[0].axes) == 8
    assert not any(axis.axison for axis in drawn[0].axes)


def test_a_mask_is_outlined_inside_its_border_and_not_along_that_of_the_image():
    image, mask = np.zeros((8, 8, 3)), np.zeros((8, 8), dtype=bool)
    mask[2:7, :5] = True
    painted = outlined(image, mask, "#ff0000")[..., 0] == 1
    expected = mask.copy()
    expected[3:6, :4] = False
    np.testing.assert_array_equal(painted, expected)
    assert not image.any()


def test_loss_curves_hold_the_history_and_mark_the_best_epoch(drawn, tmp_path):
    table = history([0.1, 0.3, 0.2])
    table.loc[1, "val/loss"] = math.nan  # not validated
    draw_loss(table, 3, tmp_path / "loss.png")
    (axis,) = drawn[0].axes
    seen = lines(axis)
    assert seen["train"].get_xdata().tolist() == [1, 2, 3]
    assert seen["train"].get_ydata().tolist() == table["train/loss"].tolist()
    assert seen["val"].get_xdata().tolist() == [1, 3]
    assert seen["best epoch: 3"].get_xdata() == [3, 3]
    assert axis.get_yscale() == "linear"


def test_a_loss_over_decades_has_a_logarithmic_axis(drawn, tmp_path):
    table = history([0.1] * 4).assign(**{"train/loss": [3.0, 1.0, 0.1, 0.01]})
    draw_loss(table, None, tmp_path / "loss.png")
    assert drawn[0].axes[0].get_yscale() == "log"
    draw_loss(table.assign(**{"train/loss": [3.0, 1.0, 0.1, 0.0]}), None, tmp_path / "loss.png")
    assert drawn[1].axes[0].get_yscale() == "linear"  # a logarithm has no place for 0


def test_metric_curves_have_a_panel_for_each_metric_that_is_there(drawn, tmp_path):
    table = history([0.1, 0.3, 0.2])
    draw_metrics(table, 2, tmp_path / "metrics.png")
    panels = {axis.get_title(): axis for axis in drawn[0].axes if axis.axison}
    assert set(panels) == {"IoU (JaccardIndex)", "F1Score"}
    assert set(lines(panels["F1Score"])) == {"val", "best epoch: 2"}
    assert lines(panels["IoU (JaccardIndex)"])["val"].get_ydata().tolist() == table["val/JaccardIndex"].tolist()


@pytest.mark.parametrize(
    "table",
    [
        history([0.5]),
        pd.DataFrame({"epoch": [0, 1], "train/loss": [math.inf, math.nan]}),
        pd.DataFrame({"epoch": [0]}),
        pd.DataFrame({"epoch": []}),
    ],
    ids=["one epoch", "not finite", "no metric", "no epoch"],
)
def test_curves_are_drawn_of_any_history(table, tmp_path):
    for draw in (draw_loss, draw_metrics):
        assert imread(io.BytesIO(draw(table, None, tmp_path / "c.png").read_bytes())).shape[1] == 1200


def test_the_distribution_counts_patches_and_weighs_pixels():
    table = patches()
    shares = data_distribution(table)
    assert shares["patches"].sum() == len(table)
    for _, row in shares.iterrows():
        part = table[(table["region"] == row["region"]) & (table["role"] == row["role"])]
        seen = 1 - part["ignored_fraction"]
        assert row["patches"] == len(part)
        assert row["positive_share"] == pytest.approx((part["positive_fraction"] * seen).sum() / seen.sum())
    totals = table["region"].value_counts()
    assert [totals[name] for name in dict.fromkeys(shares["region"])] == sorted(totals, reverse=True)
    assert data_distribution(table[["region", "role"]])["positive_share"].isna().all()
    assert data_distribution(table.assign(ignored_fraction=1.0))["positive_share"].isna().all()


def test_the_distribution_is_drawn_with_shares_where_they_are_known(drawn, tmp_path):
    draw_distribution(patches(), tmp_path / "d.png")
    draw_distribution(patches()[["region", "role"]], tmp_path / "d.png")
    assert [len(figure.axes) for figure in drawn] == [2, 1]
    left, right = drawn[0].axes
    assert sum(bar.get_width() for bar in left.patches) == 40
    assert sum(len(line.get_xdata()) for line in right.lines) == len(data_distribution(patches()))


def test_of_many_regions_the_smallest_are_drawn_as_one(drawn, tmp_path):
    many = pd.DataFrame({"region": [f"r{number % 50}" for number in range(60)], "role": "train"})
    draw_distribution(many, tmp_path / "d.png")
    labels = [text.get_text() for text in drawn[0].axes[0].get_yticklabels()]
    assert len(labels) == 20
    assert labels[-1] == "(others)"
    assert sum(bar.get_width() for bar in drawn[0].axes[0].patches) == 60
