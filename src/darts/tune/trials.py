"""The trials of a sweep, shared by runners: each is asked for, owned, and finished by one of them at a time.

A trial keeps its number and its parameters from the moment it is asked for. When its owner stops or dies, it goes back
to the queue (WAITING), and whoever asks next goes on with it.
"""

import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from optuna import Study, Trial
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState

from darts.core.log import get_logger
from darts.core.names import random_id
from darts.tune.locks import Locks
from darts.tune.sampler import suggest
from darts.tune.space import Value
from darts.tune.storage import is_outage, persistently

_log = get_logger(__name__)

T = TypeVar("T")

TOTAL_TRIALS = "total_trials"
MOST_LOSSES = 10
"""Runners that may die in one and the same run of a trial before it is taken for the cause."""
_RELEASE_SECONDS = 10.0
_LONGEST_BEAT = 15.0


@dataclass(frozen=True, slots=True)
class Owner:
    """The runner that works on a trial.

    Attributes
    ----------
    runner
        Eight characters of [0-9a-f].
    host
        Name of the computer, and the space that `pid` is a number in.
    """

    runner: str
    host: str
    pid: int
    device: str
    since: str

    def __str__(self) -> str:
        return f"runner {self.runner} ({self.host.partition('/')[0]}, pid {self.pid})"


@dataclass(frozen=True, slots=True)
class AskedTrial:
    """A trial that this runner works on.

    Attributes
    ----------
    point
        The value of every dimension of the search space.
    runs
        What earlier owners recorded of its runs.
    """

    trial: Trial
    number: int
    point: dict[str, Value]
    runs: tuple[dict[str, Any], ...] = ()

    @property
    def trial_id(self) -> int:
        """Its id in the database."""
        return self.trial._trial_id


def this_process(device: str) -> Owner:
    """A new runner in this process."""
    try:  # two containers of one name may each have a process 7
        namespace = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        namespace = ""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Owner(random_id(), f"{socket.gethostname()}/{namespace}", os.getpid(), device, now)


def owner_of(trial: FrozenTrial) -> Owner | None:
    """The owner of a running trial, or the last one of another."""
    owner = trial.user_attrs.get("owner")
    return None if owner is None else Owner(**owner)


def owner_state(
    owner: Owner, trial_id: int, locks: Locks, grace: float, here: str
) -> Literal["alive", "silent", "dead"]:
    """What is known of the owner of a running trial.

    A free lock alone tells little: all are free after the database was restarted, until their holders are back. So a
    runner is taken for dead when it was silent for `grace` seconds, too, or when it ran on this computer, and its process
    is gone.

    Parameters
    ----------
    here
        The `host` of this process.
    """
    if locks.is_held(owner.runner):
        return "alive"
    if owner.host == here and not _is_running(owner.pid):
        return "dead"
    return "dead" if locks.silent_for(trial_id) > grace else "silent"


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class SharedTrials:
    """The trials of a study, as one runner sees them.

    Parameters
    ----------
    study
        With the sampler that knows which point a trial is.
    distributions
        The dimensions of the search space.
    limit
        Number of points of the search space, if each is to be visited once.
    """

    def __init__(
        self,
        study: Study,
        distributions: Mapping[str, BaseDistribution],
        locks: Locks,
        owner: Owner,
        grace: float,
        limit: int | None = None,
    ) -> None:
        self.study, self.locks, self.owner, self.grace, self._limit = study, locks, owner, grace, limit
        self._distributions = distributions
        self._trial_id: int | None = None
        self._stopping = threading.Event()
        persistently(lambda: locks.hold(owner.runner))
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._heart.start()

    @property
    def _storage(self) -> BaseStorage:
        return self.study._storage

    def _beat(self) -> None:
        """Show that this runner lives, until it is closed; the training goes on whatever the database does."""
        while not self._stopping.wait(min(self.grace / 4, _LONGEST_BEAT)):
            try:
                self.locks.hold(self.owner.runner)
                if (trial_id := self._trial_id) is not None:
                    self.locks.beat(trial_id)
            except Exception as error:  # noqa: BLE001 -- whatever it is, the next beat tries again
                _log.debug("no beat: %s", error)

    def _in_turn(self, action: Callable[[], T], patience: float | None = None) -> T:
        """Do something while no other runner does; wait for the database while it is away."""

        def act() -> T:
            _forget_session(self._storage)
            with self.locks.mutex(self.study.study_name):
                return action()

        return persistently(act, patience)

    def in_turn(self, what: str, action: Callable[[], None]) -> None:
        """Do something while no other runner does the same, if the database is there."""

        def act() -> None:
            with self.locks.mutex(f"{self.study.study_name}-{what}"):
                action()

        self._if_reachable(act, None)

    def ask(self) -> AskedTrial | None:
        """The next trial to work on: one that lost its runner, or a new one; None when there is nothing left to do."""
        asked: AskedTrial | None = self._in_turn(self._take)
        self._trial_id = asked.trial_id if asked else None
        return asked

    def _take(self) -> AskedTrial | None:
        self._queue_lost_again()
        trials = self.study.get_trials(deepcopy=False)
        limit = self.limit()
        if limit is not None and len(trials) >= limit and not any(t.state == TrialState.WAITING for t in trials):
            return None
        trial = self.study.ask()
        if limit is not None and trial.number >= limit:  # the turn was lost with the connection, and another came in
            self._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
            return None
        trial.set_user_attr("owner", asdict(self.owner))
        self.locks.beat(trial._trial_id)
        point = {name: suggest(trial, name, one) for name, one in self._distributions.items()}
        return AskedTrial(trial, trial.number, point, tuple(trial.user_attrs.get("runs", ())))

    def limit(self) -> int | None:
        """How many trials there may be in all."""
        limits = (self.study.user_attrs.get(TOTAL_TRIALS), self._limit)
        return min((limit for limit in limits if limit is not None), default=None)

    def may_still_come(self) -> bool:
        """Whether a running trial has an owner that may be dead, but not for long enough yet."""

        def look() -> bool:
            self._queue_lost_again()
            running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING))
            return any(trial.state == TrialState.WAITING or self._state_of_owner(trial) != "alive" for trial in running)

        return self._in_turn(look)

    def _state_of_owner(self, trial: FrozenTrial) -> Literal["alive", "silent", "dead"]:
        owner = owner_of(trial)
        if owner is None:  # it died within its turn; else we would not be in ours
            return "dead"
        return owner_state(owner, trial._trial_id, self.locks, self.grace, self.owner.host)

    def _queue_lost_again(self) -> None:
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if self._state_of_owner(trial) == "dead":
                self._lose(trial)

    def _lose(self, trial: FrozenTrial) -> None:
        """Put a trial whose runner died back into the queue, unless it looks as if it had killed it."""
        storage, trial_id, owner = self._storage, trial._trial_id, owner_of(trial)
        finished = len(trial.user_attrs.get("runs", ()))
        in_this_run = [*trial.user_attrs.get("lost_after", ()), finished].count(finished)
        storage.set_trial_user_attr(trial_id, "lost_after", [*trial.user_attrs.get("lost_after", ()), finished])
        storage.set_trial_user_attr(trial_id, "lost", trial.user_attrs.get("lost", 0) + 1)
        if in_this_run >= MOST_LOSSES:
            reason = f"{in_this_run} runners died in the same run of it, for want of memory perhaps"
            storage.set_trial_user_attr(trial_id, "reason", reason)
            storage.set_trial_state_values(trial_id, TrialState.FAIL)
            _log.warning("trial %d failed: %s.", trial.number, reason)
            return
        storage.set_trial_state_values(trial_id, TrialState.WAITING)
        _log.warning("trial %d lost its %s, and is queued again.", trial.number, owner or "runner")

    def note(self, asked: AskedTrial, steps: Mapping[int, float] | None = None, **attributes: Any) -> bool:
        """Record something of a running trial, if the database is there; whether the trial is still ours.

        Parameters
        ----------
        steps
            Scores of single runs, by the number of the run.
        attributes
            User attributes of the trial.
        """

        def record() -> bool:
            if not self._is_ours(asked.trial_id):
                return False
            for name, value in attributes.items():
                asked.trial.set_user_attr(name, value)
            for step, value in (steps or {}).items():
                self._storage.set_trial_intermediate_value(asked.trial_id, step, value)
            return True

        return self._if_reachable(record, True)

    def should_prune(self, asked: AskedTrial) -> bool:
        """Whether the pruner of the study would give the trial up; not while the database is away."""
        return self._if_reachable(
            lambda: self.study.pruner.prune(self.study, self._storage.get_trial(asked.trial_id)), False
        )

    def _if_reachable(self, action: Callable[[], T], otherwise: T) -> T:
        try:
            _forget_session(self._storage)
            return action()
        except Exception as error:
            if not is_outage(error):
                raise
            _log.debug("the database is away: %s", error)
            return otherwise

    def _is_ours(self, trial_id: int) -> bool:
        now = self._storage.get_trial(trial_id)
        return now.state == TrialState.RUNNING and now.user_attrs.get("owner") == asdict(self.owner)

    def finish(
        self,
        asked: AskedTrial,
        state: TrialState,
        value: float | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> bool:
        """Record how a trial ended; False when it was given to another runner meanwhile, and nothing is recorded.

        This takes no turn: that another runner takes the trial over in the same instant does no harm, since a trial can be
        finished only once, and both runners have the same result.
        """

        def tell() -> bool:
            _forget_session(self._storage)
            now = self._storage.get_trial(asked.trial_id)
            if now.state == state and now.user_attrs.get("owner") == asdict(self.owner):
                return True  # the connection broke after it was recorded
            if not self._is_ours(asked.trial_id):
                return False
            for name, one in (attributes or {}).items():
                asked.trial.set_user_attr(name, one)
            values = None if value is None else [value]
            try:
                return self._storage.set_trial_state_values(asked.trial_id, state, values)
            except UpdateFinishedTrialError:
                return False

        told = persistently(tell)
        self._trial_id = None
        return told

    def release(self) -> None:
        """Put the trial that this runner works on back into the queue, if it works on one."""

        def put_back() -> None:
            for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                if owner_of(trial) == self.owner:
                    self._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)

        self._in_turn(put_back, _RELEASE_SECONDS)
        self._trial_id = None

    def close(self) -> None:
        """End the life of this runner; a trial that it still has goes to the next one."""
        try:
            self.release()
        except Exception as error:  # noqa: BLE001 -- the next runner finds out that this one is gone
            _log.warning("the trial of this runner could not be put back (%s); the next runner takes it over.", error)
        finally:
            self._stopping.set()
            self._heart.join(timeout=_RELEASE_SECONDS)
            self.locks.close()


def _forget_session(storage: BaseStorage) -> None:
    """End a session that a broken connection left behind, so that the next one begins anew."""
    backend = getattr(storage, "_backend", storage)
    if isinstance(backend, RDBStorage):
        backend.remove_session()
