"""What the pixels of the train patches are: how often each value and each label comes."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from darts.dataset.schema import IGNORE, POSITIVE, SCALE, quantise
from darts.training.loader import PatchLoader
from darts.training.normalise import count_values


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """Pixels by label, without those that are ignored."""

    background: int
    positive: int

    @property
    def positive_share(self) -> float:
        """Positives among all; 0 if there is no pixel."""
        return self.positive / max(1, self.background + self.positive)

    @property
    def pos_weight(self) -> float:
        """Background pixels for each positive one; 1 if there is none."""
        return self.background / self.positive if self.positive and self.background else 1.0


def labels_in_metadata(train: pd.DataFrame, patch_size: int) -> LabelCounts | None:
    """The labels of train patches by their metadata; None where it doesn't count pixels."""
    if not {"positive_pixels", "ignored_pixels"} <= set(train.columns):
        return None
    positive = int(train["positive_pixels"].sum())
    return LabelCounts(len(train) * patch_size**2 - int(train["ignored_pixels"].sum()) - positive, positive)


@dataclass(frozen=True, slots=True)
class TrainPixels:
    """What all pixels of the train patches hold.

    Attributes
    ----------
    values
        int64 (bands, SCALE + 1): how often round(x * SCALE) comes, without pixels that are ignored.
    labels
        How often each label comes.
    """

    values: np.ndarray
    labels: LabelCounts


def count_train_pixels(patches: PatchLoader, bands: int) -> TrainPixels:
    """Look at every pixel once."""
    values = np.zeros((bands, SCALE + 1), dtype=np.int64)
    background = positive = 0
    for batch in patches:
        for x, y in zip(batch["x"].numpy(), batch["y"].numpy(), strict=True):
            seen = y != IGNORE
            count_values(quantise(x), seen, values)
            positives = int((y == POSITIVE).sum())
            positive += positives
            background += int(seen.sum()) - positives
    return TrainPixels(values, LabelCounts(background, positive))
