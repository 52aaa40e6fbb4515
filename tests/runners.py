"""What processes of the tests do with a sweep; here, so that a started process can import it."""

import os
import random
import time
from pathlib import Path

import optuna
from optuna.trial import TrialState

from darts.training.config import DatasetConfig, FitConfig, Hyperparameters, LoggingConfig
from darts.tune.config import CrossValidationConfig
from darts.tune.locks import open_locks
from darts.tune.plan import CrossValidationSettings
from darts.tune.runner import Outcome, run_trials
from darts.tune.sampler import PlanSampler
from darts.tune.space import Range, Space
from darts.tune.storage import database_url, open_storage
from darts.tune.sweep import SweepRequest, open_sweep
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


def settings_for(dataset, artifact_dir, **fit):
    """Two tiny runs a trial."""
    return CrossValidationSettings(
        DatasetConfig(train_data_dir=dataset, fold_method="region-kfold", total_folds=2),
        Hyperparameters(model_encoder="tu-test_resnet.r160_in1k"),
        FitConfig(device="cpu", max_epochs=1, **fit),
        LoggingConfig(artifact_dir=artifact_dir),
        CrossValidationConfig(n_folds=2, n_randoms=1),
    )


def run_fast_trials(
    database, dataset, artifact_dir, space_file, trials, total=None, seconds=0.01, at=None, method=None
):
    """A whole runner, with a fast objective in the place of training; begins at a given time."""

    def execute(shared, asked, plan):
        time.sleep(random.uniform(0, 2 * seconds))
        with (Path(artifact_dir) / "done.txt").open("a") as log:
            log.write(f"{asked.number} {os.getpid()}\n")
        return Outcome(TrialState.COMPLETE, float(asked.number), {"point": asked.point})

    time.sleep(max(0.0, (at or 0) - time.time()))
    url = database_url(str(database), {}, None)
    sweep = open_sweep(
        settings_for(dataset, artifact_dir),
        SweepRequest(url, "fast", space_file, method=method, total_trials=total),
    )
    result = run_trials(sweep, trials, 60.0, execute)
    print("finished", *result.finished, flush=True)
