"""Ready patches become a dataset directory: what the command calls."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from darts.core.bands import Band
from darts.core.config import keyword_settings, resolved_settings
from darts.core.errors import DatasetError
from darts.core.log import get_logger
from darts.dataset.journal import SceneEntry, read_metadata
from darts.dataset.schema import SPLIT_FILE
from darts.dataset.writer import DatasetWriter, Opening, open_writer
from darts.preprocess.importing.batches import Batch, BatchTask, input_fingerprints, read_patch, stage_batch
from darts.preprocess.importing.config import ImportConfig
from darts.preprocess.importing.files import ROLES
from darts.preprocess.importing.plan import ImportPlan, make_plan
from darts.preprocess.importing.values import Seen, all_seen, doubts
from darts.preprocess.parallel import count_workers, run_in_order
from darts.preprocess.progress import show_progress

BATCH = 256
"""Patches that are committed at once."""
PREVIEWED = 64
"""Patches that a dry run reads, spread evenly."""
_NOT_RECORDED = frozenset({"bands", "train_data_dir", "compression", "workers", "force"})
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What was imported.

    Attributes
    ----------
    directory
        The dataset directory.
    bands
        The channels of the dataset, with their scaling.
    channels
        The channels of the files that they come from, counted from 1.
    n_patches, n_positive_patches
        Numbers in the dataset.
    positive_share, ignored_share
        Share of the positive pixels in those that are not ignored, and of the ignored ones in all.
    n_regions
        Number of groups, or of patches if no groups file was given.
    n_without_place
        Patches in the dataset of which it isn't known where they lie.
    dropped
        Reason -> number of patches that were dropped for it.
    left_out
        Images without a mask, and masks without an image.
    seen
        What was seen of the numbers in all files, those of dropped patches included.
    roles
        `train`, `val` and `test` -> number of patches in the dataset; empty without such folders.
    split_file
        The split file beside the data, or None without such folders.
    resumed_patches
        Patches that an earlier start had imported.
    already_complete
        Whether the dataset was complete before, and nothing was changed.
    """

    directory: Path
    bands: tuple[Band, ...]
    channels: tuple[int, ...]
    n_patches: int
    n_positive_patches: int
    positive_share: float
    ignored_share: float
    n_regions: int
    n_without_place: int
    dropped: Mapping[str, int]
    left_out: int
    seen: Seen
    roles: Mapping[str, int]
    split_file: Path | None
    resumed_patches: int
    already_complete: bool


@dataclass(frozen=True, slots=True)
class ImportPreview:
    """What would be imported, and what some of the files hold.

    Attributes
    ----------
    plan
        All that was found.
    n_read
        How many patches were read.
    seen
        What was seen of their numbers.
    doubts
        What looks as if a setting were wrong, a sentence each.
    """

    plan: ImportPlan
    n_read: int
    seen: Seen
    doubts: tuple[str, ...]


def import_files(settings: ImportConfig) -> ImportResult:
    """Make a dataset directory from images and masks of the same name.

    Stopped at any instant, the same call goes on with the next batch of patches; on a finished dataset it changes nothing.
    The bytes written depend on files and settings alone.

    Raises
    ------
    SceneError
        When files don't fit together, or one is damaged; what was committed before stays.
    DatasetError
        When the directory can't be used, was begun with other settings or files, or no patch is left.
    ConfigError
        When a setting breaks a rule.
    """
    plan = make_plan(settings)
    batches = make_batches(plan)
    opening = Opening.REPLACE if settings.force else Opening.CONTINUE
    packed = settings.compression
    with open_writer(
        settings.train_data_dir, plan.bands, plan.size, 0, _recorded(settings), opening, compression=packed
    ) as writer:
        done = writer.scenes
        _check_unchanged(writer, batches)
        unchanged = writer.is_complete
        if not unchanged:
            _commit(writer, plan, batches[len(done) :])
        split_file = _split(writer, plan)
        if not unchanged:
            writer.finish()
        result = _result(writer, plan, split_file, sum(entry.patches for entry in done), already_complete=unchanged)
    for doubt in (*doubts(result.seen, plan.bands, settings), *plan.doubts):
        _log.warning(doubt)
    return result


def preview_import(settings: ImportConfig) -> ImportPreview:
    """What `import_files` would do with the same settings; reads some of the files, and writes nothing.

    Raises
    ------
    SceneError
        When files don't fit together, or one of those that are read is damaged.
    ConfigError
        When a setting breaks a rule.
    """
    plan = make_plan(settings)
    count = min(PREVIEWED, len(plan.patches))
    chosen = np.linspace(0, len(plan.patches) - 1, count).round().astype(int)
    parts = [read_patch(plan.patches[index], settings, plan.bands).seen for index in chosen]
    seen = all_seen(parts, len(plan.bands))
    return ImportPreview(plan, count, seen, (*doubts(seen, plan.bands, settings), *plan.doubts))


import_patches = keyword_settings(import_files)
"""Make a dataset directory from images and masks of the same name; keywords as the flags."""
plan_import_patches = keyword_settings(preview_import)
"""What `import_patches` would do with the same keywords."""


def make_batches(plan: ImportPlan) -> list[Batch]:
    """The patches of a plan, some at a time, in order."""
    return [
        Batch(f"batch {number}", plan.patches[start : start + BATCH], plan.regions[start : start + BATCH])
        for number, start in enumerate(range(0, len(plan.patches), BATCH))
    ]


def _recorded(settings: ImportConfig) -> dict[str, Any]:
    """The settings that shape the data, with absolute paths, as flat TOML values."""
    paths = {name: value.resolve() for name, value in settings if isinstance(value, Path)}
    values = resolved_settings(settings.model_copy(update=paths))
    return {name: value for name, value in values.items() if name not in _NOT_RECORDED}


def _check_unchanged(writer: DatasetWriter, batches: Sequence[Batch]) -> None:
    """Refuse to go on when what was imported isn't the beginning of what is to be imported."""
    done = writer.scenes
    pairs = zip(done, batches, strict=False)
    changed = next((name for entry, batch in pairs if (name := _changed_input(entry, batch))), None)
    if changed is None and len(done) > len(batches):
        changed = next(iter(done[len(batches)].inputs))
    if changed is None and writer.is_complete and len(done) < len(batches):
        changed = next(iter(input_fingerprints(batches[len(done)])))
    if changed is not None:
        raise DatasetError(
            f"{writer.directory} was begun with other files: the {changed} was changed, added or removed since; restore it, "
            "choose another directory, or give --force to begin anew."
        )


def _changed_input(entry: SceneEntry, batch: Batch) -> str | None:
    """The first input by name that is not what it was."""
    now = input_fingerprints(batch)
    if entry.inputs == now:
        return None
    return sorted(set(entry.inputs.items()) ^ set(now.items()))[0][0]


def _commit(writer: DatasetWriter, plan: ImportPlan, todo: Sequence[Batch]) -> None:
    try:
        _commit_batches(writer, plan, todo)
        _check_not_empty(writer)
    except BaseException:
        # Without a patch there is nothing to go on with, and other settings must be free to begin here.
        if not any(entry.patches for entry in writer.scenes):
            writer.discard()
        raise


def _commit_batches(writer: DatasetWriter, plan: ImportPlan, todo: Sequence[Batch]) -> None:
    done = len(writer.scenes)
    tasks = [
        BatchTask(batch, plan.config, plan.bands, writer.stage(f"{number:06d}", len(batch.patches)))
        for number, batch in enumerate(todo, start=done)
    ]
    pixels = sum(len(batch.patches) for batch in todo) * plan.size**2
    staged = run_in_order(stage_batch, tasks, count_workers(plan.config.workers, pixels))
    with closing(staged), show_progress("batches", done + len(todo), done) as advance:
        for scene, batch in zip(staged, todo, strict=True):
            writer.commit(scene)
            read = sum(path.stat().st_size for patch in batch.patches for path in (patch.image, patch.mask))
            advance(batch.name, scene.entry.patches, read)


def _check_not_empty(writer: DatasetWriter) -> None:
    if any(entry.patches for entry in writer.scenes):
        return
    dropped = _dropped(writer.scenes)
    reasons = ", ".join(f"{count} for {reason}" for reason, count in dropped.items())
    raise DatasetError(
        f"a dataset needs at least one patch, but all {sum(dropped.values())} patches were dropped ({reasons}); look at "
        "--exclude-nopositive, --exclude-nan, --nodata, --positive-values and --ignore-values."
    )


def _split(writer: DatasetWriter, plan: ImportPlan) -> Path | None:
    """Write the split file, if there are folders to make it of, unless it is there."""
    path = writer.directory / SPLIT_FILE
    if not plan.is_divided:
        return None
    if not (writer.is_complete and path.exists()):
        writer.write_split({patch.name: patch.role for patch in plan.patches})
    return path


def _dropped(entries: Sequence[SceneEntry]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for entry in entries:
        total.update(entry.dropped)
    return dict(sorted(total.items()))


def _result(
    writer: DatasetWriter, plan: ImportPlan, split_file: Path | None, resumed: int, *, already_complete: bool
) -> ImportResult:
    table = read_metadata(writer.directory)
    pixels, ignored = len(table) * plan.size**2, int(table["ignored_pixels"].sum())
    return ImportResult(
        directory=writer.directory,
        bands=plan.bands,
        channels=plan.config.channels,
        n_patches=len(table),
        n_positive_patches=int((~table["empty"].astype(bool)).sum()),
        positive_share=int(table["positive_pixels"].sum()) / max(pixels - ignored, 1),
        ignored_share=ignored / max(pixels, 1),
        n_regions=table["region"].nunique(),
        n_without_place=int(table.geometry.isna().sum()),
        dropped=_dropped(writer.scenes),
        left_out=plan.left_out,
        seen=all_seen([Seen.from_facts(entry.facts) for entry in writer.scenes], len(plan.bands)),
        roles=_count_roles(table["patch_id"], plan),
        split_file=split_file,
        resumed_patches=resumed,
        already_complete=already_complete,
    )


def _count_roles(kept: "pd.Series[str]", plan: ImportPlan) -> dict[str, int]:
    if not plan.is_divided:
        return {}
    names = set(kept)
    counts = Counter(patch.role for patch in plan.patches if patch.name in names)
    return {role: counts[role] for role in ROLES}
