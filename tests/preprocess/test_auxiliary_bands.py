"""Terrain and trends of a scene, and the cache that keeps them."""

import dataclasses

import numpy as np
import pytest
import rasterio

from darts.preprocess import auxiliary_bands as module
from darts.preprocess.auxiliary import find_elevation, find_trends
from darts.preprocess.auxiliary_bands import AuxiliaryBands, auxiliary_bands
from darts.preprocess.scenes import Block, Grid, Sun

from .conftest import UTM, pixels, write_raster

GRID = Grid(rasterio.CRS.from_string(UTM), pixels(10), 60, 50)
ALL = ("dem", "relative_elevation", "slope", "aspect", "northness", "eastness", "hillshade", "curvature")


@pytest.fixture
def plan(tmp_path):
    rng = np.random.default_rng(0)
    dem = (200 + 20 * rng.random((100, 90))).astype(np.float32)
    origin = (500_000 - 200, 7_600_000 + 200)
    write_raster(tmp_path / "dem" / "dem.tif", dem, transform=pixels(10, origin=origin))
    write_raster(tmp_path / "tcvis.tif", rng.integers(1, 255, (3, 60, 50)).astype(np.uint8))
    elevation, trends = find_elevation(tmp_path / "dem"), find_trends(tmp_path / "tcvis.tif", [None])[None]
    return AuxiliaryBands(ALL, ("tc_brightness", "tc_wetness"), elevation, trends, tpi_outer_radius=60.0)


def kept(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.npz")}


@pytest.fixture
def computed(monkeypatch):
    """The names that were computed, not read from the cache."""
    names, compute = [], module._compute

    def watch(plan, wanted, grid, block):
        names.extend(wanted)
        return compute(plan, wanted, grid, block)

    monkeypatch.setattr(module, "_compute", watch)
    return names


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_nothing_is_read_for_bands_that_nobody_wants():
    assert auxiliary_bands(AuxiliaryBands(), GRID, Block(0, 10), None) == {}
    assert AuxiliaryBands().inputs(GRID) == {}


def test_blocks_give_the_values_of_the_whole(plan):
    whole = auxiliary_bands(plan, GRID, Block(0, 60), None)
    parts = [auxiliary_bands(plan, GRID, block, None) for block in (Block(0, 25), Block(25, 57), Block(57, 60))]
    for name, values in whole.items():
        assert np.isfinite(values).all(), name
        np.testing.assert_allclose(np.concatenate([part[name] for part in parts]), values, atol=2e-4, rtol=1e-5)


def test_what_is_kept_is_what_would_be_computed(plan, tmp_path, computed):
    fresh = auxiliary_bands(plan, GRID, Block(0, 30), None)
    same(auxiliary_bands(plan, GRID, Block(0, 30), tmp_path / "cache"), fresh)
    computed.clear()
    same(auxiliary_bands(plan, GRID, Block(0, 30), tmp_path / "cache"), fresh)
    assert computed == []


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"tpi_outer_radius": 80.0}, {"relative_elevation"}),
        ({"tpi_inner_radius": 20.0}, {"relative_elevation"}),
        ({"sun": Sun(170.0, 30.0)}, {"hillshade"}),
    ],
)
def test_a_band_is_kept_for_the_settings_that_matter_to_it(plan, tmp_path, computed, change, again):
    auxiliary_bands(plan, GRID, Block(0, 30), tmp_path / "cache")
    computed.clear()
    other = dataclasses.replace(plan, **change)
    same(
        auxiliary_bands(other, GRID, Block(0, 30), tmp_path / "cache"), auxiliary_bands(other, GRID, Block(0, 30), None)
    )
    assert set(computed[: len(again)]) == again


def test_other_data_another_grid_or_other_rows_are_computed_anew(plan, tmp_path, computed):
    cache = tmp_path / "cache"
    auxiliary_bands(plan, GRID, Block(0, 30), cache)
    count = len(kept(cache))
    auxiliary_bands(plan, GRID, Block(30, 60), cache)
    shifted = Grid(GRID.crs, pixels(10, origin=(500_010.0, 7_600_000.0)), 60, 50)
    auxiliary_bands(plan, shifted, Block(0, 30), cache)
    assert len(kept(cache)) == 3 * count
    computed.clear()
    write_raster(
        tmp_path / "dem" / "dem.tif",
        np.full((100, 90), 7, np.float32),
        transform=pixels(10, origin=(499_800.0, 7_600_200.0)),
    )
    changed = auxiliary_bands(plan, GRID, Block(0, 30), cache)
    assert set(computed) == set(ALL)
    assert (changed["dem"] == 7).all()


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no archive", None])
def test_a_damaged_file_of_the_cache_is_computed_again(plan, tmp_path, caplog, damage):
    fresh = auxiliary_bands(plan, GRID, Block(0, 30), tmp_path / "cache")
    for path in (tmp_path / "cache").rglob("*.npz"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(bytes(content) if damage is None else damage)
    same(auxiliary_bands(plan, GRID, Block(0, 30), tmp_path / "cache"), fresh)
    assert "is damaged" in caplog.text
    caplog.clear()
    same(auxiliary_bands(plan, GRID, Block(0, 30), tmp_path / "cache"), fresh)
    assert caplog.text == ""


def test_the_inputs_hold_the_tiles_around_a_scene(plan, tmp_path):
    # This tile lies beside the scene, but within the surroundings that relative elevation compares with.
    beside = pixels(10, origin=(500_000 - 40.0, 7_600_000.0))
    write_raster(tmp_path / "tiles" / "a.tif", np.ones((60, 4), np.float32), transform=beside)
    write_raster(tmp_path / "tiles" / "b.tif", np.ones((60, 50), np.float32))
    near = dataclasses.replace(plan, elevation=find_elevation(tmp_path / "tiles"), trend_data=None, trends=())
    assert set(near.inputs(GRID)) == {"elevation: tiles/a.tif", "elevation: tiles/b.tif"}
