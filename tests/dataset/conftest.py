"""A small finished dataset, and how to look at and write one."""

import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from shapely.geometry import Point, box

from darts.core.bands import get_bands
from darts.dataset.journal import SceneEntry
from darts.dataset.writer import open_writer
from factories import BANDS, make_dataset, patch_pair

LOCKS = {".lock", ".lock-holder.json"}
SIZE = 16


def tree(directory: Path) -> dict[str, bytes | None]:
    """Every file of a directory and its content, and every empty folder; locks aside."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.is_file() and name not in LOCKS:
            found[name] = path.read_bytes()
        elif path.is_dir() and not any(path.iterdir()):
            found[name] = None
    return found


def chunk_file(directory: Path, array: str, row: int) -> Path:
    """Where zarr keeps the chunk of a sample."""
    return directory / "data.zarr" / array / "c" / str(row) / ("0/0/0" if array == "x" else "0/0")


def row_of(index: int, scene: str = "scene", region: str = "North") -> dict:
    """The columns of a patch that don't follow from its pixels."""
    return {
        "patch_id": f"{scene}-{index}",
        "sample_id": scene,
        "region": region,
        "scene_date": None if index % 2 else "2021-07-01",
        "row": 0,
        "column": index * SIZE,
        "crs": "EPSG:32608",
        "geometry": box(index, 0, index + 1, 1),
    }


def points(*places: tuple[float, float], crs: str = "EPSG:4326", **columns) -> gpd.GeoDataFrame:
    """Labels."""
    return gpd.GeoDataFrame({"number": range(len(places)), **columns}, geometry=[Point(*p) for p in places], crs=crs)


def writer_of(directory: Path, *, bands=BANDS, size=SIZE, **settings):
    """Open a writer as `make_dataset` does."""
    return open_writer(directory, get_bands(bands), size, 0, {"made_by": "tests", **settings})


def stage_scene(writer, number: int, patches: int):
    """Stage a scene that depends on its number alone."""
    rng = np.random.default_rng(number)
    stage = writer.stage(f"{number:06d}", patches)
    for index in range(patches):
        stage.add(*patch_pair(rng, size=SIZE, empty=index == 1), row_of(index, f"scene-{number}"))
    entry = SceneEntry(f"scene-{number}", {"image.tif": number}, dropped={"dark": number}, facts={"offset": -1000.0})
    return stage.finish(entry, points(*[(number, index) for index in range(number)]))


def write_scenes(directory: Path, patches_of_scenes: list[int]) -> Path:
    """Write the scenes that are not there yet, and finish."""
    with writer_of(directory) as writer:
        if not writer.is_complete:
            for number in range(len(writer.scenes), len(patches_of_scenes)):
                writer.commit(stage_scene(writer, number, patches_of_scenes[number]))
            writer.finish()
    return directory


@pytest.fixture(scope="session")
def pristine(tmp_path_factory) -> Path:
    """Six samples of two scenes; not to be changed."""
    return make_dataset(tmp_path_factory.mktemp("pristine") / "dataset", scenes=2, patches=3, size=SIZE)


@pytest.fixture
def dataset_dir(pristine, tmp_path) -> Path:
    """A copy of the pristine dataset, to be broken."""
    return shutil.copytree(pristine, tmp_path / "dataset")
