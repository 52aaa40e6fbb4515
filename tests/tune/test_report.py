"""A report is one file that needs nothing else, and is drawn whatever became of the trials."""

import math
import re

import matplotlib as mpl
import pytest
from optuna.trial import TrialState, create_trial

from darts.core.html import shown
from darts.tune.report import importance, write_report
from darts.tune.report.importance import parameter_importances
from darts.tune.report.scales import ScoreRange, scale_of
from darts.tune.space import Choice, Constant, Range, Space
from pages import Page
from studies import SPACE, add_trial, new_study, run_info, start_trial

DASH = "\N{EN DASH}"
NAMES = ["architecture", "depth", "learning_rate"]


def report(study, tmp_path):
    text = write_report(study, tmp_path / "sub" / "report.html").read_text(encoding="utf-8")
    return text, Page(text)


def full_study(**arguments):
    study = new_study(**arguments)
    for number in range(14):
        add_trial(study, 0.4 + 0.5 * math.sin(number) ** 2, score_is_unstable=number == 3)
    add_trial(study, None, TrialState.FAIL, reason="out of memory")
    add_trial(study, None, TrialState.PRUNED, reason="clearly worse")
    start_trial(study)
    return study


def test_a_report_needs_no_other_file_and_no_network(tmp_path):
    text, page = report(full_study(), tmp_path)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", text.partition("<body>")[2])
    assert not re.search(r"https?:|@import|url\(", text.partition("<body>")[0])
    for name, value in page.attributes:
        assert name not in ("src", "srcset", "data", "action")
        assert not name.endswith("href") or value.startswith("#")
    assert not {"script", "link", "iframe", "img", "object"} & set(page.tags)
    assert [file.name for file in (tmp_path / "sub").iterdir()] == ["report.html"]


def test_a_report_shows_every_part(tmp_path):
    _, page = report(full_study(), tmp_path)
    for heading in (
        "brave-fox", "Best trial", "Scores", "Which parameters matter", "All parameters together",
        "One parameter at a time", "The best 10 trials", "Failed and pruned trials", "Search space", "Settings",
    ):  # fmt: skip
        assert heading in page.texts
    assert page.tags.count("svg") == 3 + len(NAMES)
    assert page.tags.count("details") == 10 + 1
    assert "averaged over 2 runs; higher is better" in page.text
    assert "the harmonic mean of val/JaccardIndex and val/Recall" in page.text
    assert "out of memory" in page.texts
    assert "clearly worse" in page.texts
    assert "0.00001 to 0.1, log" in page.texts
    assert "/data/train" in page.texts


def test_constants_are_not_drawn(tmp_path):
    _, page = report(full_study(), tmp_path)
    labels = {value for name, value in page.attributes if name == "aria-label"}
    assert {f"Score over {name}" for name in NAMES} <= labels
    assert "Score over batch_size" not in labels
    assert "batch_size" in page.texts  # of the best trial, and of the space


def test_colours_of_figures_are_those_of_the_page(tmp_path):
    text, _ = report(full_study(), tmp_path)
    drawn = text.partition("<body>")[2]
    assert "var(--point)" in drawn
    assert set(re.findall(r"#[0-9a-f]{6}\b", drawn)) == set()
    assert "prefers-color-scheme: dark" in text


def test_a_mark_says_which_trial_it_is(tmp_path):
    text, _ = report(full_study(), tmp_path)
    assert "<title>trial 0: 0.4000</title>" in text
    assert "<title>trial 14, failed</title>" in text


def test_no_text_is_taken_for_html(tmp_path):
    evil = "<b>&\"'$x$"
    space = Space({"architecture": Choice((evil, "Unet")), evil: Range(0, 1)})
    study = new_study(space, settings={evil: evil}, dataset_fingerprint=evil, created=evil)
    for number in range(4):
        run = run_info(evil, 42, 0.5 + number / 10)
        add_trial(study, 0.5 + number / 10, cv_name=evil, runs=[run, run | {"checkpoint": f"/a/{evil}/best.ckpt"}])
    add_trial(study, None, TrialState.FAIL, reason=evil, runs=[run_info(evil, 1, 0, error=evil)])
    text, page = report(study, tmp_path)
    assert evil not in text
    assert evil in page.texts
    assert page.tags.count("b") == len(re.findall(rf"<b>[\d{DASH}]", text))


def test_the_same_sweep_gives_the_same_bytes(tmp_path):
    one, two = (write_report(full_study(), tmp_path / name).read_bytes() for name in ("1.html", "2.html"))
    assert one == two


def test_drawing_leaves_the_style_of_matplotlib_alone(tmp_path):
    before = dict(mpl.rcParams)
    report(full_study(), tmp_path)
    assert dict(mpl.rcParams) == before


def test_an_empty_sweep_has_a_report(tmp_path):
    _, page = report(new_study(), tmp_path)
    assert "No trial is complete yet." in page.texts
    assert "No trial has ended yet." in page.texts
    assert "needs at least two complete trials, but none is there" in page.text
    assert "svg" not in page.tags


def test_a_study_that_knows_nothing_of_darts_has_a_report(tmp_path):
    study = new_study()
    study.set_user_attr("darts", {})
    study.add_trial(create_trial(value=0.5))
    _, page = report(study, tmp_path)
    assert "0.5000" in page.texts


@pytest.mark.parametrize("scores", [[0.5], [0.5, 0.7], [0.5, 0.5, 0.5], [0.0, 0.0], [1e-300, 1e300]], ids=str)
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_few_or_equal_scores_have_a_report(tmp_path, scores, direction):
    study = new_study(direction=direction)
    for score in scores:
        add_trial(study, score)
    text, page = report(study, tmp_path)
    assert "nan" not in text.partition("<body>")[2]
    assert "Best trial" in page.texts
    if len(scores) == 1:
        assert "but one is there" in page.text
    elif len(set(scores)) == 1:
        assert "All complete trials have the same score" in page.text


def test_trials_that_only_failed_have_a_report(tmp_path):
    study = new_study()
    for _ in range(3):
        add_trial(study, None, TrialState.FAIL, reason="no memory")
    _, page = report(study, tmp_path)
    assert page.tags.count("svg") == 1
    assert page.texts.count("no memory") == 3


def test_values_that_are_not_finite_are_a_dash(tmp_path):
    study = full_study()
    runs = [run_info("cv", 42, math.nan), run_info("cv", 21, math.inf, math.nan), run_info("cv", 69, 0.5, error="bad")]
    add_trial(study, 0.99, runs=runs, params={"architecture": "Unet"})
    study.add_trial(create_trial(value=math.inf, params={}, distributions={}))
    text, page = report(study, tmp_path)
    assert "0.9900" in page.texts
    assert not re.search(r"\b(nan|inf)\b", text.partition("<body>")[2])


def test_a_sweep_of_constants_has_a_report(tmp_path):
    study = new_study(Space({"batch_size": Constant(16), "loss": Choice(("focal",))}))
    for score in (0.5, 0.7):
        add_trial(study, score, params={"batch_size": 16, "loss": "focal"})
    _, page = report(study, tmp_path)
    assert "constants only" in page.text
    assert page.tags.count("svg") == 1


def test_a_sweep_that_minimises_says_so(tmp_path):
    study = full_study(direction="minimize", scoring_metric=["val/loss:lower"])
    _, page = report(study, tmp_path)
    assert "The score is val/loss, averaged over 2 runs; lower is better." in page.texts
    best = page.texts.index("best score")
    assert page.texts[best - 1] == "0.4000"


def test_importance_finds_what_matters():
    study = new_study()
    for number in range(40):
        point = SPACE.point(42, number)
        add_trial(study, 0.5 + 0.1 * point["depth"], params=point)
    importances = parameter_importances(study, NAMES)
    assert set(importances) == {"all trials"}
    shares = importances["all trials"]
    assert shares["depth"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)


def test_trials_that_collapsed_do_not_hide_what_matters_among_the_others():
    study = new_study()
    for number in range(60):
        point = SPACE.point(42, number)
        collapsed = point["learning_rate"] > 0.02
        score = 0.01 if collapsed else 0.5 + 0.05 * point["depth"]
        add_trial(study, score, params=point, score_is_unstable=collapsed)
    importances = parameter_importances(study, NAMES)
    assert importances["all trials"]["learning_rate"] > 0.5
    assert importances["stable trials"]["depth"] > 0.8


def test_importance_that_cannot_be_computed_is_said(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("zero total variance <in all trees>")

    monkeypatch.setattr(importance, "get_param_importances", fail)
    _, page = report(full_study(), tmp_path)
    assert "could not be computed: zero total variance <in all trees>" in page.text


def test_the_axis_of_a_dimension_goes_from_end_to_end():
    for dimension, low, high in (
        (Range(2, 10), 2, 10),
        (Range(1e-5, 1e-1, scale="log"), 1e-5, 1e-1),
        (Range(0.001, 0.3, scale="reversed-log"), 0.7, 0.999),
        (Range(1, 3, integer=True), 1, 3),
    ):
        scale = scale_of(dimension)
        assert (scale.place(low), scale.place(high)) == (pytest.approx(0, abs=1e-9), pytest.approx(1))
        assert len(scale.ticks) >= 2
        assert all(-1e-9 <= place <= 1 + 1e-9 for place, _ in scale.ticks)
        assert math.isnan(scale.place(None))
    scale = scale_of(Choice(("a", None, 3)))
    assert [label for _, label in scale.ticks] == ["a", "none", "3"]
    assert math.isnan(scale.place("b"))


def test_trials_that_collapsed_do_not_press_the_others_together():
    usual = [0.7 + 0.01 * number for number in range(10)]
    assert ScoreRange.of([*usual, 0.0], lower_is_better=False).low == 0.7
    assert ScoreRange.of([*usual, 9.0], lower_is_better=True).high == pytest.approx(0.79)
    kept = ScoreRange.of([*usual, 0.0], lower_is_better=True)
    assert (kept.low, kept.side(0.0)) == (0.0, 0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-5, "1e-5"),
        (0.00025, "0.00025"),
        (True, "true"),
        (None, DASH),
        (["a", 1.0], "a, 1"),
        ({"a<": 2}, "a&lt; = 2"),
    ],
)
def test_values_are_shown_shortly(value, text):
    assert shown(value) == text
