"""The report of a run is one file that needs nothing else, whatever the run left."""

import os
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from darts.core.artifacts import RunDirectory
from darts.core.errors import RunError
from darts.training.figures import draw_augmentations, draw_confusion, draw_statistics
from darts.training.metrics import BINS, Confusion, Statistics
from darts.training.report import write_report
from darts.training.run_figures import AUGMENTATIONS_PREVIEW
from factories import BANDS, patch_pair
from pages import Page, assert_needs_nothing
from run_folders import confusion_table, make_run_folder

DASH = "\N{EN DASH}"


def report(directory):
    text = write_report(directory).read_text(encoding="utf-8")
    return text, Page(text)


def pictures(page):
    return {value for name, value in page.attributes if name == "alt"}


def add_everything(directory):
    """All that a run and a test leave beside what the factory writes."""
    rng = np.random.default_rng(0)
    statistics = Statistics(np.array([[[80, 10], [4, 6]]]), rng.integers(0, 9, (2, BINS)), 0.1)
    for stage in ("val", "test"):
        draw_statistics(statistics, stage, directory.figures)
        draw_confusion(Confusion(1, 2, 3, 4), stage, directory.figures / f"{stage}-samples.png")
    draw_augmentations(
        [patch_pair(rng, size=16), patch_pair(rng, size=16)], BANDS, directory.figures / AUGMENTATIONS_PREVIEW
    )
    scenes = confusion_table().rename(columns={"region": "scene"}).drop(index=0)
    scenes = scenes.assign(pixels=99999, JaccardIndex=[0.9, 0.1], F1Score=0.5, Precision=0.5, Recall=0.5)
    pd.concat([scenes, scenes.assign(split="test")]).to_csv(directory.scenes, index=False)
    speed = {
        "epoch": range(3),
        "seconds": [5, 61, 70],
        "samples_per_second": [300, 330, 320],
        "waiting_share": [0.1, 0.02, 0.03],
    }
    pd.DataFrame(speed).to_csv(directory.throughput, index=False)


@pytest.fixture(scope="module")
def full_once(tmp_path_factory):
    directory = make_run_folder(
        tmp_path_factory.mktemp("full") / "artifacts",
        tested={"test/JaccardIndex": 0.4, "test/loss": 0.3, "test/BoundaryIoU": 0.25},
        model_encoder="resnet34",
        loss="bce + dice",
    )
    add_everything(directory)
    return directory


@pytest.fixture
def full(full_once, tmp_path):
    """A copy of a tested run with everything that a run may leave."""
    return RunDirectory(shutil.copytree(full_once.path, tmp_path / "artifacts" / "_runs" / full_once.path.name))


def test_a_report_needs_no_other_file_and_no_network(full):
    text, _ = report(full)
    assert_needs_nothing(text)
    assert "prefers-color-scheme: dark" in text


def test_a_report_shows_every_part(full):
    _, page = report(full)
    for heading in (
        "first", "Doubts", "What was trained on what", "Model", "Data", "Patches by role", "Curves", "Validation", "Test",
        "Samples", "Regions and scenes", "val, by region", "val, by scene", "test, by scene", "Augmentation", "Throughput",
        "Settings that differ from the defaults", "What to type next",
    ):  # fmt: skip
        assert heading in page.texts
    for text in ("0.5000", "IoU on val", "0.4000", "IoU on test", "best of 3 epochs", "patches to train on"):
        assert text in page.texts
    assert "Run 00000001, fold 0, seed 42; finished after 3 epochs and 1 min 15 s." in page.texts
    assert "An epoch took 1 min 1 s in the middle, at 320 patches per second; 3% of the time was spent" in page.text
    assert "on 100,000 pixels of val that are not ignored, 8,000 (8.00%) of them positive" in page.text


def test_a_report_says_what_was_trained_on_what(full):
    _, page = report(full)
    for text in (
        "data/s2",
        "sha256:abc",
        "resnet34",
        "bce + dice",
        "0.001, exponential",
        "42",
        "0123abc",
        "0 of 5, counted from 0",
    ):
        assert text in page.texts
    assert "darts 0.1.0, torch 2.0" in page.texts
    assert "region, North" in page.texts
    start = page.texts.index("Patches by role")
    assert page.texts[start + 1 : start + 13] == [
        "role",
        "patches",
        "regions",
        "scenes",
        "train",
        "12",
        "2",
        "4",
        "val",
        "6",
        "2",
        "2",
    ]


@pytest.mark.parametrize(
    ("augment", "shown"),
    [(True, "flip, rotate90, blur"), (False, "none"), (["flip"], "flip"), (["flip", "rotate"], "flip, rotate")],
)
def test_augmentations_are_named(augment, shown, tmp_path):
    _, page = report(make_run_folder(tmp_path / "artifacts", augment=augment))
    assert page.texts[page.texts.index("augmentation") + 1].startswith(shown)


def test_settings_that_differ_come_before_the_others_which_are_folded(full):
    _, page = report(full)
    start = page.texts.index("Settings that differ from the defaults")
    changed = page.texts[start : next(i for i, text in enumerate(page.texts) if text.startswith("All others ("))]
    assert {"model_encoder", "resnet34", "loss", "train_data_dir", "data_split_by"} <= set(changed)
    assert not {"learning_rate", "gamma", "random_seed"} & set(changed)
    assert {"learning_rate", "gamma", "random_seed"} <= set(page.texts)


def test_a_report_holds_the_figures_of_the_run_and_draws_its_curves(full):
    _, page = report(full)
    of_a_stage = ("Confusion matrix of {}", "ROC of {}", "Precision and recall of {}", "F1 and IoU by threshold of {}")
    assert pictures(page) == {
        "Loss of train and val by epoch",
        "Metrics of train and val by epoch",
        "Patches and share of positive pixels by region and role",
        "A patch and augmented versions of it",
        *(name.format(stage) for stage in ("val", "test") for name in of_a_stage),
        *(f"Patches of {stage} with label and prediction" for stage in ("val", "test")),
    }
    assert (full.figures / "loss-curves.png").exists()


def test_places_are_shown_worst_first_and_those_without_positives_without_scores(full):
    rows = [("val", f"r{number}", 100, number, 1, 1, 9, number / 100) for number in range(1, 21)]
    rows.append(("val", "none at all", 100, 0, 0, 0, 9, 0.0))
    columns = ["split", "region", "pixels", "tp", "fp", "fn", "tn", "JaccardIndex"]
    pd.DataFrame(rows, columns=columns).sample(frac=1, random_state=0).to_csv(full.regions, index=False)
    _, page = report(full)
    shown = [text for text in page.texts if re.fullmatch(r"r\d+|none at all", text)]
    assert shown == [*(f"r{number}" for number in range(1, 21)), "none at all"]
    assert "9 better regions" in page.texts
    last = page.texts.index("none at all")
    assert page.texts[last + 1] == DASH


def test_the_same_run_gives_the_same_bytes_also_later_and_from_elsewhere(full, monkeypatch):
    before = write_report(full).read_bytes()
    for path in full.path.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    assert write_report(full).read_bytes() == before
    monkeypatch.chdir(full.path.parent)
    assert write_report(RunDirectory(full.path.relative_to(full.path.parent))).read_bytes() == before


def test_an_unfinished_run_has_a_report_that_says_so_and_grows_with_it(tmp_path):
    directory = make_run_folder(tmp_path / "artifacts", scores=[0.1, 0.4], finished=False)
    text, page = report(directory)
    assert "not finished, 2 epochs so far" in page.text
    assert "The run isn't finished: 2 epochs so far." in page.text
    assert "Metrics of epoch 2, the best so far, on the pixels of val" in page.text
    assert f"--resume {directory.name_and_id[1]}" in page.text
    assert "Test" not in page.texts
    history = pd.read_csv(directory.metrics)
    pd.concat([history, history.tail(1).assign(epoch=2)]).to_csv(directory.metrics, index=False)
    assert write_report(directory).read_text() != text


def test_a_run_that_has_just_begun_has_a_report(tmp_path):
    _, page = report(make_run_folder(tmp_path / "artifacts", scores=[], finished=False))
    assert "No epoch is finished yet." in page.texts
    assert "Validation" not in page.texts


@pytest.mark.parametrize(
    "missing",
    [
        "config",
        "metrics",
        "result",
        "split",
        "confusion",
        "figures",
        "checkpoints",
        "scenes",
        "throughput",
        "test_metrics",
    ],
)
def test_any_file_may_be_missing(missing, full):
    path = getattr(full, missing)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    text, page = report(full)
    assert_needs_nothing(text)
    assert "first" in page.texts


def test_an_empty_folder_has_a_report(tmp_path):
    directory = RunDirectory(tmp_path / "old-12345678")
    directory.path.mkdir()
    text, page = report(directory)
    assert_needs_nothing(text)
    assert "They are not recorded." in page.texts


def test_a_damaged_file_is_an_error_that_names_it(full):
    full.throughput.write_text("epoch\n1\n")
    with pytest.raises(RunError, match=r"throughput.csv is damaged .*seconds.* are missing"):
        write_report(full)


def test_samples_of_the_last_drawn_epoch_stand_in_for_those_of_the_best_checkpoint(full):
    final = full.figures / "val-samples.png"
    for epoch, size in ((3, 1), (18, 2)):
        draw_confusion(Confusion(size, 1, 1, 1), "", full.figures / f"val-samples-epoch-{epoch:04d}.png")
    with_final = write_report(full).read_text()
    final.unlink()
    without = write_report(full).read_text()
    assert without != with_final
    (full.figures / "val-samples-epoch-0018.png").rename(final)
    assert write_report(full).read_text() == without


def test_no_text_is_taken_for_html(tmp_path):
    evil = "<b>&\"'$x$"
    directory = make_run_folder(tmp_path / "artifacts", train_data_dir=evil, data_split_by=[evil])
    split = pd.read_parquet(directory.split).assign(region=evil, sample_id=evil)
    split.to_parquet(directory.split)
    table = confusion_table().replace("West", evil)
    table.to_parquet(directory.confusion, index=False)
    text, page = report(directory)
    assert evil not in text
    assert evil in page.texts
    assert page.tags.count("b") == len(re.findall(rf"<b>[\d{DASH}]", text))


def test_a_distribution_that_the_run_drew_is_kept(full):
    write_report(full)
    drawn = full.figures / "data-distribution.png"
    drawn.write_bytes((full.figures / "val-roc.png").read_bytes())
    kept = drawn.read_bytes()
    write_report(full)
    assert drawn.read_bytes() == kept
