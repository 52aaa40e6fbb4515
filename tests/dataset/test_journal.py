"""`metadata.parquet`: the table of patches and the commit record are one file."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from darts.core.errors import DatasetError
from darts.dataset.check import check_structure
from darts.dataset.journal import Journal, SceneEntry, empty_table, read_journal, read_metadata, write_metadata
from darts.dataset.reader import open_dataset
from darts.dataset.schema import PATCH_COLUMNS, REQUIRED_COLUMNS

JOURNAL = Journal(
    {"bands": ["red"], "patch_size": 8, "share": 0.5, "flag": True, "word": "none"},
    (
        SceneEntry("a", {"image.tif": 12}, 3, {"dark": 1}, 2, {"offset": -1000.0, "date": None}),
        SceneEntry("b"),
    ),
)


def test_table_and_journal_are_read_as_they_were_written(pristine, tmp_path):
    table = read_metadata(pristine)
    write_metadata(tmp_path, table, JOURNAL)
    assert read_journal(tmp_path) == JOURNAL
    again = read_metadata(tmp_path)
    pd.testing.assert_frame_equal(again, table)
    assert again.crs == "EPSG:4326"
    assert [path.name for path in tmp_path.iterdir()] == ["metadata.parquet"]


def test_an_empty_table_keeps_its_columns_and_crs(tmp_path):
    write_metadata(tmp_path, empty_table(), JOURNAL)
    read = read_metadata(tmp_path)
    assert (list(read.columns), len(read), read.crs) == (list(PATCH_COLUMNS), 0, "EPSG:4326")


def test_there_is_no_journal_before_the_first_commit_or_in_a_table_of_others(pristine, tmp_path):
    assert read_journal(tmp_path) is None
    read_metadata(pristine).to_parquet(tmp_path / "metadata.parquet")
    assert read_journal(tmp_path) is None


def test_a_missing_table_is_an_error(tmp_path):
    with pytest.raises(DatasetError, match=r"has a metadata\.parquet, but .* has none"):
        read_metadata(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"<html>not found</html>" * 50])
def test_what_is_no_parquet_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "metadata.parquet").write_bytes(content)
    for read in (read_metadata, read_journal):
        with pytest.raises(DatasetError, match=r"metadata\.parquet is damaged \(.*\); ") as caught:
            read(tmp_path)
        assert "\n" not in str(caught.value)


def test_a_table_without_geometry_or_without_a_column_is_refused(pristine, tmp_path):
    table = read_metadata(pristine)
    pd.DataFrame(table.drop(columns="geometry")).to_parquet(tmp_path / "metadata.parquet")
    with pytest.raises(DatasetError, match=r"metadata\.parquet"):
        read_metadata(tmp_path)
    for column in set(REQUIRED_COLUMNS) - {"geometry"}:
        table.drop(columns=column).to_parquet(tmp_path / "metadata.parquet")
        with pytest.raises(DatasetError, match=f"must have the columns sample_id, .* but lacks .*'{column}'"):
            read_metadata(tmp_path)


def test_a_bit_that_flips_in_the_table_is_noticed_or_changes_nothing_that_training_reads(dataset_dir):
    rng = np.random.default_rng(7)
    path, columns = dataset_dir / "metadata.parquet", ["patch_id", "sample_id", "region", "empty", "content_hash"]
    whole, table = path.read_bytes(), read_metadata(dataset_dir)
    noticed, silent = 0, []
    for bit in rng.integers(0, 8 * len(whole), 120):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        try:
            read = check_structure(dataset_dir).metadata
        except DatasetError:
            noticed += 1
            continue
        if not read[columns].equals(table[columns]):
            silent.append(int(bit))
    assert silent == []
    assert noticed > 0


@pytest.mark.parametrize("record", [b"{", b"[]", b"{}", b'{"settings": {}, "scenes": [{"scene": "a"}]}', b"\xff"])
def test_a_damaged_commit_record_is_refused(pristine, tmp_path, record):
    table = pq.read_table(pristine / "metadata.parquet")
    table = table.replace_schema_metadata({**table.schema.metadata, b"darts": record})
    pq.write_table(table, tmp_path / "metadata.parquet")
    with pytest.raises(DatasetError, match=r"metadata\.parquet is damaged"):
        read_journal(tmp_path)


def test_the_table_is_a_geoparquet_that_geopandas_reads(pristine):
    table = gpd.read_parquet(pristine / "metadata.parquet")
    assert list(table.columns) == list(PATCH_COLUMNS)
    assert list(table.index) == list(range(len(open_dataset(pristine))))
    assert table.crs == "EPSG:4326"
    assert table["empty"].dtype == bool
    assert b"geo" in pq.read_schema(pristine / "metadata.parquet").metadata
