"""Many runners on one sweep: no failed start, no point lost, none done twice, and the same points as one alone."""

import time
from collections import Counter

import optuna
import pytest

from darts.tune.space_files import read_space_file
from darts.tune.storage import database_url, open_storage
from processes import Started
from runners import run_fast_trials


def trials_of(database):
    storage = open_storage(database_url(str(database), {}, None))
    return optuna.load_study(study_name="fast", storage=storage).get_trials(deepcopy=False)


def start_together(database, dataset, folder, space, runners, trials, total=None, **settings):
    """The points that were done, after all runners have begun in the same moment, and ended well."""
    folder.mkdir()
    began = time.time() + 1.0
    arguments = (database, dataset, folder, space, trials, total, 0.01, began)
    started = [
        Started(folder / f"runner-{number}", run_fast_trials, *arguments, *settings.values())
        for number in range(runners)
    ]
    codes = [one.wait(120) for one in started]
    assert codes == [0] * runners, "\n".join(one.said for one in started)
    finished = [int(word) for one in started for word in one.said.split("finished")[-1].split()]
    done = [int(line.split()[0]) for line in (folder / "done.txt").read_text().splitlines()]
    assert Counter(done) == Counter(finished)
    return done


@pytest.fixture(scope="module")
def alone(postgres, dataset_dir, tmp_path_factory):
    """The forty points of a sweep that one runner did alone."""
    from .conftest import SPACE

    folder = tmp_path_factory.mktemp("alone")
    (folder / "space.yaml").write_text(SPACE)
    database = postgres.new_database()
    start_together(database, dataset_dir, folder / "work", folder / "space.yaml", 1, 40)
    return [trial.params for trial in trials_of(database)]


@pytest.mark.slow
@pytest.mark.parametrize("repeat", range(5))
def test_eight_runners_at_once_on_an_empty_database(repeat, postgres, dataset_dir, tmp_path, space_file, alone):
    database = postgres.new_database()
    done = start_together(database, dataset_dir, tmp_path / "work", space_file, 8, 5)
    assert Counter(done) == Counter(range(40))
    trials = trials_of(database)
    assert {trial.state.name for trial in trials} == {"COMPLETE"}
    assert len({tuple(sorted(trial.params.items())) for trial in trials}) == 40
    assert [trial.params for trial in trials] == alone


def test_runners_at_once_on_an_empty_database_of_either_kind(database, dataset_dir, tmp_path, space_file):
    done = start_together(database, dataset_dir, tmp_path / "work", space_file, 3, 4)
    assert Counter(done) == Counter(range(12))
    space = read_space_file(space_file).space
    assert [trial.params for trial in trials_of(database)] == [space.point(42, k) for k in range(12)]


@pytest.mark.slow
def test_a_grid_of_24_visits_each_point_once(postgres, dataset_dir, tmp_path, grid_file):
    database = postgres.new_database()
    done = start_together(database, dataset_dir, tmp_path / "work", grid_file, 8, None, method="grid")
    assert Counter(done) == Counter(range(24))
    assert len({tuple(sorted(trial.params.items(), key=str)) for trial in trials_of(database)}) == 24


def test_the_total_caps_all_runners_exactly(database, dataset_dir, tmp_path, space_file):
    done = start_together(database, dataset_dir, tmp_path / "work", space_file, 3, None, total=10)
    assert Counter(done) == Counter(range(10))


@pytest.mark.slow
def test_a_bayesian_search_never_repeats_a_point(postgres, dataset_dir, tmp_path):
    from .conftest import SPACE

    space = tmp_path / "bayes.yaml"
    space.write_text(SPACE.replace("method: random", "method: bayes"))
    database = postgres.new_database()
    done = start_together(database, dataset_dir, tmp_path / "work", space, 4, 5)
    assert Counter(done) == Counter(range(20))
    assert len({tuple(sorted(trial.params.items())) for trial in trials_of(database)}) == 20
