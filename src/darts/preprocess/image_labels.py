"""Labels and footprints that name the image they belong to: matched by that id, so that no label is lost unseen."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from darts.core.errors import SceneError
from darts.core.files import files_below
from darts.preprocess.findings import Finding, Kind
from darts.preprocess.labels import check_polygons, joined, repaired
from darts.preprocess.scenes import Grid
from darts.preprocess.vectors import companions, read_vectors

NEVER_LOOKED_AT = "it has neither label nor footprint"
"""Why an image that nobody is known to have looked at has no labels."""
_LABELS, _FOOTPRINTS = "TrainingLabel", "ImageFootprints"
_SUFFIXES = (".gpkg", ".geojson", ".shp")
_ID, _MATCHED_ID, _MATCHED_BY = "image_id", "matched_image_id", "matched_by"
_MISSING_AT_MOST = 4
"""An id that is longer by more characters than this is another id, not the whole of one that was cut off."""
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Image:
    """An image that labels may belong to.

    Attributes
    ----------
    image_id
        As labels name it; several images may share it, such as two clips of one acquisition.
    scene_id
        Unique.
    grid
        Where its pixels lie.
    """

    image_id: str
    scene_id: str
    grid: Grid


@dataclass(frozen=True, slots=True, eq=False)
class ImageLabels:
    """What belongs to one image.

    Attributes
    ----------
    labels
        The polygons that touch its mapped pixels, in the reference system of its grid, with the columns of their files
        as GeoJSON can hold them, and `matched_image_id` and `matched_by` ("id" or "recovered id").
    mapped
        Its footprints as one shape in the reference system of its grid: beyond it nobody looked for labels. None: it
        has no footprint, and all of it counts as mapped. Empty: its footprint lies elsewhere, and none of it is mapped.
    inputs
        The label and footprint files that gave something to it, sorted.
    """

    labels: gpd.GeoDataFrame
    mapped: BaseGeometry | None
    inputs: tuple[Path, ...]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """What belongs to each image, in the order of the images, and the findings, sorted."""

    images: tuple[ImageLabels, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, eq=False)
class IdentifiedPolygons:
    """The polygons of one file, by the image that they name.

    Attributes
    ----------
    path, name
        The file, and its path below the folder that was searched.
    polygons
        Image id -> valid polygons and multipolygons with the columns of the file; their index is the number of the
        feature in it.
    """

    path: Path
    name: str
    polygons: Mapping[str, gpd.GeoDataFrame]


@dataclass(frozen=True, slots=True, eq=False)
class LabelRepository:
    """The label and footprint files of a folder, and a finding for each feature that is of no use."""

    labels: tuple[IdentifiedPolygons, ...]
    footprints: tuple[IdentifiedPolygons, ...]
    findings: tuple[Finding, ...]


def find_label_repository(labels_dir: Path) -> LabelRepository:
    """Read and repair the files TrainingLabel* and ImageFootprints* (.gpkg, .geojson, .shp) in a folder and below.

    Raises
    ------
    SceneError
        When there is no label file, or a file can't be used or has no column `image_id`.
    """
    paths = _files(labels_dir, _LABELS)
    if not paths:
        raise SceneError(
            f"--labels-dir must be a folder with files {_LABELS}* (.gpkg, .geojson or .shp) in it or below, but "
            f"{labels_dir} has none; check the path."
        )
    findings: list[Finding] = []
    labels = [_read(path, labels_dir, Kind.LABEL_WITHOUT_IMAGE, findings) for path in paths]
    outlines = _files(labels_dir, _FOOTPRINTS)
    footprints = [_read(path, labels_dir, Kind.FOOTPRINT_WITHOUT_IMAGE, findings) for path in outlines]
    return LabelRepository(tuple(labels), tuple(footprints), tuple(sorted(findings)))


def _files(folder: Path, prefix: str) -> list[Path]:
    paths = files_below(folder, SceneError) if folder.is_dir() else []
    return [path for path in paths if path.name.startswith(prefix) and path.suffix.lower() in _SUFFIXES]


def _read(path: Path, root: Path, kind: Kind, findings: list[Finding]) -> IdentifiedPolygons:
    """Read a file; its features that have no area or name no image are added to the findings."""
    features = read_vectors(path)
    name = path.relative_to(root).as_posix()
    ids = _ids(features, path)
    check_polygons(features, path, "labels" if kind is Kind.LABEL_WITHOUT_IMAGE else "footprints")
    polygons = repaired(features)
    missing = features.geometry.drop(polygons.index)
    corners = shapely.get_num_coordinates(missing.values)
    reasons = dict(zip(missing.index, np.where(corners, "it has no area", "it has no geometry").tolist(), strict=True))
    reasons |= dict.fromkeys(polygons.index[ids[polygons.index] == ""], "it names no image")
    findings.extend(Finding(kind, ids[feature], name, str(feature), reason) for feature, reason in reasons.items())
    named = polygons.drop(list(reasons), errors="ignore")
    return IdentifiedPolygons(path, name, dict(iter(named.groupby(ids[named.index]))))


def _ids(features: gpd.GeoDataFrame, path: Path) -> pd.Series:
    """The image ids as text, whatever their type in the file; "" where there is none."""
    if features.empty:  # without features, a GeoJSON file has no columns
        return pd.Series("", index=features.index, dtype="string")
    if _ID not in features.columns:
        columns = ", ".join(str(column) for column in features.columns if column != features.geometry.name)
        raise SceneError(
            f"{path}: a column {_ID} must name the image of each polygon, but the columns are {columns or 'none'}; "
            f"rename the one that does to {_ID}."
        )
    return features[_ID].convert_dtypes().astype("string").str.strip().fillna("")


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """An image, and what is mapped of it."""

    image: Image
    mapped: BaseGeometry | None

    @property
    def area(self) -> gpd.GeoSeries:
        """Where its labels can be."""
        grid = self.image.grid
        return gpd.GeoSeries([grid.outline() if self.mapped is None else self.mapped], crs=grid.crs)


@dataclass(frozen=True, slots=True, eq=False)
class _Claim:
    """Labels of one file that belong to one image: they give its id, or the beginning of it."""

    file: IdentifiedPolygons
    given: str
    image_id: str
    labels: gpd.GeoDataFrame


@dataclass(frozen=True, slots=True, eq=False)
class _Share:
    """Of the labels of a claim, those that touch an image, and of these, those that touch what is mapped of it."""

    claim: _Claim
    place: _Place
    touching: gpd.GeoDataFrame
    used: gpd.GeoDataFrame


def match_labels(repository: LabelRepository, images: Sequence[Image]) -> LabelledImages:
    """Give each label to the images with its id that it touches, and report each label that is given to none.

    An id that no image and no footprint has is taken as cut off if exactly one of theirs begins with it, is at most 4
    characters longer, and the label touches the footprint of that id, or its image where there is no footprint. A label
    that touches an image, but only where its footprint doesn't reach, is not given to it.
    """
    places = [_Place(image, _mapped(repository.footprints, image)) for image in images]
    named = _grouped(places, lambda place: place.image.image_id)
    areas = _footprint_areas(repository.footprints) | {name: [place.area for place in named[name]] for name in named}
    findings = list(repository.findings)
    claims = [claim for file in repository.labels for claim in _claims(file, areas, findings)]
    shares = [_share(claim, place) for claim in claims for place in named.get(claim.image_id, ())]
    of_image = _grouped(shares, lambda share: share.place)
    of_claim = _grouped(shares, lambda share: share.claim)
    results = tuple(_result(place, of_image.get(place, ()), repository.footprints) for place in places)
    for claim in claims:
        findings.extend(_label_findings(claim, of_claim.get(claim, ())))
    for image, result in zip(images, results, strict=True):
        findings.extend(_image_findings(image, result))
    findings.extend(_footprint_findings(repository.footprints, named.keys()))
    return LabelledImages(results, tuple(sorted(findings)))


def _grouped(items: Iterable[_Item], key: Callable[[_Item], Any]) -> dict[Any, list[_Item]]:
    groups: dict[Any, list[_Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _mapped(footprints: Sequence[IdentifiedPolygons], image: Image) -> BaseGeometry | None:
    """The footprints of an image in its reference system; empty if they lie elsewhere, None if there is none."""
    parts = [file.polygons[image.image_id] for file in footprints if image.image_id in file.polygons]
    if not parts:
        return None
    shapes = [shape for part in parts for shape in _projected(part, image.grid.crs).geometry]
    union = shapely.union_all(shapes)
    return union if union.intersection(image.grid.outline()).area > 0 else Polygon()


def _footprint_areas(footprints: Sequence[IdentifiedPolygons]) -> dict[str, list[gpd.GeoSeries]]:
    ids = {image_id for file in footprints for image_id in file.polygons}
    return {name: [file.polygons[name].geometry for file in footprints if name in file.polygons] for name in ids}


def _projected(polygons: gpd.GeoDataFrame, crs: Any) -> gpd.GeoDataFrame:
    """The polygons in another reference system, valid there too, without those that can't be expressed in it."""
    projected = polygons.to_crs(crs)
    return repaired(projected[np.isfinite(projected.bounds).all(axis=1)])


def _claims(
    file: IdentifiedPolygons, areas: Mapping[str, Sequence[gpd.GeoSeries]], findings: list[Finding]
) -> Iterator[_Claim]:
    """The labels of a file by the known id that is theirs; those without one are added to the findings."""
    for given, labels in file.polygons.items():
        if given in areas:
            yield _Claim(file, given, given, labels)
            continue
        whole, reason = _completed(given, areas)
        there = labels.index.isin(_touching_any(labels, areas.get(whole, ())))
        findings.extend(_unused(file, given, labels.index[~there], reason))
        if there.any():
            yield _Claim(file, given, whole, labels[there])


def _completed(cut: str, known: Iterable[str]) -> tuple[str, str]:
    """The known id that an id can be the beginning of ("" if there is none), and why a label with it has no image."""
    longer = sorted(image_id for image_id in known if image_id.startswith(cut))
    if not longer:
        return "", "no image or footprint has this id"
    if len(longer) > 1:
        names = ", ".join(longer[:3]) + (", ..." if len(longer) > 3 else "")
        return "", f"no image or footprint has this id, but {len(longer)} have one that begins with it: {names}"
    missing = len(longer[0]) - len(cut)
    if missing > _MISSING_AT_MOST:
        return "", f"no image or footprint has this id; {longer[0]} begins with it, but has {missing} characters more"
    return longer[0], f"no image or footprint has this id; {longer[0]} begins with it, but lies elsewhere"


def _touching_any(labels: gpd.GeoDataFrame, areas: Sequence[gpd.GeoSeries]) -> set[int]:
    """The numbers of the labels that touch one of some shapes."""
    found: set[int] = set()
    for area in areas:
        there = _projected(labels, area.crs)
        found.update(feature for shape in area for feature in there.index[there.intersects(shape)])
    return found


def _share(claim: _Claim, place: _Place) -> _Share:
    outline = place.image.grid.outline()
    by = "id" if claim.given == claim.image_id else "recovered id"
    labels = _projected(claim.labels, place.image.grid.crs).assign(**{_MATCHED_ID: claim.image_id, _MATCHED_BY: by})
    close = labels[labels.intersects(outline)]
    if place.mapped is None:
        return _Share(claim, place, close, close)
    return _Share(claim, place, close, close[close.intersects(place.mapped.intersection(outline))])


def _result(place: _Place, shares: Sequence[_Share], footprints: Sequence[IdentifiedPolygons]) -> ImageLabels:
    table = joined([share.used for share in shares], place.image.grid)
    if table.empty:
        table = table.assign(**{name: [] for name in (_ID, _MATCHED_ID, _MATCHED_BY)})
    files = {share.claim.file.path for share in shares if len(share.used)}
    files |= {file.path for file in footprints if place.image.image_id in file.polygons}
    return ImageLabels(table, place.mapped, tuple(sorted(path for file in files for path in companions(file))))


def _label_findings(claim: _Claim, shares: Sequence[_Share]) -> Iterator[Finding]:
    """What is to be said of the labels of a claim, which has a share for each image with its id."""
    touched = {feature for share in shares for feature in share.touching.index}
    used = {feature for share in shares for feature in share.used.index}
    features = claim.labels.index
    if not shares:
        yield from _unused(claim.file, claim.given, features, f"its image {claim.image_id} is not among the scenes")
        return
    beyond = f"it touches no pixel of its image {claim.image_id}"
    yield from _unused(claim.file, claim.given, features[~features.isin(touched)], beyond)
    unmapped = f"it lies wholly outside the footprint of its image {claim.image_id}"
    yield from _unused(claim.file, claim.given, sorted(touched - used), unmapped)
    if claim.given != claim.image_id:
        reason = f"completed to {claim.image_id}, the only id that begins with it, and the label lies there"
        for feature in used:
            yield Finding(Kind.RECOVERED_ID, claim.given, claim.file.name, str(feature), reason)


def _unused(file: IdentifiedPolygons, given: str, features: Iterable[int], reason: str) -> list[Finding]:
    return [Finding(Kind.LABEL_WITHOUT_IMAGE, given, file.name, str(feature), reason) for feature in features]


def _image_findings(image: Image, result: ImageLabels) -> Iterator[Finding]:
    unlabelled = "it has a footprint, so all of it that is mapped counts as background"
    if result.mapped is None:
        unlabelled = NEVER_LOOKED_AT
    elif result.mapped.is_empty:
        reason = f"it touches no pixel of its scene {image.scene_id}, so none of that is mapped"
        yield Finding(Kind.FOOTPRINT_WITHOUT_IMAGE, image.image_id, "", "", reason)
        unlabelled = "its footprint lies elsewhere, so none of it is mapped"
    if result.labels.empty:
        yield Finding(Kind.IMAGE_WITHOUT_LABEL, image.scene_id, "", "", unlabelled)


def _footprint_findings(footprints: Sequence[IdentifiedPolygons], images: Collection[str]) -> Iterator[Finding]:
    """A finding for each id that footprints have, but no image."""
    for image_id, parts in _footprint_areas(footprints).items():
        if image_id not in images:
            file = next(file.name for file in footprints if image_id in file.polygons)
            reason = f"its image is not among the scenes (footprints with this id: {sum(map(len, parts))})"
            yield Finding(Kind.FOOTPRINT_WITHOUT_IMAGE, image_id, file, "", reason)
