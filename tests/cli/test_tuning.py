"""The commands of cross-validation, tuning and sweeps, as a user types them, with good and bad input."""

import json
import re
import shlex
import signal

import pytest

from darts.training.convert import load_model
from darts.tune import crossvalidation
from processes import start_command
from tune.fakes import fake_run

from .conftest import fails, listing, run, succeeds

ENCODER = "tu-test_resnet.r160_in1k"
SPACE = f"hyperparameters:\n  learning_rate: [0.001, 0.003]\n  model_encoder: {ENCODER}\n"


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(SPACE)
    return path


@pytest.fixture
def place(dataset, tmp_path):
    """Where the work is done; two folds, one seed, one epoch."""
    return (
        *("--train-data-dir", dataset, "--artifact-dir", tmp_path / "artifacts", "--device", "cpu"),
        *("--fold-method", "region-kfold", "--total-folds", 2, "--n-randoms", 1, "--max-epochs", 1),
        *("--data-split-method", "region", "--data-split-by", "West", "--check-val-every-n-epoch", 1),
    )


@pytest.fixture
def quick(monkeypatch):
    """Trainings that take no time."""
    monkeypatch.setattr(crossvalidation, "run", fake_run())


def without_device(place):
    at = place.index("--device")
    return (*place[:at], *place[at + 2 :])


# --- what works


def test_a_cross_validation_says_its_score_and_how_it_goes_on(place, quick, tmp_path):
    text = succeeds(run("cross-validation-smp", *place, "--model-encoder", ENCODER, "--cv-name", "c"))
    assert "cross-validation c: 2 runs (2 folds x 1 seeds), 0 of them finished already" in text
    assert "score 0.5000" in text
    command = shlex.split(re.search(r"it goes on with: (.*)", text)[1])
    text = succeeds(run(*command[1:]))
    assert "2 of them finished already" in text


def test_a_grid_is_tried_then_the_best_is_trained_and_tested(place, space, tmp_path):
    words = ("tune-smp", *place, "--hpconfig", space, "--n-trials", "grid", "--tune-name", "t", "--retrain-and-test")
    text = succeeds(run(*words, columns=200))
    assert "this runner finished 2 trials of t" in text
    assert "test/JaccardIndex" in text
    best = next(path for path in (tmp_path / "artifacts" / "t").iterdir() if path.name.startswith("t-best-cv"))
    record = json.loads((best / "test_metrics.json").read_text())
    assert 0 <= record["test/JaccardIndex"] <= 1
    before = listing(tmp_path / "artifacts")
    assert "this runner finished 0 trials of t" in succeeds(run(*words))
    assert listing(tmp_path / "artifacts") == before
    following = shlex.split(text.split("Next: ")[1])
    text = succeeds(run(*following[1:-1], tmp_path / "models"))
    assert load_model(next((tmp_path / "models").iterdir()))


def test_a_tune_goes_on_by_its_name_and_can_be_made_longer(place, quick, tmp_path):
    space = tmp_path / "wide.yaml"
    space.write_text(f"hyperparameters:\n  learning_rate: {{low: 1e-4, high: 1e-2}}\n  model_encoder: {ENCODER}\n")
    first = ("tune-smp", *place, "--hpconfig", space, "--tune-name", "t")
    assert "finished 2 trials" in succeeds(run(*first, "--n-trials", 2))
    assert "finished 0 trials" in succeeds(run(*place_only(place), "--tune-name", "t"))
    assert "finished 1 trials" in succeeds(run(*place_only(place), "--tune-name", "t", "--n-trials", 3))


def place_only(place):
    return ("tune-smp", *place[:6])


def test_a_sweep_is_made_joined_watched_and_drawn(place, space, quick, tmp_path):
    words = ("optuna-sweep-smp", *place, "--sweep-config", space, "--sweep-id", "s", "--n-trials", 1)
    text = succeeds(run(*words))
    assert "the sweep id is s" in text
    assert "best so far: trial 0" in text
    command = shlex.split(re.search(r"another runner: (.*)", text)[1])
    assert command[:2] == ["darts", "optuna-sweep-smp"]
    text = succeeds(run(*command[1:]))
    assert "joined sweep s" in text
    assert "this runner finished 1 trials" in text
    view = ("--artifact-dir", tmp_path / "artifacts")
    assert "s " in succeeds(run("sweep", "status", *view))
    text = succeeds(run("sweep", "status", "--sweep-id", "s", *view, columns=160))
    assert "sweep s: 2 of 2 trials complete" in text
    assert "no runner is at work" in text
    assert "± 0.0000 from run to run" in text
    text = succeeds(run("sweep", "report", "--sweep-id", "s", *view))
    page = (tmp_path / "artifacts" / "s" / "report.html").read_text()
    assert "</html>" in page
    assert "report.html; open it" in text


def test_a_dry_run_checks_everything_and_writes_nothing(place, space, tmp_path):
    before = listing(tmp_path)
    assert "2 runs" in succeeds(run("cross-validation-smp", *place, "--model-encoder", ENCODER, "--dry-run"))
    for words in (("tune-smp", *place, "--hpconfig", space), ("optuna-sweep-smp", *place, "--sweep-config", space)):
        text = succeeds(run(*words, "--dry-run"))
        assert "0.001, 0.003" in text
        assert "2 in all; each point is a cross-validation of 2 runs" in text
    assert listing(tmp_path) == before


def test_the_program_shows_its_sweep_commands():
    assert "status" in succeeds(run("sweep", "status", "--help"))
    assert "report" in succeeds(run("sweep", "report", "--help"))


# --- several runners of one command


@pytest.mark.slow
def test_one_process_a_device_and_none_is_started_again(place, tmp_path):
    space = tmp_path / "wide.yaml"
    space.write_text(f"hyperparameters:\n  learning_rate: {{low: 1e-4, high: 1e-2}}\n  model_encoder: {ENCODER}\n")
    words = ("optuna-sweep-smp", *without_device(place), "--sweep-config", space, "--sweep-id", "s", "--n-trials", 1)
    result = run(*words, "--runners-on", "cpu,cpu")
    assert "all 2 runners are done" in succeeds(result)
    assert result.stderr.count("[cpu] this runner finished 1 trials") == 2
    failed = fails(run(*words, "--runners-on", "cpu,7"), 1)
    assert "1 of 2 runners failed, on 7, and were not started again" in failed


@pytest.mark.slow
def test_asked_to_stop_all_runners_put_their_trials_back(place, space, tmp_path):
    words = ("optuna-sweep-smp", *without_device(place), "--sweep-config", space, "--sweep-id", "s")
    parent = start_command(tmp_path / "log", *words, "--runners-on", "cpu,cpu")
    try:
        parent.wait_for("[cpu] run 1 of")
        parent.send(signal.SIGTERM)
        assert parent.wait(90) == 143, parent.said
    finally:
        parent.end()
    text = succeeds(run("sweep", "status", "--sweep-id", "s", "--artifact-dir", tmp_path / "artifacts"))
    assert "no runner is at work" in text
    assert "running" not in text


# --- bad input


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("cross-validation-smp", "--n-folds", 3), 2, "--n-folds 3 asks for more folds than the 2"),
        (("cross-validation-smp", "--scoring-metric", "val/IoU"), 2, "no run has 'val/IoU'; there are val/loss"),
        (("cross-validation-smp", "--scoring-metric", "IoU"), 2, "a scoring metric is val/NAME"),
        (("cross-validation-smp", "--cv-name", "a/b"), 2, "a name has 1 to 64"),
        (("cross-validation-smp", "--cv-name", "a" * 41), 2, "at most 40 characters"),
        (("cross-validation-smp", "--model-encoder", "nonsense"), 1, "nonsense"),
        (("cross-validation-smp", "--device", "9"), 1, "--device"),
        (("tune-smp",), 2, "a new one needs a file with the search space"),
        (("tune-smp", "--hpconfig", "gone.yaml"), 2, "gone.yaml"),
        (("tune-smp", "--n-trials", "many"), 2, "--n-trials"),
        (("tune-smp", "--n-trials", "0", "--hpconfig", "SPACE"), 2, "--n-trials"),
        (("optuna-sweep-smp",), 2, "a new one needs a file with the search space"),
        (("optuna-sweep-smp", "--sweep-id", "../x"), 2, "a name has 1 to 64"),
        (("optuna-sweep-smp", "--sweep-db", "nonsense", "--sweep-config", "SPACE"), 1, "a database has a URL"),
        (
            ("optuna-sweep-smp", "--sweep-db", "oracle://a/b", "--sweep-config", "SPACE"),
            1,
            "PostgreSQL, MySQL or SQLite",
        ),
        (("optuna-sweep-smp", "--grace", "-1"), 2, "--grace"),
        (("optuna-sweep-smp", "--pruner", "median"), 2, None),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_bad_input_is_one_clear_line_and_leaves_nothing(words, code, message, place, space, tmp_path):
    words = [space if word == "SPACE" else word for word in words]
    before = listing(tmp_path)
    arguments = without_device(place) if "--device" in words else place
    if "--model-encoder" not in words and words[0] == "cross-validation-smp":
        arguments = (*arguments, "--model-encoder", ENCODER)
    result = run(words[0], *arguments, *words[1:])
    if message is None:
        assert result.exit_code == code
    else:
        assert message in fails(result, code)
    left = {path for path in listing(tmp_path) - before if not path.startswith("artifacts/sweeps.db")}
    assert left <= {"artifacts"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("hyperparameters:\n  lerning_rate: [1]\n", "learning_rate"),
        ("hyperparameters:\n  learning_rate: {low: 1, high: 0.1}\n", "learning_rate"),
        ("hyperparameters:\n  learning_rate: [fast]\n", "learning_rate"),
        ("parameters:\n  learning_rate: {distribution: normal, mu: 0, sigma: 1}\n", "normal"),
        ("a: [1\n", "space.yaml"),
        ("something: 1\n", "hyperparameters"),
        ("", "hyperparameters"),
    ],
)
def test_a_search_space_that_can_not_be_is_one_clear_line(content, message, place, space, tmp_path):
    space.write_text(content)
    line = fails(run("tune-smp", *place, "--hpconfig", space), 2)
    assert "space.yaml" in line
    assert message in line
    assert not (tmp_path / "artifacts").exists()


def test_a_sweep_that_does_not_exist_is_said_to(tmp_path, place, space, quick):
    view = ("--artifact-dir", tmp_path / "artifacts")
    assert "there is no sweep database" in fails(run("sweep", "status", *view), 1)
    succeeds(run("optuna-sweep-smp", *place, "--sweep-config", space, "--sweep-id", "s", "--n-trials", 1))
    for words in (("sweep", "status"), ("sweep", "report")):
        assert "there is no sweep 'gone' in the database; it has s" in fails(
            run(*words, "--sweep-id", "gone", *view), 1
        )


# --- secrets


def test_a_password_appears_nowhere(place, space, quick, postgres, tmp_path):
    canary = "canary-5c81"
    postgres.demand_password("canary", canary)
    database = postgres.new_database().replace("postgres@", f"canary:{canary}@")
    words = ("optuna-sweep-smp", *place, "--sweep-config", space, "--sweep-id", "s", "--sweep-db", database)
    result = run(*words, "--n-trials", 1, "--debug", "--log-dir", tmp_path / "logs")
    assert "with the URL of the database in DARTS_SWEEP_DB" in succeeds(result)
    assert canary not in result.output + result.stderr
    wrong = run(*words[:-1], database.replace(canary, f"{canary}x"), "--debug")
    assert wrong.exit_code == 1
    assert canary not in wrong.output + wrong.stderr
    view = run("sweep", "status", "--sweep-id", "s", "--sweep-db", database)
    assert canary not in succeeds(view) + view.stderr
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert canary.encode() not in path.read_bytes(), path
