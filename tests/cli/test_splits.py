"""`validate-dataset` and `make-split`: what is divided how, what leaks, and what to type next."""

import pandas as pd
import pytest
import typer
from typer.main import get_command

from darts.cli import splits
from darts.dataset.joined import open_datasets
from darts.training.config import DataConfig
from darts.training.leakage import divide
from factories import make_dataset

from .conftest import fails, listing, run, succeeds

APP = typer.Typer()
splits.register(APP)
FOLDS = ("--fold-method", "region-kfold", "--total-folds", 2)


def command(name, *arguments):
    return run(name, *arguments, app=APP, columns=250)


@pytest.fixture(scope="module")
def leaky(tmp_path_factory):
    """Two datasets, the second of which has the same patches as two scenes of the first."""
    folder = tmp_path_factory.mktemp("leaky")
    make_dataset(folder / "d", scenes=3, patches=6, size=16)
    make_dataset(folder / "copy", scenes=2, patches=6, size=16)
    return folder / "d", folder / "copy"


@pytest.mark.parametrize("name", ["validate-dataset", "make-split"])
def test_help_names_every_setting(name):
    parameters = {parameter.name for parameter in get_command(APP).commands[name].params}
    assert {"train_data_dir", "fold_method", "group_by", "split_file", "allow_overlap", "dry_run"} <= parameters
    assert ("output" in parameters) == (name == "make-split")


def test_validating_prints_the_roles_and_what_each_fold_shares(dataset):
    out = succeeds(command("validate-dataset", "--train-data-dir", dataset, *FOLDS))
    assert out.splitlines()[0].startswith(
        f"{dataset}: 12 patches of 32 pixels, 8 with positives, 4 regions; bands blue,"
    )
    for number in range(2):
        assert f"fold {number}: no patch of train shares ground or content with one of val." in out
    flags = "--fold-method region-kfold --total-folds 2"
    assert out.splitlines()[-1] == f"Next: darts train-smp --train-data-dir {dataset} {flags}"


def test_validating_reads_every_sample_of_every_dataset_when_asked(leaky):
    out = succeeds(command("validate-dataset", "--train-data-dir", leaky[0], "--train-data-dir", leaky[1], "--deep"))
    assert out.splitlines()[0].startswith(f"{leaky[0]} + {leaky[1]}: 30 patches of 16 pixels")
    assert out.index("all 18 samples are whole") < out.index("all 12 samples are whole")


def test_copies_in_another_dataset_are_left_out_of_train(leaky):
    both = ("--train-data-dir", leaky[0], "--train-data-dir", leaky[1])
    result = command("validate-dataset", *both, "--fold-method", "region-kfold", "--group-by", "dataset", *FOLDS[2:])
    assert "none with a positive pixel" in fails(result, 1), "train-smp would refuse the same"
    out = result.stdout
    assert "fold 0: 12 patches of train on the ground of one of val." in out
    assert "fold 0: 12 patches of train with the content of one of val." in out
    assert "fold 0: 12 patches shared with val or test left out of train." in out
    assert "warning: fold 0 train has no patch with a positive pixel." in out


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_split_is_written_as_a_run_would_divide(dataset, tmp_path, suffix):
    output = tmp_path / "new" / f"split.{suffix}"
    test = ("--data-split-method", "region", "--data-split-by", "West")
    settings = ("--fold-method", "region-kfold", "--total-folds", 3)
    out = succeeds(command("make-split", "--train-data-dir", dataset, *test, *settings, "--output", output))
    assert f"wrote {output}" in out
    assert out.splitlines()[-1] == f"Next: darts train-smp --train-data-dir {dataset} --split-file {output}"
    read = open_datasets([dataset])
    by_method = {
        "train_data_dir": dataset,
        "data_split_method": "region",
        "data_split_by": "West",
        "fold_method": "region-kfold",
        "total_folds": 3,
    }
    for number in range(3):
        expected = divide(read.metadata, DataConfig(**by_method, fold=number), read.patch_size)
        found = divide(
            read.metadata, DataConfig(train_data_dir=dataset, split_file=output, fold=number), read.patch_size
        )
        assert found.fold.train.tolist() == expected.fold.train.tolist()
        assert found.fold.val.tolist() == expected.fold.val.tolist()
        assert found.split.test.tolist() == expected.split.test.tolist()
        assert found.lines() == []


def test_what_leaks_is_not_in_the_file(leaky, tmp_path):
    both = ("--train-data-dir", leaky[0], "--train-data-dir", leaky[1])
    settings = (
        "--data-split-method",
        "region",
        "--data-split-by",
        "copy/North",
        *FOLDS,
        "--output",
        tmp_path / "s.csv",
    )
    out = succeeds(command("make-split", *both, *settings))
    assert "6 patches of train on the ground of one of test." in out
    table = pd.read_csv(tmp_path / "s.csv")
    for _, fold in table[table["role"] == "train"].groupby("fold"):
        assert not ((fold["dataset"] == "d") & (fold["region"] == "d/North")).any()
    assert (table[table["role"] == "test"]["dataset"] == "copy").all()
    next_line = out.splitlines()[-1]
    assert next_line == f"Next: darts train-smp {' '.join(map(str, both))} --split-file {tmp_path / 's.csv'}"


def test_a_dry_run_writes_nothing(dataset, tmp_path):
    out = succeeds(
        command("make-split", "--train-data-dir", dataset, *FOLDS, "--dry-run", "--output", tmp_path / "s.csv")
    )
    assert "patches by role" in out
    assert "no patch of train shares" in out
    assert out.splitlines()[-1] == f"would write {tmp_path / 's.csv'}."
    assert listing(tmp_path) == set()


def test_a_split_file_can_be_written_again_without_what_leaks(leaky, tmp_path):
    ids = open_datasets([leaky[0]]).metadata["patch_id"]
    table = pd.DataFrame({"patch_id": ids, "role": ["train"] * 9 + ["val"] * 9, "fold": 4})
    table.to_csv(tmp_path / "mine.csv", index=False)
    files = ("--split-file", tmp_path / "mine.csv", "--output", tmp_path / "again.csv")
    out = succeeds(command("make-split", "--train-data-dir", leaky[0], *files))
    assert out.splitlines()[-1].endswith(f"--split-file {tmp_path / 'again.csv'} --fold 4")
    again = pd.read_csv(tmp_path / "again.csv")
    assert again[["patch_id", "role", "fold"]].equals(table)


def test_a_split_that_can_not_be_trained_on_is_not_written(leaky, tmp_path):
    both = ("--train-data-dir", leaky[0], "--train-data-dir", leaky[1])
    by_dataset = ("--fold-method", "region-kfold", "--group-by", "dataset", "--total-folds", 2)
    result = command("make-split", *both, *by_dataset, "--output", tmp_path / "s.csv")
    assert "fold 0 has 0 patches to train on and none with a positive pixel, for it is without 12" in fails(result, 1)
    assert "patches by role" in result.stdout
    assert listing(tmp_path) == set()
    succeeds(command("make-split", *both, *by_dataset, "--allow-overlap", "--output", tmp_path / "s.csv"))


@pytest.mark.parametrize(
    ("settings", "code", "says"),
    [
        (("--output", "metadata.json"), 2, "--output must be a file *.parquet or *.csv, but is metadata.json"),
        (("--split-file", "none.csv"), 2, "--split-file: none.csv isn't there; darts make-split writes one"),
        (
            ("--fold-method", "region", "--group-by", "cell"),
            2,
            "--group-by: the metadata have no column cell; they have",
        ),
        (("--fold-method", "stratified", "--stratify-by", "wet"), 2, "--stratify-by: the metadata have no column wet"),
        (("--fold-method", "spatial", "--block-size-km", 20_000, "--total-folds", 2), 1, "needs at least 2 squares"),
        (("--bands", "red,swir16"), 2, "--bands: the dataset has the bands"),
    ],
)
def test_settings_that_make_no_sense_are_refused(dataset, tmp_path, monkeypatch, settings, code, says):
    monkeypatch.chdir(tmp_path)
    assert says in fails(command("make-split", "--train-data-dir", dataset, *settings), code)
    assert listing(tmp_path) == set()


def test_a_fold_that_the_split_file_lacks_is_refused_as_in_training(dataset, tmp_path):
    succeeds(command("make-split", "--train-data-dir", dataset, *FOLDS, "--output", tmp_path / "s.csv"))
    given = ("--train-data-dir", dataset, "--split-file", tmp_path / "s.csv")
    assert "has no such fold, but 0, 1" in fails(command("validate-dataset", *given, "--fold", 7), 2)
    succeeds(command("validate-dataset", *given, "--fold", 1))
