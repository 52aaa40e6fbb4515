"""Figures of how a run went and of what it was given, as PNG files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator, PercentFormatter

from darts.training.figures import BLUE, GREY, GRID, RED, new_figure, save_figure

LOSS_CURVES = "loss-curves.png"
METRIC_CURVES = "metric-curves.png"
DATA_DISTRIBUTION = "data-distribution.png"
AUGMENTATIONS_PREVIEW = "augmentation.png"
"""Names of figures in the folder of figures, by which the report of a run finds them."""

ROLES = ("train", "val", "test")
_METRICS = ("JaccardIndex", "F1Score", "Precision", "Recall", "AveragePrecision", "AUROC")
_ROLE_COLORS = {"train": GREY, "val": BLUE, "test": RED}
_LOG_FROM = 30.0
"""Ratio of the largest and the least loss from which on the axis is logarithmic: one and a half decades."""
_MOST_REGIONS = 20
_OTHERS = "(others)"
_LONGEST = 32


def draw_loss(history: pd.DataFrame, best_epoch: int | None, path: Path) -> Path:
    """The loss of every epoch, in training and validation.

    Parameters
    ----------
    history
        As `metrics.csv` holds it; `epoch` counts from 0.
    best_epoch
        The epoch of the best checkpoint, from 1; None if there is none.
    """
    figure = new_figure(10, 3.4)
    axis = figure.subplots()
    drawn = [_draw_stage(axis, history, stage, "loss") for stage in ("train", "val")]
    losses = np.concatenate(drawn)
    if len(losses) and losses.min() > 0 and losses.max() / losses.min() >= _LOG_FROM:
        axis.set_yscale("log")
    elif len(losses):
        axis.set_ylim(bottom=0)
    _finish_epochs(axis, history, best_epoch)
    axis.set(xlabel="epoch", ylabel="loss")
    _show_legend(axis)
    return save_figure(figure, path)


def draw_metrics(history: pd.DataFrame, best_epoch: int | None, path: Path) -> Path:
    """The main metrics of every epoch, in training and validation, each in a panel of its own; see `draw_loss`."""
    names = [name for name in _METRICS if {f"train/{name}", f"val/{name}"} & set(history.columns)] or [_METRICS[0]]
    columns = min(len(names), 3)
    rows = -(-len(names) // columns)
    figure = new_figure(10, 2.7 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for index, (axis, name) in enumerate(zip(axes, names, strict=False)):
        for stage in ("train", "val"):
            _draw_stage(axis, history, stage, name)
        axis.set_ylim(0, 1.02)
        _finish_epochs(axis, history, best_epoch)
        axis.set_title(f"IoU ({name})" if name == "JaccardIndex" else name, fontsize=10)
        if index + columns >= len(names):
            axis.set_xlabel("epoch")
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    _show_legend(axes[0])
    return save_figure(figure, path)


def _draw_stage(axis: Any, history: pd.DataFrame, stage: str, name: str) -> np.ndarray:
    """Draw a metric over its epochs, and give back its finite values."""
    column = f"{stage}/{name}"
    if column not in history:
        return np.empty(0)
    values = history[column].to_numpy(dtype=float)
    seen = np.isfinite(values)
    style = {"marker": "o", "markersize": 3} if stage == "val" or seen.sum() == 1 else {}
    epochs = history["epoch"].to_numpy()[seen] + 1
    axis.plot(epochs, values[seen], color=_ROLE_COLORS[stage], linewidth=1.4, label=stage, **style)
    return values[seen]


def _finish_epochs(axis: Any, history: pd.DataFrame, best_epoch: int | None) -> None:
    if best_epoch is not None:
        axis.axvline(best_epoch, color=RED, linestyle="--", linewidth=1, label=f"best epoch: {best_epoch}")
    last = int(history["epoch"].max()) + 1 if len(history) else 1
    axis.set_xlim(1 - 0.02 * last, last * 1.02)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    axis.grid(**GRID)


def _show_legend(axis: Any) -> None:
    if axis.get_legend_handles_labels()[0]:
        axis.legend(loc="best", fontsize=8)


def data_distribution(patches: pd.DataFrame) -> pd.DataFrame:
    """Patches and share of positive pixels by region and role.

    Parameters
    ----------
    patches
        One row for each patch and role: `region`, `role`, and where pixels were counted `positive_fraction`, of those that
        aren't ignored, and `ignored_fraction`, both in [0, 1].

    Returns
    -------
    pd.DataFrame
        region, role, patches, positive_share; the last is NaN where it isn't known, or all pixels are ignored. Regions from
        that with most patches, roles in the order of `ROLES`.
    """
    is_counted = {"positive_fraction", "ignored_fraction"} <= set(patches.columns)
    seen = 1 - patches["ignored_fraction"].astype(float) if is_counted else np.nan
    positive = patches["positive_fraction"].astype(float) * seen if is_counted else np.nan
    table = patches[["region", "role"]].astype(str).assign(patches=1, seen=seen, positive=positive)
    table["all"] = table.groupby("region")["patches"].transform("sum").where(table["region"] != _OTHERS, 0)
    table["order"] = table["role"].map({role: index for index, role in enumerate(ROLES)})
    grouped = table.groupby(["all", "region", "order", "role"], as_index=False)[["patches", "seen", "positive"]].sum()
    grouped = grouped.sort_values(["all", "region", "order"], ascending=[False, True, True], ignore_index=True)
    share = (grouped["positive"] / grouped["seen"]).where(grouped["seen"] > 0)
    return grouped[["region", "role", "patches"]].assign(positive_share=share if is_counted else np.nan)


def draw_distribution(patches: pd.DataFrame, path: Path) -> Path:
    """Patches and share of positive pixels by region and role, the latter where pixels were counted.

    Parameters
    ----------
    patches
        As `data_distribution` takes them; of many regions the smallest are drawn as one.
    """
    table = data_distribution(_largest_regions(patches))
    place = {region: index for index, region in enumerate(dict.fromkeys(table["region"]))}
    is_counted = bool(table["positive_share"].notna().any())
    figure = new_figure(10, 1.1 + 0.32 * len(place))
    left, *right = figure.subplots(1, 2 if is_counted else 1, sharey=True, squeeze=False).ravel()
    ends = dict.fromkeys(place, 0)
    for role, part in table.groupby("role", sort=False):
        starts = [ends[region] for region in part["region"]]
        rows = part["region"].map(place)
        left.barh(rows, part["patches"], left=starts, height=0.66, color=_ROLE_COLORS.get(str(role), GREY), label=role)
        ends |= {
            name: start + count for name, start, count in zip(part["region"], starts, part["patches"], strict=True)
        }
    for axis in right:
        _draw_shares(axis, table, place)
    left.set_yticks(list(place.values()), [_shortened(region) for region in place])
    left.invert_yaxis()
    left.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    left.set_title("patches", fontsize=10)
    for axis in (left, *right):
        axis.grid(axis="x", **GRID)
        axis.set_axisbelow(True)
    handles = dict(zip(*reversed(left.get_legend_handles_labels()), strict=True))
    figure.legend([handles[role] for role in ROLES if role in handles], [role for role in ROLES if role in handles],
                  loc="outside lower center", ncols=len(ROLES), fontsize=8, frameon=False)  # fmt: skip
    return save_figure(figure, path)


def _draw_shares(axis: Any, table: pd.DataFrame, place: Mapping[str, int]) -> None:
    """A dot for each region and role."""
    for role, part in table.groupby("role", sort=False):
        axis.plot(part["positive_share"], part["region"].map(place), "o", color=_ROLE_COLORS.get(str(role), GREY))
    axis.set_xlim(0, max(table["positive_share"].max() * 1.06, 1e-4))
    axis.xaxis.set_major_formatter(PercentFormatter(1))
    axis.set_title("share of positive pixels", fontsize=10)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 12]}\N{HORIZONTAL ELLIPSIS}{text[-11:]}"


def _largest_regions(patches: pd.DataFrame) -> pd.DataFrame:
    counts = patches["region"].astype(str).value_counts()
    if len(counts) <= _MOST_REGIONS:
        return patches
    kept = counts.index[: _MOST_REGIONS - 1]
    regions = patches["region"].astype(str)
    return patches.assign(region=regions.where(regions.isin(kept), _OTHERS))
