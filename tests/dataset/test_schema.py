"""How x is stored: 16 bits, and nothing is lost twice."""

import google_crc32c
import numpy as np
import pytest
import zarr

from darts.core.bands import get_bands
from darts.core.errors import DatasetError
from darts.dataset.journal import SceneEntry
from darts.dataset.manifest import read_manifest
from darts.dataset.reader import open_dataset
from darts.dataset.schema import (
    BACKGROUND,
    IGNORE,
    LABEL_CODES,
    POSITIVE,
    SCALES,
    chunk_path,
    compression_of,
    create_arrays,
    create_stage,
    quantise,
)
from darts.dataset.writer import open_writer
from factories import BANDS, patch_pair, problems_of

from .conftest import points, row_of


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


@pytest.mark.parametrize("compression", ["lz4", "none"])
def test_a_staged_chunk_is_that_of_the_dataset(tmp_path, compression):
    rng = np.random.default_rng(2)
    image, labels = rng.random((3, 32, 32), dtype=np.float32), rng.integers(0, 3, (32, 32)).astype(np.uint8)
    x, y = create_arrays(tmp_path / "s.zarr", 1, 3, 32, compression=compression)
    staged_x, staged_y = create_stage(tmp_path / "t.zarr", 1, 3, 32, compression)
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


# --- chunks that are not packed


def test_a_chunk_that_is_not_packed_is_its_numbers_and_their_checksum(tmp_path):
    rng = np.random.default_rng(3)
    image, labels = rng.random((3, 8, 8), dtype=np.float32), rng.integers(0, 3, (8, 8)).astype(np.uint8)
    x, y = create_arrays(tmp_path / "s.zarr", 1, 3, 8, compression="none")
    x[0], y[0] = image, labels
    for array, numbers in (("x", quantise(image).astype("<u2")), ("y", labels)):
        data = chunk_path(tmp_path / "s.zarr", array, 0).read_bytes()
        assert data[:-4] == numbers.tobytes()
        assert data[-4:] == google_crc32c.value(data[:-4]).to_bytes(4, "little")
    assert (quantise(np.asarray(x[0])) == quantise(image)).all()


@pytest.mark.parametrize("scale", SCALES.values())
@pytest.mark.parametrize("compression", ["lz4", "none"])
def test_how_chunks_are_packed_is_known_from_the_arrays_even_after_they_grew(tmp_path, scale, compression):
    arrays = create_arrays(tmp_path / "s.zarr", 0, 3, 8, scale, compression)
    for array in arrays:
        array.resize((5, *array.shape[1:]))
        array.attrs["note"] = "says nothing about chunks"
    x, y = (zarr.open_array(tmp_path / "s.zarr" / name, mode="r") for name in ("x", "y"))
    assert compression_of(x, y, scale) == compression
    assert compression_of(x, y, scale + 1) is None


def test_arrays_of_which_only_one_is_packed_are_not_ours(tmp_path):
    x, _ = create_arrays(tmp_path / "s.zarr", 1, 3, 8)
    _, y = create_arrays(tmp_path / "t.zarr", 1, 3, 8, compression="none")
    assert compression_of(x, y, SCALES[2]) is None


def write(directory, compression, settings=()):
    """A dataset of two scenes with a patch each; those that it has are passed over."""
    rng = np.random.default_rng(4)
    opened = open_writer(directory, get_bands(BANDS), 16, 0, {"made_by": "tests", **dict(settings)}, **compression)
    with opened as writer:
        known = {scene.scene_id for scene in writer.scenes}
        for number in range(2):
            x, y = patch_pair(rng, size=16)
            if f"scene-{number}" not in known:
                stage = writer.stage(f"scene-{number}", 1)
                stage.add(x, y, row_of(0, f"scene-{number}"))
                writer.commit(stage.finish(SceneEntry(f"scene-{number}", patches=1), points()))
        writer.finish()
    return directory


def test_a_dataset_holds_the_same_however_it_is_packed(tmp_path):
    packed, plain = (write(tmp_path / name, {"compression": name}) for name in ("lz4", "none"))
    manifests = [read_manifest(directory) for directory in (packed, plain)]
    assert [manifest.settings["compression"] for manifest in manifests] == ["lz4", "none"]
    assert manifests[0].fingerprint == manifests[1].fingerprint
    first, second = open_dataset(packed), open_dataset(plain)
    assert first.metadata.equals(second.metadata)
    for row in range(2):
        assert (first.read_x(row) == second.read_x(row)).all()
        assert (first.read_y(row) == second.read_y(row)).all()
        sizes = [chunk_path(directory / "data.zarr", "x", row).stat().st_size for directory in (packed, plain)]
        assert sizes[0] < sizes[1] == 5 * 16 * 16 * 2 + 4
    assert problems_of(second) == [None, None]


@pytest.mark.parametrize(("begun", "wanted"), [("lz4", "none"), ("none", "lz4")])
def test_a_dataset_is_not_packed_in_two_ways(tmp_path, begun, wanted):
    write(tmp_path / "d", {"compression": begun})
    with pytest.raises(DatasetError, match=f"compression was '{begun}' and is now '{wanted}'"):
        write(tmp_path / "d", {"compression": wanted})


@pytest.mark.parametrize("settings", [{}, {"compression": "lz4"}])
def test_a_dataset_that_was_begun_before_there_was_a_choice_goes_on(tmp_path, settings):
    directory = tmp_path / "d"
    with open_writer(directory, get_bands(BANDS), 16, 0, {"made_by": "tests"}) as writer:
        stage = writer.stage("scene-0", 1)
        stage.add(*patch_pair(np.random.default_rng(4), size=16), row_of(0, "scene-0"))
        writer.commit(stage.finish(SceneEntry("scene-0", patches=1), points()))
    path = directory / "config.toml"
    path.write_text(path.read_text().replace('compression = "lz4"\n', ""))
    assert "compression" not in read_manifest(directory).settings
    write(directory, {}, settings)
    assert len(open_dataset(directory)) == 2
    whole = write(tmp_path / "whole", {})
    for row in range(2):
        name = chunk_path(tmp_path, "x", row).relative_to(tmp_path)
        assert (directory / "data.zarr" / name).read_bytes() == (whole / "data.zarr" / name).read_bytes()
