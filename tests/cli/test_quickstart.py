"""The quickstart: learnable, not trivial, the same everywhere, and done once."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from darts.cli.quickstart import TEST_REGION, Places
from darts.dataset.reader import open_dataset
from darts.dataset.schema import IGNORE, POSITIVE


def quickstart(folder: Path) -> str:
    command = [sys.executable, "-m", "darts", "quickstart", "--output-dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def contents(folder: Path) -> dict[str, int]:
    return {
        str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and ".lock" not in path.name
    }


def metrics(folder: Path) -> dict[str, float]:
    (path,) = Places(folder).artifacts.rglob("test_metrics.json")
    return json.loads(path.read_text())


def best_threshold(values: np.ndarray, positive: np.ndarray) -> float:
    """The highest IoU that one threshold, from above or below, reaches."""
    total = positive.sum()
    cuts = np.quantile(values, np.linspace(0.001, 0.999, 400))
    scores = []
    for predicted in (values[None] > cuts[:, None], values[None] < cuts[:, None]):
        hits = (predicted & positive).sum(axis=1)
        scores.append((hits / (predicted.sum(axis=1) + total - hits)).max())
    return float(max(scores))


@pytest.mark.slow
def test_the_quickstart_learns_what_no_threshold_finds_and_is_the_same_everywhere(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    said = quickstart(first)
    assert "test/JaccardIndex" in said
    assert "Next: " in said
    assert metrics(first)["test/JaccardIndex"] >= 0.6

    dataset = open_dataset(Places(first).dataset)
    rows = dataset.metadata.index[dataset.metadata["region"] == TEST_REGION]
    y = np.stack([dataset.read_y(row) for row in rows])
    x = np.stack([dataset.read_x(row) for row in rows], axis=1)
    for band in x:
        assert best_threshold(band[y != IGNORE][::7], (y == POSITIVE)[y != IGNORE][::7]) < 0.4

    quickstart(second)
    assert metrics(second) == metrics(first)

    before = contents(first)
    assert quickstart(first).count("there already") == 5
    assert contents(first) == before
