"""Augmentation of one training patch with any number of bands, in place; what is drawn depends on the generator alone.

Bands are changed one after the other, each by all that was drawn for the patch, while it is still in the cache. OpenCV is
given one band at a time, for which it has its quick paths; none of the functions used depends on its number of threads.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from darts.dataset.schema import IGNORE

PROBABILITY = 0.5
"""Probability of a free rotation, and of each radiometric change but band-dropout."""
DROPOUT_PROBABILITY = 0.2
"""Probability that a band is dropped."""

Pair = tuple[np.ndarray, np.ndarray]
"""The values of one band (h, w), and spare memory of the same shape and type. What takes a pair may write
into both, and gives them in this order again, so that a result in the spare memory needn't be copied back."""

Change = Callable[[int, np.ndarray, np.ndarray], Pair]
"""A radiometric change with all that was drawn for it; takes the number of the band, its values, and spare memory."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where pixels go.

    Attributes
    ----------
    transposed
        Rows become columns, before anything else.
    flipped_rows, flipped_columns
        The order of rows or columns is reversed. Together with `transposed` these are the eight symmetries of a square.
    degrees
        Free rotation around the centre after that, counter-clockwise; None for none.
    """

    transposed: bool = False
    flipped_rows: bool = False
    flipped_columns: bool = False
    degrees: float | None = None


def augment(x_chw: np.ndarray, y_hw: np.ndarray, names: Sequence[str], rng: np.random.Generator) -> None:
    """Change a training patch at random, in its own memory.

    First come flips, turns and rotation, then changes of values. Values are clipped to [0, 1] once, at the end.

    Parameters
    ----------
    x_chw
        float32 (bands, h, w) in [0, 1], C-contiguous and writeable.
    y_hw
        uint8 label codes (h, w), likewise. Only geometry moves them; where a free rotation brings in what lies outside the
        patch they become IGNORE, and x is the mirrored patch there. No other code is made.
    names
        Any of `config.AUGMENTATIONS`; the order in which they are applied is fixed. A patch that isn't square is turned by
        180 degrees only.
    rng
        All randomness comes from it. What is drawn depends on the names and the shape, never on values.
    """
    geometry = _draw_geometry(names, y_hw.shape[0] == y_hw.shape[1], rng)
    changes = _draw_changes(names, len(x_chw), rng)
    if geometry == Geometry() and not changes:
        return
    spare = np.empty_like(x_chw[0])
    for number, band in enumerate(x_chw):
        pair = _move_band(geometry, band, spare)
        for change in changes:
            pair = change(number, *pair)
        np.clip(pair[0], 0, 1, out=band)
    _move_label(geometry, y_hw)


def preview(
    x_chw: np.ndarray, y_hw: np.ndarray, names: Sequence[str], seed: int, count: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Copies (x, y) of a patch, each augmented anew as `augment` does; the patch itself stays as it is."""
    rng = np.random.default_rng(seed)
    copies = [(x_chw.copy(), y_hw.copy()) for _ in range(count)]
    for x, y in copies:
        augment(x, y, names, rng)
    return copies


def _draw_geometry(names: Sequence[str], square: bool, rng: np.random.Generator) -> Geometry:
    geometry = Geometry()
    for name, draw in _GEOMETRIC.items():
        if name in names:
            geometry = draw(geometry, square, rng)
    return geometry


def _draw_changes(names: Sequence[str], bands: int, rng: np.random.Generator) -> list[Change]:
    return [
        draw(bands, rng)
        for name, (probability, draw) in _RADIOMETRIC.items()
        if name in names and rng.random() < probability
    ]


def _flip(geometry: Geometry, _square: bool, rng: np.random.Generator) -> Geometry:
    """Upside down, from left to right, both, or neither."""
    rows, columns = rng.random(2) < 0.5
    return replace(geometry, flipped_rows=bool(rows), flipped_columns=bool(columns))


def _rotate90(geometry: Geometry, square: bool, rng: np.random.Generator) -> Geometry:
    """0 to 3 quarter turns, or 0 or 2."""
    turns = int(rng.integers(4))
    for _ in range(turns if square else 2 * (turns % 2)):
        geometry = _turned(geometry)
    return geometry


def _turned(geometry: Geometry) -> Geometry:
    """A quarter turn counter-clockwise is a transposition and a flip of rows.

    Flips that come before a transposition are those of the other axis after it.
    """
    return replace(
        geometry,
        transposed=not geometry.transposed,
        flipped_rows=not geometry.flipped_columns,
        flipped_columns=geometry.flipped_rows,
    )


def _rotate(geometry: Geometry, _square: bool, rng: np.random.Generator) -> Geometry:
    """Any angle."""
    return replace(geometry, degrees=rng.uniform(0, 360)) if rng.random() < PROBABILITY else geometry


_GEOMETRIC: dict[str, Callable[[Geometry, bool, np.random.Generator], Geometry]] = {
    "flip": _flip,
    "rotate90": _rotate90,
    "rotate": _rotate,
}


def _move_band(geometry: Geometry, values: np.ndarray, spare: np.ndarray) -> Pair:
    """Bilinear where it is rotated; what lies outside is the mirrored patch."""
    import cv2

    _orient(geometry, values)
    if geometry.degrees is None:
        return values, spare
    matrix, size = _rotation(geometry.degrees, values)
    cv2.warpAffine(values, matrix, size, dst=spare, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return spare, values


def _move_label(geometry: Geometry, codes: np.ndarray) -> None:
    """The nearest code where it is rotated; what lies outside is unknown."""
    import cv2

    _orient(geometry, codes)
    if geometry.degrees is None:
        return
    matrix, size = _rotation(geometry.degrees, codes)
    codes[:] = cv2.warpAffine(
        codes, matrix, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=(IGNORE,)
    )


def _orient(geometry: Geometry, values: np.ndarray) -> None:
    """Transpose and flip in place; only a square can be transposed."""
    import cv2

    if geometry.transposed:
        cv2.transpose(values, dst=values)
    if geometry.flipped_rows or geometry.flipped_columns:
        both = geometry.flipped_rows and geometry.flipped_columns
        cv2.flip(values, -1 if both else int(geometry.flipped_columns), dst=values)


def _rotation(degrees: float, values: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """The matrix (2, 3) of a rotation around the centre, and width and height, as OpenCV takes them."""
    import cv2

    height, width = values.shape
    return cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0), (width, height)


def _blur(_bands: int, rng: np.random.Generator) -> Change:
    """Gaussian of 0.5 to 1.2 pixels, the same for all bands, cut off at three of its standard deviations."""
    import cv2

    sigma = rng.uniform(0.5, 1.2)
    size = 2 * round(3 * sigma) + 1

    def change(_band: int, values: np.ndarray, spare: np.ndarray) -> Pair:
        cv2.GaussianBlur(values, (size, size), sigma, dst=spare, borderType=cv2.BORDER_REFLECT)
        return spare, values

    return change


def _brightness_contrast(bands: int, rng: np.random.Generator) -> Change:
    """Per band: up to +-20 % contrast around the mean of the band, and up to +-0.1 brightness."""
    import cv2

    contrast, brightness = rng.uniform(0.8, 1.2, bands), rng.uniform(-0.1, 0.1, bands)

    def change(band: int, values: np.ndarray, spare: np.ndarray) -> Pair:
        offset = cv2.mean(values)[0] * (1 - contrast[band]) + brightness[band]
        cv2.addWeighted(values, contrast[band], values, 0, offset, dst=values)  # in one pass
        return values, spare

    return change


def _multiplicative_noise(_bands: int, rng: np.random.Generator) -> Change:
    """Each value times a number of its own from 0.9 to 1.1, in 65536 equally probable steps of 3e-6."""
    import cv2

    def change(_band: int, values: np.ndarray, spare: np.ndarray) -> Pair:
        words = rng.integers(2**64, size=-(-values.size // 4), dtype=np.uint64)  # 16 bits at a time take longer
        steps = words.view(np.uint16)[: values.size].reshape(values.shape)
        cv2.addWeighted(steps, 0.2 / 65535, steps, 0, 0.9, dst=spare, dtype=cv2.CV_32F)
        cv2.multiply(values, spare, dst=values)
        return values, spare

    return change


def _posterize(_bands: int, rng: np.random.Generator) -> Change:
    """Round to 16 to 128 levels (4 to 7 bits)."""
    highest = 2 ** int(rng.integers(4, 8)) - 1

    def change(_band: int, values: np.ndarray, spare: np.ndarray) -> Pair:
        np.multiply(values, highest, out=values)
        np.rint(values, out=values)
        np.divide(values, highest, out=values)
        return values, spare

    return change


def _band_dropout(bands: int, rng: np.random.Generator) -> Change:
    """One band becomes its mean over the patch, unless it is the only one."""
    import cv2

    dropped = int(rng.integers(bands)) if bands > 1 else None

    def change(band: int, values: np.ndarray, spare: np.ndarray) -> Pair:
        if band == dropped:
            values[:] = cv2.mean(values)[0]
        return values, spare

    return change


_RADIOMETRIC: dict[str, tuple[float, Callable[[int, np.random.Generator], Change]]] = {
    "blur": (PROBABILITY, _blur),
    "brightness-contrast": (PROBABILITY, _brightness_contrast),
    "multiplicative-noise": (PROBABILITY, _multiplicative_noise),
    "posterize": (PROBABILITY, _posterize),
    "band-dropout": (DROPOUT_PROBABILITY, _band_dropout),
}
