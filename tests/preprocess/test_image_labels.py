"""Labels that name their image: given to it, recovered, or listed with the reason; none is lost."""

import math
import os
from collections import Counter
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio import Affine
from shapely.geometry import LineString, Polygon

from darts.core.errors import SceneError
from darts.preprocess.findings import Finding, Kind
from darts.preprocess.image_labels import Image, find_label_repository, match_labels
from darts.preprocess.scenes import Grid

from .conftest import ORIGIN, UTM, pixels, square, write_polygons

FULL = "4688749_0470419_2021-07-12_105c"
GRID = Grid(rasterio.CRS.from_string(UTM), pixels(10), 40, 50)
LABELS = "TrainingLabel_it1.gpkg"
pytestmark = pytest.mark.usefixtures("no_noise")


def image(image_id=FULL, scene_id=None, *, row=0, column=0, height=40, width=50):
    """An image of 10 m pixels, of which the upper left has this row and column in GRID."""
    corner = (ORIGIN[0] + 10 * column, ORIGIN[1] - 10 * row)
    return Image(image_id, scene_id or image_id, Grid(GRID.crs, pixels(10, origin=corner), height, width))


def write_labels(folder, shapes, ids, name=LABELS, **columns):
    return write_polygons(folder / name, shapes, image_id=ids, **columns)


def write_footprints(folder, shapes, ids, name="ImageFootprints_it1.gpkg", **options):
    return write_polygons(folder / name, shapes, image_id=ids, **options)


def match(folder, *images):
    return match_labels(find_label_repository(folder), images)


def of_kind(matched, kind):
    return [finding for finding in matched.findings if finding.kind is kind]


def unused(matched):
    """Number of the feature -> why it isn't used."""
    return {int(found.feature): found.reason for found in of_kind(matched, Kind.LABEL_WITHOUT_IMAGE)}


def numbers(labels):
    """The numbers of labels in their file: write_polygons counts them in the column id."""
    return labels.labels["id"].tolist()


def test_a_label_belongs_to_the_image_that_it_names_wherever_others_lie(tmp_path):
    shapes = [square(1, 1, 3), square(5, 5, 3), square(9, 9, 3)]
    path = write_labels(tmp_path, shapes, ["a", "b", "a"], author=["me", None, "you"])
    matched = match(tmp_path, image("a"), image("b"))
    first, second = matched.images
    assert (numbers(first), numbers(second)) == ([0, 2], [1])
    assert first.labels["image_id"].tolist() == first.labels["matched_image_id"].tolist() == ["a", "a"]
    assert first.labels["matched_by"].tolist() == ["id", "id"]
    assert first.labels["author"].tolist() == ["me", "you"]
    assert first.labels.to_crs("EPSG:4326").to_json()
    assert first.mapped is None
    assert first.inputs == second.inputs == (path,)
    assert matched.findings == ()


def test_labels_are_brought_to_the_reference_system_of_their_image(tmp_path):
    shapes = gpd.GeoSeries([square(1, 1, 3)], crs=UTM).to_crs("EPSG:4326")
    write_labels(tmp_path, shapes, ["a"], crs="EPSG:4326")
    write_footprints(tmp_path, gpd.GeoSeries([square(0, 0, 9)], crs=UTM).to_crs("EPSG:3413"), ["a"], crs="EPSG:3413")
    (found,) = match(tmp_path, image("a")).images
    assert found.labels.crs == GRID.crs
    assert found.labels.geometry[0].symmetric_difference(square(1, 1, 3)).area < 1e-3
    assert found.mapped.symmetric_difference(square(0, 0, 9)).area < 1e-3


def test_each_clip_of_an_image_gets_the_labels_that_touch_it(tmp_path):
    shapes = [square(1, 1, 3), square(1, 18, 4), square(1, 30, 3), square(30, 1, 3)]
    write_labels(tmp_path, shapes, ["a"] * 4)
    clips = image("a", "west", height=20, width=20), image("a", "east", column=20, height=20, width=20)
    matched = match(tmp_path, *clips)
    assert [numbers(found) for found in matched.images] == [[0, 1], [1, 2]]
    assert unused(matched) == {3: "it touches no pixel of its image a"}


def test_a_label_outside_the_footprint_of_its_image_is_listed(tmp_path):
    write_labels(tmp_path, [square(1, 1, 3), square(8, 8, 4), square(20, 20, 3), square(60, 60, 3)], ["a"] * 4)
    write_footprints(tmp_path, [square(0, 0, 10)], ["a"])
    matched = match(tmp_path, image("a"))
    assert numbers(matched.images[0]) == [0, 1]
    assert unused(matched) == {
        2: "it lies wholly outside the footprint of its image a",
        3: "it touches no pixel of its image a",
    }


def test_a_label_that_meets_its_footprint_beyond_the_image_only_is_listed(tmp_path):
    write_labels(tmp_path, [square(0, 45, 15)], ["a"])
    footprints = write_footprints(tmp_path, [square(0, 0, 10), square(0, 55, 10)], ["a", "a"])
    matched = match(tmp_path, image("a"))
    assert unused(matched) == {0: "it lies wholly outside the footprint of its image a"}
    assert matched.images[0].inputs == (footprints,)


@pytest.mark.parametrize("missing", [1, 2, 3, 4])
@pytest.mark.parametrize("footprint", [True, False])
def test_an_id_that_was_cut_off_is_completed(tmp_path, missing, footprint):
    cut = FULL[:-missing]
    write_labels(tmp_path, [square(1, 1, 3), square(4, 4, 3)], [cut, FULL])
    if footprint:
        write_footprints(tmp_path, [square(0, 0, 10)], [FULL])
    matched = match(tmp_path, image(), image("another"))
    labels = matched.images[0].labels.sort_values("id")
    assert labels["image_id"].tolist() == [cut, FULL]
    assert labels["matched_image_id"].tolist() == [FULL, FULL]
    assert labels["matched_by"].tolist() == ["recovered id", "id"]
    (found,) = of_kind(matched, Kind.RECOVERED_ID)
    assert (found.name, found.file, found.feature) == (cut, LABELS, "0")
    assert f"completed to {FULL}" in found.reason
    assert unused(matched) == {}


@pytest.mark.parametrize("given", [FULL[:-5], FULL[1:], FULL + "x", FULL.upper(), "other"])
def test_other_ids_are_not_completed(tmp_path, given):
    write_labels(tmp_path, [square(1, 1, 3)], [given])
    matched = match(tmp_path, image())
    assert numbers_of_all(matched) == []
    assert "no image or footprint has this id" in unused(matched)[0]
    assert of_kind(matched, Kind.RECOVERED_ID) == []


def numbers_of_all(matched):
    return [number for found in matched.images if len(found.labels) for number in numbers(found)]


def test_an_id_that_several_begin_with_is_not_completed(tmp_path):
    write_labels(tmp_path, [square(1, 1, 3), square(1, 1, 3)], ["img_1", "img_2"])
    write_footprints(tmp_path, [square(0, 0, 5), square(0, 0, 5)], ["img_1a", "img_2c"])
    others = [image(name) for name in ("img_1a", "img_1b", "img_1c", "img_1d", "img_2c", "img_2d")]
    assert unused(match(tmp_path, *others)) == {
        0: "no image or footprint has this id, but 4 have one that begins with it: img_1a, img_1b, img_1c, ...",
        1: "no image or footprint has this id, but 2 have one that begins with it: img_2c, img_2d",
    }


def test_an_id_that_is_known_is_not_completed(tmp_path):
    write_labels(tmp_path, [square(1, 1, 3)], ["img_1"])
    write_footprints(tmp_path, [square(0, 0, 5)], ["img_1"])
    matched = match(tmp_path, image("img_10"))
    assert unused(matched) == {0: "its image img_1 is not among the scenes"}


def test_the_place_must_agree_with_the_completed_id(tmp_path):
    write_labels(tmp_path, [square(1, 1, 3), square(30, 30, 3), square(60, 60, 3)], [FULL[:-1]] * 3)
    elsewhere = f"no image or footprint has this id; {FULL} begins with it, but lies elsewhere"
    assert unused(match(tmp_path, image())) == {2: elsewhere}
    write_footprints(tmp_path, [square(0, 0, 10)], [FULL])
    matched = match(tmp_path, image())
    assert unused(matched) == {1: elsewhere, 2: elsewhere}
    assert numbers_of_all(matched) == [0]
    assert [found.feature for found in of_kind(matched, Kind.RECOVERED_ID)] == ["0"]


def test_labels_of_images_that_are_not_there_are_listed(tmp_path):
    ids = ["gone", FULL[:-1], "unheard-of"]
    write_labels(tmp_path, [square(1, 1, 3)] * 3, ids)
    write_footprints(tmp_path, [square(0, 0, 10), square(0, 0, 5), square(5, 5, 9)], ["gone", FULL, "gone"])
    matched = match(tmp_path, image("here"))
    assert unused(matched) == {
        0: "its image gone is not among the scenes",
        1: f"its image {FULL} is not among the scenes",
        2: "no image or footprint has this id",
    }
    assert {found.name for found in of_kind(matched, Kind.LABEL_WITHOUT_IMAGE)} == set(ids)
    assert of_kind(matched, Kind.RECOVERED_ID) == []
    footprints = of_kind(matched, Kind.FOOTPRINT_WITHOUT_IMAGE)
    assert [(found.name, found.feature) for found in footprints] == [(FULL, ""), ("gone", "")]
    assert "footprints with this id: 2" in footprints[1].reason


def test_features_that_are_of_no_use_are_listed_by_their_number_in_the_file(tmp_path):
    flat = Polygon([(500_100, 7_599_900), (500_300, 7_599_900), (500_100, 7_599_900)])
    shapes = [None, square(1, 1, 3), flat, *[square(2, 2, 3)] * 4, Polygon()]
    write_labels(tmp_path, shapes, ["a", None, "a", "", "  ", "a", "b", None])
    matched = match(tmp_path, image("a"))
    assert numbers_of_all(matched) == [5]
    assert unused(matched) == {
        0: "it has no geometry",
        1: "it names no image",
        2: "it has no area",
        3: "it names no image",
        4: "it names no image",
        6: "no image or footprint has this id",
        7: "it has no geometry",
    }


def test_blanks_around_an_id_do_not_count_but_are_kept(tmp_path):
    write_labels(tmp_path, [square(1, 1, 3)], [" a "])
    labels = match(tmp_path, image("a")).images[0].labels
    assert (labels["image_id"][0], labels["matched_image_id"][0]) == (" a ", "a")


@pytest.mark.parametrize("ids", [[7, 8], [7.0, None], ["7", None]])
def test_ids_that_are_numbers(tmp_path, ids):
    write_labels(tmp_path, [square(1, 1, 3)] * 2, ids)
    assert numbers_of_all(match(tmp_path, image("7"))) == [0]


@pytest.mark.parametrize("values", [[1, 1, 0], ["1", None, "0"], [1.0, None, 0.0]])
def test_no_label_is_left_out_for_its_class(tmp_path, values):
    write_labels(tmp_path, [square(1, 1, 3), square(5, 5, 3), square(9, 9, 3)], ["a"] * 3, label=values)
    assert numbers_of_all(match(tmp_path, image("a"))) == [0, 1, 2]


def test_duplicates_are_kept_and_damaged_shapes_repaired(tmp_path):
    bow_tie = Polygon([(500_103, 7_599_900), (500_311, 7_599_707), (500_302, 7_599_900), (500_100, 7_599_701)])
    write_labels(tmp_path, [bow_tie, square(1, 1, 3), square(1, 1, 3)], ["a"] * 3)
    write_footprints(tmp_path, [bow_tie, square(0, 0, 5), square(3, 3, 5)], ["a"] * 3)
    (found,) = match(tmp_path, image("a")).images
    assert numbers(found) == [0, 1, 2]
    assert found.labels.is_valid.all()
    expected = shapely.union_all([shapely.make_valid(bow_tie), square(0, 0, 5), square(3, 3, 5)])
    assert found.mapped.is_valid
    assert found.mapped.symmetric_difference(expected).area < 1e-6


def test_a_footprint_that_lies_elsewhere_leaves_nothing_mapped(tmp_path):
    write_labels(tmp_path, [square(1, 1, 3)], ["a"])
    write_footprints(tmp_path, [square(0, 50, 10), square(0, 70, 10)], ["a", "a"])
    matched = match(tmp_path, image("a", "scene"))
    assert matched.images[0].mapped.is_empty
    assert matched.images[0].labels.empty
    (found,) = of_kind(matched, Kind.FOOTPRINT_WITHOUT_IMAGE)
    assert found == Finding(
        Kind.FOOTPRINT_WITHOUT_IMAGE,
        "a",
        "",
        "",
        "it touches no pixel of its scene scene, so none of that is mapped",
    )
    assert unused(matched) == {0: "it lies wholly outside the footprint of its image a"}
    (without,) = of_kind(matched, Kind.IMAGE_WITHOUT_LABEL)
    assert without.reason == "its footprint lies elsewhere, so none of it is mapped"


def test_footprints_of_no_use_are_listed(tmp_path):
    write_labels(tmp_path, [square(1, 1, 3)], ["a"])
    write_footprints(tmp_path, [square(0, 0, 5), None, square(1, 1, 3)], [None, "a", "a"])
    matched = match(tmp_path, image("a"))
    assert matched.images[0].mapped.equals(square(1, 1, 3))
    found = {(found.name, found.feature, found.reason) for found in of_kind(matched, Kind.FOOTPRINT_WITHOUT_IMAGE)}
    assert found == {("", "0", "it names no image"), ("a", "1", "it has no geometry")}


def test_images_without_labels_are_listed(tmp_path):
    write_labels(tmp_path, [square(1, 1, 3)], ["a"])
    footprints = write_footprints(tmp_path, [square(0, 0, 5)], ["b"])
    matched = match(tmp_path, image("c", "scene c"), image("b", "scene b"), image("a", "scene a"))
    assert {found.name: found.reason for found in of_kind(matched, Kind.IMAGE_WITHOUT_LABEL)} == {
        "scene b": "it has a footprint, so all of it that is mapped counts as background",
        "scene c": "it has neither label nor footprint",
    }
    none, mapped, _ = matched.images
    assert none.inputs == ()
    assert mapped.inputs == (footprints,)
    assert mapped.labels.crs == GRID.crs
    assert {"image_id", "matched_image_id", "matched_by"} <= set(mapped.labels.columns)


def test_files_of_all_kinds_in_the_folder_and_below(tmp_path):
    shapes = [square(1, 1, 3)]
    shapefile = write_labels(tmp_path / "one", shapes, ["a"], "TrainingLabel_x.shp")
    geopackage = write_labels(tmp_path, shapes, ["a"], "TrainingLabels.gpkg")
    lonlat = list(gpd.GeoSeries(shapes, crs=UTM).to_crs("EPSG:4326"))
    write_labels(tmp_path / "two" / "deep", lonlat, ["b"], "TrainingLabel_y.geojson", crs="EPSG:4326")
    footprints = write_footprints(tmp_path / "two", lonlat, ["a"], "ImageFootprints_y.geojson", crs="EPSG:4326")
    write_labels(tmp_path, shapes, ["a"], "something_else.gpkg")
    nothing = '{"type": "FeatureCollection", "features": []}'
    (tmp_path / "TrainingLabel_empty.geojson").write_text(nothing)
    matched = match(tmp_path, image("a"), image("c"))
    companions = [shapefile.with_suffix(suffix) for suffix in (".shp", ".dbf", ".prj", ".shx")]
    assert matched.images[0].inputs == tuple(sorted([*companions, geopackage, footprints]))
    assert len(matched.images[0].labels) == 2
    assert [found.file for found in of_kind(matched, Kind.LABEL_WITHOUT_IMAGE)] == ["two/deep/TrainingLabel_y.geojson"]


def test_folders_without_labels_are_refused(tmp_path):
    with pytest.raises(SceneError, match=r"folder with files TrainingLabel\* .* but .*none has none; check the path"):
        find_label_repository(tmp_path / "none")
    write_footprints(tmp_path, [square(0, 0, 5)], ["a"])
    with pytest.raises(SceneError, match="has none"):
        find_label_repository(tmp_path)


@pytest.mark.parametrize("name", [LABELS, "ImageFootprints_it1.gpkg"])
def test_files_that_name_no_images_are_refused(tmp_path, name):
    write_labels(tmp_path, [square(1, 1, 3)], ["a"])
    write_polygons(tmp_path / name, [square(1, 1, 3)], scene=["a"])
    with pytest.raises(SceneError, match=rf"{name}: a column image_id must .* but the columns are id, scene; rename"):
        find_label_repository(tmp_path)


def test_footprints_must_be_polygons(tmp_path):
    write_labels(tmp_path, [square(1, 1, 3)], ["a"])
    write_footprints(tmp_path, [LineString([(0, 0), (1, 1)])], ["a"])
    with pytest.raises(SceneError, match="footprints must be polygons, but there is a LineString"):
        find_label_repository(tmp_path)


def expected_images(shape, given, images, footprints):
    """The scenes that one label belongs to, by the rules in plain words, for shapes in one reference system."""
    known = {one.image_id for one in images} | set(footprints)
    whole = given
    if given not in known:
        longer = [name for name in known if name.startswith(given)]
        if not given or len(longer) != 1 or len(longer[0]) - len(given) > 4:
            return set()
        whole = longer[0]
        outlines = [one.grid.outline() for one in images if one.image_id == whole]
        if not any(shape.intersects(area) for area in ([footprints[whole]] if whole in footprints else outlines)):
            return set()
    chosen = [one for one in images if one.image_id == whole]
    areas = {one.scene_id: one.grid.outline() for one in chosen}
    if whole in footprints:
        areas = {name: area.intersection(footprints[whole]) for name, area in areas.items()}
    return {name for name, area in areas.items() if shape.intersects(area)}


@pytest.mark.parametrize("seed", range(3))
def test_every_label_is_used_or_listed(tmp_path, seed):
    rng = np.random.default_rng(seed)
    names = [f"{rng.integers(10**6, 10**7)}_{number}{letter}" for number in range(3) for letter in "ab"]
    images = [image(name, row=int(rng.integers(0, 30)), column=int(rng.integers(0, 30))) for name in names[:4]]
    images.append(image(names[0], "clip", row=50, column=10))
    footprints = {name: square(*rng.integers(0, 30, 2), 35) for name in names[2:]}
    pool = [*names, *(name[:-1] for name in names), names[0][:-5], names[3][:-4], names[1][:3], "", "unheard-of"]
    ids = rng.choice(pool, 150).tolist()
    shapes = [square(*rng.integers(-5, 90, 2), int(rng.integers(1, 9))) for _ in ids]
    write_labels(tmp_path, shapes, ids)
    write_footprints(tmp_path, footprints.values(), list(footprints))
    matched = match(tmp_path, *images)
    expected = [expected_images(shape, given, images, footprints) for shape, given in zip(shapes, ids, strict=True)]
    for one, found in zip(images, matched.images, strict=True):
        assert sorted(numbers(found)) == [n for n, scenes in enumerate(expected) if one.scene_id in scenes]
    assert sorted(unused(matched)) == [number for number, scenes in enumerate(expected) if not scenes]
    recovered = [int(found.feature) for found in of_kind(matched, Kind.RECOVERED_ID)]
    assert sorted(recovered) == [n for n, scenes in enumerate(expected) if scenes and ids[n] not in names]
    assert 0 < len(recovered) < len(unused(matched)) < len(ids)
    again = match(tmp_path, *reversed(images))
    assert again.findings == matched.findings == tuple(sorted(matched.findings))
    for one, other in zip(matched.images, reversed(again.images), strict=True):
        assert one.labels.equals(other.labels)


# The published labels of thaw slumps: 6 iterations, of which the first comes without footprints.

REAL = Path(os.environ.get("DARTS_REAL_DATA", ".")) / "rts_labels"
PUBLISHED = {"iteration001": 2182, "iteration002": 743, "iteration003": 410}
PUBLISHED |= {"iteration004": 204, "iteration005": 141, "iteration006": 69}
real = pytest.mark.skipif("DARTS_REAL_DATA" not in os.environ, reason="DARTS_REAL_DATA names no folder of real scenes")


def published(kind):
    """Iteration -> its labels or footprints, as geopandas reads them."""
    paths = sorted(REAL.glob(f"*/{kind}*.gpkg"))
    return {path.stem.rsplit("_", 1)[1]: gpd.read_file(path) for path in paths}


def grid_around(shapes):
    """A grid of 3 m pixels in the UTM zone of some shapes in degrees."""
    zone = math.floor((shapes.total_bounds[0] + 180) / 6) + 1
    left, bottom, right, top = shapes.to_crs(f"EPSG:326{zone:02d}").total_bounds
    left, top = math.floor(left / 3) * 3, math.ceil(top / 3) * 3
    height, width = math.ceil((top - bottom) / 3), math.ceil((right - left) / 3)
    return Grid(rasterio.CRS.from_epsg(32600 + zone), Affine(3, 0, left, 0, -3, top), height, width)


@pytest.fixture(scope="module")
def real_images():
    """An image for each published footprint, and for the labels that have none in the first iteration."""
    areas = [*published("ImageFootprints").values(), published("TrainingLabel")["iteration001"]]
    groups = [(name, part.geometry) for area in areas for name, part in area.groupby("image_id")]
    return [Image(name, name, grid_around(shapes)) for name, shapes in groups]


def by_iteration(findings):
    return dict(Counter(Path(found.file).stem.rsplit("_", 1)[1] for found in findings))


@real
def test_no_published_label_is_lost(real_images):
    repository = find_label_repository(REAL)
    assert repository.findings == ()
    matched = match_labels(repository, real_images)
    tables = [found.labels for found in matched.images if len(found.labels)]
    assert sum(len(table) for table in tables) == sum(PUBLISHED.values()) == 3749
    assert of_kind(matched, Kind.LABEL_WITHOUT_IMAGE) == of_kind(matched, Kind.FOOTPRINT_WITHOUT_IMAGE) == []
    given = Counter(name for table in tables for name in table["image_id"])
    assert given == Counter(name for table in published("TrainingLabel").values() for name in table["image_id"])
    assert all(table.is_valid.all() for table in tables)
    mapped = {one.image_id for one, found in zip(real_images, matched.images, strict=True) if found.mapped is not None}
    assert mapped == {name for table in published("ImageFootprints").values() for name in table["image_id"]}


@real
def test_published_ids_that_were_cut_off_are_completed(real_images):
    matched = match_labels(find_label_repository(REAL), real_images)
    recovered = of_kind(matched, Kind.RECOVERED_ID)
    assert by_iteration(recovered) == {"iteration005": 141}
    assert len({found.feature for found in recovered}) == 141
    footprints = published("ImageFootprints")["iteration005"]["image_id"]
    completed = {name[:-1]: name for name in footprints}
    tables = [found.labels[found.labels["matched_by"] == "recovered id"] for found in matched.images]
    pairs = {pair for part in tables for pair in zip(part["image_id"], part["matched_image_id"], strict=True)}
    assert pairs == set(completed.items())


@real
def test_published_labels_of_missing_images_are_listed(real_images):
    kept = real_images[::3]
    matched = match_labels(find_label_repository(REAL), kept)
    ids = {one.image_id for one in kept}
    outlined = {name for table in published("ImageFootprints").values() for name in table["image_id"]}
    expected = set()
    for iteration, table in published("TrainingLabel").items():
        for number, given in enumerate(table["image_id"]):
            whole = next((name for name in outlined if iteration == "iteration005" and name[:-1] == given), given)
            if whole not in ids:
                expected.add((iteration, str(number), given))
    listed = of_kind(matched, Kind.LABEL_WITHOUT_IMAGE)
    assert {(Path(found.file).stem[-12:], found.feature, found.name) for found in listed} == expected
    assert len(listed) == len(expected) > 2000
    assert sum(len(found.labels) for found in matched.images) == 3749 - len(expected)
    assert {found.name for found in of_kind(matched, Kind.FOOTPRINT_WITHOUT_IMAGE)} == outlined - ids
