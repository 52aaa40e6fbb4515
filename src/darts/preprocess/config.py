"""Settings of preprocessing; standard library and pydantic only."""

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from darts.core.bands import get_bands
from darts.core.config import Config, Listed, OrNone
from darts.core.errors import ConfigError

TERRAIN_BANDS = ("dem", "relative_elevation", "slope", "aspect", "hillshade", "curvature")
TREND_BANDS = ("tc_brightness", "tc_greenness", "tc_wetness")


def _optical(names: tuple[str, ...]) -> tuple[str, ...]:
    """The bands, when all of them can be made from a Sentinel-2 scene alone."""
    get_bands(names)
    if other := [name for name in names if name in TERRAIN_BANDS + TREND_BANDS]:
        raise ConfigError(
            "--bands: only optical bands and ndvi can be made from Sentinel-2 scenes so far, but got "
            f"{', '.join(other)}, which need an elevation model or Landsat trends; leave them out."
        )
    return names


SclClass = Annotated[int, Field(ge=0, le=11)]


class Sentinel2Config(Config, frozen=True):
    """Where the scenes are, and how their files are read."""

    panel: ClassVar[str] = "Sentinel-2 scenes"

    sentinel2_dir: Path
    """Folder of one scene, or folder of scene folders. A scene is either a GeoTIFF `*_SR*.tif` (blue, green, red,
    nir) with `*_SCL*.tif`, or one GeoTIFF or JPEG 2000 file for each band, named by it (`*B02*`, `*B8A*`, ...)."""
    source_bands: Listed[str] = ()
    """The bands of a file that holds several and doesn't name them, in their order in the file, as B02 or blue; a
    band that is to be skipped is called `-`."""
    s2_offset: OrNone[float] = None
    """What is added to the digital numbers where neither metadata nor name say it: -1000 from processing baseline
    04.00 on, 0 before it. Reflectance is (DN + offset) / 10000."""
    scl_ignore: Listed[SclClass] = (0, 1, 3, 8, 9, 11)
    """Classes of the scene classification (SCL) whose pixels are labelled 2 (ignore): 0 no data, 1 saturated, 2
    dark, 3 cloud shadow, 4 vegetation, 5 bare, 6 water, 7 unclassified, 8 and 9 cloud, 10 cirrus, 11 snow. Class 0
    is always ignored."""


class LabelConfig(Config, frozen=True):
    """Where the labels and the regions come from."""

    panel: ClassVar[str] = "Labels and regions"

    labels_dir: OrNone[Path] = None
    """Folder (searched with all folders below it) or file of label polygons, joined to the scenes by place. If not
    given, each scene folder holds one vector file of its own (.gpkg, .geojson or .shp); one without polygons means
    nothing to find."""
    admin_dir: OrNone[Path] = None
    """Folder or file of administrative areas, named in a column shapeName, name or region; the area that a patch
    shares most with becomes its region. If not given, the name of the scene folder is the region."""
    all_touched: bool = False
    """Label every pixel that a polygon touches, not only those whose centre it holds."""


class PatchConfig(Config, frozen=True):
    """What the dataset holds, and where it goes."""

    panel: ClassVar[str] = "Dataset"

    train_data_dir: Path
    """Dataset directory to write: new, empty, or begun by the same command, which then goes on."""
    bands: Annotated[Listed[str], AfterValidator(_optical)] = ("blue", "green", "red", "nir", "ndvi")
    """Channels of the dataset, in this order: coastal, blue, green, red, rededge071, rededge075, rededge078, nir,
    nir08, nir09, swir10, swir16, swir22, ndvi."""
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
    workers: NonNegativeInt = 0
    """Scenes that are worked on at a time, each in memory and in a process of its own. 0: one for each CPU core, at
    most 4, where there is work enough. It never changes a result."""

    @model_validator(mode="after")
    def _overlap_fits(self) -> Self:
        if self.overlap >= self.patch_size:
            raise ConfigError(
                f"--overlap must be smaller than --patch-size, but got {self.overlap} and {self.patch_size}; "
                "give a smaller overlap."
            )
        return self


class AuxiliaryConfig(Config, frozen=True):
    """Data for bands that aren't optical: accepted and not used, since the bands that need them are refused."""

    panel: ClassVar[str] = "Elevation and trends (accepted, not used by optical bands and ndvi)"

    arcticdem_dir: OrNone[Path] = None
    """ArcticDEM, for terrain bands. Not used: Sentinel-2 datasets have no terrain bands yet."""
    tcvis_dir: OrNone[Path] = None
    """Landsat trends, for tc_ bands. Not used: Sentinel-2 datasets have no such bands yet."""
    ee_project: OrNone[str] = None
    """Earth Engine project to download trends with. Not used."""
    preprocess_cache: OrNone[Path] = None
    """Folder for terrain and trends of a scene. Not used: optical bands aren't cached."""
    tpi_outer_radius: NonNegativeFloat = 100
    """Outer radius in metres around a pixel, for relative_elevation. Not used."""
    tpi_inner_radius: NonNegativeFloat = 0
    """Inner radius in metres around a pixel, for relative_elevation. Not used."""


class ObsoleteConfig(Config, frozen=True):
    """Settings of older config files: accepted with a warning."""

    panel: ClassVar[str] = "Obsolete"

    test_val_split: OrNone[float] = None
    """Not used: training divides a dataset, see --data-split-method and --data-split-by there."""
    test_regions: Listed[str] = ()
    """Not used: training divides a dataset, see --data-split-method region and --data-split-by there."""
