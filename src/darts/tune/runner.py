"""A runner: it asks for trials, cross-validates each, and reports what came out, for as long as there is something to do."""

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from darts.core.errors import DatasetError, Interrupted, SweepError, interruptible, one_line
from darts.core.files import make_directory
from darts.core.log import console, get_logger
from darts.training.devices import one_device
from darts.tune.crossvalidation import RunInfo, finished_runs, run_missing, summarise
from darts.tune.plan import CrossValidationPlan, plan_cross_validation
from darts.tune.score import check_score_is_unstable, parse_scoring_metrics, score_of_run
from darts.tune.settings import settings_record
from darts.tune.space import Value
from darts.tune.storage import persistently
from darts.tune.sweep import Sweep, SweepPlan
from darts.tune.table import best_trial, write_trials_table
from darts.tune.trials import AskedTrial, SharedTrials, this_process

_log = get_logger(__name__)

MOST_EQUAL_FAILURES = 3
"""Trials in a row that may fail for the same reason before a runner stops."""
_TABLE_SECONDS = 30.0
"""The table of all trials is written as often as this at the most, but for failures and the end."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial ended.

    Attributes
    ----------
    score
        Of all runs, or of those that were made before it was given up; None when it failed.
    attributes
        What the study keeps beside the score.
    """

    state: TrialState
    score: float | None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Why the trial failed or was given up."""
        return str(self.attributes.get("reason", ""))


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a runner leaves.

    Attributes
    ----------
    name
        The sweep id.
    is_new
        Whether this runner made the sweep.
    finished
        Numbers of the trials that this runner finished.
    best
        Number of the best trial of all runners so far, if there is any.
    best_score
        Its score.
    best_point
        Its parameters.
    """

    name: str
    is_new: bool
    directory: Path
    finished: tuple[int, ...] = ()
    best: int | None = None
    best_score: float | None = None
    best_point: Mapping[str, Value] | None = None


Execute = Callable[[SharedTrials, AskedTrial, SweepPlan], Outcome | None]


def run_trials(sweep: Sweep, n_trials: int | None, grace: float, execute: Execute | None = None) -> SweepResult:
    """Work on trials of a sweep, until this runner has finished `n_trials` of them, or none is left.

    Parameters
    ----------
    n_trials
        None for as many as there are.
    grace
        Seconds of silence after which another runner is taken for dead, if its lock is free, too.
    execute
        What is done with a trial; None when it was given to another runner meanwhile.

    Raises
    ------
    Interrupted
        When somebody asked to stop; the trial is back in the queue.
    RunError
        When the device isn't there.
    SweepError
        When several trials in a row failed for the same reason, or the database stays away.
    """
    plan = sweep.plan
    one_device(plan.settings.fit.device)  # else every trial would fail for it
    make_directory(plan.directory.path, SweepError)
    owner = this_process(", ".join(plan.settings.fit.device))
    trials = SharedTrials(sweep.study, plan.space.distributions(), sweep.locks, owner, grace, plan.limit)
    try:
        with interruptible():
            finished = _work(trials, plan, n_trials, execute or cross_validate_trial)
    finally:
        trials.close()
    return persistently(lambda: _result(sweep, finished))


def _ended_trials(
    trials: SharedTrials, plan: SweepPlan, n_trials: int | None, execute: Execute
) -> Iterator[tuple[AskedTrial, Outcome]]:
    """The trials that this runner finished, as they end."""
    finished = 0
    while n_trials is None or finished < n_trials:
        asked = trials.ask()
        if asked is None:
            if not trials.may_still_come():
                return
            time.sleep(min(1.0, trials.grace / 4))
            continue
        _say_start(asked, plan)
        outcome = execute(trials, asked, plan)
        if outcome is None or not trials.finish(asked, outcome.state, outcome.score, outcome.attributes):
            _log.warning("trial %d was given to another runner; what this one made of it is not counted.", asked.number)
            continue
        finished += 1
        yield asked, outcome


def _work(trials: SharedTrials, plan: SweepPlan, n_trials: int | None, execute: Execute) -> list[int]:
    """The numbers of the trials that this runner finished; what came out is said, and put into the table."""

    def write_table() -> None:
        trials.in_turn("table", lambda: write_trials_table(trials.study, plan.directory.table))

    finished: list[int] = []
    failures: list[str] = []
    written = -_TABLE_SECONDS
    for asked, outcome in _ended_trials(trials, plan, n_trials, execute):
        finished.append(asked.number)
        _say_end(asked, outcome)
        failures = [*failures, outcome.reason] if outcome.state == TrialState.FAIL else []
        if failures or time.monotonic() - written > _TABLE_SECONDS:
            write_table()
            written = time.monotonic()
        _stop_if_hopeless(failures)
    write_table()
    return finished


def _stop_if_hopeless(failures: list[str]) -> None:
    # The numbers in a reason differ from trial to trial, and so does the length of a list of them.
    alike = {re.sub(r"[\d.]+(, [\d.]+)*", "#", reason) for reason in failures[-MOST_EQUAL_FAILURES:]}
    if len(failures) >= MOST_EQUAL_FAILURES and len(alike) == 1:
        raise SweepError(
            f"the last {MOST_EQUAL_FAILURES} trials of this runner failed for the same reason: {failures[-1].rstrip('.')}; "
            "mend that, then join the sweep again."
        )


def _say_start(asked: AskedTrial, plan: SweepPlan) -> None:
    varied = ", ".join(f"{name} {value}" for name, value in asked.point.items())
    again = f", {len(asked.runs)} runs are there" if asked.runs else ""
    console.print(f"trial {asked.number} of {plan.name}: {varied}{again}", highlight=False, soft_wrap=True)


def _say_end(asked: AskedTrial, outcome: Outcome) -> None:
    unstable = ", unstable: a metric of a run is 0" if outcome.attributes.get("score_is_unstable") else ""
    score = "" if outcome.score is None else f" score {outcome.score:.4f}{unstable}"
    word = {TrialState.COMPLETE: "", TrialState.PRUNED: " given up,", TrialState.FAIL: " failed:"}[outcome.state]
    reason = f" {outcome.reason}" if outcome.state == TrialState.FAIL else ""
    console.print(f"trial {asked.number}:{word}{score}{reason}", highlight=False, soft_wrap=True)


def cross_validate_trial(trials: SharedTrials, asked: AskedTrial, plan: SweepPlan) -> Outcome | None:
    """Cross-validate the point of a trial; runs that an earlier owner finished are not run again."""
    try:
        settings = plan.settings.at(asked.point)
        cv_name = f"{plan.name}-cv{asked.number}"
        record = settings_record(settings.groups) | {"dataset_fingerprint": plan.dataset_fingerprint}
        cv = plan_cross_validation(settings, cv_name, plan.name, record)
        return _run_all(trials, asked, cv)
    except (Interrupted, DatasetError, SweepError, OSError):
        raise  # every trial would end so
    except Exception as error:  # noqa: BLE001 -- a point may be wrong in ways that nobody has thought of
        _log.debug("trial %d failed", asked.number, exc_info=error)
        return Outcome(TrialState.FAIL, None, {"reason": one_line(error) or type(error).__name__})


def _run_all(trials: SharedTrials, asked: AskedTrial, cv: CrossValidationPlan) -> Outcome | None:
    recorded = [RunInfo(**run) for run in asked.runs]
    known = {info.run_name: info for info in recorded if info.is_finished} | finished_runs(cv)
    infos: list[RunInfo] = []
    for info in run_missing(cv, known):
        infos.append(info)
        runs = [one.as_dict() for one in infos]
        if not info.is_finished:
            return Outcome(TrialState.FAIL, None, {"runs": runs, "reason": info.error})
        if not trials.note(asked, {len(infos) - 1: _score_of(cv, info)}, runs=runs, cv_name=cv.cv_name):
            return None
        if len(infos) < len(cv.runs) and trials.should_prune(asked):
            return _given_up(cv, infos)
    return _scored(cv, infos)


def _score_of(cv: CrossValidationPlan, info: RunInfo) -> float:
    return score_of_run(info.metrics, parse_scoring_metrics(cv.scoring_metric), cv.multi_score_strategy)


def _given_up(cv: CrossValidationPlan, infos: list[RunInfo]) -> Outcome:
    score = math.fsum(_score_of(cv, info) for info in infos) / len(infos)
    reason = f"clearly worse than the best trial after {len(infos)} of {len(cv.runs)} runs"
    return Outcome(
        TrialState.PRUNED, score, {"runs": [one.as_dict() for one in infos], "score": score, "reason": reason}
    )


def _scored(cv: CrossValidationPlan, infos: list[RunInfo]) -> Outcome:
    result = summarise(cv, infos)
    runs = [one.as_dict() for one in infos]
    assert result.score is not None
    if not math.isfinite(result.score):
        unstable = [info.run_name for info in infos if check_score_is_unstable(info.metrics, cv.scoring_metric)]
        reason = f"its score is {result.score}, because of {', '.join(unstable)}"
        return Outcome(TrialState.FAIL, None, {"runs": runs, "score_is_unstable": True, "reason": reason})
    return Outcome(
        TrialState.COMPLETE,
        result.score,
        {"runs": runs, "score": result.score, "score_is_unstable": result.score_is_unstable},
    )


def _result(sweep: Sweep, finished: list[int]) -> SweepResult:
    best = best_trial(sweep.study.get_trials(deepcopy=False), sweep.study.direction)
    result = SweepResult(sweep.plan.name, sweep.is_new, sweep.plan.directory.path, tuple(finished))
    if best is None:
        return result
    return SweepResult(
        result.name, result.is_new, result.directory, result.finished, best.number, best.value, dict(best.params)
    )
