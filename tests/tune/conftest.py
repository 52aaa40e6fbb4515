"""A dataset, a search space, and the settings of tiny cross-validations."""

from pathlib import Path

import pytest

from factories import make_dataset

ENCODER = "tu-test_resnet.r160_in1k"

SPACE = f"""
name: tiny
method: random
metric: {{name: val0/JaccardIndex, goal: maximize}}
parameters:
  learning_rate: {{min: 0.0001, max: 0.01, distribution: log_uniform_values}}
  focal_loss_alpha: {{min: 0.5, max: 0.9}}
  model_encoder: {{value: {ENCODER}}}
"""

GRID = f"""
hyperparameters:
  learning_rate: [0.001, 0.002, 0.003, 0.004]
  gamma: [0.9, 0.95, 0.99]
  focal_loss_alpha: [none, 0.8]
  model_encoder: {ENCODER}
"""


@pytest.fixture(scope="session")
def dataset_dir(tmp_path_factory) -> Path:
    """Twelve patches of 32 pixels in four regions; not to be changed."""
    return make_dataset(tmp_path_factory.mktemp("tune") / "dataset", scenes=4, patches=3, size=32)


@pytest.fixture
def space_file(tmp_path) -> Path:
    path = tmp_path / "space.yaml"
    path.write_text(SPACE)
    return path


@pytest.fixture
def grid_file(tmp_path) -> Path:
    path = tmp_path / "grid.yaml"
    path.write_text(GRID)
    return path


@pytest.fixture
def tiny(dataset_dir, tmp_path) -> dict:
    """Settings of a cross-validation of four runs, as keywords."""
    return {
        "train_data_dir": dataset_dir,
        "data_split_method": "region",
        "data_split_by": "West",
        "fold_method": "region-kfold",
        "total_folds": 2,
        "n_randoms": 2,
        "model_encoder": ENCODER,
        "max_epochs": 1,
        "check_val_every_n_epoch": 1,
        "artifact_dir": tmp_path / "artifacts",
        "device": "cpu",
    }
