"""Sentinel-2 scenes in every layout: what is found, and what is read."""

import numpy as np
import pytest

from darts.core.errors import ConfigError, SceneError
from darts.preprocess.band_names import band_of, described_band
from darts.preprocess.config import Sentinel2Config
from darts.preprocess.scenes import GOOD, INVALID, LOW, Block, Sun
from darts.preprocess.sentinel2 import Sentinel2Reader

from .conftest import pixels, write_raster, write_stack_scene

pytestmark = pytest.mark.usefixtures("no_noise")
BANDS = ("blue", "green", "red", "nir")


def find(root, bands=BANDS, **settings):
    """The scenes; the reason of the first that can't be used is raised."""
    found = Sentinel2Reader(Sentinel2Config(sentinel2_dir=root, **settings)).find(bands)
    if found.unusable:
        raise SceneError(found.unusable[0].reason)
    return list(found.scenes)


def read(root, bands=BANDS, **settings):
    """All rows of the first scene."""
    reader = Sentinel2Reader(Sentinel2Config(sentinel2_dir=root, **settings))
    files = reader.find(bands).scenes[0]
    return reader.read(files, bands, Block(0, files.grid.height))


def numbers(shape, seed=0):
    return np.random.default_rng(seed).integers(1, 6000, shape).astype(np.uint16)


@pytest.mark.parametrize(
    ("text", "band"),
    [
        ("T03WXP_20210818T223529_B02_10m", "blue"),
        ("b8a", "nir08"),
        ("S2B_MSIL2A_20170924T93020_69_24_B01", "coastal"),
        ("sceneB11", "swir16"),
        ("x_B2", "blue"),
        ("B8", "nir"),
        ("B12_20m", "swir22"),
        ("S2B_scene", None),
        ("AB2", None),
        ("B02_B03_B04", None),
        ("CLP", None),
        ("sunZenithAngles", None),
        ("B13", None),
        ("B020", None),
    ],
)
def test_bands_in_names(text, band):
    assert band_of(text) == band


@pytest.mark.parametrize(
    ("text", "band"),
    [("Blue", "blue"), ("B2", "blue"), ("B02 (blue)", "blue"), ("SCL", "scl"), ("", None), ("grey", None)],
)
def test_bands_in_descriptions(text, band):
    assert described_band(text) == band


def test_a_stack_of_reflectance_with_its_classification(tmp_path):
    written = write_stack_scene(tmp_path, "20210818_223529_10_2459")
    files = find(tmp_path)[0]
    assert files.scene_id == "20210818_223529_10_2459_20210818T223529_N0301_T03WXP"
    assert files.date.isoformat() == "2021-08-18"
    assert files.notes == ()
    scene = read(written.folder)
    classes = np.kron(written.classes, np.ones((2, 2), np.uint8))
    empty = (written.numbers == 0).any(axis=0) | (classes == 0)
    np.testing.assert_array_equal(scene.quality == INVALID, empty)
    np.testing.assert_array_equal(scene.quality == LOW, np.isin(classes, [1, 3, 8, 9, 11]) & ~empty)
    for band, values in zip(BANDS, written.numbers, strict=True):
        np.testing.assert_allclose(scene.bands[band], np.where(empty, np.nan, values / 10_000), atol=1e-7)
        assert scene.bands[band].dtype == np.float32


def test_the_offset_is_added_before_scaling_and_zero_stays_without_value(tmp_path):
    values = numbers((1, 8, 8))
    values[0, 0, 0] = 0
    write_raster(tmp_path / "S2B_MSIL2A_20230119T164502_N0509_R058" / "B02.tif", values)
    scene = read(tmp_path, ["blue"])
    expected = (values[0] - 1000.0) / 10_000
    expected[0, 0] = np.nan
    np.testing.assert_allclose(scene.bands["blue"], expected, atol=1e-7)
    assert (scene.quality == np.where(values[0] == 0, INVALID, GOOD)).all()


def test_classes_to_ignore(tmp_path):
    write_raster(tmp_path / "s" / "B02.tif", numbers((12, 1)))
    write_raster(tmp_path / "s" / "SCL.tif", np.arange(12, dtype=np.uint8)[:, None])
    assert read(tmp_path, ["blue"]).quality.ravel().tolist() == [0, 1, 2, 1, 2, 2, 2, 2, 1, 1, 2, 1]
    assert read(tmp_path, ["blue"], scl_ignore=(2, 7)).quality.ravel().tolist() == [0, 2, 1, 2, 2, 2, 2, 1, 2, 2, 2, 2]
    assert read(tmp_path, ["blue"], scl_ignore=()).quality.ravel().tolist() == [0] + [2] * 11


def test_single_bands_of_mixed_resolution(tmp_path):
    folder = tmp_path / "scene"
    fine, coarse = numbers((40, 60)), np.full((20, 30), 3000, np.uint16)
    coarse[3, 4] = 0
    write_raster(folder / "T03_B02_10m.tif", fine)
    write_raster(
        folder / "T03_b8a_20m.jp2", coarse, transform=pixels(20), driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES"
    )
    write_raster(folder / "T03_SCL_20m.tif", np.full((20, 30), 4, np.uint8), transform=pixels(20))
    write_raster(folder / "CLP.tif", fine)
    scene = read(tmp_path, ["blue", "nir08"])
    assert find(tmp_path, ["blue", "nir08"])[0].scene_id == "scene"
    assert scene.quality.shape == (40, 60)
    empty = np.zeros((40, 60), bool)
    empty[6:8, 8:10] = True
    np.testing.assert_allclose(scene.bands["nir08"], np.where(empty, np.nan, 0.3), atol=1e-6)
    np.testing.assert_allclose(scene.bands["blue"], np.where(empty, np.nan, fine / 10_000), atol=1e-7)
    assert read(tmp_path, ["nir08"]).quality.shape == (20, 30)


def test_the_finest_file_of_a_band_is_taken(tmp_path):
    fine = numbers((40, 60))
    write_raster(tmp_path / "s" / "T03_B02_10m.tif", fine)
    write_raster(tmp_path / "s" / "T03_B02_20m.tif", numbers((20, 30)), transform=pixels(20))
    np.testing.assert_allclose(read(tmp_path, ["blue"]).bands["blue"], fine / 10_000, atol=1e-7)
    write_raster(tmp_path / "s" / "T04_B02_10m.tif", fine)
    with pytest.raises(SceneError, match="both are blue"):
        find(tmp_path, ["blue"])


def test_a_product_as_it_is_delivered(tmp_path):
    product = tmp_path / "S2B_MSIL2A_20230818T223529_N0509_R058_T03WXP_20230819T000000.SAFE"
    images = product / "GRANULE" / "L2A_T03WXP" / "IMG_DATA"
    fine = numbers((40, 60))
    write_raster(
        images / "R10m" / "T03WXP_20230818T223529_B02_10m.jp2",
        fine,
        driver="JP2OpenJPEG",
        QUALITY="100",
        REVERSIBLE="YES",
    )
    write_raster(
        images / "R20m" / "T03WXP_20230818T223529_SCL_20m.tif", np.full((20, 30), 4, np.uint8), transform=pixels(20)
    )
    write_raster(product / "GRANULE" / "L2A_T03WXP" / "QI_DATA" / "MSK_DETFOO_B02.tif", fine)
    (product / "MTD_MSIL2A.xml").write_text("<BOA_ADD_OFFSET>-1000</BOA_ADD_OFFSET>")
    (product / "GRANULE" / "L2A_T03WXP" / "MTD_TL.xml").write_text(
        '<Mean_Sun_Angle><ZENITH_ANGLE unit="deg">51.5</ZENITH_ANGLE><AZIMUTH_ANGLE unit="deg">170.25</AZIMUTH_ANGLE>'
        "</Mean_Sun_Angle>"
    )
    for root in (tmp_path, product):
        scene = read(root, ["blue"])
        np.testing.assert_allclose(scene.bands["blue"], (fine - 1000.0) / 10_000, atol=1e-7)
    files = find(product, ["blue"])[0]
    assert files.scene_id == product.name.removesuffix(".SAFE")
    assert files.place == "T03WXP"
    assert files.sun == Sun(170.25, 38.5)
    assert {path.name for path in files.inputs} >= {"MTD_MSIL2A.xml", "MTD_TL.xml"}


def test_several_dates_of_one_tile_in_one_folder(tmp_path):
    values = {}
    for day in ("20230818", "20220703"):
        stem = f"{day}T223529_{day}T223531_T03WXP"
        values[day] = numbers((4, 8, 8), seed=int(day))
        write_raster(tmp_path / "tile" / f"{stem}_SR.tif", values[day])
        write_raster(tmp_path / "tile" / f"{stem}_SCL.tif", np.full((8, 8), 4, np.uint8))
    first, second = find(tmp_path, s2_offset=0)
    assert [files.date.isoformat() for files in (first, second)] == ["2022-07-03", "2023-08-18"]
    assert first.scene_id == "tile_20220703T223529_20220703T223531_T03WXP"
    np.testing.assert_allclose(read(tmp_path, s2_offset=0).bands["red"], values["20220703"][2] / 10_000, atol=1e-7)


def test_a_store_of_a_scene(tmp_path):
    import rioxarray  # noqa: F401 -- gives cubes a reference system
    import xarray as xr

    rng = np.random.default_rng(0)
    names = {"B02_10m": "blue", "B03_10m": "green", "B04_10m": "red", "B08_10m": "nir"}
    axes = {"y": 7_600_000 - 10 * (np.arange(20) + 0.5), "x": 500_000 + 10 * (np.arange(30) + 0.5)}
    cube = xr.Dataset(
        {name: (("y", "x"), rng.integers(0, 6000, (20, 30)).astype(np.uint16), {"_FillValue": 0}) for name in names}
        | {"SCL_20m": (("y", "x"), rng.integers(0, 12, (20, 30)).astype(np.uint8))},
        coords=axes,
    ).rio.write_crs("EPSG:32603")
    store = tmp_path / "cdse-s2-sr-scene-S2B_MSIL2A_20210818T223529_N0500_R058_T03WXP_20230119T164502.zarr"
    cube.to_zarr(store)
    files = find(tmp_path)[0]
    assert (files.date.isoformat(), files.offset.value, files.place) == ("2021-08-18", -1000, "T03WXP")
    scene = read(tmp_path)
    empty = np.logical_or.reduce([cube[name].values == 0 for name in names]) | (cube["SCL_20m"].values == 0)
    np.testing.assert_array_equal(scene.quality == INVALID, empty)
    for name, band in names.items():
        expected = np.where(empty, np.nan, (cube[name].values - 1000.0) / 10_000)
        np.testing.assert_allclose(scene.bands[band], expected, atol=1e-6)


def test_blocks_give_the_same_values_as_the_whole(tmp_path):
    written = write_stack_scene(tmp_path, "a", height=100, width=64)
    whole = read(written.folder)
    reader = Sentinel2Reader(Sentinel2Config(sentinel2_dir=written.folder))
    files = reader.find(BANDS).scenes[0]
    parts = [reader.read(files, BANDS, Block(start, min(start + 37, 100))) for start in range(0, 100, 37)]
    np.testing.assert_array_equal(np.concatenate([part.quality for part in parts]), whole.quality)
    for band in BANDS:
        np.testing.assert_array_equal(np.concatenate([part.bands[band] for part in parts]), whole.bands[band])


def test_a_damaged_scene_does_not_hide_the_others(tmp_path):
    for name in "abc":
        write_stack_scene(tmp_path, name)
    damaged = next((tmp_path / "b").glob("*_SR*"))
    damaged.write_bytes(damaged.read_bytes()[:100])
    found = Sentinel2Reader(Sentinel2Config(sentinel2_dir=tmp_path)).find(BANDS)
    assert [files.scene_id[0] for files in found.scenes] == ["a", "c"]
    assert [scene.scene_id for scene in found.unusable] == ["b_20210818T223529_N0301_T03WXP"]
    assert damaged.name in found.unusable[0].reason


def test_degrees(tmp_path):
    from rasterio import Affine

    transform = Affine(2e-4, 0, -111.93, 0, -1e-4, 57.1)
    values = numbers((16, 8))
    write_raster(tmp_path / "s" / "B02.tif", values, crs="EPSG:4326", transform=transform)
    scene = read(tmp_path, ["blue"])
    np.testing.assert_allclose(scene.bands["blue"], values / 10_000, atol=1e-7)
    assert find(tmp_path, ["blue"])[0].grid.transform == transform


def test_unnamed_bands_are_named_by_the_user(tmp_path):
    values = numbers((3, 8, 8))
    write_raster(tmp_path / "s" / "anything.tif", values)
    with pytest.raises(SceneError, match=r"no bands can be recognised.*--source-bands"):
        find(tmp_path, ["blue"])
    scene = read(tmp_path, ["nir", "blue"], source_bands=("B8", "-", "blue"))
    np.testing.assert_allclose(scene.bands["nir"], values[0] / 10_000, atol=1e-7)
    np.testing.assert_allclose(scene.bands["blue"], values[2] / 10_000, atol=1e-7)
    with pytest.raises(SceneError, match=r"--source-bands must name every band .* holds 3, but names 2"):
        find(tmp_path, ["blue"], source_bands=("B8", "B2"))
    with pytest.raises(ConfigError, match="got 'B99'"):
        find(tmp_path, ["blue"], source_bands=("B99", "-", "-"))
    with pytest.raises(ConfigError, match="blue comes twice"):
        find(tmp_path, ["blue"], source_bands=("B2", "B02", "-"))


def test_the_file_that_has_as_many_bands_as_are_named(tmp_path):
    write_raster(tmp_path / "s" / "landsat.tif", numbers((2, 8, 8)))
    write_raster(tmp_path / "s" / "sentinel.tif", numbers((3, 8, 8)))
    assert find(tmp_path, ["blue"], source_bands=("B2", "B3", "B4"))[0].inputs[0].name == "sentinel.tif"
    write_raster(tmp_path / "s" / "another.tif", numbers((3, 8, 8)))
    with pytest.raises(SceneError, match="both look like one"):
        find(tmp_path, ["blue"], source_bands=("B2", "B3", "B4"))


def test_described_bands_need_no_help(tmp_path):
    values = numbers((3, 8, 8))
    values[2] = 4
    write_raster(tmp_path / "s" / "export.tif", values, descriptions=["B8", "B4", "SCL"])
    scene = read(tmp_path, ["red", "nir"])
    np.testing.assert_allclose(scene.bands["red"], values[1] / 10_000, atol=1e-7)
    assert (scene.quality == GOOD).all()
    assert find(tmp_path, ["red"])[0].notes == find(tmp_path, ["nir"])[0].notes
    assert not any("SCL" in note for note in find(tmp_path, ["red"])[0].notes)


def test_what_is_assumed_is_noted(tmp_path):
    write_raster(tmp_path / "s" / "B02.tif", numbers((8, 8)))
    notes = " ".join(find(tmp_path, ["blue"])[0].notes)
    assert "no scene classification" in notes
    assert "0 is taken" in notes
    assert find(tmp_path, ["blue"], s2_offset=-1000)[0].facts == {"s2_offset": -1000, "s2_offset_from": "--s2-offset"}


def test_scenes_come_sorted_and_folders_without_rasters_are_none(tmp_path):
    for name in ("b", "a", "C"):
        write_raster(tmp_path / name / "B02.tif", numbers((8, 8)))
    (tmp_path / "labels").mkdir()
    (tmp_path / "README.txt").touch()
    assert [files.scene_id for files in find(tmp_path, ["blue"])] == ["C", "a", "b"]


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_no_scenes(tmp_path, kind):
    root = tmp_path / "scenes"
    if kind == "empty":
        root.mkdir()
    if kind == "file":
        root.touch()
    with pytest.raises(SceneError, match="no scenes found" if kind == "empty" else "must be a folder"):
        find(root)


def test_a_scene_beside_scene_folders(tmp_path):
    write_raster(tmp_path / "B02.tif", numbers((8, 8)))
    write_raster(tmp_path / "a" / "B02.tif", numbers((8, 8)))
    with pytest.raises(SceneError, match="one scene or a folder of scenes"):
        find(tmp_path, ["blue"])


def test_missing_bands(tmp_path):
    write_raster(tmp_path / "s" / "B02.tif", numbers((8, 8)))
    with pytest.raises(SceneError, match="bands red, nir are needed, but the scene has only blue"):
        find(tmp_path, ["blue", "red", "nir"])


def test_two_reference_systems(tmp_path):
    write_raster(tmp_path / "s" / "B02.tif", numbers((8, 8)))
    write_raster(tmp_path / "s" / "B03.tif", numbers((8, 8)), crs="EPSG:32609")
    with pytest.raises(SceneError, match="one coordinate reference system"):
        find(tmp_path, ["blue", "green"])


def test_a_band_name_on_a_stack(tmp_path):
    write_raster(tmp_path / "s" / "B02.tif", numbers((3, 8, 8)))
    with pytest.raises(SceneError, match="named as the band blue, but holds 3 bands"):
        find(tmp_path, ["blue"])


def test_reflectance_where_numbers_belong(tmp_path):
    write_raster(tmp_path / "s" / "B02.tif", (numbers((8, 8)) / 10_000).astype(np.float32))
    with pytest.raises(SceneError, match="reflectance times 10000"):
        read(tmp_path, ["blue"])


def test_floats_and_their_nodata(tmp_path):
    values = numbers((8, 8)).astype(np.float32)
    values[0, :3] = [-9999, np.nan, np.inf]
    write_raster(tmp_path / "s" / "B02.tif", values, nodata=-9999)
    scene = read(tmp_path, ["blue"])
    assert np.isnan(scene.bands["blue"][0, :3]).all()
    assert np.isnan(scene.bands["blue"]).sum() == 3
