"""Real ready patches."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import rasterio

from darts.core.errors import SceneError
from darts.preprocess import import_patches

from .conftest import (
    ATOL,
    checked,
)


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
