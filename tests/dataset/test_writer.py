"""The writer: the same bytes however often it was stopped, and a refusal of all that would break the contract."""

import json
import shutil
import sys
import threading
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import zarr

from darts.core.bands import Band, get_bands
from darts.core.errors import DatasetError
from darts.dataset.check import check_structure
from darts.dataset.fingerprint import content_hash, dataset_fingerprint
from darts.dataset.journal import read_journal, read_metadata
from darts.dataset.manifest import read_manifest
from darts.dataset.reader import open_dataset
from darts.dataset.schema import quantise
from darts.dataset.writer import open_writer
from factories import make_dataset, patch_pair

from .conftest import LOCKS, SIZE, points, row_of, stage_scene, tree, write_scenes, writer_of

SCENES = [2, 0, 1]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The dataset of three scenes, one of them without a patch, written without a stop."""
    return tree(write_scenes(tmp_path_factory.mktemp("undisturbed") / "dataset", SCENES))


# --- the directory


def test_a_finished_dataset_is_these_files_and_no_others(undisturbed):
    chunks = {f"data.zarr/x/c/{row}/0/0/0" for row in range(3)} | {f"data.zarr/y/c/{row}/0/0" for row in range(3)}
    headers = {"data.zarr/zarr.json", "data.zarr/x/zarr.json", "data.zarr/y/zarr.json"}
    assert set(undisturbed) == {"config.toml", "metadata.parquet", "labels.geojson"} | chunks | headers


def test_the_arrays_are_those_of_the_contract(pristine):
    group = zarr.open_group(pristine / "data.zarr", mode="r")
    x, y = group["x"], group["y"]
    assert (x.shape, x.chunks, x.dtype) == ((6, 5, SIZE, SIZE), (1, 5, SIZE, SIZE), np.float32)
    assert (y.shape, y.chunks, y.dtype) == ((6, SIZE, SIZE), (1, SIZE, SIZE), np.uint8)
    header = json.loads((pristine / "data.zarr" / "x" / "zarr.json").read_text())
    assert header["zarr_format"] == 3
    assert [codec["name"] for codec in header["codecs"]][-2:] == ["blosc", "crc32c"]


def test_samples_of_nothing_but_zeros_have_chunk_files_too(tmp_path):
    with writer_of(tmp_path / "d") as writer:
        stage = writer.stage("0", 2)
        for index in range(2):
            stage.add(np.zeros((5, SIZE, SIZE), np.float32), np.zeros((SIZE, SIZE), np.uint8), row_of(index))
        writer.commit(stage.finish(stage_scene(writer, 1, 0).entry, points()))
        writer.finish()
    files = {name for name in tree(tmp_path / "d") if "/c/" in name}
    assert files == {f"data.zarr/{chunk}" for row in range(2) for chunk in (f"x/c/{row}/0/0/0", f"y/c/{row}/0/0")}
    dataset = open_dataset(tmp_path / "d")
    assert not dataset.read_x(1).any()
    assert list(dataset.metadata["empty"]) == [True, True]


def test_the_table_counts_what_was_staged(tmp_path):
    write_scenes(tmp_path / "d", SCENES)
    dataset = open_dataset(tmp_path / "d")
    table = dataset.metadata
    assert list(table["patch_id"]) == ["scene-0-0", "scene-0-1", "scene-2-0"]
    assert list(table["empty"]) == [False, True, False]
    for row in range(3):
        x, y = dataset.read_x(row), dataset.read_y(row)
        assert table["positive_pixels"][row] == (y == 1).sum()
        assert table["ignored_pixels"][row] == (y == 2).sum()
        assert table["content_hash"][row] == content_hash(quantise(x), y)


def test_labels_are_geojson_in_longitude_and_latitude_in_the_order_of_scenes(tmp_path):
    write_scenes(tmp_path / "d", SCENES)
    labels = gpd.read_file(tmp_path / "d" / "labels.geojson")
    assert labels.crs == "EPSG:4326"
    assert [(point.x, point.y) for point in labels.geometry] == [(1, 0), (2, 0), (2, 1)]


def test_labels_of_another_crs_are_turned_into_wgs84(tmp_path):
    with writer_of(tmp_path / "d") as writer:
        stage = writer.stage("0", 1)
        stage.add(*patch_pair(np.random.default_rng(0), size=SIZE), row_of(0))
        labels = points((500_000, 7_600_000), crs="EPSG:32608", note=["ä"])
        writer.commit(stage.finish(stage_scene(writer, 1, 0).entry, labels))
        writer.finish()
    feature = json.loads((tmp_path / "d" / "labels.geojson").read_text(encoding="utf-8"))["features"][0]
    assert feature["geometry"]["coordinates"] == pytest.approx([-135.0, 68.51], abs=0.01)
    assert feature["properties"] == {"number": 0, "note": "ä"}


def test_a_dataset_without_labels_has_a_valid_empty_labels_file(tmp_path):
    write_scenes(tmp_path / "d", [1])
    assert json.loads((tmp_path / "d" / "labels.geojson").read_text()) == {"type": "FeatureCollection", "features": []}


# --- the same again


def test_the_same_scenes_give_the_same_bytes_wherever_they_are_written(tmp_path, undisturbed):
    assert tree(write_scenes(tmp_path / "somewhere" / "else", SCENES)) == undisturbed


def test_the_journal_tells_what_was_done_in_order(tmp_path):
    write_scenes(tmp_path / "d", SCENES)
    journal = read_journal(tmp_path / "d")
    assert [(scene.scene_id, scene.patches) for scene in journal.scenes] == [
        ("scene-0", 2),
        ("scene-1", 0),
        ("scene-2", 1),
    ]
    assert journal.scenes[2].inputs == {"image.tif": 2}
    assert journal.scenes[2].dropped == {"dark": 2}
    assert journal.scenes[2].facts == {"offset": -1000.0}
    assert journal.settings == {
        "made_by": "tests", "bands": ["blue", "green", "red", "nir", "ndvi"], "patch_size": SIZE, "overlap": 0
    }  # fmt: skip


def test_the_fingerprint_depends_on_the_content_not_on_the_place(tmp_path):
    first, second = (read_manifest(write_scenes(tmp_path / name, SCENES)) for name in ("a", "b"))
    assert first.fingerprint == second.fingerprint
    assert first.fingerprint.startswith("sha256:")
    assert first.n_patches == 3


def test_the_fingerprint_differs_when_one_pixel_differs(tmp_path):
    prints = set()
    for name, pixel in (("a", 0.25), ("b", 0.25 + 1 / 48000), ("c", 0.25)):
        with writer_of(tmp_path / name) as writer:
            x, y = np.full((5, SIZE, SIZE), 0.25, np.float32), np.zeros((SIZE, SIZE), np.uint8)
            x[3, 7, 7] = pixel
            stage = writer.stage("0", 1)
            stage.add(x, y, row_of(0))
            writer.commit(stage.finish(stage_scene(writer, 1, 0).entry, points()))
            prints.add(writer.finish().fingerprint)
    assert len(prints) == 2


@pytest.mark.parametrize("column", ["patch_id", "sample_id", "region", "empty", "content_hash"])
def test_the_fingerprint_covers_what_training_divides_by(pristine, column):
    manifest, table = read_manifest(pristine), read_metadata(pristine)
    assert dataset_fingerprint(manifest, table) == manifest.fingerprint
    table.loc[2, column] = not table.loc[2, column] if column == "empty" else "other"
    assert dataset_fingerprint(manifest, table) != manifest.fingerprint


# --- bad patches


def patch(channels=5, size=SIZE, value=0.5):
    return np.full((channels, size, size), value, np.float32), np.zeros((size, size), np.uint8)


def changed(array, index, value):
    array = array.copy()
    array[index] = value
    return array


X, Y = patch()


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (changed(X, (1, 2, 3), np.nan), Y, "x must be finite"),
        (changed(X, (1, 2, 3), np.inf), Y, "x must be finite"),
        (changed(X, (0, 0, 0), 1.0001), Y, r"in \[0, 1\]"),
        (changed(X, (0, 0, 0), -1e-6), Y, r"in \[0, 1\]"),
        (X, changed(Y, (4, 4), 3), r"label codes \(0, 1, 2\)"),
        (X, changed(Y, (4, 4), 255), r"label codes"),
        (X.astype(np.float64), Y, r"x must be float32 \(5, 16, 16\), but is float64"),
        (X[:4], Y, r"x must be float32 .* but is float32 \(4, 16, 16\)"),
        (X[:, :8], Y, r"x must be float32 .* but is float32 \(5, 8, 16\)"),
        (X[None], Y, "x must be float32"),
        (X, Y.astype(np.int64), r"y must be uint8 \(16, 16\), but is int64"),
        (X, Y[:8], r"y must be uint8 .* but is uint8 \(8, 16\)"),
        (X, Y.astype(bool), "y must be uint8"),
    ],
)
def test_a_patch_that_breaks_the_contract_is_refused_and_not_counted(tmp_path, x, y, message):
    with writer_of(tmp_path / "d") as writer:
        stage = writer.stage("0", 3)
        stage.add(X, Y, row_of(0))
        with pytest.raises(DatasetError, match=message):
            stage.add(x, y, row_of(1))
        stage.add(X, Y, row_of(2))
        staged = stage.finish(stage_scene(writer, 1, 0).entry, points())
        assert list(staged.table["patch_id"]) == ["scene-0", "scene-2"]


# --- stopped at any instant


class SnapshotBeforeEveryChange:
    """Copies a directory before every change that this process makes to files in it.

    Each copy is what would lie on disk, had the process been killed at that instant: no `finally` has run.
    """

    EVENTS = frozenset({"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "shutil.rmtree"})

    def __init__(self, directory: Path, into: Path) -> None:
        self.directory, self.into = directory, into
        self.snapshots: list[Path] = []
        self._last: dict | None = None
        self._on = False
        self._lock = threading.RLock()
        sys.addaudithook(self._hear)

    def __enter__(self):
        self._on = True
        return self

    def __exit__(self, *_):
        self._on = False

    def _hear(self, event, arguments):
        if not self._on or event not in self.EVENTS or not self._concerns(arguments[0]):
            return
        if event == "open" and not arguments[2] & 3:
            return
        with self._lock:
            self._on = False
            self._take()
            self._on = True

    def _concerns(self, path):
        return isinstance(path, (str, Path)) and Path(path).is_relative_to(self.directory)

    def _take(self):
        state = tree(self.directory)
        if state != self._last:
            self._last = state
            target = self.into / f"{len(self.snapshots):03d}"
            shutil.copytree(self.directory, target, ignore=shutil.ignore_patterns(*LOCKS))
            self.snapshots.append(target)


@pytest.fixture(scope="session")
def killed(tmp_path_factory):
    """What a kill at each instant of writing three scenes leaves."""
    root = tmp_path_factory.mktemp("killed")
    directory = root / "dataset"
    directory.mkdir()
    with SnapshotBeforeEveryChange(directory, root / "at") as camera:
        write_scenes(directory, SCENES)
    return camera.snapshots


def rows_on_disk(directory):
    return {array: len(list((directory / "data.zarr" / array / "c").glob("*"))) for array in ("x", "y")}


def committed_rows(directory):
    return len(read_metadata(directory)) if (directory / "metadata.parquet").exists() else 0


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_any_instant_and_started_again_it_ends_as_if_undisturbed(killed, tmp_path, undisturbed, step):
    assert len(killed) > 60
    for snapshot in killed[::step]:
        again = shutil.copytree(snapshot, tmp_path / snapshot.name)
        write_scenes(again, SCENES)
        assert tree(again) == undisturbed, f"killed at instant {snapshot.name}"


def test_at_any_instant_a_reader_sees_the_whole_dataset_or_is_refused(killed):
    opened = []
    for snapshot in killed:
        try:
            opened.append(check_structure(snapshot))
        except DatasetError:
            continue
    assert 0 < len(opened) < len(killed) / 4
    for dataset in opened:
        assert len(dataset) == 3
        assert all(dataset.read_x(row).any() for row in range(3))


def test_what_was_staged_or_moved_but_not_committed_is_cut_at_the_next_start(killed, tmp_path):
    staged = [one for one in killed if list((one / ".staging").glob("0*"))]
    moved = [one for one in killed if rows_on_disk(one)["x"] > committed_rows(one)]
    assert len(staged) > 5
    assert len(moved) > 5
    for snapshot in {*staged[::8], *moved[::2]}:
        again = shutil.copytree(snapshot, tmp_path / snapshot.name)
        committed = committed_rows(again)
        with writer_of(again) as writer:
            assert len(writer.scenes) == len(read_journal(snapshot).scenes)
            assert not list((again / ".staging").glob("0*"))
            assert rows_on_disk(again) == {"x": committed, "y": committed}
            for array in ("x", "y"):
                assert zarr.open_array(again / "data.zarr" / array, mode="r").shape[0] == committed


def test_a_commit_that_raises_loses_nothing_and_the_next_start_goes_on(tmp_path, undisturbed, monkeypatch):
    directory = tmp_path / "d"
    with writer_of(directory) as writer:
        writer.commit(stage_scene(writer, 0, SCENES[0]))
        monkeypatch.setattr("darts.dataset.writer.write_metadata", lambda *_: (_ for _ in ()).throw(OSError("full")))
        with pytest.raises(OSError, match="full"):
            writer.commit(stage_scene(writer, 1, 1))
    monkeypatch.undo()
    assert len(read_metadata(directory)) == SCENES[0]
    assert tree(write_scenes(directory, SCENES)) == undisturbed


# --- going on, or not


def test_a_finished_dataset_that_is_opened_again_does_not_change(tmp_path):
    directory = write_scenes(tmp_path / "d", SCENES)

    def state():
        paths = [path for path in directory.rglob("*") if path.name not in LOCKS]
        return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in paths}

    before = state()
    with writer_of(directory) as writer:
        assert writer.is_complete
        assert len(writer.scenes) == 3
    assert state() == before


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"size": 32}, "patch_size was 16 and is now 32"),
        ({"bands": ("red", "nir")}, r"bands was \['blue', .*\] and is now \['red', 'nir'\]"),
        ({"erosion": 3}, "erosion was None and is now 3"),
        ({"size": 8, "erosion": 3}, "erosion was None and is now 3; patch_size was 16 and is now 8"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_other_settings_are_refused_with_the_difference_and_nothing_changes(tmp_path, changes, difference, finished):
    directory = tmp_path / "d"
    if finished:
        write_scenes(directory, [1])
    else:
        with writer_of(directory) as writer:
            writer.commit(stage_scene(writer, 0, 1))
    before = tree(directory)
    with pytest.raises(DatasetError, match=rf"other settings \(.*{difference}"), writer_of(directory, **changes):
        pass
    assert tree(directory) == before


@pytest.mark.parametrize("name", ["notes.txt", "config.toml", "metadata.parquet", "data.zarr/x/zarr.json", ".hidden"])
def test_a_folder_of_something_else_is_refused_and_left_as_it_is(tmp_path, name):
    path = tmp_path / "d" / name
    path.parent.mkdir(parents=True)
    path.write_text("[mine]\nprecious = true\n")
    before = tree(tmp_path / "d")
    with pytest.raises(DatasetError, match=str(tmp_path / "d")), writer_of(tmp_path / "d"):
        pass
    assert tree(tmp_path / "d") == before


def test_a_dataset_of_darts_nextgen_is_not_taken_for_one_that_was_begun_here(tmp_path):
    (tmp_path / "data.zarr").mkdir()
    (tmp_path / "config.toml").write_text('[darts]\nbands = ["red"]\npatch_size = 8\n')
    with (
        pytest.raises(DatasetError, match=r"needs an empty folder, but .* has config\.toml, data\.zarr"),
        writer_of(tmp_path),
    ):
        pass
    assert (tmp_path / "data.zarr").exists()


def test_a_discarded_dataset_leaves_the_folder_free_for_another(tmp_path):
    with writer_of(tmp_path / "d") as writer:
        writer.commit(stage_scene(writer, 0, 2))
        writer.discard()
    assert tree(tmp_path / "d") == {}
    with writer_of(tmp_path / "d", size=8, other=1) as writer:
        assert writer.scenes == ()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(DatasetError, match=r"can't be written to \(Not a directory\)"),
        writer_of(tmp_path / "file" / "d"),
    ):
        pass


def test_bands_keep_their_own_scaling(tmp_path):
    bands = [Band("own", 3, 9, "K", 0.5), *get_bands(["red"])]
    with open_writer(tmp_path / "d", bands, 8, 2, {}) as writer:
        writer.finish()
    manifest = read_manifest(tmp_path / "d")
    assert (manifest.bands, manifest.patch_size, manifest.overlap) == (tuple(bands), 8, 2)


def test_the_factory_of_other_tests_makes_whole_datasets(tmp_path):
    assert len(check_structure(make_dataset(tmp_path / "d", scenes=1, patches=2, size=8))) == 2
