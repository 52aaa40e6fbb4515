"""The usable data mask of a PlanetScope image: UDM2 with a band for each class, or the older one of bits."""

from dataclasses import dataclass

import numpy as np
from rasterio.windows import Window

from darts.core.errors import SceneError
from darts.preprocess.headers import BandSource, RasterHeader
from darts.preprocess.planet_names import NamedFile, Role
from darts.preprocess.rasters import read_bands, read_header
from darts.preprocess.resampling import same_grid
from darts.preprocess.scenes import GOOD, INVALID, LOW, Grid

MASKED_BANDS = (2, 3, 4, 5, 6)
"""Bands of UDM2 that are 1 where there is snow, shadow, light haze, heavy haze, cloud; band 1 is clear ground, 7 is how
sure that is."""
LARGEST_BITS = 255
BITS_BAND = 8
"""The band of UDM2 that holds the bits of the older mask."""
CLOUD_BIT = 0b0000_0010
OTHER_BITS = 0b1111_1101
"""Bit 0: outside of the image; from bit 2 on: values of a band are missing or suspect."""


@dataclass(frozen=True, slots=True)
class UsableDataMask:
    """The usable data mask of an image, on the same pixels.

    Attributes
    ----------
    header
        The raster: at least eight bands for UDM2, else one.
    kind
        Role.UDM2 or Role.UDM.
    """

    header: RasterHeader
    kind: Role

    @property
    def sources(self) -> list[BandSource]:
        """The bands that are read: those of UDM2 to mask, if it is one, and last the bits."""
        indices = (*MASKED_BANDS, BITS_BAND) if self.kind is Role.UDM2 else (1,)
        return [BandSource(self.header, index) for index in indices]


def find_mask(file: NamedFile, grid: Grid) -> UsableDataMask:
    """The mask in a file, which must be that of an image on `grid`.

    Raises
    ------
    SceneError
        When it is damaged, lies on other pixels, or has another number of bands.
    """
    header = read_header(file.path)
    if not same_grid(header.grid, grid):
        raise SceneError(
            f"{header.path}: the usable data mask must lie on the pixels of its image, but has {_described(header.grid)} "
            f"and the image has {_described(grid)}; get it again."
        )
    if file.role is Role.UDM2 and header.count < BITS_BAND:
        raise SceneError(f"{header.path}: UDM2 must have {BITS_BAND} bands, but has {header.count}; get it again.")
    if file.role is Role.UDM and header.count != 1:
        raise SceneError(f"{header.path}: the mask must have one band, but has {header.count}; get it again.")
    return UsableDataMask(header, file.role)


def _described(grid: Grid) -> str:
    x, y = grid.transform.c, grid.transform.f
    return f"{grid.height} x {grid.width} pixels of {grid.transform.a:g} from ({x:.10g}, {y:.10g}) in {grid.crs}"


def mask_quality(mask: UsableDataMask | None, window: Window) -> np.ndarray:
    """Quality by the usable data mask alone; GOOD everywhere where there is none.

    Returns
    -------
    uint8 (height, width): INVALID where a bit other than that of cloud is set, else LOW where that is set or UDM2 tells
    snow, shadow, haze or cloud, else GOOD.

    Raises
    ------
    SceneError
        When the mask is damaged or doesn't hold whole numbers.
    """
    quality = np.full((int(window.height), int(window.width)), GOOD, dtype=np.uint8)
    if mask is None:
        return quality
    *flags, stored = read_bands(mask.sources, window)
    if stored.dtype.kind not in "ui":
        raise SceneError(f"{mask.header.path}: a mask must hold whole numbers, but holds {stored.dtype}; get it again.")
    if stored.size and stored.max() > LARGEST_BITS:
        raise SceneError(
            f"{mask.header.path}: a mask must hold at most {LARGEST_BITS}, but holds {stored.max()}; get it again."
        )
    bits = stored.astype(np.uint8)
    for flag in flags:
        quality[flag == 1] = LOW
    quality[(bits & CLOUD_BIT) != 0] = LOW
    quality[(bits & OTHER_BITS) != 0] = INVALID
    return quality
