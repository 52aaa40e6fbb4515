"""What preprocessing is going to do, as values: found and checked before anything is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd

from darts.core.bands import Band, get_bands
from darts.core.errors import SceneError
from darts.core.files import file_fingerprint
from darts.preprocess.auxiliary import admin_file, read_regions, regions_of
from darts.preprocess.config import LabelConfig, PatchConfig
from darts.preprocess.features import measured_bands
from darts.preprocess.labels import LabelFile, joined, labels_below, labels_of_scene, touching
from darts.preprocess.patches import count_patches
from darts.preprocess.scenes import SceneFiles, SceneReader
from darts.preprocess.vectors import companions


@dataclass(frozen=True, slots=True, eq=False)
class ScenePlan:
    """One scene, and all that its patches are made of.

    Attributes
    ----------
    files
        The scene as found on disk.
    labels
        The polygons that touch it, in its reference system.
    regions
        The administrative areas that touch it, in its reference system; None without `--admin-dir`.
    inputs
        Name -> fingerprint of every file that is read for it.
    n_patches
        Number of patches before any is dropped.
    """

    files: SceneFiles
    labels: gpd.GeoDataFrame
    regions: gpd.GeoDataFrame | None
    inputs: Mapping[str, str]
    n_patches: int

    @property
    def scene_id(self) -> str:
        """Unique in a dataset."""
        return self.files.scene_id

    @property
    def region_names(self) -> tuple[str, ...]:
        """The regions that its patches can have."""
        named = () if self.regions is None else tuple(sorted(set(self.regions["region"])))
        return named or (self.files.folder.name,)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A dataset to be.

    Attributes
    ----------
    bands
        The channels of x.
    scenes
        In the order in which they are committed.
    labels_unused
        Number of label polygons that touch no scene.
    notes
        What the user should know.
    """

    bands: tuple[Band, ...]
    scenes: tuple[ScenePlan, ...]
    labels_unused: int
    notes: tuple[str, ...]

    @property
    def n_patches(self) -> int:
        """Number of patches before any is dropped."""
        return sum(scene.n_patches for scene in self.scenes)


def make_plan(reader: SceneReader[Any], labels: LabelConfig, patches: PatchConfig) -> Plan:
    """Find scenes, labels and areas, and check that they fit together.

    Raises
    ------
    SceneError
        When a scene, a label file or the file of areas can't be used.
    """
    bands = get_bands(patches.bands)
    found: list[SceneFiles] = reader.find(measured_bands(patches.bands))
    _check_names(found)
    for files in found:
        _check_size(files, patches.patch_size)
    areas_path = admin_file(labels.admin_dir) if labels.admin_dir else None
    areas = read_regions(areas_path) if areas_path else None
    labelled = _join_labels(found, labels.labels_dir)
    scenes = tuple(
        ScenePlan(
            files=scene.files,
            labels=joined(scene.touching, scene.files.grid),
            regions=None if areas is None else regions_of(areas, scene.files.grid),
            inputs=_inputs(scene, labels.labels_dir, areas_path),
            n_patches=count_patches(*scene.files.grid.shape, patches.patch_size, patches.overlap),
        )
        for scene in labelled
    )
    unused = _count_unused(labelled)
    _check_labels_meet_scenes(scenes, unused)
    return Plan(bands, scenes, unused, tuple(_notes(scenes, unused)))


def _check_labels_meet_scenes(scenes: Sequence[ScenePlan], unused: int) -> None:
    """Labels that all lie elsewhere are a mistake, and would make all of every scene background."""
    if unused and all(scene.labels.empty for scene in scenes):
        raise SceneError(
            f"none of the {unused} label polygons touches any of the {len(scenes)} scenes; check that both are of the same "
            "place, and the reference system that the label files declare."
        )


@dataclass(frozen=True, slots=True, eq=False)
class _LabelledScene:
    """A scene, the label files that it could have labels in, and the polygons of each that touch it."""

    files: SceneFiles
    labels: Sequence[LabelFile]
    touching: Sequence[gpd.GeoDataFrame]


def _join_labels(found: Sequence[SceneFiles], labels_dir: Path | None) -> list[_LabelledScene]:
    shared = labels_below(labels_dir) if labels_dir else None
    labelled = []
    for files in found:
        labels = shared if shared is not None else [labels_of_scene(files.folder)]
        labelled.append(_LabelledScene(files, labels, [touching(file, files.grid) for file in labels]))
    return labelled


def _count_unused(labelled: Sequence[_LabelledScene]) -> int:
    """Polygons that touch no scene."""
    unused: dict[Path, set[int]] = {}
    for scene in labelled:
        for file, part in zip(scene.labels, scene.touching, strict=True):
            left = unused.setdefault(file.path, set(file.polygons.index))
            left.difference_update(part.index)
    return sum(len(left) for left in unused.values())


def _check_names(found: Sequence[SceneFiles]) -> None:
    seen: dict[str, Path] = {}
    for files in found:
        if files.scene_id in seen:
            raise SceneError(
                f"each scene needs a name of its own, but {seen[files.scene_id]} and {files.folder} are both "
                f"{files.scene_id}; rename one folder."
            )
        seen[files.scene_id] = files.folder


def _check_size(files: SceneFiles, patch_size: int) -> None:
    height, width = files.grid.shape
    if min(height, width) < patch_size:
        raise SceneError(
            f"a scene must be at least one patch of {patch_size} x {patch_size} pixels, but {files.scene_id} has "
            f"{height} x {width}; give --patch-size {min(height, width)} or less, or remove the scene."
        )


def _inputs(scene: _LabelledScene, labels_dir: Path | None, areas: Path | None) -> dict[str, str]:
    """Name -> fingerprint of the content; names don't depend on where the data lie."""
    root = labels_dir if labels_dir and labels_dir.is_dir() else None
    found = {str(path.relative_to(scene.files.folder)): path for path in scene.files.inputs}
    for path in (path for file in scene.labels for path in file.inputs):
        found[f"labels: {path.relative_to(root) if root else path.name}"] = path
    for path in companions(areas) if areas else []:
        found[f"areas: {path.name}"] = path
    return {name: file_fingerprint(found[name]) for name in sorted(found)}


def _notes(scenes: Sequence[ScenePlan], labels_unused: int) -> list[str]:
    """Each thing to know once, with the scenes that it is true of."""
    concerned: dict[str, list[str]] = {}
    for scene in scenes:
        without = ["no label touches the scene, so all of it counts as background"] if scene.labels.empty else []
        for note in [*scene.files.notes, *without]:
            concerned.setdefault(note, []).append(scene.scene_id)
    notes = [f"{_some(names)}: {note}." for note, names in concerned.items()]
    if labels_unused:
        notes.append(f"{labels_unused} label polygons touch no scene and aren't used; check their place and date.")
    return notes


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} scenes ({names[0]}, ...)"
