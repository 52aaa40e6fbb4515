"""`runs list`, `show` and `compare`: tables that fit the terminal, and errors that say what there is."""

import re
import subprocess
import sys

import pandas as pd
import pytest

from pages import assert_needs_nothing
from run_folders import make_run_folder

from .conftest import fails, listing, run, succeeds


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    """Two encoders on three folds, and a run that was stopped; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "artifacts"
    for fold in range(3):
        for number, encoder in enumerate(("resnet18", "resnet34")):
            scores = [0.1, 0.3 + 0.2 * fold + 0.1 * number + 0.01 * fold * number, 0.2]
            make_run_folder(
                folder, f"{encoder}-f{fold}", f"{number}{fold}000000", cv_name=f"cv-{encoder}", fold=fold, scores=scores,
                val_rows=range(6 * fold, 6 * fold + 6), model_encoder=encoder, learning_rate=0.001 * (1 + number),
                tested={"test/JaccardIndex": 0.5},
            )  # fmt: skip
    make_run_folder(folder, "stopped", "99999999", scores=[0.05], finished=False, model_encoder="mit_b2")
    return folder


def rows(out):
    """The cells of the rows of the tables in an output."""
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines() if line.startswith("│")]


def listed(artifacts, *arguments):
    out = succeeds(run("runs", "list", "--artifact-dir", artifacts, *arguments, columns=200))
    return [cells[1] for cells in rows(out)]


def test_all_runs_are_listed_the_best_first(artifacts):
    out = succeeds(run("runs", "list", "--artifact-dir", artifacts, columns=250))
    assert [cells[1] for cells in rows(out)] == [
        *("12000000", "02000000", "11000000", "01000000", "10000000", "00000000", "99999999"),
    ]
    assert f"all runs in {artifacts}" in out
    assert rows(out)[-1][:4] == ["stopped", "99999999", "unfinished", "mit_b2"]
    assert "learning_rate" in out
    assert "batch_size" not in out
    assert out.splitlines()[-1] == f"Next: darts runs show --artifact-dir {artifacts} --run-id 12000000"


def test_a_narrow_terminal_shows_what_tells_most_and_names_the_rest(artifacts):
    out = succeeds(run("runs", "list", "--artifact-dir", artifacts, columns=80))
    table = [line for line in out.splitlines() if line[:1] in "┏┃┡│└" and line]
    assert max(map(len, table)) <= 80
    assert "12000000" in out
    assert "0.8200" in out
    assert re.search(r"there is no room for .*val/F1Score.*--output runs.csv", out)


def test_runs_are_chosen_sorted_and_cut(artifacts):
    assert listed(artifacts, "--where", "model_encoder == 'resnet18' and val/JaccardIndex > 0.4") == [
        "02000000",
        "01000000",
    ]
    assert listed(artifacts, "--where", "state == unfinished") == ["99999999"]
    assert listed(artifacts, "--where", "fold == 1", "--where", "model_encoder == resnet34") == ["11000000"]
    assert listed(artifacts, "--top", 2) == ["12000000", "02000000"]
    assert listed(artifacts, "--ascending", "--top", 1) == ["99999999"]
    assert listed(artifacts, "--sort-by", "run_name", "--top", 1) == ["00000000"]
    assert listed(artifacts, "--best-per", "model_encoder") == ["12000000", "02000000", "99999999"]
    assert len(listed(artifacts, "--best-per", "model_encoder,fold")) == 7


def test_columns_are_shown_as_asked_for_and_whole(artifacts):
    out = succeeds(
        run("runs", "list", "--artifact-dir", artifacts, "--columns", "run_id,checkpoint", "--top", 1, columns=300)
    )
    checkpoint = artifacts / "_cross_validations" / "cv-resnet34" / "resnet34-f2-12000000" / "checkpoints" / "best.ckpt"
    assert rows(out) == [["12000000", str(checkpoint)]]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_whole_table_of_the_chosen_runs_is_written(suffix, artifacts, tmp_path):
    target = tmp_path / "new" / f"runs.{suffix}"
    arguments = (
        "runs",
        "list",
        "--artifact-dir",
        artifacts,
        "--where",
        "fold == 1",
        "--columns",
        "run_id",
        "--output",
        target,
    )
    assert f"would write {target}" in succeeds(run(*arguments, "--dry-run"))
    assert not target.parent.exists()
    assert f"wrote {target} with all" in succeeds(run(*arguments))
    table = pd.read_csv(target, dtype={"run_id": str}) if suffix == "csv" else pd.read_parquet(target)
    assert table["run_id"].tolist() == ["11000000", "01000000"]
    assert {"model_encoder", "learning_rate", "val/JaccardIndex", "test/JaccardIndex", "directory"} <= set(
        table.columns
    )


def test_brackets_are_no_markup(tmp_path):
    make_run_folder(tmp_path, "a", "00000001", model_options=["kind=[red]x[/red]"])
    make_run_folder(tmp_path, "b", "00000002")
    for command in (("list",), ("show", "--run-name", "a")):
        assert "[red]x[/red]" in succeeds(run("runs", *command, "--artifact-dir", tmp_path, columns=200))


def test_a_damaged_run_is_a_warning_and_the_others_are_listed(tmp_path):
    make_run_folder(tmp_path, "a", "00000001")
    damaged = make_run_folder(tmp_path, "b", "00000002")
    damaged.result.write_text("{")
    result = run("runs", "list", "--artifact-dir", tmp_path)
    assert [cells[0] for cells in rows(succeeds(result))] == ["a"]
    assert f"warning: {damaged.path} is passed over: " in result.stderr


def test_no_run_is_said_so(tmp_path, artifacts):
    assert f"{tmp_path} has no run." in succeeds(run("runs", "list", "--artifact-dir", tmp_path))
    out = succeeds(run("runs", "list", "--artifact-dir", artifacts, "--where", "fold == 9"))
    assert "none of the 7 runs fits --where." in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ("list", "--where", "encoder == 1"),
            2,
            "--where: runs have no column 'encoder'; did you mean 'model_encoder'?",
        ),
        (("list", "--where", "fold is 1"), 2, "--where: a condition is a column, a relation and a value"),
        (("list", "--sort-by", "IoU"), 2, "--sort-by: runs have no column 'IoU'"),
        (("list", "--best-per", "arch"), 2, "--best-per: runs have no column 'arch'; did you mean 'model_arch'?"),
        (("list", "--columns", "runid"), 2, "--columns: runs have no column 'runid'; did you mean 'run_id'?"),
        (("list", "--output", "runs.txt"), 2, "--output must be a file *.csv or *.parquet, but is runs.txt"),
        (("list", "--top", "0"), 2, "--top"),
        (("show",), 2, "one of --run-name and --run-id says which run to show"),
        (("show", "--run-name", "nobody"), 1, "has no run with the name nobody; it has"),
        (("compare",), 2, "either --by or --run-id says what to compare"),
        (("compare", "--by", "loss", "--run-id", "a"), 2, "either --by or --run-id says what to compare"),
        (("compare", "--run-id", "12000000"), 2, "needs at least two runs"),
        (("compare", "--run-id", "12000000,no,nay"), 1, "has no run with the id no, nay"),
        (("compare", "--by", "loss", "--metric", "loss"), 2, "--metric is one of validation or test"),
        (("compare", "--by", "los"), 2, "--by: runs have no column 'los'; did you mean 'loss'?"),
        (("compare", "--by", "loss"), 1, "a comparison needs two variants"),
        (("compare", "--by", "loss", "--where", "fold == 99"), 1, "needs finished runs, but there is none"),
        (("compare", "--run-id", "12000000,01000000"), 1, "the same fold, the same seed and the same patches"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_is_refused_in_one_line(arguments, code, message, artifacts):
    assert message in fails(run("runs", *arguments, "--artifact-dir", artifacts), code)


def test_a_missing_folder_is_refused(tmp_path):
    for arguments in (("list",), ("compare", "--by", "loss")):
        assert "there is no folder" in fails(run("runs", *arguments, "--artifact-dir", tmp_path / "no"), 1)
    assert "no run at all" in fails(run("runs", "show", "--run-id", "a", "--artifact-dir", tmp_path / "no"), 1)


def test_a_run_is_shown_with_what_is_not_default_and_what_to_type_next(artifacts):
    out = succeeds(run("runs", "show", "--artifact-dir", artifacts, "--run-name", "resnet34-f1", columns=120))
    assert out.startswith(
        "resnet34-f1 (id 11000000) is finished: 3 epochs in 1 min 15 s, the best one is 2; fold 1, seed 42"
    )
    cells = rows(out)
    assert ["model_encoder", "resnet34"] in cells
    assert ["learning_rate", "0.002"] in cells
    assert not any(row[0] in ("gamma", "random_seed") for row in cells)
    assert ["JaccardIndex", "0.6100", "0.5000"] in cells
    assert "val: regions, worst first" in out
    assert [row[0] for row in cells if row[0] in ("East", "West")] == ["East", "West"] * 2
    assert "files are in" in out
    assert "config.toml, confusion.parquet" in out
    assert out.splitlines()[-1].startswith("Next: darts convert-lightning-checkpoint --lightning-checkpoint ")


def test_an_unfinished_run_is_shown_with_its_doubts_and_how_it_goes_on(artifacts):
    out = succeeds(run("runs", "show", "--artifact-dir", artifacts, "--run-id", "99999999", columns=120))
    assert "is not finished: 1 epoch" in out
    assert "best validation so far" in out
    assert "doubt: The run isn't finished: 1 epoch so far." in out
    assert out.splitlines()[-1].endswith("--resume 99999999")


def test_a_report_is_written_when_asked_for(tmp_path):
    directory = make_run_folder(tmp_path, "a", "00000001")
    before = listing(tmp_path)
    dry = succeeds(run("runs", "show", "--artifact-dir", tmp_path, "--run-name", "a", "--report", "--dry-run"))
    assert f"would write {directory.report}" in dry
    assert listing(tmp_path) == before
    out = succeeds(run("runs", "show", "--artifact-dir", tmp_path, "--run-name", "a", "--report"))
    assert f"wrote {directory.report}" in out
    assert_needs_nothing(directory.report.read_text(encoding="utf-8"))


def test_two_encoders_are_compared_fold_by_fold(artifacts):
    out = succeeds(run("runs", "compare", "--artifact-dir", artifacts, "--by", "model_encoder", columns=150))
    cells = rows(out)
    assert [row[:2] for row in cells] == [["0", "42"], ["1", "42"], ["2", "42"]]
    assert [row[-1] for row in cells] == ["+0.1000", "+0.1100", "+0.1200"]
    said = " ".join(out.split())
    assert (
        "resnet34 is better than resnet18 in val/JaccardIndex by 0.1100 ± 0.0058 (mean and standard error, 3 pairs"
        in said
    )
    assert "by more than the standard error." in said
    assert "warning: the variants also differ in learning_rate" in said
    assert "1 run left out: not finished, or without val/JaccardIndex." in said
    assert out.splitlines()[-1].startswith("Next: darts runs list ")


def test_single_runs_are_compared_by_their_ids(artifacts):
    out = succeeds(run("runs", "compare", "--artifact-dir", artifacts, "--run-id", "01000000", "--run-id", "11000000"))
    assert "in the only pair: that says nothing about noise" in " ".join(out.split())
    assert "model_encoder resnet34" in " ".join(out.split())


def test_where_narrows_a_comparison(artifacts):
    arguments = ("runs", "compare", "--artifact-dir", artifacts, "--by", "cv_name", "--where", "fold > 0")
    assert len(rows(succeeds(run(*arguments, columns=150)))) == 2


def test_looking_at_runs_needs_no_torch(artifacts):
    command = "import sys, darts.cli.app as m\ntry:\n    m.app()\nexcept SystemExit as e:\n    assert not e.code\n"
    command += "assert not {'torch', 'lightning', 'matplotlib'} & set(sys.modules), 'heavy'"
    for arguments in (("list",), ("show", "--run-id", "12000000"), ("compare", "--by", "model_encoder")):
        subprocess.run(
            [sys.executable, "-c", command, "runs", *arguments, "--artifact-dir", str(artifacts)],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
