"""Groups of patches become regions."""

import pytest

from darts.core.errors import SceneError

from .conftest import checked, run, write_groups, write_pairs


@pytest.mark.parametrize("file", ["object.json", "members.json", "lists.json", "table.csv", "table.parquet"])
def test_groups_become_regions(tmp_path, file):
    write_pairs(tmp_path, ["a", "b", "c"])
    groups = {"a": "0", "b": "1", "c.npy": "0", "not here": "1"}
    result = run(tmp_path, groups_file=write_groups(tmp_path / file, groups))
    assert checked(tmp_path).metadata["region"].tolist() == ["0", "1", "0"]
    assert result.n_regions == 2


def test_groups_may_be_numbers_and_name_patches_with_or_without_their_folder(tmp_path, caplog):
    write_pairs(tmp_path, ["train/a", "train/b", "val/a"])
    (tmp_path / "groups.json").write_text('{"a": 7, "train/b": 8, "val/a": 8}')
    run(tmp_path, groups_file=tmp_path / "groups.json")
    assert checked(tmp_path).metadata["region"].tolist() == ["7", "8", "8"]
    assert "1 of 2 groups lie in several of the folders train, val and test (8)" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("g.json", '{"a": "x"}', r"gives every patch a group, but 1 of 2 have none: b"),
        ("g.json", '[["a"], ["a", "b"]]', r"gives each patch one group, but a several"),
        ("g.json", '{"a": "x", "b": "x", "a": "y"}', r"gives each patch one group, but a several"),
        ("g.json", '{"a": "x", "b": "x", "a.npy": "y"}', r"gives each patch one group, but a several"),
        ("g.json", '{"a": "x", "b": ""}', "a name is empty"),
        ("g.json", '{"a": 1.5, "b": 2}', "neither text nor a whole number"),
        ("g.json", '["a", "b"]', "'a' is no list of patches"),
        ("g.json", "7", "can't be read so"),
        ("g.json", '{"a": ', "can't be read so"),
        ("g.csv", "patch,group\na,b\n", "can't be read so"),
        ("g.csv", "", "can't be read so"),
        ("g.parquet", "PAR1", "can't be read so"),
        ("g.txt", "a b", r"is \.json, \.csv or \.parquet"),
        ("g.json", None, "can't be read so"),
    ],
)
def test_a_groups_file_that_is_none_is_refused(tmp_path, name, content, message):
    write_pairs(tmp_path, ["a", "b"])
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(SceneError, match=rf"--groups-file.*{message}"):
        run(tmp_path, groups_file=tmp_path / name)


def test_a_patch_may_be_named_by_the_path_of_its_image(tmp_path):
    write_pairs(tmp_path, ["n/a_sat", "s/a_sat"])
    for folder in ("n", "s"):
        (tmp_path / "masks" / folder / "a_sat.npy").rename(tmp_path / "masks" / folder / "a.npy")
    groups = write_groups(tmp_path / "object.json", {"n/a_sat.npy": "1", "s/a_sat": "2"})
    run(tmp_path, groups_file=groups, image_ending="_sat")
    assert checked(tmp_path).metadata["region"].tolist() == ["1", "2"]
