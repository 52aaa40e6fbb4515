"""Which patches are shown as pictures, and the pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest

import numpy as np

from darts.core.seeds import derive_seed
from darts.dataset.inspection.facts import DatasetFacts
from darts.dataset.inspection.suspicions import RULES, UNREADABLE
from darts.dataset.pictures import rgb_image
from darts.dataset.reader import Dataset
from darts.dataset.schema import IGNORE, POSITIVE

MOST_PIXELS = 256
"""Greatest width and height of a picture."""

_OUTLINE, _HALO, _STRIPE, _VEIL = (255, 212, 0, 255), (20, 20, 20, 150), (150, 160, 170, 225), (150, 160, 170, 105)
_PERIOD, _STRIPE_WIDTH = 8, 3


@dataclass(frozen=True, slots=True)
class Sample:
    """A patch as PNG files.

    Attributes
    ----------
    row
        Row of the patch.
    image
        Red, green and blue, or the first band in grey; at most 256 pixels wide.
    labels
        To be laid over it, transparent elsewhere: the outline of what is positive in yellow, what is ignored striped grey.
    """

    row: int
    image: bytes
    labels: bytes


def choose_rows(facts: DatasetFacts, count: int) -> list[int]:
    """The patches to show: suspicious ones, at most half, the worst of each rule in turn; then others at random.

    Of the others, patches with and without positives come in equal numbers as far as there are. The same dataset gives
    the same patches.
    """
    unreadable = {finding.row for finding in facts.found_by(UNREADABLE)}
    by_rule = [[finding.row for finding in facts.found_by(rule)] for rule in RULES if rule != UNREADABLE]
    suspicious = list(islice(_in_turn(by_rule), count // 2))
    left = [row for row in facts.patches.index if row not in unreadable.union(suspicious)]
    random = np.random.default_rng(derive_seed("samples", len(facts.patches)))
    shuffled = [left[index] for index in random.permutation(len(left))]
    positive = facts.patches["positive"].to_numpy()
    others = _in_turn([[row for row in shuffled if bool(positive[row]) == wanted] for wanted in (True, False)])
    return suspicious + sorted(islice(others, count - len(suspicious)))


def _in_turn(lists: Sequence[Sequence[int]]) -> Iterator[int]:
    """The first of each list, then the second of each, and so on; none twice."""
    everything = chain.from_iterable(zip_longest(*lists))
    return iter(dict.fromkeys(row for row in everything if row is not None))


def draw_sample(dataset: Dataset, row: int) -> Sample:
    """The pictures of one patch.

    Raises
    ------
    DatasetError
        When it can't be read.
    """
    x, y = dataset.read_x(row), dataset.read_y(row)
    picture = rgb_image(x, dataset.manifest.band_names, y != IGNORE)
    return Sample(row, _png(_shrunk((255 * picture).round().astype(np.uint8))), _png(label_layer(y)))


def label_layer(y: np.ndarray) -> np.ndarray:
    """What is laid over a picture of a patch with the label codes y (h, w): uint8 (height, width, 4), red to alpha.

    It is at most 256 pixels wide; a positive pixel is never lost when a large patch is made smaller.
    """
    import cv2

    positive, ignored = (_resized_mask(y == code, rule) for code, rule in ((POSITIVE, 0.0), (IGNORE, 0.5)))
    layer = np.zeros((*positive.shape, 4), np.uint8)
    row, column = np.indices(positive.shape)
    layer[ignored] = _VEIL
    layer[ignored & ((row + column) % _PERIOD < _STRIPE_WIDTH)] = _STRIPE
    kernel = np.ones((3, 3), np.uint8)
    mask = positive.astype(np.uint8)
    inside = cv2.erode(mask, kernel, iterations=2, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    around = cv2.dilate(mask, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    layer[(around > 0) & ~positive] = _HALO
    layer[positive & (inside == 0)] = _OUTLINE
    return layer


def _resized_mask(mask: np.ndarray, least: float) -> np.ndarray:
    """A mask at about 256 pixels; where several pixels become one, it is set if more than this share of them is."""
    import cv2

    if max(mask.shape) <= MOST_PIXELS:
        times = MOST_PIXELS // max(mask.shape)
        return mask.repeat(times, axis=0).repeat(times, axis=1)
    shares = cv2.resize(mask.astype(np.float32), _small_size(mask), interpolation=cv2.INTER_AREA)
    return np.asarray(shares > least)


def _shrunk(picture: np.ndarray) -> np.ndarray:
    import cv2

    if max(picture.shape[:2]) <= MOST_PIXELS:
        return picture
    return np.asarray(cv2.resize(picture, _small_size(picture), interpolation=cv2.INTER_AREA))


def _small_size(image: np.ndarray) -> tuple[int, int]:
    height, width = image.shape[:2]
    scale = MOST_PIXELS / max(height, width)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _png(image: np.ndarray) -> bytes:
    import cv2

    order = cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR
    done, encoded = cv2.imencode(".png", cv2.cvtColor(image, order), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert done
    return encoded.tobytes()
