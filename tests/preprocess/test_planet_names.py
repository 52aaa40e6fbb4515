"""Names of PlanetScope images and files: ids, days, roles, variants, and which of several files is read."""

from datetime import date
from itertools import permutations
from pathlib import Path

import pytest

from darts.core.errors import SceneError
from darts.preprocess.planet_names import (
    EIGHT_BANDS,
    FOUR_BANDS,
    Role,
    bands_of,
    choose_image,
    choose_mask,
    day_of,
    leading_id,
    named_file,
)

SCENE, TILE = "20210818_223529_10_2459", "5790392_4372514_2022-07-16_2459"


@pytest.mark.parametrize(
    ("name", "image_id", "day"),
    [
        ("20170831_172754_101c", "20170831_172754_101c", date(2017, 8, 31)),
        ("20170831_172754_101c_3B_AnalyticMS", "20170831_172754_101c", date(2017, 8, 31)),
        ("20170831_172754_1030_3B_AnalyticMS_SR", "20170831_172754_1030", date(2017, 8, 31)),
        ("20161026_132339_1_0D05_3B_udm2", "20161026_132339_1_0D05", date(2016, 10, 26)),
        (f"{SCENE}_clip1", SCENE, date(2021, 8, 18)),
        (f"{TILE}_BGRN_SR", TILE, date(2022, 7, 16)),
        ("210879_1558814_2016-07-25_0e16_BGRN_DN_udm", "210879_1558814_2016-07-25_0e16", date(2016, 7, 25)),
        ("20211399_172754_101c", "20211399_172754_101c", None),
    ],
)
def test_an_id_at_the_beginning_of_a_name(name, image_id, day):
    assert leading_id(name) == image_id
    assert day_of(image_id) == day


@pytest.mark.parametrize(
    "name",
    [
        "",
        "site",
        "20170831_172754",
        "20170831_172754_101",
        "20170831_172754_101cd",
        "20170831_172754_10xc",
        f"x{SCENE}",
        "5790392_4372514_20220716_2459",
        "20210818T223529_20210818T223531_T03WXP",
        "composite_SR",
    ],
)
def test_no_id(name):
    assert leading_id(name) is None
    assert day_of(name) is None


@pytest.mark.parametrize(
    ("name", "role", "variant"),
    [
        (f"{SCENE}_3B_AnalyticMS_SR.tif", Role.SURFACE, ""),
        (f"{SCENE}_3B_AnalyticMS_SR.TIF", Role.SURFACE, ""),
        (f"{SCENE}_3B_AnalyticMS_SR_clip.tiff", Role.SURFACE, "clipped"),
        (f"{SCENE}_3B_AnalyticMS_SR_8b_harmonized_clip.tif", Role.SURFACE, "eight_bands harmonized clipped"),
        (
            f"{SCENE}_3B_AnalyticMS_SR_8b_harmonized_clip_file_format.tif",
            Role.SURFACE,
            "eight_bands harmonized clipped",
        ),
        (f"{SCENE}_3B_AnalyticMS_8b_SR.tif", Role.SURFACE, "eight_bands"),
        (f"{SCENE}_3B_AnalyticMS_SR_harmonized.tif", Role.SURFACE, "harmonized"),
        (f"{SCENE}_3b_analyticms.tif", Role.TOP, ""),
        (f"{SCENE}_3B_AnalyticMS_8b_clip.tif", Role.TOP, "eight_bands clipped"),
        (f"{TILE}_BGRN_SR_clip.tif", Role.SURFACE, "clipped"),
        (f"{TILE}_BGRN_Analytic.tif", Role.TOP, ""),
        (f"{TILE}_BGRN_DN.tif", Role.OTHER_RASTER, ""),
        (f"{TILE}_RGB_Visual.tif", Role.OTHER_RASTER, ""),
        (f"{SCENE}_3B_Visual.tif", Role.OTHER_RASTER, ""),
        (f"{SCENE}_1B_AnalyticMS.tif", Role.OTHER_RASTER, ""),
        (f"{SCENE}_1B_udm2.tif", Role.OTHER_RASTER, ""),
        (f"{SCENE}_panchromatic.tif", Role.OTHER_RASTER, ""),
        (f"{SCENE}.tif", Role.OTHER_RASTER, ""),
        (f"{SCENE}_3B_udm2_clip.tif", Role.UDM2, "clipped"),
        (f"{TILE}_udm2.tif", Role.UDM2, ""),
        (f"{SCENE}_3B_AnalyticMS_DN_udm.tif", Role.UDM, ""),
        (f"{TILE}_BGRN_DN_udm_clip.tif", Role.UDM, "clipped"),
        (f"{SCENE}_3B_AnalyticMS_8b_metadata_clip.xml", Role.METADATA_XML, "eight_bands clipped"),
        (f"{TILE}_BGRN_Analytic_metadata.xml", Role.METADATA_XML, ""),
        (f"{SCENE}_metadata.json", Role.METADATA_JSON, ""),
        (f"{SCENE}.json", Role.CATALOGUE_JSON, ""),
        ("composite_SR_clip2.tif", Role.SURFACE, "clipped"),
        ("udm2.tif", Role.UDM2, ""),
    ],
)
def test_roles_and_variants(name, role, variant):
    file = named_file(Path("folder") / name)
    assert file.role is role
    assert [flag for flag in ("eight_bands", "harmonized", "clipped") if getattr(file, flag)] == variant.split()


@pytest.mark.parametrize(
    "name",
    [
        "manifest.json",
        f"{SCENE}_manifest.json",
        f"{SCENE}_thumb.png",
        "a_SR.tif.aux.xml",
        "README",
        "x.jp2",
        "site.json",
    ],
)
def test_files_of_no_use(name):
    assert named_file(Path(name)) is None


IN_ORDER = [
    "_3B_AnalyticMS_SR.tif",
    "_3B_AnalyticMS_SR_clip.tif",
    "_3B_AnalyticMS_SR_8b.tif",
    "_3B_AnalyticMS_SR_8b_clip.tif",
    "_3B_AnalyticMS_SR_harmonized.tif",
    "_3B_AnalyticMS_SR_harmonized_clip.tif",
    "_3B_AnalyticMS_SR_8b_harmonized.tif",
    "_3B_AnalyticMS.tif",
    "_3B_AnalyticMS_clip.tif",
    "_3B_AnalyticMS_8b.tif",
]


def files(names):
    return [named_file(Path(SCENE + name)) for name in names]


@pytest.mark.parametrize("first", range(len(IN_ORDER)))
def test_which_raster_is_read(first):
    names = IN_ORDER[first:]
    for order in (names, names[::-1]):
        assert choose_image(files(order), FOUR_BANDS).path.name == SCENE + names[0]


@pytest.mark.parametrize("bands", [["coastal"], ["red", "yellow"], ["rededge071"]])
def test_eight_bands_are_read_where_one_of_them_is_needed(bands):
    assert choose_image(files(IN_ORDER), bands).path.name == f"{SCENE}_3B_AnalyticMS_SR_8b.tif"
    left = [name for name in IN_ORDER if "SR_8b" not in name]
    assert choose_image(files(left), bands).role is Role.SURFACE


def test_which_mask_is_read():
    names = ["_3B_udm2.tif", "_3B_AnalyticMS_DN_udm.tif", "_3B_udm2_clip.tif", "_3B_AnalyticMS_DN_udm_clip.tif"]
    whole, clip = files(["_3B_AnalyticMS_SR.tif", "_3B_AnalyticMS_SR_clip.tif"])
    for order in permutations(files(names)):
        assert choose_mask(order, whole).path.name.endswith("_3B_udm2.tif")
        assert choose_mask(order, clip).path.name.endswith("_3B_udm2_clip.tif")
        assert choose_mask([file for file in order if file.role is Role.UDM], clip).path.name.endswith("udm_clip.tif")
    assert choose_mask([], whole) is None


def test_two_files_that_fit_alike_are_refused():
    with pytest.raises(SceneError, match=r"_SR\.tif and .*_SR\.tiff are both its surface reflectance; keep one"):
        choose_image(files(["_3B_AnalyticMS_SR.tif", "_3B_AnalyticMS_SR.tiff"]), FOUR_BANDS)
    # The one that is named by its image is that of the image.
    named, bare = named_file(Path(f"{SCENE}_SR.tif")), named_file(Path("mosaic_SR.tif"))
    assert choose_image([bare, named], FOUR_BANDS) is named


@pytest.mark.parametrize(
    ("descriptions", "bands"),
    [
        ([""] * 4, FOUR_BANDS),
        (["Band 1", "Band 2", "Band 3", "Band 4"], FOUR_BANDS),
        ([""] * 8, EIGHT_BANDS),
        (["coastal_blue", "blue", "green_i", "green", "yellow", "red", "rededge", "nir"], EIGHT_BANDS),
        (["Coastal Blue", "Blue", "Green I", "Green II", "Yellow", "Red", "Red Edge", "NIR"], EIGHT_BANDS),
        (["Near-Infrared", "red", "green", "blue"], ("nir", "red", "green", "blue")),
        (["blue", "green", "red", "nir", "alpha"], ("blue", "green", "red", "nir", None)),
        ([""] * 5, (None,) * 5),
    ],
)
def test_bands_by_their_descriptions_else_by_their_number(descriptions, bands):
    assert bands_of(descriptions) == list(bands)
