"""What a run leaves of a validation or a test: tables by region and by scene, and figures."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from darts.core.artifacts import RunDirectory
from darts.core.files import write_atomically, write_text
from darts.training.augment import preview
from darts.training.datamodule import PatchDataModule
from darts.training.figures import draw_augmentations, draw_statistics
from darts.training.metrics import Statistics, metrics_table
from darts.training.run_figures import AUGMENTATIONS_PREVIEW
from darts.training.run_record import ALL_REGIONS
from darts.training.sample_figures import choose_samples

PREVIEWS = 5


def write_stage(directory: RunDirectory, stage: str, statistics: Statistics, metadata: pd.DataFrame) -> None:
    """Write and draw what was counted in a stage (`val` or `test`), in the place of what an earlier one left.

    Parameters
    ----------
    metadata
        Of all rows that were counted.
    """
    regions, scenes = (_names(metadata, column, len(statistics.confusion)) for column in ("region", "sample_id"))
    parts = {ALL_REGIONS: statistics.total()} | statistics.by(regions)
    counts = pd.DataFrame([{"split": stage, "region": name, **asdict(part)} for name, part in parts.items()])
    before = pd.read_parquet(directory.confusion) if directory.confusion.exists() else None
    counts = _joined(before, counts)
    write_atomically(directory.confusion, lambda path: counts.to_parquet(path, index=False))
    for path, column, names in ((directory.regions, "region", regions), (directory.scenes, "scene", scenes)):
        _write_table(path, stage, metrics_table(statistics, names).rename(columns={"name": column}))
    draw_statistics(statistics, stage, directory.figures)


def _names(metadata: pd.DataFrame, column: str, rows: int) -> np.ndarray:
    """The value of a column for each row that can be counted; rows that aren't in use have none."""
    return metadata[column].astype(str).reindex(range(rows), fill_value="").to_numpy(dtype=object)


def _write_table(path: Path, stage: str, table: pd.DataFrame) -> None:
    table.insert(0, "split", stage)
    before = pd.read_csv(path, dtype=str, keep_default_na=False) if path.exists() else None
    write_text(path, _joined(before, table).to_csv(index=False, lineterminator="\n"))


def _joined(before: pd.DataFrame | None, now: pd.DataFrame) -> pd.DataFrame:
    if before is None:
        return now
    return pd.concat([before[~before["split"].isin(now["split"])], now], ignore_index=True)


def draw_preview(data: PatchDataModule, directory: RunDirectory) -> None:
    """Draw one train patch as it is, and as augmentation changes it; nothing without augmentation."""
    if not data.augmentations:
        return
    row = choose_samples(data.metadata, data.fold_rows.train, 1)[0]
    size = data.dataset.patch_size
    x, y = np.empty((len(data.bands), size, size), np.float32), np.empty((size, size), np.uint8)
    data.dataset.read_into(row, data.dataset.channel_indices(data.bands), x, y)
    changed = preview(x, y, data.augmentations, data.settings.random_seed, PREVIEWS)
    draw_augmentations([(x, y), *changed], data.bands, directory.figures / AUGMENTATIONS_PREVIEW)
