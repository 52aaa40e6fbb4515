"""One dataset and one tiny trained run for all tests that only look at them."""

import shutil
from pathlib import Path

import pytest

from factories import make_dataset

ENCODER = "tu-test_resnet.r160_in1k"


@pytest.fixture(scope="session")
def dataset_dir(tmp_path_factory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "dataset")


@pytest.fixture(scope="session")
def train(dataset_dir):
    """Train a tiny model; keywords replace the defaults."""
    from darts.training import train_smp

    def run(artifact_dir: Path, **settings):
        defaults = {
            "train_data_dir": dataset_dir,
            "data_split_method": "region",
            "data_split_by": "West",
            "fold_method": "region-kfold",
            "total_folds": 3,
            "model_encoder": ENCODER,
            "max_epochs": 2,
            "check_val_every_n_epoch": 1,
            "artifact_dir": artifact_dir,
            "device": "cpu",
        }
        return train_smp(**{**defaults, **settings})

    return run


@pytest.fixture(scope="session")
def trained_once(train, tmp_path_factory):
    """A finished run of three epochs, validated every second; look, don't touch."""
    return train(tmp_path_factory.mktemp("artifacts"), run_name="first", max_epochs=3, check_val_every_n_epoch=2)


@pytest.fixture
def trained(trained_once, tmp_path):
    """A copy of the finished run: (artifact directory, run id)."""
    shutil.copytree(trained_once.directory.parents[1], tmp_path / "artifacts")
    return tmp_path / "artifacts", trained_once.run_id
