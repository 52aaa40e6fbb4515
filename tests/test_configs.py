"""The example files of sweeps: search spaces that are understood, and a job that the shell understands."""

import subprocess
from pathlib import Path

import pytest

from darts.core.config import read_config_file
from darts.training.config import Hyperparameters
from darts.tune.space import Choice, Constant, Range
from darts.tune.space_files import read_space_file

CONFIGS = Path(__file__).parents[1] / "configs"
JOB = CONFIGS / "sweep.slurm.sh"
SPACES = sorted(CONFIGS.glob("*.yaml"))


REQUIRED = "model_arch model_encoder augment learning_rate gamma focal_loss_alpha focal_loss_gamma batch_size".split()


def test_there_are_two_search_spaces():
    assert [path.name for path in SPACES] == ["hyperparameters.yaml", "sweep.yaml"]


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.name)
def test_a_search_space_can_be_searched(path):
    space = read_space_file(path).space
    assert set(REQUIRED) <= {*space.dimensions} <= {*Hyperparameters.model_fields}
    assert isinstance(space.dimensions["learning_rate"], Range)
    assert isinstance(space.dimensions["batch_size"], Constant)
    assert space.dimensions["augment"] == Choice((True, "flip,rotate90"))
    assert space.point(42, 0) != space.point(42, 1)


def test_both_search_spaces_differ_in_the_scale_of_gamma_alone():
    one, other = (read_space_file(path).space.dimensions for path in SPACES)
    assert {name for name in one if one[name] != other[name]} == {"gamma"}
    assert (one["gamma"].bottom, one["gamma"].top) == (other["gamma"].bottom, other["gamma"].top) == (0.9, 0.99)


def test_the_sweep_file_names_its_sweep_and_how_it_is_searched():
    file = read_space_file(CONFIGS / "sweep.yaml")
    assert (file.name, file.method) == ("s2-first", "random")
    assert file.name == read_config_file(CONFIGS / "sentinel2.toml")["sweep_id"]


@pytest.mark.parametrize("key", ["hpconfig", "sweep_config"])
def test_the_settings_name_search_spaces_that_are_there(key):
    assert (CONFIGS.parent / read_config_file(CONFIGS / "sentinel2.toml")[key]).is_file()


def test_the_job_is_understood_by_the_shell():
    subprocess.run(["bash", "-n", JOB], check=True, timeout=10)
    refused = subprocess.run(
        ["bash", JOB], check=False, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=10
    )
    assert refused.returncode != 0
    assert "DARTS_SWEEP_DB" in refused.stderr


def test_the_job_passes_the_signal_of_slurm_on():
    text = JOB.read_text()
    assert "#SBATCH --signal=B:TERM@" in text
    assert "\nexec .venv/bin/darts optuna-sweep-smp " in text
