"""Settings of preprocessing; standard library and pydantic only."""

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    FiniteFloat,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from darts.core.config import Config, Listed, OrNone
from darts.core.errors import ConfigError

_NUMBER = r"[-+]?\d+(?:\.\d+)?"
_RANGE = re.compile(rf"(\w+):({_NUMBER}):({_NUMBER})")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)I?B?", re.IGNORECASE)
_UNITS = {unit: 1024**power for power, unit in enumerate(("", "K", "M", "G", "T"))}


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ConfigError("--bands: at least one band is needed, but got none.")
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"--bands: each band may come once, but {repeated[0]} comes twice.")
    return names


def _ranges(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        match = _RANGE.fullmatch(text)
        if match is None or float(match[2]) >= float(match[3]):
            raise ConfigError(f"--band-ranges: a range is written name:lo:hi with lo below hi, but got {text!r}.")
    return texts


def parse_ranges(texts: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    """`("curvature:-5:5",)` -> `{"curvature": (-5.0, 5.0)}`."""
    matches = [match for match in map(_RANGE.fullmatch, texts) if match]
    return {match[1]: (float(match[2]), float(match[3])) for match in matches}


def _memory(text: str) -> str:
    if text not in ("auto", "none") and not (_SIZE.fullmatch(text) and parse_size(text)):
        raise ConfigError(f"--memory-limit is a size such as 8GB or 500MB, auto, or none, but got {text!r}.")
    return text


def parse_size(text: str) -> int:
    """`8GB` -> bytes, with 1024 bytes in a kB."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ConfigError(f"a size is written like 8GB or 500MB, but got {text!r}.")
    return int(float(match[1]) * _UNITS[match[2].upper()])


SclClass = Annotated[int, Field(ge=0, le=11)]


class Sentinel2Config(Config, frozen=True):
    """Where the scenes are, and how their files are read."""

    panel: ClassVar[str] = "Sentinel-2 scenes"

    sentinel2_dir: Path
    """Folder of one scene, or folder of scenes. A scene is a product as it is delivered (`.SAFE`), a folder with a
    GeoTIFF `*_SR*.tif` (blue, green, red, nir) and `*_SCL*.tif`, a folder with one GeoTIFF or JPEG 2000 file for each
    band, named by it (`*B02*`, `*B8A*`, ...), or a zarr store with one variable for each band."""
    source_bands: Listed[str] = ()
    """The bands of a file that holds several and doesn't name them, in their order in the file, as B02 or blue; a
    band that is to be skipped is called `-`."""
    s2_offset: OrNone[FiniteFloat] = None
    """What is added to the digital numbers where neither metadata nor name say it: -1000 from processing baseline
    04.00 on, 0 before it. Reflectance is (DN + offset) / 10000."""
    scl_ignore: Listed[SclClass] = (0, 1, 3, 8, 9, 11)
    """Classes of the scene classification (SCL) whose pixels are labelled 2 (ignore): 0 no data, 1 saturated, 2
    dark, 3 cloud shadow, 4 vegetation, 5 bare, 6 water, 7 unclassified, 8 and 9 cloud, 10 cirrus, 11 snow. Class 0
    is always ignored."""


class PlanetConfig(Config, frozen=True):
    """Where the scenes are."""

    panel: ClassVar[str] = "PlanetScope scenes"

    data_dir: Path
    """Folder that is searched, with all folders below it, for scenes (PSScene) and orthotiles (PSOrthoTile):
    `*_SR*.tif` is surface reflectance, `*_AnalyticMS*.tif` is read with its `*_metadata.xml`; the usable data mask is
    `*_udm2*.tif`, or `*_udm*.tif` of older scenes."""


class RegionConfig(Config, frozen=True):
    """What labels and regions of all sensors have in common."""

    panel: ClassVar[str] = "Labels and regions"

    admin_dir: OrNone[Path] = None
    """Folder or file of administrative areas, named in a column shapeName, name or region; the area that a patch
    shares most with becomes its region. If not given, the scene (of a Sentinel-2 product, its tile) is the region."""
    all_touched: bool = False
    """Label every pixel that a polygon touches, not only those whose centre it holds."""


class LabelConfig(RegionConfig, frozen=True):
    """Where the labels and the regions come from."""

    labels_dir: OrNone[Path] = None
    """Folder (searched with all folders below it) or file of label polygons, joined to the scenes by place. If not
    given, each scene folder holds one vector file of its own (.gpkg, .geojson or .shp); one without polygons means
    nothing to find."""


class ImageLabelConfig(RegionConfig, frozen=True):
    """Where the labels and the regions come from, when labels name the image that they were drawn on."""

    labels_dir: Path
    """Folder searched, with all folders below it, for labels `TrainingLabel*.gpkg` and outlines of what was labelled
    `ImageFootprints*.gpkg`; both name their image in a column image_id. Pixels outside the footprints are ignored."""
    unlabelled_negative: bool = False
    """Use images that have neither a label nor a footprint as background; otherwise they are left out and listed."""


class PatchConfig(Config, frozen=True):
    """What the dataset holds, and where it goes."""

    panel: ClassVar[str] = "Dataset"

    train_data_dir: Path
    """Dataset directory to write: new, empty, or begun by the same command, which then goes on."""
    bands: Annotated[Listed[str], AfterValidator(_each_once)] = ("blue", "green", "red", "nir", "ndvi")
    """Channels of the dataset, in this order. Measured: coastal, blue, green05, green, yellow, red, rededge071,
    rededge075, rededge078, nir, nir08, nir09, swir10, swir16, swir22. Computed: ndvi, and any spectral index of spyndex
    by its name (NDWI, EVI, ...). From --arcticdem-dir: dem, relative_elevation, slope, aspect, northness, eastness,
    hillshade, curvature. From --tcvis-dir: tc_brightness, tc_greenness, tc_wetness."""
    band_ranges: Annotated[Listed[str], AfterValidator(_ranges)] = ()
    """Physical values that become 0 and 1, as name:lo:hi, where the usual range of a band doesn't fit, for example
    curvature:-10:10. All ranges are written into the dataset."""
    mask_indices: bool = False
    """Give ndvi and spectral indices no value where the quality mask says cloud, shadow or snow."""
    patch_size: PositiveInt = 1024
    """Width and height of a patch in pixels."""
    overlap: NonNegativeInt = 16
    """Pixels that neighbouring patches share; the last patch of a row or column is moved back into the scene and
    may share more."""
    exclude_nopositive: bool = False
    """Drop patches without a positive pixel."""
    exclude_nan: bool = True
    """Drop patches in which any band lacks a value somewhere."""
    mask_erosion_size: NonNegativeInt = 0
    """Ignore pixels that are at most this many pixels from a bad pixel or from outside the scene."""
    compression: Literal["lz4", "none"] = "lz4"
    """How patches are packed; `none` reads faster from a fast local disk, and takes about a third more space."""

    @model_validator(mode="after")
    def _overlap_fits(self) -> Self:
        if self.overlap >= self.patch_size:
            raise ConfigError(
                f"--overlap must be smaller than --patch-size, but got {self.overlap} and {self.patch_size}; "
                "give a smaller overlap."
            )
        return self


class AuxiliaryConfig(Config, frozen=True):
    """Elevation and trends; what no band needs is not looked at."""

    panel: ClassVar[str] = "Elevation and trends"

    arcticdem_dir: OrNone[Path] = None
    """Elevation in metres, for terrain bands: a GeoTIFF, a folder or VRT of GeoTIFFs, or a zarr, netCDF or icechunk
    store."""
    tcvis_dir: OrNone[Path] = None
    """Landsat trends (TCVIS), for tc_ bands: as for elevation; of several versions (TCTrend2019, TCTrend2020, ...) the
    one that fits the year of the scene."""
    tpi_outer_radius: Annotated[float, Field(gt=0, le=5000)] = 100
    """Radius in metres of the surroundings that relative_elevation compares with, up to 5000."""
    tpi_inner_radius: NonNegativeFloat = 0
    """Radius in metres within which surroundings aren't compared with; 0 compares with the whole disk."""
    download: bool = False
    """Fetch elevation (ArcticDEM, from its public catalogue) and trends (from Earth Engine) that are missing in the
    two folders. Needs the network, and: pip install 'darts[download]'."""
    ee_project: OrNone[str] = None
    """Earth Engine project to download trends with."""
    arcticdem_resolution: Literal["2", "10", "32"] = "10"
    """Metres per pixel of the elevation to download; 2 suits PlanetScope, and is large."""

    @model_validator(mode="after")
    def _annulus(self) -> Self:
        if self.tpi_inner_radius >= self.tpi_outer_radius:
            raise ConfigError(
                f"--tpi-inner-radius must be smaller than --tpi-outer-radius, but got {self.tpi_inner_radius:g} and "
                f"{self.tpi_outer_radius:g}; 0 compares with the whole disk."
            )
        return self


class ExecutionConfig(Config, frozen=True):
    """How the work is done; none of this changes a byte of the dataset."""

    panel: ClassVar[str] = "Running"

    workers: NonNegativeInt = 0
    """Scenes that are worked on at a time, each in a process of its own. 0: one for each CPU core, at most 4, where
    there is work enough."""
    memory_limit: Annotated[str, AfterValidator(_memory)] = "auto"
    """Memory for all workers together, such as 16GB: fewer scenes are worked on at a time where it would not do. auto
    is 80 % of what is free; none is no limit."""
    dask_scheduler: OrNone[str] = None
    """Address of a dask scheduler, such as tcp://node7:8786, whose workers share the file system: scenes are worked on
    there. Needs: pip install 'darts[dask]'."""
    preprocess_cache: OrNone[Path] = None
    """Folder that keeps terrain and trends of each scene, so that a dataset with other patches or filters is built
    faster. Never wrong: it is keyed by all that matters, and safe to delete."""
    append: bool = False
    """Add scenes to a finished dataset of the same settings; scenes that it has are passed over."""
    force: bool = False
    """Begin anew, removing the dataset in --train-data-dir."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if self.append and self.force:
            raise ConfigError("--append adds to a dataset and --force removes it, but got both; give one of them.")
        return self


class ObsoleteConfig(Config, frozen=True):
    """Settings of older config files: accepted with a warning."""

    panel: ClassVar[str] = "Obsolete"

    test_val_split: OrNone[float] = None
    """Not used: training divides a dataset, see --data-split-method and --data-split-by there."""
    test_regions: Listed[str] = ()
    """Not used: training divides a dataset, see --data-split-method region and --data-split-by there."""
