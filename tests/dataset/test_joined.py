"""Several datasets are read as one: bands by name, provenance kept, regions apart where names clash."""

import shutil

import numpy as np
import pytest

from darts.core.errors import ConfigError, DatasetError
from darts.dataset.joined import open_datasets
from darts.dataset.reader import open_dataset
from factories import make_dataset


@pytest.fixture
def two(tmp_path):
    make_dataset(
        tmp_path / "one", scenes=2, patches=2, bands=("red", "nir", "ndvi"), regions=("North", "South"), seed=1
    )
    make_dataset(tmp_path / "two", scenes=2, patches=3, bands=("ndvi", "red"), regions=("South", "East"), seed=2)
    return tmp_path / "one", tmp_path / "two"


def read(joined, row, bands):
    x = np.empty((len(bands), joined.patch_size, joined.patch_size), np.float32)
    y = np.empty(x.shape[1:], np.uint8)
    joined.read_into(row, joined.channel_indices(bands), x, y)
    return x, y


def test_one_dataset_is_itself(two):
    joined, alone = open_datasets(two[:1]), open_dataset(two[0])
    assert joined.fingerprint == alone.manifest.fingerprint
    assert joined.metadata.equals(alone.metadata)
    assert joined.band_names == ("red", "nir", "ndvi")


def test_patches_are_counted_through_and_bands_matched_by_name(two):
    joined = open_datasets(two)
    assert len(joined) == 4 + 6
    assert list(joined.metadata.index) == list(range(10))
    for row in range(10):
        part, inner = (0, row) if row < 4 else (1, row - 4)
        alone = open_dataset(two[part])
        x, y = read(joined, row, ("ndvi", "red"))
        np.testing.assert_array_equal(x, alone.read_x(inner)[alone.channel_indices(("ndvi", "red"))])
        np.testing.assert_array_equal(y, alone.read_y(inner))
        assert joined.metadata.loc[row, "patch_id"] == alone.metadata.loc[inner, "patch_id"]
        assert joined.metadata.loc[row, "dataset"] == two[part].name


def test_only_regions_that_clash_get_the_name_of_their_dataset(two):
    regions = open_datasets(two).metadata.groupby("dataset")["region"].unique()
    assert sorted(regions["one"]) == ["North", "one/South"]
    assert sorted(regions["two"]) == ["East", "two/South"]


def test_the_fingerprint_depends_on_all_and_on_their_order(two):
    prints = {open_datasets(paths).fingerprint for paths in (two, two[::-1], two[:1], two[1:])}
    assert len(prints) == 4
    assert open_datasets(two).fingerprint in prints


def test_a_band_that_one_lacks_is_refused_with_what_it_has(two):
    with pytest.raises(ConfigError, match=r"the dataset has the bands ndvi, red, but not nir"):
        open_datasets(two).channel_indices(("red", "nir"))


def test_a_band_with_another_range_is_refused(two, tmp_path):
    config = two[1] / "config.toml"
    config.write_text(config.read_text().replace("lo = [\n    -1.0,", "lo = [\n    -0.5,"))
    with pytest.raises(DatasetError, match=r"(have the same range|fingerprint)"):
        open_datasets(two).bands(("ndvi",))


def test_patches_of_other_sizes_are_refused(two, tmp_path):
    make_dataset(tmp_path / "large", scenes=1, patches=1, size=96)
    with pytest.raises(DatasetError, match=r"patches of one size, but these have \[64, 96\]"):
        open_datasets([*two, tmp_path / "large"])


def test_names_are_told_apart_by_the_folder_above(two, tmp_path):
    for folder in ("a", "b"):
        shutil.copytree(two[0], tmp_path / folder / "data")
    joined = open_datasets([tmp_path / "a" / "data", tmp_path / "b" / "data"])
    assert sorted(joined.metadata["dataset"].unique()) == ["a/data", "b/data"]
