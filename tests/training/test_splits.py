"""Splits and folds: laws that hold for every method."""

import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from shapely.geometry import Polygon
from sklearn import model_selection

from darts.core.errors import ConfigError, RunError
from darts.dataset.places import cell_of, middle_of
from darts.training.config import DataConfig
from darts.training.grouping import overlap_groups
from darts.training.splits import choose_fold, count_roles, make_folds, require_trainable, split_test, subsampled

METHODS = ("kfold", "shuffle", "stratified", "region", "region-stratified", "region-kfold")
GROUPED = ("region", "region-stratified", "region-kfold")
SEEDED = {"shuffle": True, "random_state": 42}
PLAIN = {
    "kfold": model_selection.KFold(4),
    "shuffle": model_selection.StratifiedShuffleSplit(4, test_size=0.25, random_state=42),
    "stratified": model_selection.StratifiedKFold(4, **SEEDED),
    "region": model_selection.GroupShuffleSplit(4, test_size=0.25, random_state=42),
    "region-stratified": model_selection.StratifiedGroupKFold(4, **SEEDED),
    "region-kfold": model_selection.GroupKFold(4),
}


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


def places(count: int = 14, step: float = 2560, scenes: int = 1, zone: int = 32608) -> gpd.GeoDataFrame:
    """Patches of 2560 m in a grid over some 36 km, from scenes that lie 700 m beside each other."""
    i, j = np.mgrid[:count, :count].reshape(2, -1)
    x, y = (np.concatenate([start + step * at + 700 * s for s in range(scenes)]) for start, at in ((5e5, j), (7e6, -i)))
    rng = np.random.default_rng(5)
    return gpd.GeoDataFrame(
        {
            "sample_id": np.repeat([f"scene-{scene}" for scene in range(scenes)], count * count),
            "region": np.where(x < 518_000, "West", "East"),
            "empty": rng.random(len(x)) < 0.6,
            "content_hash": [f"hash-{row}" for row in range(len(x))],
        },
        geometry=shapely.box(x, y, x + 2560, y + 2560),
        crs=zone,
    ).to_crs(4326)


def squares_of(metadata, km: float) -> np.ndarray:
    return np.array([cell_of(middle_of(place), km / 111.32) for place in metadata.geometry])


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


# --- the folds of the methods


@pytest.mark.filterwarnings("ignore:The groups parameter is ignored")
@pytest.mark.parametrize("method", METHODS)
def test_the_folds_are_those_of_scikit_learn_with_regions_and_empty_patches(method):
    metadata, data = trainval(fold_method=method, total_folds=4)
    expected = PLAIN[method].split(metadata, metadata["empty"], metadata["region"])
    for fold, (train, val) in zip(make_folds(metadata, data), expected, strict=True):
        assert fold.train.tolist() == metadata.index[np.sort(train)].tolist()
        assert fold.val.tolist() == metadata.index[np.sort(val)].tolist()


@pytest.mark.parametrize("group_by", ["region", "overlap"])
@pytest.mark.parametrize("method", [*GROUPED, "spatial"])
def test_the_fold_of_a_row_does_not_depend_on_the_order_of_rows(method, group_by):
    metadata = places(8, step=3840, scenes=2)
    metadata["region"] = squares_of(metadata, 6)
    data = config(fold_method=method, group_by=group_by, total_folds=3, block_size_km=6)
    shuffled = metadata.sample(frac=1, random_state=1)
    for fold, other in zip(make_folds(metadata, data), make_folds(shuffled, data), strict=True):
        assert set(fold.val) == set(other.val)
        assert 0 < len(fold.val) < len(metadata)


# --- what is kept together


@pytest.mark.parametrize("method", GROUPED)
def test_groups_of_any_column_are_on_one_side(method):
    metadata, data = trainval(fold_method=method, total_folds=4, group_by="sample_id")
    for fold in make_folds(metadata, data):
        assert not set(metadata.loc[fold.train, "sample_id"]) & set(metadata.loc[fold.val, "sample_id"])
        assert sorted([*fold.train, *fold.val]) == sorted(metadata.index)


def test_a_column_that_is_not_there_or_has_gaps_keeps_nothing_together():
    with pytest.raises(
        ConfigError, match="--group-by: the metadata have no column cell; they have sample_id, region, empty"
    ):
        make_folds(table(), config(fold_method="region-kfold", group_by="cell"))
    gaps = table().assign(cell_id=[None, None, *["a"] * 118])
    with pytest.raises(ConfigError, match=r"--group-by cell_id: .*but 2 have none"):
        make_folds(gaps, config(fold_method="region", group_by="cell_id"))


def plain_components(linked: np.ndarray) -> np.ndarray:
    """The least row that each row is linked to, directly or by others."""
    reached = linked | np.eye(len(linked), dtype=bool)
    for _ in range(len(linked).bit_length()):
        reached = (reached.astype(int) @ reached.astype(int)) > 0
    return reached.argmax(axis=1)


def test_overlap_keeps_together_what_shares_ground_or_content_by_others_too():
    metadata = places(7, step=2560 * 1.4, scenes=2).sample(70, random_state=0).sort_index()
    metadata.loc[metadata.index[3], "geometry"] = None
    metadata.loc[metadata.index[4], "geometry"] = Polygon()
    metadata.loc[metadata.index[[3, 20, 41]], "content_hash"] = "same"
    metadata.loc[metadata.index[[7, 9]], "content_hash"] = None
    ground = [
        [a is not None and b is not None and a.intersection(b).area > 0.5 / 64 * a.area for b in metadata.geometry]
        for a in metadata.geometry
    ]
    hashes = metadata["content_hash"].to_numpy()
    components = plain_components(np.array(ground) | (hashes[:, None] == hashes[None]) & ~pd.isna(hashes)[:, None])
    assert overlap_groups(metadata, 64).tolist() == metadata.index[components].tolist()
    assert 5 < len(set(components)) < 65
    for fold in make_folds(metadata, config(fold_method="region-stratified", group_by="overlap"), patch_size=64):
        named = pd.Series(components, index=metadata.index)
        assert not set(named[fold.train]) & set(named[fold.val])


def test_patches_that_all_hang_together_can_not_be_divided():
    with pytest.raises(
        RunError, match=r"needs at least 5 groups of patches that share no ground .* but there are 1; lower"
    ):
        make_folds(places(4, step=2000), config(fold_method="region-kfold", group_by="overlap"))


def test_without_places_or_hashes_overlap_keeps_nothing_together():
    assert overlap_groups(table(), 256).tolist() == list(range(120))


# --- what is shared out equally


@pytest.mark.parametrize("method", ["stratified", "shuffle"])
def test_strata_are_the_combinations_of_the_columns(method):
    metadata = table(400).assign(year=np.random.default_rng(0).integers(2019, 2022, 400))
    data = config(fold_method=method, total_folds=4, stratify_by=["year", "empty"])
    overall = metadata.value_counts(["year", "empty"], normalize=True)
    for fold in make_folds(metadata, data):
        shares = metadata.loc[fold.val].value_counts(["year", "empty"], normalize=True)
        assert (shares - overall).abs().max() < 0.02


@pytest.mark.parametrize("method", ["region-stratified", "spatial"])
def test_strata_of_groups_are_shared_out_better_than_at_random(method):
    metadata = places(24)
    metadata["wet"] = np.random.default_rng(2).random(576) < np.where(metadata["region"] == "East", 0.9, 0.1)
    metadata["region"] = squares_of(metadata, 7)
    data = config(fold_method=method, total_folds=3, block_size_km=7, stratify_by="wet")
    shares = [metadata.loc[fold.val, "wet"].mean() for fold in make_folds(metadata, data)]
    assert np.ptp(shares) < 0.15
    squares = metadata["region"].unique()
    at_random = [metadata.loc[metadata["region"].isin(part), "wet"].mean() for part in np.array_split(squares, 3)]
    assert np.ptp(shares) < np.ptp(at_random)


def test_a_stratum_of_missing_values_is_one_too():
    metadata = table(200).assign(date=[None, "2020"] * 100)
    for fold in make_folds(metadata, config(fold_method="stratified", stratify_by="date")):
        assert metadata.loc[fold.val, "date"].isna().mean() == 0.5


def test_a_column_with_more_than_20_values_is_not_shared_out():
    metadata = table(420).assign(many=np.arange(420) % 21, enough=np.arange(420) % 20)
    with pytest.raises(ConfigError, match=r"--stratify-by many: .* at most 20 distinct values .* has 21"):
        make_folds(metadata, config(fold_method="stratified", stratify_by="many"))
    with pytest.raises(ConfigError, match="--stratify-by: the metadata have no column more; they have sample_id"):
        make_folds(metadata, config(fold_method="stratified", stratify_by="more"))
    assert len(make_folds(metadata, config(fold_method="stratified", stratify_by="enough"))) == 5


# --- squares on the ground


@pytest.mark.parametrize("km", [3, 8])
def test_spatial_divides_whole_squares(km):
    metadata = places(scenes=2)
    folds = make_folds(metadata, config(fold_method="spatial", total_folds=4, block_size_km=km))
    square = pd.Series(squares_of(metadata, km), index=metadata.index)
    for fold in folds:
        assert not set(square[fold.train]) & set(square[fold.val])
        assert sorted([*fold.train, *fold.val]) == metadata.index.tolist()
        assert metadata.loc[fold.val, "empty"].mean() == pytest.approx(metadata["empty"].mean(), abs=0.1)
    assert sorted(np.concatenate([fold.val for fold in folds])) == metadata.index.tolist()


def test_spatial_needs_places():
    metadata = places(6)
    metadata.loc[[3, 4], "geometry"] = [None, Polygon()]
    with pytest.raises(RunError, match="spatial divides patches by their place on the ground, but 2 of 36 have none"):
        make_folds(metadata, config(fold_method="spatial", block_size_km=3))
    with pytest.raises(RunError, match="but 120 of 120 have none"):
        make_folds(table(), config(fold_method="spatial"))


def test_fewer_squares_than_folds_are_refused_with_the_size():
    with pytest.raises(RunError, match=r"needs at least 5 squares of 100 km \(--block-size-km\) .*, but there are 1;"):
        make_folds(places(4), config(fold_method="spatial", block_size_km=100))


def test_the_buffer_keeps_train_away_from_val_and_test():
    metadata, km = places(24), 3
    spatial = {"fold_method": "spatial", "block_size_km": 15, "total_folds": 3}
    split = split_test(metadata, config(data_split_method="region", data_split_by="West"))
    trainval, tested = metadata.loc[split.trainval], metadata.loc[split.test]
    on_plane = metadata.geometry.to_crs(32608)
    folds = make_folds(trainval, config(**spatial, buffer_km=km), tested)
    for fold, whole in zip(folds, make_folds(trainval, config(**spatial)), strict=True):
        assert fold.val.tolist() == whole.val.tolist()
        distance = on_plane.distance(on_plane[np.concatenate([fold.val, split.test])].union_all()) / 1000
        left_out = np.setdiff1d(whole.train, fold.train)
        assert distance[fold.train].min() >= km
        assert distance[left_out].max() <= km * 1.5
        assert min(len(left_out), len(fold.train)) > 20
    only_val = make_folds(trainval, config(**spatial, buffer_km=km))
    assert sum(len(fold.train) for fold in only_val) > sum(len(fold.train) for fold in folds)


# --- what can be trained on


def test_a_val_set_without_positives_is_refused_where_one_is_required():
    metadata = table().assign(empty=True)
    metadata.loc[:29, "empty"] = False
    fold = choose_fold(metadata, config(total_folds=4, fold=1))
    with pytest.raises(RunError, match="--require-positive-in-val: the val set of fold 1 has 30 patches and none"):
        list(require_trainable(metadata, fold, positive_in_val=True))
