"""The sweep that people of the older program have: its two files as they are, but for paths and sizes."""

import tomllib

import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState
from typer.testing import CliRunner

from darts.cli.app import app
from darts.core.errors import ModelError
from darts.tune.models import check_space, model_specs
from darts.tune.space_files import read_space_file
from darts.tune.storage import database_url, open_storage
from factories import make_dataset
from runners import settings_for
from studies import PLANET_SWEEP

CONFIG = """
[darts.wandb]
wandb-project = "darts"
wandb-entity = "your-wandb-username"

[darts.sweep]
n-trials = 2
sweep-db = "{database}"
n_folds = 2
n_randoms = 1
sweep-id = "sweep-cv-large-planet"

[darts.training]
num-workers = 0
max-epochs = 1
log-every-n-steps = 100
check-val-every-n-epoch = 5
plot-every-n-val-epochs = 4
early-stopping-patience = 0

[darts.hyperparameters]
batch-size = 2
augment = true

[darts.training_preprocess]
ee-project = "your-ee-project"
tpi-outer-radius = 100
tpi-inner-radius = 0
bands = [
    'blue', 'green', 'red', 'nir', 'ndvi', 'tc_brightness', 'tc_greenness', 'tc_wetness', 'relative_elevation', 'slope',
]
patch-size = 224
overlap = 0
exclude-nopositive = false
exclude-nan = false
test-val-split = 0.05
test-regions = ['Taymyrsky Dolgano-Nenetsky District']

[darts.paths]
data-dir = "/large-storage/planet_data"
labels-dir = "../ML_training_labels/retrogressive_thaw_slumps"
arcticdem-dir = "/large-storage/darts-nextgen/data/datacubes/arcticdem"
tcvis-dir = "/large-storage/darts-nextgen/data/datacubes/tcvis"
admin-dir = "/large-storage/darts-nextgen/data/aux/admin"
train-data-dir = "{dataset}"
preprocess-cache = "/large-storage/darts-nextgen/data/cache"
sweep-config = "{sweep}"
artifact-dir = "{artifacts}"
"""
BANDS = tuple(tomllib.loads(CONFIG.replace("{", "").replace("}", ""))["darts"]["training_preprocess"]["bands"])


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Six patches of 224 pixels with ten bands."""
    return make_dataset(tmp_path_factory.mktemp("wide") / "dataset", scenes=2, patches=3, size=224, bands=BANDS)


@pytest.fixture
def sweep_file(tmp_path):
    path = tmp_path / "planet-tcvis-sweep.yaml"
    path.write_text(PLANET_SWEEP)
    return path


@pytest.mark.slow
def test_its_twenty_models_take_ten_bands_at_224_pixels(wide, sweep_file, tmp_path):
    settings, space = settings_for(wide, tmp_path), read_space_file(sweep_file).space
    specs = [spec for spec, _ in model_specs(settings, space)]
    assert len({(spec.arch, spec.encoder_name) for spec in specs}) == 20
    assert {spec.in_channels for spec in specs} == {10}
    check_space(settings, space)


@pytest.mark.slow
def test_at_256_pixels_the_one_that_can_not_is_named_before_any_training(sweep_file, tmp_path):
    data = make_dataset(tmp_path / "dataset", scenes=2, patches=2, size=256, bands=BANDS)
    with pytest.raises(ModelError, match=r"tu-maxvit_tiny_rw_224 .* can't take patches of 256 pixels"):
        check_space(settings_for(data, tmp_path), read_space_file(sweep_file).space)


@pytest.mark.slow
def test_its_files_drive_a_sweep_on_postgresql(wide, sweep_file, postgres, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    database, artifacts = postgres.new_database(), tmp_path / "artifacts"
    config = tmp_path / "planet-sweep-config.toml"
    config.write_text(CONFIG.format(database=database, dataset=wide, sweep=sweep_file, artifacts=artifacts))
    words = ["optuna-sweep-smp", "--config-file", str(config)]
    made = CliRunner().invoke(app, words)
    assert made.exit_code == 0, made.output
    assert "the sweep id is sweep-cv-large-planet" in made.stdout
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 2, again.output
    assert "add --device 0" in again.stderr
    done = CliRunner().invoke(app, [*words, "--device", "cpu"])
    assert done.exit_code == 0, done.output

    storage = open_storage(database_url(database, {}, None))
    study = optuna.load_study(study_name="sweep-cv-large-planet", storage=storage)
    trials = study.get_trials(deepcopy=False)
    space = read_space_file(sweep_file).space
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 2
    assert [trial.params for trial in trials] == [space.point(42, k) for k in (0, 1)]
    assert study.user_attrs["darts"]["scoring_metric"] == ["val/JaccardIndex:higher"]
    for trial in trials:
        folder = artifacts / "sweep-cv-large-planet" / f"sweep-cv-large-planet-cv{trial.number}"
        table = pd.read_parquet(folder / "run_infos.parquet")
        assert list(zip(table["fold"], table["seed"], strict=True)) == [(0, 42), (1, 42)]
        assert trial.value == pytest.approx(table["val/JaccardIndex"].mean())
