"""Objects and boundaries, against slow and plain computations on small masks, and cases that were made by hand."""

import itertools
import time

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from darts.dataset.schema import IGNORE
from darts.training.instances import InstanceStatistics, average_precision, match_objects

KEYS = {"InstancePrecision", "InstanceRecall", "InstanceF1Score", "InstanceAveragePrecision", "BoundaryIoU"}


def objects_of(mask):
    """Sets of 8-connected pixels, found one by one."""
    left, found = set(zip(*np.nonzero(mask), strict=True)), []
    while left:
        todo, one = [left.pop()], set()
        while todo:
            i, j = todo.pop()
            one.add((i, j))
            near = {(i + a, j + b) for a in (-1, 0, 1) for b in (-1, 0, 1)} & left
            left -= near
            todo += near
        found.append(one)
    return found


def iou_of(first, second):
    return len(first & second) / len(first | second)


def most_matches(labelled, predicted, least):
    """The choice of pairs with the most of them, and then the highest sum of IoU, by trying all."""
    pairs = [(i, j) for i, a in enumerate(labelled) for j, b in enumerate(predicted) if iou_of(a, b) >= least]
    best = (0, 0.0, ())
    for count in range(1, min(len(labelled), len(predicted)) + 1):
        for chosen in itertools.combinations(pairs, count):
            if len({i for i, _ in chosen}) == count == len({j for _, j in chosen}):
                total = sum(iou_of(labelled[i], predicted[j]) for i, j in chosen)
                best = max(best, (count, total, chosen))
    return best


def boundary_of(mask, ignored, distance):
    """Pixels of a mask with one that is seen and outside of it at most so many rows and columns away."""
    height, width = mask.shape
    boundary = set()
    for i, j in zip(*np.nonzero(mask), strict=True):
        rows = range(max(i - distance, 0), min(i + distance + 1, height))
        columns = range(max(j - distance, 0), min(j + distance + 1, width))
        if any(not mask[a, b] and not ignored[a, b] for a in rows for b in columns):
            boundary.add((i, j))
    return boundary


def patch(seed, shape=(9, 11), ignored=0.1):
    """Blocky labels, and probabilities that often agree with them."""
    rng = np.random.default_rng(seed)
    y = np.kron(rng.random((5, 6)) < 0.35, np.ones((2, 2), int))[: shape[0], : shape[1]].astype(np.uint8)
    probability = np.clip(0.25 + 0.5 * y + rng.normal(0, 0.17, shape), 0, 1).astype(np.float32)
    y[rng.random(shape) < ignored] = IGNORE
    return probability, y


def counted(patches, **settings):
    statistics = InstanceStatistics(**settings)
    for probability, y in patches:
        statistics.add(probability, y)
    return statistics.metrics()


def on(*boxes, shape=(20, 20), value=1):
    """Zeros with boxes (top, bottom, left, right)."""
    mask = np.zeros(shape, dtype=np.uint8)
    for top, bottom, left, right in boxes:
        mask[top:bottom, left:right] = value
    return mask


@pytest.mark.parametrize("least", [0.05, 0.2, 0.5, 0.7])
@pytest.mark.parametrize("seed", range(12))
def test_counts_equal_those_of_all_choices(seed, least):
    probability, y = patch(seed)
    labelled, predicted = objects_of(y == 1), objects_of((probability > 0.5) & (y != IGNORE))
    tp, _, chosen = most_matches(labelled, predicted, least)
    values = counted([(probability, y)], matching_iou=least)
    assert values["InstancePrecision"] == pytest.approx(tp / len(predicted))
    assert values["InstanceRecall"] == pytest.approx(tp / len(labelled))
    assert values["InstanceF1Score"] == pytest.approx(2 * tp / (len(predicted) + len(labelled)))
    if least > 0.5:
        scores = [np.mean([probability[pixel] for pixel in one], dtype=np.float64) for one in predicted]
        matched = np.isin(np.arange(len(predicted)), [j for _, j in chosen])
        expected = average_precision_score(matched, scores) * tp / len(labelled) if tp else 0
        assert values["InstanceAveragePrecision"] == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(12))
def test_of_as_many_matches_the_closest_are_chosen(seed):
    probability, y = patch(seed, ignored=0)
    masks = [y == 1, probability > 0.5]
    ids = np.zeros((2, *y.shape), dtype=np.int32)
    for number, mask in enumerate(masks):
        for index, one in enumerate(objects_of(mask), start=1):
            ids[number][tuple(zip(*one, strict=True))] = index
    count, total, _ = most_matches(*(objects_of(mask) for mask in masks), 0.02)
    pairs = match_objects(ids[0], ids[1], 0.02)
    ious = [np.sum((ids[0] == a) & (ids[1] == b)) / np.sum((ids[0] == a) | (ids[1] == b)) for a, b in pairs]
    assert len(pairs) == count == len(set(pairs[:, 0])) == len(set(pairs[:, 1]))
    assert sum(ious) == pytest.approx(total)


def test_more_matches_go_before_closer_ones():
    """One pair alone has an IoU of 0.75; to leave it makes two pairs with less."""
    labelled = np.array([[1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 0, 0]])
    predicted = np.array([[3, 3, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0]])
    assert sorted(map(tuple, match_objects(labelled, predicted, 0.05).tolist())) == [(1, 3), (2, 1)]
    assert match_objects(labelled, predicted, 0.5).tolist() == [[1, 1]]


def test_halves_of_an_object_match_it_but_once():
    y = on((2, 4, 2, 8))
    probability = np.where(y, 0.9, 0.1)
    ids = np.where(np.arange(20) < 5, 1, 2) * y
    assert len(match_objects(y, ids, 0.5)) == 1
    assert counted([(probability, y)])["InstanceF1Score"] == 1


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("shape", [(9, 11), (60, 90)])
def test_boundaries_equal_those_found_pixel_by_pixel(seed, shape):
    rng = np.random.default_rng(seed)
    coarse = rng.random((2, -(-shape[0] // 8), -(-shape[1] // 8))) < 0.5
    fine = np.kron(coarse, np.ones((1, 8, 8), bool))[:, : shape[0], : shape[1]]
    ignored = rng.random(shape) < 0.03
    ignored[:, 3:6] = True
    y, probability = np.where(ignored, IGNORE, fine[0]).astype(np.uint8), np.where(fine[1], 0.8, 0.3)
    distance = max(1, round(0.02 * np.hypot(*shape)))
    first, second = (boundary_of(mask & ~ignored, ignored, distance) for mask in fine)
    assert counted([(probability, y)])["BoundaryIoU"] == pytest.approx(len(first & second) / len(first | second))


def test_the_edge_of_the_patch_and_of_what_is_ignored_is_no_boundary():
    y = on((0, 20, 0, 10))
    y[:, 15:] = IGNORE
    y[0:5, 10:15] = IGNORE
    probability = np.where(y == 1, 0.9, 0.1)
    assert counted([(probability, y)])["BoundaryIoU"] == 1
    full = np.ones((20, 20), dtype=np.uint8)
    assert counted([(full * 0.9, full)])["BoundaryIoU"] == 0  # there is none
    one_less = np.where(on((5, 20, 9, 10)), 0.1, probability)
    # 15 pixels along each outline, side by side; above, at the corner, 1 of the label, and 2 of the prediction with it.
    assert counted([(one_less, y)])["BoundaryIoU"] == pytest.approx(1 / 32)


def test_a_prediction_that_is_the_label_is_perfect():
    y = on((2, 6, 2, 6), (10, 15, 10, 18))
    assert set(counted([(np.where(y, 0.9, 0.1), y)] * 3).values()) == {1.0}


def test_corners_hold_an_object_together():
    y = on((2, 4, 2, 4), (4, 6, 4, 6))
    assert counted([(np.where(y, 0.9, 0.1), y)])["InstanceRecall"] == 1
    parted = np.where(on((2, 4, 2, 4)), 0.9, 0.1)
    assert counted([(parted, y)], matching_iou=0.5)["InstanceRecall"] == 1
    assert counted([(parted, y)], matching_iou=0.51)["InstanceRecall"] == 0


def test_ignored_pixels_do_not_exist():
    y = on((4, 10, 2, 12))
    probability = np.where(y, 0.9, 0.1)
    y[:, 6:8] = IGNORE  # cuts the label and the prediction into two
    y[15:, :] = IGNORE
    probability[15:, :] = 0.99  # of nothing that is known
    both = counted([(probability, y)])
    assert set(both.values()) == {1.0}
    probability[:, 8:] = 0.1
    assert counted([(probability, y)])["InstanceRecall"] == 0.5
    noise = np.where(y == IGNORE, np.random.default_rng(0).random(y.shape), probability)
    assert counted([(noise, y)]) == counted([(probability, y)])


def test_patches_are_pooled():
    y = on((2, 6, 2, 6))
    right, wrong = (np.where(y, 0.9, 0.1), y), (np.where(on((10, 14, 10, 14)), 0.8, 0.1), y)
    values = counted([right, wrong, right])
    assert values["InstancePrecision"] == values["InstanceRecall"] == values["InstanceF1Score"] == pytest.approx(2 / 3)
    assert values["BoundaryIoU"] == pytest.approx(24 / 48)
    assert values["InstanceAveragePrecision"] == pytest.approx(2 / 3)  # both right ones come first
    assert counted([right, wrong, right]) == counted([wrong, right, right])


def test_average_precision_ranks_by_mean_probability():
    assert average_precision(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False]), 3) == pytest.approx(
        1 / 3 * 1 + 1 / 3 * 2 / 3
    )
    assert average_precision(np.array([0.5, 0.5]), np.array([False, True]), 1) == pytest.approx(0.5)
    assert average_precision(np.zeros(0), np.zeros(0, dtype=bool), 3) == 0
    assert average_precision(np.array([0.5]), np.array([False]), 0) == 0


def test_without_objects_all_is_0():
    nothing = np.zeros((8, 8), dtype=np.uint8)
    for probability, y in (
        (nothing, nothing),
        (nothing + 0.9, nothing),
        (nothing, nothing + 1),
        (nothing, nothing + 2),
    ):
        assert counted([(probability, y.astype(np.uint8))]) == dict.fromkeys(KEYS, 0.0)
    assert InstanceStatistics().metrics() == dict.fromkeys(KEYS, 0.0)


def test_a_probability_at_the_threshold_is_not_positive():
    y = on((2, 6, 2, 6))
    assert counted([(y * 0.7, y)], threshold=0.7)["InstanceRecall"] == 0
    assert counted([(y * 0.7, y)], threshold=0.6)["InstanceRecall"] == 1


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"one shape, but these have \(1, 8\) and \(8, 8\)"):
        InstanceStatistics().add(np.zeros((1, 8)), np.zeros((8, 8), np.uint8))


@pytest.mark.parametrize("matching_iou", [0.5, 0.01])
def test_thousands_of_specks_cost_no_more_than_their_pixels(matching_iou):
    rng = np.random.default_rng(0)
    y = (rng.random((512, 512)) < 0.1).astype(np.uint8)
    probability = np.where(rng.random(y.shape) < 0.03, 0.9 * (1 - y), 0.9 * y)
    statistics = InstanceStatistics(0.5, matching_iou)
    before = time.process_time()
    statistics.add(probability, y)
    assert time.process_time() - before < 2  # pairs of all 16 000 with each other would take minutes
    assert statistics.metrics()["InstanceF1Score"] > 0.5
