"""Making the patches of one scene, in whichever process: read, label, cut, filter, stage."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np

from darts.core.errors import SceneError
from darts.core.files import file_fingerprint
from darts.dataset.journal import SceneEntry
from darts.dataset.places import on_the_globe
from darts.dataset.schema import IGNORE, POSITIVE
from darts.dataset.writer import SceneStage, StagedScene
from darts.preprocess.auxiliary_bands import auxiliary_bands
from darts.preprocess.blocks import BLOCK_ROWS, windows_with_values
from darts.preprocess.config import PatchConfig
from darts.preprocess.features import Recipe, fill, normalise, optical_channel
from darts.preprocess.labels import burn, burn_mapped, count_pixels, eroded, mask_bad_pixels
from darts.preprocess.patches import Window, patch_windows, reason_to_drop
from darts.preprocess.plan import ScenePlan
from darts.preprocess.regions import region_of
from darts.preprocess.scenes import INVALID, Block, SceneReader

WITHOUT_PIXEL, IN_NO_PATCH = "labels_without_pixel", "labels_in_no_patch"
"""Facts that the journal holds of a scene."""
_COPIES = 8
"""Of the elevation around a block, while its surroundings are averaged."""
_PROCESS_BYTES = 350 * 2**20
"""What a process takes before it has read anything."""


@dataclass(frozen=True, slots=True, eq=False)
class SceneTask:
    """All that a process needs to make the patches of one scene."""

    plan: ScenePlan
    recipe: Recipe
    reader: SceneReader[Any]
    stage: SceneStage
    patches: PatchConfig
    all_touched: bool
    cache: Path | None


def bytes_needed(task: SceneTask) -> int:
    """About how much memory the patches of a scene take to make."""
    height, width = task.plan.files.grid.shape
    channels = len(task.recipe.bands)
    block = 4 * width * min(BLOCK_ROWS, height)
    held = channels * (2 * block + 4 * width * min(task.patches.patch_size, height))
    read = block * (2 * len(task.recipe.measured) + 3 * len(task.recipe.terrain + task.recipe.trends) + 4)
    margin = task.plan.auxiliary.margin(task.plan.files.grid)
    around = 4 * (width + 2 * margin) * (min(BLOCK_ROWS, height) + 2 * margin) - block if margin else 0
    return _PROCESS_BYTES + held + read + 4 * height * width + _COPIES * around


def make_patches(task: SceneTask) -> StagedScene:
    """Read one scene, cut it, and stage the patches that are kept; runs in any process.

    A scene that can't be read is staged as a failed one, with the reason.
    """
    plan = task.plan
    try:
        return _stage_scene(task, fingerprints(plan.inputs))
    except SceneError as error:
        return task.stage.fail(SceneEntry(plan.scene_id, failed=str(error)))


def fingerprints(inputs: Mapping[str, Path]) -> dict[str, str]:
    """Name -> a hash of the content.

    Raises
    ------
    SceneError
        When a file is gone, or can't be read.
    """
    try:
        return {name: file_fingerprint(path) for name, path in inputs.items()}
    except OSError as error:
        raise SceneError(f"{error.filename} can't be read ({error.strerror}); check the file.") from None


def _stage_scene(task: SceneTask, inputs: Mapping[str, str]) -> StagedScene:
    plan, grid = task.plan, task.plan.files.grid
    windows = list(patch_windows(*grid.shape, task.patches.patch_size, task.patches.overlap))
    rows = dict(zip(windows, _rows(plan, windows), strict=True))
    dropped: Counter[str] = Counter()
    kept = np.zeros(grid.shape, dtype=bool)
    for window, x_chw, y_hw in _patches(task, windows):
        reason = reason_to_drop(
            x_chw, y_hw, exclude_nopositive=task.patches.exclude_nopositive, exclude_nan=task.patches.exclude_nan
        )
        if reason is None:
            task.stage.add(fill(x_chw, task.recipe.bands), y_hw, rows[window])
            kept[window.slices] |= y_hw == POSITIVE
        else:
            dropped[reason] += 1
    missed, hidden = count_pixels(plan.labels, grid, kept, all_touched=task.all_touched)
    entry = SceneEntry(
        scene_id=plan.scene_id,
        inputs=dict(inputs),
        dropped=dict(sorted(dropped.items())),
        labels=len(plan.labels),
        facts={
            **plan.files.facts,
            **_sun(plan),
            "transform": list(grid.transform)[:6],
            WITHOUT_PIXEL: missed,
            IN_NO_PATCH: hidden,
        },
    )
    return task.stage.finish(entry, plan.labels.assign(sample_id=plan.scene_id))


def _sun(plan: ScenePlan) -> dict[str, Any]:
    """The sun that hillshade was computed for, and where it comes from."""
    if "hillshade" not in plan.auxiliary.terrain:
        return {}
    sun = plan.auxiliary.sun
    return {"sun": [sun.azimuth, sun.elevation], "sun_from": "metadata" if plan.files.sun else "default"}


def _patches(task: SceneTask, windows: Sequence[Window]) -> Iterator[tuple[Window, np.ndarray, np.ndarray]]:
    """Each window with x, float32 (bands, size, size) in [0, 1] with NaN, and y, uint8 (size, size)."""
    plan, grid = task.plan, task.plan.files.grid
    codes = burn(plan.labels, grid, all_touched=task.all_touched)
    codes[~burn_mapped(plan.mapped, grid)] = IGNORE
    quality = np.full(grid.shape, INVALID, dtype=np.uint8)

    def read(block: Block) -> np.ndarray:
        return _read_block(task, block, quality)

    radius = task.patches.mask_erosion_size
    for window, x_chw in windows_with_values(grid.height, windows, read, rows_below=radius + 1 if radius else 0):
        good = eroded(quality, window, radius)
        yield window, x_chw, mask_bad_pixels(codes[window.slices], good)


def _read_block(task: SceneTask, block: Block, quality: np.ndarray) -> np.ndarray:
    """All channels of some rows, float32 (bands, rows, width) in [0, 1] with NaN; enters their quality."""
    plan, recipe = task.plan, task.recipe
    rows = task.reader.read(plan.files, recipe.measured, block)
    quality[block.start : block.stop] = rows.quality
    others = auxiliary_bands(plan.auxiliary, plan.files.grid, block, task.cache)
    x = np.empty((len(recipe.bands), block.height, plan.files.grid.width), dtype=np.float32)
    for channel, band in zip(x, recipe.bands, strict=True):
        known = others.get(band.name)
        values = optical_channel(band.name, rows.bands, rows.quality, recipe) if known is None else known
        normalise(values, band, channel)
    return x


def _rows(plan: ScenePlan, windows: Sequence[Window]) -> list[dict[str, Any]]:
    """The columns of each patch that don't follow from its pixels."""
    files, grid = plan.files, plan.files.grid
    outlines = gpd.GeoSeries([grid.outline(w.row, w.column, w.size, w.size) for w in windows], crs=grid.crs)
    return [
        {
            "patch_id": f"{files.scene_id}_{window.row}_{window.column}",
            "sample_id": files.scene_id,
            "region": region_of(outline, plan.regions, files.place),
            "scene_date": files.date.isoformat() if files.date else None,
            "row": window.row,
            "column": window.column,
            "crs": grid.crs.to_string(),
            "geometry": on_the_globe(place),
        }
        for window, outline, place in zip(windows, outlines, outlines.to_crs("EPSG:4326"), strict=True)
    ]
