"""What is read without zarr is what zarr reads, to the bit; damage is noticed, and never read."""

import itertools
import struct
from concurrent.futures import ThreadPoolExecutor

import google_crc32c
import numpy as np
import pytest
from numcodecs import blosc

from darts.dataset import chunks
from darts.dataset.chunks import ChunkReader
from darts.dataset.schema import SCALES, chunk_path, create_arrays

COMPRESSIONS = ("lz4", "none")
NO_SAMPLE = r"its checksum differs|it is too short|it holds \d+ bytes, not \d+"


@pytest.fixture(params=COMPRESSIONS)
def compression(request):
    return request.param


@pytest.fixture(params=SCALES.values())
def scale(request):
    return request.param


def written(folder, compression, shape=(4, 16, 16), rows=3, scale=48000, seed=0):
    """A store with random samples, its zarr arrays, and a reader of it."""
    rng = np.random.default_rng(seed)
    channels, size, _ = shape
    x, y = create_arrays(folder / "s.zarr", rows, channels, size, scale, compression)
    for row in range(rows):
        x[row] = rng.integers(0, scale + 1, shape) / np.float32(scale)
        y[row] = rng.integers(0, 3, shape[1:])
    return x, y, ChunkReader(folder / "s.zarr", shape, scale, compression)


def read(reader, row, channels, shape):
    x, y = np.full((len(channels), *shape[1:]), np.nan, np.float32), np.full(shape[1:], 255, np.uint8)
    reader.read_x(row, channels, x)
    reader.read_y(row, y)
    return x, y


def bits(x):
    return x.view(np.uint32)


def with_checksum(data):
    return data + struct.pack("<I", google_crc32c.value(data))


# --- equal to zarr


def test_every_number_is_decoded_as_zarr_decodes_it(tmp_path, compression, scale):
    x, _ = create_arrays(tmp_path / "s.zarr", 1, 1, 256, scale, compression)
    numbers = np.arange(65536, dtype=np.uint16).reshape(1, 256, 256)
    x[0] = np.zeros((1, 256, 256), np.float32)
    data = blosc.compress(numbers, b"lz4", 5, blosc.BITSHUFFLE, 0, 2) if compression == "lz4" else numbers.tobytes()
    chunk_path(tmp_path / "s.zarr", "x", 0).write_bytes(with_checksum(data))
    ours = np.empty((1, 256, 256), np.float32)
    ChunkReader(tmp_path / "s.zarr", (1, 256, 256), scale, compression).read_x(0, [0], ours)
    np.testing.assert_array_equal(bits(ours), bits(np.asarray(x[0])))
    np.testing.assert_array_equal(ours, (numbers / np.float64(scale)).astype(np.float32))


def test_every_choice_of_channels_is_read_as_zarr_reads_it(tmp_path, compression, scale):
    shape = (4, 16, 16)
    x, y, reader = written(tmp_path, compression, shape, scale=scale)
    choices = [order for count in range(5) for order in itertools.permutations(range(4), count)]
    for channels in [*choices, (2, 2), (3, 0, 3, 1, 0), (0, 1, 2, 3, 3)]:
        for row in range(3):
            ours_x, ours_y = read(reader, row, channels, shape)
            np.testing.assert_array_equal(bits(ours_x), bits(np.asarray(x[row])[list(channels)]))
            np.testing.assert_array_equal(ours_y, np.asarray(y[row]))


@pytest.mark.parametrize("piece", [1, 2, 14, 15, 100, 1000, 1 << 18])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 7, 7), (3, 20, 20)])
def test_the_size_of_the_pieces_changes_nothing(tmp_path, monkeypatch, compression, shape, piece):
    monkeypatch.setattr(chunks, "_PIECE", piece)
    x, y, reader = written(tmp_path, compression, shape)
    for channels in (range(shape[0]), [shape[0] - 1, 0], [0]):
        ours_x, ours_y = read(reader, 1, channels, shape)
        np.testing.assert_array_equal(bits(ours_x), bits(np.asarray(x[1])[list(channels)]))
        np.testing.assert_array_equal(ours_y, np.asarray(y[1]))


def test_samples_that_need_several_pieces_are_read_as_zarr_reads_them(tmp_path, compression):
    shape = (3, 400, 400)
    x, y, reader = written(tmp_path, compression, shape, rows=2)
    for channels in ([0, 1, 2], [2, 0]):
        ours_x, ours_y = read(reader, 1, channels, shape)
        np.testing.assert_array_equal(bits(ours_x), bits(np.asarray(x[1])[channels]))
        np.testing.assert_array_equal(ours_y, np.asarray(y[1]))


def test_samples_that_pack_well_and_badly_are_read_after_one_another(tmp_path):
    x, y = create_arrays(tmp_path / "s.zarr", 4, 2, 64)
    rng = np.random.default_rng(1)
    for row in range(4):
        x[row] = rng.random((2, 64, 64), dtype=np.float32) if row % 2 else np.float32(row / 4)
        y[row] = rng.integers(0, 3, (64, 64)) if row % 2 else 1
    reader = ChunkReader(tmp_path / "s.zarr", (2, 64, 64), 48000, "lz4")
    for row in (0, 1, 2, 3, 2, 1, 0):
        ours_x, ours_y = read(reader, row, [0, 1], (2, 64, 64))
        np.testing.assert_array_equal(bits(ours_x), bits(np.asarray(x[row])))
        np.testing.assert_array_equal(ours_y, np.asarray(y[row]))


def test_threads_do_not_disturb_each_other(tmp_path, compression):
    shape = (3, 96, 96)
    x, y, reader = written(tmp_path, compression, shape, rows=8)
    whole = [(np.asarray(x[row]), np.asarray(y[row])) for row in range(8)]

    def is_right(row):
        ours = read(reader, row, range(3), shape)
        return all(np.array_equal(mine, its) for mine, its in zip(ours, whole[row], strict=True))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(is_right, list(range(8)) * 20))


# --- damage


def damaged(data, rng):
    """The content of a file, changed at random."""
    kind = rng.integers(6)
    if kind == 0:
        return data[: rng.integers(len(data))]
    if kind == 1:
        return data + bytes(rng.integers(0, 256, rng.integers(1, 9), dtype=np.uint8))
    if kind == 2:
        start = int(rng.integers(len(data) - 8))
        return data[:start] + bytes(8) + data[start + 8 :]
    if kind == 3:
        return data[:-4] + bytes(4)
    changed = bytearray(data)
    bit = int(rng.integers(8 * len(data)))
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


@pytest.mark.parametrize("array", ["x", "y"])
def test_no_random_damage_is_read(tmp_path, compression, array):
    shape = (2, 16, 16)
    _, _, reader = written(tmp_path, compression, shape)
    path = chunk_path(tmp_path / "s.zarr", array, 1)
    whole, rng = path.read_bytes(), np.random.default_rng(5)
    for _ in range(200):
        data = damaged(whole, rng)
        if data == whole:
            continue
        path.write_bytes(data)
        with pytest.raises(ValueError, match=NO_SAMPLE):
            read(reader, 1, [0, 1], shape)
    path.write_bytes(whole)
    read(reader, 1, [0, 1], shape)


@pytest.mark.parametrize("array", ["x", "y"])
@pytest.mark.parametrize("content", [b"", b"\0", bytes(4), with_checksum(b"blosc"), with_checksum(bytes(64))])
def test_a_file_that_holds_no_sample_is_not_read(tmp_path, compression, array, content):
    _, _, reader = written(tmp_path, compression)
    chunk_path(tmp_path / "s.zarr", array, 0).write_bytes(content)
    with pytest.raises(ValueError, match=NO_SAMPLE):
        read(reader, 0, [0], (4, 16, 16))


@pytest.mark.parametrize("shape", [(4, 8, 8), (3, 16, 16), (5, 16, 16), (4, 20, 20)])
def test_a_whole_sample_of_another_shape_is_not_read(tmp_path, compression, shape):
    _, _, reader = written(tmp_path, compression)
    (tmp_path / "other").mkdir()
    written(tmp_path / "other", compression, shape)
    for array in ("x", "y"):
        other = chunk_path(tmp_path / "other" / "s.zarr", array, 0)
        chunk_path(tmp_path / "s.zarr", array, 0).write_bytes(other.read_bytes())
    with pytest.raises(ValueError, match=NO_SAMPLE):
        reader.read_x(0, range(4), np.empty((4, 16, 16), np.float32))
    if shape[1] != 16:
        with pytest.raises(ValueError, match=NO_SAMPLE):
            reader.read_y(0, np.empty((16, 16), np.uint8))


def test_packed_bytes_that_cannot_be_unpacked_are_an_error_even_if_the_checksum_is_right(tmp_path):
    _, _, reader = written(tmp_path, "lz4")
    path = chunk_path(tmp_path / "s.zarr", "y", 0)
    data = bytearray(path.read_bytes()[:-4])
    data[16:20] = b"\xff\xff\xff\x7f"  # where the first block begins
    path.write_bytes(with_checksum(bytes(data)))
    with pytest.raises(RuntimeError, match="decompression"):
        reader.read_y(0, np.empty((16, 16), np.uint8))


def test_a_file_that_is_not_there_is_told_from_a_damaged_one(tmp_path, compression):
    _, _, reader = written(tmp_path, compression)
    for array in ("x", "y"):
        chunk_path(tmp_path / "s.zarr", array, 2).unlink()
    with pytest.raises(FileNotFoundError):
        reader.read_x(2, [0], np.empty((1, 16, 16), np.float32))
    with pytest.raises(FileNotFoundError):
        reader.read_y(2, np.empty((16, 16), np.uint8))
