"""Metrics of objects, which are groups of touching positive pixels, and of their outlines."""

import math

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from darts.dataset.schema import IGNORE, POSITIVE

BOUNDARY_SHARE = 0.02
"""How far from an outline its boundary reaches, as a share of the diagonal of the patch (Cheng et al. 2021)."""
_TOUCHING = np.ones((3, 3), dtype=np.uint8)  # corners, too


class InstanceStatistics:
    """Counts, over patches, of labelled objects and predicted ones, and how they match.

    An object is a group of 8-connected pixels of one patch that are labelled, or predicted, positive. Pixels that are
    ignored don't exist: of an object that they cover in part, labelled or predicted, what is seen is an object, or several
    if it is in several parts; what is seen of a prediction is wrong where no label is seen with it.

    Parameters
    ----------
    threshold
        A pixel is predicted positive where its probability is above it.
    matching_iou
        A labelled object and a predicted one match where their intersection over union is at least this, in (0, 1].
    """

    def __init__(self, threshold: float = 0.5, matching_iou: float = 0.5) -> None:
        self.threshold, self.matching_iou = threshold, matching_iou
        self._labelled = 0
        self._scores: list[np.ndarray] = []
        self._matched: list[np.ndarray] = []
        self._boundary = np.zeros(2, dtype=np.int64)

    def add(self, probability_hw: np.ndarray, y_hw: np.ndarray) -> None:
        """Count a patch.

        Parameters
        ----------
        probability_hw
            float (h, w) in [0, 1].
        y_hw
            Label codes (h, w).

        Raises
        ------
        ValueError
            When the two differ in shape.
        """
        if probability_hw.shape != y_hw.shape:
            raise ValueError(
                f"probabilities and labels have one shape, but these have {probability_hw.shape} and {y_hw.shape}"
            )
        ignored = y_hw == IGNORE
        labelled, predicted = y_hw == POSITIVE, (probability_hw > self.threshold) & ~ignored
        labelled_ids, labelled_count = ndimage.label(labelled, _TOUCHING)
        predicted_ids, predicted_count = ndimage.label(predicted, _TOUCHING)
        self._labelled += labelled_count
        self._scores.append(_means(probability_hw, predicted_ids, predicted_count))
        matches = match_objects(labelled_ids, predicted_ids, self.matching_iou)
        self._matched.append(np.isin(np.arange(1, predicted_count + 1), matches[:, 1]))
        self._boundary += boundary_counts(labelled, predicted, ignored)

    def metrics(self) -> dict[str, float]:
        """InstancePrecision, InstanceRecall, InstanceF1Score, InstanceAveragePrecision and BoundaryIoU, in [0, 1].

        All are of the objects, and of the boundary pixels, of all patches together; 0 where a denominator is 0.
        """
        scores, matched = (np.concatenate([np.zeros(0), *parts]) for parts in (self._scores, self._matched))
        tp, predicted = int(matched.sum()), len(matched)
        intersection, union = self._boundary.tolist()
        return {
            "InstancePrecision": tp / max(predicted, 1),
            "InstanceRecall": tp / max(self._labelled, 1),
            "InstanceF1Score": 2 * tp / max(predicted + self._labelled, 1),
            "InstanceAveragePrecision": average_precision(scores, matched, self._labelled),
            "BoundaryIoU": intersection / max(union, 1),
        }


def _means(values_hw: np.ndarray, ids_hw: np.ndarray, count: int) -> np.ndarray:
    """Mean value of each object: float64 (count)."""
    inside = ids_hw > 0
    ids = ids_hw[inside]
    sums = np.bincount(ids, weights=values_hw[inside].astype(np.float64), minlength=count + 1)
    return (sums / np.maximum(np.bincount(ids, minlength=count + 1), 1))[1:]


def match_objects(labelled_ids: np.ndarray, predicted_ids: np.ndarray, matching_iou: float) -> np.ndarray:
    """Which labelled object and which predicted one are the same.

    Parameters
    ----------
    labelled_ids, predicted_ids
        int (h, w): 0 outside of objects, and their numbers from 1.
    matching_iou
        Least intersection over union of a match, in (0, 1].

    Returns
    -------
    int (matches, 2): numbers of the labelled and of the predicted object. No object is in two matches. There are as many
    matches as there can be, and of all such choices, this has the highest sum of intersections over unions. From 0.5 on, no
    other choice has as many, but for objects that were cut in half.
    """
    pairs, iou = _overlaps(labelled_ids, predicted_ids)
    pairs, iou = pairs[iou >= matching_iou], iou[iou >= matching_iou]
    choices = [np.bincount(objects)[objects] for objects in pairs.T] if len(pairs) else np.zeros((2, 0))
    only = (choices[0] == 1) & (choices[1] == 1)
    return np.concatenate([pairs[only], _assigned(pairs[~only], iou[~only])])


def _assigned(pairs: np.ndarray, iou: np.ndarray) -> np.ndarray:
    """As many of the pairs as possible without an object twice, with the highest sum of `iou`."""
    if not len(pairs):
        return pairs
    (labelled, rows), (predicted, columns) = (np.unique(objects, return_inverse=True) for objects in pairs.T)
    # Each row may also stay alone, in a column of its own, which costs more than all pairs can save.
    alone = np.arange(len(labelled))
    costs = np.concatenate([2 - iou, np.full(len(alone), 3.0 + len(alone))])
    places = (np.concatenate([rows, alone]), np.concatenate([columns, len(predicted) + alone]))
    row, column = min_weight_full_bipartite_matching(coo_array((costs, places)).tocsr())
    both = column < len(predicted)
    return np.stack([labelled[row[both]], predicted[column[both]]], axis=1)


def _overlaps(labelled_ids: np.ndarray, predicted_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of objects that share pixels, int64 (pairs, 2), and their intersection over union."""
    areas = [np.bincount(ids.ravel()) for ids in (labelled_ids, predicted_ids)]
    shared = (labelled_ids > 0) & (predicted_ids > 0)
    keys = labelled_ids[shared].astype(np.int64) * len(areas[1]) + predicted_ids[shared]
    keys, intersection = np.unique(keys, return_counts=True)
    labelled, predicted = np.divmod(keys, len(areas[1]))
    union = areas[0][labelled] + areas[1][predicted] - intersection
    return np.stack([labelled, predicted], axis=1), intersection / union


def average_precision(scores: np.ndarray, matched: np.ndarray, labelled: int) -> float:
    """Sum of precision x step in recall, from the highest score to the lowest; 0 without a labelled or matched object.

    Parameters
    ----------
    scores
        float (predicted objects); those with equal scores make one step.
    matched
        bool (predicted objects).
    labelled
        Number of labelled objects.
    """
    if not labelled or not len(scores):
        return 0.0
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # of each score
    found = np.cumsum(matched[order])[last]
    precision = found / (last + 1)
    return float(np.sum(precision * np.diff(found, prepend=0)) / labelled)


def boundary_counts(labelled: np.ndarray, predicted: np.ndarray, ignored: np.ndarray) -> tuple[int, int]:
    """Pixels in the intersection and in the union of two boundaries (Cheng et al. 2021, arXiv 2103.16562).

    A boundary is what lies inside of objects and at most 2 % of the diagonal of the patch, but at least 1 pixel, from their
    outline. As there, distance is that of the larger of rows and columns. The edge of the patch is no outline, and neither
    is that of ignored pixels: where an object ends is not known there.

    Parameters
    ----------
    labelled, predicted, ignored
        bool (h, w); no pixel is ignored and labelled or predicted.
    """
    distance = max(1, round(BOUNDARY_SHARE * math.hypot(*labelled.shape)))
    first, second = (_boundary(mask, ignored, distance) for mask in (labelled, predicted))
    return int(np.count_nonzero(first & second)), int(np.count_nonzero(first | second))


def _boundary(mask: np.ndarray, ignored: np.ndarray, distance: int) -> np.ndarray:
    """Pixels of a mask at most `distance` from one that is seen and outside of it."""
    import cv2

    inner = cv2.erode((mask | ignored).view(np.uint8), _TOUCHING, iterations=distance)  # nothing erodes from the edge
    return mask & (inner == 0)
