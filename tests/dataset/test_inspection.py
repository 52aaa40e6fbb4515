"""Looking at a dataset: counts are those of the pixels, every rule finds what it names, and the page needs nothing else."""

import base64
import re
import shutil
from dataclasses import replace

import cv2
import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import zarr
from shapely.geometry import box

from darts.core.bands import get_bands
from darts.core.errors import ConfigError, DatasetError
from darts.dataset.check import check_structure
from darts.dataset.config import InspectionConfig
from darts.dataset.inspection import (
    gather_facts,
    inspect_dataset,
    plan_inspection,
    spoils_training,
    training_hints,
    write_inspection,
)
from darts.dataset.inspection.clusters import MOST_CLUSTERS, find_clusters
from darts.dataset.inspection.page import render, share_text
from darts.dataset.inspection.reading import read_patches
from darts.dataset.inspection.samples import choose_rows, draw_sample, label_layer
from darts.dataset.inspection.suspicions import RULES
from darts.dataset.journal import SceneEntry, read_metadata
from darts.dataset.pictures import rgb_image
from darts.dataset.reader import open_dataset
from darts.dataset.schema import IGNORE, POSITIVE
from factories import BANDS, make_dataset, patch_pair
from pages import Page, assert_needs_nothing

from .conftest import SIZE, chunk_file, points, row_of, tree, writer_of


def facts_of(directory):
    return gather_facts(open_dataset(directory))


def good_patch(seed=0, *, empty=False):
    return patch_pair(np.random.default_rng(seed), size=SIZE, empty=empty)


def write_patches(directory, patches, *, regions=("North", "South"), places=None, **entry):
    """A finished dataset of these pairs of x and y; patch i is of the region i modulo the number of regions."""
    with writer_of(directory) as writer:
        stage = writer.stage("0", len(patches))
        for index, (x, y) in enumerate(patches):
            row = row_of(index, region=regions[index % len(regions)])
            stage.add(x, y, row | ({"geometry": places[index]} if places else {}))
        writer.commit(stage.finish(SceneEntry("scene", **entry), points()))
        writer.finish()
    return directory


def findings(facts):
    return {rule: [finding.row for finding in facts.found_by(rule)] for rule in RULES if facts.found_by(rule)}


# --- counts and bands


def test_counts_are_those_of_the_labels(pristine):
    facts, table = facts_of(pristine), read_metadata(pristine)
    assert facts.patches["positive"].tolist() == table["positive_pixels"].tolist()
    assert facts.patches["ignored"].tolist() == table["ignored_pixels"].tolist()
    for column, kind in (("region", "region"), ("sample_id", "scene")):
        for name, part in table.groupby(column):
            (group,) = [group for group in facts.groups[kind] if group.name == name]
            pixels = len(part) * SIZE**2
            assert (group.patches, group.with_positives) == (len(part), int((~part["empty"]).sum()))
            assert group.ignored_share == pytest.approx(part["ignored_pixels"].sum() / pixels)
            expected = part["positive_pixels"].sum() / (pixels - part["ignored_pixels"].sum())
            assert group.positive_share == pytest.approx(expected)
    assert [(year.name, year.patches) for year in facts.groups["year"]] == [("2021", 6)]
    assert "role" not in facts.groups


def test_bands_are_measured_over_the_pixels_that_are_not_ignored(tmp_path):
    patches = [good_patch(seed, empty=seed == 1) for seed in range(3)]
    patches[0][0][1, :4] = 1.0
    patches[2][0][1, 5:7, 5:7] = 0.0
    facts = facts_of(write_patches(tmp_path / "d", patches))
    x = np.stack([x for x, _ in patches]).astype(float)
    y = np.stack([y for _, y in patches])
    for index, (found, band) in enumerate(zip(facts.bands, get_bands(BANDS), strict=True)):
        seen = x[:, index][y != IGNORE]
        values = band.lo + seen * (band.hi - band.lo)
        error = 1.1e-5 * (band.hi - band.lo)
        expected = (values.min(), values.mean(), values.max())
        assert (found.low, found.mean, found.high) == pytest.approx(expected, abs=error)
        assert (found.at_lo, found.at_hi) == ((seen == 0).mean(), (seen == 1).mean())
        assert found.at_fill == (np.abs(x[:, index] - band.fill) < 1.04e-5).mean()
        assert not found.is_constant
        for counts, pixels in ((found.histogram, seen), (found.positive_histogram, x[:, index][y == POSITIVE])):
            bins = np.minimum(np.round(pixels * 48000).astype(int) * 256 // 48001, 255)
            np.testing.assert_array_equal(counts, np.bincount(bins, minlength=256))


def test_the_number_of_threads_changes_nothing(pristine):
    dataset = open_dataset(pristine)
    one, many = (list(read_patches(dataset, threads=threads)) for threads in (1, 3))
    assert [reading for reading, _ in one] == [reading for reading, _ in many]
    assert [reading.row for reading, _ in one] == list(range(6))
    for (_, first), (_, second) in zip(one, many, strict=True):
        np.testing.assert_array_equal(first.histogram, second.histogram)
        np.testing.assert_array_equal(first.total, second.total)


def test_progress_is_told_after_each_patch(pristine):
    told = []
    gather_facts(open_dataset(pristine), progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 6) for done in range(1, 7)]


def test_what_was_dropped_and_failed_is_summed_over_scenes(tmp_path):
    with writer_of(tmp_path / "d") as writer:
        for number, failed in enumerate(("", "", "it has no B04 <at all>")):
            stage = writer.stage(str(number), 1)
            entry = SceneEntry(f"scene-{number}", dropped={} if failed else {"dark": number + 1}, failed=failed)
            if failed:
                writer.commit(stage.fail(entry))
            else:
                stage.add(*good_patch(number), row_of(number, f"scene-{number}"))
                writer.commit(stage.finish(entry, points()))
        writer.finish()
    facts = facts_of(tmp_path / "d")
    assert (facts.dropped, facts.failed) == ({"dark": 3}, {"scene-2": "it has no B04 <at all>"})
    assert "it has no B04 <at all>" in Page(render(facts, [])).texts


# --- rules


def labelled(**areas):
    y = np.zeros((SIZE, SIZE), np.uint8)
    for code, area in areas.items():
        y[area] = {"positive": POSITIVE, "ignored": IGNORE}[code]
    return y


HALF = (slice(None), slice(0, SIZE // 2 + 1))
BOX = (slice(4, 9), slice(4, 9))
NOISE = good_patch(7, empty=True)[0]


def changed(x, channel, area, value):
    x = x.copy()
    x[(channel, *area)] = value
    return x


def at_fill(x, area):
    x = x.copy()
    x[(slice(None), *area)] = np.array([band.fill for band in get_bands(BANDS)], np.float32)[:, None, None]
    return x


EVERYWHERE = (slice(None), slice(None))
BROKEN = {
    "constant band": (changed(NOISE, 3, EVERYWHERE, 0.25), labelled(positive=BOX)),
    "all positive": (NOISE, labelled(positive=EVERYWHERE)),
    "label at no data": (at_fill(NOISE, BOX), labelled(positive=BOX)),
    "mostly ignored": (NOISE, labelled(ignored=HALF)),
    "saturated band": (changed(NOISE, 2, HALF, 1.0), labelled(positive=BOX)),
    "few positives": (NOISE, labelled(positive=(slice(3, 4), slice(3, 6)))),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_each_rule_finds_the_patch_that_it_names_and_no_other(tmp_path, rule):
    patches = [good_patch(0), BROKEN[rule], good_patch(1, empty=True), good_patch(2)]
    facts = facts_of(write_patches(tmp_path / "d", patches))
    assert findings(facts) == {rule: [1]}
    text = render(facts, [])
    assert rule in Page(text).texts
    assert "row 1, " in text


def test_what_hides_behind_ignored_pixels_is_not_held_against_a_patch(tmp_path):
    x = at_fill(changed(changed(NOISE, 2, (slice(None), slice(0, 8)), 1.0), 3, (slice(None), slice(0, 8)), 0.0), BOX)
    y = labelled(positive=(slice(4, 9), slice(10, 14)), ignored=(slice(None), slice(0, 9)))
    facts = facts_of(write_patches(tmp_path / "d", [good_patch(0), (x, y)]))
    assert set(findings(facts)) == {"mostly ignored"}


def test_a_band_that_is_constant_but_for_ignored_pixels_is_constant(tmp_path):
    patches = [(changed(x, 1, EVERYWHERE, 0.5), y) for x, y in (good_patch(0), good_patch(1))]
    patches = [(changed(x, 1, (slice(None), slice(0, 3)), 0.1), y) for x, y in patches]  # ignored there
    facts = facts_of(write_patches(tmp_path / "d", patches))
    assert findings(facts) == {"constant band": [0, 1]}
    assert [band.band.name for band in facts.bands if band.is_constant] == ["green"]
    assert any("band green has one value" in line for line in spoils_training(facts))


def test_equal_content_is_found_and_is_worst_across_regions(tmp_path):
    twice, thrice, single = good_patch(0), good_patch(1), good_patch(2)
    patches = [twice, single, twice, thrice, good_patch(3), good_patch(4), thrice]
    facts = facts_of(write_patches(tmp_path / "d", patches))  # odd rows are South
    assert facts.duplicates == ((0, 2), (3, 6))
    assert findings(facts) == {"duplicate": [3, 6, 0, 2]}
    assert facts.found_by("duplicate")[0].detail == "same as row 6, in the regions North, South"
    (line,) = spoils_training(facts)
    assert line.startswith("The same content lies in different regions in 2 patches (rows 3, 6)")


def test_equal_content_within_a_region_does_not_spoil(tmp_path):
    patches = [good_patch(0), good_patch(1), good_patch(0), good_patch(2)]
    assert spoils_training(facts_of(write_patches(tmp_path / "d", patches))) == []


@pytest.mark.parametrize("row", [0, 1])
def test_a_wrong_flag_is_found(pristine, row):
    dataset = open_dataset(pristine)
    table = dataset.metadata.copy()
    table.loc[row, "empty"] = not table.loc[row, "empty"]
    facts = gather_facts(replace(dataset, metadata=table))
    assert findings(facts) == {"wrong empty flag": [row]}
    assert "`empty` contradicts the labels of 1 patch (row " in spoils_training(facts)[0]


def test_a_damaged_patch_is_named_and_left_out_of_all_else(dataset_dir):
    chunk_file(dataset_dir, "x", 4).unlink()
    facts = facts_of(dataset_dir)
    assert findings(facts) == {"unreadable": [4]}
    assert facts.patches.loc[4, "pixels"] == 0
    assert sum(facts.bands[0].histogram) == 5 * SIZE * (SIZE - 3)
    assert "1 patch (row 4) can't be read" in spoils_training(facts)[0]
    assert 4 not in choose_rows(facts, 6)
    _, text, page = page_of(dataset_dir)
    assert "unreadable" in page.texts
    assert "its chunk file is missing" in page.text
    assert text.count('<img class="picture"') == 5


# --- what would spoil a training


def test_a_good_dataset_spoils_nothing(pristine):
    facts = facts_of(pristine)
    assert (findings(facts), spoils_training(facts), training_hints(facts)) == ({}, [], [])


@pytest.mark.parametrize(
    ("patches", "message"),
    [
        ([good_patch(seed, empty=True) for seed in range(3)], "No patch has a positive pixel"),
        ([good_patch(0), (NOISE, labelled(ignored=EVERYWHERE))], r"Every pixel is ignored in 1 patch \(row 1\)"),
        ([good_patch(0), BROKEN["label at no data"]], r"no data in 1 patch \(row 1\)"),
    ],
    ids=["no positives", "ignored", "no data"],
)
def test_what_spoils_a_training_is_said(tmp_path, patches, message):
    (line,) = spoils_training(facts_of(write_patches(tmp_path / "d", patches)))
    assert re.search(message, line)


def test_few_regions_are_only_a_hint(tmp_path):
    one = facts_of(write_patches(tmp_path / "one", [good_patch(0), good_patch(1)], regions=("North",)))
    assert (spoils_training(one), len(training_hints(one))) == ([], 1)
    assert "of one region" in training_hints(one)[0]
    uneven = facts_of(write_patches(tmp_path / "two", [good_patch(0), good_patch(1, empty=True)]))
    assert "All positive pixels are in one region" in training_hints(uneven)[0]


# --- maps


def table_of(centres, width=0.01):
    shapes = [box(x - width, y - width, x + width, y + width) for x, y in centres]
    return gpd.GeoDataFrame(geometry=shapes, crs="EPSG:4326")


def test_patches_that_are_far_apart_have_maps_of_their_own():
    far = [(-139, 69), (126, 72), (15, 78)]
    centres = [(x + 0.02 * step, y) for step in range(4) for x, y in far]
    clusters = find_clusters(table_of(centres))
    assert [cluster.rows.tolist() for cluster in clusters] == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]
    for cluster, (longitude, latitude) in zip(clusters, far, strict=True):
        assert (cluster.longitude, cluster.latitude) == pytest.approx((longitude + 0.03, latitude), abs=1e-3)


def test_every_patch_is_on_one_map_however_many_places_there_are():
    rng = np.random.default_rng(0)
    centres = np.stack([rng.uniform(-180, 180, 200), rng.uniform(50, 85, 200)], axis=1)
    clusters = find_clusters(table_of(centres))
    assert 1 <= len(clusters) <= MOST_CLUSTERS
    assert sorted(row for cluster in clusters for row in cluster.rows) == list(range(200))
    assert all(len(cluster.outlines) == len(cluster.outlined) for cluster in clusters)


def test_the_date_line_divides_nothing():
    (cluster,) = find_clusters(table_of([(179.98, 68), (-179.99, 68), (-179.96, 68)]))
    assert cluster.width < 5
    assert abs(cluster.longitude) == pytest.approx(179.99, abs=0.02)
    easts = [outline[:, 0].mean() for outline in cluster.outlines]
    assert easts == sorted(easts)


def test_distances_on_a_map_are_those_on_the_ground():
    centres = [(-139.0, 69.0), (-138.8, 69.0), (-139.0, 69.1)]
    (cluster,) = find_clusters(table_of(centres))
    middles = [outline[:-1].mean(axis=0) for outline in cluster.outlines]
    geod = pyproj.Geod(ellps="WGS84")
    for other in (1, 2):
        metres = geod.inv(*centres[0], *centres[other])[2]
        assert np.linalg.norm(middles[other] - middles[0]) == pytest.approx(metres / 1000, rel=0.01)
    assert middles[1][0] > middles[0][0]  # east is to the right
    assert middles[2][1] < middles[0][1]  # north is up


def test_of_many_patches_each_place_shows_a_part():
    centres = [(x, 70 + 0.01 * step) for x, count in ((0, 900), (40, 150)) for step in range(count)]
    large, small = find_clusters(table_of(centres), most_outlines=200)
    assert (len(large.rows), len(small.rows)) == (900, 150)
    assert (len(large.outlined), len(small.outlined)) == (171, 100)
    assert set(large.outlined) <= set(large.rows)
    assert np.array_equal(find_clusters(table_of(centres), 200)[0].outlined, large.outlined)


def test_patches_without_a_place_are_left_out_and_said(tmp_path):
    table = table_of([(10, 70), (10.01, 70), (5e5, 7e6)])
    table.loc[1, "geometry"] = None
    (cluster,) = find_clusters(table)
    assert cluster.rows.tolist() == [0]
    assert find_clusters(table.iloc[1:]) == []


# --- pictures


def test_suspicious_patches_come_first_and_fill_at_most_half(tmp_path):
    patches = [good_patch(seed, empty=seed % 2 == 0) for seed in range(8)] + list(BROKEN.values())
    facts = facts_of(write_patches(tmp_path / "d", patches))
    suspicious = {finding.row for finding in facts.findings}
    rows = choose_rows(facts, 8)
    assert len(set(rows)) == 8
    assert set(rows[:4]) <= suspicious
    assert rows == choose_rows(facts, 8)
    assert sorted(choose_rows(facts, 100)) == list(range(len(patches)))
    assert choose_rows(facts, 0) == []


def test_random_patches_are_with_and_without_positives_in_equal_numbers(tmp_path):
    patches = [good_patch(seed, empty=seed > 3) for seed in range(20)]
    facts = facts_of(write_patches(tmp_path / "d", patches))
    assert sum(row <= 3 for row in choose_rows(facts, 6)) == 3
    assert sum(row <= 3 for row in choose_rows(facts, 14)) == 4


def test_a_picture_is_stretched_over_what_is_not_ignored():
    x = np.random.default_rng(0).random((4, 20, 20)).astype(np.float32) * 0.3
    seen = np.ones((20, 20), bool)
    seen[:, :5] = False
    x[:, ~seen] = 1
    image = rgb_image(x, ("red", "nir", "green", "blue"), seen)
    rgb = x[[0, 2, 3]].astype(float).transpose(1, 2, 0)
    low, high = np.percentile(rgb[seen], [2, 98])
    np.testing.assert_allclose(image, np.clip((rgb - low) / (high - low), 0, 1), atol=1e-5)
    grey = rgb_image(x, ("nir", "red", "green", "ndvi"), seen)
    assert (grey[..., 0] == grey[..., 1]).all()
    assert (grey[..., 0] == grey[..., 2]).all()


@pytest.mark.parametrize("size", [16, 100, 256, 1000])
def test_one_positive_pixel_is_seen_whatever_the_size(size):
    y = np.zeros((size, size), np.uint8)
    y[size // 3, size // 2] = POSITIVE
    layer = label_layer(y)
    assert layer.shape[0] == layer.shape[1] <= 256
    yellow = (layer[..., 0] == 255) & (layer[..., 3] == 255)
    row, column = np.argwhere(yellow).mean(axis=0) / layer.shape[0]
    assert (row, column) == pytest.approx(((size // 3 + 0.5) / size, (size // 2 + 0.5) / size), abs=0.01)


def test_labels_are_drawn_as_outlines_and_what_is_ignored_is_striped():
    y = labelled(positive=BOX, ignored=(slice(None), slice(12, 16)))
    layer = label_layer(y)
    assert layer.shape == (256, 256, 4)
    assert (layer[100, 100] == 0).all()  # inside of the label
    assert layer[100, 65, :3].tolist() == [255, 212, 0]
    assert set(np.unique(layer[:, 200:, 3])) == {105, 225}
    assert not layer[200:, :180].any()
    frame = label_layer(labelled(positive=EVERYWHERE))
    assert (frame[0, :, 3] == 255).all()


def test_pictures_are_png_files_of_at_most_256_pixels(pristine):
    sample = draw_sample(open_dataset(pristine), 1)
    image, layer = (
        cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED) for png in (sample.image, sample.labels)
    )
    assert (image.shape, layer.shape) == ((SIZE, SIZE, 3), (256, 256, 4))
    dataset = open_dataset(pristine)
    expected = (255 * rgb_image(dataset.read_x(1), BANDS, dataset.read_y(1) != IGNORE)).round()
    np.testing.assert_array_equal(image[..., ::-1], expected)


# --- the page


def page_of(directory, **settings):
    facts = inspect_dataset(train_data_dir=directory, **settings)
    text = (settings.get("page") or directory / "inspection.html").read_text(encoding="utf-8")
    return facts, text, Page(text)


def test_the_page_has_every_part_and_needs_nothing_else(dataset_dir):
    _, text, page = page_of(dataset_dir)
    assert_needs_nothing(text)
    for heading in (
        "dataset", "What would spoil a training", "Where the patches lie", "Suspicious patches", "Samples", "Bands",
        "Regions", "Years", "Scenes", "Left out", "Settings and versions",
    ):  # fmt: skip
        assert heading in page.texts
    assert page.tags.count("img") == 2 * 6
    assert page.tags.count("svg") == 1 + len(BANDS)
    manifest = open_dataset(dataset_dir).manifest
    assert manifest.fingerprint in page.text
    assert "made_by" in page.texts
    assert "prefers-color-scheme: dark" in text


def test_pictures_say_what_they_are_and_switches_have_a_name(dataset_dir):
    _, text, page = page_of(dataset_dir)
    images = re.findall(r'<img class="(\w+)" alt="([^"]*)" src="data:image/png;base64,([^"]*)">', text)
    assert len(images) == page.tags.count("img")
    for css, alternative, data in images:
        assert base64.b64decode(data, validate=True).startswith(b"\x89PNG")
        assert bool(re.fullmatch(r"Patch scene-\d-\d, \d+ positive pixels?", alternative)) == (css == "picture")
    ids = {value for name, value in page.attributes if name == "id"}
    assert {value for name, value in page.attributes if name == "for"} == ids == {"by-label", "by-region", "labels"}
    assert set(re.findall(r"#(by-\w+|labels)\b[:]", text)) >= ids
    assert "<title>row 1, scene-0-1, North, " in text


def test_no_text_is_taken_for_html(tmp_path):
    evil = "<b>&\"'$x</b>"
    directory = tmp_path / "d"
    with writer_of(directory, a_setting=evil) as writer:
        stage = writer.stage("0", 2)
        for index in range(2):
            stage.add(*good_patch(0), row_of(index, evil, f"{evil}{index}") | {"patch_id": f"{evil}-{index}"})
        writer.commit(stage.finish(SceneEntry(evil, dropped={evil: 1}), points()))
        writer.finish()
    _, text, page = page_of(directory)
    assert evil not in text
    assert {evil, f"{evil}0", f"{evil}-0"} <= set(page.texts)
    titles = re.findall(r"<title>([^<]*)</title>", text)
    assert len(titles) == 3


def test_the_same_dataset_gives_the_same_bytes(pristine, tmp_path):
    one, two = (page_of(pristine, page=tmp_path / name, samples=4)[1] for name in ("1.html", "2.html"))
    assert one == two


def test_the_page_lies_in_the_dataset_and_changes_nothing_of_it(dataset_dir):
    before = tree(dataset_dir)
    page_of(dataset_dir)
    after = tree(dataset_dir)
    assert set(after) - set(before) == {"inspection.html"}
    assert {name: after[name] for name in before} == before
    assert len(check_structure(dataset_dir)) == 6
    with writer_of(dataset_dir) as writer:  # as preprocessing does when it is started again
        assert writer.is_complete
    assert tree(dataset_dir) == after


def test_groups_that_are_many_are_unfolded_on_a_click(tmp_path):
    directory = make_dataset(tmp_path / "d", scenes=22, patches=1, size=16, empty=lambda index: False)
    _, _, page = page_of(directory, samples=0)
    assert "Scenes (22)" in page.texts
    assert page.tags.count("details") == 2
    assert "img" not in page.tags


def test_a_dataset_without_valid_pixels_has_a_page(tmp_path):
    patches = [(NOISE, labelled(ignored=EVERYWHERE))] * 2
    facts, text, page = page_of(write_patches(tmp_path / "d", patches))
    assert "nan" not in page.text
    assert np.isnan(facts.total.positive_share)
    assert facts.total.ignored_share == 1
    assert_needs_nothing(text)


# --- datasets of darts-nextgen


@pytest.fixture
def nextgen(tmp_path):
    """A dataset with the columns that every dataset has, without labels.geojson, record and scaling."""
    rng = np.random.default_rng(3)
    x, y = rng.random((4, 2, 8, 8), dtype=np.float32), np.zeros((4, 8, 8), np.uint8)
    y[1, 2:5, 2:5] = POSITIVE
    x[3], y[3] = x[1], y[1]
    directory = tmp_path / "nextgen"
    group = zarr.open_group(directory / "data.zarr", mode="w", zarr_format=3)
    group.create_array("x", shape=x.shape, chunks=(1, 1, 8, 8), dtype="float32")[:] = x
    group.create_array("y", shape=y.shape, chunks=(1, 8, 8), dtype="uint8")[:] = y
    columns = {"sample_id": ["a", "a", "b", "b"], "region": ["N", None, "S", "S"], "empty": [True, False, True, False]}
    gpd.GeoDataFrame(
        columns, geometry=[box(5e5 + i, 7e6, 5e5 + i + 1, 7e6 + 1) for i in range(4)], crs="EPSG:32608"
    ).to_parquet(directory / "metadata.parquet")
    (directory / "config.toml").write_text('[darts]\nbands = ["red", "nir"]\npatch_size = 8\n')
    return directory


def test_a_dataset_of_darts_nextgen_has_a_page(nextgen):
    facts, text, page = page_of(nextgen)
    assert_needs_nothing(text)
    assert facts.patches["patch_id"].tolist() == ["a_0", "a_1", "b_2", "b_3"]
    assert [group.name for group in facts.groups["region"]] == ["N", "S", "unknown"]
    assert [group.name for group in facts.groups["year"]] == ["unknown"]
    assert findings(facts) == {"duplicate": [1, 3]}
    assert facts.scenes is None
    assert "What was left out is not recorded." in page.texts
    assert "written by darts-nextgen" in page.text
    assert page.tags.count("svg") == 1 + 2  # a map, though it came in metres


def test_values_that_leave_the_range_are_found(nextgen):
    zarr.open_array(nextgen / "data.zarr" / "x", mode="r+")[2, 0, 0, 0] = 1.5
    assert findings(facts_of(nextgen))["out of range"] == [2]


# --- a split


def write_split(path, directory, roles):
    table = read_metadata(directory)
    columns = {"row": [row for row, _ in roles], "role": [role for _, role in roles]}
    split = pd.DataFrame(columns)
    split.insert(1, "sample_id", table["sample_id"].loc[split["row"]].to_numpy())
    split.to_parquet(path, index=False)
    return path


def test_roles_are_counted_and_coloured(dataset_dir, tmp_path):
    roles = [(0, "train"), (1, "train"), (2, "val"), (4, "test"), (1, "test")]
    split = write_split(tmp_path / "split.parquet", dataset_dir, roles)
    facts, text, page = page_of(dataset_dir, split_file=split)
    counts = {group.name: group.patches for group in facts.groups["role"]}
    assert counts == {"train": 1, "train and test": 1, "val": 1, "test": 1, "not used": 2}
    assert "Roles in the run" in page.texts
    assert "by role" in page.texts
    assert len(re.findall(r'<path class="[ep] r\d s\d"', text)) == 6


def test_the_split_of_another_dataset_is_refused(dataset_dir, tmp_path):
    other = make_dataset(tmp_path / "other", scenes=4, patches=3, size=16)
    split = write_split(tmp_path / "split.parquet", other, [(row, "train") for row in range(12)])
    with pytest.raises(ConfigError, match="of another dataset"):
        plan_inspection(InspectionConfig(train_data_dir=dataset_dir, split_file=split))


@pytest.mark.parametrize("content", [None, b"", b"row,role\n0,train\n"], ids=["missing", "empty", "text"])
def test_a_split_that_is_none_is_refused(dataset_dir, tmp_path, content):
    path = tmp_path / "split.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="--split-file"):
        plan_inspection(InspectionConfig(train_data_dir=dataset_dir, split_file=path))


def test_a_split_that_lacks_a_column_is_refused(dataset_dir, tmp_path):
    pd.DataFrame({"row": [0], "sample_id": ["scene-0"]}).to_parquet(tmp_path / "s.parquet")
    with pytest.raises(ConfigError, match=r"lacks \['role'\]"):
        plan_inspection(InspectionConfig(train_data_dir=dataset_dir, split_file=tmp_path / "s.parquet"))


# --- failures


def test_an_empty_dataset_is_refused(tmp_path):
    with writer_of(tmp_path / "d") as writer:
        writer.finish()
    with pytest.raises(DatasetError, match="nothing to look at"):
        plan_inspection(InspectionConfig(train_data_dir=tmp_path / "d"))


def test_a_page_that_cannot_be_written_is_refused_before_anything_is_read(dataset_dir, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    plan = plan_inspection(InspectionConfig(train_data_dir=dataset_dir, page=tmp_path / "file" / "a.html"))
    shutil.rmtree(dataset_dir)
    with pytest.raises(DatasetError, match="can't be written to"):
        write_inspection(plan)


def test_a_page_in_the_place_of_a_folder_is_refused(dataset_dir, tmp_path):
    (tmp_path / "a.html").mkdir()
    with pytest.raises(ConfigError, match=r"a\.html is a folder"):
        plan_inspection(InspectionConfig(train_data_dir=dataset_dir, page=tmp_path / "a.html"))


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0%"), (1e-6, "< 0.01%"), (0.042_17, "4.22%"), (1.0, "100.00%"), (float("nan"), "\N{EN DASH}")],
)
def test_shares_are_in_percent(share, text):
    assert share_text(share) == text
