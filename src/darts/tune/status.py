"""How far a sweep is: its trials by state, who works on it, what came out, and how long it will take."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from darts.tune.table import (
    STATE_WORDS,
    best_trial,
    duration_of,
    finished_runs_of,
    host_of,
    is_unstable,
    ranked_trials,
    run_scores,
    score_of,
    space_of,
    sweep_record,
)

FAILURES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Runner:
    """A runner, and the trial that it works on or was lost in.

    Attributes
    ----------
    since
        When it started (ISO 8601).
    runs_finished
        How many runs of the trial are there.
    """

    trial: int
    runner: str
    host: str
    pid: int
    device: str
    since: str
    runs_finished: int


@dataclass(frozen=True, slots=True)
class BestTrial:
    """The best trial so far.

    Attributes
    ----------
    deviation
        Standard deviation of the scores of its runs; None if fewer than two of them are finite.
    """

    number: int
    score: float
    is_unstable: bool
    cv_name: str
    params: Mapping[str, Any]
    deviation: float | None


@dataclass(frozen=True, slots=True)
class Spread:
    """The scores of all complete trials."""

    lowest: float
    median: float
    highest: float


@dataclass(frozen=True, slots=True)
class FailedTrial:
    """A trial that failed."""

    number: int
    cv_name: str
    reason: str


@dataclass(frozen=True, slots=True)
class SweepStatus:
    """How far a sweep is.

    Attributes
    ----------
    counts
        Number of trials by state: complete, running, waiting, pruned, failed.
    total
        How many trials there will be; None if nothing limits them.
    living, lost
        The runners of running trials; those that are lost are gone, and their trials wait for the next runner.
    seconds_per_trial
        Mean over complete trials of the seconds that their runs took.
    seconds_left
        Until all trials have ended, with as many runners as now, or with one; None when that can't be known.
    failed
        The last trials that failed, the latest first.
    """

    sweep_id: str
    counts: Mapping[str, int]
    total: int | None
    living: tuple[Runner, ...]
    lost: tuple[Runner, ...]
    best: BestTrial | None
    spread: Spread | None
    seconds_per_trial: float | None
    seconds_left: float | None
    failed: tuple[FailedTrial, ...]

    @property
    def ended(self) -> int:
        """How many trials are complete, pruned or failed."""
        return sum(self.counts[state] for state in ("complete", "pruned", "failed"))


def sweep_status(study: Study, is_alive: Callable[[Mapping[str, Any]], bool]) -> SweepStatus:
    """How far a sweep is; `is_alive` says whether the owner of a running trial, as the study keeps it, is still there."""
    trials = sorted(study.get_trials(deepcopy=False), key=lambda trial: trial.number)
    counts = Counter(trial.state for trial in trials)
    total = total_trials(study)
    living, lost = _runners(trials, is_alive)
    seconds = _seconds_per_trial(trials)
    remaining = None if total is None else total - sum(trial.state.is_finished() for trial in trials)
    return SweepStatus(
        sweep_id=study.study_name,
        counts={word: counts[state] for state, word in STATE_WORDS.items()},
        total=total,
        living=living,
        lost=lost,
        best=_best(study, trials),
        spread=_spread(study, trials),
        seconds_per_trial=seconds,
        seconds_left=_seconds_left(remaining, seconds, living),
        failed=_last_failures(trials),
    )


def total_trials(study: Study) -> int | None:
    """How many trials there will be: as many as were asked for, but no more than there are points to visit."""
    # A Bayesian search alone may come back to a point.
    points = None if sweep_record(study).get("method") == "bayes" else _size(study)
    limits = [limit for limit in (study.user_attrs.get("total_trials"), points) if limit is not None]
    return min(limits, default=None)


def _size(study: Study) -> int | None:
    space = space_of(study)
    return space.size if space.dimensions else None


def _runners(
    trials: Sequence[FrozenTrial], is_alive: Callable[[Mapping[str, Any]], bool]
) -> tuple[tuple[Runner, ...], tuple[Runner, ...]]:
    living: list[Runner] = []
    lost: list[Runner] = []
    for trial in trials:
        owner = trial.user_attrs.get("owner")
        # A trial without an owner was begun this very moment.
        if trial.state == TrialState.RUNNING and owner:
            (living if is_alive(owner) else lost).append(_runner(trial, owner))
    return tuple(living), tuple(lost)


def _runner(trial: FrozenTrial, owner: Mapping[str, Any]) -> Runner:
    return Runner(
        trial=trial.number,
        runner=str(owner.get("runner", "")),
        host=host_of(owner),
        pid=int(owner.get("pid", 0)),
        device=str(owner.get("device", "")),
        since=str(owner.get("since", "")),
        runs_finished=len(finished_runs_of(trial)),
    )


def _seconds_per_trial(trials: Sequence[FrozenTrial]) -> float | None:
    durations = [duration_of(trial) for trial in trials if trial.state == TrialState.COMPLETE]
    known = [duration for duration in durations if math.isfinite(duration)]
    return fmean(known) if known else None


def _seconds_left(remaining: int | None, seconds_per_trial: float | None, living: Sequence[Runner]) -> float | None:
    if remaining is None or seconds_per_trial is None:
        return None
    runners = len({runner.runner for runner in living})
    return max(0, remaining) * seconds_per_trial / max(1, runners)


def _best(study: Study, trials: Sequence[FrozenTrial]) -> BestTrial | None:
    best = best_trial(trials, study.direction)
    if best is None:
        return None
    return BestTrial(
        number=best.number,
        score=score_of(best),
        is_unstable=is_unstable(best),
        cv_name=str(best.user_attrs.get("cv_name", "")),
        params=dict(best.params),
        deviation=score_deviation(study, best),
    )


def score_deviation(study: Study, trial: FrozenTrial) -> float | None:
    """Standard deviation of the scores of the runs of a trial; None if fewer than two of them are finite."""
    scores = [score for score in run_scores(study, trial) if math.isfinite(score)]
    return stdev(scores) if len(scores) > 1 else None


def _spread(study: Study, trials: Sequence[FrozenTrial]) -> Spread | None:
    scores = [score_of(trial) for trial in ranked_trials(trials, study.direction)]
    return Spread(min(scores), median(scores), max(scores)) if scores else None


def _last_failures(trials: Sequence[FrozenTrial]) -> tuple[FailedTrial, ...]:
    failed = [trial for trial in reversed(trials) if trial.state == TrialState.FAIL]
    return tuple(
        FailedTrial(trial.number, str(trial.user_attrs.get("cv_name", "")), str(trial.user_attrs.get("reason", "")))
        for trial in failed[:FAILURES_SHOWN]
    )
