"""Options of a whole run: what each changes in what is left."""

import json
import shutil
import tomllib

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from darts import training
from darts.core.artifacts import RunDirectory
from darts.core.errors import CheckpointError, ConfigError, ModelError, RunError
from darts.dataset.reader import open_dataset
from darts.training import DartsDataModule, convert_lightning_checkpoint, load_from_run, load_model
from darts.training.checkpoint import load_checkpoint
from darts.training.config import DataConfig, parse_options
from factories import make_dataset


def state(path):
    return load_checkpoint(path)["state_dict"]


def roles(run):
    return pd.read_parquet(RunDirectory(run.directory).split)


def test_every_nth_epoch_is_kept_and_few_patches_validate(train, tmp_path):
    run = train(tmp_path, max_epochs=3, save_every_n_epochs=2, limit_val_patches=2, check_val_every_n_epoch=3)
    kept = sorted(path.name for path in RunDirectory(run.directory).checkpoints.iterdir())
    assert kept == ["best.ckpt", "epoch-0001.ckpt", "last.ckpt"]
    assert load_checkpoint(RunDirectory(run.directory).checkpoints / "epoch-0001.ckpt")["epoch"] == 1
    counted = pd.read_parquet(RunDirectory(run.directory).confusion).query("region == '(all)'")
    assert counted[["tp", "fp", "fn", "tn"]].to_numpy().sum() == 6 * 64 * 61, "the best checkpoint is measured on all"


def test_tensorboard_gets_event_files(train, tmp_path):
    run = train(tmp_path, max_epochs=1, tensorboard=True)
    assert list((run.directory / "tensorboard").glob("events.out.tfevents.*"))


def test_the_mean_of_the_weights_is_what_is_saved_and_tested(train, tmp_path):
    """With one validation after the last epoch, best is the mean of the ends of epochs 2 and 3."""
    settings = {"max_epochs": 3, "check_val_every_n_epoch": 3, "early_stopping_patience": 0, "lr_schedule": "none"}
    plain = train(tmp_path / "plain", save_every_n_epochs=1, **settings)
    averaged = train(tmp_path / "swa", swa=True, swa_start=0.4, **settings)
    ends = [state(RunDirectory(plain.directory).checkpoints / f"epoch-000{epoch}.ckpt") for epoch in (1, 2)]
    saved = state(averaged.checkpoint)
    for name, tensor in saved.items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, (ends[0][name] + ends[1][name]) / 2, msg=name)
    tested = training.test_smp(run_id=averaged.run_id, artifact_dir=tmp_path / "swa", device="cpu")
    assert (
        tested.metrics != training.test_smp(run_id=plain.run_id, artifact_dir=tmp_path / "plain", device="cpu").metrics
    )


def test_the_moving_average_lags_behind_the_weights(train, tmp_path):
    settings = {"max_epochs": 2, "check_val_every_n_epoch": 2, "lr_schedule": "none"}
    plain, averaged = (
        train(tmp_path / "plain", **settings),
        train(tmp_path / "ema", ema=True, ema_decay=0.9, **settings),
    )
    checkpoint = load_checkpoint(averaged.checkpoint.with_name("last.ckpt"))
    for name, tensor in state(plain.checkpoint.with_name("last.ckpt")).items():
        assert torch.equal(checkpoint["current_model_state"][name], tensor), name
    assert any(
        not torch.equal(tensor, checkpoint["current_model_state"][name])
        for name, tensor in checkpoint["state_dict"].items()
    )


@pytest.mark.parametrize("method", ["z-score", "min-max", "quantile"])
def test_normalisation_comes_from_train_patches_alone_and_stays_with_the_model(method, train, dataset_dir, tmp_path):
    run = train(tmp_path / "artifacts", max_epochs=1, normalisation=method)
    stored = load_checkpoint(run.checkpoint)["hyper_parameters"]["config"]["normalisation"]
    dataset, table = open_dataset(dataset_dir), roles(run)
    rows = table.loc[table["role"] == "train", "row"]
    seen = [dataset.read_x(row)[:, dataset.read_y(row) != 2].astype(float) for row in rows]
    values = np.concatenate(seen, axis=1)
    expected = {
        "z-score": (values.mean(axis=1), 1 / values.std(axis=1)),
        "min-max": (values.min(axis=1), 1 / np.ptp(values, axis=1)),
        "quantile": (np.quantile(values, 0.01, axis=1), 1 / np.ptp(np.quantile(values, [0.01, 0.99], axis=1), axis=0)),
    }[method]
    np.testing.assert_allclose(stored["offset"], expected[0], atol=3e-5)
    np.testing.assert_allclose(stored["factor"], expected[1], rtol=2e-3)
    converted = convert_lightning_checkpoint(lightning_checkpoint=run.checkpoint, out_directory=tmp_path / "models")
    model, card = load_model(converted.path)
    again, _ = load_from_run(tmp_path / "artifacts", run_id=run.run_id)
    x = torch.rand(1, 5, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(model(x), again(x))
    assert card["normalisation"] == stored
    with pytest.raises(ConfigError, match="use --format directory"):
        convert_lightning_checkpoint(lightning_checkpoint=run.checkpoint, out_directory=tmp_path / "m", format="darts")


def test_several_datasets_train_as_one(train, dataset_dir, tmp_path):
    other = make_dataset(tmp_path / "other", bands=("ndvi", "red", "nir"), scenes=2, regions=("East", "Far"), seed=9)
    run = train(
        tmp_path / "artifacts", train_data_dir=[dataset_dir, other], bands="red,nir,ndvi", max_epochs=1,
        data_split_by="West", total_folds=4, balance_by="dataset", allow_overlap=True,
    )  # fmt: skip
    table = roles(run)
    assert set(table["dataset"]) == {"dataset", "other"}
    assert {"dataset/East", "other/East", "Far"} <= set(table["region"])
    assert len(table) == 24 + 12
    tested = training.test_smp(run_id=run.run_id, artifact_dir=tmp_path / "artifacts", device="cpu")
    assert tested.patches == 6


def test_a_band_that_one_of_several_datasets_lacks_is_refused(train, dataset_dir, tmp_path):
    other = make_dataset(tmp_path / "other", bands=("ndvi", "red"), scenes=1)
    with pytest.raises(ConfigError, match="the dataset has the bands ndvi, red, but not blue"):
        train(tmp_path / "artifacts", train_data_dir=[dataset_dir, other])


def test_the_split_of_a_run_is_a_split_file_for_another(train, tmp_path):
    first = train(tmp_path / "one", max_epochs=1)
    table = RunDirectory(first.directory).split
    again = train(
        tmp_path / "two",
        max_epochs=1,
        split_file=table,
        data_split_method="none",
        data_split_by=(),
        fold_method="kfold",
    )
    assert roles(again).equals(roles(first))
    assert again.metrics == first.metrics


def test_train_patches_that_lie_in_val_too_are_left_out_and_counted(train, tmp_path):
    """The second dataset is the scene in the north once more."""
    directories = [
        make_dataset(tmp_path / "one", seed=3),
        make_dataset(tmp_path / "two", seed=3, scenes=1, regions=("Copy",)),
    ]
    folds = {"data_split_method": "region", "data_split_by": "West", "fold_method": "region-kfold", "total_folds": 4}
    for fold in range(4):
        data = DartsDataModule(train_data_dir=directories, fold=fold, **folds)
        (held_out,) = data.metadata.loc[data.fold_rows.val, "region"].unique()
        twin = {"North": "Copy", "Copy": "North"}.get(held_out)
        dropped = data.metadata.loc[data.division.dropped, "region"]
        assert dropped.tolist() == ([twin] * 6 if twin else [])
        if twin:
            run = train(tmp_path / "artifacts", train_data_dir=directories, fold=fold, max_epochs=1, **folds)
            record = tomllib.loads(RunDirectory(run.directory).config.read_text())["darts"]
            assert record["dropped_for_overlap"] == 6
            assert any("6 patches of train" in line for line in record["audit"])
            assert "6 patches of train" in RunDirectory(run.directory).report.read_text()
            assert twin not in set(roles(run).query("role == 'train'")["region"])


def test_a_positive_share_and_the_length_of_an_epoch_are_kept(train, tmp_path):
    run = train(tmp_path, max_epochs=1, samples_per_epoch=20, positive_fraction=0.9, batch_size=5)
    assert load_checkpoint(run.checkpoint)["global_step"] == 4


def test_auto_weighs_positives_as_background_over_positives(train, dataset_dir, tmp_path):
    one = train(tmp_path / "one", max_epochs=1, loss="bce", pos_weight="auto")
    table = roles(one)
    dataset = open_dataset(dataset_dir)
    ys = np.stack([dataset.read_y(row) for row in table.loc[table["role"] == "train", "row"]])
    weight = float((ys == 0).sum() / (ys == 1).sum())
    other = train(tmp_path / "two", max_epochs=1, loss="bce", pos_weight=weight)
    assert one.metrics == other.metrics


def test_bfloat16_trains(train, tmp_path):
    run = train(tmp_path, max_epochs=1, precision="bf16-mixed")
    assert all(np.isfinite(value) for value in run.metrics.values())
    assert next(iter(state(run.checkpoint).values())).dtype == torch.float32


def test_patches_that_no_stride_fits_are_padded(train, tmp_path):
    make_dataset(tmp_path / "odd", size=50)
    run = train(tmp_path / "artifacts", train_data_dir=tmp_path / "odd", max_epochs=1)
    tested = training.test_smp(run_id=run.run_id, artifact_dir=tmp_path / "artifacts", device="cpu")
    assert {"test/InstanceF1Score", "test/BoundaryIoU", "test/InstanceAveragePrecision"} <= set(tested.metrics)
    directory = RunDirectory(run.directory)
    assert set(pd.read_csv(directory.scenes)["split"]) == {"val", "test"}
    assert json.loads(directory.test_metrics.read_text()) == tested.metrics


FACTORY = """
import torch
from torch import nn

def tiny(in_channels, classes, width=4):
    first = nn.Conv2d(in_channels, width, 3, padding=1)
    return nn.Sequential(first, nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, classes, 1))
"""


def test_a_model_of_the_users_own_trains_and_is_run_again_only_when_it_is_named(train, tmp_path, monkeypatch):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "own_models.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(tmp_path / "code")
    run = train(tmp_path / "artifacts", max_epochs=1, model_factory="own_models:tiny", model_options="width=6")
    kwargs = {"run_id": run.run_id, "artifact_dir": tmp_path / "artifacts", "device": "cpu"}
    with pytest.raises(ModelError, match="--model-factory"):
        training.test_smp(**kwargs)
    assert training.test_smp(**kwargs, model_factory="own_models:tiny").patches == 6
    converted = convert_lightning_checkpoint(
        lightning_checkpoint=run.checkpoint, out_directory=tmp_path / "models", model_factory="own_models:tiny"
    )
    with pytest.raises((ModelError, CheckpointError), match=r"model.factory"):
        load_model(converted.path)
    model, _ = load_model(converted.path, model_factory="own_models:tiny")
    assert model(torch.zeros(1, 5, 64, 64)).shape == (1, 1, 64, 64)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"model_arch": "FPN", "deep_supervision": True}, ModelError, "--deep-supervision needs a decoder with blocks"),
        ({"init_weights": "nowhere.ckpt"}, CheckpointError, "there is no checkpoint file nowhere.ckpt"),
        (
            {"require_positive_in_val": True, "fold_method": "kfold", "total_folds": 18},
            RunError,
            "none with a positive",
        ),
        ({"normalisation": "l2"}, ConfigError, "--normalisation"),
        ({"swa": True, "ema": True}, ConfigError, "--swa and --ema are two ways"),
        ({"loss": "bce + hinge"}, ConfigError, "--loss: a loss is one of focal"),
        ({"positive_fraction": 0.5, "balance_by": "region"}, ConfigError, "each say how often a patch is drawn"),
        ({"balance_by": "nonsense"}, ConfigError, "--balance-by: the metadata has no column nonsense"),
    ],
)
def test_what_can_not_work_is_refused_before_a_folder_is_made(settings, error, message, train, tmp_path):
    with pytest.raises(error, match=message):
        train(tmp_path / "artifacts", **settings)
    assert not (tmp_path / "artifacts").exists() or not list((tmp_path / "artifacts").rglob("config.toml"))


def test_a_setting_that_the_fold_method_does_not_heed_is_said(dataset_dir, caplog):
    data = DartsDataModule(train_data_dir=dataset_dir, fold_method="kfold", group_by="scene_date", block_size_km=5)
    with caplog.at_level("WARNING", logger="darts"):
        assert len(data.fold_rows.train)
    assert "--group-by says nothing to --fold-method kfold, and is passed over." in caplog.text
    assert "--block-size-km says nothing to" in caplog.text


def test_a_dataset_that_moved_is_trained_alike(train, dataset_dir, tmp_path):
    shutil.copytree(dataset_dir, tmp_path / "elsewhere")
    here = train(tmp_path / "one", max_epochs=1)
    there = train(tmp_path / "two", max_epochs=1, train_data_dir=tmp_path / "elsewhere")
    assert here.metrics == there.metrics


def test_beside_a_split_file_nothing_else_divides(tmp_path):
    path = tmp_path / "split.csv"
    for settings in ({"buffer_km": 3, "fold_method": "spatial"}, {"data_split_by": ["north"]}):
        with pytest.raises(ValidationError, match=r"--buffer-km was given, too|--data-split-by means something only"):
            DataConfig(train_data_dir=tmp_path, split_file=path, **settings)
    data = DataConfig(train_data_dir=tmp_path, split_file=path, fold_method="region-kfold")
    assert data.unheeded == ["--fold-method says nothing to --split-file, and is passed over."]
    assert DataConfig(train_data_dir=tmp_path, split_file=path, fold_method="none").unheeded == []


@pytest.mark.parametrize(
    ("text", "value"), [("False", False), ("true", True), ("None", None), ("3", 3), ("scse", "scse"), ("[1,2]", [1, 2])]
)
def test_an_option_of_a_model_means_what_it_says_however_it_is_written(text, value):
    assert parse_options((f"name={text}",)) == {"name": value}
