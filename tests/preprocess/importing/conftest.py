"""Files of ready patches, and what becomes of them."""

import json

import numpy as np
import pandas as pd
import pytest
from rasterio import Affine

from darts.dataset.check import check_structure
from darts.preprocess import import_patches
from factories import problems_of

from ..conftest import write_raster

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


def cut(path, keep):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])


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


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr("darts.preprocess.importing.pipeline.BATCH", 2)
