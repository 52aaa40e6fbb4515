"""Real sweeps of real, tiny trainings, whose runners are killed, stopped and asked to stop, and whose server goes away."""

import random
import re
import shlex
import signal
import time
from collections import Counter

import optuna
import pytest
from optuna.trial import TrialState

from darts.core.artifacts import RunDirectory
from darts.tune.space_files import read_space_file
from darts.tune.storage import database_url, open_storage
from databases import Postgres
from processes import start_command

TRIALS = 16
RUNS = 2
RUNNERS = 3
KILLS = 20
RESTARTS = 10


def study_of(database, name="tiny"):
    storage = open_storage(database_url(str(database), {}, None))
    return optuna.load_study(study_name=name, storage=storage)


@pytest.fixture
def sweep_words(dataset_dir, space_file, tmp_path):
    """The command of a runner, whichever; two folds and one seed a trial."""
    return (
        *("optuna-sweep-smp", "--train-data-dir", dataset_dir, "--artifact-dir", tmp_path / "artifacts"),
        *("--data-split-method", "region", "--data-split-by", "West", "--fold-method", "region-kfold"),
        *("--total-folds", RUNS, "--n-randoms", 1, "--max-epochs", 1, "--check-val-every-n-epoch", 1),
        *("--sweep-config", space_file, "--sweep-id", "tiny", "--device", "cpu"),
    )


@pytest.fixture
def runners(tmp_path):
    """Starts commands with logs of their own, and ends those that are left."""
    started = []

    def start(*words, **environment):
        started.append(start_command(tmp_path / f"log-{len(started)}", *words, **environment))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture
def own_server():
    """A server that may be stopped."""
    server = Postgres()
    yield server
    server.start()
    server.close()


def finished_runs(artifacts) -> Counter:
    """How often each run was finished."""
    return Counter(RunDirectory(path.parent).name_and_id[0] for path in artifacts.rglob("result.json"))


class Chaos:
    """Keeps three runners going, and remembers what those that it kills were at."""

    def __init__(self, start, database):
        self.start, self.database = start, database
        self.all = []
        self.alive = []
        self.at_kill = []
        self.told = {}

    def refill(self):
        for one in self.alive:
            came_while_away = "--sweep-db:" in one.said
            assert one.is_running or one.process.exitcode == (1 if came_while_away else 0), one.said
        self.alive = [one for one in self.alive if one.is_running]
        while len(self.alive) < RUNNERS:
            self.alive.append(self.start())
            self.all.append(self.alive[-1])

    def kill(self, runner):
        runner.kill()
        self.alive.remove(runner)
        for trial in study_of(self.database).get_trials(deepcopy=False):
            if trial.state == TrialState.COMPLETE:
                self.told[trial.number] = trial.value
            elif trial.user_attrs.get("owner", {}).get("pid") == runner.process.pid:
                self.at_kill.append(trial)


@pytest.mark.slow
def test_twenty_kills_and_ten_restarts_lose_nothing_and_do_nothing_twice(
    own_server, runners, sweep_words, space_file, tmp_path
):
    database = own_server.new_database()
    words = (*sweep_words, "--n-trials", TRIALS, "--total-trials", TRIALS)
    chaos = Chaos(lambda: runners(*words, DARTS_SWEEP_DB=database), database)
    rng = random.Random(3)
    events = ["kill"] * KILLS + ["restart"] * RESTARTS
    rng.shuffle(events)
    chaos.refill()
    chaos.alive[0].wait_for("run 1 of")
    done = Counter()
    for event in events:
        time.sleep(rng.uniform(0.5, 3.5))
        if event == "kill":
            chaos.refill()
            chaos.kill(rng.choice([one for one in chaos.alive if one.is_running]))
        else:
            own_server.stop(at_once=rng.random() < 0.5)
            time.sleep(rng.uniform(0, 2))
            own_server.start()
        done[event] += 1
    while any(trial.state != TrialState.COMPLETE for trial in study_of(database).get_trials(deepcopy=False)):
        chaos.refill()
        time.sleep(1)
    for one in chaos.alive:
        assert one.wait() == 0, one.said
    print(f"{done}, {len(chaos.at_kill)} trials were running when their runner was killed")

    trials = study_of(database).get_trials(deepcopy=False)
    space = read_space_file(space_file).space
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * TRIALS
    assert [trial.params for trial in trials] == [space.point(42, k) for k in range(TRIALS)]
    assert chaos.told.items() <= {trial.number: trial.value for trial in trials}.items()
    assert chaos.at_kill  # on a quick machine the sweep is done before the last kills
    for before in chaos.at_kill:
        after = trials[before.number]
        assert after.params.items() >= before.params.items()
        runs = {run["run_id"] for run in after.user_attrs["runs"]}
        assert runs >= {run["run_id"] for run in before.user_attrs.get("runs", ())}
        assert after.user_attrs["owner"]["pid"] != before.user_attrs["owner"]["pid"]
    said = "".join(one.said for one in chaos.all)
    assert all(count == 1 for count in Counter(re.findall(r"^trial (\d+): score", said, re.MULTILINE)).values())
    assert finished_runs(tmp_path / "artifacts") == {
        f"tiny-cv{k}-run-f{fold}s42": 1 for k in range(TRIALS) for fold in range(RUNS)
    }
    assert "was given to another runner" not in said


@pytest.mark.slow
def test_a_stopped_runner_keeps_its_trial_for_three_grace_periods(runners, sweep_words, postgres):
    database = postgres.new_database()
    words = (*sweep_words, "--n-trials", 1, "--grace", 2)
    slow = runners(*words, DARTS_SWEEP_DB=database)
    slow.wait_for("run 1 of")
    slow.send(signal.SIGSTOP)
    began = time.monotonic()
    quick = runners(*words, DARTS_SWEEP_DB=database)
    assert quick.wait() == 0, quick.said
    time.sleep(max(0.0, 6.5 - (time.monotonic() - began)))
    another = runners(*words, DARTS_SWEEP_DB=database)
    assert another.wait() == 0, another.said
    slow.send(signal.SIGCONT)
    assert slow.wait() == 0, slow.said
    trials = study_of(database).get_trials(deepcopy=False)
    pids = [trial.user_attrs["owner"]["pid"] for trial in trials]
    assert pids == [slow.process.pid, quick.process.pid, another.process.pid]
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 3


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=str,
)
def test_a_signal_puts_the_trial_back_and_says_what_goes_on(number, code, runners, sweep_words, tmp_path):
    runner = runners(*sweep_words, "--n-trials", 1)
    runner.wait_for("run 2 of")
    time.sleep(0.3)
    runner.send(number)
    assert runner.wait(60) == code, runner.said
    (trial,) = study_of(f"sqlite:///{tmp_path}/artifacts/sweeps.db").get_trials(deepcopy=False)
    assert trial.state == TrialState.WAITING
    assert len(trial.user_attrs["runs"]) == 1
    command = shlex.split(runner.said.split("Go on with: ")[1].splitlines()[0])
    assert command[:2] == ["darts", "optuna-sweep-smp"]
    again = runners(*command[1:])
    assert again.wait() == 0, again.said
    (after,) = study_of(f"sqlite:///{tmp_path}/artifacts/sweeps.db").get_trials(deepcopy=False)
    assert after.state == TrialState.COMPLETE
    assert after.user_attrs["runs"][0] == trial.user_attrs["runs"][0]
    assert "run 1 of" not in again.said


@pytest.mark.slow
def test_the_server_is_away_when_the_result_is_reported(own_server, runners, sweep_words):
    database = own_server.new_database()
    runner = runners(*sweep_words, "--n-trials", 2, DARTS_SWEEP_DB=database)
    runner.wait_for("run 2 of")
    own_server.stop()
    runner.wait_for("the database is away")
    time.sleep(3)
    assert runner.is_running
    own_server.start()
    assert runner.wait() == 0, runner.said
    assert "the database is back after" in runner.said
    trials = study_of(database).get_trials(deepcopy=False)
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 2
    assert [trial.user_attrs.get("lost", 0) for trial in trials] == [0, 0]
