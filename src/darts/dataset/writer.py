"""Writing a dataset directory, scene by scene, so that it can be stopped at any instant.

A scene is first staged: its patches are encoded into chunk files of their own, by any process. The one writer then
moves these files into the store and commits them by replacing `metadata.parquet`. What was staged or moved but not committed
is removed by the next start.
"""

import hashlib
import json
import shutil
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import zarr

from darts.core.bands import Band
from darts.core.errors import DatasetError
from darts.core.files import flush_to_disk, is_temporary, make_directory, write_atomically, write_text
from darts.core.lock import LOCK_FILES, single_writer
from darts.dataset.config import PAGE_FILE
from darts.dataset.fingerprint import content_hash, dataset_fingerprint
from darts.dataset.journal import Journal, SceneEntry, empty_table, read_journal, read_metadata, write_metadata
from darts.dataset.manifest import Manifest, read_manifest, software_versions, write_manifest
from darts.dataset.places import cell_of, middle_of
from darts.dataset.schema import (
    COMPRESSION,
    CONFIG_FILE,
    DATA_STORE,
    IGNORE,
    LABEL_CODES,
    LABELS_FILE,
    METADATA_FILE,
    PATCH_COLUMNS,
    POSITIVE,
    REPORT_FILE,
    SPLIT_FILE,
    Compression,
    chunk_path,
    create_arrays,
    create_stage,
    quantise,
    sample_folder,
)

_STAGING = ".staging"
_LABELS = "labels"
_PACKED = "compression"
_FOLDERS = (_STAGING, DATA_STORE)
_FILES = (LABELS_FILE, REPORT_FILE, SPLIT_FILE, PAGE_FILE, CONFIG_FILE)
"""What a dataset directory may hold before its first commit, in the order in which it is removed."""


@dataclass(frozen=True, slots=True)
class StagedScene:
    """The encoded patches of one scene, waiting to be committed; none, if it failed.

    Attributes
    ----------
    entry
        What the journal will say of the scene.
    store
        Zarr store whose chunk i is patch i.
    table
        One row for each patch, with the columns of `schema.PATCH_COLUMNS`, in WGS84.
    labels
        The labels that were burnt in, in WGS84.
    """

    entry: SceneEntry
    store: Path
    table: gpd.GeoDataFrame
    labels: gpd.GeoDataFrame


@dataclass(slots=True)
class SceneStage:
    """Takes the patches of one scene, one at a time; safe in a process of its own."""

    directory: Path
    bands: tuple[Band, ...]
    patch_size: int
    scale: int
    scene_key: str
    capacity: int
    compression: Compression = COMPRESSION
    _rows: list[dict[str, Any]] = field(default_factory=list)
    _attempt: str = ""
    _x: zarr.Array[Any] | None = None
    _y: zarr.Array[Any] | None = None

    @property
    def store(self) -> Path:
        """Where the chunks go."""
        return self.directory / _STAGING / f"{self.scene_key}-{self._attempt}" / DATA_STORE

    def add(self, x_chw: np.ndarray, y_hw: np.ndarray, row: Mapping[str, Any]) -> None:
        """Encode one patch.

        Parameters
        ----------
        x_chw
            float32 in [0, 1], finite, shape (bands, patch_size, patch_size).
        y_hw
            uint8 label codes, shape (patch_size, patch_size).
        row
            The columns of `schema.PATCH_COLUMNS` that don't follow from x and y; `geometry` is None, and `crs` empty, where
            the place of the patch isn't known.

        Raises
        ------
        DatasetError
            When shape, type or values break the contract.
        """
        _check_patch(x_chw, y_hw, len(self.bands), self.patch_size)
        if self._x is None or self._y is None:
            # A cluster may give a task that it believes lost to a second worker: each writes to a place of its own.
            self._attempt = uuid.uuid4().hex[:8]
            channels, size = len(self.bands), self.patch_size
            self._x, self._y = create_stage(self.store, self.capacity, channels, size, self.compression)
        index, stored = len(self._rows), quantise(x_chw, self.scale)
        self._x[index] = stored
        self._y[index] = y_hw
        for array in ("x", "y"):
            flush_to_disk(chunk_path(self.store, array, index))
        facts = {
            "empty": not bool((y_hw == POSITIVE).any()),
            "positive_pixels": int((y_hw == POSITIVE).sum()),
            "ignored_pixels": int((y_hw == IGNORE).sum()),
            "cell_id": "" if row["geometry"] is None else cell_of(middle_of(row["geometry"])),
            "content_hash": content_hash(stored, y_hw),
        }
        self._rows.append({**row, **facts})

    def fail(self, entry: SceneEntry) -> StagedScene:
        """Close the stage of a scene that can't be used: what was staged is given up."""
        shutil.rmtree(self.store.parent, ignore_errors=True)
        return StagedScene(entry, self.store, empty_table(), gpd.GeoDataFrame(geometry=[], crs="EPSG:4326"))

    def finish(self, entry: SceneEntry, labels: gpd.GeoDataFrame) -> StagedScene:
        """Close the stage; `labels` may be in any CRS."""
        table = (
            gpd.GeoDataFrame(self._rows, geometry="geometry", crs="EPSG:4326")[list(PATCH_COLUMNS)]
            if self._rows
            else empty_table()
        )
        return StagedScene(replace(entry, patches=len(self._rows)), self.store, table, labels.to_crs("EPSG:4326"))


def _check_patch(x_chw: np.ndarray, y_hw: np.ndarray, channels: int, size: int) -> None:
    if x_chw.shape != (channels, size, size) or x_chw.dtype != np.float32:
        raise DatasetError(f"x must be float32 {(channels, size, size)}, but is {x_chw.dtype} {x_chw.shape}.")
    if y_hw.shape != (size, size) or y_hw.dtype != np.uint8:
        raise DatasetError(f"y must be uint8 {(size, size)}, but is {y_hw.dtype} {y_hw.shape}.")
    if not (x_chw.min() >= 0 and x_chw.max() <= 1):  # NaN is neither
        raise DatasetError("x must be finite and in [0, 1].")
    if y_hw.max() > max(LABEL_CODES):
        raise DatasetError(f"y must hold only the label codes {LABEL_CODES}.")


class DatasetWriter:
    """The one writer of a dataset directory; made by `open_writer`."""

    def __init__(self, directory: Path, manifest: Manifest, journal: Journal, table: gpd.GeoDataFrame) -> None:
        self.directory = directory
        self.manifest = manifest
        self._journal = journal
        self._table = table

    @property
    def scenes(self) -> tuple[SceneEntry, ...]:
        """The scenes that are done with, in order; those that failed, too."""
        return self._journal.scenes

    @property
    def is_complete(self) -> bool:
        """Whether `finish` was called, in this or an earlier process, and nothing was begun since."""
        return self.manifest.is_complete

    def stage(self, scene_key: str, capacity: int) -> SceneStage:
        """A stage for up to `capacity` patches of one scene; picklable until its first patch."""
        manifest = self.manifest
        return SceneStage(
            directory=self.directory.absolute(),
            bands=manifest.bands,
            patch_size=manifest.patch_size,
            scale=manifest.scale,
            scene_key=scene_key,
            capacity=capacity,
            compression=_compression(manifest),
        )

    def commit(self, scene: StagedScene) -> None:
        """Take the patches of a scene into the dataset: after this call they survive any kill.

        A scene that failed is only recorded. One that had failed before, and now didn't, comes after all others.
        """
        if scene.entry.failed:
            self.record_failure(scene.entry)
            return
        self._reopen()
        start, count = len(self._table), len(scene.table)
        self._keep_labels(scene.entry.scene_id, _features(scene.labels))
        for array in ("x", "y"):
            (self._store / array / "c").mkdir(exist_ok=True)
            for index in range(count):
                sample_folder(scene.store, array, index).rename(sample_folder(self._store, array, start + index))
            flush_to_disk(self._store / array / "c")
        self._resize(start + count)
        if count:
            self._table = pd.concat([self._table, scene.table], ignore_index=True) if start else scene.table
        others = [entry for entry in self._journal.scenes if entry.scene_id != scene.entry.scene_id]
        self._record((*others, scene.entry))
        shutil.rmtree(scene.store.parent, ignore_errors=True)

    def record_failure(self, failure: SceneEntry) -> None:
        """Remember why a scene can't be used; one that is in the dataset stays there."""
        known = {entry.scene_id: entry for entry in self._journal.scenes}
        entry = known.get(failure.scene_id)
        if entry is None or (entry.failed and entry != failure):
            self._record(tuple((known | {failure.scene_id: failure}).values()))

    def forget_failures(self, scene_ids: Collection[str]) -> None:
        """Forget scenes that failed and are gone."""
        kept = tuple(e for e in self._journal.scenes if not (e.failed and e.scene_id in scene_ids))
        if kept != self._journal.scenes:
            self._record(kept)

    def _record(self, entries: tuple[SceneEntry, ...]) -> None:
        self._journal = replace(self._journal, scenes=entries)
        write_metadata(self.directory, self._table, self._journal)

    def _reopen(self) -> None:
        """Make a complete dataset one that is being built, before something is added to it."""
        if not self.is_complete:
            return
        labels: dict[str, list[dict[str, Any]]] = {entry.scene_id: [] for entry in self._journal.scenes}
        for feature in json.loads((self.directory / LABELS_FILE).read_text(encoding="utf-8"))["features"]:
            labels[feature["properties"]["sample_id"]].append(feature)
        for scene_id, features in labels.items():
            self._keep_labels(scene_id, features)
        self.manifest = replace(self.manifest, n_patches=None, fingerprint=None)
        write_manifest(self.directory, self.manifest)

    def finish(self) -> Manifest:
        """Write the labels and the final manifest; the dataset is complete with it."""
        write_text(self.directory / LABELS_FILE, self._collected_labels())
        self.manifest = replace(
            self.manifest,
            n_patches=len(self._table),
            fingerprint=dataset_fingerprint(self.manifest, self._table),
        )
        write_manifest(self.directory, self.manifest)
        shutil.rmtree(self.directory / _STAGING, ignore_errors=True)
        return self.manifest

    def write_report(self, text: str) -> None:
        """Put a report beside the data, unless it is there; it is no part of the dataset."""
        path = self.directory / REPORT_FILE
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)

    def write_split(self, roles: Mapping[str, str]) -> None:
        """Put a split file beside the data, for the patches that are in it; it is no part of the dataset.

        Parameters
        ----------
        roles
            Patch -> `train`, `val` or `test`.
        """
        patches = self._table["patch_id"].astype(str)
        table = pd.DataFrame({"patch_id": patches, "role": patches.map(roles), "fold": 0})
        write_atomically(
            self.directory / SPLIT_FILE, lambda path: table.to_parquet(path, compression="zstd", index=False)
        )

    def discard(self) -> None:
        """Remove all that was written; the directory can be used for another dataset."""
        _remove(self.directory)

    @property
    def _store(self) -> Path:
        return self.directory / DATA_STORE

    def cut_to_last_commit(self) -> None:
        """Remove what a killed process staged or moved, but didn't commit."""
        rows = len(self._table)
        self._resize(rows)
        for array in ("x", "y"):
            for folder in (self._store / array / "c").glob("*"):
                if int(folder.name) >= rows:
                    shutil.rmtree(folder)
            for half_written in (self._store / array).glob("*.partial"):  # zarr's temporary files
                half_written.unlink()
        for leftover in (self.directory / _STAGING).glob("*"):
            if leftover.name != _LABELS:
                shutil.rmtree(leftover)

    def _resize(self, rows: int) -> None:
        for name in ("x", "y"):
            array = zarr.open_array(self._store / name, mode="r+")
            if array.shape[0] != rows:
                array.resize((rows, *array.shape[1:]))
                flush_to_disk(self._store / name / "zarr.json")

    def _labels_of(self, scene_id: str) -> Path:
        digest = hashlib.sha256(scene_id.encode()).hexdigest()[:32]
        return self.directory / _STAGING / _LABELS / f"{digest}.jsonl"

    def _keep_labels(self, scene_id: str, features: Sequence[Mapping[str, Any]]) -> None:
        path = self._labels_of(scene_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, "".join(json.dumps(feature) + "\n" for feature in features))

    def _collected_labels(self) -> str:
        paths = [self._labels_of(entry.scene_id) for entry in self._journal.scenes if not entry.failed]
        lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
        return '{"type": "FeatureCollection", "features": [\n' + ",\n".join(lines) + "\n]}\n"


def _features(labels: gpd.GeoDataFrame) -> list[dict[str, Any]]:
    return list(json.loads(labels.to_json(drop_id=True))["features"]) if len(labels) else []


class Opening(Enum):
    """What to do with a dataset that is there already."""

    CONTINUE = "go on with it"
    APPEND = "add to it"
    REPLACE = "remove it"


@contextmanager
def open_writer(
    directory: Path,
    bands: Sequence[Band],
    patch_size: int,
    overlap: int,
    settings: Mapping[str, Any],
    opening: Opening = Opening.CONTINUE,
    places: frozenset[str] = frozenset(),
    compression: Compression = COMPRESSION,
) -> Iterator[DatasetWriter]:
    """Start a dataset, or go on with one that has the same settings, holding its lock.

    Parameters
    ----------
    directory
        New, empty, or a dataset that the same settings began.
    bands, patch_size, overlap
        What the dataset will hold.
    settings
        Everything else that shapes the data, as flat TOML values.
    opening
        What to do with a dataset that is there already.
    places
        Names of settings that only say where things lie: what is added may come from elsewhere.
    compression
        How chunks are packed; it is a setting as any other, but no hash depends on it.

    Raises
    ------
    DatasetError
        When the folder can't be written to, holds something else, is held by another process, or was built with other
        settings.
    """
    make_directory(directory, DatasetError)
    with single_writer(directory, DatasetError):
        wanted = Journal({**settings, "bands": [b.name for b in bands], "patch_size": patch_size, "overlap": overlap})
        packed = {_PACKED: compression}
        manifest = Manifest(tuple(bands), patch_size, overlap, {**settings, **packed}, software_versions())
        if opening is Opening.REPLACE:
            _remove(directory)
        journal = read_journal(directory)
        if journal is None:
            yield _begin(directory, manifest, wanted)
        else:
            recorded = {_PACKED: _compression(read_manifest(directory)), **journal.settings}
            free = places if opening is Opening.APPEND else ()
            _refuse_other_settings(directory, recorded, {**wanted.settings, **packed}, free)
            yield _resume(directory, journal)


def _compression(manifest: Manifest) -> Compression:
    compression: Compression = manifest.settings.get(_PACKED, COMPRESSION)
    return compression


def _remove(directory: Path) -> None:
    """Remove the dataset in a folder, if there is one; anything else is left alone, and refused later.

    `config.toml` goes last: a folder that holds nothing but it and parts of a dataset may be begun again.
    """
    if (directory / CONFIG_FILE).exists() and read_manifest(directory).schema_version is not None:
        (directory / METADATA_FILE).unlink(missing_ok=True)
        for folder in _FOLDERS:
            shutil.rmtree(directory / folder, ignore_errors=True)
        for file in _FILES:
            (directory / file).unlink(missing_ok=True)


def _begin(directory: Path, manifest: Manifest, journal: Journal) -> DatasetWriter:
    _refuse_foreign_files(directory)
    write_manifest(directory, manifest)
    shutil.rmtree(directory / DATA_STORE, ignore_errors=True)
    shutil.rmtree(directory / _STAGING, ignore_errors=True)
    create_arrays(
        directory / DATA_STORE, 0, len(manifest.bands), manifest.patch_size, compression=_compression(manifest)
    )
    table = empty_table()
    write_metadata(directory, table, journal)
    return DatasetWriter(directory, manifest, journal, table)


def _refuse_foreign_files(directory: Path) -> None:
    """Only an empty folder may become a dataset, or one that a start of ours left before its first commit."""
    names = {path.name for path in directory.iterdir() if not is_temporary(path)} - set(LOCK_FILES)
    began_here = names <= {*_FOLDERS, *_FILES} and CONFIG_FILE in names
    if names and not (began_here and read_manifest(directory).schema_version is not None):
        raise DatasetError(
            f"a new dataset needs an empty folder, but {directory} has {', '.join(sorted(names)[:3])}; choose another."
        )


def _resume(directory: Path, journal: Journal) -> DatasetWriter:
    manifest = read_manifest(directory)
    writer = DatasetWriter(directory, manifest, journal, read_metadata(directory))
    if manifest.is_complete:
        shutil.rmtree(directory / _STAGING, ignore_errors=True)
    else:
        writer.cut_to_last_commit()
    return writer


def _refuse_other_settings(
    directory: Path, recorded: Mapping[str, Any], wanted: Mapping[str, Any], free: Collection[str]
) -> None:
    changed = [
        f"{name} was {recorded.get(name)!r} and is now {wanted.get(name)!r}"
        for name in sorted({*recorded, *wanted} - set(free))
        if recorded.get(name) != wanted.get(name)
    ]
    if changed:
        raise DatasetError(
            f"{directory} was begun with other settings ({'; '.join(changed)}); use the same, another directory, or "
            "--force to begin anew."
        )
