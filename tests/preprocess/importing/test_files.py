"""Names and folders: which files belong together, and which fit each other."""

import numpy as np
import pandas as pd
import pytest
from rasterio import Affine

from darts.core.errors import ConfigError, SceneError

from ..conftest import UTM, pixels
from .conftest import (
    SIZE,
    WRITERS,
    checked,
    cut,
    leave_out,
    mask_of,
    numbers,
    run,
    tree,
    write_npy,
    write_pairs,
    write_png,
    write_tif,
)


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


def test_folders_may_be_links(tmp_path):
    write_pairs(tmp_path / "elsewhere", ["b", "c"])
    write_pairs(tmp_path, ["a"])
    for kind in ("images", "masks"):
        (tmp_path / kind / "north").symlink_to(tmp_path / "elsewhere" / kind)
    run(tmp_path)
    assert checked(tmp_path).metadata["patch_id"].tolist() == ["a", "north/b", "north/c"]


@pytest.mark.parametrize(
    ("mask", "settings"),
    [("a_mask.npy", {"mask_ending": "_mask"}), ("masks/a.npy", {})],
    ids=["one ending", "a folder below"],
)
def test_masks_among_the_images_are_no_images(tmp_path, mask, settings):
    folder = tmp_path / "images"
    write_npy(folder / "a.npy", numbers(0))
    write_npy(folder / mask, mask_of(0))
    run(tmp_path, masks_dir=(folder / mask).parent, **settings)
    assert checked(tmp_path).metadata["patch_id"].tolist() == ["a"]


def test_an_image_and_a_mask_of_different_places_are_refused(tmp_path):
    write_tif(tmp_path / "images" / "a.tif", numbers(0), crs=UTM, transform=pixels(10))
    for crs, transform in ((UTM, Affine.translation(6, 0) @ pixels(10)), (UTM, pixels(20)), ("EPSG:32634", pixels(10))):
        write_tif(tmp_path / "masks" / "a.tif", mask_of(0), crs=crs, transform=transform)
        with pytest.raises(SceneError, match=r"lie on the same ground, but .*a\.tif and .*a\.tif don't"):
            run(tmp_path)
    write_tif(tmp_path / "masks" / "a.tif", mask_of(0), crs=UTM, transform=pixels(10))
    run(tmp_path)
    checked(tmp_path)
