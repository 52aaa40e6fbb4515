"""The plan of a cross-validation is the same for whoever makes it."""

import pytest

from darts.core.errors import ConfigError, ModelError, RunError
from darts.training.config import DatasetConfig, FitConfig, Hyperparameters, LoggingConfig
from darts.tune.config import CrossValidationConfig
from darts.tune.plan import VAL_METRICS, CrossValidationSettings, check_cross_validation, plan_cross_validation, seeds

from .conftest import ENCODER


def settings(dataset_dir, tmp_path, *, cv=None, data=None, **hyperparameters):
    return CrossValidationSettings(
        DatasetConfig(train_data_dir=dataset_dir, **{"total_folds": 3, **(data or {})}),
        Hyperparameters(**{"model_encoder": ENCODER, **hyperparameters}),
        FitConfig(device="cpu"),
        LoggingConfig(artifact_dir=tmp_path / "artifacts"),
        CrossValidationConfig(**(cv or {})),
    )


def test_seeds_begin_with_42_21_69_and_go_on_the_same_way():
    assert seeds(1) == [42]
    assert seeds(3) == [42, 21, 69]
    assert seeds(8)[:5] == seeds(5)
    assert len(set(seeds(100))) == 100


def test_a_plan_is_folds_x_seeds_with_names_that_say_so(dataset_dir, tmp_path):
    plan = plan_cross_validation(settings(dataset_dir, tmp_path, cv={"n_folds": 2, "n_randoms": 2}), "a-cv3", "a")
    assert [spec.run_name for spec in plan.runs] == [f"a-cv3-run-f{f}s{s}" for f in (0, 1) for s in (42, 21)]
    assert [(spec.data.fold, spec.trainer.random_seed) for spec in plan.runs] == [(0, 42), (0, 21), (1, 42), (1, 21)]
    assert len({spec.run_id for spec in plan.runs}) == 4
    first = plan.runs[0]
    assert first.directory.path == tmp_path / "artifacts" / "a" / "a-cv3" / f"a-cv3-run-f0s42-{first.run_id}"


def test_a_cross_validation_by_itself_has_a_folder_of_its_own(dataset_dir, tmp_path):
    plan = plan_cross_validation(settings(dataset_dir, tmp_path), "b")
    assert plan.directory.path == tmp_path / "artifacts" / "_cross_validations" / "b"
    assert len(plan.runs) == 9  # all folds, three seeds


def test_a_fold_method_without_folds_has_one(dataset_dir, tmp_path):
    plan = plan_cross_validation(settings(dataset_dir, tmp_path, data={"fold_method": "none"}), "b")
    assert [spec.data.fold for spec in plan.runs] == [0, 0, 0]


def test_more_folds_than_there_are_and_unknown_metrics_are_refused(dataset_dir, tmp_path):
    with pytest.raises(ConfigError, match=r"--n-folds 4 asks for more folds than the 3"):
        plan_cross_validation(settings(dataset_dir, tmp_path, cv={"n_folds": 4}), "b")
    with pytest.raises(ConfigError, match=r"no run has 'val/IoU'; there are val/loss"):
        plan_cross_validation(settings(dataset_dir, tmp_path, cv={"scoring_metric": "val/IoU"}), "b")


def test_what_can_be_scored_is_what_a_run_measures():
    assert set(VAL_METRICS) == {
        f"val/{name}"
        for name in "loss Accuracy Precision Recall Specificity NegativePredictiveValue F1Score JaccardIndex CohenKappa "
        "HammingDistance AUROC AveragePrecision".split()
    }


def test_a_point_changes_hyperparameters_and_bands(dataset_dir, tmp_path):
    base = settings(dataset_dir, tmp_path, batch_size=4)
    point = {"learning_rate": 0.5, "bands": "red,nir", "augment": "flip,rotate90", "focal_loss_alpha": None}
    there = base.at(point)
    assert there.hyperparameters.learning_rate == 0.5
    assert there.hyperparameters.augment == ("flip", "rotate90")
    assert there.hyperparameters.batch_size == 4
    assert there.data.bands == ("red", "nir")
    assert base.data.bands == ()
    with pytest.raises(ConfigError, match="--learning-rate"):
        base.at({"learning_rate": -1})


def test_every_fold_and_the_model_are_checked_before_anything_is_trained(dataset_dir, tmp_path):
    check_cross_validation(plan_cross_validation(settings(dataset_dir, tmp_path), "b"))
    too_many = {"fold_method": "region-kfold", "total_folds": 9}
    with pytest.raises(RunError, match="needs at least 9 regions"):
        check_cross_validation(plan_cross_validation(settings(dataset_dir, tmp_path, data=too_many), "b"))
    with pytest.raises(ModelError, match="resnet18"):
        check_cross_validation(plan_cross_validation(settings(dataset_dir, tmp_path, model_encoder="resnet180"), "b"))
    assert not (tmp_path / "artifacts").exists()
