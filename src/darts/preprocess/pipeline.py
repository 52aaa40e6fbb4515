"""Scenes and labels become a dataset directory: plan, then execute in processes, then commit in order."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts.core.config import Config, keyword_settings, resolved_settings
from darts.core.errors import DatasetError
from darts.core.log import get_logger
from darts.dataset.journal import SceneEntry, read_metadata
from darts.dataset.writer import DatasetWriter, open_writer
from darts.preprocess.config import AuxiliaryConfig, LabelConfig, ObsoleteConfig, PatchConfig, Sentinel2Config
from darts.preprocess.parallel import count_workers, run_in_order
from darts.preprocess.plan import Plan, make_plan
from darts.preprocess.progress import show_progress
from darts.preprocess.scenes import SceneReader
from darts.preprocess.sentinel2 import Sentinel2Reader
from darts.preprocess.staging import SceneTask, make_patches

_log = get_logger(__name__)

_NOT_RECORDED = frozenset(
    # What the manifest records itself, and what doesn't shape the data.
    {"bands", "patch_size", "overlap", "train_data_dir", "workers"}
)


@dataclass(frozen=True, slots=True)
class PreprocessResult:
    """What a preprocess command did.

    Attributes
    ----------
    directory
        The dataset directory.
    n_scenes, n_patches, n_positive_patches
        Numbers in the dataset.
    positive_share
        Share of the positive pixels in those that are not ignored.
    dropped
        Reason -> number of patches that were dropped for it.
    labels_used
        Label polygons burnt in; one that touches two scenes counts twice.
    labels_unused
        Label polygons that touch no scene.
    labels_without_pixel
        Of those burnt in, the ones that hold no pixel: too small or too thin.
    resumed_scenes
        Scenes that an earlier start had finished.
    already_complete
        Whether the dataset was complete before, and nothing was changed.
    """

    directory: Path
    n_scenes: int
    n_patches: int
    n_positive_patches: int
    positive_share: float
    dropped: Mapping[str, int]
    labels_used: int
    labels_unused: int
    labels_without_pixel: int
    resumed_scenes: int
    already_complete: bool


def preprocess_sentinel2(
    sentinel2: Sentinel2Config,
    labels: LabelConfig,
    patches: PatchConfig,
    auxiliary: AuxiliaryConfig,  # noqa: ARG001 -- accepted, and said so in its help
    obsolete: ObsoleteConfig,
) -> PreprocessResult:
    """Make a dataset directory from Sentinel-2 scenes and label polygons.

    Stopped at any instant, the same call goes on with the next scene; on a finished dataset it changes nothing. The
    bytes written depend on inputs and settings alone.

    Raises
    ------
    SceneError
        When a scene or a label file can't be used.
    DatasetError
        When the directory can't be used, or no patch is left.
    ConfigError
        When a setting breaks a rule.
    """
    _warn_of_obsolete(obsolete)
    reader = Sentinel2Reader(sentinel2)
    return _preprocess(reader, _recorded(sentinel2, labels, patches), labels, patches)


def plan_sentinel2(
    sentinel2: Sentinel2Config,
    labels: LabelConfig,
    patches: PatchConfig,
    auxiliary: AuxiliaryConfig,  # noqa: ARG001 -- accepted, and said so in its help
    obsolete: ObsoleteConfig,
) -> Plan:
    """What `preprocess_sentinel2` would do with the same settings; reads no pixels and writes nothing.

    Raises
    ------
    SceneError
        When a scene or a label file can't be used.
    ConfigError
        When a setting breaks a rule.
    """
    _warn_of_obsolete(obsolete)
    return make_plan(Sentinel2Reader(sentinel2), labels, patches)


preprocess_s2_train_data = keyword_settings(preprocess_sentinel2)
"""Make a dataset directory from Sentinel-2 scenes and label polygons; keywords as the flags."""
plan_s2_train_data = keyword_settings(plan_sentinel2)
"""What `preprocess_s2_train_data` would do with the same keywords."""


def _warn_of_obsolete(obsolete: ObsoleteConfig) -> None:
    advice = "the training commands divide a dataset with --data-split-method and --data-split-by"
    for name, value in obsolete:
        if value:
            _log.warning("--%s is obsolete and has no effect: %s.", name.replace("_", "-"), advice)


def _recorded(*configs: Config) -> dict[str, Any]:
    """The settings that shape the data, with absolute paths, as flat TOML values."""
    absolute = [
        config.model_copy(update={name: value.resolve() for name, value in config if isinstance(value, Path)})
        for config in configs
    ]
    return {name: value for name, value in resolved_settings(*absolute).items() if name not in _NOT_RECORDED}


def _preprocess(
    reader: SceneReader[Any], settings: Mapping[str, Any], labels: LabelConfig, patches: PatchConfig
) -> PreprocessResult:
    plan = make_plan(reader, labels, patches)
    for note in plan.notes:
        _log.warning(note)
    directory = patches.train_data_dir
    with open_writer(directory, plan.bands, patches.patch_size, patches.overlap, settings) as writer:
        done = writer.finished_scenes
        _check_unchanged(plan, done, complete=writer.is_complete, directory=directory)
        if writer.is_complete:
            return _result(writer, plan, resumed=len(done), already_complete=True)
        try:
            _commit_scenes(writer, plan, reader, labels, patches)
            _check_not_empty(writer)
        except BaseException:
            # Without a patch there is nothing to go on with, and other settings must be free to begin here.
            if not any(scene.patches for scene in writer.finished_scenes):
                writer.discard()
            raise
        writer.finish()
        return _result(writer, plan, resumed=len(done), already_complete=False)


def _check_unchanged(plan: Plan, done: Sequence[SceneEntry], *, complete: bool, directory: Path) -> None:
    """Refuse to go on with other scenes or files than those that the dataset was begun with."""
    planned = [(scene.scene_id, dict(scene.inputs)) for scene in plan.scenes]
    for entry, (scene_id, inputs) in zip(done, planned, strict=False):
        if entry.scene_id != scene_id:
            raise DatasetError(
                f"{directory} was begun with the scene {entry.scene_id}, where there is now {scene_id}; restore the "
                "scenes, or choose another directory."
            )
        if entry.inputs != inputs:
            changed = sorted(set(entry.inputs.items()) ^ set(inputs.items()))[0][0]
            raise DatasetError(
                f"{directory}: {changed!r} of the scene {scene_id} has changed since it was read; restore it, or "
                "choose another directory."
            )
    if len(done) > len(planned) or (complete and len(done) < len(planned)):
        raise DatasetError(
            f"{directory} was made of {len(done)} scenes, but there are now {len(planned)}; restore the scenes, or "
            "choose another directory."
        )


def _commit_scenes(
    writer: DatasetWriter, plan: Plan, reader: SceneReader[Any], labels: LabelConfig, patches: PatchConfig
) -> None:
    start = len(writer.finished_scenes)
    tasks = [
        SceneTask(scene, reader, writer.stage(f"{number:06d}", scene.n_patches), labels, patches)
        for number, scene in enumerate(plan.scenes[start:], start=start)
    ]
    pixels = sum(task.plan.files.grid.height * task.plan.files.grid.width for task in tasks)
    staged = run_in_order(make_patches, tasks, count_workers(patches.workers, pixels))
    with closing(staged), show_progress("scenes", len(plan.scenes), start) as advance:
        for scene in staged:
            writer.commit(scene)
            advance(f"{scene.entry.scene_id}: {scene.entry.patches} patches")


def _check_not_empty(writer: DatasetWriter) -> None:
    scenes = writer.finished_scenes
    if sum(scene.patches for scene in scenes):
        return
    dropped = _dropped(scenes)
    reasons = ", ".join(f"{count} for {reason}" for reason, count in dropped.items())
    raise DatasetError(
        f"a dataset needs at least one patch, but all {sum(dropped.values())} patches were dropped "
        f"({reasons}); look at --exclude-nopositive, --exclude-nan, --scl-ignore and the labels."
    )


def _dropped(scenes: Sequence[SceneEntry]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for scene in scenes:
        total.update(scene.dropped)
    return dict(sorted(total.items()))


def _result(writer: DatasetWriter, plan: Plan, *, resumed: int, already_complete: bool) -> PreprocessResult:
    scenes = writer.finished_scenes
    table = read_metadata(writer.directory)
    mapped = len(table) * writer.manifest.patch_size**2 - int(table["ignored_pixels"].sum())
    return PreprocessResult(
        directory=writer.directory,
        n_scenes=len(scenes),
        n_patches=len(table),
        n_positive_patches=int((~table["empty"].astype(bool)).sum()),
        positive_share=int(table["positive_pixels"].sum()) / max(mapped, 1),
        dropped=_dropped(scenes),
        labels_used=sum(scene.labels for scene in scenes),
        labels_unused=plan.labels_unused,
        labels_without_pixel=sum(int(scene.facts.get("labels_without_pixel", 0)) for scene in scenes),
        resumed_scenes=resumed,
        already_complete=already_complete,
    )
