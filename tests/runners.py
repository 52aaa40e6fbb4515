"""What processes of the tests do with a sweep; here, so that a started process can import it."""

import time

import optuna
from optuna.trial import TrialState

from darts.tune.locks import open_locks
from darts.tune.sampler import PlanSampler
from darts.tune.space import Range, Space
from darts.tune.storage import database_url, open_storage
from darts.tune.trials import TOTAL_TRIALS, SharedTrials, this_process

SPACE = Space({"learning_rate": Range(1e-5, 1e-2, "log"), "gamma": Range(0.5, 1.0)})
NAME = "contract"


def join(database, limit=None, grace=60.0, total=None):
    """A runner of this process."""
    url = database_url(database, {}, None)
    locks = open_locks(url)
    with locks.mutex("database"):
        study = optuna.create_study(
            storage=open_storage(url), study_name=NAME, sampler=PlanSampler(SPACE, 42), load_if_exists=True
        )
    if total is not None:
        study.set_user_attr(TOTAL_TRIALS, total)
    return SharedTrials(study, SPACE.distributions(), locks, this_process("cpu"), grace, limit)


def hold_and_wait(database, runner):
    locks = open_locks(database_url(database, {}, None))
    locks.hold(runner)
    print("holding", flush=True)
    time.sleep(60)


def take_turns(database, counter, times):
    locks = open_locks(database_url(database, {}, None))
    for _ in range(times):
        with locks.mutex("turn"):
            number = int(counter.read_text())
            time.sleep(0.001)
            counter.write_text(str(number + 1))


def ask_and_wait(database):
    runner = join(database, grace=0.4)
    asked = runner.ask()
    print("asked", asked.number, flush=True)
    time.sleep(120)
