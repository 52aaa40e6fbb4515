"""Making the patches of one scene, in whichever process: read, label, cut, filter, stage."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np

from darts.dataset.journal import SceneEntry
from darts.dataset.writer import SceneStage, StagedScene
from darts.preprocess.auxiliary import region_of
from darts.preprocess.config import LabelConfig, PatchConfig
from darts.preprocess.features import compute_band, fill, measured_bands, normalise
from darts.preprocess.labels import burn, count_without_pixel, erode, mask_bad_pixels
from darts.preprocess.patches import Window, patch_windows, reason_to_drop
from darts.preprocess.plan import ScenePlan
from darts.preprocess.scenes import Scene, SceneReader


@dataclass(frozen=True, slots=True, eq=False)
class SceneTask:
    """All that a process needs to make the patches of one scene."""

    plan: ScenePlan
    reader: SceneReader[Any]
    stage: SceneStage
    labels: LabelConfig
    patches: PatchConfig


def make_patches(task: SceneTask) -> StagedScene:
    """Read one scene, cut it, and stage the patches that are kept; runs in any process.

    Raises
    ------
    SceneError
        When a file of the scene is damaged.
    """
    plan, labels, grid = task.plan, task.plan.labels, task.plan.files.grid
    missed = count_without_pixel(labels, grid, all_touched=task.labels.all_touched)
    scene = task.reader.read(plan.files, measured_bands(task.patches.bands))
    quality = erode(scene.quality, task.patches.mask_erosion_size)
    y = mask_bad_pixels(burn(labels, grid, all_touched=task.labels.all_touched), quality)
    windows = list(patch_windows(*grid.shape, task.patches.patch_size, task.patches.overlap))
    dropped: Counter[str] = Counter()
    for window, row in zip(windows, _rows(plan, scene, windows), strict=True):
        reason = _stage_patch(task, scene, y, window, row)
        if reason:
            dropped[reason] += 1
    entry = SceneEntry(
        scene_id=plan.scene_id,
        inputs=dict(plan.inputs),
        dropped=dict(sorted(dropped.items())),
        labels=len(labels),
        facts={**plan.files.facts, "labels_without_pixel": missed},
    )
    return task.stage.finish(entry, labels.assign(sample_id=plan.scene_id))


def _stage_patch(task: SceneTask, scene: Scene, y: np.ndarray, window: Window, row: Mapping[str, Any]) -> str | None:
    """Stage one patch, or say why it is dropped."""
    bands = task.stage.bands
    cut = {name: values[window.slices] for name, values in scene.bands.items()}
    x_chw = np.stack([normalise(compute_band(band.name, cut), band) for band in bands])
    y_hw = np.ascontiguousarray(y[window.slices])
    reason = reason_to_drop(
        x_chw, y_hw, exclude_nopositive=task.patches.exclude_nopositive, exclude_nan=task.patches.exclude_nan
    )
    if reason is None:
        task.stage.add(fill(x_chw, bands), y_hw, row)
    return reason


def _rows(plan: ScenePlan, scene: Scene, windows: Sequence[Window]) -> list[dict[str, Any]]:
    """The columns of each patch that don't follow from its pixels."""
    grid = scene.grid
    outlines = gpd.GeoSeries([grid.outline(w.row, w.column, w.size, w.size) for w in windows], crs=grid.crs)
    return [
        {
            "patch_id": f"{scene.scene_id}_{window.row}_{window.column}",
            "sample_id": scene.scene_id,
            "region": region_of(outline, plan.regions, plan.files.folder.name),
            "scene_date": scene.date.isoformat() if scene.date else None,
            "row": window.row,
            "column": window.column,
            "crs": grid.crs.to_string(),
            "geometry": place,
        }
        for window, outline, place in zip(windows, outlines, outlines.to_crs("EPSG:4326"), strict=True)
    ]
