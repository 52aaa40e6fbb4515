"""Augmentation: laws that hold for any number of bands, and plain computations in float64 from the same draws."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import ndimage

from darts.dataset.schema import IGNORE, POSITIVE
from darts.training.augment import augment, preview
from darts.training.config import AUGMENTATIONS

RADIOMETRIC = ("blur", "brightness-contrast", "multiplicative-noise", "posterize", "band-dropout")


def sample(bands=7, height=32, width=None, seed=0):
    rng = np.random.default_rng(seed)
    shape = height, width or height
    return rng.random((bands, *shape), dtype=np.float32), rng.integers(0, 3, shape, dtype=np.uint8)


def smooth(size=64):
    """One band from 0 to 1 that bilinear interpolation can follow."""
    rows, columns = np.mgrid[:size, :size] / size
    return (0.5 + 0.25 * np.sin(5 * rows) + 0.25 * np.cos(4 * columns + 1))[None].astype(np.float32)


def augmented(x, y, names, seed):
    """A copy of the patch, changed."""
    copies = x.copy(), y.copy()
    augment(*copies, names, np.random.default_rng(seed))
    return copies


def drawn(names, count):
    """Seeds with which the first change happens, each with a generator that has decided so and drawn nothing else."""
    found = []
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        if rng.random() < (0.2 if names == ("band-dropout",) else 0.5):
            found.append((seed, rng))
    return found[:count]


@pytest.fixture
def threads_of_opencv():
    import cv2

    before = cv2.getNumThreads()
    yield cv2.setNumThreads
    cv2.setNumThreads(before)


@pytest.mark.parametrize("bands", [1, 2, 17])
@pytest.mark.parametrize("shape", [(32, 32), (21, 21), (16, 24), (1, 1), (1, 9)])
@pytest.mark.parametrize("names", [AUGMENTATIONS, *[(name,) for name in AUGMENTATIONS]])
def test_the_memory_of_the_patch_is_changed_and_none_around_it(bands, shape, names):
    patch, label = sample(bands, *shape)
    batch, labels = np.stack([patch] * 3), np.stack([label] * 3)
    for seed in range(6):
        augment(batch[1], labels[1], names, np.random.default_rng(seed))
        assert 0 <= batch.min() <= batch.max() <= 1  # also false if there is NaN
        assert labels.max() <= IGNORE
    assert (batch[[0, 2]] == patch).all()
    assert (labels[[0, 2]] == label).all()
    if shape == (32, 32) and names == AUGMENTATIONS:
        assert (batch[1] != patch).any()
        assert (labels[1] != label).any()


def test_no_names_change_nothing_and_draw_nothing():
    x, y = sample()
    x[0, 0, 0] = np.nan  # not even looked at
    rng = np.random.default_rng(0)
    before, state = (x.copy(), y.copy()), rng.bit_generator.state
    augment(x, y, (), rng)
    assert np.array_equal(x, before[0], equal_nan=True)
    assert (y == before[1]).all()
    assert rng.bit_generator.state == state


def test_the_order_of_names_means_nothing():
    for seed in range(8):
        one, other = (augmented(*sample(), names, seed) for names in (AUGMENTATIONS, AUGMENTATIONS[::-1]))
        assert (one[0] == other[0]).all()
        assert (one[1] == other[1]).all()


@pytest.mark.parametrize("size", [32, 33])
def test_flips_and_turns_are_the_eight_symmetries_and_equally_probable(size):
    x, y = sample(2, size)
    symmetries = {}
    for turns in range(4):
        for image, label in ((x, y), (x[:, :, ::-1], y[:, ::-1])):
            symmetries[np.rot90(image, turns, (1, 2)).tobytes()] = np.rot90(label, turns), [0]
    for seed in range(800):
        moved_x, moved_y = augmented(x, y, ("flip", "rotate90"), seed)
        label, count = symmetries[moved_x.tobytes()]  # no other image, and exactly that
        assert (moved_y == label).all()
        count[0] += 1
    assert len(symmetries) == 8
    assert all(70 <= count[0] <= 130 for _, count in symmetries.values())


@pytest.mark.parametrize("names", [("flip",), ("rotate90",), ("flip", "rotate90")])
@pytest.mark.parametrize("shape", [(32, 32), (20, 33)])
def test_flips_and_turns_move_image_and_label_together(names, shape):
    _, y = sample(1, *shape)
    x = np.repeat(y[None].astype(np.float32) / 2, 4, axis=0)
    for seed in range(16):
        moved_x, moved_y = augmented(x, y, names, seed)
        assert (moved_x * 2 == moved_y).all()


def test_a_patch_that_is_not_square_is_flipped_and_turned_by_180_degrees():
    x, y = sample(2, 20, 33)
    both, turned = set(), set()
    for seed in range(60):
        both.add(augmented(x, y, ("flip", "rotate90"), seed)[0].tobytes())
        turned.add(augmented(x, y, ("rotate90",), seed)[0].tobytes())
    assert both == {view.tobytes() for view in (x, x[:, ::-1], x[:, :, ::-1], x[:, ::-1, ::-1])}
    assert turned == {x.tobytes(), x[:, ::-1, ::-1].tobytes()}


@pytest.mark.parametrize("name", RADIOMETRIC)
def test_radiometric_changes_leave_the_label_alone_and_change_the_image_as_often_as_they_should(name):
    x, y = sample(3, 8)
    changed = 0
    for seed in range(400):
        new_x, new_y = augmented(x, y, (name,), seed)
        assert (new_y == y).all()
        changed += bool((new_x != x).any())
    share = 0.2 if name == "band-dropout" else 0.5
    assert abs(changed / 400 - share) < 0.1


def test_blur_is_a_gaussian_of_all_bands_alike():
    x, y = sample(3)
    sigmas = []
    for seed, rng in drawn(("blur",), 12):
        sigmas.append(rng.uniform(0.5, 1.2))
        expected = ndimage.gaussian_filter(
            x.astype(np.float64), (0, sigmas[-1], sigmas[-1]), mode="reflect", truncate=3.0
        )
        np.testing.assert_allclose(augmented(x, y, ("blur",), seed)[0], expected, atol=2e-6)
    assert min(sigmas) < 0.7
    assert max(sigmas) > 1.0


def test_contrast_and_noise_are_clipped_once_at_the_end():
    x, y = sample(3, 31)
    x *= np.array([0.1, 1, 1], dtype=np.float32)[:, None, None]
    names = ("brightness-contrast", "multiplicative-noise")
    below = above = 0
    for seed, rng in drawn(names, 12):
        contrast, brightness = rng.uniform(0.8, 1.2, (3, 1, 1)), rng.uniform(-0.1, 0.1, (3, 1, 1))
        expected = x.astype(np.float64)
        mean = expected.mean(axis=(1, 2), keepdims=True)
        expected = (expected - mean) * contrast + mean + brightness
        if rng.random() < 0.5:
            words = [rng.integers(2**64, size=241, dtype=np.uint64) for _ in x]
            steps = [band.view(np.uint16)[:961].reshape(31, 31) for band in words]
            expected *= 0.9 + 0.2 * np.array(steps) / 65535
        below, above = below + (expected < 0).sum(), above + (expected > 1).sum()
        np.testing.assert_allclose(augmented(x, y, names, seed)[0], expected.clip(0, 1), atol=2e-6)
    assert below > 100
    assert above > 100


def test_noise_is_even_in_its_range_and_independent():
    x, y = np.full((3, 64, 64), 0.5, dtype=np.float32), np.zeros((64, 64), dtype=np.uint8)
    ((seed, _),) = drawn(("multiplicative-noise",), 1)
    factor = augmented(x, y, ("multiplicative-noise",), seed)[0] / 0.5
    counts, _ = np.histogram(factor, bins=8, range=(0.9, 1.1))
    assert counts.sum() == factor.size  # none outside
    assert abs(counts / factor.size - 1 / 8).max() < 0.015
    pairs = [(factor[0], factor[1]), (factor[:, :, 1:], factor[:, :, :-1]), (factor[:, 1:], factor[:, :-1])]
    assert all(abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.05 for one, other in pairs)
    assert len(np.unique(factor)) > 8000


def test_contrast_and_brightness_differ_between_bands_and_stay_in_their_ranges():
    x = 0.4 + 0.2 * np.repeat(sample(1)[0], 5, axis=0)
    y = np.zeros((32, 32), dtype=np.uint8)
    contrasts, brightness = [], []
    for seed, _ in drawn(("brightness-contrast",), 60):
        changed = augmented(x, y, ("brightness-contrast",), seed)[0].astype(np.float64)
        contrasts.append(changed.std(axis=(1, 2)) / x.std(axis=(1, 2)))
        brightness.append((changed - x).mean(axis=(1, 2)))
    for values, lowest, highest in ((contrasts, 0.8, 1.2), (brightness, -0.1, 0.1)):
        spread = highest - lowest
        assert lowest - 1e-4 <= np.min(values) < lowest + 0.05 * spread
        assert highest - 0.05 * spread < np.max(values) <= highest + 1e-4
        assert np.std(values, axis=1).min() > 0


def test_posterize_rounds_to_the_nearest_of_its_levels():
    x, y = sample(2, 64)
    depths = set()
    for seed, rng in drawn(("posterize",), 20):
        bits = int(rng.integers(4, 8))
        changed = augmented(x, y, ("posterize",), seed)[0]
        levels = (np.arange(2**bits) / (2**bits - 1)).astype(np.float32)
        assert np.isin(changed, levels).all()
        assert abs(changed - x).max() <= 0.5 / (2**bits - 1) + 1e-6
        assert len(np.unique(changed)) == 2**bits
        depths.add(bits)
    assert depths == {4, 5, 6, 7}


def test_one_band_is_dropped_and_any_may_be():
    x, y = sample(3)
    dropped = set()
    for seed, _ in drawn(("band-dropout",), 30):
        changed = augmented(x, y, ("band-dropout",), seed)[0]
        (band,) = np.flatnonzero((changed != x).any(axis=(1, 2)))
        np.testing.assert_allclose(changed[band], x[band].mean(dtype=np.float64), atol=1e-6)
        assert np.ptp(changed[band]) == 0
        dropped.add(int(band))
    assert dropped == {0, 1, 2}


def test_the_only_band_is_never_dropped():
    x, y = sample(1)
    assert all((augmented(x, y, ("band-dropout",), seed)[0] == x).all() for seed in range(60))


def sources(degrees, size):
    """Row and column that each pixel comes from when a square is turned counter-clockwise around its centre."""
    angle, middle = np.deg2rad(degrees), (size - 1) / 2
    rows, columns = np.mgrid[:size, :size] - middle
    return (
        np.sin(angle) * columns + np.cos(angle) * rows + middle,
        np.cos(angle) * columns - np.sin(angle) * rows + middle,
    )


def test_a_rotation_takes_the_nearest_code_and_ignores_what_lies_outside():
    size = 48
    x, y = sample(1, size)
    for seed, rng in drawn(("rotate",), 10):
        source = np.array(sources(rng.uniform(0, 360), size))
        sure = (abs((source - 0.5) - np.round(source - 0.5)) > 1e-2).all(axis=0)  # not halfway between two pixels
        nearest = np.floor(source + 0.5).astype(int)
        outside = ((nearest < 0) | (nearest >= size)).any(axis=0)
        expected = np.where(outside, IGNORE, y[tuple(nearest.clip(0, size - 1))])
        assert (augmented(x, y, ("rotate",), seed)[1] == expected)[sure].all()
        assert sure.mean() > 0.9


def test_a_rotation_is_bilinear_and_mirrors_what_lies_outside():
    x, y = smooth(), np.zeros((64, 64), dtype=np.uint8)
    for seed, rng in drawn(("rotate",), 10):
        source = sources(rng.uniform(0, 360), 64)
        expected = ndimage.map_coordinates(x[0].astype(np.float64), source, order=1, mode="reflect")
        np.testing.assert_allclose(augmented(x, y, ("rotate",), seed)[0][0], expected, atol=5e-3)


def test_a_rotation_and_its_inverse_are_near_the_original():
    x, y = smooth(), np.zeros((64, 64), dtype=np.uint8)
    rows, columns = np.mgrid[:64, :64] - 31.5
    inside = np.hypot(rows, columns) < 30
    for seed, rng in drawn(("rotate",), 10):
        degrees = rng.uniform(0, 360)
        turned = augmented(x, y, ("rotate",), seed)[0][0]
        back = ndimage.map_coordinates(turned.astype(np.float64), sources(-degrees, 64), order=1, mode="reflect")
        assert abs(back - x[0])[inside].max() < 0.01
        assert abs(turned - x[0])[inside].max() > 0.05


def test_a_rotation_moves_image_and_label_together():
    y = np.kron(np.random.default_rng(1).integers(0, 2, (8, 8), dtype=np.uint8), np.ones((12, 12), dtype=np.uint8))
    x = np.repeat(y[None].astype(np.float32), 3, axis=0)
    for seed, _ in drawn(("rotate",), 10):
        moved_x, moved_y = augmented(x, y, ("rotate", "flip", "rotate90"), seed)
        plain = (moved_y != IGNORE) & ((moved_x[1] == 0) | (moved_x[1] == 1))  # all pixels around are of one code
        assert (moved_x[1] == moved_y)[plain].all()
        assert plain.mean() > 0.5
        assert (moved_x[0] == moved_x[2]).all()


def test_a_rotated_corner_is_ignored_and_never_background():
    x, y = sample(2, 40)
    y[:] = POSITIVE
    ignored = []
    for seed, _ in drawn(("rotate",), 20):
        moved_x, moved_y = augmented(x, y, ("rotate",), seed)
        assert set(np.unique(moved_y)) <= {POSITIVE, IGNORE}
        assert np.isfinite(moved_x).all()
        ignored.append((moved_y == IGNORE).mean())
    assert max(ignored) > 0.15  # the corners of a square turned by 45 degrees take 17 %
    assert moved_y[20, 20] == POSITIVE


def test_the_same_generator_gives_the_same_bytes_and_another_one_another():
    first, again, other = (augmented(*sample(), AUGMENTATIONS, seed)[0] for seed in (5, 5, 6))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("values", [0.0, 0.5, 1.0])
def test_what_is_drawn_does_not_depend_on_values(values):
    x, y = sample()
    for seed in range(8):
        one, other = np.random.default_rng(seed), np.random.default_rng(seed)
        augment(x.copy(), y.copy(), AUGMENTATIONS, one)
        augment(np.full_like(x, values), np.zeros_like(y), AUGMENTATIONS, other)
        assert one.bit_generator.state == other.bit_generator.state


@pytest.mark.parametrize("size", [65, 300])
def test_threads_never_change_a_byte(size, threads_of_opencv):
    x, y = sample(3, size)

    def result(seed):
        changed = augmented(x, y, AUGMENTATIONS, seed)
        return changed[0].tobytes(), changed[1].tobytes()

    seeds = range(16)
    threads_of_opencv(1)
    alone = [result(seed) for seed in seeds]
    threads_of_opencv(4)
    assert [result(seed) for seed in seeds] == alone
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(result, seeds)) == alone


def test_previews_are_copies_each_augmented_anew():
    x, y = sample()
    before = x.copy(), y.copy()
    names = ("flip", "rotate90", "rotate", "multiplicative-noise")
    shown = preview(x, y, names, 3, 6)
    assert (x == before[0]).all()
    assert (y == before[1]).all()
    assert [(image.shape, label.shape) for image, label in shown] == [(x.shape, y.shape)] * 6
    assert len({image.tobytes() for image, _ in shown}) > 4
    first = augmented(x, y, names, 3)
    assert (shown[0][0] == first[0]).all()
    assert (shown[0][1] == first[1]).all()
    fewer = preview(x, y, names, 3, 2)
    assert all((image == again).all() for (image, _), (again, _) in zip(fewer, shown, strict=False))
