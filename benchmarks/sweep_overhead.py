"""What a sweep costs beside training: seconds of each trial, with several runners on one PostgreSQL server.

    uv run python benchmarks/sweep_overhead.py [--runners 8] [--trials 5]

Every trial is a cross-validation of two runs; their training is a pause of one second, give or take a half, since real
ones don't end at the same instant either. All else is what a real runner does: asking, recording each run, writing tables,
reporting. What a trial took beside its pauses is the overhead. Bare Optuna (ask, suggest, pause, tell) is measured in the
same way, as the reference. The goal is less than 0.5 s for a trial with eight runners. Without pauses, runners do nothing
but stand in each other's way; that row says how it is at the worst.
"""

import argparse
import itertools
import multiprocessing
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean, quantiles

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

GOAL = 0.5
RUNS = 2


def work(kind, pause, database, dataset, folder, trials, start, results):
    """One runner: seconds of each of its trials, without the pauses."""
    import torch

    from darts.tune import crossvalidation
    from darts.tune.storage import database_url
    from darts.tune.sweep import SweepRequest, open_sweep
    from runners import settings_for
    from tune.fakes import fake_run

    torch.set_num_threads(1)
    clock = Clock(pause)
    crossvalidation.run = fake_run(lambda _: clock.train())
    request = SweepRequest(database_url(database, {}, None), f"{kind}-{pause:g}", folder / "space.yaml")
    sweep = open_sweep(settings_for(dataset, folder), request)
    start.wait()
    ends = bare(sweep, trials, clock) if kind == "optuna" else ours(sweep, trials, clock)
    results.put([after - before for before, after in itertools.pairwise(ends)])


class Clock:
    """Stands still while a training pauses."""

    def __init__(self, pause):
        self.pause, self.paused, self.draw = pause, 0.0, random.Random(os.getpid())

    def train(self):
        """Pause, and give a metric."""
        seconds = self.pause * self.draw.uniform(0.5, 1.5)
        began = time.perf_counter()
        time.sleep(seconds)
        self.paused += time.perf_counter() - began
        return 0.5

    def now(self):
        """Seconds, without those that were pauses."""
        return time.perf_counter() - self.paused


def ours(sweep, trials, clock):
    """The ends of the trials of a runner of darts, after its beginning."""
    from darts.tune import runner

    ends = [clock.now()]
    said = runner._say_end
    runner._say_end = lambda *arguments: (said(*arguments), ends.append(clock.now()))
    runner.run_trials(sweep, trials, 60.0)
    return ends


def bare(sweep, trials, clock):
    """The same for Optuna alone."""
    ends = [clock.now()]
    for _ in range(trials):
        trial = sweep.study.ask(sweep.plan.space.distributions())
        for _ in range(RUNS):
            clock.train()
        sweep.study.tell(trial, 0.5)
        ends.append(clock.now())
    return ends


def measure(kind, pause, database, dataset, folder, runners, trials):
    """Seconds of all trials of all runners, which begin at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["darts.tune.tuning", "psycopg2"])
    start, results = context.Barrier(runners), context.Queue()
    arguments = (kind, pause, database, dataset, folder, trials, start, results)
    processes = [context.Process(target=work, args=arguments) for _ in range(runners)]
    for process in processes:
        process.start()
    seconds = [one for _ in processes for one in results.get(timeout=300)]
    for process in processes:
        process.join()
    return seconds


def main():
    """Measure, and print a table."""
    from databases import Postgres
    from factories import make_dataset
    from tune.conftest import SPACE

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runners", type=int, default=8)
    parser.add_argument("--trials", type=int, default=5)
    given = parser.parse_args()
    print(f"{given.runners} runners on {os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f}")
    server = Postgres()
    try:
        with tempfile.TemporaryDirectory() as root:
            folder = Path(root)
            dataset = make_dataset(folder / "dataset", scenes=4, patches=3, size=32)
            (folder / "space.yaml").write_text(SPACE)
            database = server.new_database()
            for pause in (1.0, 0.0):
                found = {
                    kind: measure(kind, pause, database, dataset, folder, given.runners, given.trials)
                    for kind in ("optuna", "darts")
                }
                report(pause, found)
    finally:
        server.close()


def report(pause, found):
    """Print what was measured with trainings of one length."""
    print(f"training of {pause:g} s a run:")
    for kind, seconds in found.items():
        most = quantiles(seconds, n=10)[-1]
        print(f"  {kind:7s} {len(seconds)} trials: mean {fmean(seconds):.3f} s, 90 % below {most:.3f} s")
    mean = fmean(found["darts"])
    ratio = mean / fmean(found["optuna"])
    print(f"  ratio to bare Optuna {ratio:.1f}; {mean / GOAL:.2f} of the goal of {GOAL} s", flush=True)


if __name__ == "__main__":
    main()
