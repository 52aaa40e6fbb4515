"""A sweep is made once, and joined only by those who mean the same."""

import json

import optuna
import pytest

from darts.core.errors import ConfigError, ModelError, SweepError
from darts.tune import crossvalidation, optuna_sweep_smp
from darts.tune.storage import database_url, open_storage
from factories import make_dataset

from .fakes import fake_run


@pytest.fixture
def sweep(tiny, space_file, tmp_path, monkeypatch):
    """Calls `optuna_sweep_smp` with a training that takes no time."""
    monkeypatch.setattr(crossvalidation, "run", fake_run())
    words = {name: value for name, value in tiny.items() if name not in ("model_encoder", "device")}

    def call(**more):
        return optuna_sweep_smp(**words | {"n_randoms": 1, "n_trials": 1, "sweep_config": space_file} | more)

    call.words = words
    return call


def record_of(tmp_path, name="tiny"):
    storage = open_storage(database_url(f"sqlite:///{tmp_path}/artifacts/sweeps.db", {}, None))
    return optuna.load_study(study_name=name, storage=storage)


# --- what --sweep-id and --device decide together


def test_new_and_run(sweep):
    result = sweep(device="cpu")
    assert (result.name, result.is_new, result.finished) == ("tiny", True, (0,))


def test_new_without_trials(sweep, tmp_path):
    result = sweep()
    assert (result.is_new, result.finished) == (True, ())
    assert record_of(tmp_path).get_trials() == []


def test_an_id_that_does_not_exist_names_the_new_sweep(sweep):
    assert sweep(sweep_id="mine").name == "mine"
    assert sweep(sweep_id="other", device="cpu").finished == (0,)


def test_join_and_run(sweep):
    sweep(sweep_id="mine")
    result = sweep(sweep_id="mine", device="cpu")
    assert (result.is_new, result.finished) == (False, (0,))


def test_join_without_a_device_is_an_error(sweep):
    sweep(sweep_id="mine")
    with pytest.raises(ConfigError, match=r"the sweep mine exists, .* add --device 0"):
        sweep(sweep_id="mine")


def test_a_name_in_the_file_that_is_taken_is_an_error(sweep):
    sweep(device="cpu")
    with pytest.raises(
        SweepError, match=r"there is a sweep 'tiny' already; go on with it by its name \(--sweep-id tiny"
    ):
        sweep(device="cpu")


def test_without_a_name_it_is_random_and_readable(sweep, space_file):
    space_file.write_text(space_file.read_text().replace("name: tiny", ""))
    names = {sweep().name, sweep().name}
    assert all(name.count("-") == 1 for name in names)


def test_a_new_sweep_needs_a_search_space(sweep):
    with pytest.raises(ConfigError, match=r"there is no sweep 'gone' in sqlite.*--sweep-config"):
        sweep(sweep_id="gone", sweep_config="none", device="cpu")


# --- joining


def test_who_joins_takes_the_settings_of_the_sweep(sweep, tiny, tmp_path):
    first = sweep(sweep_id="mine", device="cpu")
    place = {name: tiny[name] for name in ("train_data_dir", "artifact_dir")}
    second = optuna_sweep_smp(**place, sweep_id="mine", device="cpu", n_trials=1)
    assert second.finished == (1,)
    names = {spec.run_name for spec in crossvalidation.run.specs}
    assert names == {f"mine-cv{k}-run-f{fold}s42" for k in (0, 1) for fold in (0, 1)}
    assert {spec.trainer.max_epochs for spec in crossvalidation.run.specs} == {1}
    assert first.directory == second.directory


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"max_epochs": 7},
            r"the sweep mine keeps the settings it was started with, but --max-epochs was 1, and is now 7",
        ),
        ({"scoring_metric": "val/Recall"}, r"--scoring-metric was"),
        ({"n_randoms": 2}, r"--n-randoms was 1"),
        ({"data_split_by": "East"}, r"--data-split-by was \['West'\], and is now \['East'\]"),
        ({"pruner": "wilcoxon"}, r"keeps the pruner it was started with, none, but got wilcoxon"),
        ({"learning_rate": 0.5}, r"--learning-rate was"),
        ({"n_trials": "grid"}, r"keeps the method it was started with, random, but got grid"),
    ],
    ids=str,
)
def test_who_means_something_else_may_not_join(change, message, sweep):
    sweep(sweep_id="mine")
    with pytest.raises(ConfigError, match=message):
        sweep(**{"sweep_id": "mine", "device": "cpu"} | change)


def test_another_search_space_is_refused_naming_what_is_other(sweep, space_file):
    sweep(sweep_id="mine")
    space_file.write_text(space_file.read_text().replace("0.9", "0.95"))
    with pytest.raises(ConfigError, match=r"has another focal_loss_alpha; leave the file out"):
        sweep(sweep_id="mine", device="cpu")


def test_another_dataset_is_refused(sweep, tmp_path):
    sweep(sweep_id="mine")
    other = make_dataset(tmp_path / "other", scenes=4, patches=3, size=32, seed=9)
    with pytest.raises(ConfigError, match="was started with a dataset whose fingerprint is"):
        sweep(sweep_id="mine", device="cpu", train_data_dir=other)


def test_places_may_differ(sweep):
    sweep(sweep_id="mine")
    assert sweep(sweep_id="mine", device="cpu", num_workers=2, in_memory=True).finished == (0,)


def test_a_study_of_somebody_else_is_left_alone(sweep, tmp_path):
    (tmp_path / "artifacts").mkdir()
    storage = open_storage(database_url(f"sqlite:///{tmp_path}/artifacts/sweeps.db", {}, None))
    optuna.create_study(storage=storage, study_name="theirs").ask()
    with pytest.raises(SweepError, match="was not made by darts"):
        sweep(sweep_id="theirs", device="cpu")


def test_a_sweep_whose_maker_died_in_between_is_made_again(sweep, tmp_path):
    (tmp_path / "artifacts").mkdir()
    storage = open_storage(database_url(f"sqlite:///{tmp_path}/artifacts/sweeps.db", {}, None))
    optuna.create_study(storage=storage, study_name="mine", direction="maximize")
    assert sweep(sweep_id="mine", device="cpu").is_new


# --- what is checked and kept


def test_the_total_is_kept_and_may_be_raised(sweep, tmp_path):
    assert sweep(sweep_id="mine", device="cpu", n_trials=9, total_trials=2).finished == (0, 1)
    assert sweep(sweep_id="mine", device="cpu", n_trials=9).finished == ()
    assert sweep(sweep_id="mine", device="cpu", n_trials=9, total_trials=3).finished == (2,)
    assert sweep(sweep_id="mine", device="cpu", n_trials=9, total_trials=2).finished == ()
    assert record_of(tmp_path, "mine").user_attrs["total_trials"] == 3


def test_the_record_says_what_the_sweep_is(sweep, tmp_path):
    sweep(sweep_id="mine", device="cpu")
    record = record_of(tmp_path, "mine").user_attrs["darts"]
    assert record["scoring_metric"] == ["val/JaccardIndex:higher"]
    assert (record["method"], record["seed"], record["runs_per_trial"]) == ("random", 42, 2)
    assert record["settings"]["max_epochs"] == 1
    assert "device" not in record["settings"]
    assert "sweep_db" not in json.dumps(record)


def test_flags_win_over_the_metric_of_the_file(sweep, tmp_path):
    sweep(sweep_id="mine", scoring_metric="val/Recall")
    assert record_of(tmp_path, "mine").user_attrs["darts"]["scoring_metric"] == ["val/Recall:higher"]


def test_every_model_of_the_space_is_tried_before_anything_is_made(sweep, space_file, tmp_path):
    space_file.write_text(
        space_file.read_text().replace("{value: tu-test_resnet.r160_in1k}", "{values: [resnet18, nonsense]}")
    )
    with pytest.raises(ModelError, match="nonsense"):
        sweep(device="cpu")
    assert not list((tmp_path / "artifacts").glob("tiny*"))
    storage = open_storage(database_url(f"sqlite:///{tmp_path}/artifacts/sweeps.db", {}, None))
    assert optuna.get_all_study_names(storage) == []


def test_a_grid_of_ranges_is_refused(sweep):
    with pytest.raises(ConfigError, match="a grid tries every combination of choices and constants"):
        sweep(n_trials="grid", device="cpu")


def test_bands_and_augment_can_be_swept(sweep, space_file):
    space_file.write_text(
        "hyperparameters:\n"
        "  bands: [[blue, green], [red, nir, ndvi]]\n"
        "  augment: ['flip,rotate90', false]\n"
        "  model_encoder: tu-test_resnet.r160_in1k\n"
    )
    assert sweep(sweep_id="mine", device="cpu", n_trials="grid").finished == (0, 1, 2, 3)
    seen = {(spec.data.bands, spec.hyperparameters.augment) for spec in crossvalidation.run.specs}
    assert seen == {
        (bands, augment)
        for bands in (("blue", "green"), ("red", "nir", "ndvi"))
        for augment in (("flip", "rotate90"), ())
    }  # fmt: skip
