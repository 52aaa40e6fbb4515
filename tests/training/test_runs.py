"""The runs of a folder become one table, from which runs are chosen, and in which they are compared in pairs."""

import json
import math
import os
import statistics

import numpy as np
import pandas as pd
import pytest

from darts.core.artifacts import RunDirectory
from darts.core.config import resolved_settings
from darts.core.errors import ConfigError, RunError
from darts.training.config import DataConfig, Hyperparameters, RunLoggingConfig, TrainerConfig
from darts.training.metrics import Confusion, confusion_metrics
from darts.training.run_comparison import compare_runs
from darts.training.run_details import changed_settings, next_commands, scores_by
from darts.training.run_doubts import doubts
from darts.training.run_record import read_run
from darts.training.run_selection import (
    first_of_each,
    matching,
    parse_conditions,
    sorted_runs,
    telling_columns,
    varying_settings,
)
from darts.training.runs import collect_runs, find_run
from darts.training.tables import write_table
from run_folders import COUNTS, confusion_table, make_run_folder

IOU = "val/JaccardIndex"


@pytest.fixture
def artifacts(tmp_path):
    folder = tmp_path / "artifacts"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Two encoders x three folds x two seeds, of which the second is better by 0.02 to 0.07."""
    folder = tmp_path_factory.mktemp("many")
    rng = np.random.default_rng(0)
    for fold in range(3):
        for seed in (42, 43):
            base = 0.2 * (fold + 1)
            for number, encoder in enumerate(("resnet18", "resnet34")):
                score = base + number * (0.02 + 0.05 * rng.random())
                run_id = f"{number}{fold}{seed}0000"
                make_run_folder(
                    folder, f"{encoder}-f{fold}s{seed}", run_id, cv_name=f"cv-{encoder}", fold=fold, seed=seed,
                    scores=[score], val_rows=range(6 * fold, 6 * fold + 6), model_encoder=encoder,
                )  # fmt: skip
    return collect_runs(folder)


def one(table, run_id):
    return table[table["run_id"] == run_id].iloc[0]


def test_a_run_is_a_row_wherever_it_lies(artifacts):
    places = {
        "00000001": (None, None),
        "00000002": ("cv", None),
        "00000003": ("cv", "tune"),
        "00000004": (None, "tune"),
    }
    for run_id, (cv_name, tune_name) in places.items():
        make_run_folder(artifacts, "run", run_id, cv_name=cv_name, tune_name=tune_name)
    table = collect_runs(artifacts)
    found = {row["run_id"]: (row["cv_name"], row["tune_name"]) for _, row in table.iterrows()}
    assert {
        run_id: tuple(None if pd.isna(name) else name for name in names) for run_id, names in found.items()
    } == places
    assert set(table["run_name"]) == {"run"}


def test_every_number_is_that_of_a_file(artifacts):
    directory = make_run_folder(
        artifacts, fold=2, seed=7, scores=[0.3, 0.6, 0.1], tested={"test/JaccardIndex": 0.25}, bands="red,nir"
    )
    os.utime(directory.config, (1_700_000_000, 1_700_000_000))
    row = one(collect_runs(artifacts), "00000001")
    assert (row["state"], row["fold"], row["seed"], row["epochs"], row["best_epoch"]) == ("finished", 2, 7, 3, 2)
    assert (row[IOU], row["val/loss"], row["train/loss"]) == (0.6, 0.3, 0.25)
    assert row["test/JaccardIndex"] == 0.25
    assert (row["duration"], row["bands"], row["learning_rate"], row["in_memory"]) == (75, "red, nir", 1e-3, False)
    assert row["focal_loss_alpha"] == "none"
    assert {name: row[f"val/{name}"] for name in COUNTS} == COUNTS
    assert row["started"] == pd.Timestamp("2023-11-14 22:13:20", tz="UTC")
    assert row["written"] > row["started"]
    assert (row["directory"], row["checkpoint"]) == (str(directory.path), str(directory.best_checkpoint))


def test_an_unfinished_run_shows_its_best_validation_so_far(artifacts):
    make_run_folder(artifacts, "stopped", "00000001", scores=[0.3, 0.6, 0.1], finished=False)
    make_run_folder(artifacts, "begun", "00000002", scores=[], finished=False)
    table = collect_runs(artifacts)
    stopped, begun = one(table, "00000001"), one(table, "00000002")
    assert (stopped["state"], stopped["epochs"], stopped["best_epoch"], stopped[IOU]) == ("unfinished", 3, 2, 0.6)
    assert (begun["state"], begun["epochs"]) == ("unfinished", 0)
    assert pd.isna(begun["best_epoch"])
    assert math.isnan(begun[IOU])
    assert pd.isna(begun["checkpoint"])


def test_names_of_folders_and_files_give_no_number(artifacts):
    directory = make_run_folder(artifacts, "run-f9s9", "00000001", fold=1, seed=2, scores=[0.5])
    (directory.checkpoints / "epoch-0099.ckpt").touch()
    row = one(collect_runs(artifacts), "00000001")
    assert (row["fold"], row["seed"], row["epochs"]) == (1, 2, 1)


@pytest.mark.parametrize(
    "file", ["config.toml", "result.json", "metrics.csv", "test_metrics.json", "confusion.parquet"]
)
def test_a_damaged_run_is_passed_over_and_named(file, artifacts, caplog):
    make_run_folder(artifacts, "whole", "00000001")
    damaged = make_run_folder(artifacts, "broken", "00000002", tested={"test/loss": 1.0})
    (damaged.path / file).write_bytes(b"\xff[{")
    assert collect_runs(artifacts)["run_name"].tolist() == ["whole"]
    assert str(damaged.path) in caplog.text
    assert file in caplog.text


def test_a_folder_of_something_else_is_passed_over_and_named(artifacts, caplog):
    make_run_folder(artifacts)
    (artifacts / "mine").mkdir()
    (artifacts / "mine" / "split.parquet").touch()
    assert len(collect_runs(artifacts)) == 1
    assert "mine is passed over: a run has a config.toml" in caplog.text


def test_a_folder_without_runs_gives_an_empty_table_with_columns(artifacts):
    table = collect_runs(artifacts)
    assert len(table) == 0
    assert {"run_name", "state", "started", "checkpoint"} <= set(table.columns)
    with pytest.raises(RunError, match=r"no folder .*give the --artifact-dir"):
        collect_runs(artifacts / "no")


def test_the_table_survives_parquet_and_csv_also_where_words_and_numbers_meet(artifacts, tmp_path):
    make_run_folder(artifacts, "a", "00000001", pos_weight="auto", focal_loss_alpha=0.25)
    make_run_folder(artifacts, "b", "00000002", pos_weight=3.5, finished=False)
    table = collect_runs(artifacts)
    assert table["pos_weight"].tolist() == ["auto", "3.5"]
    assert table["focal_loss_alpha"].tolist() == ["0.25", "none"]
    pd.testing.assert_frame_equal(
        pd.read_parquet(write_table(table, tmp_path / "new" / "runs.parquet", known_by="run_id")), table
    )
    again = pd.read_csv(write_table(table, tmp_path / "runs.csv", known_by="run_id"), dtype={"run_id": str})
    assert again.columns.tolist() == table.columns.tolist()
    assert again["run_id"].tolist() == ["00000001", "00000002"]
    assert again[IOU].tolist() == table[IOU].tolist()


def test_a_run_is_found_by_name_or_id(artifacts):
    first = make_run_folder(artifacts, "a-b", "00000001")
    make_run_folder(artifacts, "a", "00000002")
    make_run_folder(artifacts, "a", "00000003", cv_name="cv")
    assert find_run(artifacts, "a-b", None) == first
    assert find_run(artifacts, None, "00000003").path.name == "a-00000003"
    assert find_run(artifacts, "a", "00000002").path.name == "a-00000002"
    with pytest.raises(RunError, match="2 runs with the name a; choose one with --run-id"):
        find_run(artifacts, "a", None)
    with pytest.raises(RunError, match=r"no run with the name b and id 1; it has .*a-00000002"):
        find_run(artifacts, "b", "1")


def test_conditions_are_read_with_quotes_and_back_quotes():
    first, second, third = parse_conditions("`val/JaccardIndex`>=0.3 and a == 'x and y' AND b.c-d != \"it's\"")
    assert (first.column, first.relation, first.value) == (IOU, ">=", 0.3)
    assert (second.column, second.relation, second.value) == ("a", "==", "x and y")
    assert (third.column, third.value) == ("b.c-d", "it's")


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("model_encoder == 'resnet34'", lambda row: row["model_encoder"] == "resnet34"),
        ("model_encoder != resnet34", lambda row: row["model_encoder"] != "resnet34"),
        ("val/JaccardIndex > 0.3", lambda row: row[IOU] > 0.3),
        ("val/JaccardIndex <= 0.3 and fold != 0", lambda row: row[IOU] <= 0.3 and row["fold"] != 0),
        ("fold < 2 and seed == 43", lambda row: row["fold"] < 2 and row["seed"] == 43),
        ("fold == '1'", lambda row: row["fold"] == 1),
        ("in_memory == false", lambda row: True),
        ("in_memory == true", lambda row: False),
        ("tune_name == none", lambda row: True),
        ("started >= 2020-01-01", lambda row: True),
        ("started < 2020", lambda row: False),
        ("model_encoder > 3", lambda row: False),
    ],
)
def test_conditions_choose_the_runs_for_which_they_hold(expression, holds, many):
    expected = [row["run_id"] for _, row in many.iterrows() if holds(row)]
    assert matching(many, [expression])["run_id"].tolist() == expected


def test_all_expressions_must_hold_and_none_leaves_all(many):
    both = matching(many, ["fold == 1", "model_encoder == resnet18"])
    assert both["run_id"].tolist() == matching(many, ["fold == 1 and model_encoder == resnet18"])["run_id"].tolist()
    assert len(both) == 2
    assert len(matching(many, [])) == len(many)


def test_an_id_that_looks_like_a_number_is_compared_as_it_is_written(artifacts):
    for run_id in ("12345678", "123e4567", "987e6543"):
        make_run_folder(artifacts, "a", run_id)
    table = collect_runs(artifacts)
    for run_id in table["run_id"]:
        assert matching(table, [f"run_id == {run_id}"])["run_id"].tolist() == [run_id]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "a condition is a column, a relation and a value, but '' isn't"),
        ("fold", "a column, a relation and a value, but 'fold' isn't"),
        ("fold = 1", "a column, a relation and a value"),
        ("fold == 1 or seed == 2", "joined by `and`, but 'or seed == 2' follows one"),
        ("fold == 1 and", "a column, a relation and a value"),
        ("model_encoder > 'resnet18'", "> compares numbers and times, but 'resnet18' is a text"),
        ("model_encodr == resnet18", "no column 'model_encodr'; did you mean 'model_encoder'"),
        ("started > yesterdayish", "started is a time such as 2025-01-31, but got 'yesterdayish'"),
        ("__import__('os').system('true')", "a column, a relation and a value"),
    ],
)
def test_what_is_no_condition_is_refused(expression, message, many):
    with pytest.raises(ConfigError, match=f"--where: .*{message}"):
        matching(many, [expression])


def test_metrics_are_sorted_from_the_best_and_other_columns_from_the_largest(artifacts):
    for run_id, scores in (
        ("00000001", [0.4]),
        ("00000002", [0.6, 0.1]),
        ("00000003", []),
        ("00000004", [0.5, 0.5, 0.5]),
    ):
        make_run_folder(artifacts, f"r{run_id[-1]}", run_id, scores=scores, finished=False)
    table = collect_runs(artifacts)

    def order(column, **how):
        return "".join(run_id[-1] for run_id in sorted_runs(table, column, **how)["run_id"])

    assert order(IOU) == "2413"
    assert order(IOU, ascending=True) == "1423"
    assert order("val/loss") == "1243"  # the best first, which is the least; equal ones in their order
    assert order("epochs") == "4213"
    assert order("run_name") == "1234"
    with pytest.raises(ConfigError, match="--sort-by: runs have no column 'val/IoU'; did you mean"):
        order("val/IoU")


def test_the_best_of_each_group_is_kept(many):
    best = first_of_each(sorted_runs(many, IOU), ["model_encoder"])
    for encoder, part in many.groupby("model_encoder"):
        assert best.set_index("model_encoder")[IOU][encoder] == part[IOU].max()
    assert len(first_of_each(many, ["model_encoder", "fold"])) == 6
    assert len(first_of_each(many, [])) == len(many)
    with pytest.raises(ConfigError, match="--best-per: runs have no column 'encoder'"):
        first_of_each(many, ["encoder"])


def test_the_columns_that_tell_runs_apart_come_first(many):
    assert varying_settings(many) == ["model_encoder"]
    columns = telling_columns(many, "val/loss")
    assert columns[:3] == ["run_name", "run_id", "val/loss"]
    assert {"model_encoder", "fold", "seed", "cv_name", IOU} <= set(columns)
    assert not {"state", "tune_name", "learning_rate", "test/JaccardIndex", "artifact_dir"} & set(columns)
    assert len(columns) == len(set(columns))


def pairs(table, first, second, column="model_encoder"):
    """Differences by fold and seed, with plain dictionaries."""
    scores = {name: {} for name in (first, second)}
    for _, row in table.iterrows():
        scores[row[column]][int(row["fold"]), int(row["seed"])] = row[IOU]
    return [scores[second][key] - scores[first][key] for key in sorted(scores[first]) if key in scores[second]]


def test_differences_are_those_of_pairs_of_the_same_fold_and_seed(many):
    comparison = compare_runs(many.sample(frac=1, random_state=0), IOU, "model_encoder")
    (difference,) = comparison.differences
    expected = pairs(many, "resnet18", "resnet34")
    assert (difference.first, difference.second, difference.pairs) == ("resnet18", "resnet34", 6)
    assert difference.mean == pytest.approx(statistics.fmean(expected), abs=1e-12)
    assert difference.standard_error == pytest.approx(statistics.stdev(expected) / math.sqrt(6), abs=1e-12)
    assert difference.is_beyond_noise
    assert "resnet34 is better than resnet18 in val/JaccardIndex by 0." in difference.sentence()
    assert "6 pairs of the same fold and seed): by more than the standard error" in difference.sentence()
    # Sorted by what they are called: a fold has no rank.
    assert comparison.table.index.tolist() == [(fold, seed) for fold in range(3) for seed in (42, 43)]
    assert (comparison.also_differ, comparison.left_out) == ((), 0)


def test_cross_validations_are_compared_by_their_name(many):
    by_name = compare_runs(many, IOU, "cv_name")
    by_encoder = compare_runs(many, IOU, "model_encoder")
    assert by_name.differences[0].mean == by_encoder.differences[0].mean
    assert by_name.also_differ == ("model_encoder",)


def test_a_fold_that_only_one_variant_has_is_left_out(many):
    less = many[~((many["model_encoder"] == "resnet34") & (many["fold"] == 0))]
    comparison = compare_runs(less, IOU, "model_encoder")
    assert comparison.differences[0].pairs == 4
    assert len(comparison.table) == 4
    assert comparison.differences[0].mean == pytest.approx(statistics.fmean(pairs(less, "resnet18", "resnet34")))


def two_runs(artifacts, first, second, scores=((0.5,), (0.4,))):
    for number, (settings, seen) in enumerate(zip((first, second), scores, strict=True)):
        make_run_folder(artifacts, f"r{number}", f"0000000{number}", scores=seen, **settings)
    return collect_runs(artifacts)


def test_less_loss_is_better_and_a_single_pair_says_nothing_of_noise(artifacts):
    runs = two_runs(artifacts, {"loss": "dice"}, {"loss": "bce"}, ([0.5], [0.4, 0.5]))
    (difference,) = compare_runs(runs, "val/loss", "loss").differences
    assert (difference.first, difference.second) == ("bce", "dice")
    assert (difference.mean, difference.pairs) == (pytest.approx(0.3), 1)
    assert math.isnan(difference.standard_error)
    assert not difference.is_beyond_noise
    sentence = difference.sentence()
    assert sentence.startswith(
        "bce is better than dice in val/loss by 0.3000 in the only pair: that says nothing about"
    )


def test_what_is_within_its_standard_error_is_noise(artifacts):
    for seed, (a, b) in enumerate([(0.5, 0.6), (0.6, 0.49), (0.4, 0.42)]):
        make_run_folder(artifacts, "a", f"a000000{seed}", seed=seed, scores=[a], gamma=0.9)
        make_run_folder(artifacts, "b", f"b000000{seed}", seed=seed, scores=[b], gamma=0.8)
    (difference,) = compare_runs(collect_runs(artifacts), IOU, "gamma").differences
    assert (difference.first, difference.second) == ("0.8", "0.9")
    assert abs(difference.mean) < difference.standard_error
    assert not difference.is_beyond_noise
    assert "not by more than the standard error, which is noise" in difference.sentence()


def test_single_runs_are_called_by_the_settings_in_which_they_differ(artifacts):
    runs = two_runs(artifacts, {"loss": "dice", "gamma": 0.8}, {"loss": "bce", "gamma": 0.9})
    (difference,) = compare_runs(runs, IOU).differences
    assert {difference.first, difference.second} == {"loss dice, gamma 0.8", "loss bce, gamma 0.9"}


def test_equal_means_are_said_to_be_equal(artifacts):
    runs = two_runs(artifacts, {"loss": "dice"}, {"loss": "bce"}, ([0.5], [0.5]))
    assert "have the same val/JaccardIndex on average" in compare_runs(runs, IOU, "loss").differences[0].sentence()


@pytest.mark.parametrize(
    "other",
    [{"fold": 1}, {"seed": 43}, {"val_rows": range(3, 9)}, {"fold": 1, "val_rows": range(12, 18)}],
    ids=["fold", "seed", "patches", "fold and patches"],
)
def test_runs_without_a_common_fold_seed_and_patches_are_not_compared(other, artifacts):
    runs = two_runs(artifacts, {"loss": "dice"}, {"loss": "bce", **other})
    for by in ("loss", None):
        with pytest.raises(RunError, match="needs runs with the same fold, the same seed and the same patches"):
            compare_runs(runs, IOU, by)


def test_pairs_are_equal_in_all_other_settings_where_there_are_such_pairs(artifacts):
    for number, (loss, rate, score) in enumerate(
        [("bce", 0.01, 0.5), ("dice", 0.01, 0.6), ("bce", 0.001, 0.1), ("dice", 0.002, 0.9)]
    ):
        make_run_folder(artifacts, "r", f"0000000{number}", scores=[score], loss=loss, learning_rate=rate)
    comparison = compare_runs(collect_runs(artifacts), IOU, "loss")
    assert comparison.differences[0].pairs == 1
    assert comparison.differences[0].mean == pytest.approx(0.1)
    assert (comparison.also_differ, comparison.without_pair) == ((), ())


def test_a_variant_without_a_pair_is_named(artifacts):
    for number, (encoder, loss) in enumerate([("a", "bce"), ("b", "bce"), ("c", "dice")]):
        make_run_folder(artifacts, "r", f"0000000{number}", model_encoder=encoder, loss=loss)
    comparison = compare_runs(collect_runs(artifacts), IOU, "model_encoder")
    assert [(one.first, one.second) for one in comparison.differences] == [("a", "b")]
    assert comparison.without_pair == ("c",)


def test_of_several_variants_every_two_are_compared(artifacts):
    for number, encoder in enumerate("abc"):
        make_run_folder(artifacts, "r", f"0000000{number}", model_encoder=encoder, scores=[0.1 * number])
    comparison = compare_runs(collect_runs(artifacts), IOU, "model_encoder")
    found = {(one.first, one.second): one.mean for one in comparison.differences}
    assert found == pytest.approx({("a", "b"): 0.1, ("a", "c"): 0.2, ("b", "c"): 0.1})


def test_a_pair_with_other_settings_is_compared_and_they_are_named(artifacts):
    runs = two_runs(artifacts, {"loss": "dice", "batch_size": 4}, {"loss": "bce", "device": "0"})
    comparison = compare_runs(runs, IOU, "loss")
    assert comparison.differences[0].pairs == 1
    assert comparison.also_differ == ("batch_size",)


def test_pairs_that_could_be_made_in_several_ways_are_refused(artifacts):
    for number, (loss, size) in enumerate([("bce", 1), ("bce", 2), ("dice", 3)]):
        make_run_folder(artifacts, "r", f"0000000{number}", scores=[0.5], loss=loss, batch_size=size)
    with pytest.raises(
        RunError, match=r"several runs of one variant .* differ in batch_size; choose among them with --where"
    ):
        compare_runs(collect_runs(artifacts), IOU, "loss")


def test_of_equal_runs_the_newest_counts_and_unfinished_ones_are_left_out(artifacts):
    for number, score in enumerate([0.9, 0.3]):
        directory = make_run_folder(artifacts, "old", f"0000000{number}", scores=[score], loss="bce")
        os.utime(directory.config, (1_700_000_000 + number, 1_700_000_000 + number))
    make_run_folder(artifacts, "b", "b0000000", scores=[0.4], loss="dice")
    make_run_folder(artifacts, "c", "c0000000", scores=[0.8], loss="dice", seed=1, finished=False)
    comparison = compare_runs(collect_runs(artifacts), IOU, "loss")
    assert comparison.differences[0].mean == pytest.approx(0.1)
    assert comparison.left_out == 1


def test_tested_runs_are_compared_on_their_test_patches(artifacts):
    for number, loss in enumerate(("bce", "dice")):
        make_run_folder(
            artifacts, "r", f"0000000{number}", loss=loss, val_rows=range(number, number + 3),
            tested={"test/JaccardIndex": 0.5 + 0.1 * number},
        )  # fmt: skip
    runs = collect_runs(artifacts)
    assert compare_runs(runs, "test/JaccardIndex", "loss").differences[0].mean == pytest.approx(0.1)
    with pytest.raises(RunError, match="the same patches"):
        compare_runs(runs, IOU, "loss")


def test_one_variant_or_an_unknown_column_is_refused(many):
    with pytest.raises(RunError, match=r"needs two variants .* 6 runs 6 are finished and have it, and they are 1"):
        compare_runs(many[many["model_encoder"] == "resnet18"], IOU, "model_encoder")
    with pytest.raises(ConfigError, match="--by: runs have no column 'encoder'; did you mean"):
        compare_runs(many, IOU, "encoder")
    with pytest.raises(
        ConfigError, match="--metric: runs have no column 'val/Jacard'; did you mean 'val/JaccardIndex'"
    ):
        compare_runs(many, "val/Jacard", "model_encoder")


def test_settings_that_are_defaults_are_not_shown_however_they_are_written():
    configs = (DataConfig(train_data_dir="d"), Hyperparameters(), TrainerConfig(), RunLoggingConfig())
    assert set(changed_settings(resolved_settings(*configs))) == {"train_data_dir"}
    spelt_out = ["flip", "rotate90", "blur", "brightness-contrast", "multiplicative-noise", "posterize"]
    recorded = {"augment": spelt_out, "gamma": 0.8, "device": ["auto"], "fold": 0, "an_old_one": 3, "loss": 7}
    assert changed_settings(recorded) == {"gamma": 0.8, "an_old_one": 3, "loss": 7}


def test_scores_by_region_come_from_the_confusion_where_there_is_no_table(artifacts):
    directory = make_run_folder(artifacts)
    written = scores_by(read_run(directory), "region")
    directory.regions.unlink()
    by_confusion = scores_by(read_run(directory), "region")
    assert by_confusion["region"].tolist() == ["East", "West"]  # worst first
    for _, row in by_confusion.iterrows():
        expected = confusion_metrics(Confusion(*(int(row[name]) for name in COUNTS)))
        assert {name: row[name] for name in expected} == pytest.approx(expected)
        assert row["pixels"] == sum(row[name] for name in COUNTS)
    pd.testing.assert_frame_equal(by_confusion[written.columns], written, check_dtype=False)
    directory.confusion.unlink()
    assert len(scores_by(read_run(directory), "region")) == 0
    assert len(scores_by(read_run(directory), "scene")) == 0


def test_a_region_may_be_called_na_and_one_without_positives_comes_last(artifacts):
    directory = make_run_folder(artifacts)
    rows = [("val", "empty", 9, 0, 0, 0, 9, 0.0), ("val", "NA", 9, 1, 4, 4, 0, 0.1), ("val", "b", 9, 4, 1, 4, 0, 0.5)]
    columns = ["split", "region", "pixels", "tp", "fp", "fn", "tn", "JaccardIndex"]
    pd.DataFrame(rows, columns=columns).to_csv(directory.regions, index=False)
    assert scores_by(read_run(directory), "region")["region"].tolist() == ["NA", "b", "empty"]


def test_a_damaged_table_is_an_error_that_names_it(artifacts):
    directory = make_run_folder(artifacts)
    directory.regions.write_text("split,region\nval,West\n")
    with pytest.raises(RunError, match=r"regions.csv is damaged .*JaccardIndex.* are missing"):
        scores_by(read_run(directory), "region")


def test_what_to_type_next_depends_on_how_far_a_run_is(artifacts):
    def words(directory):
        return [command[1] for command in next_commands(read_run(directory), artifacts)]

    tested = make_run_folder(artifacts, "c", "00000003", tested={"test/loss": 1.0})
    assert words(make_run_folder(artifacts, "a", "00000001")) == ["test-smp", "convert-lightning-checkpoint"]
    assert words(tested) == ["convert-lightning-checkpoint"]
    stopped = make_run_folder(artifacts, "b", "00000002", finished=False)
    assert list(next_commands(read_run(stopped), artifacts)) == [
        ("darts", "train-smp", "--config-file", str(stopped.config), "--resume", "00000002")
    ]
    of_cv = make_run_folder(artifacts, "d", "00000004", cv_name="cv", finished=False)
    assert words(of_cv) == ["cross-validation-smp"]
    assert words(make_run_folder(artifacts, "e", "00000005", cv_name="cv", tune_name="tune", finished=False)) == []


def doubtful(artifacts, **settings):
    return " ".join(doubts(read_run(make_run_folder(artifacts, **settings))))


def test_a_plain_run_raises_no_doubt(artifacts):
    assert doubtful(artifacts, scores=[0.2, 0.3, 0.5, 0.5, 0.49]) == ""


def test_a_schedule_that_ends_low_may_be_best_at_its_end(artifacts):
    assert doubtful(artifacts, scores=[0.2, 0.3, 0.4], lr_schedule="one-cycle") == ""


@pytest.mark.parametrize(
    ("settings", "doubt"),
    [
        ({"finished": False}, "isn't finished: 3 epochs so far"),
        ({"finished": False, "scores": []}, "No epoch was validated"),
        ({"scores": [0.2, 0.3, 0.4]}, "The best epoch is the last one (3)"),
        ({"scores": [0.5, 0.4, 0.45, 0.44]}, "The first validation was the best (epoch 1)"),
        ({"scores": [0.3, 0.2, 0.6, 0.1, 0.7, 0.2, 0.6]}, "val/JaccardIndex is unstable"),
        ({"scores": [0.3, 0.6, 0.5, 0.49, 0.48, 0.47]}, "fell from 0.600 to 0.470"),
        ({"data_split_method": "none", "data_split_by": ()}, "No patch was held out for a test"),
        ({"fold_method": "none"}, "validated on the patches that it was trained on"),
        ({"allow_overlap": True}, "were kept (--allow-overlap)"),
        ({"tested": {"test/JaccardIndex": 0.2}}, "IoU is 0.200 on test, but 0.500 on val"),
    ],
)
def test_doubts_are_said(settings, doubt, artifacts):
    assert doubt in doubtful(artifacts, **settings)


def with_counts(directory, **counts):
    table = confusion_table()
    table.loc[table["region"] == "(all)", list(counts)] = list(counts.values())
    table[table["region"] == "(all)"].to_parquet(directory.confusion, index=False)
    return " ".join(doubts(read_run(directory)))


def test_few_or_no_positive_pixels_and_empty_predictions_are_doubts(artifacts):
    directory = make_run_folder(artifacts)
    assert "val has no positive pixel" in with_counts(directory, tp=0, fn=0)
    assert "val has 30 positive pixels only" in with_counts(directory, tp=10, fn=20)
    assert "Nothing at all is predicted positive in val" in with_counts(directory, tp=0, fp=0)


def test_regions_that_differ_overfitting_and_waiting_are_doubts(artifacts):
    directory = make_run_folder(artifacts, scores=[0.2, 0.5, 0.45, 0.44])
    assert "Regions" not in " ".join(doubts(read_run(directory)))
    table = confusion_table()
    table.loc[table["region"] == "East", ["tp", "fn"]] = [200, 3300]
    table.to_parquet(directory.confusion, index=False)
    directory.regions.unlink()
    losses = pd.read_csv(directory.metrics).assign(**{"val/loss": [0.5, 0.2, 0.3, 0.6]})
    losses.to_csv(directory.metrics, index=False)
    directory.throughput.write_text("epoch,seconds,samples_per_second,waiting_share\n0,1,1,0.1\n1,1,1,0.5\n2,1,1,0.4\n")
    said = " ".join(doubts(read_run(directory)))
    assert "Regions of val differ: IoU is 0.047 in East, but 0.851 in West" in said
    assert "It overfits: val/loss rose from 0.2 to 0.6" in said
    assert "40% of the time was spent waiting for data" in said


def test_the_result_of_a_moved_run_is_read_where_it_lies_now(artifacts, tmp_path):
    make_run_folder(artifacts)
    artifacts.rename(tmp_path / "elsewhere")
    row = collect_runs(tmp_path / "elsewhere").iloc[0]
    assert row["checkpoint"].startswith(str(tmp_path / "elsewhere"))
    recorded = json.loads(RunDirectory(tmp_path / "elsewhere" / "_runs" / "first-00000001").result.read_text())
    assert recorded["checkpoint"] != row["checkpoint"]
