"""Settings of importing ready patches; standard library and pydantic only."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, FiniteFloat, NonNegativeInt, PositiveInt, model_validator

from darts.core.bands import known_bands
from darts.core.config import Config, Listed, OrNone
from darts.core.errors import ConfigError
from darts.preprocess.config import parse_ranges


class ImportConfig(Config, frozen=True):
    """Which images and masks are read, what their numbers mean, and where the dataset goes."""

    panel: ClassVar[str] = "Import"

    images_dir: Path
    """Folder of image files: .npy (channels, height, width), .tif, .tiff or .png, searched with all folders below it. It may
    be divided into folders train, val and test; --masks-dir then is, too."""
    masks_dir: Path
    """Folder of mask files of one channel, .npy, .tif, .tiff or .png, named as their images but for the suffix."""
    train_data_dir: Path
    """Dataset directory to write: new, empty, or begun by the same command, which then goes on."""
    bands: Listed[str]
    """Names of the channels that are imported, in their order in the files, such as blue,green,red,nir."""
    image_bands: Listed[PositiveInt] = ()
    """Numbers of the channels that --bands names, from 1, in the same order; the first channels if not given."""
    scale: Annotated[FiniteFloat, Field(gt=0)] = 1.0
    """Factor from the numbers in the files to physical values, for example 0.0001 for reflectance that was stored times
    10000."""
    offset: FiniteFloat = 0.0
    """Added after --scale: value = number * scale + offset."""
    band_ranges: Listed[str] = ()
    """Physical values that become 0 and 1, as name:lo:hi, for example red:0:255 for a picture of 8 bits. Needed for each
    band whose name darts doesn't know; without it, reflectance is -0.1 to 0.5. Values outside are clipped, and counted."""
    nodata: Listed[FiniteFloat] = ()
    """Numbers in the image files that stand for a missing value, such as -9999, beside what a GeoTIFF declares; NaN always
    does. Such pixels are ignored."""
    positive_values: Listed[FiniteFloat] = (1.0,)
    """Numbers in the mask files that are positive, such as 255; all others are background."""
    ignore_values: Listed[FiniteFloat] = ()
    """Numbers in the mask files that say that nobody labelled the pixel, such as 2; NaN always does."""
    image_ending: str = ""
    """What the names of images end with, before the suffix, such as _satellite; it doesn't count for the name, and other
    files are passed over."""
    mask_ending: str = ""
    """The same for masks, such as _label."""
    groups_file: OrNone[Path] = None
    """Which patches belong together, as those of one place do: JSON {"patch": "group", ...}, {"group": ["patch", ...], ...}
    or [["patch", ...], ...], or a CSV or parquet table with the columns name and group. The group becomes the region. If not
    given, each patch is a region of its own."""
    skip_unmatched: bool = False
    """Leave out images without a mask and masks without an image, in place of an error."""
    exclude_nopositive: bool = False
    """Drop patches without a positive pixel."""
    exclude_nan: bool = True
    """Drop patches in which any band lacks a value somewhere."""
    compression: Literal["lz4", "none"] = "lz4"
    """How patches are packed; `none` reads faster from a fast local disk, and takes about a third more space."""
    workers: NonNegativeInt = 0
    """Processes that read patches. 0: one for each CPU core, at most 4, where there is work enough. The dataset doesn't
    depend on it."""
    force: bool = False
    """Begin anew, removing the dataset in --train-data-dir."""

    @property
    def channels(self) -> tuple[int, ...]:
        """Numbers of the channels to read, from 1, in the order of the bands."""
        return self.image_bands or tuple(range(1, len(self.bands) + 1))

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """The ranges that were given, by band."""
        return parse_ranges(self.band_ranges)

    @model_validator(mode="after")
    def _bands_are_named(self) -> Self:
        if not self.bands or len(set(self.bands)) < len(self.bands):
            raise ConfigError(f"--bands names at least one band, and none twice, but got {', '.join(self.bands)!r}.")
        if self.image_bands and len(set(self.image_bands)) < len(self.image_bands):
            numbers = ", ".join(map(str, self.image_bands))
            raise ConfigError(f"--image-bands gives each channel once, but got {numbers}.")
        if len(self.channels) != len(self.bands):
            raise ConfigError(
                f"--image-bands gives one number for each of the {len(self.bands)} bands of --bands, but gives "
                f"{len(self.image_bands)}."
            )
        return self

    @model_validator(mode="after")
    def _ranges_are_known(self) -> Self:
        ranges = self.ranges
        if len(ranges) < len(self.band_ranges) or any(lo >= hi for lo, hi in ranges.values()):
            raise ConfigError(
                "--band-ranges: ranges are written name:lo:hi with lo below hi, each name once, but got "
                f"{', '.join(self.band_ranges)!r}."
            )
        if others := [name for name in ranges if name not in self.bands]:
            raise ConfigError(f"--band-ranges names {others[0]}, which is none of the bands {', '.join(self.bands)}.")
        if unknown := [name for name in self.bands if name not in ranges and name not in known_bands()]:
            raise ConfigError(
                f"--bands: {unknown[0]!r} has no usual range; give --band-ranges {unknown[0]}:lo:hi, or use one of the "
                f"names that have: {', '.join(known_bands())}."
            )
        return self

    @model_validator(mode="after")
    def _files_are_told_apart(self) -> Self:
        if self.images_dir == self.masks_dir and self.image_ending == self.mask_ending:
            raise ConfigError(
                "--images-dir and --masks-dir are the same folder, so that --image-ending or --mask-ending must tell the "
                "files apart; give one."
            )
        return self

    @model_validator(mode="after")
    def _labels_are_told_apart(self) -> Self:
        if both := sorted(set(self.positive_values) & set(self.ignore_values)):
            raise ConfigError(f"--positive-values and --ignore-values must differ, but both have {both[0]:g}.")
        if not self.positive_values:
            raise ConfigError("--positive-values: at least one value must be positive, but got none.")
        return self
