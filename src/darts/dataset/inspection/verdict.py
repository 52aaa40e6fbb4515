"""What would spoil a training, as far as the dataset itself tells."""

from collections.abc import Iterator, Sequence

from darts.dataset.inspection.facts import DatasetFacts
from darts.dataset.inspection.suspicions import LABEL_AT_NODATA, UNREADABLE, WRONG_FLAG

_NAMED = 5


def spoils_training(facts: DatasetFacts) -> list[str]:
    """What would spoil any training on this dataset, and what to do about it: a sentence each, the gravest first.

    It is empty when nothing was found. A caller that checks datasets may fail when it is not.
    """
    return [*_labels_that_spoil(facts), *_values_that_spoil(facts)]


def training_hints(facts: DatasetFacts) -> list[str]:
    """What limits a training without spoiling it, a sentence each."""
    regions = facts.groups["region"]
    hints = []
    if len(regions) < 2:
        hints.append("All patches are of one region, so no region can be held out to validate or test on.")
    elif sum(region.with_positives > 0 for region in regions) == 1:
        hints.append("All positive pixels are in one region, so regions can't be held out to validate or test on.")
    return hints


def _labels_that_spoil(facts: DatasetFacts) -> Iterator[str]:
    patches = facts.patches
    if rows := [finding.row for finding in facts.found_by(UNREADABLE)]:
        yield f"{_patches(rows)} can't be read; build the dataset again."
    if not patches["positive"].any():
        yield "No patch has a positive pixel, so there is nothing to learn; check that the labels lie on the scenes."
    if rows := patches.index[(patches["pixels"] > 0) & (patches["ignored"] == patches["pixels"])].tolist():
        yield f"Every pixel is ignored in {_patches(rows)}; leave these patches out."
    if rows := [finding.row for finding in facts.found_by(WRONG_FLAG)]:
        yield (
            f"The column `empty` contradicts the labels of {_patches(rows)}, so stratified folds would be wrong; "
            "build the dataset again."
        )


def _values_that_spoil(facts: DatasetFacts) -> Iterator[str]:
    if rows := [finding.row for finding in facts.found_by(LABEL_AT_NODATA)]:
        yield (
            f"Positive pixels lie where there are no data in {_patches(rows)}; check that images and labels are of the "
            "same place, and that pixels without data are ignored."
        )
    for band in facts.bands:
        if band.is_constant:
            yield f"The band {band.band.name} has one value in the whole dataset; leave it out, or check its source."
    regions = facts.patches["region"]
    if rows := [row for group in facts.duplicates if regions.iloc[list(group)].nunique() > 1 for row in group]:
        yield (
            f"The same content lies in different regions in {_patches(rows)}, so a model could be tested on what it was "
            "trained on; leave one of each out."
        )


def _patches(rows: Sequence[int]) -> str:
    """How many patches, and the first few rows of them."""
    named = ", ".join(map(str, sorted(rows)[:_NAMED])) + (", ..." if len(rows) > _NAMED else "")
    return f"1 patch (row {named})" if len(rows) == 1 else f"{len(rows)} patches (rows {named})"
