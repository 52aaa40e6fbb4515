"""Carrying out a plan: scenes are worked on in processes, and committed in order."""

import errno
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from darts.core.errors import DatasetError, SceneError
from darts.core.log import get_logger
from darts.dataset.journal import SceneEntry, read_metadata
from darts.dataset.schema import REPORT_FILE
from darts.dataset.writer import DatasetWriter, Opening, open_writer
from darts.preprocess.config import ExecutionConfig
from darts.preprocess.findings import Finding, Kind, from_csv, to_csv
from darts.preprocess.job import Job
from darts.preprocess.parallel import count_workers, fit_workers, memory_limit, run_in_order
from darts.preprocess.plan import Plan, ScenePlan
from darts.preprocess.progress import show_progress
from darts.preprocess.report import make_report
from darts.preprocess.staging import (
    IN_NO_PATCH,
    WITHOUT_PIXEL,
    SceneTask,
    bytes_needed,
    fingerprints,
    make_patches,
)

_log = get_logger(__name__)


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
        Label polygons that reach no scene; the report lists them.
    labels_without_pixel
        Of those burnt in, the ones that hold no pixel: too small or too thin.
    labels_in_no_patch
        Of those burnt in, the ones of which no pixel is in any patch: ignored, or in patches that were dropped.
    failed
        Scene -> why it could not be used.
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
    labels_in_no_patch: int
    failed: Mapping[str, str]
    resumed_scenes: int
    already_complete: bool


def carry_out(plan: Plan, job: Job) -> PreprocessResult:
    """Do what is planned, or what is left of it.

    Raises
    ------
    SceneError
        When no scene can be read.
    DatasetError
        When the directory can't be used, was begun with other settings or scenes, is full, or no patch is left.
    """
    for note in plan.notes:
        _log.warning(note)
    with _full_disk_explained(job.patches.train_data_dir), _open(job, plan) as writer:
        before = writer.scenes
        todo = scenes_to_do(plan.scenes, before, complete=writer.is_complete, job=job)
        finished = sum(not entry.failed for entry in before)
        unchanged = writer.is_complete
        if not job.execution.append:
            known = {scene.scene_id for scene in plan.scenes} | {scene.scene_id for scene in plan.unusable}
            writer.forget_failures({entry.scene_id for entry in before} - known)
        if todo or not writer.is_complete:
            _do(writer, plan, todo, job)
            unchanged = unchanged and writer.is_complete
        report = make_report(plan, writer.scenes, _earlier_report(writer) if job.execution.append else None)
        writer.write_report(to_csv(report))
        if not writer.is_complete:
            writer.finish()
        return _result(writer, report, resumed=finished, already_complete=unchanged)


def _open(job: Job, plan: Plan) -> AbstractContextManager[DatasetWriter]:
    execution, patches = job.execution, job.patches
    opening = Opening.REPLACE if execution.force else Opening.APPEND if execution.append else Opening.CONTINUE
    bands = plan.recipe.bands
    return open_writer(
        directory=patches.train_data_dir,
        bands=bands,
        patch_size=patches.patch_size,
        overlap=patches.overlap,
        settings=job.settings,
        opening=opening,
        places=job.places,
        compression=patches.compression,
    )


@contextmanager
def _full_disk_explained(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DatasetError(
            f"there is no space left on the disk of {directory}; free some, and run the same command again: it goes on "
            "after the last scene that was finished."
        ) from None


def scenes_to_do(
    planned: Sequence[ScenePlan], done: Sequence[SceneEntry], *, complete: bool, job: Job
) -> list[ScenePlan]:
    """The scenes that are not in the dataset: first new ones, then those that failed before.

    Raises
    ------
    DatasetError
        When the dataset was begun with other scenes or files.
    """
    directory, by_id = job.patches.train_data_dir, {scene.scene_id: scene for scene in planned}
    finished = {entry.scene_id: entry for entry in done if not entry.failed}
    failed = {entry.scene_id for entry in done if entry.failed}
    for scene_id, entry in finished.items():
        if scene_id in by_id:
            _check_unchanged(entry, by_id[scene_id], directory)
        elif not job.execution.append:
            raise DatasetError(
                f"{directory} was begun with the scene {scene_id}, which is not there now; restore it, choose another "
                "directory, or give --append to add to what is there."
            )
    new = [scene for scene in planned if scene.scene_id not in finished | dict.fromkeys(failed)]
    if new and complete and not job.execution.append:
        raise DatasetError(
            f"{directory} was made of {len(done)} scenes, but there are now {len(planned)}; give --append to add the "
            "new ones, or choose another directory."
        )
    return [*new, *(scene for scene in planned if scene.scene_id in failed)]


def _check_unchanged(entry: SceneEntry, scene: ScenePlan, directory: Path) -> None:
    inputs = fingerprints(scene.inputs)
    if entry.inputs == inputs:
        return
    changed = sorted(set(entry.inputs.items()) ^ set(inputs.items()))[0][0]
    raise DatasetError(
        f"{directory}: {changed!r} of the scene {entry.scene_id} has changed since it was read; restore it, choose "
        "another directory, or give --force to begin anew."
    )


def _do(writer: DatasetWriter, plan: Plan, todo: Sequence[ScenePlan], job: Job) -> None:
    """Work on scenes, and record those that fail."""
    try:
        _commit_scenes(writer, plan, todo, job)
        for scene in plan.unusable:
            writer.record_failure(SceneEntry(scene.scene_id, failed=scene.reason))
        _check_not_empty(writer)
    except BaseException:
        # Without a patch there is nothing to go on with, and other settings must be free to begin here.
        if not any(scene.patches for scene in writer.scenes):
            writer.discard()
        raise


def _earlier_report(writer: DatasetWriter) -> list[Finding]:
    path = writer.directory / REPORT_FILE
    return from_csv(path.read_text(encoding="utf-8")) if path.exists() else []


def _commit_scenes(writer: DatasetWriter, plan: Plan, todo: Sequence[ScenePlan], job: Job) -> None:
    tasks = [
        SceneTask(
            scene,
            plan.recipe,
            job.reader,
            writer.stage(f"{number:06d}", scene.n_patches),
            job.patches,
            job.regions.all_touched,
            job.execution.preprocess_cache.absolute() if job.execution.preprocess_cache else None,
        )
        for number, scene in enumerate(todo)
    ]
    sizes = {scene.scene_id: sum(path.stat().st_size for path in scene.files.inputs) for scene in todo}
    done = sum(not entry.failed for entry in writer.scenes)
    staged = run_in_order(make_patches, tasks, _workers(tasks, job.execution), job.execution.dask_scheduler)
    with closing(staged), show_progress("scenes", done + len(todo), done) as advance:
        for scene in staged:
            writer.commit(scene)
            name = scene.entry.scene_id
            if scene.entry.failed:
                _log.warning("%s can't be used: %s", name, scene.entry.failed)
            advance(name, scene.entry.patches, sizes[name])


def _workers(tasks: Sequence[SceneTask], execution: ExecutionConfig) -> int:
    """How many scenes are worked on at a time; on a cluster, 0 is as many as it has threads."""
    if execution.dask_scheduler is not None or not tasks:
        return execution.workers
    pixels = sum(task.plan.files.grid.height * task.plan.files.grid.width for task in tasks)
    wanted, limit = count_workers(execution.workers, pixels), memory_limit(execution.memory_limit)
    largest = max(tasks, key=bytes_needed)
    fitting = fit_workers(wanted, bytes_needed(largest), limit)
    if limit is not None and bytes_needed(largest) > limit:
        _log.warning(
            "%s takes about %.1f GB of memory, and %.1f GB may be used; it is worked on alone.",
            largest.plan.scene_id, bytes_needed(largest) / 2**30, limit / 2**30,
        )  # fmt: skip
    elif fitting < wanted:
        _log.warning("%d scenes are worked on at a time, not %d, for want of memory.", fitting, wanted)
    return fitting


def _check_not_empty(writer: DatasetWriter) -> None:
    scenes = writer.scenes
    if sum(scene.patches for scene in scenes):
        return
    if failed := [scene for scene in scenes if scene.failed]:
        others = f" (scenes that failed: {len(failed)})" if len(failed) > 1 else ""
        raise SceneError(f"{failed[0].failed.rstrip('.')}{others}.")
    dropped = _dropped(scenes)
    reasons = ", ".join(f"{count} for {reason}" for reason, count in dropped.items())
    raise DatasetError(
        f"a dataset needs at least one patch, but all {sum(dropped.values())} patches were dropped "
        f"({reasons}); look at --exclude-nopositive, --exclude-nan, --scl-ignore, the labels, and for bands without "
        "values at the scenes, elevation and trends."
    )


def _dropped(scenes: Sequence[SceneEntry]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for scene in scenes:
        total.update(scene.dropped)
    return dict(sorted(total.items()))


def _result(
    writer: DatasetWriter, report: Sequence[Finding], *, resumed: int, already_complete: bool
) -> PreprocessResult:
    scenes = writer.scenes
    table = read_metadata(writer.directory)
    mapped = len(table) * writer.manifest.patch_size**2 - int(table["ignored_pixels"].sum())
    return PreprocessResult(
        directory=writer.directory,
        n_scenes=sum(not scene.failed for scene in scenes),
        n_patches=len(table),
        n_positive_patches=int((~table["empty"].astype(bool)).sum()),
        positive_share=int(table["positive_pixels"].sum()) / max(mapped, 1),
        dropped=_dropped(scenes),
        labels_used=sum(scene.labels for scene in scenes),
        labels_unused=sum(finding.kind == Kind.LABEL_WITHOUT_IMAGE for finding in report),
        labels_without_pixel=sum(int(scene.facts.get(WITHOUT_PIXEL, 0)) for scene in scenes),
        labels_in_no_patch=sum(int(scene.facts.get(IN_NO_PATCH, 0)) for scene in scenes),
        failed={scene.scene_id: scene.failed for scene in scenes if scene.failed},
        resumed_scenes=resumed,
        already_complete=already_complete,
    )
