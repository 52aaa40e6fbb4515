"""`metadata.parquet`: the table of patches, and the commit record of the dataset.

The file is replaced last in every commit. Rows of x and y beyond its rows do not exist. What was done so far (the
settings, and one entry for each finished scene) lies in its schema metadata, so that table and record can't disagree.
"""

import io
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyarrow as pa
import pyarrow.parquet as pq

from darts.core.errors import DatasetError
from darts.core.files import write_atomically
from darts.dataset.schema import METADATA_FILE, PATCH_COLUMNS, REQUIRED_COLUMNS

_KEY = b"darts"


@dataclass(frozen=True, slots=True)
class SceneEntry:
    """One scene that is done with.

    Attributes
    ----------
    scene_id
        Unique in the dataset.
    inputs
        Name and fingerprint of every file that was read; a changed input is noticed by it.
    patches
        Number of patches that the scene gave.
    dropped
        Reason -> number of patches that were dropped for it.
    labels
        Number of label polygons that were burnt in.
    facts
        What was decided while the scene was read, such as the offset of its digital numbers.
    failed
        Why the scene could not be used, in which case it gave nothing; "" otherwise.
    """

    scene_id: str
    inputs: dict[str, str] = field(default_factory=dict)
    patches: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    labels: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Journal:
    """What a dataset was asked to be, and the scenes that are done, in order."""

    settings: dict[str, Any]
    scenes: tuple[SceneEntry, ...] = ()


def write_metadata(directory: Path, table: gpd.GeoDataFrame, journal: Journal) -> None:
    """Replace `metadata.parquet`; this is the commit."""
    buffer = io.BytesIO()
    # The one text that may be missing needs a type of its own: guessed from the values, it would depend on which of
    # them were in memory and which were read back, and with it the bytes of the file.
    table.astype({"scene_date": "string"}).to_parquet(buffer, index=True)
    arrow = pq.read_table(pa.BufferReader(buffer.getvalue()))
    record = json.dumps({"settings": journal.settings, "scenes": [asdict(scene) for scene in journal.scenes]})
    arrow = arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), _KEY: record.encode()})
    write_atomically(
        directory / METADATA_FILE,
        lambda path: pq.write_table(arrow, path, compression="zstd", write_page_checksum=True),
    )


def read_metadata(directory: Path) -> gpd.GeoDataFrame:
    """The table of patches, indexed by the row of x and y, in WGS84.

    Raises
    ------
    DatasetError
        When the file is missing, damaged, or lacks a column.
    """
    path = directory / METADATA_FILE
    if not path.exists():
        raise DatasetError(f"a dataset directory has a {METADATA_FILE}, but {directory} has none; preprocess again.")
    try:
        pq.read_table(path, page_checksum_verification=True)
        table = gpd.read_parquet(path)
    except Exception as error:  # noqa: BLE001 -- arrow, geopandas and pyproj each fail on damaged bytes in ways of their own
        raise DatasetError(f"{path} is damaged ({error}); build the dataset again.") from None
    if missing := [column for column in REQUIRED_COLUMNS if column not in table.columns]:
        raise DatasetError(f"{path} must have the columns {', '.join(REQUIRED_COLUMNS)}, but lacks {missing}.")
    return table


def read_journal(directory: Path) -> Journal | None:
    """The commit record, or None when nothing was committed, or not by us."""
    path = directory / METADATA_FILE
    if not path.exists():
        return None
    try:
        record = (pq.read_schema(path).metadata or {}).get(_KEY)
        return None if record is None else _parse(record)
    except (OSError, ValueError, TypeError, KeyError, pa.ArrowException) as error:
        raise DatasetError(f"{path} is damaged ({error}); remove {directory} and preprocess again.") from None


def _parse(record: bytes) -> Journal:
    content = json.loads(record)
    return Journal(content["settings"], tuple(SceneEntry(**entry) for entry in content["scenes"]))


def empty_table() -> gpd.GeoDataFrame:
    """A table of no patches."""
    return gpd.GeoDataFrame({column: [] for column in PATCH_COLUMNS}, geometry="geometry", crs="EPSG:4326")
