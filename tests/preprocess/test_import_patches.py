"""Ready patches become a dataset: the values, the labels, what belongs together, and what is refused."""

import json
import logging
import os
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio import Affine
from shapely.geometry import Polygon, shape

from darts.core.config import build_config, resolved_settings
from darts.core.errors import ConfigError, DatasetError, SceneError
from darts.dataset.check import check_structure
from darts.dataset.config import InspectionConfig
from darts.dataset.inspection import plan_inspection, write_inspection
from darts.dataset.manifest import read_manifest
from darts.dataset.writer import DatasetWriter
from darts.preprocess import import_patches, plan_import_patches
from darts.preprocess.importing.config import ImportConfig
from darts.preprocess.importing.values import BandSeen, Seen
from factories import problems_of

from .conftest import UTM, pixels, square, write_raster

SIZE = 16
RANGES = {"coastal": (-0.1, 0.5), "blue": (-0.1, 0.5), "green": (-0.1, 0.5), "red": (-0.1, 0.5), "nir": (-0.1, 0.5)}
ATOL = 1.1e-5
LOCKS = {".lock", ".lock-holder.json"}


def write_npy(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return path


def write_png(path, array):
    return write_raster(path, array, crs=None, transform=Affine.identity(), driver="PNG")


def write_tif(path, array, **options):
    return write_raster(path, array, **({"crs": None, "transform": Affine.identity()} | options))


WRITERS = {".npy": write_npy, ".png": write_png, ".tif": write_tif, ".tiff": write_tif}


def numbers(seed, *, bands=3, dtype=np.int16, size=SIZE):
    return np.random.default_rng(seed).integers(1, 5000, (bands, size, size)).astype(dtype)


def mask_of(seed, *, size=SIZE):
    return (np.random.default_rng(seed + 1000).random((size, size)) < 0.3).astype(np.uint8)


def write_pairs(root, names, *, images=".npy", masks=".npy", bands=3):
    for seed, name in enumerate(names):
        WRITERS[images](root / "images" / f"{name}{images}", numbers(seed, bands=bands))
        WRITERS[masks](root / "masks" / f"{name}{masks}", mask_of(seed))
    return root


def settings(root, **more):
    usual = {"images_dir": root / "images", "masks_dir": root / "masks", "train_data_dir": root / "out"}
    return {**usual, "bands": "blue,green,red", "scale": 1e-4, **more}


def run(root, **more):
    return import_patches(**settings(root, **more))


def checked(root):
    """The dataset, after every value of it was checked."""
    dataset = check_structure(root / "out")
    assert not any(problems_of(dataset))
    return dataset


def scaled(raw, *, bands=("blue", "green", "red"), scale=1e-4, offset=0.0, ranges=RANGES):
    """x in float64."""
    lo, hi = (np.array([ranges[band][end] for band in bands])[:, None, None] for end in (0, 1))
    return np.clip((raw.astype(np.float64) * scale + offset - lo) / (hi - lo), 0, 1)


def tree(directory):
    files = (path for path in directory.rglob("*") if path.is_file() and path.name not in LOCKS)
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def leave_out(directory):
    """Nothing but locks is left in a folder."""
    return {path.name for path in directory.iterdir()} - LOCKS if directory.exists() else set()


# --- values


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


# --- missing values and labels


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


# --- a wrong scale


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
    assert "no mask holds a positive value (1), only 0, 255; look at --positive-values" in caplog.text


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


# --- names, folders and groups


def test_folders_become_a_split_file(tmp_path):
    names = ["train/b", "train/a", "val/a", "test/deep/x", "train/nothing"]
    write_pairs(tmp_path, names)
    write_npy(tmp_path / "masks" / "train" / "nothing.npy", np.full((SIZE, SIZE), np.nan))
    result = run(tmp_path)
    assert result.roles == {"train": 2, "val": 1, "test": 1}
    split = pd.read_parquet(tmp_path / "out" / "split.parquet")
    assert result.split_file == tmp_path / "out" / "split.parquet"
    assert list(zip(split["patch_id"], split["role"], split["fold"], strict=True)) == [
        ("train/a", "train", 0),
        ("train/b", "train", 0),
        ("val/a", "val", 0),
        ("test/deep/x", "test", 0),
    ]
    metadata = checked(tmp_path).metadata
    assert metadata["patch_id"].tolist() == split["patch_id"].tolist()
    # Files of the same name in two folders are not said to be of one place.
    assert metadata["sample_id"].tolist() == metadata["region"].tolist() == metadata["patch_id"].tolist()


def test_a_lost_split_file_is_written_again(tmp_path):
    write_pairs(tmp_path, ["train/a", "val/b"])
    run(tmp_path)
    before = tree(tmp_path / "out")
    (tmp_path / "out" / "split.parquet").unlink()
    assert run(tmp_path).already_complete
    assert tree(tmp_path / "out") == before
    run(tmp_path, force=True)
    assert tree(tmp_path / "out") == before


def test_a_folder_of_a_role_may_be_a_link(tmp_path):
    write_pairs(tmp_path / "there", ["a"])
    write_pairs(tmp_path, ["val/b"])
    for folder in ("images", "masks"):
        (tmp_path / folder / "train").symlink_to(tmp_path / "there" / folder)
    assert run(tmp_path).roles == {"train": 1, "val": 1, "test": 0}


def test_both_or_none_are_divided(tmp_path):
    write_pairs(tmp_path, ["train/a"])
    (tmp_path / "masks" / "train").rename(tmp_path / "masks" / "all")
    with pytest.raises(SceneError, match=r"if one of --images-dir and --masks-dir has folders train, val or test"):
        run(tmp_path)


def test_files_beside_the_folders_are_not_lost_in_silence(tmp_path):
    write_pairs(tmp_path, ["train/a", "stray"])
    with pytest.raises(SceneError, match=r"is divided into train, but stray\.npy lie beside"):
        run(tmp_path)


def test_images_and_masks_without_a_counterpart_are_named_and_counted(tmp_path, caplog):
    write_pairs(tmp_path, ["a", "b"])
    for number in range(7):
        write_npy(tmp_path / "images" / f"lone{number}.npy", numbers(number))
    write_npy(tmp_path / "masks" / "z.npy", mask_of(0))
    message = (
        r"of 9 images and 3 masks 7 images have no mask: lone0, lone1, lone2, lone3, lone4 and 2 more; 1 mask has no image: "
        r"z; .*--skip-unmatched"
    )
    with pytest.raises(SceneError, match=message):
        run(tmp_path)
    result = run(tmp_path, skip_unmatched=True)
    assert (result.n_patches, result.left_out) == (2, 8)
    assert "8 files without a counterpart are left out." in caplog.text


def test_two_files_of_one_name_are_refused(tmp_path):
    write_pairs(tmp_path, ["a"])
    write_tif(tmp_path / "images" / "a.tif", numbers(0))
    with pytest.raises(SceneError, match=r"each name stands for one file, but .* has a\.npy and a\.tif"):
        run(tmp_path)


@pytest.mark.parametrize("missing", ["images", "masks"])
def test_a_missing_folder_is_named(tmp_path, missing):
    write_pairs(tmp_path, ["a"])
    (tmp_path / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(SceneError, match=rf"--{missing}-dir must be a folder, but there is no folder .*{missing}"):
        run(tmp_path)


def test_endings_are_taken_off_before_names_are_compared(tmp_path):
    for seed, name in enumerate(["A1", "B2"]):
        write_tif(tmp_path / "tiles" / f"{name}_satellite.tif", numbers(seed))
        write_tif(tmp_path / "tiles" / f"{name}_kelp.tif", mask_of(seed))
    folders = {"images_dir": tmp_path / "tiles", "masks_dir": tmp_path / "tiles"}
    run(tmp_path, **folders, image_ending="_satellite", mask_ending="_kelp")
    assert checked(tmp_path).metadata["patch_id"].tolist() == ["A1", "B2"]
    with pytest.raises(ConfigError, match="the same folder, so that --image-ending or --mask-ending must tell"):
        run(tmp_path, **folders)


def write_groups(path, groups):
    """The same groups in the form that the suffix, and for JSON the name, says."""
    table = pd.DataFrame({"name": list(groups), "group": list(groups.values())})
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        members = table.groupby("group")["name"].agg(list)
        forms = {"object": groups, "members": members.to_dict(), "lists": members.to_list()}
        path.write_text(json.dumps(forms[path.stem]))
    return path


@pytest.mark.parametrize("file", ["object.json", "members.json", "lists.json", "table.csv", "table.parquet"])
def test_groups_become_regions(tmp_path, file):
    write_pairs(tmp_path, ["a", "b", "c"])
    groups = {"a": "0", "b": "1", "c.npy": "0", "not here": "1"}
    result = run(tmp_path, groups_file=write_groups(tmp_path / file, groups))
    assert checked(tmp_path).metadata["region"].tolist() == ["0", "1", "0"]
    assert result.n_regions == 2


def test_groups_may_be_numbers_and_name_patches_with_or_without_their_folder(tmp_path, caplog):
    write_pairs(tmp_path, ["train/a", "train/b", "val/a"])
    (tmp_path / "groups.json").write_text('{"a": 7, "train/b": 8, "val/a": 8}')
    run(tmp_path, groups_file=tmp_path / "groups.json")
    assert checked(tmp_path).metadata["region"].tolist() == ["7", "8", "8"]
    assert "1 of 2 groups lie in several of the folders train, val and test (8)" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("g.json", '{"a": "x"}', r"gives every patch a group, but 1 of 2 have none: b"),
        ("g.json", '[["a"], ["a", "b"]]', r"gives each patch one group, but a several"),
        ("g.json", '{"a": "x", "b": ""}', "a name is empty"),
        ("g.json", '{"a": 1.5, "b": 2}', "neither text nor a whole number"),
        ("g.json", '["a", "b"]', "'a' is no list of patches"),
        ("g.json", "7", "can't be read so"),
        ("g.json", '{"a": ', "can't be read so"),
        ("g.csv", "patch,group\na,b\n", "can't be read so"),
        ("g.csv", "", "can't be read so"),
        ("g.parquet", "PAR1", "can't be read so"),
        ("g.txt", "a b", r"is \.json, \.csv or \.parquet"),
        ("g.json", None, "can't be read so"),
    ],
)
def test_a_groups_file_that_is_none_is_refused(tmp_path, name, content, message):
    write_pairs(tmp_path, ["a", "b"])
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(SceneError, match=rf"--groups-file.*{message}"):
        run(tmp_path, groups_file=tmp_path / name)


# --- files that don't fit


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        (numbers(0, size=9), mask_of(0, size=9), r"have one size, here 16 x 16 pixels, but 1 of 3 differ: .*z\.npy has 9 x"),
        (numbers(0), mask_of(0, size=20), r"have one size, here 16 x 16 pixels, but 1 of 3 differ: .*masks/z\.npy has 20"),
        (numbers(0)[:, :10], mask_of(0), r"images are square, but 1 of 3 differ: .*images/z\.npy has 16 x 10 pixels in 3"),
        (numbers(0, bands=2), mask_of(0), r"have the channel 3 .*but 1 of 3 differ: .*in 2 channels"),
        (numbers(0), numbers(0, bands=2), r"masks have one channel, but 1 of 3 differ: .*masks/z\.npy"),
    ],
)  # fmt: skip
def test_what_is_unlike_the_others_is_named_and_counted(tmp_path, image, mask, message):
    write_pairs(tmp_path, ["a", "b"])
    write_npy(tmp_path / "images" / "z.npy", image)
    write_npy(tmp_path / "masks" / "z.npy", mask)
    with pytest.raises(SceneError, match=message):
        run(tmp_path)
    assert not (tmp_path / "out").exists()


def test_patches_are_square(tmp_path):
    for name in "ab":
        write_npy(tmp_path / "images" / f"{name}.npy", numbers(0)[:, :10])
        write_npy(tmp_path / "masks" / f"{name}.npy", mask_of(0)[:10])
    with pytest.raises(SceneError, match=r"images are square, but 2 of 2 differ: .*a\.npy has 16 x 10 pixels"):
        run(tmp_path)


def cut(path, keep):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [lambda path: cut(path, 0.5), lambda path: cut(path, 0.05), lambda path: cut(path, 0)])
@pytest.mark.parametrize("suffix", [".npy", ".tif", ".png"])
@pytest.mark.parametrize("kind", ["images", "masks"])
def test_a_damaged_file_is_named_and_nothing_is_left(tmp_path, kind, suffix, harm, no_noise):
    write_pairs(tmp_path, ["a", "b"], masks=suffix) if kind == "masks" else None
    if kind == "images":
        for seed, name in enumerate("ab"):
            WRITERS[suffix](tmp_path / "images" / f"{name}{suffix}", numbers(seed, dtype=np.uint16))
            write_npy(tmp_path / "masks" / f"{name}.npy", mask_of(seed))
    harm(tmp_path / kind / f"b{suffix}")
    with pytest.raises(SceneError, match=rf"{kind}/b\{suffix} must be a whole \{suffix} file of numbers, but can't be"):
        run(tmp_path)
    assert leave_out(tmp_path / "out") == set()


def test_a_bit_that_flips_in_a_png_is_noticed(tmp_path, no_noise):
    for name in "ab":
        write_png(tmp_path / "images" / f"{name}.png", numbers(0, dtype=np.uint8))
        write_npy(tmp_path / "masks" / f"{name}.npy", mask_of(0))
    flip(tmp_path / "images" / "b.png")
    with pytest.raises(SceneError, match=r"b\.png must be a whole"):
        run(tmp_path, scale=1)


@pytest.mark.parametrize(
    "array", [np.array([{"a": 1}] * 4).reshape(2, 2), np.zeros((3, SIZE, SIZE), complex), np.zeros(7)]
)
def test_an_array_that_is_no_image_is_refused(tmp_path, array):
    write_pairs(tmp_path, ["a"])
    np.save(tmp_path / "images" / "a.npy", array, allow_pickle=True)
    with pytest.raises(SceneError, match=r"a\.npy must be a whole \.npy file of numbers"):
        run(tmp_path)


# --- settings


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bands": "blue,swir1"}, "'swir1' has no usual range; give --band-ranges swir1:lo:hi, or use .*swir16"),
        ({"bands": "blue,blue"}, "none twice, but got 'blue, blue'"),
        ({"bands": ""}, "at least one band"),
        ({"image_bands": "1,2"}, "one number for each of the 3 bands of --bands, but gives 2"),
        ({"image_bands": "1,2,2"}, "each channel once, but got 1, 2, 2"),
        ({"image_bands": "0,1,2"}, "--image-bands"),
        ({"band_ranges": "blue:1:0"}, "name:lo:hi with lo below hi"),
        ({"band_ranges": "blue:0:1,blue:0:2"}, "each name once"),
        ({"band_ranges": "nir:0:1"}, "names nir, which is none of the bands"),
        ({"scale": 0}, "--scale"),
        ({"positive_values": "1,2", "ignore_values": "2"}, "must differ, but both have 2"),
        ({"positive_values": ""}, "at least one value must be positive"),
    ],
)
def test_settings_that_cant_be_meant(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        run(tmp_path, **change)


def test_settings_of_a_dataset_given_again_are_the_same():
    config = build_config(ImportConfig, settings(Path("r"), groups_file="g.json", nodata=[-1, 2]))
    assert build_config(ImportConfig, resolved_settings(config)) == config
    for name, field in ImportConfig.model_fields.items():
        assert field.description, name
        assert field.description.rstrip().endswith("."), name


# --- stopped, started again


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr("darts.preprocess.importing.pipeline.BATCH", 2)


@pytest.mark.parametrize("commits", range(4))
@pytest.mark.parametrize("when", ["before", "after"])
def test_stopped_at_a_commit_and_started_again_it_ends_with_the_same_bytes(
    tmp_path, small_batches, monkeypatch, commits, when
):
    write_pairs(tmp_path, [f"train/{number}" for number in range(7)])
    run(tmp_path, train_data_dir=tmp_path / "undisturbed")
    real, calls = DatasetWriter.commit, []

    def commit(writer, scene):
        calls.append(scene)
        if len(calls) == commits + 1:
            if when == "after":
                real(writer, scene)
            raise KeyboardInterrupt
        real(writer, scene)

    with monkeypatch.context() as patched:
        patched.setattr(DatasetWriter, "commit", commit)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    result = run(tmp_path)
    assert result.resumed_patches == min(2 * (commits + (when == "after")), 7)
    assert not result.already_complete
    assert tree(tmp_path / "out") == tree(tmp_path / "undisturbed")


@pytest.mark.slow
def test_bytes_dont_depend_on_how_many_work(tmp_path, small_batches):
    write_pairs(tmp_path, [str(number) for number in range(5)])
    run(tmp_path, workers=1)
    run(tmp_path, workers=2, train_data_dir=tmp_path / "two")
    assert tree(tmp_path / "two") == tree(tmp_path / "out")


def test_a_finished_dataset_is_left_as_it_is(tmp_path):
    write_pairs(tmp_path, ["a", "b"])
    first = run(tmp_path)
    before = tree(tmp_path / "out")
    again = run(tmp_path)
    assert (first.already_complete, again.already_complete) == (False, True)
    assert (again.n_patches, again.seen) == (first.n_patches, first.seen)
    assert tree(tmp_path / "out") == before


def test_a_damaged_file_in_a_later_batch_costs_nothing_of_the_earlier(tmp_path, small_batches):
    write_pairs(tmp_path, ["a", "b", "c"], images=".tif")
    whole = (tmp_path / "images" / "c.tif").read_bytes()
    cut(tmp_path / "images" / "c.tif", 0.7)
    with pytest.raises(SceneError, match=r"c\.tif"):
        run(tmp_path)
    (tmp_path / "images" / "c.tif").write_bytes(whole)
    assert run(tmp_path).resumed_patches == 2


def change_image(root):
    write_npy(root / "images" / "a.npy", numbers(99))


def change_mask(root):
    write_npy(root / "masks" / "b.npy", mask_of(99))


def add_a_patch(root):
    write_npy(root / "images" / "d.npy", numbers(9))
    write_npy(root / "masks" / "d.npy", mask_of(9))


def remove_a_patch(root):
    (root / "images" / "c.npy").unlink()
    (root / "masks" / "c.npy").unlink()


def change_groups(root):
    (root / "g.json").write_text('{"a": 1, "b": 2, "c": 3, "d": 4}')


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (change_image, "image of a"),
        (change_mask, "mask of b"),
        (add_a_patch, "group of d"),
        (remove_a_patch, "group of c"),
        (change_groups, "group of b"),
    ],
)
def test_other_files_are_noticed(tmp_path, change, what):
    write_pairs(tmp_path, ["a", "b", "c"])
    (tmp_path / "g.json").write_text('{"a": 1, "b": 1, "c": 1, "d": 1}')
    run(tmp_path, groups_file=tmp_path / "g.json")
    change(tmp_path)
    message = f"was begun with other files: the {what} was changed, added or removed since; .*--force"
    with pytest.raises(DatasetError, match=message):
        run(tmp_path, groups_file=tmp_path / "g.json")
    assert run(tmp_path, groups_file=tmp_path / "g.json", force=True).already_complete is False


@pytest.mark.parametrize("number", [2, 3])
def test_whole_batches_more_or_less_are_noticed(tmp_path, small_batches, number):
    names = ["a", "b", "c", "d"]
    write_pairs(tmp_path, names if number == 2 else names[:2])
    run(tmp_path)
    if number == 2:
        for name in names[2:]:
            (tmp_path / "images" / f"{name}.npy").unlink()
            (tmp_path / "masks" / f"{name}.npy").unlink()
    else:
        write_pairs(tmp_path, names)
    with pytest.raises(DatasetError, match=r"the image of c was changed, added or removed since"):
        run(tmp_path)


def test_other_settings_are_noticed(tmp_path):
    run(write_pairs(tmp_path, ["a"]))
    with pytest.raises(DatasetError, match=r"other settings \(offset was 0.0 and is now 0.1\)"):
        run(tmp_path, offset=0.1)


# --- places


def test_georeferenced_patches_have_a_place_and_labels(tmp_path):
    labels = np.zeros((SIZE, SIZE), np.uint8)
    labels[2:6, 3:8] = 1
    write_tif(tmp_path / "images" / "a.tif", numbers(0), crs=UTM, transform=pixels(10))
    write_png(tmp_path / "masks" / "a.png", labels)
    write_npy(tmp_path / "images" / "b.npy", numbers(1))
    turned = Affine.translation(500_000, 7_600_000) @ Affine.rotation(30) @ Affine.scale(10, -10)
    write_tif(tmp_path / "masks" / "b.tif", mask_of(1), crs=UTM, transform=turned)
    result = run(tmp_path)
    assert result.n_without_place == 0
    metadata = checked(tmp_path).metadata
    assert metadata["crs"].tolist() == [UTM, UTM]
    assert len(set(metadata["cell_id"])) == 1
    assert metadata["cell_id"].iloc[0] != ""
    outlines = metadata.geometry.to_crs(UTM)
    corners = [turned @ corner for corner in [(0, 0), (SIZE, 0), (SIZE, SIZE), (0, SIZE)]]
    for found, expected in zip(outlines, [square(0, 0, SIZE), Polygon(corners)], strict=True):
        assert found.symmetric_difference(expected).area < 1e-3
    features = json.loads((tmp_path / "out" / "labels.geojson").read_text())["features"]
    own = [shape(f["geometry"]) for f in features if f["properties"]["sample_id"] == "a"]
    (area,) = gpd.GeoSeries(own, crs="EPSG:4326").to_crs(UTM)
    left, bottom, right, top = area.bounds
    assert (left, bottom, right, top) == pytest.approx((500_030, 7_599_940, 500_080, 7_599_980), abs=1e-3)
    assert area.area == pytest.approx(100 * labels.sum())
    # All positive pixels of the other are there, too.
    others = [shape(f["geometry"]) for f in features if f["properties"]["sample_id"] == "b"]
    areas = gpd.GeoSeries(others, crs="EPSG:4326").to_crs(UTM).area.sum()
    assert areas == pytest.approx(100 * mask_of(1).sum(), rel=1e-4)


@pytest.mark.parametrize(
    "place",
    [
        {"crs": None, "transform": pixels(10)},
        {"crs": UTM, "transform": Affine.identity()},
        {"crs": 'LOCAL_CS["somewhere",UNIT["metre",1]]', "transform": pixels(10)},
        {"crs": UTM, "transform": pixels(10, origin=(1e12, 1e12))},
    ],
    ids=["no reference system", "no transform", "a local system", "not on the Earth"],
)
def test_a_place_is_never_invented(tmp_path, place):
    write_tif(tmp_path / "images" / "a.tif", numbers(0), **place)
    write_tif(tmp_path / "masks" / "a.tif", mask_of(0))
    write_tif(tmp_path / "images" / "b.tif", numbers(1), crs=UTM, transform=pixels(10))
    write_tif(tmp_path / "masks" / "b.tif", mask_of(1))
    assert run(tmp_path).n_without_place == 1
    metadata = checked(tmp_path).metadata
    assert metadata["crs"].tolist() == ["", UTM]
    assert metadata["cell_id"].iloc[0] == ""
    assert metadata.geometry.isna().tolist() == [True, False]
    features = json.loads((tmp_path / "out" / "labels.geojson").read_text())["features"]
    assert {feature["properties"]["sample_id"] for feature in features} == {"b"}


def test_patches_without_a_place_can_be_looked_at(tmp_path):
    write_pairs(tmp_path, ["train/a", "train/b", "val/c"])
    run(tmp_path)
    inspection = InspectionConfig(train_data_dir=tmp_path / "out", split_file=tmp_path / "out" / "split.parquet")
    facts = write_inspection(plan_inspection(inspection))
    assert {group.name: group.patches for group in facts.groups["role"]} == {"train": 2, "val": 1}
    assert "there is no place to show" in (tmp_path / "out" / "inspection.html").read_text()
    assert run(tmp_path).already_complete


def test_a_split_file_of_other_patches_is_refused(tmp_path):
    write_pairs(tmp_path, ["a", "b"])
    run(tmp_path)
    pd.DataFrame({"patch_id": ["a", "x"], "role": "train"}).to_parquet(tmp_path / "split.parquet")
    with pytest.raises(ConfigError, match="is of another dataset"):
        plan_inspection(InspectionConfig(train_data_dir=tmp_path / "out", split_file=tmp_path / "split.parquet"))


# --- a look before


def test_a_preview_reads_a_part_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("darts.preprocess.importing.pipeline.PREVIEWED", 3)
    write_pairs(tmp_path, [f"val/{number}" for number in range(5)])
    preview = plan_import_patches(**settings(tmp_path, scale=1e-3))
    assert (len(preview.plan.patches), preview.plan.size, preview.n_read) == (5, SIZE, 3)
    assert preview.plan.roles == {"train": 0, "val": 5, "test": 0}
    raw = np.stack([numbers(seed) for seed in (0, 2, 4)])
    assert [band.high for band in preview.seen.bands] == pytest.approx((raw * 1e-3).max(axis=(0, 2, 3)).tolist())
    assert any("lie outside" in doubt for doubt in preview.doubts)
    assert not (tmp_path / "out").exists()


# --- real data


@pytest.mark.slow
@pytest.mark.skipif("DARTS_REAL_DATA" not in os.environ, reason="DARTS_REAL_DATA names no folder of real scenes")
def test_water_from_ready_patches_is_what_the_files_hold(tmp_path, caplog):
    folder = Path(os.environ["DARTS_REAL_DATA"]) / "water_hls"
    bands = ["coastal", "blue", "green", "red", "nir", "swir16", "swir22"]
    result = import_patches(
        images_dir=folder / "images", masks_dir=folder / "masks", train_data_dir=tmp_path / "out",
        bands=bands, scale=1e-4, groups_file=folder / "groups.json",
    )  # fmt: skip
    assert (result.n_patches, result.n_without_place, result.dropped, result.left_out) == (188, 188, {}, 0)
    assert not caplog.records
    dataset = checked(tmp_path)
    assert dataset.manifest.band_names == tuple(bands)  # and so none of quality, land cover and occurrence
    groups = json.loads((folder / "groups.json").read_text())
    assert dict(zip(dataset.metadata["patch_id"], dataset.metadata["region"], strict=True)) == {
        name: str(group) for name, group in groups.items()
    }
    clipped = np.zeros(7)
    for row, name in dataset.metadata["patch_id"].items():
        with rasterio.open(folder / "images" / f"{name}.tif") as source:
            values = source.read(range(1, 8)).astype(np.float64) * 1e-4
        with rasterio.open(folder / "masks" / f"{name}.png") as source:
            mask = source.read(1)
        np.testing.assert_allclose(dataset.read_x(row), np.clip((values + 0.1) / 0.6, 0, 1), atol=ATOL)
        np.testing.assert_array_equal(dataset.read_y(row), mask)
        clipped += ((values < -0.1 - 1e-6) | (values > 0.5 + 1e-6)).sum(axis=(1, 2))
    assert [band.clipped for band in result.seen.bands] == clipped.tolist()
    with pytest.raises(SceneError, match="have the channel 13"):
        import_patches(
            images_dir=folder / "images", masks_dir=folder / "masks", train_data_dir=tmp_path / "more",
            bands="red", image_bands=13,
        )  # fmt: skip
