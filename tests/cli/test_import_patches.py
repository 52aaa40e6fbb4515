"""`import-patches`, as a user types it: what it says, what to type next, and how it fails."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.main import get_command

from darts.cli.app import app
from darts.core.config import build_config
from darts.dataset.check import check_structure
from darts.dataset.journal import read_metadata
from darts.preprocess.importing.config import ImportConfig
from darts.training.split_files import read_split_file

from .conftest import fails, listing, run, succeeds

SIZE = 16


def write(root, names):
    rng = np.random.default_rng(0)
    for name in names:
        for folder, array in (
            ("images", rng.integers(1, 4000, (4, SIZE, SIZE)).astype(np.int16)),
            ("masks", (rng.random((SIZE, SIZE)) < 0.25).astype(np.uint8)),
        ):
            path = root / folder / f"{name}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, array)
    return root


def import_patches(root, *more, columns=200):
    return run(
        "import-patches", "--images-dir", root / "images", "--masks-dir", root / "masks", "--bands", "blue,nir",
        "--image-bands", "1,4", "--scale", "0.0001", "--train-data-dir", root / "out", *more, columns=columns,
    )  # fmt: skip


def test_it_counts_what_was_imported_and_says_what_it_cant_know(tmp_path):
    write(tmp_path, ["a", "b", "c"])
    lines = succeeds(import_patches(tmp_path)).splitlines()
    assert lines[0].startswith(f"{tmp_path / 'out'}: 3 patches in 3 regions, 3 with positives (")
    assert any("nir" in line and "4" in line and "-0.1 to 0.5" in line and "0.00%" in line for line in lines)
    assert "numbers in the masks: 0, 1" in lines
    assert lines[-3] == (
        "3 patches have no CRS: overlap on the ground can't be checked; --groups-file keeps those of one place together."
    )
    assert lines[-1] == f"Next: darts inspect-dataset --train-data-dir {tmp_path / 'out'}"
    assert check_structure(tmp_path / "out").manifest.band_names == ("blue", "nir")
    again = succeeds(import_patches(tmp_path))
    assert again.startswith(f"{tmp_path / 'out'} was complete already, nothing to do: 3 patches.")


def test_with_groups_the_groups_are_what_keeps_places_together(tmp_path):
    write(tmp_path, ["a", "b"])
    (tmp_path / "groups.json").write_text('{"a": 1, "b": 1}')
    text = succeeds(import_patches(tmp_path, "--groups-file", tmp_path / "groups.json"))
    assert "2 patches in 1 regions" in text
    assert "the groups of --groups-file keep those of one place together" in text


def test_folders_lead_to_a_training_with_their_split(tmp_path):
    write(tmp_path, ["train/a", "train/b", "val/c", "test/d"])
    lines = succeeds(import_patches(tmp_path)).splitlines()
    counts = [line for line in lines if line.endswith(" patches")]
    assert counts == ["train: 2 patches", "val: 1 patches", "test: 1 patches"]
    out, split_file = tmp_path / "out", tmp_path / "out" / "split.parquet"
    assert lines[-1] == f"Next: darts train-smp --train-data-dir {out} --split-file {split_file}"
    read = read_split_file(split_file, read_metadata(out))
    (fold,) = read.folds
    assert (fold.train.tolist(), fold.val.tolist(), read.split.test.tolist()) == ([0, 1], [2], [3])
    assert read.doubts == ()


def test_folders_that_cant_be_trained_with_are_said_to_be_so(tmp_path):
    write(tmp_path, ["train/a", "test/d"])
    text = succeeds(import_patches(tmp_path))
    assert "split.parquet can't be trained with: no patch is for val." in text
    assert "Next: darts inspect-dataset" in text


def test_a_dry_run_says_what_was_found_and_writes_nothing(tmp_path):
    write(tmp_path, ["train/a", "val/b"])
    before = listing(tmp_path)
    text = succeeds(import_patches(tmp_path, "--dry-run", "--scale", "0.001"))
    assert f"would import 2 patches of {SIZE} pixels in 2 regions into {tmp_path / 'out'}" in text
    assert "train: 1 patches" in text
    assert "so much was seen in 2 of them:" in text
    assert "-0.1 to 0.5" in text
    assert "warning: more than 1% of the values of some bands lie outside of their range" in text
    assert listing(tmp_path) == before


def test_what_was_dropped_is_said(tmp_path):
    write(tmp_path, ["a", "b"])
    np.save(tmp_path / "masks" / "b.npy", np.zeros((SIZE, SIZE)))
    assert "dropped 1 patches: no positive pixel." in succeeds(import_patches(tmp_path, "--exclude-nopositive"))


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (("--bands", "swir1", "--image-bands", "2"), 2, "'swir1' has no usual range; give --band-ranges swir1:lo:hi"),
        (("--positive-values", "one"), 2, "--positive-values"),
        (
            ("--bands", "red", "--image-bands", "9"),
            1,
            "images have the channel 9 that --bands or --image-bands asks for, but 2 of 2 differ",
        ),
        (("--masks-dir", "nowhere"), 1, "--masks-dir must be a folder, but there is no folder nowhere"),
        (("--groups-file", "nowhere.json"), 1, "--groups-file nowhere.json must be JSON"),
        (
            ("--exclude-nopositive", "--positive-values", "5"),
            1,
            "a dataset needs at least one patch, but all 2 patches",
        ),
    ],
)
def test_a_failure_is_one_line(tmp_path, more, code, message):
    write(tmp_path, ["a", "b"])
    assert message in fails(import_patches(tmp_path, *more), code)


def test_a_config_file_does_as_the_flags(tmp_path):
    write(tmp_path, ["a", "b"])
    succeeds(import_patches(tmp_path, "--nodata", "-9999", "--ignore-values", "7,8"))
    first = pd.read_parquet(tmp_path / "out" / "metadata.parquet")
    result = run(
        "import-patches", "--config-file", tmp_path / "out" / "config.toml", "--train-data-dir", tmp_path / "again"
    )
    succeeds(result)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "again" / "metadata.parquet"), first)


def guide_commands():
    """Every `darts import-patches` that the guide shows, as words."""
    text = (Path(__file__).parents[2] / "docs" / "guides" / "importing.md").read_text(encoding="utf-8")
    blocks = [block.replace("\\\n", " ") for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [shlex.split(line)[2:] for line in lines if line.startswith("darts import-patches")]


def test_the_guide_shows_settings_that_are_understood():
    commands = guide_commands()
    assert len(commands) == 4
    for words in commands:
        command = get_command(app).commands["import-patches"]
        given = {
            name: value
            for name, value in command.make_context("import-patches", words).params.items()
            if name in ImportConfig.model_fields and value is not None
        }
        build_config(ImportConfig, given)


def test_its_help_imports_nothing_heavy():
    arguments = [sys.executable, "-X", "importtime", "-m", "darts", "import-patches", "--help"]
    result = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=120)
    lines = [line for line in result.stderr.splitlines() if line.startswith("import time:")]
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    assert "darts" in imported
    assert imported & {"torch", "numpy", "pandas", "geopandas", "rasterio", "zarr", "pyarrow", "shapely"} == set()
