"""What every reader of scenes promises, whichever sensor it is for."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from darts.core.errors import SceneError
from darts.preprocess.config import Sentinel2Config
from darts.preprocess.planet import PlanetReader
from darts.preprocess.scenes import GOOD, INVALID, LOW, Block
from darts.preprocess.sentinel2 import Sentinel2Reader

BANDS = ("red", "nir", "blue")
SHAPE = (90, 70)


def write(path: Path, values: np.ndarray, pixel: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    place = {"crs": "EPSG:32608", "transform": Affine(pixel, 0, 500_000, 0, -pixel, 7_600_000)}
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=values.dtype, nodata=0, **place
    ) as target:
        target.write(values)


def numbers(seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).integers(1, 9000, (4, *SHAPE)).astype(np.uint16)
    values[:, :7] = 0
    values[3, 40, 30] = 0
    return values


def write_sentinel2(root: Path, name: str, seed: int) -> Path:
    classes = np.random.default_rng(seed).choice(np.array([4, 5, 9, 3], np.uint8), (1, *SHAPE))
    stem = f"20210{seed + 1}18T223529_N0301_T03WXP"
    write(root / name / f"{stem}_SR.tif", numbers(seed), 10)
    write(root / name / f"{stem}_SCL.tif", classes, 10)
    return root / name / f"{stem}_SR.tif"


def write_planet(root: Path, name: str, seed: int) -> Path:
    image_id = f"20210{seed + 1}18_223529_1{seed}_2459"
    mask = np.zeros((8, *SHAPE), np.uint8)
    mask[5] = np.random.default_rng(seed).random(SHAPE) < 0.2
    write(root / name / f"{image_id}_3B_AnalyticMS_SR.tif", numbers(seed), 3)
    write(root / name / f"{image_id}_3B_udm2.tif", mask, 3)
    return root / name / f"{image_id}_3B_AnalyticMS_SR.tif"


@dataclass
class Sensor:
    """A reader, its scenes on disk, and the files of their pixels."""

    reader: Any
    root: Path
    files: list[Path]


@pytest.fixture(params=["sentinel2", "planet"])
def sensor(request, tmp_path) -> Sensor:
    writer = {"sentinel2": write_sentinel2, "planet": write_planet}[request.param]
    root = tmp_path / "scenes"
    files = [writer(root, name, seed) for seed, name in enumerate(("c", "a", "b"))]
    readers = {
        "sentinel2": lambda: Sentinel2Reader(Sentinel2Config(sentinel2_dir=root)),
        "planet": lambda: PlanetReader(root),
    }
    return Sensor(readers[request.param](), root, files)


def whole(scene) -> Block:
    return Block(0, scene.grid.height)


def test_scenes_are_found_in_an_order_of_their_names(sensor):
    found = sensor.reader.find(BANDS)
    ids = [scene.scene_id for scene in found.scenes]
    assert (len(ids), found.unusable) == (3, ())
    assert ids == sorted(ids)
    assert [scene.scene_id for scene in sensor.reader.find(BANDS).scenes] == ids


def test_a_scene_says_what_it_is(sensor):
    for scene in sensor.reader.find(BANDS).scenes:
        assert scene.grid.shape == SHAPE
        assert scene.date.year == 2021
        assert scene.place
        assert scene.sun is None
        assert scene.folder.is_dir()
        assert all(path.is_file() for path in scene.inputs)
        assert list(scene.inputs) == sorted(set(scene.inputs))
        assert all(isinstance(value, (str, int, float)) for value in scene.facts.values())


def test_values_are_reflectance_and_missing_where_the_quality_says_so(sensor):
    for scene in sensor.reader.find(BANDS).scenes:
        rows = sensor.reader.read(scene, BANDS, whole(scene))
        assert set(rows.bands) == set(BANDS)
        assert rows.quality.dtype == np.uint8
        assert set(np.unique(rows.quality)) == {INVALID, LOW, GOOD}
        for values in rows.bands.values():
            assert (values.dtype, values.shape) == (np.float32, SHAPE)
            np.testing.assert_array_equal(np.isnan(values), rows.quality == INVALID)
            assert 0 < np.nanmin(values) < np.nanmax(values) <= 0.9


def test_only_the_bands_that_are_asked_for_decide_where_there_is_no_value(sensor):
    scene = sensor.reader.find(("red",)).scenes[0]
    rows = sensor.reader.read(scene, ("red",), whole(scene))
    assert rows.quality[40, 30] != INVALID
    assert (rows.quality[:7] == INVALID).all()


@pytest.mark.parametrize("step", [1, 33, 64])
def test_a_value_does_not_depend_on_its_block(sensor, step):
    scene = sensor.reader.find(BANDS).scenes[0]
    one = sensor.reader.read(scene, BANDS, whole(scene))
    parts = [
        sensor.reader.read(scene, BANDS, Block(start, min(start + step, SHAPE[0])))
        for start in range(0, SHAPE[0], step)
    ]
    np.testing.assert_array_equal(np.concatenate([part.quality for part in parts]), one.quality)
    for name in BANDS:
        np.testing.assert_array_equal(np.concatenate([part.bands[name] for part in parts]), one.bands[name])


def test_reader_and_scenes_go_to_other_processes(sensor):
    scene = sensor.reader.find(BANDS).scenes[0]
    reader, sent = pickle.loads(pickle.dumps((sensor.reader, scene)))
    rows, again = (one.read(files, BANDS, whole(scene)) for one, files in ((sensor.reader, scene), (reader, sent)))
    np.testing.assert_array_equal(rows.bands["red"], again.bands["red"])


def test_a_scene_whose_header_is_damaged_is_named_and_the_others_are_found(sensor):
    names = {scene.scene_id for scene in sensor.reader.find(BANDS).scenes}
    sensor.files[1].write_bytes(sensor.files[1].read_bytes()[:90])
    found = sensor.reader.find(BANDS)
    assert len(found.scenes) == 2
    (lost,) = found.unusable
    assert {lost.scene_id, *(scene.scene_id for scene in found.scenes)} == names
    assert sensor.files[1].name in lost.reason


def test_damaged_pixels_are_an_error_that_names_the_file(sensor):
    scene = sensor.reader.find(BANDS).scenes[0]
    damaged = next(path for path in sensor.files if path in scene.inputs)
    damaged.write_bytes(damaged.read_bytes()[:-4000])
    with pytest.raises(SceneError, match=damaged.name):
        sensor.reader.read(scene, BANDS, whole(scene))


def test_a_band_that_no_scene_has(sensor):
    found = sensor.reader.find((*BANDS, "swir16"))
    assert found.scenes == ()
    assert len(found.unusable) == 3
    assert all("swir16" in scene.reason for scene in found.unusable)


def test_nothing_to_find(sensor, tmp_path):
    for path in sensor.root.rglob("*.tif"):
        path.unlink()
    with pytest.raises(SceneError, match="scenes"):
        sensor.reader.find(BANDS)
