"""What is true of a dataset, as plain data: counts, ranges of bands, and suspicious patches."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from darts.core.bands import Band
from darts.dataset.inspection.reading import BandTally, PatchReading, read_patches
from darts.dataset.inspection.suspicions import Finding, find_suspicious, same_content
from darts.dataset.journal import SceneEntry, read_journal
from darts.dataset.manifest import Manifest
from darts.dataset.reader import Dataset
from darts.dataset.schema import SCALE

UNKNOWN = "unknown"
"""Stands for a region, a date or a role that is not recorded."""


@dataclass(frozen=True, slots=True, eq=False)
class BandFacts:
    """One band, over the pixels that are not ignored unless said otherwise.

    Attributes
    ----------
    band
        Name and scaling.
    low, mean, high
        In the unit of the band; NaN when every pixel is ignored.
    at_lo, at_hi
        Shares of the pixels that are clipped: x is 0, or 1. Pixels at a fill of 0 or 1 can't be told from them.
    at_fill
        Share of all pixels at the fill: an estimate of those without a value, since a true value may be equal to it.
    constant_patches
        Patches in which the band has one value.
    histogram, positive_histogram
        Pixels, and positive pixels, by x in 256 bins from 0 to 1.
    """

    band: Band
    low: float
    mean: float
    high: float
    at_lo: float
    at_hi: float
    at_fill: float
    constant_patches: int
    histogram: np.ndarray
    positive_histogram: np.ndarray

    @property
    def is_constant(self) -> bool:
        """Whether the band has one value in the whole dataset."""
        return self.low == self.high


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """Some patches: all of them, or those of a region, a scene, a year or a role.

    Attributes
    ----------
    patches, with_positives
        Number of patches, and of those with a positive pixel.
    positive_share
        Positive pixels among those that are not ignored; NaN if there are none.
    ignored_share
        Ignored pixels among all; NaN if there are none.
    """

    name: str
    patches: int
    with_positives: int
    positive_share: float
    ignored_share: float


@dataclass(frozen=True, slots=True, eq=False)
class DatasetFacts:
    """All that reading a dataset once told.

    Attributes
    ----------
    name
        Name of the dataset directory.
    manifest
        Bands, patch size, settings, versions, fingerprint.
    patches
        One row for each patch, in the order of x and y, with the columns patch_id, sample_id, region, year, role (None
        without a split), positive, ignored, pixels (of y) and geometry (WGS84).
    bands
        In the order of x.
    groups
        `region`, `scene`, `year` and, with a split, `role` -> facts by name.
    findings
        Suspicious patches, by rule, the worst first.
    duplicates
        Rows of patches of equal content, a group each.
    broken
        The rules that patches break, a sentence each, in the order of the rows.
    scenes
        The entries of the commit record, or None when there is none.
    """

    name: str
    manifest: Manifest
    patches: gpd.GeoDataFrame
    bands: tuple[BandFacts, ...]
    groups: Mapping[str, tuple[GroupFacts, ...]]
    findings: tuple[Finding, ...]
    duplicates: tuple[tuple[int, ...], ...]
    broken: tuple[str, ...]
    scenes: tuple[SceneEntry, ...] | None

    @property
    def total(self) -> GroupFacts:
        """All patches as one group."""
        return _group_facts(self.name, self.patches)

    @property
    def dropped(self) -> dict[str, int]:
        """Reason -> patches that were dropped for it, over all scenes."""
        counts: dict[str, int] = {}
        for scene in self.scenes or ():
            for reason, count in scene.dropped.items():
                counts[reason] = counts.get(reason, 0) + count
        return counts

    @property
    def failed(self) -> dict[str, str]:
        """Scene -> why it failed."""
        return {scene.scene_id: scene.failed for scene in self.scenes or () if scene.failed}

    def found_by(self, rule: str) -> tuple[Finding, ...]:
        """The findings of one rule, the worst first."""
        return tuple(finding for finding in self.findings if finding.rule == rule)


def gather_facts(
    dataset: Dataset,
    roles: "pd.Series[Any] | None" = None,
    progress: Callable[[int, int], None] | None = None,
) -> DatasetFacts:
    """Read a dataset once, patch by patch.

    Parameters
    ----------
    dataset
        Of ours or of darts-nextgen; columns that it doesn't have are done without.
    roles
        Role of each row in a run, such as `train`.
    progress
        Called after each patch with the number of patches that are done, and of all.
    """
    tally = BandTally.nothing(len(dataset.manifest.bands))
    readings: list[PatchReading] = []
    for reading, part in read_patches(dataset):
        readings.append(reading)
        tally = tally.merged(part)
        if progress is not None:
            progress(len(readings), len(dataset))
    patches, duplicates = _patch_table(dataset, readings, roles), same_content(readings)
    columns = {"region": "region", "scene": "sample_id", "year": "year"} | ({} if roles is None else {"role": "role"})
    journal = read_journal(dataset.directory)
    return DatasetFacts(
        name=dataset.directory.resolve().name,
        manifest=dataset.manifest,
        patches=patches,
        bands=tuple(_band_facts(band, tally, index) for index, band in enumerate(dataset.manifest.bands)),
        groups={
            name: tuple(_group_facts(str(key), part) for key, part in patches.groupby(column, sort=True))
            for name, column in columns.items()
        },
        findings=find_suspicious(
            readings, duplicates, dataset.metadata["empty"].astype(bool), patches["region"].tolist()
        ),
        duplicates=duplicates,
        broken=tuple(reading.broken for reading in readings if reading.broken),
        scenes=None if journal is None else journal.scenes,
    )


def _patch_table(dataset: Dataset, readings: list[PatchReading], roles: "pd.Series[Any] | None") -> gpd.GeoDataFrame:
    metadata = dataset.metadata
    rows = metadata.index
    sample_ids = metadata["sample_id"].astype(str)
    names = metadata["patch_id"] if "patch_id" in metadata else sample_ids + "_" + rows.astype(str)
    dates = metadata["scene_date"] if "scene_date" in metadata else pd.Series(None, rows, dtype="string")
    columns = {
        "patch_id": names.astype(str),
        "sample_id": sample_ids,
        "region": metadata["region"].astype("string").fillna(UNKNOWN).astype(str),
        "year": dates.astype("string").str[:4].fillna(UNKNOWN).astype(str),
        "role": None if roles is None else roles.reindex(rows).fillna("not used"),
        "positive": [reading.positive for reading in readings],
        "ignored": [reading.ignored for reading in readings],
        "pixels": [reading.pixels for reading in readings],
    }
    geometry = metadata.geometry if metadata.crs is None else metadata.geometry.to_crs("EPSG:4326")
    return gpd.GeoDataFrame(columns, index=rows, geometry=gpd.GeoSeries(geometry.array, index=rows))


def _group_facts(name: str, patches: pd.DataFrame) -> GroupFacts:
    positive, ignored, pixels = (int(patches[column].sum()) for column in ("positive", "ignored", "pixels"))
    return GroupFacts(
        name=name,
        patches=len(patches),
        with_positives=int((patches["positive"] > 0).sum()),
        positive_share=_share(positive, pixels - ignored),
        ignored_share=_share(ignored, pixels),
    )


def _band_facts(band: Band, tally: BandTally, index: int) -> BandFacts:
    def physical(level: float) -> float:
        return band.lo + level / SCALE * (band.hi - band.lo) if tally.pixels else math.nan

    return BandFacts(
        band=band,
        low=physical(tally.low[index]),
        mean=physical(tally.total[index] / max(tally.pixels, 1)),
        high=physical(tally.high[index]),
        at_lo=_share(tally.at_lo[index], tally.pixels),
        at_hi=_share(tally.at_hi[index], tally.pixels),
        at_fill=_share(tally.at_fill[index], tally.all_pixels),
        constant_patches=int(tally.constant_patches[index]),
        histogram=tally.histogram[index],
        positive_histogram=tally.positive_histogram[index],
    )


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan
