"""What speaks against taking the numbers of a run at their word."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from darts.core.html import counted
from darts.training.config import ENDING_SCHEDULES
from darts.training.run_details import scores_by, throughput
from darts.training.run_record import MONITOR, RunRecord

_FEW_PIXELS = 1000
_UNSTABLE = 0.05
_FALLEN_BACK = 0.1
_OVERFIT = 1.5
_LOWER_IN_TEST = 0.7
_WAITING = 0.2


def doubts(run: RunRecord) -> list[str]:
    """One sentence for each doubt; empty, if there is none.

    Raises
    ------
    RunError
        When a file of the run is damaged.
    """
    return [*_of_the_end(run), *_of_the_split(run), *_of_the_curves(run), *_of_the_test(run), *_of_the_speed(run)]


def _of_the_end(run: RunRecord) -> Iterator[str]:
    if not run.is_finished:
        so_far = counted(run.epochs, "epoch")
        yield f"The run isn't finished: {so_far} so far. What is shown comes from validations during training."
    best, scores = run.best_epoch, _seen(run, MONITOR)
    if best is None:
        yield "No epoch was validated, so that nothing is known of how well it works."
    elif run.is_finished and best == run.epochs and len(scores) > 1 and not _has_ended(run):
        yield f"The best epoch is the last one ({best}): with more epochs it may get better; raise --max-epochs."
    elif run.is_finished and best == int(run.history.loc[scores.index[0], "epoch"]) + 1 and len(scores) > 2:
        yield f"The first validation was the best (epoch {best}): it learnt nothing after it; lower --learning-rate."


def _has_ended(run: RunRecord) -> bool:
    """Whether the learning rate is near 0 at the end, where the last epoch is meant to be the best."""
    return run.settings.get("lr_schedule") in ENDING_SCHEDULES


def _of_the_split(run: RunRecord) -> Iterator[str]:
    for split in ("val", "test"):
        counts = run.counts(split)
        positives = counts["tp"] + counts["fn"] if counts else None
        if positives == 0:
            yield f"{split} has no positive pixel, so that IoU, F1, precision and recall say nothing."
        elif positives is not None and positives < _FEW_PIXELS:
            yield f"{split} has {positives} positive pixels only: a few objects more or less change its metrics."
        elif counts and counts["tp"] + counts["fp"] == 0:
            yield f"Nothing at all is predicted positive in {split}."
    settings = run.settings
    if settings.get("split_file", "none") == "none" and settings.get("data_split_method") == "none":
        yield "No patch was held out for a test: the test split is what it was trained and validated on."
    if settings.get("fold_method") == "none":
        yield "It was validated on the patches that it was trained on, so that val says nothing of others."
    if settings.get("allow_overlap"):
        yield "Train patches that share ground or content with val or test were kept (--allow-overlap)."


def _of_the_curves(run: RunRecord) -> Iterator[str]:
    scores = _seen(run, MONITOR).to_numpy()
    late = scores[len(scores) // 2 :]
    if len(late) >= 3 and np.median(np.abs(np.diff(late))) > _UNSTABLE:
        yield (
            f"{MONITOR} is unstable: between the later validations it changed by {np.median(np.abs(np.diff(late))):.2f} "
            "in the middle, so that the best epoch owes much to chance."
        )
    elif len(scores) and scores.max() - scores[-1] > _FALLEN_BACK:
        yield f"{MONITOR} fell from {scores.max():.3f} to {scores[-1]:.3f} at the end."
    val, train = _seen(run, "val/loss"), _seen(run, "train/loss")
    if len(val) > 2 and len(train) > 2 and val.iloc[-1] > _OVERFIT * val.min() and train.iloc[-1] < train.iloc[0]:
        yield (
            f"It overfits: val/loss rose from {val.min():.3g} to {val.iloc[-1]:.3g} while train/loss fell to "
            f"{train.iloc[-1]:.3g}."
        )


def _of_the_test(run: RunRecord) -> Iterator[str]:
    val, test = (run.metrics(stage).get(f"{stage}/JaccardIndex") for stage in ("val", "test"))
    if val and test is not None and test < _LOWER_IN_TEST * val:
        yield f"IoU is {test:.3f} on test, but {val:.3f} on val: what it learnt doesn't carry over to other patches."
    regions = scores_by(run, "region")
    for split, part in regions[regions["tp"] + regions["fn"] > 0].groupby("split", sort=False):
        if len(part) > 1 and part["JaccardIndex"].iloc[0] < part["JaccardIndex"].iloc[-1] / 2:
            worst, best = part.iloc[0], part.iloc[-1]
            yield (
                f"Regions of {split} differ: IoU is {worst['JaccardIndex']:.3f} in {worst['region']}, but "
                f"{best['JaccardIndex']:.3f} in {best['region']}."
            )


def _of_the_speed(run: RunRecord) -> Iterator[str]:
    waiting = throughput(run)["waiting_share"]
    if len(waiting) and waiting.median() > _WAITING:
        yield f"{waiting.median():.0%} of the time was spent waiting for data; raise --num-workers, or use --in-memory."


def _seen(run: RunRecord, name: str) -> "pd.Series[float]":
    """The values of a metric in the epochs that have it."""
    return run.history[name].dropna() if name in run.history else pd.Series(dtype="float64")
