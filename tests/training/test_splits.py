"""Splits and folds: laws that hold for every method."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from darts.core.errors import ConfigError, RunError
from darts.training.config import DataConfig
from darts.training.splits import choose_fold, count_roles, make_folds, require_trainable, split_test, subsampled

METHODS = ("kfold", "shuffle", "stratified", "region", "region-stratified", "region-kfold")
GROUPED = ("region", "region-stratified", "region-kfold")


def table(rows: int = 120, regions: int = 8, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "sample_id": [f"scene-{i // 10}" for i in range(rows)],
            "region": [f"region-{rng.integers(regions)}" for _ in range(rows)],
            "empty": rng.random(rows) < 0.6,
        }
    )


def config(**settings) -> DataConfig:
    return DataConfig(train_data_dir=Path("unused"), **settings)


def trainval(**settings) -> tuple[pd.DataFrame, DataConfig]:
    metadata, data = table(), config(data_split_method="random", data_split_by="0.25", **settings)
    return metadata.loc[split_test(metadata, data).trainval], data


def rows_of_folds(method: str) -> list:
    metadata, data = trainval(fold_method=method, total_folds=4)
    return [[fold.train.tolist(), fold.val.tolist()] for fold in make_folds(metadata, data)]


@pytest.mark.parametrize("method", METHODS)
def test_train_and_val_are_disjoint_and_together_are_the_trainval_rows(method):
    metadata, data = trainval(fold_method=method, total_folds=4)
    folds = make_folds(metadata, data)
    assert len(folds) == 4
    for fold in folds:
        assert not set(fold.train) & set(fold.val)
        assert sorted([*fold.train, *fold.val]) == sorted(metadata.index)


@pytest.mark.parametrize("method", [m for m in METHODS if m not in ("shuffle", "region")])
def test_val_sets_are_disjoint_and_cover_all_rows(method):
    metadata, data = trainval(fold_method=method, total_folds=4)
    validated = np.concatenate([fold.val for fold in make_folds(metadata, data)])
    assert sorted(validated) == sorted(metadata.index)


@pytest.mark.parametrize("method", GROUPED)
def test_no_region_is_on_both_sides(method):
    metadata, data = trainval(fold_method=method, total_folds=4)
    for fold in make_folds(metadata, data):
        assert not set(metadata.loc[fold.train, "region"]) & set(metadata.loc[fold.val, "region"])


@pytest.mark.parametrize("method", ["stratified", "shuffle"])
def test_stratified_folds_have_equal_shares_of_empty_patches(method):
    metadata, data = trainval(fold_method=method, total_folds=4)
    overall = metadata["empty"].mean()
    for fold in make_folds(metadata, data):
        assert metadata.loc[fold.val, "empty"].mean() == pytest.approx(overall, abs=0.06)


def test_fold_method_none_validates_on_the_train_rows():
    metadata, data = trainval(fold_method="none")
    fold = choose_fold(metadata, data)
    assert (fold.train == fold.val).all()
    assert sorted(fold.train) == sorted(metadata.index)


def test_folds_are_equal_on_every_call_and_in_every_process():
    code = """
import sys
from tests_of_splits import METHODS, rows_of_folds
for method in METHODS:
    print(method, rows_of_folds(method))
"""
    loader = f"import importlib.util as u, sys; s = u.spec_from_file_location('tests_of_splits', {__file__!r}); "
    loader += "m = u.module_from_spec(s); sys.modules['tests_of_splits'] = m; s.loader.exec_module(m)\n"
    printed = {
        subprocess.run([sys.executable, "-c", loader + code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(printed) == 1
    here = [f"{method} {rows_of_folds(method)}" for method in METHODS]
    assert printed.pop().splitlines() == here


@pytest.mark.parametrize("share", ["0.1", "0.25", "0.5", "0.9"])
def test_random_keeps_the_given_share_for_testing(share):
    metadata = table()
    split = split_test(metadata, config(data_split_method="random", data_split_by=share))
    assert len(split.test) == round(float(share) * len(metadata))
    assert not set(split.test) & set(split.trainval)
    assert sorted([*split.test, *split.trainval]) == sorted(metadata.index)


def test_random_tests_on_a_fifth_when_nothing_is_said():
    assert len(split_test(table(), config(data_split_method="random")).test) == 24


@pytest.mark.parametrize("share", ["0", "1", "1.5", "-0.1", "many", "nan"])
def test_a_share_outside_of_0_to_1_is_refused(share):
    with pytest.raises(ConfigError, match=r"--data-split-by.*\(0, 1\)"):
        split_test(table(), config(data_split_method="random", data_split_by=share))


def test_region_and_sample_take_what_is_named():
    metadata = table()
    by_region = split_test(metadata, config(data_split_method="region", data_split_by=["region-1", "region-5"]))
    assert set(metadata.loc[by_region.test, "region"]) == {"region-1", "region-5"}
    assert not set(metadata.loc[by_region.trainval, "region"]) & {"region-1", "region-5"}
    by_sample = split_test(metadata, config(data_split_method="sample", data_split_by="scene-2"))
    assert by_sample.test.tolist() == list(range(20, 30))


def test_an_unknown_region_is_refused_with_those_that_exist():
    with pytest.raises(ConfigError, match=r"no region is called Atlantis.*region-0"):
        split_test(table(), config(data_split_method="region", data_split_by="Atlantis"))


def test_without_a_split_the_test_rows_are_the_train_rows():
    split = split_test(table(), config())
    assert (split.test == split.trainval).all()


def test_a_split_that_leaves_nothing_to_train_on_is_refused():
    metadata = table(regions=1)
    with pytest.raises(RunError, match="leaves 0 to train"):
        split_test(metadata, config(data_split_method="region", data_split_by="region-0"))


def test_fewer_regions_than_folds_are_refused_with_the_counts():
    with pytest.raises(RunError, match=r"needs at least 5 regions.*there are 3"):
        make_folds(table(regions=3), config(fold_method="region-kfold", total_folds=5))


def test_a_train_set_without_positives_is_refused_and_such_a_val_set_is_reported():
    metadata = table()
    metadata["empty"] = True
    metadata.loc[:29, "empty"] = False
    all_in_val = choose_fold(metadata, config(total_folds=4, fold=0))
    with pytest.raises(RunError, match="train set of fold 0 has 90 patches and none with a positive"):
        list(require_trainable(metadata, all_in_val))
    none_in_val = choose_fold(metadata, config(total_folds=4, fold=1))
    assert ["val set of fold 1" in doubt for doubt in require_trainable(metadata, none_in_val)] == [True]


def test_counts_by_role_are_those_of_the_rows():
    metadata, data = trainval(total_folds=3)
    whole = table()
    folds = make_folds(metadata, data)
    split = split_test(whole, data)
    roles = count_roles(whole, split, folds)
    assert roles[0] == (
        "test",
        30,
        int((~whole.loc[split.test, "empty"]).sum()),
        whole.loc[split.test, "region"].nunique(),
    )
    assert [role[0] for role in roles[1:3]] == ["fold 0 train", "fold 0 val"]
    assert sum(role[1] for role in roles[1:3]) == 90


def test_a_subsample_is_the_same_on_every_call_and_keeps_order():
    part = subsampled(table(), 30)
    assert len(part) == 30
    assert part.index.is_monotonic_increasing
    assert part.equals(subsampled(table(), 30))
    assert subsampled(table(), 1000).equals(table())


def test_what_to_test_on_needs_a_method():
    with pytest.raises(ValueError, match="--data-split-by means something only with --data-split-method"):
        config(data_split_by="North")
