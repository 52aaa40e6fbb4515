"""Which labels belong to which scene, and what became of the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas as gpd
from shapely.geometry.base import BaseGeometry

from darts.core.errors import SceneError
from darts.core.files import short_name
from darts.preprocess.config import ImageLabelConfig, LabelConfig
from darts.preprocess.findings import Finding, Kind
from darts.preprocess.image_labels import (
    NEVER_LOOKED_AT,
    Image,
    ImageLabels,
    find_label_repository,
    match_labels,
)
from darts.preprocess.labels import LabelFile, joined, labels_below, labels_of_scene, touching
from darts.preprocess.planet import PlanetFiles
from darts.preprocess.scenes import SceneFiles, UnusableScene


@dataclass(frozen=True, slots=True, eq=False)
class SceneLabels:
    """A scene and its labels.

    Attributes
    ----------
    files
        The scene.
    labels
        The polygons to burn in, in the reference system of the scene.
    mapped
        Where the scene was looked at for labels, in its reference system; None is everywhere.
    inputs
        Name -> file, of all that was read for it; names don't depend on where the data lie.
    """

    files: SceneFiles
    labels: gpd.GeoDataFrame
    mapped: BaseGeometry | None
    inputs: dict[str, Path]


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """The scenes with their labels, those that can't be used, and what became of other labels."""

    scenes: tuple[SceneLabels, ...]
    unusable: tuple[UnusableScene, ...] = ()
    findings: tuple[Finding, ...] = ()


Labelling = Callable[[Sequence[SceneFiles]], Labelled]
"""A way to give scenes their labels."""


def by_place(config: LabelConfig) -> Labelling:
    """Labels belong to the scenes that they touch; without `--labels-dir`, to the scene in whose folder they lie."""
    return lambda found: _join_by_place(found, config.labels_dir)


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """A scene, the label files that it could have labels in, and the polygons of each that touch it."""

    files: SceneFiles
    label_files: Sequence[LabelFile]
    touching: Sequence[gpd.GeoDataFrame]


def _join_by_place(found: Sequence[SceneFiles], labels_dir: Path | None) -> Labelled:
    shared = labels_below(labels_dir) if labels_dir else None
    candidates, unusable = [], []
    for files in found:
        try:
            label_files = shared if shared is not None else [labels_of_scene(files.folder, files.scene_id)]
        except SceneError as error:
            unusable.append(UnusableScene(files.scene_id, str(error)))
            continue
        parts = [touching(file, files.grid) for file in label_files]
        candidates.append(_Candidate(files, label_files, parts))
    _check_labels_meet_scenes(candidates)
    root = labels_dir if labels_dir and labels_dir.is_dir() else None
    scenes = tuple(
        SceneLabels(one.files, joined(one.touching, one.files.grid), None, _label_inputs(one, root))
        for one in candidates
    )
    findings = (*_unlabelled(scenes), *_elsewhere(candidates, root), *_without_area(candidates, root))
    return Labelled(scenes, tuple(unusable), findings)


def _label_inputs(candidate: _Candidate, root: Path | None) -> dict[str, Path]:
    paths = [path for file in candidate.label_files for path in file.inputs]
    return {f"labels: {short_name(path, root or path.parent)}": path for path in paths}


def _unlabelled(scenes: Sequence[SceneLabels]) -> list[Finding]:
    reason = "no label touches the scene, so all of it counts as background"
    return [
        Finding(Kind.IMAGE_WITHOUT_LABEL, scene.files.scene_id, "", "", reason)
        for scene in scenes
        if scene.labels.empty
    ]


def _elsewhere(candidates: Sequence[_Candidate], root: Path | None) -> list[Finding]:
    """Polygons that touch no scene."""
    left: dict[Path, set[int]] = {}
    for candidate in candidates:
        for file, part in zip(candidate.label_files, candidate.touching, strict=True):
            left.setdefault(file.path, set(file.polygons.index)).difference_update(part.index)
    return [
        Finding(Kind.LABEL_WITHOUT_IMAGE, "", short_name(path, root or path.parent), str(number), "it touches no scene")
        for path, numbers in sorted(left.items())
        for number in sorted(numbers)
    ]


def _without_area(candidates: Sequence[_Candidate], root: Path | None) -> list[Finding]:
    files = {file.path: file.without_area for one in candidates for file in one.label_files}
    return [
        Finding(Kind.LABEL_WITHOUT_IMAGE, "", short_name(path, root or path.parent), str(number), "it has no area")
        for path, numbers in sorted(files.items())
        for number in numbers
    ]


def _check_labels_meet_scenes(candidates: Sequence[_Candidate]) -> None:
    """Labels that all lie elsewhere are a mistake, and would make all of every scene background."""
    labels = {file.path: len(file.polygons) for one in candidates for file in one.label_files}
    if sum(labels.values()) and all(part.empty for one in candidates for part in one.touching):
        raise SceneError(
            f"none of the {sum(labels.values())} label polygons touches any of the {len(candidates)} scenes; check that "
            "both are of the same place, and the reference system that the label files declare."
        )


def by_image(config: ImageLabelConfig) -> Labelling:
    """Labels belong to the image that they name."""
    return lambda found: _join_by_image(found, config)


def _join_by_image(found: Sequence[SceneFiles], config: ImageLabelConfig) -> Labelled:
    images = [
        Image(files.image_id if isinstance(files, PlanetFiles) else files.scene_id, files.scene_id, files.grid)
        for files in found
    ]
    matched = match_labels(find_label_repository(config.labels_dir), images)
    pairs = list(zip(found, matched.images, strict=True))
    used = [(files, labels) for files, labels in pairs if config.unlabelled_negative or _is_known(labels)]
    lost = any(finding.kind == Kind.LABEL_WITHOUT_IMAGE for finding in matched.findings)
    if found and not any(len(labels.labels) for _, labels in used) and (lost or not used):
        raise SceneError(
            f"--labels-dir must hold labels of the images in --data-dir, but none names one of the {len(found)} images "
            f"(such as {found[0].scene_id}) and lies on it; check ids and places."
        )
    scenes = tuple(_scene_labels(files, labels, config.labels_dir) for files, labels in used)
    return Labelled(scenes, (), tuple(_with_consequence(finding, scenes) for finding in matched.findings))


def _with_consequence(finding: Finding, scenes: Sequence[SceneLabels]) -> Finding:
    """What follows for an image that nobody looked at."""
    if finding.reason != NEVER_LOOKED_AT:
        return finding
    used = any(scene.files.scene_id == finding.name for scene in scenes)
    follows = "so all of it counts as background" if used else "so it is left out (--unlabelled-negative uses it)"
    return replace(finding, reason=f"{finding.reason}, {follows}")


def _is_known(labels: ImageLabels) -> bool:
    """Whether somebody looked at the image: it has labels, or a footprint."""
    return labels.mapped is not None or not labels.labels.empty


def _scene_labels(files: SceneFiles, labels: ImageLabels, root: Path) -> SceneLabels:
    inputs = {f"labels: {short_name(path, root or path.parent)}": path for path in labels.inputs}
    return SceneLabels(files, labels.labels, labels.mapped, inputs)
