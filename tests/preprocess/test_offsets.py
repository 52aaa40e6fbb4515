"""The offset of digital numbers, by everything that may tell it."""

from datetime import date

import numpy as np
import pytest

from darts.core.errors import SceneError
from darts.preprocess.offsets import find_date, find_offset
from darts.preprocess.rasters import read_header

from .conftest import write_raster


@pytest.fixture
def header(tmp_path):
    return read_header(write_raster(tmp_path / "B02.tif", np.ones((4, 4), np.uint16)))


@pytest.mark.parametrize(
    ("name", "offset"),
    [
        ("S2B_MSIL2A_20210818T223529_N0500_R058_T03WXP_20230119T164502", -1000),
        ("S2B_MSIL2A_20210818T223529_N0400_R058_T03WXP.SAFE", -1000),
        ("S2B_MSIL2A_20210818T223529_N0301_R058_T03WXP", 0),
        ("a_N0214", 0),
    ],
)
def test_baseline_in_the_name(header, name, offset):
    found = find_offset([header], (), [name], None, None)
    assert (found.value, found.note) == (offset, None)


def test_the_name_wins_over_the_flag_and_says_so(header):
    found = find_offset([header], (), ["x_N0500_y"], 0.0, None)
    assert found.value == -1000
    assert "--s2-offset 0 isn't used" in found.note
    assert find_offset([header], (), ["x_N0500_y"], -1000.0, None).note is None


def test_the_flag_wins_over_ignorance(header):
    assert find_offset([header], (), ["x"], -1000.0, date(2023, 1, 1)).value == -1000
    assert find_offset([header], (), ["x"], 0.0, date(2023, 1, 1)).note is None


def test_ignorance_is_told(header):
    assert "after 2022-01-25" in find_offset([header], (), ["x"], None, date(2022, 1, 25)).note
    found = find_offset([header], (), ["x"], None, None)
    assert (found.value, found.origin) == (0, "nothing")
    assert "--s2-offset -1000" in found.note


def test_metadata_wins_over_the_name(header, tmp_path):
    metadata = tmp_path / "MTD_MSIL2A.xml"
    metadata.write_text(
        '<a><BOA_ADD_OFFSET band_id="0">-1000</BOA_ADD_OFFSET><BOA_ADD_OFFSET band_id="1">-1000</BOA_ADD_OFFSET></a>'
    )
    assert find_offset([header], [metadata], ["x_N0301_y"], None, None).value == -1000
    metadata.write_text("<PROCESSING_BASELINE>02.14</PROCESSING_BASELINE>")
    assert find_offset([header], [metadata], ["x_N0500_y"], None, None).value == 0
    metadata.write_text("<nothing/>")
    assert find_offset([header], [metadata], ["x_N0500_y"], None, None).value == -1000


def test_metadata_with_two_offsets_is_refused(header, tmp_path):
    metadata = tmp_path / "MTD_MSIL2A.xml"
    metadata.write_text("<BOA_ADD_OFFSET>-1000</BOA_ADD_OFFSET><BOA_ADD_OFFSET>0</BOA_ADD_OFFSET>")
    with pytest.raises(SceneError, match="one offset"):
        find_offset([header], [metadata], [], None, None)


def declare(path, *, scale, offset):
    import rasterio

    with rasterio.open(path, "r+") as source:
        source.scales, source.offsets = [scale], [offset]
    return read_header(path)


def test_declared_scaling_of_the_file(tmp_path):
    path = write_raster(tmp_path / "B02.tif", np.ones((4, 4), np.uint16))
    assert find_offset([declare(path, scale=1e-4, offset=-0.1)], (), ["x_N0301_y"], None, None).value == -1000
    assert find_offset([declare(path, scale=1e-4, offset=0)], (), [], None, None).value == 0
    with pytest.raises(SceneError, match=r"scale of 0\.01"):
        find_offset([declare(path, scale=0.01, offset=0)], (), [], None, None)


def test_tag_of_the_file(tmp_path):
    import rasterio

    path = write_raster(tmp_path / "B02.tif", np.ones((4, 4), np.uint16))
    with rasterio.open(path, "r+") as source:
        source.update_tags(BOA_ADD_OFFSET="-1000")
    assert find_offset([read_header(path)], (), ["x_N0301_y"], None, None).value == -1000


@pytest.mark.parametrize(
    ("names", "day"),
    [
        (["20210818T223529_20210818T223531_T03WXP_SR_clip"], date(2021, 8, 18)),
        (["B02", "S2A_MSIL2A_20170613T101031_87_48"], date(2017, 6, 13)),
        (["4372514_5790392_20229999", "x"], None),
        (["B02"], None),
    ],
)
def test_dates(names, day):
    assert find_date(names) == day
