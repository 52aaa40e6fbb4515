"""What a raster says of itself, whatever kind of file it is."""

from dataclasses import dataclass
from pathlib import Path

from darts.preprocess.scenes import Grid


@dataclass(frozen=True, slots=True)
class RasterHeader:
    """What a raster says of itself, its pixels aside.

    Attributes
    ----------
    path
        The file; of a zarr store, its folder.
    grid
        Where its pixels lie.
    descriptions
        Name of each band, "" where it has none.
    nodata
        Declared value of pixels without a value, of each band.
    scales, offsets
        Declared linear scaling of each band; 1 and 0 when none is declared.
    tags
        Metadata of the file.
    """

    path: Path
    grid: Grid
    descriptions: tuple[str, ...]
    nodata: tuple[float | None, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    tags: dict[str, str]

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.descriptions)


@dataclass(frozen=True, slots=True)
class BandSource:
    """A band in a raster: `index` counts from 1."""

    header: RasterHeader
    index: int

    @property
    def nodata(self) -> float | None:
        """Declared value of pixels without a value."""
        return self.header.nodata[self.index - 1]
