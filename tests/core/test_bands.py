"""Bands by name."""

import pytest

from darts.core.bands import Band, get_bands, known_bands
from darts.core.errors import ConfigError


def test_bands_come_in_the_order_asked_for():
    assert [band.name for band in get_bands(["ndvi", "blue", "dem"])] == ["ndvi", "blue", "dem"]
    assert [band.name for band in get_bands(known_bands())] == list(known_bands())


def test_every_band_has_a_range_and_a_fill_value_inside_the_stored_range():
    for band in get_bands(known_bands()):
        assert band.lo < band.hi
        assert 0 <= band.fill <= 1
        assert band.unit
        assert Band(band.name, **band.as_dict()) == band


@pytest.mark.parametrize(
    ("name", "lo", "hi"),
    [
        # The ranges that darts-nextgen scales by: models trained there must see the same numbers here.
        ("red", -0.1, 0.5),
        ("swir22", -0.1, 0.5),
        ("ndvi", -1, 1),
        ("tc_wetness", 0, 255),
        ("dem", -100, 3000),
        ("relative_elevation", -50, 50),
        ("slope", 0, 90),
        ("aspect", 0, 360),
    ],
)
def test_ranges_are_those_of_darts_nextgen(name, lo, hi):
    (band,) = get_bands([name])
    assert (band.lo, band.hi) == (lo, hi)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["blue", "bleu"], "no band 'bleu'; the bands are coastal, blue"),
        (["Blue"], "no band 'Blue'"),
        (["blue", "red", "blue"], "each band may come once, but got blue, red, blue"),
        ([], "at least one band is needed"),
    ],
)
def test_unknown_repeated_and_missing_bands_are_refused(names, message):
    with pytest.raises(ConfigError, match=message):
        get_bands(names)
