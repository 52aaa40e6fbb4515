"""Staging some ready patches, in whichever process: read, scale, label, filter."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj.exceptions import CRSError, ProjError
from rasterio.features import shapes
from shapely.geometry.base import BaseGeometry

from darts.core.bands import Band
from darts.core.errors import SceneError
from darts.core.files import file_fingerprint
from darts.dataset.journal import SceneEntry
from darts.dataset.places import on_the_globe
from darts.dataset.schema import IGNORE, POSITIVE
from darts.dataset.writer import SceneStage, StagedScene
from darts.preprocess.features import fill
from darts.preprocess.importing.arrays import read_layers
from darts.preprocess.importing.config import ImportConfig
from darts.preprocess.importing.files import PatchFiles
from darts.preprocess.importing.values import Seen, all_seen, label_codes, look_at, physical_values, scaled_values
from darts.preprocess.patches import MISSING_VALUES, NO_POSITIVE
from darts.preprocess.scenes import Grid

NO_LABEL = "no labelled pixel"
_WGS84 = "EPSG:4326"


@dataclass(frozen=True, slots=True)
class Batch:
    """Patches that are committed at once.

    Attributes
    ----------
    name
        Unique in the dataset.
    patches, regions
        The files of each patch, and its region.
    """

    name: str
    patches: tuple[PatchFiles, ...]
    regions: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class BatchTask:
    """All that a process needs to stage a batch."""

    batch: Batch
    config: ImportConfig
    bands: tuple[Band, ...]
    stage: SceneStage


@dataclass(frozen=True, slots=True, eq=False)
class ReadyPatch:
    """A patch as it is read.

    Attributes
    ----------
    x
        float32 (bands, h, w) in [0, 1], NaN where there is no value.
    y
        Label codes, uint8 (h, w).
    grid
        Where its pixels lie, as the image or else the mask says; None if neither does.
    seen
        What its numbers are.
    """

    x: np.ndarray
    y: np.ndarray
    grid: Grid | None
    seen: Seen


def read_patch(files: PatchFiles, config: ImportConfig, bands: tuple[Band, ...]) -> ReadyPatch:
    """Read the image and the mask of a patch.

    Raises
    ------
    SceneError
        When one of them is damaged, or they lie at different places.
    """
    image, mask = read_layers(files.image, config.channels), read_layers(files.mask, (1,))
    if image.grid and mask.grid and not _is_same_place(image.grid, mask.grid):
        raise SceneError(
            f"image and mask of a patch lie on the same ground, but {files.image} and {files.mask} don't; cut one of them "
            "anew, or remove its reference system."
        )
    values, numbers = physical_values(image, config), mask.numbers[0]
    return ReadyPatch(
        x=scaled_values(values, bands),
        y=label_codes(numbers, np.isnan(values).any(axis=0), config),
        grid=image.grid or mask.grid,
        seen=look_at(values, numbers, bands, config.positive_values),
    )


def _is_same_place(grid: Grid, other: Grid) -> bool:
    """Whether the corners of two grids are nearer to each other than half a pixel."""
    if grid.crs != other.crs:
        return False
    corners = [(0, 0), (grid.width, 0), (0, grid.height), (grid.width, grid.height)]
    moved = np.array([~grid.transform @ (other.transform @ corner) for corner in corners])
    return bool((np.abs(moved - corners) < 0.5).all())


def input_fingerprints(batch: Batch) -> dict[str, str]:
    """A hash of every file of a batch, and of the regions of its patches.

    Raises
    ------
    SceneError
        When a file is gone, or can't be read.
    """
    try:
        return {
            name: value
            for patch, region in zip(batch.patches, batch.regions, strict=True)
            for name, value in (
                (f"image of {patch.name}", file_fingerprint(patch.image)),
                (f"mask of {patch.name}", file_fingerprint(patch.mask)),
                (f"group of {patch.name}", region),
            )
        }
    except OSError as error:
        raise SceneError(f"{error.filename} can't be read ({error.strerror}); check the file.") from None


def stage_batch(task: BatchTask) -> StagedScene:
    """Read the patches of a batch, and stage those that are kept; runs in any process.

    Raises
    ------
    SceneError
        When a file is damaged.
    """
    batch, config, bands = task.batch, task.config, task.bands
    inputs = input_fingerprints(batch)
    dropped: Counter[str] = Counter()
    seen, labels = [], []
    for files, region in zip(batch.patches, batch.regions, strict=True):
        patch = read_patch(files, config, bands)
        seen.append(patch.seen)
        reason = reason_to_drop(patch, config)
        if reason is not None:
            dropped[reason] += 1
            continue
        row, polygons = _row_and_labels(files.name, region, patch)
        task.stage.add(fill(patch.x, bands), patch.y, row)
        labels.append(polygons)
    kept = [part for part in labels if len(part)]
    table = pd.concat(kept, ignore_index=True) if kept else _labels((), batch.name)
    entry = SceneEntry(
        scene_id=batch.name,
        inputs=inputs,
        dropped=dict(sorted(dropped.items())),
        labels=len(table),
        facts=all_seen(seen, len(bands)).as_facts(),
    )
    return task.stage.finish(entry, table)


def reason_to_drop(patch: ReadyPatch, config: ImportConfig) -> str | None:
    """Why a patch is not kept, or None; the first rule that holds.

    Labels may be as sparse as they like: whoever made the patches chose them. Only what has none is of no use.
    """
    if (patch.y == IGNORE).all():
        return NO_LABEL
    if config.exclude_nopositive and not (patch.y == POSITIVE).any():
        return NO_POSITIVE
    if config.exclude_nan and bool(np.isnan(patch.x).any()):
        return MISSING_VALUES
    return None


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """Where a patch lies.

    Attributes
    ----------
    crs
        As the file names it; "" where the place isn't known.
    outline
        In WGS84, or None.
    areas
        Its positive areas, in WGS84.
    """

    crs: str = ""
    outline: BaseGeometry | None = None
    areas: tuple[BaseGeometry, ...] = ()


def _row_and_labels(name: str, region: str, patch: ReadyPatch) -> tuple[dict[str, Any], gpd.GeoDataFrame]:
    """The columns of a patch that don't follow from its pixels, and its labels."""
    place = _Place() if patch.grid is None else _place(patch.y, patch.grid)
    row = {
        "patch_id": name,
        "sample_id": name,
        "region": region,
        "scene_date": None,
        "row": 0,
        "column": 0,
        "crs": place.crs,
        "geometry": place.outline,
    }
    return row, _labels(place.areas, name)


def _labels(areas: Sequence[BaseGeometry], name: str) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"sample_id": [name] * len(areas)}, geometry=list(areas), crs=_WGS84)


def _place(y: np.ndarray, grid: Grid) -> _Place:
    """The place of a patch with the label codes y (h, w); none if its reference system leads to no place on the Earth."""
    positive = (y == POSITIVE).astype(np.uint8)
    areas = [shapely.geometry.shape(area) for area, _ in shapes(positive, positive == 1, transform=grid.transform)]
    try:
        placed = gpd.GeoSeries([grid.outline(), *areas], crs=grid.crs.to_wkt()).to_crs(_WGS84)
    except (CRSError, ProjError):
        return _Place()
    if not np.isfinite(placed.bounds.to_numpy()).all():
        return _Place()
    outline, *labels = placed
    return _Place(grid.crs.to_string(), on_the_globe(outline), tuple(map(on_the_globe, labels)))
