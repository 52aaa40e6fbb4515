"""What every database of sweeps promises: locks that die with their holder, and trials that are nobody's twice."""

import os
import time
from collections import Counter

import optuna
import pytest
from optuna.trial import TrialState

from darts.tune.locks import open_locks
from darts.tune.storage import database_url, open_storage
from darts.tune.trials import MOST_LOSSES, owner_of
from processes import Started
from runners import NAME, SPACE, ask_and_wait, hold_and_wait, join, take_turns


@pytest.fixture
def runners(database):
    """Makes runners, and ends those that were left."""
    made = []

    def make(**settings):
        made.append(join(database, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


def states(runner):
    return [trial.state for trial in runner.study.get_trials(deepcopy=False)]


# --- locks


@pytest.fixture
def locks(database):
    first, second = (open_locks(database_url(database, {}, None)) for _ in range(2))
    yield first, second
    first.close()
    second.close()


def test_a_lock_is_seen_by_others_until_its_holder_closes(locks):
    first, second = locks
    assert not second.is_held("0000002a")
    first.hold("0000002a")
    first.hold("0000002a")
    assert second.is_held("0000002a")
    assert first.is_held("0000002a")
    assert not second.is_held("ff00002b")
    first.close()
    assert not second.is_held("0000002a")


def test_a_lock_dies_with_its_holder(locks, database, tmp_path):
    holder = Started(tmp_path / "log", hold_and_wait, database, "fffffffe")
    holder.wait_for("holding")
    assert locks[0].is_held("fffffffe")
    holder.kill()
    until = time.monotonic() + 5
    while locks[0].is_held("fffffffe"):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_mutex_lets_one_in_at_a_time(database, tmp_path):
    counter = tmp_path / "counter"
    counter.write_text("0")
    started = [Started(tmp_path / f"{i}", take_turns, database, counter, 25) for i in range(4)]
    assert [one.wait() for one in started] == [0] * 4, started[0].said
    assert counter.read_text() == "100"


def test_a_session_that_had_a_turn_may_be_silent_for_long_after_it(locks, monkeypatch):
    """As that of a runner is that is stopped: it keeps its lock."""
    monkeypatch.setattr("darts.tune.locks._MUTEX_SECONDS", 1)
    first, second = locks
    with first.mutex("turn"):
        pass
    first.hold("0000002a")
    time.sleep(2.5)
    assert second.is_held("0000002a")


def test_a_mutex_is_free_after_an_error(locks):
    with pytest.raises(ZeroDivisionError), locks[0].mutex("turn"):
        raise ZeroDivisionError
    with locks[1].mutex("turn"):
        pass


def test_a_beat_is_heard(locks, database):
    url = database_url(database, {}, None)
    study = optuna.create_study(storage=open_storage(url), study_name=NAME)
    trial_id = study.ask()._trial_id
    assert locks[0].silent_for(trial_id) == float("inf")
    locks[1].beat(trial_id)
    locks[1].beat(trial_id)
    assert 0 <= locks[0].silent_for(trial_id) < 30


# --- trials


def test_trials_are_the_points_of_the_plan_in_order(runners):
    one, other = runners(), runners()
    asked = [runner.ask() for runner in (one, other, one)]
    assert [trial.number for trial in asked] == [0, 1, 2]
    assert [trial.point for trial in asked] == [SPACE.point(42, k) for k in range(3)]


def test_no_more_trials_than_the_limit_and_the_total(runners):
    assert [runner.ask().number for runner in [runners(limit=2)] * 2] == [0, 1]
    assert runners(limit=2).ask() is None
    runner = runners(total=3)
    assert runner.ask().number == 2
    assert runner.ask() is None
    assert not runner.may_still_come()


def test_a_finished_trial_keeps_score_and_attributes(runners):
    runner = runners()
    asked = runner.ask()
    assert runner.finish(asked, TrialState.COMPLETE, 0.5, {"runs": [1]})
    trial = runners().study.trials[0]
    assert (trial.state, trial.value, trial.user_attrs["runs"]) == (TrialState.COMPLETE, 0.5, [1])
    assert owner_of(trial) == runner.owner


def test_a_released_trial_is_gone_on_with_by_the_next(runners):
    first, second = runners(), runners()
    asked = first.ask()
    first.note(asked, {0: 0.25}, runs=[{"fold": 0}])
    first.release()
    assert states(second) == [TrialState.WAITING]
    again = second.ask()
    assert (again.number, again.point, again.runs) == (asked.number, asked.point, ({"fold": 0},))
    assert second.study.trials[0].intermediate_values == {0: 0.25}
    assert second.study.trials[0].user_attrs.get("lost") is None


def test_closing_puts_the_trial_back(runners):
    first, second = runners(), runners()
    first.ask()
    first.close()
    assert states(second) == [TrialState.WAITING]


def test_a_living_runner_keeps_its_trial_however_silent(runners):
    first = runners(grace=1000)  # beats every 15 s
    first.ask()
    second = runners(grace=0.0001)
    time.sleep(1.1)
    assert second.ask().number == 1
    assert not second.may_still_come()


def test_the_trial_of_a_killed_runner_is_taken_over_at_once(runners, database, tmp_path):
    killed = Started(tmp_path / "log", ask_and_wait, database)
    killed.wait_for("asked 0")
    runner = runners(grace=1000)
    killed.kill()
    until = time.monotonic() + 5
    asked = runner.ask()
    while asked.number != 0:
        assert time.monotonic() < until, states(runner)
        runner.finish(asked, TrialState.FAIL)
        asked = runner.ask()
    assert asked.point == SPACE.point(42, 0)
    assert runner.study.trials[0].user_attrs["lost"] == 1
    assert runner.finish(asked, TrialState.COMPLETE, 1.0)


def test_a_runner_elsewhere_is_dead_only_after_the_grace(runners):
    """Its process can't be looked at, and a restarted server frees all locks."""
    gone, runner = runners(), runners(grace=1000)
    asked = gone.ask()
    gone._stopping.set()
    elsewhere = {"runner": "00000007", "host": "elsewhere", "pid": os.getpid(), "device": "0", "since": ""}
    asked.trial.set_user_attr("owner", elsewhere)
    assert runner.ask().number == 1
    assert runner.may_still_come()
    time.sleep(1.1)
    runner.grace = 1.0
    assert runner.ask().number == 0
    gone._trial_id = None


def test_what_a_replaced_owner_found_is_not_counted(runners):
    slow, quick = runners(), runners()
    asked = slow.ask()
    asked.trial.set_user_attr("owner", {**asked.trial.user_attrs["owner"], "runner": "00000009", "pid": 2**22 + 1})
    again = quick.ask()
    assert again.number == asked.number
    assert not slow.note(asked, runs=[])
    assert not slow.finish(asked, TrialState.COMPLETE, 9.0)
    assert quick.finish(again, TrialState.COMPLETE, 1.0)
    assert not slow.finish(asked, TrialState.COMPLETE, 9.0)
    assert quick.study.trials[0].value == 1.0


def test_telling_twice_counts_once(runners):
    runner = runners()
    asked = runner.ask()
    assert runner.finish(asked, TrialState.COMPLETE, 1.0)
    assert runner.finish(asked, TrialState.COMPLETE, 1.0)
    assert Counter(states(runner)) == {TrialState.COMPLETE: 1}


def test_a_trial_that_kills_every_runner_fails_with_the_reason(runners):
    runner = runners()
    for losses in range(1, MOST_LOSSES + 1):
        asked = runner.ask()
        assert asked.number == 0
        asked.trial.set_user_attr(
            "owner", {**asked.trial.user_attrs["owner"], "runner": f"{losses:08x}", "pid": 2**22 + 1}
        )
    assert runner.ask().number == 1
    trial = runner.study.trials[0]
    assert trial.state == TrialState.FAIL
    assert "runners died in the same run" in trial.user_attrs["reason"]


def test_a_trial_that_gets_on_may_lose_any_number_of_runners(runners):
    runner = runners()
    for losses in range(1, 2 * MOST_LOSSES):
        asked = runner.ask()
        assert asked.number == 0
        asked.trial.set_user_attr("runs", [{}] * losses)
        asked.trial.set_user_attr(
            "owner", {**asked.trial.user_attrs["owner"], "runner": f"{losses:08x}", "pid": 2**22 + 1}
        )
    assert runner.ask().number == 0
