"""How x is stored: 16 bits, and nothing is lost twice."""

import numpy as np
import pytest
import zarr

from darts.dataset.schema import (
    BACKGROUND,
    IGNORE,
    LABEL_CODES,
    POSITIVE,
    SCALES,
    chunk_path,
    create_arrays,
    create_stage,
    quantise,
)


def test_the_label_codes_are_those_of_the_contract():
    assert (BACKGROUND, POSITIVE, IGNORE) == LABEL_CODES == (0, 1, 2)


@pytest.mark.parametrize("scale", SCALES.values())
def test_every_stored_number_is_read_as_its_share_of_the_scale_and_stored_again_as_itself(tmp_path, scale):
    numbers = np.minimum(np.arange(65536), scale).astype(np.uint16).reshape(1, 256, 256)
    x, _ = create_arrays(tmp_path / "s.zarr", 1, 1, 256, scale)
    x[0] = numbers.astype(np.float32) / np.float32(scale)
    read = np.asarray(zarr.open_array(tmp_path / "s.zarr" / "x", mode="r")[0])
    assert read.dtype == np.float32
    assert read.min() == 0
    assert read.max() == 1
    assert np.abs(read.astype(np.float64) - numbers / scale).max() < 1e-7
    assert (quantise(read, scale) == numbers).all()


def test_digital_numbers_of_reflectance_come_back_exactly(tmp_path):
    numbers = np.arange(-1000, 5001)
    x, _ = create_arrays(tmp_path / "s.zarr", 1, 1, 80)
    image = np.zeros((1, 80, 80), np.float32)
    image.ravel()[: len(numbers)] = (numbers / 10_000 + 0.1) / 0.6
    x[0] = image
    read = np.asarray(x[0]).ravel()[: len(numbers)]
    np.testing.assert_array_equal(np.round((read * 0.6 - 0.1) * 10_000), numbers)
    assert (quantise(image) % 8 == 0).all()


def test_a_staged_chunk_is_that_of_the_dataset(tmp_path):
    rng = np.random.default_rng(2)
    image, labels = rng.random((3, 32, 32), dtype=np.float32), rng.integers(0, 3, (32, 32)).astype(np.uint8)
    x, y = create_arrays(tmp_path / "s.zarr", 1, 3, 32)
    staged_x, staged_y = create_stage(tmp_path / "t.zarr", 1, 3, 32)
    x[0], y[0] = image, labels
    staged_x[0], staged_y[0] = quantise(image), labels
    for array in ("x", "y"):
        paths = [chunk_path(tmp_path / name, array, 0) for name in ("s.zarr", "t.zarr")]
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_what_is_hashed_is_what_is_stored(tmp_path):
    rng = np.random.default_rng(1)
    image = rng.random((3, 32, 32), dtype=np.float32)
    x, _ = create_arrays(tmp_path / "s.zarr", 1, 3, 32)
    x[0] = image
    assert (quantise(np.asarray(x[0])) == quantise(image)).all()


def test_one_sample_is_one_chunk_in_one_file(tmp_path):
    store = tmp_path / "s.zarr"
    x, y = create_arrays(store, 2, 3, 8)
    assert (x.shape, x.chunks, x.dtype) == ((2, 3, 8, 8), (1, 3, 8, 8), np.float32)
    assert (y.shape, y.chunks, y.dtype) == ((2, 8, 8), (1, 8, 8), np.uint8)
    x[1], y[1] = np.zeros((3, 8, 8), np.float32), np.zeros((8, 8), np.uint8)
    files = {str(path.relative_to(store)) for path in store.rglob("*") if path.is_file()}
    assert files == {"zarr.json", "x/zarr.json", "y/zarr.json", "x/c/1/0/0/0", "y/c/1/0/0"}
    assert chunk_path(store, "x", 1) == store / "x/c/1/0/0/0"
    assert chunk_path(store, "y", 1) == store / "y/c/1/0/0"
