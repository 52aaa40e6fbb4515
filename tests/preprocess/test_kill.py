"""Preprocessing that is killed or stopped, and started again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from darts.core.errors import DatasetError
from darts.dataset.journal import read_journal
from darts.preprocess import preprocess_s2_train_data

from .conftest import write_stack_scene

SCENES = 8
SEED = 20_211
KILLS = 20
LOCKS = {".lock", ".lock-holder.json"}

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp("scenes")
    for seed in range(SCENES):
        # One of the scenes has no date, so that tables with and without dates are joined.
        stem = "a_b_c" if seed == 3 else "20210818T223529_N0301_T03WXP"
        write_stack_scene(root, f"scene_{seed}", height=448, width=320, seed=seed, stem=stem)
    return root


def settings(scenes, out):
    return {"sentinel2_dir": str(scenes), "train_data_dir": str(out), "patch_size": 64, "workers": 2, "s2_offset": 0}


def start(scenes, out, **options):
    code = (
        "import json, sys\nfrom darts.preprocess import preprocess_s2_train_data\n"
        "preprocess_s2_train_data(**json.loads(sys.argv[1]))\n"
    )
    command = [sys.executable, "-c", code, json.dumps(settings(scenes, out))]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)


def committed(out: Path) -> int:
    try:
        journal = read_journal(out)
    except DatasetError:
        return 0
    return len(journal.scenes) if journal else 0


def wait_for(condition, process, *, seconds=120):
    end = time.monotonic() + seconds
    while not condition() and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.005)


def children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def tree(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file() and path.name not in LOCKS)
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def test_killed_at_twenty_random_instants(scenes, tmp_path, record_property):
    """Kill -9, then the same command: every byte is that of an undisturbed run."""
    started = time.monotonic()
    preprocess_s2_train_data(**settings(scenes, tmp_path / "undisturbed"))
    per_scene = (time.monotonic() - started) / SCENES
    undisturbed = tree(tmp_path / "undisturbed")
    rng = np.random.default_rng(SEED)
    kills: list[int] = []
    for trial in range(80):
        if len(kills) == KILLS:
            break
        out = tmp_path / f"killed-{trial}"
        scenes_before = 0 if len(kills) < 2 else int(rng.integers(1, SCENES))
        process = start(scenes, out)
        wait_for(lambda out=out, n=scenes_before: committed(out) >= n and out.exists(), process)
        time.sleep(rng.uniform(0, per_scene / 2))
        process.kill()
        if process.wait() != -signal.SIGKILL:
            continue  # it had finished before
        kills.append(committed(out))
        preprocess_s2_train_data(**settings(scenes, out))
        assert tree(out) == undisturbed, f"seed {SEED}, trial {trial}, killed after {kills} commits"
    record_property("scenes committed at each kill", kills)
    assert len(kills) == KILLS
    assert sum(count > 0 for count in kills) >= KILLS // 2, f"seed {SEED}, killed after {kills} commits"


@pytest.mark.parametrize("how", ["ctrl-c", "kill"])
def test_no_process_is_left_behind(scenes, tmp_path, how):
    process = start(scenes, tmp_path / "out", start_new_session=True)
    wait_for(lambda: committed(tmp_path / "out") >= 1, process)
    workers = children(process.pid)
    assert len(workers) >= 2
    if how == "ctrl-c":
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.kill()
    process.wait(timeout=30)
    time.sleep(1)
    assert not [pid for pid in workers if is_alive(pid)]
