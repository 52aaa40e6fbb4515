"""Figures show what they should: clouds don't darken the rest, and files come whole."""

import numpy as np

from darts.training.figures import PredictedSample, draw_confusion, draw_samples, rgb_image
from darts.training.metrics import Confusion
from factories import BANDS, patch_pair

PNG = b"\x89PNG"


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


def test_the_same_samples_give_the_same_bytes(tmp_path):
    x, y = patch_pair(np.random.default_rng(0))
    one, two = (
        draw_samples([PredictedSample("a", x, y, x[0])], BANDS, tmp_path / name).read_bytes()
        for name in ("1.png", "2.png")
    )
    assert one == two
