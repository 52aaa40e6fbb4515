"""The recommended recipes, as they stand, but for paths and size: from scenes to a trained model, by the commands."""

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from darts.cli.app import app
from darts.core.artifacts import find_runs
from darts.core.config import read_config_file
from darts.sample import make_sample_data
from darts.training.config import Hyperparameters, parse_loss

CONFIGS = Path(__file__).parents[1] / "configs"
S2, PLANET = "recipe-sentinel2-few-labels.toml", "recipe-planet.toml"
SMALL = [
    *("--model-encoder", "tu-test_resnet.r160_in1k", "--max-epochs", "1", "--samples-per-epoch", "12"),
    *("--batch-size", "4", "--device", "cpu", "--num-workers", "1"),
]


def darts(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result


def preprocessing(name, sample):
    """The command that makes a recipe's dataset, and where its inputs are; scenes of Sentinel-2 have labels beside them."""
    if name == S2:
        return [
            *("preprocess-s2-train-data", "--sentinel2-dir", sample.sentinel2_dir, "--labels-dir", "none"),
            *("--admin-dir", sample.admin_dir),
        ]
    return [
        *("preprocess-planet-train-data", "--data-dir", sample.planet_dir, "--labels-dir", sample.labels_dir),
        *("--arcticdem-dir", sample.arcticdem_dir, "--tcvis-dir", sample.tcvis_dir, "--admin-dir", sample.admin_dir),
    ]


@pytest.mark.parametrize("name", [S2, PLANET])
def test_a_recipe_says_what_the_docs_recommend(name):
    settings = read_config_file(CONFIGS / name)
    chosen = Hyperparameters(**{key: value for key, value in settings.items() if key in Hyperparameters.model_fields})
    assert parse_loss(chosen.loss) == ((1.0, "bce"), (1.0, "dice"))
    assert (chosen.lr_schedule, chosen.normalisation, settings["early_stopping_patience"]) == (
        "one-cycle",
        "z-score",
        0,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [(S2, 320), (PLANET, 640)])
def test_a_recipe_trains_for_an_epoch(name, size, tmp_path):
    sample = make_sample_data(output_dir=tmp_path / "sample", scenes=4, size=size)
    config = ["--config-file", CONFIGS / name, "--train-data-dir", tmp_path / "dataset"]
    darts(*preprocessing(name, sample), *config, "--patch-size", 64, "--overlap", 0, "--workers", 1)
    regions = sorted(pd.read_parquet(tmp_path / "dataset" / "metadata.parquet", columns=["region"])["region"].unique())
    split = ["--data-split-by", regions[0], "--total-folds", 2]
    darts("train-smp", *config, *split, *SMALL, "--artifact-dir", tmp_path / "artifacts", "--run-name", "first")
    (run,) = find_runs(tmp_path / "artifacts")
    assert run.is_finished
    assert run.report.exists()
