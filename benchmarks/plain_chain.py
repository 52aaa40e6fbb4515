"""C1, the reference: an orthotile becomes patches on disk as one would write it plainly with xarray and torch.

All of the scene is held in float32, then all of its patches; each band of each patch is a file of its own.
"""

from pathlib import Path

import geopandas as gpd
import numpy as np
import rioxarray
import torch
import xarray as xr
import zarr
from rasterio.features import rasterize
from zarr.codecs import BloscCodec

IGNORE = 2


def write_x(image: Path, store: Path, size: int) -> torch.Tensor:
    """Write the patches without a missing value; which ones these are, as bool (patches,)."""
    bands = scaled(image)
    scene = torch.as_tensor(bands.to_dataarray().data).float()
    patches = cut(scene, size)
    kept = ~torch.isnan(patches).any(dim=(1, 2, 3))
    patches = patches[kept].nan_to_num(0.0)
    array = zarr.create_array(
        store / "x", shape=patches.shape, chunks=(1, 1, size, size), dtype="float32", compressors=lz4(), overwrite=True
    )
    array[:] = patches.numpy()
    return kept


def scaled(image: Path) -> xr.Dataset:
    """Blue, green, red, nir and ndvi in [0, 1], with NaN where there is no value."""
    reflectance = rioxarray.open_rasterio(image, masked=True) / 10_000
    bands = xr.Dataset(
        {name: reflectance.isel(band=i, drop=True) for i, name in enumerate(("blue", "green", "red", "nir"))}
    )
    bands["ndvi"] = (bands["nir"] - bands["red"]) / (bands["nir"] + bands["red"])
    for name in bands:
        lowest, highest = (-1.0, 1.0) if name == "ndvi" else (-0.1, 0.5)
        bands[name] = ((bands[name] - lowest) / (highest - lowest)).clip(0, 1)
    return bands


def cut(values: torch.Tensor, size: int) -> torch.Tensor:
    """All patches of (..., height, width) as one tensor (patches, ..., size, size); the last ones are moved back."""
    rows, columns = ([min(start, n - size) for start in range(0, n, size)] for n in values.shape[-2:])
    return torch.stack([values[..., y : y + size, x : x + size] for y in rows for x in columns])


def lz4() -> BloscCodec:
    """Level 9, as is usual."""
    return BloscCodec(cname="lz4", clevel=9)


def write_y(image: Path, mask: Path, labels: Path, store: Path, size: int, kept: torch.Tensor) -> None:
    """Write the label codes of the patches that were kept; 2 where the usable data mask tells snow, shadow or cloud."""
    usable = rioxarray.open_rasterio(mask).load()
    with_place = rioxarray.open_rasterio(image)
    shapes = gpd.read_file(labels).to_crs(with_place.rio.crs)
    codes = rasterize(shapes.geometry, usable.shape[1:], transform=with_place.rio.transform(), dtype="uint8")
    bad = (usable.isel(band=slice(1, 6)) == 1).any("band") | (usable.isel(band=7) != 0)
    codes[bad.to_numpy()] = IGNORE
    patches = cut(torch.as_tensor(codes), size)[kept].numpy().astype(np.uint8)
    array = zarr.create_array(
        store / "y", shape=patches.shape, chunks=(1, size, size), dtype="uint8", compressors=lz4(), overwrite=True
    )
    array[:] = patches
