"""PlanetScope scenes in every layout: what is found, and what is read, pixel by pixel."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from darts.core.errors import SceneError
from darts.preprocess.planet import PlanetReader
from darts.preprocess.planet_names import EIGHT_BANDS, FOUR_BANDS
from darts.preprocess.scenes import GOOD, INVALID, LOW, Block, Sun

from .conftest import ORIGIN, pixels, write_raster
from .test_planet_metadata import write_xml

pytestmark = pytest.mark.usefixtures("no_noise")

SCENE, TILE = "20210818_223529_10_2459", "5790392_4372514_2022-07-16_2459"
COEFFICIENTS = {1: "1.97703553546e-05", 2: "2.09164017841e-05", 3: "2.33568850284e-05", 4: "3.53158793892e-05"}
LEGACY = (0, 1, 2, 28, 30)
SHAPE = (70, 90)
REAL = Path(os.environ.get("DARTS_REAL_DATA", ".")).resolve()
needs_real_data = pytest.mark.skipif("DARTS_REAL_DATA" not in os.environ, reason="DARTS_REAL_DATA is not set")


def make_numbers(count=4, seed=0):
    """Digital numbers with an empty edge, and a hole in one band."""
    numbers = np.random.default_rng(seed).integers(1, 9000, (count, *SHAPE)).astype(np.uint16)
    numbers[:, :, :8] = 0
    numbers[1, 30, 40] = 0
    return numbers


def make_udm2(seed=1):
    """A mask of eight bands, each set in a few places."""
    rng = np.random.default_rng(seed)
    mask = (rng.random((8, *SHAPE)) < 0.05).astype(np.uint8)
    mask[6] = rng.integers(0, 101, SHAPE)
    mask[7] = rng.choice([0, 0, 0, 0, *LEGACY], SHAPE)
    return mask


def make_udm(seed=1):
    return np.random.default_rng(seed).choice(np.array(LEGACY, np.uint8), (1, *SHAPE))


def write_image(folder, stem=f"{SCENE}_3B_AnalyticMS_SR", mask=None, *, count=4, seed=0, origin=ORIGIN, **options):
    """Write an image, and a mask beside it if it is named."""
    options = {"nodata": 0, "transform": pixels(3, origin=origin)} | options
    path = write_raster(folder / f"{stem}.tif", make_numbers(count, seed), **options)
    if mask:
        values = make_udm2() if "udm2" in mask else make_udm()
        write_raster(folder / f"{mask}.tif", values, transform=options["transform"])
    return path


def find(root, bands=FOUR_BANDS):
    return PlanetReader(root).find(bands)


def only(root, bands=FOUR_BANDS):
    found = find(root, bands)
    assert found.unusable == ()
    (scene,) = found.scenes
    return scene


def the_reason(root, bands=FOUR_BANDS):
    """Why the only scene is not usable."""
    found = find(root, bands)
    assert found.scenes == ()
    (scene,) = found.unusable
    return scene.reason


def read(scene, bands=FOUR_BANDS, block=None):
    return PlanetReader(scene.folder).read(scene, bands, block or Block(0, scene.grid.height))


def expected(image, mask=None, scales=(1e-4,) * 8, bands=(1, 2, 3, 4)):
    """Reflectance in float64 and quality, from all of the files at once."""
    with rasterio.open(image) as source:
        numbers = source.read(bands).astype(float)
    low = np.zeros(numbers.shape[1:], bool)
    invalid = (numbers == 0).any(axis=0)
    if mask:
        with rasterio.open(mask) as source:
            stored = source.read().astype(int)
        low = (stored[1:6] == 1).any(axis=0) if len(stored) == 8 else low
        low |= stored[-1] // 2 % 2 == 1
        invalid |= (stored[-1] % 2 == 1) | (stored[-1] >= 4)
    values = numbers * np.array([scales[band - 1] for band in bands])[:, None, None]
    return np.where(invalid, np.nan, values), np.select([invalid, low], [INVALID, LOW], GOOD)


def check_values(scene, values, quality, bands=FOUR_BANDS):
    rows = read(scene, bands)
    assert rows.quality.dtype == np.uint8
    np.testing.assert_array_equal(rows.quality, quality)
    assert tuple(rows.bands) == tuple(bands)
    for name, reference in zip(bands, values, strict=True):
        assert rows.bands[name].dtype == np.float32
        np.testing.assert_array_equal(rows.bands[name], reference.astype(np.float32))


# Folder, stem of the image and of its files, and the id that follows.
LAYOUTS = {
    "group": (f"group/{SCENE}", f"{SCENE}_3B", SCENE),
    "iteration": (f"iteration001/site/{SCENE}", f"{SCENE}_3B", SCENE),
    "psscene": (f"PSScene/{SCENE}", f"{SCENE}_3B", SCENE),
    "orthotile": (f"PSOrthoTile/4372514/{TILE}", f"{TILE}_BGRN", TILE),
    "order": ("order/PSScene", f"{SCENE}_3B", SCENE),
    "root": (".", f"{SCENE}_3B", SCENE),
    "folder of an id": (f"group/{SCENE}", "composite", SCENE),
    "folder that begins with an id": (f"group/{SCENE}_clip3", "composite", SCENE),
    "folder of any name": ("deep/er/site A", "composite", "site A"),
}
KINDS = {
    "udm2": ("AnalyticMS_SR", "udm2"),
    "older mask": ("AnalyticMS_SR", "AnalyticMS_DN_udm"),
    "no mask": ("SR", None),
    "clip": ("AnalyticMS_SR_clip", "udm2_clip"),
    "harmonized clip": ("AnalyticMS_SR_harmonized_clip", "udm2_clip"),
    "top of atmosphere": ("AnalyticMS", "AnalyticMS_DN_udm"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_and_kind(tmp_path, layout, kind):
    (place, stem, image_id), (product, mask) = LAYOUTS[layout], KINDS[kind]
    folder = tmp_path / place
    path = write_image(folder, f"{stem}_{product}", mask and f"{stem}_{mask}")
    write_raster(folder / f"{stem}_Visual.tif", make_numbers(3).astype(np.uint8))
    top = kind == "top of atmosphere"
    scales = [float(text) for text in COEFFICIENTS.values()] if top else [1e-4] * 4
    xml = write_xml(folder / f"{stem}_AnalyticMS_metadata.xml", COEFFICIENTS, sun=(200, 30))
    scene = only(tmp_path)
    assert (scene.scene_id, scene.image_id) == (image_id.replace(" ", "-"), image_id)
    assert scene.place == scene.scene_id
    assert scene.folder == folder
    days = {SCENE: "2021-08-18", TILE: "2022-07-16"}
    assert (scene.date and scene.date.isoformat()) == days.get(image_id)
    assert scene.grid.shape == SHAPE
    assert scene.sun == Sun(200, 30)
    mask_path = folder / f"{stem}_{mask}.tif" if mask else None
    assert scene.inputs == tuple(sorted(filter(None, [path, mask_path, xml])))
    assert scene.facts == {
        "planet_asset": "top of atmosphere" if top else "surface reflectance",
        "planet_file": path.name,
        "usable_data_mask": "none" if not mask else "udm2" if "udm2" in mask else "udm",
        "harmonized": "harmonized" in product,
    }
    assert [note[:19] for note in scene.notes] == ([] if mask else ["no usable data mask"])
    check_values(scene, *expected(path, mask_path, scales))


def test_digital_numbers_become_the_nearest_float32(tmp_path):
    """Multiplying by 1 / 10000 in float64 rounds as dividing by 10000 does, for all numbers of a file."""
    numbers = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    write_raster(tmp_path / f"{SCENE}_3B_AnalyticMS_SR.tif", np.stack([numbers] * 4))
    values = read(only(tmp_path), ["red"]).bands["red"]
    expected = np.where(numbers == 0, np.nan, numbers / 10_000).astype(np.float32)
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("height", [1, 16, 33, 70])
def test_blocks_are_parts_of_the_whole(tmp_path, interleave, height):
    write_image(tmp_path, mask=f"{SCENE}_3B_udm2", interleave=interleave, compress="lzw")
    scene = only(tmp_path)
    whole = read(scene, ["nir", "blue"])
    starts = range(0, SHAPE[0], height)
    parts = [read(scene, ["nir", "blue"], Block(row, min(row + height, SHAPE[0]))) for row in starts]
    np.testing.assert_array_equal(np.concatenate([part.quality for part in parts]), whole.quality)
    for name in ("nir", "blue"):
        np.testing.assert_array_equal(np.concatenate([part.bands[name] for part in parts]), whole.bands[name])


def test_bits_of_the_older_mask(tmp_path):
    write_raster(tmp_path / f"{SCENE}_3B_AnalyticMS_SR.tif", np.full((4, 1, 7), 5000, np.uint16))
    bits = np.array([[[0, 1, 2, 3, 4, 28, 30]]], np.uint8)
    write_raster(tmp_path / f"{SCENE}_3B_AnalyticMS_DN_udm.tif", bits)
    rows = read(only(tmp_path), ["red"])
    assert rows.quality.tolist() == [[GOOD, INVALID, LOW, INVALID, INVALID, INVALID, INVALID]]
    # Under a cloud there are values.
    np.testing.assert_array_equal(np.isnan(rows.bands["red"]), rows.quality == INVALID)


def test_bands_of_udm2(tmp_path):
    write_raster(tmp_path / f"{SCENE}_3B_AnalyticMS_SR.tif", np.full((4, 1, 10), 5000, np.uint16))
    mask = np.zeros((8, 1, 10), np.uint8)
    mask[range(8), 0, range(8)] = 1
    mask[7, 0, 8] = 2
    mask[:6, 0, 9] = 255  # no class
    write_raster(tmp_path / f"{SCENE}_3B_udm2.tif", mask)
    assert read(only(tmp_path)).quality.tolist() == [[GOOD, LOW, LOW, LOW, LOW, LOW, GOOD, INVALID, LOW, GOOD]]


def test_a_hole_counts_in_the_bands_that_are_read(tmp_path):
    write_image(tmp_path)
    scene = only(tmp_path)
    assert read(scene, ["green", "red"]).quality[30, 40] == INVALID
    assert np.isnan(read(scene, ["green", "red"]).bands["red"][30, 40])
    assert read(scene, ["red"]).quality[30, 40] == GOOD
    # With no band to read, as for terrain alone, the quality is that of all bands.
    nothing = read(scene, [])
    assert nothing.bands == {}
    np.testing.assert_array_equal(nothing.quality, read(scene).quality)


def test_declared_nodata_is_no_value(tmp_path):
    write_image(tmp_path, nodata=int(make_numbers()[2, 5, 50]))
    assert read(only(tmp_path)).quality[5, 50] == INVALID


def test_eight_bands(tmp_path):
    bands = ("rededge071", "green", "coastal", "nir")
    path = write_image(tmp_path, f"{SCENE}_3B_AnalyticMS_SR_8b", f"{SCENE}_3B_udm2", count=8)
    scene = only(tmp_path, bands)
    assert tuple(scene.bands) == EIGHT_BANDS
    mask = tmp_path / f"{SCENE}_3B_udm2.tif"
    check_values(scene, *expected(path, mask, bands=(7, 4, 1, 8)), bands=bands)
    # Four bands are read where they do.
    write_image(tmp_path, seed=5)
    assert only(tmp_path).facts["planet_file"] == f"{SCENE}_3B_AnalyticMS_SR.tif"
    assert only(tmp_path, bands).facts["planet_file"] == path.name


def test_bands_that_a_file_names_in_another_order(tmp_path):
    path = write_image(tmp_path, descriptions=["NIR", "Red", "Green", "Blue"])
    scene = only(tmp_path, ["blue"])
    np.testing.assert_allclose(read(scene, ["blue"]).bands["blue"], expected(path, bands=(4,))[0][0], rtol=1e-7)


@pytest.mark.parametrize(
    ("count", "bands", "reason"),
    [
        (4, ["red", "coastal"], "the bands coastal are needed, but the image has blue, green, red, nir"),
        (8, ["swir16"], "the bands swir16 are needed, but the image has coastal, blue, green05"),
        (5, ["red"], "the bands red are needed, but the image has 5 bands, of which none is known"),
    ],
)
def test_a_band_that_an_image_lacks(tmp_path, count, bands, reason):
    write_image(tmp_path, count=count)
    assert reason in the_reason(tmp_path, bands)


def test_a_band_that_comes_twice(tmp_path):
    write_image(tmp_path, descriptions=["blue", "red", "red", "nir"])
    assert "red comes twice" in the_reason(tmp_path)


def test_top_of_atmosphere_with_eight_bands_takes_its_own_coefficients(tmp_path):
    coefficients = {number: f"{number}e-05" for number in range(1, 9)}
    path = write_image(tmp_path, f"{SCENE}_3B_AnalyticMS_8b_clip", count=8)
    write_xml(tmp_path / f"{SCENE}_3B_AnalyticMS_metadata.xml", COEFFICIENTS)
    assert "must have a positive reflectanceCoefficient for each of the 8 bands" in the_reason(tmp_path)
    write_xml(tmp_path / f"{SCENE}_3B_AnalyticMS_8b_metadata_clip.xml", coefficients)
    scales = [float(text) for text in coefficients.values()]
    check_values(only(tmp_path), *expected(path, None, scales, bands=(2, 4, 6, 8)))


def test_top_of_atmosphere_without_coefficients_says_the_way_out(tmp_path):
    write_image(tmp_path, f"{SCENE}_3B_AnalyticMS")
    assert "put it there, or order surface reflectance (*_SR.tif)" in the_reason(tmp_path)


@pytest.mark.parametrize(
    ("stem", "options"),
    [
        ("_3B_AnalyticMS_SR", {"dtype": "float32"}),
        ("_3B_AnalyticMS_SR_clip", {"dtype": "float64"}),
    ],
)
def test_reflectance_in_place_of_digital_numbers_is_refused(tmp_path, stem, options):
    values = (make_numbers() / 10_000).astype(options["dtype"])
    write_raster(tmp_path / f"{SCENE}{stem}.tif", values)
    with pytest.raises(SceneError, match=r"must be digital numbers, reflectance times 10000, but none is above 0\.9"):
        read(only(tmp_path))
    # Digital numbers may be of any type.
    path = write_raster(tmp_path / f"{SCENE}{stem}.tif", make_numbers().astype(options["dtype"]))
    check_values(only(tmp_path), *expected(path))


def test_declared_scale(tmp_path):
    path = write_image(tmp_path)
    with rasterio.open(path, "r+") as file:
        file.scales = (0.0001,) * 4
    assert only(tmp_path)
    with rasterio.open(path, "r+") as file:
        file.scales = (0.00002,) * 4
    assert "the file declares a scale of 2e-05" in the_reason(tmp_path)


@pytest.mark.parametrize("mask", [f"{SCENE}_3B_udm2", f"{SCENE}_3B_AnalyticMS_DN_udm"])
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((70, 89), {"transform": pixels(3)}),
        (SHAPE, {"transform": pixels(3.1)}),
        (SHAPE, {"transform": pixels(3, origin=(ORIGIN[0] + 3, ORIGIN[1]))}),
        (SHAPE, {"transform": pixels(3), "crs": "EPSG:32609"}),
    ],
)
def test_a_mask_on_other_pixels_makes_a_scene_unusable(tmp_path, mask, shape, options):
    write_image(tmp_path)
    write_raster(tmp_path / f"{mask}.tif", np.zeros((8 if "udm2" in mask else 1, *shape), np.uint8), **options)
    reason = the_reason(tmp_path)
    assert "must lie on the pixels of its image, but has" in reason
    assert reason.endswith("get it again.")


@pytest.mark.parametrize(("mask", "count"), [("udm2", 7), ("udm2", 1), ("DN_udm", 8)])
def test_a_mask_with_another_number_of_bands(tmp_path, mask, count):
    write_image(tmp_path)
    write_raster(tmp_path / f"{SCENE}_3B_{mask}.tif", np.zeros((count, *SHAPE), np.uint8), transform=pixels(3))
    assert f"but has {count}; get it again" in the_reason(tmp_path)


def test_a_mask_that_is_no_mask(tmp_path):
    write_image(tmp_path)
    write_raster(tmp_path / f"{SCENE}_3B_DN_udm.tif", np.zeros((1, *SHAPE), np.float32), transform=pixels(3))
    with pytest.raises(SceneError, match="must hold whole numbers, but holds float32"):
        read(only(tmp_path))


def test_a_clip_is_read_with_the_mask_of_the_clip(tmp_path):
    write_image(tmp_path, f"{SCENE}_3B_AnalyticMS_SR_clip", f"{SCENE}_3B_udm2_clip")
    write_raster(tmp_path / f"{SCENE}_3B_udm2.tif", np.zeros((8, 200, 200), np.uint8), transform=pixels(3))
    assert f"{SCENE}_3B_udm2_clip.tif" in {path.name for path in only(tmp_path).inputs}


def test_many_images_in_one_folder_keep_their_own_files(tmp_path):
    ids = ["20210818_223529_10_2459", "20210818_223531_10_2459", "20210819_223529_101c", TILE]
    for seed, image_id in enumerate(ids):
        write_image(tmp_path, f"{image_id}_3B_AnalyticMS_SR", seed=seed)
        (tmp_path / f"{image_id}_metadata.json").write_text(json.dumps({"sun_azimuth": seed, "sun_elevation": 30}))
    write_raster(tmp_path / f"{ids[1]}_3B_udm2.tif", make_udm2(), transform=pixels(3))
    write_raster(tmp_path / "mosaic_SR.tif", make_numbers())
    found = find(tmp_path)
    assert [scene.scene_id for scene in found.scenes] == sorted(ids)
    assert [scene.sun.azimuth for scene in found.scenes] == [0, 1, 2, 3]
    assert [scene.facts["usable_data_mask"] for scene in found.scenes] == ["none", "udm2", "none", "none"]
    (unusable,) = found.unusable
    assert "mosaic_SR.tif has other images beside it" in unusable.reason


def test_files_without_an_id_belong_to_the_only_image(tmp_path):
    write_image(tmp_path / "any", mask="udm2")
    (tmp_path / "any" / "metadata.json").write_text('{"sun_azimuth": 100, "sun_elevation": 20}')
    scene = only(tmp_path)
    assert (scene.scene_id, scene.facts["usable_data_mask"], scene.sun) == (SCENE, "udm2", Sun(100, 20))


def test_damaged_metadata_are_a_note(tmp_path):
    write_image(tmp_path, mask=f"{SCENE}_3B_udm2")
    (tmp_path / f"{SCENE}_metadata.json").write_text("{")
    item = {"properties": {"view:sun_azimuth": 145.4, "view:sun_elevation": 65.1}}
    (tmp_path / f"{SCENE}.json").write_text(json.dumps(item))
    scene = only(tmp_path)
    assert scene.sun == Sun(145.4, 65.1)
    assert scene.notes == ("its metadata (.json) are damaged, so the place of the sun isn't read there",)


def test_copies_of_an_image_are_refused(tmp_path):
    write_image(tmp_path / "a" / SCENE)
    write_image(tmp_path / "b", f"{SCENE.upper()}_3B_AnalyticMS_SR")
    with pytest.raises(
        SceneError, match=r"each image must come once, but .* is in .*/a/.* and in .*/b, .*100%.*move one"
    ):
        find(tmp_path)


@pytest.mark.parametrize(("shift", "copies"), [(44, True), (46, False), (90, False), (500, False)])
def test_clips_that_share_less_than_half_are_scenes_of_their_own(tmp_path, shift, copies):
    write_image(tmp_path / "east" / SCENE, f"{SCENE}_3B_AnalyticMS_SR_clip", origin=(ORIGIN[0] + 3 * shift, ORIGIN[1]))
    write_image(tmp_path / "west" / SCENE, f"{SCENE}_3B_AnalyticMS_SR_clip")
    if copies:
        with pytest.raises(SceneError, match="which share 51% of the smaller one"):
            find(tmp_path)
        return
    scenes = find(tmp_path).scenes
    assert [scene.scene_id for scene in scenes] == [f"{SCENE}@east", f"{SCENE}@west"]
    assert {scene.image_id for scene in scenes} == {SCENE}


def test_a_clip_beside_the_whole_image_is_a_copy(tmp_path):
    write_image(tmp_path / "whole" / SCENE)
    clip = np.full((4, 10, 10), 5000, np.uint16)
    write_raster(tmp_path / "clip" / f"{SCENE}_3B_AnalyticMS_SR_clip.tif", clip, transform=pixels(3))
    with pytest.raises(SceneError, match="which share 100% of the smaller one"):
        find(tmp_path)


def test_copies_in_two_reference_systems(tmp_path):
    from rasterio.warp import calculate_default_transform

    path = write_image(tmp_path / "utm" / SCENE)
    with rasterio.open(path) as source:
        transform, _, _ = calculate_default_transform(source.crs, "EPSG:3413", *SHAPE[::-1], *source.bounds)
    write_image(tmp_path / "polar" / SCENE, crs="EPSG:3413", transform=transform)
    with pytest.raises(SceneError, match="each image must come once"):
        find(tmp_path)


@pytest.mark.parametrize(
    ("folders", "places"),
    [
        (["one", "two"], ["one", "two"]),
        ([f"one/{SCENE}", f"two/{SCENE}"], ["one", "two"]),
        ([f"{SCENE}_clip1", f"{SCENE}_clip2"], ["clip1", "clip2"]),
        (["a/x/PSScene", "a/y/PSScene", "b/z/PSScene"], ["x", "y", "z"]),
        (["a/x", "a/y", "b/x"], ["a-x", "a-y", "b-x"]),
        (["site ä", "site-b"], ["site", "site-b"]),
        (["site ä", "site-ü"], ["site-1", "site-2"]),
    ],
)
def test_scene_ids_of_clips_are_told_from_their_folders(tmp_path, folders, places):
    for number, folder in enumerate(folders):
        write_image(tmp_path / folder, origin=(ORIGIN[0] + 1000 * number, ORIGIN[1]))
    found = find(tmp_path)
    assert [scene.scene_id for scene in found.scenes] == [f"{SCENE}@{place}" for place in places]
    again = PlanetReader(Path(os.path.relpath(tmp_path))).find(FOUR_BANDS)
    assert again == found


def test_a_damaged_scene_does_not_stop_the_others(tmp_path):
    write_image(tmp_path / "good")
    damaged = write_image(tmp_path / "damaged", f"{TILE}_BGRN_SR")
    damaged.write_bytes(damaged.read_bytes()[:100])
    other = write_image(tmp_path / "other", "20200101_000000_0f0f_3B_AnalyticMS_SR")
    mask = other.with_name("20200101_000000_0f0f_3B_udm2.tif")
    mask.write_bytes(b"")
    found = find(tmp_path)
    assert [scene.scene_id for scene in found.scenes] == [SCENE]
    assert [scene.scene_id for scene in found.unusable] == ["20200101_000000_0f0f", TILE]
    assert "udm2.tif must be a GeoTIFF" in found.unusable[0].reason
    assert "BGRN_SR.tif must be a whole GeoTIFF" in found.unusable[1].reason


def test_damaged_pixels_are_an_error_of_reading(tmp_path):
    path = write_image(tmp_path, compress="lzw")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(SceneError, match="must be a whole GeoTIFF"):
        read(only(tmp_path))


def test_images_of_no_use_say_what_is_there(tmp_path):
    write_raster(tmp_path / "tile" / f"{TILE}_BGRN_DN.tif", make_numbers())
    write_raster(tmp_path / "tile" / f"{TILE}_BGRN_DN_udm.tif", make_udm())
    # The mask of an image that lies elsewhere is no scene.
    write_image(tmp_path / "images")
    write_raster(tmp_path / "masks" / f"{SCENE}_3B_udm2.tif", make_udm2())
    write_raster(tmp_path / "dem" / "dem.tif", make_numbers())
    found = find(tmp_path)
    assert [scene.scene_id for scene in found.scenes] == [SCENE]
    (unusable,) = found.unusable
    assert unusable.scene_id == TILE
    assert f"there is only {TILE}_BGRN_DN.tif, {TILE}_BGRN_DN_udm.tif; get surface reflectance" in unusable.reason


def test_two_images_of_a_folder_without_an_id(tmp_path):
    write_image(tmp_path / "site", "a_SR")
    write_image(tmp_path / "site", "b_SR")
    assert "a_SR.tif, b_SR.tif has other images beside it" in the_reason(tmp_path)


def test_two_rasters_that_fit_alike(tmp_path):
    write_image(tmp_path / SCENE, "a_SR")
    write_image(tmp_path / SCENE, "b_SR")
    assert "are both its surface reflectance" in the_reason(tmp_path)


def test_nothing_at_all(tmp_path):
    with pytest.raises(SceneError, match=r"no images found: neither .* nor a folder below it holds \*_SR\*\.tif"):
        find(tmp_path)
    with pytest.raises(
        SceneError, match=r"--data-dir must be a folder of PlanetScope images, but .*nowhere is no folder"
    ):
        find(tmp_path / "nowhere")


def test_hidden_folders_and_files_are_passed_over(tmp_path):
    write_image(tmp_path / SCENE)
    for folder in (".hidden", "__MACOSX", f"group/.{SCENE}", "cube.zarr"):
        write_image(tmp_path / folder / SCENE)
    (tmp_path / SCENE / f"._{SCENE}_3B_AnalyticMS_SR.tif").write_bytes(b"\x00\x05\x16\x07")
    assert only(tmp_path).folder == tmp_path / SCENE


def test_links_are_followed_but_not_in_circles(tmp_path):
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "root"
    write_image(elsewhere / SCENE)
    write_image(root / "tiles", f"{TILE}_BGRN_SR")
    write_image(tmp_path / "other", "20200101_000000_0f0f_3B_AnalyticMS_SR")
    (root / "linked").symlink_to(elsewhere)
    (root / "again").symlink_to(elsewhere / SCENE)
    (root / "tiles" / "circle").symlink_to(root)
    (root / "tiles" / "up").symlink_to(tmp_path)
    (root / "broken").symlink_to(tmp_path / "nowhere")
    found = find(root)
    assert [scene.scene_id for scene in found.scenes] == [SCENE, TILE]
    assert found.unusable == ()


def test_a_scene_goes_to_other_processes(tmp_path):
    write_image(tmp_path, mask=f"{SCENE}_3B_udm2")
    reader = PlanetReader(tmp_path)
    scene = only(tmp_path)
    assert pickle.loads(pickle.dumps((reader, scene))) == (reader, scene)


def test_simulated_scenes(tmp_path):
    from darts.sample import make_sample_data

    data = make_sample_data(output_dir=tmp_path, scenes=1, size=128)
    scene = only(data.planet_dir)
    assert scene.notes == ()
    assert scene.sun is not None
    image, mask = (next(scene.folder.glob(pattern)) for pattern in ("*_SR.tif", "*_udm2.tif"))
    check_values(scene, *expected(image, mask))


@needs_real_data
def test_a_real_scene_without_a_mask():
    folder = REAL / "planet_103d"
    scene = only(folder)
    assert (scene.scene_id, scene.date.isoformat()) == ("20170915_020728_103d", "2017-09-15")
    assert scene.sun == Sun(85.80809, 56.19855)
    assert [note[:19] for note in scene.notes] == ["no usable data mask"]
    path = folder / "20170915_020728_103d_3B_AnalyticMS.tif"
    scales = (1.97703553546e-05, 2.09164017841e-05, 2.33568850284e-05, 3.53158793892e-05)
    values, quality = expected(path, None, scales)
    check_values(scene, values, quality)
    assert (quality == GOOD).mean() == pytest.approx(0.27, abs=0.005)
    assert np.nanmin(values) > 0
    assert np.nanmax(values) < 1


@needs_real_data
def test_a_real_scene_with_the_older_mask():
    folder = REAL / "planet_decimated"
    scene = only(folder)
    path, mask = (folder / f"20170831_172754_101c_3B_AnalyticMS{end}.tif" for end in ("", "_DN_udm"))
    assert scene.facts["usable_data_mask"] == "udm"
    assert scene.sun == Sun(145.4, 65.1)
    xml = folder / "20170831_172754_101c_3B_AnalyticMS_metadata.xml"
    assert scene.inputs == tuple(sorted([path, mask, xml, folder / "20170831_172754_101c.json"]))
    scales = [scene.scale[name] for name in FOUR_BANDS]
    assert scales[0] == 1.81512636125e-05
    values, quality = expected(path, mask, scales)
    check_values(scene, values, quality)
    with rasterio.open(mask) as source:
        stored = source.read(1)
    assert set(np.unique(stored)) == set(LEGACY)
    assert set(np.unique(quality[stored == 2])) <= {INVALID, LOW}
    assert (quality[stored == 2] == LOW).mean() > 0.9
    part = read(scene, FOUR_BANDS, Block(100, 130))
    np.testing.assert_array_equal(part.quality, quality[Window(0, 100, 256, 30).toslices()])
