"""The status of a sweep says who works on it, what came out, and how long it will take."""

import pytest
from optuna.trial import TrialState

from darts.tune.space import Choice, Space
from darts.tune.status import sweep_status
from studies import add_trial, new_study, owner, run_info, start_trial


def alive(*runners):
    return lambda one: one["runner"] in runners


def test_an_empty_sweep_has_a_status():
    status = sweep_status(new_study(), alive())
    assert status.sweep_id == "brave-fox"
    assert set(status.counts.values()) == {0}
    assert (status.total, status.best, status.spread, status.seconds_per_trial, status.seconds_left) == (None,) * 5
    assert (status.living, status.lost, status.failed) == ((), (), ())


def test_trials_are_counted_by_state():
    study = new_study()
    for state in (TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.WAITING):
        add_trial(study, 0.5 if state == TrialState.COMPLETE else None, state)
    start_trial(study, owner=owner())
    # The trial that waited is what was asked for.
    add_trial(study, None, TrialState.WAITING)
    status = sweep_status(study, alive())
    assert status.counts == {"complete": 2, "running": 1, "waiting": 1, "pruned": 1, "failed": 1}
    assert status.ended == 4


def test_runners_of_running_trials_are_living_or_lost():
    study = new_study()
    add_trial(study, 0.5, owner=owner("cccccccc"))
    start_trial(study, owner=owner("aaaaaaaa", 7), runs=[run_info("cv", 42, 0.5)])
    start_trial(study, owner=owner("bbbbbbbb"))
    start_trial(study)
    status = sweep_status(study, alive("aaaaaaaa", "cccccccc"))
    assert [(one.trial, one.runner, one.pid, one.runs_finished) for one in status.living] == [(1, "aaaaaaaa", 7, 1)]
    assert [(one.trial, one.runner, one.host) for one in status.lost] == [(2, "bbbbbbbb", "node1")]
    assert status.counts["running"] == 3


def test_the_best_trial_comes_with_the_spread_of_its_runs():
    study = new_study()
    for score in (0.5, 0.7, 0.6):
        add_trial(study, score, score_is_unstable=score == 0.7)
    add_trial(study, None, TrialState.FAIL)
    best = sweep_status(study, alive()).best
    assert (best.number, best.score, best.is_unstable, best.cv_name) == (1, 0.7, True, "brave-fox-cv1")
    assert best.params == study.trials[1].params
    assert best.deviation == pytest.approx(0.2 / 2**0.5)
    spread = sweep_status(study, alive()).spread
    assert (spread.lowest, spread.median, spread.highest) == (0.5, 0.6, 0.7)


def test_a_single_run_has_no_spread():
    study = new_study()
    add_trial(study, 0.5, runs=[run_info("cv", 42, 0.5)])
    assert sweep_status(study, alive()).best.deviation is None


def test_the_lowest_score_is_best_where_lower_is_better():
    study = new_study(direction="minimize", scoring_metric=["val/JaccardIndex:lower"])
    for score in (0.5, 0.3):
        add_trial(study, score)
    assert sweep_status(study, alive()).best.number == 1


def test_the_time_left_is_shared_by_the_living_runners():
    study = new_study()
    study.set_user_attr("total_trials", 10)
    add_trial(study, 0.5)  # 30 s
    add_trial(study, 0.5, runs=[run_info("cv", 42, 0.5, 90.0)])
    add_trial(study, None, TrialState.FAIL, runs=[run_info("cv", 42, 0.5, 1000.0)])
    assert sweep_status(study, alive()).seconds_per_trial == 60.0
    assert sweep_status(study, alive()).seconds_left == 7 * 60.0
    for runner in ("aaaaaaaa", "bbbbbbbb"):
        start_trial(study, owner=owner(runner))
    assert sweep_status(study, alive("aaaaaaaa", "bbbbbbbb")).seconds_left == 7 * 60.0 / 2


def test_the_time_left_is_not_known_without_a_total_or_a_complete_trial():
    study = new_study()
    add_trial(study, 0.5)
    assert sweep_status(study, alive()).seconds_left is None
    study = new_study()
    study.set_user_attr("total_trials", 10)
    add_trial(study, None, TrialState.FAIL)
    assert sweep_status(study, alive()).seconds_left is None


def test_nothing_is_left_when_more_trials_ended_than_were_asked_for():
    study = new_study()
    study.set_user_attr("total_trials", 1)
    for _ in range(3):
        add_trial(study, 0.5)
    assert sweep_status(study, alive()).seconds_left == 0


@pytest.mark.parametrize(
    ("method", "asked", "total"),
    [("grid", None, 6), ("grid", 4, 4), ("grid", 50, 6), ("random", None, 6), ("bayes", None, None), ("bayes", 50, 50)],
)
def test_there_are_no_more_trials_than_points(method, asked, total):
    study = new_study(Space({"a": Choice((1, 2, 3)), "b": Choice(("x", "y"))}), method=method)
    if asked:
        study.set_user_attr("total_trials", asked)
    assert sweep_status(study, alive()).total == total


def test_the_last_failures_come_first():
    study = new_study()
    for number in range(8):
        add_trial(study, None, TrialState.FAIL, reason=f"reason {number}")
    failed = sweep_status(study, alive()).failed
    assert [(one.number, one.reason) for one in failed[:2]] == [(7, "reason 7"), (6, "reason 6")]
    assert len(failed) == 5
