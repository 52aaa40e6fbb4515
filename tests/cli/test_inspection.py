"""`inspect-dataset`: a page, a few tables, and what to type next."""

import re
import shutil

import pytest

from darts.core.log import console
from factories import make_dataset
from pages import Page, assert_needs_nothing

from .conftest import fails, listing, run, succeeds


@pytest.fixture
def own(dataset, tmp_path):
    """A copy of the dataset, to write into."""
    return shutil.copytree(dataset, tmp_path / "dataset")


def test_it_writes_a_page_and_says_what_to_type_next(own):
    result = run("inspect-dataset", "--train-data-dir", own, columns=200)
    out = succeeds(result)
    assert out.splitlines()[0].startswith(
        "dataset: 12 patches, 8 with positives, of 4 scenes in 4 regions, years 2021;"
    )
    for title in ("regions", "years", "bands"):
        assert title in out
    assert "no rule finds a patch suspicious." in out
    assert f"wrote {own / 'inspection.html'}" in out
    assert out.splitlines()[-1] == f"Next: darts train-smp --train-data-dir {own}"
    assert_needs_nothing((own / "inspection.html").read_text(encoding="utf-8"))


def test_elsewhere_than_on_a_terminal_progress_is_ten_lines(own):
    result = run("inspect-dataset", "--train-data-dir", own)
    lines = [line for line in result.stderr.splitlines() if line.startswith("reading patches")]
    assert len(lines) == 10
    assert lines[-1] == "reading patches 12/12"


def test_on_a_terminal_progress_is_a_bar(own, monkeypatch):
    monkeypatch.setattr(console, "_force_terminal", True)
    result = run("inspect-dataset", "--train-data-dir", own)
    assert "reading patches" not in succeeds(result) + result.stderr


def test_a_dry_run_writes_nothing(own):
    before = listing(own)
    out = succeeds(run("inspect-dataset", "--train-data-dir", own, "--dry-run"))
    assert f"would read 12 patches of 32 pixels and 5 bands in {own}" in out
    assert "and write" in out
    assert listing(own) == before
    (own / "inspection.html").touch()
    assert "and replace" in succeeds(run("inspect-dataset", "--train-data-dir", own, "--dry-run"))


def test_the_page_goes_where_it_is_asked_for(own, tmp_path):
    page = tmp_path / "new" / "look.html"
    succeeds(run("inspect-dataset", "--train-data-dir", own, "--page", page, "--samples", 3))
    assert not (own / "inspection.html").exists()
    assert Page(page.read_text(encoding="utf-8")).tags.count("img") == 6


def test_what_spoils_a_training_is_a_warning_and_leads_to_the_check(tmp_path):
    directory = make_dataset(tmp_path / "d", scenes=2, patches=2, size=32, empty=lambda index: True)
    out = succeeds(run("inspect-dataset", "--train-data-dir", directory, columns=200))
    assert "warning: No patch has a positive pixel" in out
    assert out.splitlines()[-1] == f"Next: darts validate-dataset --train-data-dir {directory} --deep"


def test_suspicious_patches_are_counted_by_rule(own):
    (own / "data.zarr" / "x" / "c" / "3" / "0" / "0" / "0").unlink()
    out = succeeds(run("inspect-dataset", "--train-data-dir", own, columns=200))
    assert re.search(r"unreadable +\S +1 +\S +3 ", out)
    assert "warning: 1 patch (row 3) can't be read" in out


def test_of_many_regions_the_largest_are_printed(tmp_path):
    names = [f"region-{number}" for number in range(14)]
    directory = make_dataset(tmp_path / "d", scenes=14, patches=1, size=16, regions=names, empty=lambda index: False)
    out = succeeds(run("inspect-dataset", "--train-data-dir", directory, columns=200))
    assert "the 12 largest of 14 regions" in out
    assert sum(f" {name} " in out for name in names) == 12
    assert Page((directory / "inspection.html").read_text(encoding="utf-8")).texts.count("region-13") >= 1


def test_the_dataset_is_still_one_afterwards(own):
    succeeds(run("inspect-dataset", "--train-data-dir", own))
    succeeds(run("validate-dataset", "--train-data-dir", own, "--fold-method", "none", "--deep"))


def test_a_page_that_would_take_the_place_of_data_is_refused(own):
    before = (own / "metadata.parquet").read_bytes()
    line = fails(run("inspect-dataset", "--train-data-dir", own, "--page", own / "metadata.parquet"), 2)
    assert "--page must be a file *.html" in line
    assert (own / "metadata.parquet").read_bytes() == before


def test_a_folder_that_is_no_dataset_is_refused(tmp_path):
    assert "there is no dataset directory" in fails(run("inspect-dataset", "--train-data-dir", tmp_path / "no"), 1)


def test_a_split_that_is_missing_is_refused(own, tmp_path):
    line = fails(run("inspect-dataset", "--train-data-dir", own, "--split-file", tmp_path / "split.parquet"), 2)
    assert "--split-file" in line
