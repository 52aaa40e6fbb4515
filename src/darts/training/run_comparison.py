"""Paired comparison of runs: differences on the same patches, with the same fold and seed.

The score of a run says as much about its fold as about its settings, so that only differences within a pair are looked at,
and folds are never ranked.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from darts.core.artifacts import RunDirectory
from darts.core.errors import RunError, one_line
from darts.training.config import PLACE
from darts.training.run_record import lower_is_better
from darts.training.run_selection import CHANCE, cell_text, require_column, varying_settings

_LABEL, _PATCHES = "compared", "patches"
_PAIRED_BY = ["fold", "seed"]


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """How much better one variant is than another.

    Attributes
    ----------
    first, second
        What the variants are called.
    pairs
        Number of pairs.
    mean
        Mean of second minus first.
    standard_error
        Standard deviation of the differences (n - 1) / sqrt(n); NaN for a single pair. The train sets of folds overlap, so
        that it is rather too small than too large.
    """

    metric: str
    first: str
    second: str
    pairs: int
    mean: float
    standard_error: float

    @property
    def is_beyond_noise(self) -> bool:
        """Whether the mean is larger than its standard error."""
        return abs(self.mean) > self.standard_error

    def sentence(self) -> str:
        """What the difference says, in words."""
        if self.mean == 0:
            return f"{self.first} and {self.second} have the same {self.metric} on average ({_pairs(self.pairs)})."
        second_wins = (self.mean < 0) == lower_is_better(self.metric)
        better, worse = (self.second, self.first) if second_wins else (self.first, self.second)
        size = f"{abs(self.mean):.4f}"
        if self.pairs == 1:
            claim = f"{better} is better than {worse} in {self.metric} by {size} in the only pair"
            return f"{claim}: that says nothing about noise; train more folds or seeds."
        measured = f"{size} ± {self.standard_error:.4f} (mean and standard error, {_pairs(self.pairs)})"
        if self.is_beyond_noise:
            return f"{better} is better than {worse} in {self.metric} by {measured}: by more than the standard error."
        claim = f"{better} and {worse} differ in {self.metric} by {measured}"
        return f"{claim}: not by more than the standard error, which is noise."


def _pairs(count: int) -> str:
    return f"{count} pair{'' if count == 1 else 's'} of the same fold and seed"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Variants on the same folds and seeds.

    Attributes
    ----------
    table
        One row for each fold and seed (and for each combination of the other settings, where runs differ in them, too), one
        column for each variant; NaN where a variant has no run. Rows are sorted by what they are called, not by the metric.
    differences
        Of every two variants that share a pair.
    also_differ
        Settings in which the variants differ beside the one that they are compared by: the difference may come from them.
    without_pair
        Variants that share no pair with another one.
    left_out
        Number of runs that are not finished, or lack the metric.
    """

    metric: str
    table: pd.DataFrame
    differences: tuple[PairedDifference, ...]
    also_differ: tuple[str, ...]
    without_pair: tuple[str, ...]
    left_out: int


def compare_runs(runs: pd.DataFrame, metric: str, by: str | None = None) -> Comparison:
    """Compare the variants among some runs.

    Parameters
    ----------
    runs
        Rows of `collect_runs`.
    metric
        val/NAME or test/NAME.
    by
        The column whose values are compared; if not given, runs with equal settings are a variant.

    Raises
    ------
    ConfigError
        When there is no such column.
    RunError
        When there is no run, there are fewer than two variants, no pair of runs shares patches, fold and seed, or a pair
        could be made in several ways.
    """
    if runs.empty:
        raise RunError("a comparison needs finished runs, but there is none; look at --artifact-dir and --where.")
    values = runs[require_column(runs, metric, "--metric")]
    usable = runs[(runs["state"] == "finished") & values.notna()]
    others = varying_settings(usable, without=[by] if by else [])
    variants = _labelled(usable, by, others)
    if variants[_LABEL].nunique() < 2:
        raise RunError(
            f"a comparison needs two variants with a {metric}, but of {len(runs)} runs {len(usable)} are finished and have "
            f"it, and they are {variants[_LABEL].nunique()} variant(s); train or test more of them, or change --by."
        )
    variants[_PATCHES] = [_measured_patches(row, metric) for _, row in variants.iterrows()]
    # Of runs that were made twice, the newest counts.
    variants = variants.drop_duplicates([_LABEL, *others, *_PAIRED_BY, _PATCHES], keep="last")
    strict = _strictly_paired(variants, metric, others) if by in _settings(runs) else None
    table = strict if strict is not None else _loosely_paired(variants, metric, others)
    table = table[table.notna().sum(axis=1) > 1].dropna(axis=1, how="all")
    differences = tuple(
        difference
        for first, second in combinations(table.columns, 2)
        if (difference := _difference(metric, table, first, second)).pairs
    )
    also_differ = () if by is None or strict is not None else tuple(others)
    without_pair = tuple(sorted(set(variants[_LABEL]) - set(table.columns)))
    return Comparison(metric, table, differences, also_differ, without_pair, len(runs) - len(usable))


def _settings(runs: pd.DataFrame) -> set[str]:
    names = list(runs.columns)
    return set(names[names.index("dataset_fingerprint") : names.index("directory")]) - PLACE - CHANCE


def _labelled(runs: pd.DataFrame, by: str | None, others: Sequence[str]) -> pd.DataFrame:
    """The runs with the name of their variant, the newest last."""
    runs = runs.sort_values(["started", "run_id"], kind="stable")
    if by is not None:
        return runs.assign(**{_LABEL: runs[require_column(runs, by, "--by")].map(cell_text)})
    names = [", ".join(f"{name} {cell_text(row[name])}" for name in others) for _, row in runs.iterrows()]
    if len(set(names)) < 2:
        names = [f"{row['run_name']} ({row['run_id']})" for _, row in runs.iterrows()]
    return runs.assign(**{_LABEL: names})


def _measured_patches(run: "pd.Series[Any]", metric: str) -> str:
    """A hash of the patches that the metric was measured on."""
    path = RunDirectory(Path(run["directory"])).split
    try:
        roles = pd.read_parquet(path, columns=["row", "role"])
    except (OSError, ValueError, pa.ArrowException) as error:
        raise RunError(f"{path} can't be read ({one_line(error, 120)}), so that its run can't be compared.") from None
    rows = np.sort(roles.loc[roles["role"] == metric.partition("/")[0], "row"].to_numpy(dtype=np.int64))
    return hashlib.sha256(f"{run['dataset_fingerprint']} {rows.tolist()}".encode()).hexdigest()


def _strictly_paired(variants: pd.DataFrame, metric: str, others: Sequence[str]) -> pd.DataFrame | None:
    """The table of pairs that are equal in all other settings; None if there is no such pair."""
    table = _pivot(variants, metric, [*others, *_PAIRED_BY, _PATCHES])
    if not _has_pair(table):
        return None
    return _without_levels(table, [*(name for name in others if _varies(table, name)), *_PAIRED_BY])


def _loosely_paired(variants: pd.DataFrame, metric: str, others: Sequence[str]) -> pd.DataFrame:
    """The table of pairs that share fold, seed and patches, whatever their other settings."""
    key = [*_PAIRED_BY, _PATCHES]
    table = _pivot(variants.drop_duplicates([_LABEL, *key]), metric, key)
    if not _has_pair(table):
        raise RunError(
            "a comparison needs runs with the same fold, the same seed and the same patches to measure on, but no two of "
            "these have; train them with equal --fold, --random-seed and settings of the split."
        )
    if variants.duplicated([_LABEL, *key]).any():
        raise RunError(
            f"several runs of one variant share fold and seed, but differ in {', '.join(others)}; choose among them with "
            "--where."
        )
    return _without_levels(table, _PAIRED_BY)


def _pivot(variants: pd.DataFrame, metric: str, key: Sequence[str]) -> pd.DataFrame:
    texts = variants.assign(**{name: variants[name].map(cell_text) for name in key if name not in _PAIRED_BY})
    wide = texts.pivot(index=list(key), columns=_LABEL, values=metric)  # noqa: PD010 -- nothing may be averaged
    return wide.rename_axis(columns=None)


def _varies(table: pd.DataFrame, level: str) -> bool:
    return len(table.index.get_level_values(level).unique()) > 1


def _has_pair(table: pd.DataFrame) -> bool:
    return bool((table.notna().sum(axis=1) > 1).any())


def _without_levels(table: pd.DataFrame, kept: Sequence[str]) -> pd.DataFrame:
    dropped = [name for name in table.index.names if name not in kept]
    return table.droplevel(dropped).sort_index()


def _difference(metric: str, table: pd.DataFrame, first: Any, second: Any) -> PairedDifference:
    differences = (table[second] - table[first]).dropna().to_numpy(dtype=float)
    count = len(differences)
    error = float(differences.std(ddof=1) / math.sqrt(count)) if count > 1 else math.nan
    return PairedDifference(
        metric, str(first), str(second), count, float(differences.mean()) if count else math.nan, error
    )
