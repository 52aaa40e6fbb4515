"""From Sentinel-2 scenes in every layout to a dataset: every pixel against plain numpy in float64."""

import numpy as np
import pytest
import rioxarray  # noqa: F401 -- gives cubes a reference system
import xarray as xr
from rasterio.features import rasterize

from darts.preprocess import preprocess_s2_train_data

from .conftest import UTM, pixels, square, write_polygons, write_raster
from .test_pipeline import checked

BANDS = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir", "B11": "swir16"}
PRODUCT = "20210818T223529_20210818T223531_T03WXP"
SHAPE = (60, 80)
SHAPES = [square(5, 6, 12), square(30, 50, 20)]
JPEG2000 = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES"}
OFFSET = {"safe": -1000, "store": -1000}
"""Of layouts whose name or metadata tell of baseline 05.00; the others are older."""


def numbers():
    """Digital numbers on 10 m, of which the last band is the same in blocks of 2 x 2 pixels."""
    values = np.random.default_rng(0).integers(1001, 7000, (5, *SHAPE)).astype(np.uint16)
    values[4] = np.kron(values[4, ::2, ::2], np.ones((2, 2), np.uint16))
    values[1, 3, 3] = 0
    return values


def classes():
    return np.random.default_rng(1).choice(np.array([4, 5, 6, 3, 9, 0], np.uint8), (SHAPE[0] // 2, SHAPE[1] // 2))


def as_stack(root):
    write_raster(root / "a" / f"{PRODUCT}_N0301_SR.tif", numbers(), descriptions=list(BANDS))
    write_raster(root / "a" / f"{PRODUCT}_N0301_SCL.tif", classes(), transform=pixels(20))


def as_single_bands(root):
    for name, values in zip(BANDS, numbers(), strict=True):
        write_raster(root / "a_N0301_x" / f"T03WXP_20210818T223529_{name}_10m.tif", values)
    write_raster(root / "a_N0301_x" / "T03WXP_20210818T223529_SCL_20m.tif", classes(), transform=pixels(20))


def as_product(root):
    product = root / "S2B_MSIL2A_20210818T223529_N0500_R058_T03WXP_20230119T164502.SAFE"
    images = product / "GRANULE" / "L2A_T03WXP_A023247_20210818T223530" / "IMG_DATA"
    for name, values in zip(BANDS, numbers(), strict=True):
        path = images / "R10m" / f"T03WXP_20210818T223529_{name}_10m.jp2"
        write_raster(path, values, **JPEG2000)
        write_raster(
            images / "R60m" / path.name.replace("10m", "60m"), values[::6, ::6], transform=pixels(60), **JPEG2000
        )
    write_raster(images / "R20m" / "T03WXP_20210818T223529_SCL_20m.jp2", classes(), transform=pixels(20), **JPEG2000)
    offsets = "".join(f'<BOA_ADD_OFFSET band_id="{band}">-1000</BOA_ADD_OFFSET>' for band in range(13))
    (product / "MTD_MSIL2A.xml").write_text(f"<PROCESSING_BASELINE>05.00</PROCESSING_BASELINE>{offsets}")


def as_store(root):
    rows, columns = (np.arange(length) + 0.5 for length in SHAPE)
    fill = {"_FillValue": 0}
    cube = xr.Dataset(
        {f"{name}_10m": (("y", "x"), values, fill) for name, values in zip(BANDS, numbers(), strict=True)}
        | {"SCL_20m": (("y", "x"), np.kron(classes(), np.ones((2, 2), np.uint8)))},
        coords={"y": 7_600_000 - 10 * rows, "x": 500_000 + 10 * columns},
    )
    name = "cdse-s2-sr-scene-S2B_MSIL2A_20210818T223529_N0500_R058_T03WXP_20230119T164502.zarr"
    cube.rio.write_crs(UTM).to_zarr(root / name)


def as_one_of_two_dates(root):
    as_stack(root)
    other = PRODUCT.replace("20210818", "20190701")
    write_raster(root / "a" / f"{other}_N0301_SR.tif", np.zeros((5, *SHAPE), np.uint16), descriptions=list(BANDS))


LAYOUTS = {
    "stack": as_stack,
    "single bands": as_single_bands,
    "safe": as_product,
    "store": as_store,
    "two dates": as_one_of_two_dates,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_pixel_in_every_layout(tmp_path, layout):
    LAYOUTS[layout](tmp_path / "scenes")
    labels = write_polygons(tmp_path / "labels.gpkg", SHAPES)
    result = preprocess_s2_train_data(
        sentinel2_dir=tmp_path / "scenes", labels_dir=labels, train_data_dir=tmp_path / "out", patch_size=20, overlap=0,
        bands=[*BANDS.values(), "ndvi", "MNDWI"], exclude_nan=False, workers=1,
    )  # fmt: skip
    assert (result.labels_used, result.failed) == (2 if layout != "two dates" else 4, {})
    stored, scl = numbers(), np.kron(classes(), np.ones((2, 2), np.uint8))
    invalid = (stored == 0).any(axis=0) | (scl == 0)
    values = np.where(invalid, np.nan, (stored + float(OFFSET.get(layout, 0))) / 10_000)
    y = np.where(invalid | np.isin(scl, [1, 3, 8, 9, 11]), 2, rasterize(SHAPES, out_shape=SHAPE, transform=pixels(10)))
    green, red, nir, swir = np.clip(values[[1, 2, 3, 4]], 0, 1)
    indices = [(nir - red) / (nir + red), (green - swir) / (green + swir)]
    x = np.concatenate([np.clip((values + 0.1) / 0.6, 0, 1), (np.stack(indices) + 1) / 2])
    x[:5][np.isnan(x[:5])], x[5:][np.isnan(x[5:])] = 0, 0.5
    dataset = checked(tmp_path / "out")
    assert len(dataset) == 12
    assert set(dataset.metadata["scene_date"]) == {"2021-08-18"}
    for row, sample in dataset.metadata.iterrows():
        cut = (slice(sample["row"], sample["row"] + 20), slice(sample["column"], sample["column"] + 20))
        np.testing.assert_array_equal(dataset.read_y(row), y[cut])
        np.testing.assert_allclose(dataset.read_x(row), x[(slice(None), *cut)], atol=1.5e-5)
