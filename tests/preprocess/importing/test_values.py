"""What is in the dataset is what was in the files: values, labels, what is missing, and what is doubted."""

import json
import logging
import struct
import zlib

import cv2
import geopandas as gpd
import numpy as np
import pytest
from pyproj import Transformer
from rasterio import Affine

from darts.core.errors import DatasetError
from darts.dataset.manifest import read_manifest
from darts.dataset.schema import IGNORE
from darts.preprocess.importing.values import BandSeen, Seen

from .conftest import (
    ATOL,
    RANGES,
    SIZE,
    WRITERS,
    checked,
    leave_out,
    mask_of,
    numbers,
    run,
    scaled,
    write_npy,
    write_pairs,
    write_png,
    write_tif,
)


@pytest.mark.parametrize("masks", WRITERS)
@pytest.mark.parametrize("images", [".npy", ".tif", ".tiff"])
def test_x_and_y_are_those_of_plain_arithmetic_whatever_the_files(tmp_path, images, masks):
    names = ["b", "a", "c.d"]
    write_pairs(tmp_path, names, images=images, masks=masks, bands=4)
    result = run(tmp_path, bands="green,nir", image_bands="3,1", offset=0.01)
    dataset = checked(tmp_path)
    assert dataset.metadata["patch_id"].tolist() == ["a", "b", "c.d"]
    for row, seed in enumerate([1, 0, 2]):
        raw = numbers(seed, bands=4)[[2, 0]]
        expected = scaled(raw, bands=("green", "nir"), offset=0.01)
        np.testing.assert_allclose(dataset.read_x(row), expected, atol=ATOL)
        np.testing.assert_array_equal(dataset.read_y(row), mask_of(seed))
    assert (result.n_patches, result.n_regions, result.roles, result.split_file) == (3, 3, {}, None)
    assert result.positive_share == pytest.approx(np.mean([mask_of(seed) for seed in range(3)]))


RAW = numbers(5, bands=SIZE)


@pytest.mark.parametrize(
    ("array", "channels"),
    [
        pytest.param(RAW[:3], RAW[:3], id="channels, height, width"),
        pytest.param(np.moveaxis(RAW[:3], 0, -1), RAW[:3], id="height, width, channels"),
        pytest.param(RAW, RAW[:3], id="as many channels as rows"),
        pytest.param(RAW[0], RAW[:1], id="height, width"),
        pytest.param(RAW[:3].astype(">f4"), RAW[:3], id="big-endian floats"),
        pytest.param(np.asfortranarray(RAW[:3].astype(np.float64)), RAW[:3], id="columns first"),
    ],
)
def test_the_layouts_of_an_array(tmp_path, array, channels):
    bands = ("blue", "green", "red")[: len(channels)]
    write_npy(tmp_path / "images" / "a.npy", array)
    write_npy(tmp_path / "masks" / "a.npy", mask_of(0)[None])
    run(tmp_path, bands=bands)
    np.testing.assert_allclose(checked(tmp_path).read_x(0), scaled(channels, bands=bands), atol=ATOL)


def test_a_picture_of_eight_bits_in_a_range_of_its_own(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE)).astype(np.uint8)
    write_png(tmp_path / "images" / "a.png", picture)
    write_png(tmp_path / "masks" / "a.png", mask_of(0) * 255)
    run(
        tmp_path, bands="red,green,blue", scale=1, positive_values=255,
        band_ranges="red:0:255,green:0:255,blue:0:255",
    )  # fmt: skip
    dataset = checked(tmp_path)
    np.testing.assert_allclose(dataset.read_x(0), picture[:3] / 255, atol=ATOL)
    np.testing.assert_array_equal(dataset.read_y(0), mask_of(0))
    bands = read_manifest(tmp_path / "out").bands
    assert [(band.lo, band.hi, band.unit, band.fill) for band in bands] == [(0, 255, "1", 0)] * 3


def test_a_picture_of_sixteen_bits(tmp_path):
    picture = np.random.default_rng(0).integers(0, 65536, (1, SIZE, SIZE)).astype(np.uint16)
    write_png(tmp_path / "images" / "a.png", picture)
    write_npy(tmp_path / "masks" / "a.npy", mask_of(0))
    run(tmp_path, bands="vv", scale=1, band_ranges="vv:0:65535")
    np.testing.assert_allclose(checked(tmp_path).read_x(0), picture / 65535, atol=ATOL)


def test_a_missing_value_is_filled_and_its_pixel_ignored(tmp_path):
    raw = numbers(0).astype(np.float32)
    raw[0, 0, :3] = -9999
    raw[1, 1, 1] = np.nan
    raw[2, 2, 2] = np.inf
    write_npy(tmp_path / "images" / "a.npy", raw)
    write_npy(tmp_path / "masks" / "a.npy", np.ones((SIZE, SIZE), np.uint8))
    write_pairs(tmp_path, ["b"])
    result = run(tmp_path, nodata=-9999, exclude_nan=False, band_ranges="green:-1:1")
    dataset = checked(tmp_path)
    missing = ~np.isfinite(np.where(raw == -9999, np.nan, raw))
    np.testing.assert_array_equal(dataset.read_y(0), np.where(missing.any(axis=0), 2, 1))
    fills = [band.fill for band in dataset.manifest.bands]
    for channel, holes, fill in zip(dataset.read_x(0), missing, fills, strict=True):
        np.testing.assert_allclose(channel[holes], fill, atol=ATOL)
    expected = scaled(np.where(missing, 0, raw), ranges=RANGES | {"green": (-1, 1)})
    np.testing.assert_allclose(dataset.read_x(0)[~missing], expected[~missing], atol=ATOL)
    assert result.seen.bands[0].count == 2 * SIZE**2 - 3
    assert result.ignored_share == 5 / (2 * SIZE**2)


def test_patches_with_missing_values_are_dropped_unless_told_otherwise(tmp_path):
    write_pairs(tmp_path, ["a", "b"], images=".tif")
    raw = numbers(7)
    raw[1, 3, 4] = -1
    write_tif(tmp_path / "images" / "c.tif", raw, nodata=-1)  # the file says so itself
    write_npy(tmp_path / "masks" / "c.npy", mask_of(7))
    result = run(tmp_path)
    assert (result.n_patches, result.dropped) == (2, {"missing values": 1})
    run(tmp_path, exclude_nan=False, force=True)
    assert checked(tmp_path).read_y(2)[3, 4] == 2


def test_masks_say_what_is_positive_and_what_nobody_labelled(tmp_path):
    write_pairs(tmp_path, ["a", "b"])
    labels = np.full((SIZE, SIZE), np.nan, np.float32)
    labels[0, :4] = [3, 7, 0, 200]
    labels[1, :2] = [0.5, np.inf]
    write_npy(tmp_path / "masks" / "a.npy", labels)
    result = run(tmp_path, positive_values="3,7", ignore_values="200")
    y = checked(tmp_path).read_y(0)
    assert y[0, :4].tolist() == [1, 1, 0, 2]
    assert y[1, :2].tolist() == [0, 2]
    assert (y.ravel()[4:SIZE] == 2).all()
    assert (y[2:] == 2).all()
    assert result.seen.mask_values == (0, 0.5, 1, 3, 7, 200)


def test_labels_may_be_sparse_but_not_absent(tmp_path):
    write_pairs(tmp_path, ["a", "b", "c"])
    labels = np.full((SIZE, SIZE), np.nan, np.float32)
    write_npy(tmp_path / "masks" / "b.npy", labels)
    labels[4, 5] = 0
    write_npy(tmp_path / "masks" / "c.npy", labels)
    result = run(tmp_path)
    assert result.dropped == {"no labelled pixel": 1}
    assert checked(tmp_path).metadata["ignored_pixels"].tolist() == [0, SIZE**2 - 1]
    result = run(tmp_path, force=True, exclude_nopositive=True)
    assert result.dropped == {"no labelled pixel": 1, "no positive pixel": 1}


def test_a_dataset_needs_a_patch(tmp_path):
    write_pairs(tmp_path, ["a", "b"])
    with pytest.raises(
        DatasetError, match=r"all 2 patches were dropped \(2 for no positive pixel\).*--positive-values"
    ):
        run(tmp_path, positive_values=9, exclude_nopositive=True)
    assert leave_out(tmp_path / "out") == set()
    assert run(tmp_path).n_patches == 2


def test_values_outside_of_the_range_are_counted_and_doubted(tmp_path, caplog):
    write_pairs(tmp_path, ["a", "b"])
    raw = np.stack([numbers(0), numbers(1)])
    with caplog.at_level(logging.WARNING, "darts"):
        result = run(tmp_path, scale=2e-4, bands="blue,green,red")
    for index, seen in enumerate(result.seen.bands):
        values = raw[:, index] * 2e-4
        assert (seen.count, seen.clipped) == (values.size, (values > 0.5 + 1e-6).sum())
        assert (seen.low, seen.high) == pytest.approx((values.min(), values.max()))
    assert "more than 1% of the values of some bands lie outside of their range" in caplog.text
    assert f"{result.seen.bands[0].clipped_share:.1%} clipped" in caplog.text
    assert "--scale" in caplog.text


def test_values_that_all_but_vanish_in_their_range_are_doubted(tmp_path, caplog):
    write_pairs(tmp_path, ["a"])
    run(tmp_path, scale=1e-7)
    assert "take up less than 1% of their range: blue (" in caplog.text
    assert "outside" not in caplog.text


def test_masks_without_a_positive_value_are_doubted(tmp_path, caplog):
    write_pairs(tmp_path, ["a"])
    write_npy(tmp_path / "masks" / "a.npy", mask_of(0) * 255)
    run(tmp_path)
    assert "no mask that was read holds a positive value (1), only 0, 255; look at --positive-values" in caplog.text


def test_what_is_plausible_is_not_doubted(tmp_path, caplog):
    run(write_pairs(tmp_path, ["a", "b"]))
    assert not caplog.records


def test_what_was_seen_doesnt_depend_on_the_order():
    rng = np.random.default_rng(0)
    parts = [
        Seen((BandSeen(int(n), int(n) // 2, float(low), float(low + 1)), BandSeen()), tuple(sorted(rng.random(9))))
        for n, low in zip(rng.integers(1, 99, 3), rng.random(3), strict=True)
    ]
    a, b, c = parts
    assert a.merged(b).merged(c) == c.merged(a).merged(b) == a.merged(b.merged(c))
    assert a.merged(Seen((BandSeen(), BandSeen()))) == a
    assert Seen.from_facts(json.loads(json.dumps(a.as_facts()))) == a
    assert len(a.merged(b).mask_values) == 16


def test_masks_of_many_numbers_are_doubted_too_when_none_is_positive(tmp_path, caplog):
    write_pairs(tmp_path, ["a"])
    write_npy(tmp_path / "masks" / "a.npy", np.arange(SIZE * SIZE).reshape(SIZE, SIZE) + 2)
    result = run(tmp_path)
    assert "positive value (1), only 2, 3, " in caplog.text
    assert "17, and maybe more; look" in caplog.text
    assert result.n_positive_patches == 0


def test_a_transparent_colour_is_no_missing_value(tmp_path):
    write_pairs(tmp_path, ["a"])
    (tmp_path / "images" / "a.npy").unlink()
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[..., 0] = 255
    coded = cv2.imencode(".png", image[..., ::-1])[1].tobytes()
    (tmp_path / "images" / "a.png").write_bytes(with_transparent_colour(coded, (255, 0, 0)))
    run(tmp_path, exclude_nan=False, scale=1 / 255)
    assert not (checked(tmp_path).read_y(0) == IGNORE).any()


def with_transparent_colour(png, colour):
    """The bytes of a PNG file with a tRNS chunk, which comes before the pixels."""
    body = b"tRNS" + struct.pack(">3H", *colour)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    at = png.index(b"IDAT") - 4
    return png[:at] + chunk + png[at:]


def test_labels_across_the_antimeridian_are_in_two_parts(tmp_path):
    x, y = Transformer.from_crs(4326, 32601, always_xy=True).transform(180, 71)
    transform = Affine.translation(x - 80, y + 80) @ Affine.scale(10, -10)
    labels = np.zeros((SIZE, SIZE), np.uint8)
    labels[4:12, 2:14] = 1
    labels[6:8, 5:7] = 0
    write_tif(tmp_path / "images" / "a.tif", numbers(0), crs="EPSG:32601", transform=transform)
    write_tif(tmp_path / "masks" / "a.tif", labels, crs="EPSG:32601", transform=transform)
    run(tmp_path)
    found = gpd.read_file(tmp_path / "out" / "labels.geojson")
    assert len(found) == 1
    parts = found.geometry.explode().to_crs(32601)
    assert len(parts) == 2
    assert parts.area.sum() == pytest.approx(100 * labels.sum(), rel=1e-3)
