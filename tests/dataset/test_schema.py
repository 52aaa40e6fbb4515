"""How x is stored: 16 bits, and nothing is lost twice."""

import numpy as np
import zarr

from darts.dataset.schema import BACKGROUND, IGNORE, LABEL_CODES, POSITIVE, chunk_path, create_arrays, quantise


def test_the_label_codes_are_those_of_the_contract():
    assert (BACKGROUND, POSITIVE, IGNORE) == LABEL_CODES == (0, 1, 2)


def test_every_stored_number_is_read_within_8e_6_and_stored_again_as_itself(tmp_path):
    numbers = np.arange(65536, dtype=np.uint16).reshape(1, 256, 256)
    x, _ = create_arrays(tmp_path / "s.zarr", 1, 1, 256)
    x[0] = numbers.astype(np.float32) / np.float32(65535)
    read = np.asarray(zarr.open_array(tmp_path / "s.zarr" / "x", mode="r")[0])
    assert read.dtype == np.float32
    assert read.min() == 0
    assert read.max() == 1
    assert np.abs(read.astype(np.float64) - numbers / 65535).max() < 1e-7
    assert (quantise(read) == numbers).all()


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
