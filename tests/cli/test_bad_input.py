"""Bad input through the real commands: one clear line, exit code 1 or 2, and nothing half-written."""

import shutil

import pytest
import zarr

from .conftest import fails, listing, run, succeeds

SMALL = ("--patch-size", 32, "--overlap", 0, "--workers", 1)


@pytest.fixture
def broken(dataset, tmp_path):
    """A copy of the dataset, to be broken."""
    return shutil.copytree(dataset, tmp_path / "broken")


def preprocess(scenes, out, *more):
    return run(
        "preprocess-s2-train-data", "--sentinel2-dir", scenes, "--train-data-dir", out, *SMALL, *more
    )  # fmt: skip


# --- what works, so that the failures below fail for their own reason


def test_preprocess_then_validate_then_preprocess_again(scenes, tmp_path):
    out = tmp_path / "data"
    text = succeeds(preprocess(scenes, out))
    assert "4 patches of 1 scenes" in text
    text = succeeds(run("validate-dataset", "--train-data-dir", out, "--total-folds", 2, "--fold", 1, "--deep"))
    assert "all 4 samples are whole" in text
    before = {path: path.stat().st_mtime_ns for path in (out / "data.zarr").rglob("*")}
    assert "was complete already, nothing to do" in succeeds(preprocess(scenes, out))
    assert {path: path.stat().st_mtime_ns for path in (out / "data.zarr").rglob("*")} == before


def test_the_config_file_of_a_dataset_makes_it_again(scenes, tmp_path):
    succeeds(preprocess(scenes, tmp_path / "first"))
    config = ("--config-file", tmp_path / "first" / "config.toml", "--train-data-dir", tmp_path / "second")
    result = run("preprocess-s2-train-data", *config)
    succeeds(result)
    assert "no command knows" not in result.stderr
    files = [
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name / "data.zarr").rglob("0")
         if path.is_file()}
        for name in ("first", "second")
    ]  # fmt: skip
    assert files[0] == files[1]
    assert len(files[0]) == 8


@pytest.mark.parametrize(
    "command",
    [
        ("make-sample-data", "--output-dir"),
        ("quickstart", "--output-dir"),
        ("preprocess-s2-train-data", *SMALL, "--sentinel2-dir", "SCENES", "--train-data-dir"),
    ],
    ids=lambda command: command[0],
)
def test_a_dry_run_says_what_it_would_do_and_writes_nothing(scenes, tmp_path, command):
    arguments = [scenes if word == "SCENES" else word for word in command]
    assert "would " in succeeds(run(*arguments, tmp_path / "out", "--dry-run"))
    assert listing(tmp_path) == set()


# --- preprocessing


def test_no_scenes_found(tmp_path):
    (tmp_path / "empty").mkdir()
    line = fails(preprocess(tmp_path / "empty", tmp_path / "out"), 1)
    assert str(tmp_path / "empty") in line
    assert listing(tmp_path) == {"empty"}
    fails(preprocess(tmp_path / "gone", tmp_path / "out"), 1)
    assert listing(tmp_path) == {"empty"}


def test_an_unknown_band(scenes, tmp_path):
    line = fails(preprocess(scenes, tmp_path / "out", "--bands", "blue,bleu"), 2)
    assert "there is neither a band nor a spectral index 'bleu'; did you mean blue" in line
    assert listing(tmp_path) == set()


def test_a_band_that_the_scene_does_not_have(scenes, tmp_path):
    assert "swir16" in fails(preprocess(scenes, tmp_path / "out", "--bands", "blue,swir16"), 1)
    assert listing(tmp_path) == set()


def test_a_patch_that_is_larger_than_the_scene(scenes, tmp_path):
    line = fails(preprocess(scenes, tmp_path / "out", "--patch-size", 128), 1)
    assert "a scene must be at least one patch of 128 x 128 pixels, but shore" in line
    assert "has 64 x 64; give --patch-size 64 or less" in line
    assert listing(tmp_path) == set()


def test_an_overlap_that_is_not_smaller_than_the_patch(scenes, tmp_path):
    assert "--overlap must be smaller than --patch-size" in fails(
        preprocess(scenes, tmp_path / "out", "--overlap", 32), 2
    )
    assert listing(tmp_path) == set()


def test_labels_that_are_not_there(scenes, tmp_path):
    assert "gone" in fails(preprocess(scenes, tmp_path / "out", "--labels-dir", tmp_path / "gone"), 1)
    assert listing(tmp_path) == set()


@pytest.mark.parametrize("below", ["file/out", "/proc/no-such-folder/out"])
def test_an_output_folder_that_cannot_be_written_to(scenes, tmp_path, below):
    (tmp_path / "file").touch()
    line = fails(preprocess(scenes, tmp_path / below), 1)
    assert "can't be written to" in line
    assert listing(tmp_path) == {"file"}


@pytest.mark.parametrize("command", ["make-sample-data", "quickstart"])
def test_sample_data_into_a_folder_that_cannot_be_written_to(tmp_path, command):
    (tmp_path / "file").touch()
    assert "can't be written to" in fails(run(command, "--output-dir", tmp_path / "file" / "out"), 1)
    assert listing(tmp_path) == {"file"}


def test_an_output_folder_that_holds_something_else(scenes, tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    assert "needs an empty folder, but" in fails(preprocess(scenes, tmp_path), 1)
    assert (tmp_path / "thesis.tex").read_text() == "precious"
    assert listing(tmp_path) <= {"thesis.tex", ".lock", ".lock-holder.json"}


def test_other_settings_for_a_dataset_that_is_there(scenes, tmp_path):
    succeeds(preprocess(scenes, tmp_path / "out"))
    before = listing(tmp_path)
    line = fails(preprocess(scenes, tmp_path / "out", "--all-touched"), 1)
    assert "begun with other settings (all_touched was False and is now True)" in line
    assert listing(tmp_path) == before


# --- the config file


@pytest.mark.parametrize("command", ["preprocess-s2-train-data", "validate-dataset", "train-smp", "make-sample-data"])
def test_a_key_that_is_set_twice(tmp_path, command):
    (tmp_path / "c.toml").write_text("[darts]\npatch-size = 32\n[darts.more]\npatch_size = 64\n")
    line = fails(run(command, "--config-file", tmp_path / "c.toml"), 2)
    assert "'patch_size' is set twice, to 32 and 64; keep one of them" in line


def test_an_unknown_key_is_a_warning_and_the_work_goes_on(dataset, tmp_path):
    (tmp_path / "c.toml").write_text(f"[darts]\ntrain-data-dir = '{dataset}'\ntotal_fold = 3\n")
    result = run("validate-dataset", "--config-file", tmp_path / "c.toml", columns=400)
    assert "fold 4 val" in succeeds(result)
    assert "'total_fold', which no command knows; did you mean 'total_folds'?" in result.stderr


def test_one_file_serves_every_command(dataset, tmp_path):
    (tmp_path / "c.toml").write_text(
        f"[darts]\ntrain-data-dir = '{dataset}'\ntest-val-split = 0.1\ntest-regions = ['North']\npatch-size = 32\n"
        "[darts.training]\nmax-epochs = 3\n[darts.sample]\nscenes = 2\n"
    )
    result = run("validate-dataset", "--config-file", tmp_path / "c.toml")
    succeeds(result)
    assert "no command knows" not in result.stderr


def test_an_obsolete_key_is_a_warning_that_says_what_to_use_now(scenes, tmp_path):
    (tmp_path / "c.toml").write_text("[darts]\ntest-val-split = 0.1\ntest-regions = ['North']\n")
    config = ("--config-file", tmp_path / "c.toml", "--dry-run")
    result = run("preprocess-s2-train-data", "--sentinel2-dir", scenes, "--train-data-dir", "d", *SMALL, *config)
    succeeds(result)
    said = " ".join(result.stderr.split())
    for name in ("test-val-split", "test-regions"):
        assert f"--{name} is obsolete and has no effect" in said
    assert "--data-split-method and --data-split-by" in said


def test_a_config_file_that_is_not_there_or_has_no_table_for_darts(tmp_path):
    assert "there is no file" in fails(run("train-smp", "--config-file", tmp_path / "gone.toml"), 2)
    (tmp_path / "c.toml").write_text("train-data-dir = 'x'\n")
    assert "has no [darts] table" in fails(run("train-smp", "--config-file", tmp_path / "c.toml"), 2)


# --- datasets


def test_a_dataset_that_is_not_there(tmp_path):
    line = fails(run("validate-dataset", "--train-data-dir", tmp_path / "gone"), 1)
    assert f"there is no dataset directory {tmp_path / 'gone'}; run a preprocess command first" in line
    assert listing(tmp_path) == set()


@pytest.mark.parametrize("part", ["config.toml", "metadata.parquet", "data.zarr", "labels.geojson"])
def test_a_dataset_that_is_incomplete(broken, part):
    path = broken / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = listing(broken)
    assert part in fails(run("validate-dataset", "--train-data-dir", broken), 1)
    assert listing(broken) == before


def test_a_dataset_whose_counts_are_out_of_step(broken):
    y = zarr.open_array(broken / "data.zarr" / "y", mode="r+")
    y.resize((13, 32, 32))
    assert "must count the same samples, but count (12, 13, 12, 12)" in fails(
        run("validate-dataset", "--train-data-dir", broken), 1
    )


def test_labels_outside_0_1_2_and_damaged_chunks_are_listed_by_sample(broken):
    y = zarr.open_array(broken / "data.zarr" / "y", mode="r+")
    y[7] = 3
    (broken / "data.zarr/x/c/2/0/0/0").unlink()
    result = run("validate-dataset", "--train-data-dir", broken, "--deep", columns=1000)
    assert "2 of 12 samples break a rule" in fails(result, 1)
    assert "sample 7 (scene-2): y must hold only the label codes (0, 1, 2), but holds [3]" in result.stdout
    assert "x of sample 2 (scene-0-2) is damaged: its chunk file is missing" in result.stdout


# --- names, folds, splits


@pytest.mark.parametrize("name", ["a/b", "../a", "..", "/etc/x", "-x", "a\\b", "", "x" * 65, "a\u202eb", "a b"])
@pytest.mark.parametrize(
    ("command", "flag"),
    [
        (("train-smp", "--train-data-dir", "d"), "--run-name"),
        (("test-smp",), "--run-name"),
        (("test-smp",), "--run-id"),
        (("convert-lightning-checkpoint", "--lightning-checkpoint", "c", "--out-directory", "o"), "--checkpoint-name"),
    ],
)
def test_a_name_that_could_leave_its_folder(command, flag, name):
    line = fails(run(*command, f"{flag}={name}"), 2)
    assert line.startswith(f"error: {flag}: a name has 1 to 64 letters, digits")
    assert line.isprintable()


def test_a_fold_that_is_out_of_range(dataset):
    line = fails(run("train-smp", "--train-data-dir", dataset, "--fold", 5), 2)
    assert line == "error: --fold counts from 0 to total-folds - 1 = 4, but is 5."
    assert "--fold" in fails(run("train-smp", "--train-data-dir", dataset, "--fold", -1), 2)


def test_a_region_to_test_on_that_the_dataset_does_not_have(dataset):
    split = ("--data-split-method", "region", "--data-split-by", "Nort")
    line = fails(run("validate-dataset", "--train-data-dir", dataset, *split), 2)
    assert "--data-split-by: no region is called Nort; the dataset has East, North, South, West" in line


def test_a_split_without_names_or_share_and_a_fold_method_that_does_not_exist(dataset):
    line = fails(run("validate-dataset", "--train-data-dir", dataset, "--data-split-method", "region"), 2)
    assert "needs --data-split-by" in line
    share = ("--data-split-method", "random", "--data-split-by", "1.5")
    assert "one number in (0, 1), but got 1.5" in fails(run("validate-dataset", "--train-data-dir", dataset, *share), 2)
    assert run("validate-dataset", "--train-data-dir", dataset, "--fold-method", "best").exit_code == 2


def test_a_band_that_the_dataset_does_not_have(dataset):
    line = fails(run("validate-dataset", "--train-data-dir", dataset, "--bands", "red,swir16"), 2)
    assert "--bands: the dataset has the bands blue, green, red, nir, ndvi, but not swir16" in line


def test_more_folds_than_there_are_regions(dataset):
    folds = ("--fold-method", "region-kfold", "--total-folds", 5)
    assert "at least 5 regions" in fails(run("validate-dataset", "--train-data-dir", dataset, *folds), 1)


def test_no_run_to_test():
    line = fails(run("test-smp"), 2)
    assert "--run-name, --run-id and --checkpoint" in line


# --- what only a training run can tell; it imports torch, but none of these begins to train


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (
            ("--model-encoder", "resnt18"),
            1,
            "--model-encoder: segmentation-models-pytorch has no 'resnt18'; did you mean",
        ),
        (("--model-arch", "Unett"), 1, "--model-arch: segmentation-models-pytorch has no 'Unett'; did you mean Unet"),
        (("--device", "99"), 1, "--device cpu"),
        (("--continue-from-checkpoint", "gone.ckpt"), 1, "gone.ckpt"),
        (("--train-data-dir", "gone"), 1, "there is no dataset directory gone"),
        (("--bands", "red,swir16"), 2, "but not swir16"),
        (("--model-encoder", "resnet18", "--artifact-dir", "/proc/no-such-folder"), 1, "can't be written to"),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_a_run_that_cannot_work_is_refused_before_anything_is_written(
    dataset, tmp_path, monkeypatch, flags, code, message
):
    monkeypatch.chdir(tmp_path)
    result = run("train-smp", "--train-data-dir", dataset, *flags)
    assert message in fails(result, code)
    assert listing(tmp_path) == set()


def test_a_checkpoint_that_is_not_there_is_not_converted(tmp_path):
    flags = ("--lightning-checkpoint", tmp_path / "gone.ckpt", "--out-directory", tmp_path / "models")
    assert "gone.ckpt" in fails(run("convert-lightning-checkpoint", *flags), 1)
    assert listing(tmp_path) == set()


def test_a_run_that_is_not_there_is_not_tested(tmp_path):
    assert "nobody" in fails(run("test-smp", "--run-name", "nobody", "--artifact-dir", tmp_path / "artifacts"), 1)
    assert listing(tmp_path) == set()
