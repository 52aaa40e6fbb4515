"""`config.toml`: all that is needed to read a dataset, and to build it again."""

import tomllib
from dataclasses import replace

import pytest

from darts.core.bands import Band, get_bands, nextgen_bands
from darts.core.config import RECORD_KEYS, read_config_file
from darts.core.errors import DatasetError
from darts.dataset.manifest import Manifest, read_manifest, software_versions, write_manifest

MANIFEST = Manifest(
    bands=(*get_bands(["nir", "ndvi"]), Band("own", -3.5, 7.25, "K", 0.25)),
    patch_size=64,
    overlap=8,
    settings={"all_touched": False, "s2_offset": "none", "scl_ignore": [0, 3]},
    versions=software_versions(),
    n_patches=7,
    fingerprint="sha256:00",
)


def test_what_is_written_is_read(tmp_path):
    write_manifest(tmp_path, MANIFEST)
    assert read_manifest(tmp_path) == MANIFEST


def test_a_dataset_is_complete_once_it_has_a_fingerprint(tmp_path):
    write_manifest(tmp_path, replace(MANIFEST, fingerprint=None, n_patches=None))
    read = read_manifest(tmp_path)
    assert not read.is_complete
    assert read.n_patches is None
    assert MANIFEST.is_complete


def test_the_file_says_what_the_contract_says(tmp_path):
    write_manifest(tmp_path, MANIFEST)
    content = tomllib.loads((tmp_path / "config.toml").read_text())
    assert list(content) == ["darts"]
    table = content["darts"]
    assert table["bands"] == ["nir", "ndvi", "own"]
    assert (table["lo"], table["hi"]) == ([-0.1, -1, -3.5], [0.5, 1, 7.25])
    assert (table["unit"], table["fill"]) == (["reflectance", "1", "K"], [0, 0.5, 0.25])
    assert (table["patch_size"], table["overlap"], table["schema_version"]) == (64, 8, 2)
    assert (table["n_patches"], table["fingerprint"]) == (7, "sha256:00")
    assert (table["all_touched"], table["s2_offset"], table["scl_ignore"]) == (False, "none", [0, 3])
    assert any(version.startswith("zarr ") for version in table["versions"])


def test_every_key_beside_settings_is_known_as_a_record_so_that_the_file_is_a_config_file(tmp_path):
    write_manifest(tmp_path, MANIFEST)
    keys = set(read_config_file(tmp_path / "config.toml"))
    assert keys - RECORD_KEYS == {"bands", "patch_size", "overlap", *MANIFEST.settings}


def test_a_setting_cannot_take_the_place_of_what_the_dataset_is(tmp_path):
    write_manifest(tmp_path, replace(MANIFEST, settings={"patch_size": 1, "fingerprint": "no", "mine": 1}))
    read = read_manifest(tmp_path)
    assert (read.patch_size, read.fingerprint, read.settings) == (64, "sha256:00", {"mine": 1})


def test_the_manifest_of_darts_nextgen_needs_bands_and_patch_size_only(tmp_path):
    (tmp_path / "config.toml").write_text('[darts]\nbands = ["red", "ndvi"]\npatch_size = 8\n')
    read = read_manifest(tmp_path)
    assert read == Manifest(nextgen_bands(["red", "ndvi"]), 8, 0, schema_version=None)
    assert read.is_complete


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[darts\n", "can't be read"),
        ("", "is no manifest"),
        ("[other]\nbands = []\n", "is no manifest"),
        ("darts = 3\n", "is no manifest"),
        ('[darts]\nbands = ["red"]\n', "is no manifest"),
        ("[darts]\npatch_size = 8\n", "is no manifest"),
        ('[darts]\nbands = ["purple"]\npatch_size = 8\n', "is no manifest .*'purple'"),
        ('[darts]\nbands = ["red"]\npatch_size = "big"\n', "is no manifest"),
        ('[darts]\nbands = ["red"]\npatch_size = 8\nlo = []\nhi = [1]\nunit = ["1"]\nfill = [0]\n', "is no manifest"),
        ("[darts]\nbands = 3\npatch_size = 8\n", "is no manifest"),
    ],
)
def test_a_file_that_is_no_manifest_is_refused_by_name(tmp_path, text, message):
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(DatasetError, match=f"config.toml {message}"):
        read_manifest(tmp_path)


def test_a_missing_manifest_is_an_error_that_says_what_to_give(tmp_path):
    with pytest.raises(DatasetError, match=r"has a config\.toml, but .* has none; give the directory"):
        read_manifest(tmp_path)
