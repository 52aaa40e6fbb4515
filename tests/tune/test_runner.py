"""What a runner makes of trials that go well, fail, are given up, or leave no score."""

import math
import signal

import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState

from darts.core.errors import DatasetError, Interrupted, SweepError
from darts.tune import crossvalidation
from darts.tune.runner import MOST_EQUAL_FAILURES, run_trials
from darts.tune.storage import database_url
from darts.tune.sweep import SweepRequest, open_sweep
from runners import settings_for

from .fakes import fake_run


@pytest.fixture
def work(dataset_dir, tmp_path, space_file, monkeypatch):
    """Runs trials of a sweep in SQLite; `metric` says what each run gives."""

    def go(metric=lambda spec: 0.5, trials=1, **request):
        fake = fake_run(metric)
        monkeypatch.setattr(crossvalidation, "run", fake)
        url = database_url(f"sqlite:///{tmp_path}/s.db", {}, None)
        sweep = open_sweep(settings_for(dataset_dir, tmp_path / "a"), SweepRequest(url, "s", space_file, **request))
        try:
            result = run_trials(sweep, trials, 60.0)
        finally:
            go.trials = sweep.study.get_trials(deepcopy=False)
            go.ran = [spec.run_name for spec in fake.specs]
        return result

    return go


def test_a_trial_keeps_its_score_its_runs_and_where_they_are(work, tmp_path):
    result = work(lambda spec: 0.25 + 0.5 * spec.data.fold)
    (trial,) = work.trials
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.5)
    assert trial.user_attrs["score"] == 0.5
    assert not trial.user_attrs["score_is_unstable"]
    assert [run["metrics"]["val/JaccardIndex"] for run in trial.user_attrs["runs"]] == [0.25, 0.75]
    assert trial.intermediate_values == {0: 0.25, 1: 0.75}
    assert trial.user_attrs["cv_name"] == "s-cv0"
    assert (result.finished, result.best, result.best_score) == ((0,), 0, 0.5)
    folder = tmp_path / "a" / "s" / "s-cv0"
    assert pd.read_parquet(folder / "run_infos.parquet")["score"].tolist() == [0.5, 0.5]
    table = pd.read_parquet(tmp_path / "a" / "s" / "s.parquet")
    assert table["score"].tolist() == [0.5]
    assert table["params/learning_rate"].tolist() == [trial.params["learning_rate"]]


def test_every_trial_is_its_point(work):
    fake = work(trials=3)
    assert fake.finished == (0, 1, 2)
    rates = {trial.params["learning_rate"] for trial in work.trials}
    assert len(rates) == 3
    assert [trial.number for trial in work.trials] == [0, 1, 2]


def test_a_run_that_fails_fails_its_trial_and_the_sweep_goes_on(work):
    def metric(spec):
        if spec.run_name == "s-cv0-run-f0s42":
            raise ValueError("too\nbad")
        return 0.5

    work(metric, trials=2)
    failed, fine = work.trials
    assert failed.state == TrialState.FAIL
    assert failed.user_attrs["reason"] == "too bad"
    assert failed.user_attrs["runs"][0]["error"] == "too bad"
    assert fine.state == TrialState.COMPLETE
    assert "s-cv0-run-f1s42" not in work.ran


def test_failures_in_a_row_for_one_reason_stop_the_runner(work):
    def metric(spec):
        number = int(spec.cv_name.removeprefix("s-cv"))
        raise ValueError(f"no memory for {spec.run_name}, samples {list(range(2, 4 + number))}")

    with pytest.raises(SweepError, match=r"the last 3 trials of this runner failed for the same reason: no memory"):
        work(metric, trials=10)
    assert [trial.state for trial in work.trials] == [TrialState.FAIL] * MOST_EQUAL_FAILURES


def test_failures_for_different_reasons_or_not_in_a_row_do_not(work):
    def metric(spec):
        number = int(spec.cv_name.removeprefix("s-cv"))
        if number % 4 != 3:
            raise ValueError("abcdefghij"[number])
        return 0.5

    work(metric, trials=8)
    assert [trial.state for trial in work.trials].count(TrialState.FAIL) == 6


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_score_that_is_not_finite_fails_the_trial(value, work):
    work(lambda spec: value if spec.data.fold else 0.5)
    assert work.trials[0].state == TrialState.FAIL
    assert "its score is" in work.trials[0].user_attrs["reason"]
    assert "s-cv0-run-f1s42" in work.trials[0].user_attrs["reason"]


def test_a_zero_marks_the_score_as_unstable(work):
    work(lambda spec: 0.5 * spec.data.fold)
    assert work.trials[0].state == TrialState.COMPLETE
    assert work.trials[0].user_attrs["score_is_unstable"]


def test_what_would_fail_every_trial_ends_the_runner_and_the_trial_goes_back(work):
    def metric(spec):
        raise DatasetError("a chunk is damaged.")

    with pytest.raises(DatasetError):
        work(metric, trials=3)
    assert [trial.state for trial in work.trials] == [TrialState.WAITING]


def test_runs_that_an_earlier_owner_finished_are_not_run_again(work):
    def stops(spec):
        if spec.data.fold:
            raise Interrupted("stopped.", 143)
        return 0.25

    with pytest.raises(Interrupted):
        work(stops)
    (trial,) = work.trials
    assert trial.state == TrialState.WAITING
    first = trial.user_attrs["runs"]
    work(lambda spec: 0.75)
    assert work.ran == ["s-cv0-run-f1s42"]
    assert work.trials[0].user_attrs["runs"][0] == first[0]
    assert work.trials[0].value == 0.5


def test_runs_are_reused_from_the_study_where_the_disk_is_another(work, tmp_path):
    def stops(spec):
        if spec.data.fold:
            raise Interrupted("stopped.", 143)
        return 0.25

    with pytest.raises(Interrupted):
        work(stops)
    (tmp_path / "a").rename(tmp_path / "elsewhere")
    work(lambda spec: 0.75)
    assert work.ran == ["s-cv0-run-f1s42"]
    assert work.trials[0].value == 0.5


def test_runs_of_an_older_sweep_of_the_same_name_are_not_taken_for_its_own(work, tmp_path, space_file):
    work()
    (tmp_path / "s.db").unlink()
    assert work().best_score == 0.5
    assert work.ran == []  # the same sweep, whose database was lost
    (tmp_path / "s.db").unlink()
    space_file.write_text(space_file.read_text().replace("0.01,", "0.02,"))
    with pytest.raises(SweepError, match=r"s-cv0 holds runs with another learning_rate; choose another name"):
        work()


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143), (SystemExit(129), 129)])
def test_a_signal_outside_of_training_ends_as_an_interruption(stop, code, work, monkeypatch):
    def raises(spec):
        raise stop

    with pytest.raises(Interrupted) as caught:
        work(raises)
    assert caught.value.exit_code == code
    assert [trial.state for trial in work.trials] == [TrialState.WAITING]
    assert signal.SIGTERM + 128 == 143


def test_a_pruned_trial_keeps_its_mean_and_is_never_best(work, monkeypatch):
    def prune(study, trial):
        return trial.number == 1

    monkeypatch.setattr(optuna.pruners.WilcoxonPruner, "prune", lambda self, study, trial: prune(study, trial))
    result = work(lambda spec: 0.9 if "cv1" in spec.run_name else 0.5, trials=2, pruner="wilcoxon")
    fine, pruned = work.trials
    assert pruned.state == TrialState.PRUNED
    assert pruned.user_attrs["score"] == 0.9
    assert "worse than the best trial after 1 of 2 runs" in pruned.user_attrs["reason"]
    assert result.best == fine.number == 0


def test_a_lower_metric_is_minimised(work, space_file):
    space_file.write_text(space_file.read_text().replace("maximize", "minimize").replace("JaccardIndex", "loss"))
    result = work(lambda spec: 1.0 / (1 + int(spec.cv_name.removeprefix("s-cv"))), trials=3)
    assert result.best == 2
