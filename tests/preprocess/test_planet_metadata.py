"""Metadata of PlanetScope images: coefficients and the sun, from whole, other and hostile files."""

import json
import time

import pytest

from darts.core.errors import SceneError
from darts.preprocess.planet_metadata import find_sun, read_coefficients
from darts.preprocess.scenes import Sun


def write_xml(path, coefficients, sun=None, prefix="ps:"):
    """Product metadata with coefficients (band number -> text), as the provider writes them."""
    angles = ("Azimuth", "Elevation") if sun else ()
    parts = [
        f'<opt:illumination{name}Angle uom="deg">{value:e}</opt:illumination{name}Angle>'
        for name, value in zip(angles, sun or (), strict=True)
    ]
    for number, text in coefficients.items():
        parts.append(
            f"<{prefix}bandSpecificMetadata>\n  <{prefix}bandNumber>{number}</{prefix}bandNumber>\n"
            "  <!-- Multiply by reflectanceCoefficient to convert DNs to TOA Reflectance -->\n"
            f"  <{prefix}radiometricScaleFactor>0.01</{prefix}radiometricScaleFactor>\n"
            f"  <{prefix}reflectanceCoefficient>{text}</{prefix}reflectanceCoefficient>\n"
            f"</{prefix}bandSpecificMetadata>"
        )
    path.write_text(f'<?xml version="1.0"?>\n<{prefix}EarthObservation>\n' + "\n".join(parts), encoding="utf-8")
    return path


@pytest.mark.parametrize("prefix", ["ps:", ""])
def test_coefficients_by_the_number_of_the_band(tmp_path, prefix):
    path = write_xml(tmp_path / "m.xml", {3: "2.3e-05", 1: "1.97703553546e-05", 2: " 2.09e-05\n"}, prefix=prefix)
    assert read_coefficients(path, 3) == (1.97703553546e-05, 2.09e-05, 2.3e-05)


@pytest.mark.parametrize(
    "coefficients",
    [
        {},
        {1: "1e-5", 2: "1e-5", 3: "1e-5"},
        {1: "1e-5", 2: "1e-5", 3: "1e-5", 5: "1e-5"},
        dict.fromkeys(range(1, 9), "1e-5"),
        {1: "1e-5", 2: "1e-5", 3: "1e-5", 4: "nan"},
        {1: "1e-5", 2: "1e-5", 3: "1e-5", 4: "0"},
        {1: "1e-5", 2: "1e-5", 3: "1e-5", 4: "-1e-5"},
        {1: "1e-5", 2: "1e-5", 3: "1e-5", 4: "1,5"},
    ],
)
def test_other_coefficients_than_one_for_each_band_are_refused(tmp_path, coefficients):
    path = write_xml(tmp_path / "m.xml", coefficients)
    with pytest.raises(SceneError, match=r"m\.xml must have a positive reflectanceCoefficient for each of the 4 bands"):
        read_coefficients(path, 4)


def test_two_coefficients_for_a_band_are_refused(tmp_path):
    path = write_xml(tmp_path / "m.xml", {1: "1e-5"})
    path.write_text(path.read_text() + write_xml(tmp_path / "n.xml", {1: "2e-5"}).read_text())
    with pytest.raises(SceneError, match="band 1 has two"):
        read_coefficients(path, 1)


def test_files_that_are_no_metadata(tmp_path):
    with pytest.raises(SceneError, match=r"can't be read \(No such file"):
        read_coefficients(tmp_path / "m.xml", 1)
    (tmp_path / "m.xml").write_bytes(b"<" * 20_000_001)
    with pytest.raises(SceneError, match="so it is no product metadata"):
        read_coefficients(tmp_path / "m.xml", 1)


@pytest.mark.parametrize(
    "text", ["<ps:bandSpecificMetadata ", "<ps:bandSpecificMetadata><ps:bandNumber>", "<bandNumber" + " "]
)
def test_a_hostile_file_takes_no_long_time(tmp_path, text):
    path = tmp_path / "m.xml"
    path.write_text(text * (1_000_000 // len(text)))
    started = time.monotonic()
    with pytest.raises(SceneError, match="must have a positive"):
        read_coefficients(path, 4)
    assert find_sun([path]).sun is None
    assert time.monotonic() - started < 5


def test_entities_are_not_expanded(tmp_path):
    path = write_xml(tmp_path / "m.xml", {1: "&secret;"})
    path.write_text('<!DOCTYPE x [<!ENTITY secret "1e-5">]>' + path.read_text())
    with pytest.raises(SceneError, match="must have a positive"):
        read_coefficients(path, 1)


@pytest.mark.parametrize(
    "item",
    [
        {"sun_azimuth": 145.4, "sun_elevation": 65},
        {"properties": {"sun_azimuth": 145.4, "sun_elevation": 65}, "type": "Feature"},
        {"properties": {"view:sun_azimuth": 145.4, "view:sun_elevation": 65}},
        {"properties": None, "sun_azimuth": "145.4", "sun_elevation": "65"},
        {"sun_azimuth": -214.6, "sun_elevation": 65},
    ],
)
def test_the_sun_in_json(tmp_path, item):
    path = tmp_path / "m.json"
    path.write_text(json.dumps(item), encoding="utf-8-sig")
    found = find_sun([path])
    assert (found.sun.azimuth, found.sun.elevation) == pytest.approx((145.4, 65))
    assert (found.path, found.notes) == (path, ())


def test_the_sun_in_xml(tmp_path):
    path = write_xml(tmp_path / "m.xml", {}, sun=(145.42, 65.12005))
    assert find_sun([path]).sun == Sun(145.42, 65.12005)


@pytest.mark.parametrize(
    "item",
    [
        {},
        [],
        "sun",
        3,
        {"sun_azimuth": 145.4},
        {"sun_azimuth": True, "sun_elevation": 65},
        {"sun_azimuth": 145.4, "sun_elevation": 90.5},
        {"sun_azimuth": float("nan"), "sun_elevation": 65},
        {"sun_azimuth": "south", "sun_elevation": 65},
        {"sun_azimuth": 10**400, "sun_elevation": 65},
        {"properties": [1, 2]},
    ],
)
def test_metadata_without_the_sun_give_way_to_the_next(tmp_path, item):
    first, second = tmp_path / "m.json", tmp_path / "n.json"
    first.write_text(json.dumps(item))
    second.write_text('{"sun_azimuth": 1, "sun_elevation": 2}')
    assert find_sun([first]).sun is None
    assert find_sun([first]).notes == ()
    assert find_sun([first, second]).path == second


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b" " * 5_000_001])
def test_damaged_json_is_noted_and_passed_over(tmp_path, content):
    damaged = tmp_path / "m.json"
    damaged.write_bytes(content)
    xml = write_xml(tmp_path / "m.xml", {}, sun=(10, 20))
    found = find_sun([damaged, xml])
    assert (found.sun, found.path) == (Sun(10, 20), xml)
    assert found.notes == ("its metadata (.json) are damaged, so the place of the sun isn't read there",)
