"""The table of a sweep has the same columns whatever its trials, and the best trial is a complete one."""

import math

import pandas as pd
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from darts.tune.space import Choice, Constant, Range, Space
from darts.tune.table import best_trial, run_scores, trials_table, write_trials_table
from studies import SPACE, add_trial, new_study, owner, run_info, start_trial

COLUMNS = (
    "trial state score score_is_unstable cv_name params/architecture params/batch_size params/depth params/learning_rate "
    "runs_finished duration lost runner host device started completed reason"
).split()


def mixed_study():
    study = new_study()
    add_trial(study, 0.7, owner=owner("aaaaaaaa") | {"host": "node1/pid:[4026531836]"})
    add_trial(study, None, TrialState.FAIL, reason="out of memory", lost=2)
    add_trial(study, None, TrialState.PRUNED, runs=[run_info("cv", 42, 0.1)], reason="clearly worse")
    start_trial(study, owner=owner("bbbbbbbb"))
    add_trial(study, None, TrialState.WAITING)
    return study


def test_a_row_says_what_became_of_a_trial():
    table = trials_table(mixed_study())
    assert list(table.columns) == COLUMNS
    assert list(table["state"]) == ["complete", "failed", "pruned", "running", "waiting"]
    first = table.iloc[0]
    assert (first["trial"], first["score"], first["runs_finished"], first["duration"]) == (0, 0.7, 2, 30.0)
    assert (first["runner"], first["host"], first["device"]) == ("aaaaaaaa", "node1", "cuda:0")
    assert first["completed"] - first["started"] == pd.Timedelta(minutes=1)
    assert first["params/architecture"] in ("Unet", "DeepLabV3Plus")
    assert table.loc[1, ["lost", "reason"]].tolist() == [2, "out of memory"]
    assert table["score"].isna().tolist() == [False, True, True, True, True]
    assert pd.isna(table.loc[4, "completed"])


@pytest.mark.parametrize("fill", [lambda study: None, start_trial], ids=["empty", "just begun"])
def test_the_columns_and_their_types_do_not_depend_on_the_trials(fill):
    study = new_study()
    fill(study)
    pd.testing.assert_series_equal(trials_table(study).dtypes, trials_table(mixed_study()).dtypes)


def test_types_of_parameters_are_those_of_their_dimension():
    space = Space(
        {
            "a": Choice(("x", 1, None)),
            "b": Choice((True, False)),
            "c": Constant(3),
            "d": Choice((1, 2.5)),
            "e": Range(0, 1),
            "f": Range(1, 4, integer=True),
        }
    )
    study = new_study(space)
    add_trial(study, 0.5, params={"a": None, "b": True, "c": 3, "d": 1, "e": 0.25, "f": 2})
    add_trial(study, 0.5, params={"a": 1, "b": False, "c": 3, "d": 2.5, "e": 0.5, "f": 3})
    table = trials_table(study).filter(like="params/")
    assert list(map(str, table.dtypes)) == ["string", "boolean", "Int64", "float64", "float64", "Int64"]
    assert table["params/a"].isna().tolist() == [True, False]
    assert table["params/a"][1] == "1"


def test_failed_runs_count_for_the_time_but_are_not_finished():
    study = new_study()
    runs = [run_info("cv", 42, 0.5, 10.0), run_info("cv", 21, 0.0, 3.0, "diverged")]
    add_trial(study, None, TrialState.FAIL, runs=runs)
    row = trials_table(study).iloc[0]
    assert (row["runs_finished"], row["duration"]) == (1, 13.0)


def test_the_written_table_reads_back_as_it_was(tmp_path):
    path = tmp_path / "sweep.parquet"
    for study in (mixed_study(), new_study()):
        write_trials_table(study, path)
        pd.testing.assert_frame_equal(pd.read_parquet(path), trials_table(study))
    assert [file.name for file in tmp_path.iterdir()] == ["sweep.parquet"]


@pytest.mark.parametrize(("direction", "number"), [(StudyDirection.MAXIMIZE, 2), (StudyDirection.MINIMIZE, 1)])
def test_of_equal_scores_the_first_is_best(direction, number):
    study = new_study()
    for score in (0.5, 0.4, 0.9, 0.9, 0.4):
        add_trial(study, score)
    assert best_trial(study.trials, direction).number == number


def test_only_complete_trials_with_a_finite_score_can_be_best():
    study = new_study()
    study.add_trial(create_trial(state=TrialState.PRUNED, value=0.99))
    study.add_trial(create_trial(state=TrialState.COMPLETE, value=math.inf))
    start_trial(study)
    assert best_trial(study.trials, StudyDirection.MAXIMIZE) is None
    add_trial(study, 0.1)
    assert best_trial(study.trials, StudyDirection.MAXIMIZE).number == 3


def test_runs_are_scored_as_the_sweep_was_set_up():
    study = new_study(SPACE, scoring_metric=["val/JaccardIndex:higher", "val/Recall:higher"])
    run = run_info("cv", 42, 0.5)
    run["metrics"]["val/Recall"] = 1.0
    broken = run_info("cv", 21, 0.0, error="diverged")
    trial = add_trial(study, 0.6, runs=[run, broken])
    assert run_scores(study, trial) == [pytest.approx(2 / 3)]
