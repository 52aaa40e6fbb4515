"""Running commands, and what every failure has in common."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio import Affine
from shapely.geometry import box
from typer.testing import CliRunner

from darts.cli.app import app
from factories import make_dataset


def run(*arguments, app=app, columns=100):
    """Invoke a command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": str(columns)})


def fails(result, code: int) -> str:
    """The one line that a failed command ends with, after checking that it is one and that nothing else is said."""
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert result.exit_code == code, result.output
    assert [line.startswith("error: ") for line in lines].count(True) == 1, result.stderr
    assert lines[-1].startswith("error: ")
    assert "Traceback" not in result.output
    assert "this is a bug" not in lines[-1]
    return lines[-1]


def succeeds(result) -> str:
    """What a command printed, after checking that it went well."""
    assert result.exit_code == 0, result.output
    assert "error:" not in result.output
    return result.stdout


def listing(folder: Path) -> set[str]:
    """Every path below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """Twelve patches of 32 pixels in four regions; not to be changed."""
    return make_dataset(tmp_path_factory.mktemp("cli") / "dataset", scenes=4, patches=3, size=32)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """A folder with one Sentinel-2 scene of 64 pixels and one label."""
    root = tmp_path_factory.mktemp("scenes")
    folder = root / "shore"
    folder.mkdir()
    numbers = np.random.default_rng(0).integers(1, 6000, (4, 64, 64)).astype(np.uint16)
    place = {"crs": "EPSG:32608", "transform": Affine(10, 0, 500_000, 0, -10, 7_600_000), "height": 64, "width": 64}
    stem = folder / "20210818T223529_N0301_T03WXP"
    with rasterio.open(f"{stem}_SR_clip.tif", "w", driver="GTiff", count=4, dtype="uint16", **place) as target:
        target.write(numbers)
    with rasterio.open(f"{stem}_SCL_clip.tif", "w", driver="GTiff", count=1, dtype="uint8", **place) as target:
        target.write(np.full((1, 64, 64), 5, np.uint8))
    slump = box(500_100, 7_599_700, 500_300, 7_599_900)
    gpd.GeoDataFrame({"name": ["a"]}, geometry=[slump], crs="EPSG:32608").to_file(f"{stem}.gpkg")
    return root
