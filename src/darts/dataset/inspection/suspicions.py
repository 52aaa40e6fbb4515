"""Rules by which a patch is suspicious."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from darts.dataset.inspection.reading import PatchReading

MOSTLY = 0.5
"""A patch is mostly ignored when more than this share of its pixels is."""
FEW_PIXELS = 3
"""So few positive pixels are rather a sliver at the edge of a label than an object."""
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One patch that one rule found suspicious.

    Attributes
    ----------
    rule
        Name of the rule, a key of `RULES`.
    row
        Row of the patch.
    weight
        The greater, the worse; comparable within a rule.
    detail
        What was found, in a few words.
    """

    rule: str
    row: int
    weight: float
    detail: str


UNREADABLE, OUT_OF_RANGE, WRONG_FLAG = "unreadable", "out of range", "wrong empty flag"
LABEL_AT_NODATA, CONSTANT, ALL_POSITIVE = "label at no data", "constant band", "all positive"
SATURATED_BAND, MOSTLY_IGNORED, DUPLICATE, FEW_POSITIVE = (
    "saturated band",
    "mostly ignored",
    "duplicate",
    "few positives",
)

RULES: Mapping[str, str] = {
    UNREADABLE: "The chunk is missing or damaged, or holds what it must not.",
    OUT_OF_RANGE: "x is below 0 or above 1.",
    WRONG_FLAG: "The column `empty` of the metadata says something else than the label.",
    LABEL_AT_NODATA: "Positive pixels lie where every band is at its fill, so probably where there are no data.",
    CONSTANT: "A band has one value wherever the patch is not ignored.",
    ALL_POSITIVE: "Every pixel that is not ignored is positive.",
    SATURATED_BAND: "More than half of the pixels of a band that are not ignored lie at an end of its range.",
    MOSTLY_IGNORED: "More than half of the pixels are ignored.",
    DUPLICATE: "Another patch has the same content.",
    FEW_POSITIVE: f"1 to {FEW_PIXELS} pixels are positive.",
}
"""Name of each rule -> what it says of a patch; the gravest come first."""


def find_suspicious(
    readings: Sequence[PatchReading],
    duplicates: Iterable[Sequence[int]],
    says_empty: Sequence[bool],
    regions: Sequence[str],
) -> tuple[Finding, ...]:
    """Apply every rule to every patch.

    Parameters
    ----------
    readings, says_empty, regions
        Of each patch, in the order of the rows: what its pixels told, and the columns `empty` and `region`.
    duplicates
        The rows of patches of equal content, a group each.

    Returns
    -------
    findings
        By rule, then the worst first, then by row.
    """
    found = [
        finding
        for reading, empty in zip(readings, says_empty, strict=True)
        for finding in _found_in(reading, says_empty=empty)
    ]
    found += _duplicates(duplicates, regions)
    order = {rule: number for number, rule in enumerate(RULES)}
    return tuple(sorted(found, key=lambda finding: (order[finding.rule], -finding.weight, finding.row)))


def _found_in(reading: PatchReading, *, says_empty: bool) -> Iterator[Finding]:
    if reading.problem is not None:
        yield Finding(UNREADABLE, reading.row, 1, reading.problem)
        return
    for rule, look in _LOOKS.items():
        found = look(reading)
        if found is not None:
            yield Finding(rule, reading.row, *found)
    if says_empty == bool(reading.positive):
        detail = f"empty is {str(says_empty).lower()}, with {reading.positive} positive pixels"
        yield Finding(WRONG_FLAG, reading.row, reading.positive, detail)


def _out_of_range(reading: PatchReading) -> tuple[float, str] | None:
    return (1, "x leaves [0, 1]") if reading.is_out_of_range else None


def _label_at_nodata(reading: PatchReading) -> tuple[float, str] | None:
    count = reading.positive_at_fill
    return (count, f"{count} of {reading.positive} positive pixels") if count else None


def _constant(reading: PatchReading) -> tuple[float, str] | None:
    return (len(reading.constant), ", ".join(reading.constant)) if reading.constant else None


def _all_positive(reading: PatchReading) -> tuple[float, str] | None:
    if reading.positive and reading.positive == reading.pixels - reading.ignored:
        return reading.positive, f"{reading.positive} pixels"
    return None


def _saturated(reading: PatchReading) -> tuple[float, str] | None:
    if not reading.saturated:
        return None
    worst = max(share for _, share in reading.saturated)
    return worst, ", ".join(f"{name} {share:.1%}" for name, share in reading.saturated)


def _mostly_ignored(reading: PatchReading) -> tuple[float, str] | None:
    share = reading.ignored / reading.pixels
    return (share, f"{share:.1%} ignored") if share > MOSTLY else None


def _few_positive(reading: PatchReading) -> tuple[float, str] | None:
    count = reading.positive
    return (-count, f"{count} positive pixel{'' if count == 1 else 's'}") if 0 < count <= FEW_PIXELS else None


_LOOKS: Mapping[str, Callable[[PatchReading], tuple[float, str] | None]] = {
    OUT_OF_RANGE: _out_of_range,
    LABEL_AT_NODATA: _label_at_nodata,
    CONSTANT: _constant,
    ALL_POSITIVE: _all_positive,
    SATURATED_BAND: _saturated,
    MOSTLY_IGNORED: _mostly_ignored,
    FEW_POSITIVE: _few_positive,
}
"""Rule -> weight and detail, or None; of rules that look at one patch alone."""


def same_content(readings: Iterable[PatchReading]) -> tuple[tuple[int, ...], ...]:
    """The rows of patches whose content is equal, a group each, by their first row."""
    rows_by_hash = defaultdict(list)
    for reading in readings:
        if reading.content_hash is not None:
            rows_by_hash[reading.content_hash].append(reading.row)
    return tuple(tuple(rows) for rows in rows_by_hash.values() if len(rows) > 1)


def _duplicates(groups: Iterable[Sequence[int]], regions: Sequence[str]) -> Iterator[Finding]:
    """All patches of equal content; those in several regions are the worst, since they may be trained and tested on."""
    for rows in groups:
        where = sorted({regions[row] for row in rows})
        across = f", in the regions {', '.join(where)}" if len(where) > 1 else ""
        for row in rows:
            others = [str(other) for other in rows if other != row]
            detail = f"same as row {', '.join(others[:_NAMED])}{', ...' if len(others) > _NAMED else ''}{across}"
            yield Finding(DUPLICATE, row, len(where), detail)
