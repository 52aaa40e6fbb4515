"""Sentinel-2 scenes: found in folders, whatever way their bands are filed, and read as reflectance.

A scene is one of

- a stack: one file with several bands, which its name (`*_SR*`), its band descriptions, or `--source-bands` tell; or a
  zarr store with a variable for each band;
- single bands: one file a band, named by it (`*B02*`, `*B8A*`, ...), in any mix of resolutions, in one folder or in a
  product as it is delivered (`.SAFE`);

and with either, or not, a scene classification (`*SCL*`). All other files are left alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from rasterio.enums import Resampling
from rasterio.windows import Window

from darts.core.errors import SceneError
from darts.preprocess.band_names import (
    SCL,
    band_of,
    canonical_source_bands,
    described_band,
    is_scl,
    is_stack,
    product_of,
    tile_of,
)
from darts.preprocess.config import Sentinel2Config
from darts.preprocess.cubes import is_cube
from darts.preprocess.digital_numbers import refuse_reflectance, without_value
from darts.preprocess.headers import BandSource, RasterHeader
from darts.preprocess.offsets import QUANTIFICATION, Offset, find_date, find_offset
from darts.preprocess.product_metadata import find_sun, metadata_of
from darts.preprocess.rasters import inputs_of, raster_files, read_header, read_on_grid
from darts.preprocess.scenes import (
    GOOD,
    INVALID,
    LOW,
    Block,
    Found,
    Grid,
    SceneRows,
    Sun,
    UnusableScene,
)

LARGEST_CLASS = 11
"""Of the scene classification; 0 is no data."""
STACK_BANDS = ("blue", "green", "red", "nir")
"""What the four bands of a `*_SR*` file are when it doesn't say."""


@dataclass(frozen=True, slots=True)
class Sentinel2Files:
    """A Sentinel-2 scene as found on disk; see `scenes.SceneFiles`."""

    scene_id: str
    folder: Path
    place: str
    date: date | None
    sun: Sun | None
    grid: Grid
    bands: Mapping[str, BandSource]
    scl: BandSource | None
    metadata: tuple[Path, ...]
    offset: Offset

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Every file that is read for the scene, sorted."""
        sources = [*self.bands.values(), *([self.scl] if self.scl else [])]
        files = {
            path
            for source in sources
            for path in inputs_of([source], Window(0, 0, source.header.grid.width, source.header.grid.height))
        }
        return tuple(sorted({*files, *self.metadata}))

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of how this scene is read."""
        no_scl = "no scene classification (*SCL*), so every pixel with values counts as clear"
        return tuple(note for note in (self.offset.note, None if self.scl else no_scl) if note)

    @property
    def facts(self) -> Mapping[str, str | int | float]:
        """The offset that is added to the digital numbers, and where it comes from."""
        return {"s2_offset": self.offset.value, "s2_offset_from": self.offset.origin}


@dataclass(frozen=True, slots=True)
class Sentinel2Reader:
    """Finds and reads Sentinel-2 scenes; see `scenes.SceneReader`."""

    config: Sentinel2Config

    def find(self, bands: Sequence[str]) -> Found[Sentinel2Files]:
        """The scenes below `--sentinel2-dir`, sorted by folder; see `scenes.SceneReader`.

        Raises
        ------
        SceneError
            When there is none.
        ConfigError
            When `--source-bands` names an unknown band.
        """
        source_bands = canonical_source_bands(self.config.source_bands)
        acquisitions, unusable = acquisitions_below(self.config.sentinel2_dir)
        scenes = []
        for acquisition in acquisitions:
            try:
                scenes.append(find_scene(acquisition, bands, source_bands, self.config.s2_offset))
            except SceneError as error:
                unusable.append(UnusableScene(acquisition.scene_id, str(error)))
        return Found(tuple(scenes), tuple(unusable))

    def read(self, files: Sentinel2Files, bands: Sequence[str], block: Block) -> SceneRows:
        """Read reflectance and quality of some rows; see `scenes.SceneReader`.

        A pixel without a value in any of the bands, or of SCL class 0, is invalid: it is NaN in all bands.
        """
        grid = files.grid.rows(block)
        quality = _quality(files.scl, grid, self.config.scl_ignore)
        read = {name: _reflectance(files.bands[name], files.offset.value, grid) for name in bands}
        for values in read.values():
            quality[np.isnan(values)] = INVALID
        for values in read.values():
            values[quality == INVALID] = np.nan
        return SceneRows(read, quality)


@dataclass(frozen=True, slots=True)
class Acquisition:
    """The files of one scene before they are looked into.

    Attributes
    ----------
    folder
        Where they lie; of a zarr store, the store itself.
    product
        Part of their names that tells them from those of other scenes in the same folder; "" if there are none.
    rasters
        Its raster files, sorted.
    """

    folder: Path
    product: str
    rasters: tuple[Path, ...]

    @property
    def name(self) -> str:
        """Of the folder, without `.SAFE`, and the product."""
        folder = self.folder.name.removesuffix(".SAFE")
        return f"{folder}_{self.product}" if self.product else folder

    @property
    def scene_id(self) -> str:
        """The name of the folder; with one `*_SR*` file, also the first three parts of its name: those of the product."""
        stems = [path.stem for path in self.rasters if not is_scl(path.stem)]
        stacks = [stem for stem in stems if is_stack(stem)]
        if len(stacks) != 1 or any(band_of(stem) for stem in stems):
            return self.name
        return f"{self.folder.name}_{'_'.join(stacks[0].split('_')[:3])}"


def acquisitions_below(root: Path) -> tuple[list[Acquisition], list[UnusableScene]]:
    """All scenes, in `root` itself when it holds raster files, else in its folders; and the folders that can't be listed.

    Raises
    ------
    SceneError
        When there is none, or `root` holds raster files beside scene folders.
    """
    if not root.is_dir():
        raise SceneError(f"--sentinel2-dir must be a folder of a scene or of scene folders, but {root} is no folder.")
    root = root.resolve()
    here, below, unusable = _scene_rasters(root), {}, []
    for folder in [] if root.suffix == ".SAFE" or is_cube(root) else sorted(root.iterdir()):
        if folder.is_dir() and not folder.name.startswith("."):
            try:
                below[folder] = _scene_rasters(folder)
            except SceneError as error:
                unusable.append(UnusableScene(folder.name, str(error)))
    scenes = [folder for folder, rasters in below.items() if rasters]
    if here and scenes:
        raise SceneError(
            f"{root} must be one scene or a folder of scenes, but holds raster files and the scene folder "
            f"{scenes[0].name}; give the one that you mean, or move the files of {root.name} into their own folder."
        )
    if not (here or scenes or unusable):
        raise SceneError(f"no scenes found: neither {root} nor a folder in it holds .tif, .tiff or .jp2 files.")
    found = {root: here} if here else {folder: below[folder] for folder in scenes}
    return [one for folder, rasters in found.items() for one in _acquisitions(folder, rasters)], unusable


def _acquisitions(folder: Path, rasters: Sequence[Path]) -> list[Acquisition]:
    """The scenes in a folder: one, unless the names of its files tell of several acquisitions."""
    products = {path: product_of(path.stem) for path in rasters}
    different = sorted({product for product in products.values() if product})
    if len(different) < 2:
        return [Acquisition(folder, "", tuple(rasters))]
    return [
        Acquisition(folder, product, tuple(path for path in rasters if products[path] == product))
        for product in different
    ]


def _scene_rasters(folder: Path) -> list[Path]:
    """The raster files of a scene; in a product as it is delivered (.SAFE) they lie deeper."""
    if is_cube(folder):
        return [folder]
    if folder.suffix != ".SAFE":
        return raster_files(folder)
    return [path for images in sorted(folder.glob("GRANULE/*/IMG_DATA/**/")) for path in raster_files(images)]


def find_scene(
    acquisition: Acquisition, bands: Sequence[str], source_bands: Sequence[str | None], offset: float | None
) -> Sentinel2Files:
    """The files of one scene that hold the given bands.

    Parameters
    ----------
    acquisition
        The files.
    bands
        Canonical names of the bands that are needed.
    source_bands
        Names of the bands of a stack that doesn't name them; None for a band to skip.
    offset
        `--s2-offset`.

    Raises
    ------
    SceneError
        When a band is missing, twice there, or in another coordinate reference system than the others.
    """
    folder, rasters = acquisition.folder, acquisition.rasters
    single = _single_bands(rasters)
    stack = None if single else _stack(folder, rasters, source_bands)
    found = _stack_sources(stack, source_bands) if stack else {}
    if missing := [band for band in bands if band not in (found or single)]:
        known = ", ".join(name for name in (found or single) if name != SCL)
        raise SceneError(f"{folder}: the bands {', '.join(missing)} are needed, but the scene has only {known}.")
    sources = {band: found.get(band) or _finest(single[band], band) for band in bands}
    scl = found.get(SCL) or _scl(rasters)
    _check_crs(folder, [*sources.values(), *([scl] if scl else [])])
    names = [*(source.header.path.stem for source in sources.values()), folder.name]
    day = find_date(names)
    metadata = metadata_of(folder)
    return Sentinel2Files(
        scene_id=acquisition.scene_id,
        folder=folder,
        place=tile_of([folder.name]) or folder.name.removesuffix(".SAFE"),
        date=day,
        sun=find_sun(metadata, _headers(sources)),
        grid=min((source.header.grid for source in sources.values()), key=lambda grid: grid.pixel_area),
        bands=sources,
        scl=scl,
        metadata=metadata,
        offset=find_offset(_headers(sources), metadata, [folder.name, *names], offset, day),
    )


def _headers(sources: Mapping[str, BandSource]) -> list[RasterHeader]:
    return list({source.header.path: source.header for source in sources.values()}.values())


def _single_bands(rasters: Sequence[Path]) -> dict[str, list[Path]]:
    """Canonical name -> files that are named by this one band."""
    found: dict[str, list[Path]] = {}
    for path in rasters:
        if band := band_of(path.stem):
            found.setdefault(band, []).append(path)
    return found


def _finest(paths: Sequence[Path], band: str) -> BandSource:
    headers = sorted((read_header(path) for path in paths), key=lambda header: header.grid.pixel_area)
    if len(headers) > 1 and headers[0].grid.pixel_area == headers[1].grid.pixel_area:
        raise SceneError(
            f"each band must come once at its finest resolution, but {headers[0].path} and {headers[1].path.name} both "
            f"are {band}; keep one of them."
        )
    if headers[0].count != 1:
        raise SceneError(
            f"{headers[0].path} is named as the band {band}, but holds {headers[0].count} bands; rename it, and name "
            "its bands with --source-bands."
        )
    return BandSource(headers[0], 1)


def _scl(rasters: Sequence[Path]) -> BandSource | None:
    paths = [path for path in rasters if is_scl(path.stem)]
    return _finest(paths, "SCL") if paths else None


def _stack(folder: Path, rasters: Sequence[Path], source_bands: Sequence[str | None]) -> RasterHeader:
    """The one file of a scene that holds several known bands."""
    candidates = [path for path in rasters if not is_scl(path.stem)]
    candidates = [path for path in candidates if is_stack(path.stem)] or candidates
    headers = [read_header(path) for path in candidates]
    if len(headers) == 1 and source_bands and headers[0].count != len(source_bands):
        raise SceneError(
            f"--source-bands must name every band of {headers[0].path}, which holds {headers[0].count}, but names "
            f"{len(source_bands)}."
        )
    stacks = [header for header in headers if _stack_sources(header, source_bands)]
    if len(stacks) == 1:
        return stacks[0]
    if stacks:
        raise SceneError(
            f"{folder} must hold one scene, but {stacks[0].path.name} and {stacks[1].path.name} both look like one; "
            "give each a folder of its own."
        )
    raise SceneError(
        f"{folder}: no bands can be recognised; name single-band files B02, B03, ..., or say with --source-bands what "
        "the bands of the one file are."
    )


def _stack_sources(header: RasterHeader, source_bands: Sequence[str | None]) -> dict[str, BandSource]:
    """Canonical name -> band of a stack; empty when it isn't known what its bands are."""
    if source_bands:
        names = list(source_bands) if len(source_bands) == header.count else []
    else:
        names = [described_band(text) for text in header.descriptions]
        if not any(names) and header.count == len(STACK_BANDS) and is_stack(header.path.stem):
            names = list(STACK_BANDS)
    repeated = [name for name in names if name and names.count(name) > 1]
    if repeated:
        raise SceneError(f"{header.path}: each band must come once, but {repeated[0]} comes twice; use --source-bands.")
    return {name: BandSource(header, index) for index, name in enumerate(names, start=1) if name}


def _check_crs(folder: Path, sources: Sequence[BandSource]) -> None:
    first = sources[0].header
    for source in sources:
        if source.header.grid.crs != first.grid.crs:
            raise SceneError(
                f"{folder}: all files of a scene must have one coordinate reference system, but {first.path.name} has "
                f"{first.grid.crs} and {source.header.path.name} has {source.header.grid.crs}; reproject one of them."
            )


def _reflectance(source: BandSource, offset: float, grid: Grid) -> np.ndarray:
    """Reflectance on `grid`: float32, NaN where the digital number is 0, the declared nodata, or not finite."""

    def prepare(numbers: np.ndarray) -> np.ndarray:
        empty = without_value(numbers, source.nodata)
        refuse_reflectance(source.header.path, numbers, empty)
        values = numbers.astype(np.float32)
        values += np.float32(offset)
        values /= np.float32(QUANTIFICATION)
        values[empty] = np.nan
        return values

    return read_on_grid(source, grid, prepare, Resampling.bilinear)


def _quality(scl: BandSource | None, grid: Grid, scl_ignore: Sequence[int]) -> np.ndarray:
    """Quality by the scene classification alone: uint8 (height, width)."""
    if scl is None:
        return np.full(grid.shape, GOOD, dtype=np.uint8)
    classes = read_on_grid(scl, grid, lambda stored: stored.astype(np.float32), Resampling.nearest)
    quality = np.where(np.isin(classes, list(scl_ignore)), np.uint8(LOW), np.uint8(GOOD))
    quality[~((classes > 0) & (classes <= LARGEST_CLASS))] = INVALID
    return quality
