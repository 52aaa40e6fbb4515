"""From a real scene to a tested model, by the commands that a user types."""

import os
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import rasterio
from shapely.geometry import box

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2400),  # four trainings of a real model on two cores
    pytest.mark.skipif("DARTS_REAL_DATA" not in os.environ, reason="DARTS_REAL_DATA is not set"),
]


def darts(*arguments: object) -> str:
    command = [sys.executable, "-m", "darts", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_quadrants(scene: Path, path: Path) -> None:
    """Four regions, each a quarter of the scene."""
    with rasterio.open(scene / "B02.tif") as band:
        west, south, east, north = band.bounds
        crs = band.crs
    x, y = (west + east) / 2, (south + north) / 2
    quarters = {
        "north-west": box(west, y, x, north),
        "north-east": box(x, y, east, north),
        "south-west": box(west, south, x, y),
        "south-east": box(x, south, east, y),
    }
    gpd.GeoDataFrame({"shapeName": list(quarters)}, geometry=list(quarters.values()), crs=crs).to_file(path)


def test_bare_ground_is_found_in_quarters_that_the_model_has_not_seen(tmp_path):
    """Bare ground from five bands; the intersections and unions of four held-out quarters are pooled."""
    scene = Path(os.environ["DARTS_REAL_DATA"]) / "s2_l2a_fort_mcmurray"
    write_quadrants(scene, tmp_path / "quadrants.gpkg")
    dataset, artifacts = tmp_path / "dataset", tmp_path / "artifacts"
    darts(
        "preprocess-s2-train-data",
        *("--sentinel2-dir", scene, "--train-data-dir", dataset, "--admin-dir", tmp_path / "quadrants.gpkg"),
        *("--bands", "blue,green,red,nir,swir16", "--patch-size", 64, "--overlap", 0, "--s2-offset", 0),
        *("--scl-ignore", "0,1,2,3,7,8,9,10"),
    )
    for fold in range(4):
        darts(
            "train-smp",
            *("--train-data-dir", dataset, "--artifact-dir", artifacts, "--device", "cpu"),
            *("--fold-method", "region-kfold", "--total-folds", 4, "--fold", fold),
            *("--model-encoder", "resnet18", "--max-epochs", 4, "--check-val-every-n-epoch", 4),
            *("--loss", "bce + dice", "--lr-schedule", "one-cycle", "--normalisation", "z-score"),
        )
    table = pd.concat(map(pd.read_parquet, artifacts.rglob("confusion.parquet")))
    held_out = table[(table["split"] == "val") & (table["region"] == "(all)")]
    assert len(held_out) == 4
    tp, fp, fn = held_out[["tp", "fp", "fn"]].sum()
    assert tp / (tp + fp + fn) >= 0.85


def test_water_is_found_in_groups_of_ready_patches_that_the_model_has_not_seen(tmp_path):
    """One fold of five, with what the recipes recommend; `benchmarks/water.py` compares all of them."""
    water = Path(os.environ["DARTS_REAL_DATA"]) / "water_hls"
    dataset, artifacts = tmp_path / "dataset", tmp_path / "artifacts"
    darts(
        "import-patches",
        *("--images-dir", water / "images", "--masks-dir", water / "masks", "--groups-file", water / "groups.json"),
        *("--bands", "coastal,blue,green,red,nir,swir16,swir22", "--scale", 1e-4, "--no-exclude-nan"),
        *("--train-data-dir", dataset),
    )
    darts(
        "train-smp",
        *("--train-data-dir", dataset, "--artifact-dir", artifacts, "--device", "cpu", "--model-encoder", "resnet18"),
        *("--fold-method", "region-stratified", "--loss", "bce + dice", "--lr-schedule", "one-cycle"),
        *("--normalisation", "z-score", "--max-epochs", 3, "--check-val-every-n-epoch", 3, "--num-workers", 1),
    )
    (run,) = (artifacts / "_runs").iterdir()
    counts = pd.read_parquet(run / "confusion.parquet").query("region == '(all)'").iloc[0]
    assert counts["tp"] / (counts["tp"] + counts["fp"] + counts["fn"]) > 0.6
    roles = pd.read_parquet(run / "split.parquet").query("role != 'test'")
    assert roles.groupby("region")["role"].nunique().max() == 1, "no group is on both sides"
