"""A dataset is read as it was written, or an error names the sample: never other values, never zeros."""

import json
import pickle
import shutil
import subprocess
import sys

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import zarr
from shapely.geometry import box

from darts.core.errors import ConfigError, DatasetError
from darts.dataset.journal import read_journal, read_metadata, write_metadata
from darts.dataset.reader import open_dataset
from darts.dataset.schema import SCALES, create_arrays
from factories import BANDS, patch_pair

from .conftest import SIZE, chunk_file


def originals():
    """The patches that `make_dataset` wrote, before they were stored."""
    rng = np.random.default_rng(0)
    return [patch_pair(rng, bands=len(BANDS), size=SIZE, empty=index % 3 == 0) for _ in range(2) for index in range(3)]


def resize(directory, array, rows):
    opened = zarr.open_array(directory / "data.zarr" / array, mode="r+")
    opened.resize((rows, *opened.shape[1:]))


# --- what was written is read


def test_x_is_read_within_8e_6_and_y_exactly(pristine):
    dataset = open_dataset(pristine)
    assert len(dataset) == 6
    for row, (x, y) in enumerate(originals()):
        read_x, read_y = dataset.read_x(row), dataset.read_y(row)
        assert (read_x.dtype, read_x.shape) == (np.float32, (5, SIZE, SIZE))
        assert (read_y.dtype, read_y.shape) == (np.uint8, (SIZE, SIZE))
        assert np.abs(read_x.astype(float) - x.astype(float)).max() < 1.1e-5
        assert (read_y == y).all()


def test_plain_zarr_reads_it_in_a_process_that_has_no_darts(pristine):
    code = (
        "import sys, json, zarr\n"
        "group = zarr.open(sys.argv[1], mode='r')\n"
        "x, y = group['x'], group['y']\n"
        "assert not any(name.startswith('darts') for name in sys.modules)\n"
        "print(json.dumps([str(x.dtype), str(y.dtype), x.shape, y.shape, x[4].tolist(), y[4].tolist()]))\n"
    )
    command = [sys.executable, "-c", code, str(pristine / "data.zarr")]
    out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    x_type, y_type, x_shape, y_shape, x, y = json.loads(out)
    assert (x_type, y_type) == ("float32", "uint8")
    assert (x_shape, y_shape) == ([6, 5, SIZE, SIZE], [6, SIZE, SIZE])
    expected_x, expected_y = originals()[4]
    assert np.abs(np.array(x) - expected_x).max() < 1.1e-5
    assert (np.array(y) == expected_y).all()


def test_a_dataset_that_was_sent_to_another_process_reads_the_same(pristine):
    dataset = open_dataset(pristine)
    dataset.read_x(0)
    sent = pickle.loads(pickle.dumps(dataset))
    assert (sent.read_x(3) == dataset.read_x(3)).all()
    assert len(pickle.dumps(dataset)) < 20_000


def test_channels_are_found_by_name_in_the_order_asked_for(pristine):
    dataset = open_dataset(pristine)
    assert dataset.channel_indices(["ndvi", "blue"]) == [4, 0]
    assert dataset.channel_indices([]) == []
    with pytest.raises(ConfigError, match=r"--bands: the dataset has the bands blue, .* but not swir16, dem"):
        dataset.channel_indices(["blue", "swir16", "dem"])


@pytest.mark.parametrize("row", [-1, 6])
def test_a_row_that_does_not_exist_is_no_row_from_the_other_end(pristine, row):
    with pytest.raises(IndexError, match="has 6 samples"):
        open_dataset(pristine).read_x(row)


# --- read into buffers


def buffers(channels, size=SIZE):
    return np.full((channels, size, size), np.nan, np.float32), np.full((size, size), 255, np.uint8)


def assert_same_bits(dataset, channels, size=SIZE):
    """That `read_into` gives what `read_x` and `read_y` give, in buffers that held something else."""
    for row in range(len(dataset)):
        x, y = buffers(len(channels), size)
        dataset.read_into(row, channels, x, y)
        np.testing.assert_array_equal(x.view(np.uint32), dataset.read_x(row)[list(channels)].view(np.uint32))
        np.testing.assert_array_equal(y, dataset.read_y(row))


def rewrite(directory, compression="lz4", scale=48000, **options):
    """Write all samples of a dataset again, in another way; with options, by plain zarr."""
    dataset, store = open_dataset(directory), directory / "data.zarr"
    samples = [(dataset.read_x(row), dataset.read_y(row)) for row in range(len(dataset))]
    shutil.rmtree(store)
    x, y = create_arrays(store, 6, 5, SIZE, scale, compression)
    if options:
        shutil.rmtree(store / "x")
        chunks = {"shape": x.shape, "chunks": x.chunks, "dtype": "float32", "fill_value": 0}
        x = zarr.open_group(store, mode="r+").create_array("x", **chunks | options)
    for row, (image, labels) in enumerate(samples):
        x[row], y[row] = image, labels


@pytest.mark.parametrize("compression", ["lz4", "none"])
@pytest.mark.parametrize("version", SCALES)
@pytest.mark.parametrize("channels", [range(5), [4, 0], [2], [1, 1, 3], []])
def test_a_sample_is_read_into_buffers_to_the_same_bits_without_zarr(dataset_dir, version, compression, channels):
    rewrite(dataset_dir, compression, SCALES[version])
    path = dataset_dir / "config.toml"
    path.write_text(path.read_text().replace("schema_version = 2", f"schema_version = {version}"))
    dataset = open_dataset(dataset_dir)
    assert dataset._chunks is not None
    assert_same_bits(dataset, channels)
    assert_same_bits(pickle.loads(pickle.dumps(dataset)), channels)


@pytest.mark.parametrize(
    "options",
    [
        {"compressors": zarr.codecs.ZstdCodec()},
        {"compressors": [zarr.codecs.BloscCodec(cname="lz4"), zarr.codecs.Crc32cCodec()]},
        {"chunks": (1, 1, SIZE, SIZE)},
        {"chunks": (1, 5, 8, 8), "shards": (1, 5, SIZE, SIZE)},
        {"dtype": "float64"},
    ],
    ids=str,
)
def test_arrays_that_were_laid_out_in_another_way_are_read_into_buffers_all_the_same(dataset_dir, options):
    rewrite(dataset_dir, **options)
    dataset = open_dataset(dataset_dir)
    assert dataset._chunks is None
    for channels in (range(5), [4, 0], []):
        x, y = buffers(len(channels))
        dataset.read_into(3, channels, x, y)
        np.testing.assert_array_equal(x, dataset.read_x(3)[list(channels)].astype(np.float32))
        np.testing.assert_array_equal(y, dataset.read_y(3))


def test_a_store_whose_scale_is_not_that_of_the_manifest_is_read_as_the_store_says(dataset_dir):
    whole = open_dataset(dataset_dir).read_x(2)
    rewrite(dataset_dir, scale=65535)
    dataset = open_dataset(dataset_dir)
    assert dataset._chunks is None
    x, y = buffers(5)
    dataset.read_into(2, range(5), x, y)
    assert np.abs(x - whole).max() < 1e-5


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.empty((3, SIZE, SIZE), np.float32), np.empty((SIZE, SIZE), np.uint8), r"float32 \(2, 16, 16\)"),
        (np.empty((2, SIZE, SIZE), np.float64), np.empty((SIZE, SIZE), np.uint8), r"float32 \(2, 16, 16\)"),
        (np.empty((2, SIZE, SIZE), np.float32), np.empty((SIZE, SIZE), np.int64), r"uint8 \(16, 16\)"),
        (np.empty((2, SIZE, SIZE), np.float32), np.empty((8, SIZE), np.uint8), r"uint8 \(16, 16\)"),
        (np.empty((2, SIZE, 2 * SIZE), np.float32)[..., ::2], np.empty((SIZE, SIZE), np.uint8), "C-contiguous"),
        (np.empty((2, SIZE, SIZE), np.float32), np.empty((SIZE, SIZE), np.uint8).T[::-1], "C-contiguous"),
    ],
)
def test_a_buffer_that_does_not_fit_is_refused(pristine, x, y, message):
    with pytest.raises(ValueError, match=message):
        open_dataset(pristine).read_into(0, [0, 1], x, y)


@pytest.mark.parametrize("channels", [[5], [-1], [0, 7]])
def test_a_channel_that_does_not_exist_is_refused(pristine, channels):
    with pytest.raises(IndexError, match=r"has 5 bands, but the channels \["):
        open_dataset(pristine).read_into(0, channels, *buffers(len(channels)))


@pytest.mark.parametrize("row", [-1, 6])
def test_no_row_from_the_other_end_is_read_into_buffers(pristine, row):
    with pytest.raises(IndexError, match="has 6 samples"):
        open_dataset(pristine).read_into(row, [0], *buffers(1))


@pytest.mark.parametrize("compression", ["lz4", "none"])
@pytest.mark.parametrize("array", ["x", "y"])
@pytest.mark.parametrize("damage", ["gone", "cut", "changed"])
def test_damage_is_told_in_the_same_words_whichever_way_a_sample_is_read(dataset_dir, compression, array, damage):
    rewrite(dataset_dir, compression)
    dataset, path = open_dataset(dataset_dir), chunk_file(dataset_dir, array, 4)
    data = path.read_bytes()
    changes = {"cut": data[:-3], "changed": data[:20] + bytes([data[20] ^ 1]) + data[21:]}
    path.unlink() if damage == "gone" else path.write_bytes(changes[damage])
    messages = []
    for read in (lambda: getattr(dataset, f"read_{array}")(4), lambda: dataset.read_into(4, range(5), *buffers(5))):
        with pytest.raises(DatasetError) as raised:
            read()
        messages.append(str(raised.value))
    assert f"{array} of sample 4 (scene-1-1) is damaged: its chunk " in messages[0]
    assert messages[0].partition(" (ValueError")[0] == messages[1].partition(" (ValueError")[0]
    assert "\n" not in messages[1]
    dataset.read_into(3, range(5), *buffers(5))


def test_label_codes_that_do_not_exist_are_noticed_in_buffers_too(dataset_dir):
    zarr.open_array(dataset_dir / "data.zarr" / "y", mode="r+")[2, 3, 3] = 7
    dataset = open_dataset(dataset_dir)
    with pytest.raises(DatasetError, match=r"sample 2 .* only the label codes \(0, 1, 2\), but holds \[7\]"):
        dataset.read_into(2, range(5), *buffers(5))


# --- damage


@pytest.mark.parametrize("row", range(6))
@pytest.mark.parametrize("array", ["x", "y"])
def test_a_chunk_file_that_is_gone_is_an_error_that_names_the_sample(dataset_dir, array, row):
    chunk_file(dataset_dir, array, row).unlink()
    dataset = open_dataset(dataset_dir)
    read = {"x": dataset.read_x, "y": dataset.read_y}
    with pytest.raises(DatasetError, match=rf"{array} of sample {row} \(scene-{row // 3}-{row % 3}\).* is missing"):
        read[array](row)
    assert read[array]((row + 1) % 6).shape
    assert read["y" if array == "x" else "x"](row).shape


def half(data, rng):
    return data[: len(data) // 2]


def one_byte_short(data, rng):
    return data[:-1]


def one_byte_more(data, rng):
    return data + bytes([rng.integers(256)])


def one_bit_flipped(data, rng):
    bit = rng.integers(8 * len(data))
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << (bit % 8)
    return bytes(damaged)


def some_bytes_zero(data, rng):
    start = rng.integers(len(data) // 2)
    return data[:start] + bytes(len(data) // 2) + data[start + len(data) // 2 :]


def nothing_left(data, rng):
    return b""


def removed(data, rng):
    return None


DAMAGES = [
    half,
    one_byte_short,
    one_byte_more,
    one_bit_flipped,
    one_bit_flipped,
    some_bytes_zero,
    nothing_left,
    removed,
]


def test_none_of_80_random_damages_is_read_silently(dataset_dir):
    rng = np.random.default_rng(20)
    dataset = open_dataset(dataset_dir)
    whole = {(a, r): getattr(dataset, f"read_{a}")(r) for a in ("x", "y") for r in range(6)}
    silent, unnamed, raised = [], [], 0
    for attempt in range(80):
        damage, array, row = DAMAGES[attempt % len(DAMAGES)], rng.choice(["x", "y"]), int(rng.integers(6))
        path = chunk_file(dataset_dir, array, row)
        before = path.read_bytes()
        after = damage(before, rng)
        path.unlink() if after is None else path.write_bytes(after)
        try:
            read = getattr(dataset, f"read_{array}")(row)
        except DatasetError as error:
            raised += 1
            if f"{array} of sample {row} (" not in str(error) or "\n" in str(error):
                unnamed.append(str(error))
        else:
            if after != before and not np.array_equal(read, whole[array, row]):
                silent.append((attempt, damage.__name__, array, row))
        path.write_bytes(before)
    assert (silent, unnamed) == ([], [])
    assert raised >= 78


def test_chunks_that_changed_places_are_whole_so_that_only_their_content_hash_tells(dataset_dir):
    first, second = (chunk_file(dataset_dir, "x", row) for row in (1, 4))
    first.write_bytes(second.read_bytes())
    dataset = open_dataset(dataset_dir)
    assert (dataset.read_x(1) == dataset.read_x(4)).all()  # the checksum is that of the chunk; see test_check.py


@pytest.mark.parametrize("array", ["x", "y"])
@pytest.mark.parametrize("content", ["", "{", "[]", '{"zarr_format": 3, "node_type": "array"}'])
def test_a_damaged_array_header_is_refused(dataset_dir, array, content):
    (dataset_dir / "data.zarr" / array / "zarr.json").write_text(content)
    with pytest.raises(DatasetError, match=r"data\.zarr can't be opened"):
        open_dataset(dataset_dir)


# --- what does not fit together


def test_a_directory_that_is_not_there_is_refused_and_not_made(tmp_path):
    with pytest.raises(DatasetError, match=r"there is no dataset directory .*gone"):
        open_dataset(tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match="there is no dataset directory"):
        open_dataset(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("config.toml", r"has a config\.toml"),
        ("metadata.parquet", r"has a metadata\.parquet"),
        ("data.zarr", r"has data\.zarr/x"),
        ("data.zarr/x", r"has data\.zarr/x"),
        ("data.zarr/y", r"has data\.zarr/y"),
    ],
)
def test_a_missing_part_is_named_and_not_made(dataset_dir, part, message):
    path = dataset_dir / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(DatasetError, match=f"{message}, but .* has none"):
        open_dataset(dataset_dir)
    assert not path.exists()


@pytest.mark.parametrize(("array", "rows"), [("x", 7), ("x", 5), ("y", 7), ("y", 5)])
def test_arrays_of_another_length_are_an_error_with_all_numbers(dataset_dir, array, rows):
    resize(dataset_dir, array, rows)
    counts = (rows, 6, 6, 6) if array == "x" else (6, rows, 6, 6)
    with pytest.raises(
        DatasetError, match=rf"must count the same samples, but count \({', '.join(map(str, counts))}\)"
    ):
        open_dataset(dataset_dir)


@pytest.mark.parametrize("rows", [5, 0])
def test_metadata_of_another_length_is_an_error_with_all_numbers(dataset_dir, rows):
    write_metadata(dataset_dir, read_metadata(dataset_dir).iloc[:rows], read_journal(dataset_dir))
    with pytest.raises(DatasetError, match=rf"count \(6, 6, {rows}, 6\)"):
        open_dataset(dataset_dir)


@pytest.mark.parametrize("count", [0, 5, 7])
def test_a_manifest_that_counts_otherwise_is_an_error_with_all_numbers(dataset_dir, count):
    path = dataset_dir / "config.toml"
    path.write_text(path.read_text().replace("n_patches = 6", f"n_patches = {count}"))
    with pytest.raises(DatasetError, match=rf"count \(6, 6, 6, {count}\)"):
        open_dataset(dataset_dir)


def test_a_manifest_of_another_patch_size_or_other_bands_is_refused(dataset_dir):
    path = dataset_dir / "config.toml"
    text = path.read_text()
    path.write_text(text.replace("patch_size = 16", "patch_size = 32"))
    with pytest.raises(DatasetError, match=r"5 bands and patches of 32 pixels, but x is \(6, 5, 16, 16\)"):
        open_dataset(dataset_dir)
    lines = text.split("\n")
    scaling = ('    "ndvi",', "    -1.0,", "    1.0,", '    "1",')
    fewer = "\n".join(line for line in lines if line not in scaling).replace("fill = [\n    0.0,", "fill = [")
    path.write_text(fewer)
    with pytest.raises(DatasetError, match=r"4 bands and patches of 16 pixels"):
        open_dataset(dataset_dir)


def test_an_index_that_does_not_count_the_rows_is_refused(dataset_dir):
    table = read_metadata(dataset_dir)
    write_metadata(dataset_dir, table.iloc[::-1], read_journal(dataset_dir))
    with pytest.raises(DatasetError, match=r"index of metadata\.parquet must count 0, 1, 2"):
        open_dataset(dataset_dir)


def test_a_dataset_that_was_not_finished_says_how_to_go_on(dataset_dir):
    path = dataset_dir / "config.toml"
    path.write_text("\n".join(line for line in path.read_text().split("\n") if "fingerprint" not in line))
    with pytest.raises(DatasetError, match="was not finished; run the same preprocess command again"):
        open_dataset(dataset_dir)


# --- datasets of darts-nextgen: no checksums, no empty chunks, a manifest of two keys


@pytest.fixture
def nextgen(tmp_path):
    """A dataset as darts-nextgen writes it, and its content."""
    rng = np.random.default_rng(3)
    count, size, bands = 4, 8, ["red", "nir", "ndvi"]
    x, y = rng.random((count, 3, size, size), dtype=np.float32), np.zeros((count, size, size), np.uint8)
    y[1, 2:5, 2:5] = 1
    y[3, :, 0] = 2
    y[3, 1, 1] = 1
    x[2, 1] = 0
    directory = tmp_path / "nextgen"
    group = zarr.open_group(directory / "data.zarr", mode="w", zarr_format=3)
    blosc = zarr.codecs.BloscCodec(cname="lz4", clevel=9)
    options = {"compressors": [blosc], "fill_value": 0}
    group.create_array("x", shape=x.shape, chunks=(1, 1, size, size), dtype="float32", **options)[:] = x
    group.create_array("y", shape=y.shape, chunks=(1, size, size), dtype="uint8", **options)[:] = y
    columns = {
        "sample_id": ["a", "a", "b", "b"],
        "region": ["N", "N", "S", "S"],
        "empty": [True, False, True, False],
        "z_idx": range(4),
    }
    table = gpd.GeoDataFrame(columns, geometry=[box(i, 0, i + 1, 1) for i in range(4)], crs="EPSG:4326")
    table.to_parquet(directory / "metadata.parquet")
    names = ", ".join(f'"{band}"' for band in bands)
    (directory / "config.toml").write_text(f"[darts]\nbands = [{names}]\npatch_size = {size}\n")
    return directory, x, y


def test_a_dataset_of_darts_nextgen_is_read_with_a_warning(nextgen, caplog, monkeypatch):
    directory, x, y = nextgen
    monkeypatch.setattr("darts.dataset.reader._log.parent.propagate", True)
    dataset = open_dataset(directory)
    assert "has no checksums" in caplog.text
    assert dataset.manifest.band_names == ("red", "nir", "ndvi")
    for row in range(4):
        assert (dataset.read_x(row) == x[row]).all()
        assert (dataset.read_y(row) == y[row]).all()


def test_a_chunk_of_all_zero_that_darts_nextgen_never_wrote_is_zero(nextgen):
    directory, _, _ = nextgen
    assert not (directory / "data.zarr/y/c/0").exists()
    assert not (directory / "data.zarr/x/c/2/1").exists()
    dataset = open_dataset(directory)
    assert not dataset.read_y(0).any()
    assert not dataset.read_x(2)[1].any()


@pytest.mark.parametrize("channels", [[0, 1, 2], [2, 0], [1], []])
def test_a_sample_of_darts_nextgen_is_read_into_buffers_too(nextgen, channels):
    directory, x, y = nextgen
    dataset = open_dataset(directory)
    assert_same_bits(dataset, channels, size=8)
    ours_x, ours_y = buffers(len(channels), 8)
    dataset.read_into(2, channels, ours_x, ours_y)
    assert (ours_x == x[2][channels]).all()
    assert (ours_y == y[2]).all()


@pytest.mark.parametrize("row", [1, 3])
def test_labels_that_darts_nextgen_wrote_and_that_are_gone_are_noticed(nextgen, row):
    directory, _, _ = nextgen
    (directory / f"data.zarr/y/c/{row}/0/0").unlink()
    with pytest.raises(DatasetError, match=rf"y of sample {row} \([ab]\) is damaged: it is empty, but the metadata"):
        open_dataset(directory).read_y(row)


def test_a_value_that_is_not_finite_is_noticed_also_without_checksums(nextgen):
    directory, _, _ = nextgen
    array = zarr.open_array(directory / "data.zarr" / "x", mode="r+")
    array[1, 0, 0, 0] = np.nan
    dataset = open_dataset(directory)
    for read in (lambda: dataset.read_x(1), lambda: dataset.read_into(1, [0, 1, 2], *buffers(3, 8))):
        with pytest.raises(DatasetError, match=r"x of sample 1 .*not finite"):
            read()


def test_counts_of_a_dataset_of_darts_nextgen_are_checked_too(nextgen):
    directory, _, _ = nextgen
    resize(directory, "y", 3)
    with pytest.raises(DatasetError, match=r"count \(4, 3, 4, 4\)"):
        open_dataset(directory)


def test_the_columns_that_darts_nextgen_relies_on_are_ours(pristine):
    table = pd.read_parquet(pristine / "metadata.parquet")
    assert {"sample_id", "region", "empty"} <= set(table.columns)
    assert list(table["empty"]) == [True, False, False] * 2
