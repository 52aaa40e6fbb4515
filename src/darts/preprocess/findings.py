"""What the user should be able to look up after a run: labels, images and scenes that went another way than hoped."""

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from enum import StrEnum


class Kind(StrEnum):
    """What happened."""

    LABEL_WITHOUT_IMAGE = "label without image"
    """A label polygon that is burnt into no scene."""
    IMAGE_WITHOUT_LABEL = "image without label"
    """A scene that no label polygon belongs to."""
    RECOVERED_ID = "label with recovered image id"
    """A label polygon whose truncated image id was completed."""
    FOOTPRINT_WITHOUT_IMAGE = "footprint without image"
    """A footprint whose image is not among the scenes."""
    FAILED_SCENE = "failed scene"
    """A scene that could not be used."""
    LABELS_WITHOUT_PIXEL = "labels without pixel"
    """Polygons of a scene that hold no pixel: too small or too thin."""
    LABELS_IN_NO_PATCH = "labels in no patch"
    """Polygons of a scene whose pixels are all ignored, or in patches that were dropped."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One line of the report.

    Attributes
    ----------
    kind
        What happened.
    name
        The image, scene or label concerned; of a label, the image id that it gives.
    file
        Name of the file that it stands in, "" if there is none.
    feature
        Number of the polygon in that file, from 0; "" where it is not about one polygon.
    reason
        Why, in words.
    """

    kind: Kind
    name: str
    file: str
    feature: str
    reason: str


def to_csv(findings: Iterable[Finding]) -> str:
    """The report: a table with a line for each finding, sorted."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(field.name for field in fields(Finding))
    writer.writerows(astuple(finding) for finding in sorted(set(findings)))
    return buffer.getvalue()


def from_csv(text: str) -> list[Finding]:
    """The findings of a report."""
    rows = csv.DictReader(io.StringIO(text))
    return [Finding(Kind(row.pop("kind")), **row) for row in rows]
