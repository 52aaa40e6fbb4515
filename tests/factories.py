"""Small things that many tests need."""

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path, PosixPath
from typing import Any

import geopandas as gpd
import numpy as np
from shapely.geometry import Point, box

from darts.core.bands import get_bands
from darts.dataset.inspection.reading import read_patches
from darts.dataset.journal import SceneEntry
from darts.dataset.reader import Dataset
from darts.dataset.schema import IGNORE, POSITIVE
from darts.dataset.writer import open_writer

BANDS = ("blue", "green", "red", "nir", "ndvi")


def patch_pair(rng: np.random.Generator, *, bands: int = 5, size: int = 64, empty: bool = False):
    """A learnable patch: a bright disk on noise is positive, a stripe at the edge is ignored."""
    x = rng.random((bands, size, size), dtype=np.float32) * 0.4
    y = np.zeros((size, size), np.uint8)
    if not empty:
        i, j = np.mgrid[:size, :size]
        center, radius = rng.integers(size // 4, 3 * size // 4, 2), size * rng.uniform(0.12, 0.25)
        disk = (i - center[0]) ** 2 + (j - center[1]) ** 2 < radius**2
        y[disk] = POSITIVE
        x[:, disk] += 0.4
    y[:, :3] = IGNORE
    return x, y


def make_dataset(
    directory: Path,
    *,
    scenes: int = 4,
    patches: int = 6,
    size: int = 64,
    bands: Sequence[str] = BANDS,
    regions: Sequence[str] = ("North", "South", "East", "West"),
    empty: Callable[[int], bool] = lambda index: index % 3 == 0,
    seed: int = 0,
) -> Path:
    """A finished dataset; scene s lies in region s, and patch i of a scene is empty where `empty(i)`."""
    rng = np.random.default_rng(seed)
    with open_writer(directory, get_bands(bands), size, 0, {"made_by": "tests"}) as writer:
        for scene in range(scenes):
            stage = writer.stage(f"scene-{scene}", patches)
            for index in range(patches):
                x, y = patch_pair(rng, bands=len(bands), size=size, empty=empty(index))
                row = {
                    "patch_id": f"scene-{scene}-{index}",
                    "sample_id": f"scene-{scene}",
                    "region": regions[scene % len(regions)],
                    "scene_date": "2021-07-01",
                    "row": 0,
                    "column": index * size,
                    "crs": "EPSG:32608",
                    "geometry": box(scene, index, scene + 1, index + 1),
                }
                stage.add(x, y, row)
            labels = gpd.GeoDataFrame({"sample_id": [f"scene-{scene}"]}, geometry=[Point(scene, 0)], crs="EPSG:4326")
            writer.commit(stage.finish(SceneEntry(f"scene-{scene}"), labels))
        writer.finish()
    return directory


def problems_of(dataset: Dataset) -> list[str | None]:
    """Of each sample, the rule that it breaks."""
    return [reading.broken for reading, _ in read_patches(dataset)]


def nextgen_checkpoint(state: dict[str, Any]) -> dict:
    """As darts-nextgen writes it: a time and paths among the hyperparameters."""
    return {
        "state_dict": {f"model.{name}": tensor for name, tensor in state.items()},
        "hyper_parameters": {
            "config": {
                "model": {
                    "arch": "Unet",
                    "encoder_name": "tu-test_resnet.r160_in1k",
                    "encoder_weights": None,
                    "in_channels": 2,
                    "classes": 1,
                },
                "bands": ["red", "nir"],
                "time": datetime.datetime(2025, 5, 6, 12, 30),  # noqa: DTZ001 -- as it was written
            },
            "learning_rate": 1e-3,
            "run_name": "old",
            "data_dir": PosixPath("/data"),
        },
    }
