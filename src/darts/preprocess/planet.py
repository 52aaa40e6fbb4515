"""PlanetScope scenes and orthotiles: found in any layout of folders, and read as reflectance."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from pathlib import Path

import numpy as np
from rasterio.warp import transform_geom
from rasterio.windows import Window
from shapely.geometry import mapping, shape

from darts.core.errors import SceneError
from darts.preprocess.digital_numbers import refuse_reflectance, without_value
from darts.preprocess.headers import BandSource, RasterHeader
from darts.preprocess.planet_mask import UsableDataMask, find_mask, mask_quality
from darts.preprocess.planet_metadata import FoundSun, find_sun, read_coefficients
from darts.preprocess.planet_names import IMAGES, MASKS, NamedFile, Role, bands_of, choose_image, choose_mask, day_of
from darts.preprocess.planet_search import ImageFiles, images_below, scene_ids
from darts.preprocess.rasters import read_bands, read_header
from darts.preprocess.scenes import INVALID, Block, Found, Grid, SceneRows, Sun, UnusableScene

SURFACE_SCALE = 1 / 10_000
"""Surface reflectance per digital number, in every product."""
_NO_MASK = "no usable data mask (*_udm2*.tif or *_udm*.tif), so every pixel with values counts as clear"


@dataclass(frozen=True, slots=True)
class PlanetFiles:
    """A PlanetScope image as found on disk; see `scenes.SceneFiles`.

    Attributes
    ----------
    image_id
        As labels name it; two clips of one image share it.
    bands
        Canonical name -> band of the raster, for all bands that it has.
    scale
        Canonical name -> reflectance per digital number.
    mask
        The usable data mask, if there is one.
    """

    scene_id: str
    image_id: str
    folder: Path
    date: date | None
    grid: Grid
    bands: Mapping[str, BandSource]
    scale: Mapping[str, float]
    mask: UsableDataMask | None
    sun: Sun | None
    inputs: tuple[Path, ...]
    notes: tuple[str, ...]
    facts: Mapping[str, str | int | float]

    @property
    def place(self) -> str:
        """The region where no administrative area is: the scene itself."""
        return self.scene_id


@dataclass(frozen=True, slots=True)
class PlanetReader:
    """Finds and reads PlanetScope images below a folder; see `scenes.SceneReader`."""

    root: Path

    def find(self, bands: Sequence[str]) -> Found[PlanetFiles]:
        """The images in `root` and in all folders below it that can give these bands, sorted by their ids.

        Of several rasters of an image in one folder, surface reflectance goes before top of atmosphere, four bands
        before eight unless a band needs these, the plain one before the harmonized one, and the whole before a clip.
        Clips of one image in several folders are scenes of their own.

        Raises
        ------
        SceneError
            When there is no image at all, or the same ground of an image is in two folders.
        """
        if not self.root.is_dir():
            raise SceneError(f"--data-dir must be a folder of PlanetScope images, but {self.root} is no folder.")
        root = self.root.resolve()
        images, unusable = images_below(root)
        if not images and not unusable:
            raise SceneError(
                f"no images found: neither {root} nor a folder below it holds *_SR*.tif or *_AnalyticMS*.tif; give the "
                "folder of PlanetScope images as --data-dir."
            )
        scenes: list[PlanetFiles] = []
        for image, scene_id in zip(images, scene_ids(images, root), strict=True):
            try:
                scenes.append(_find_scene(image, scene_id, bands))
            except SceneError as error:
                unusable.append(UnusableScene(scene_id, str(error)))
        _refuse_copies(scenes)
        return Found(
            tuple(sorted(scenes, key=lambda scene: scene.scene_id)),
            tuple(sorted(unusable, key=lambda scene: (scene.scene_id, scene.reason))),
        )

    def read(self, files: PlanetFiles, bands: Sequence[str], block: Block) -> SceneRows:
        """Read reflectance and quality of some rows.

        A pixel is INVALID, and NaN in all bands, where any of the bands has no value, or where a bit of unusable data
        other than that of cloud is set. It is LOW where the mask tells snow, shadow, haze or cloud. Under a cloud there
        are values, then, which are not learnt from; darts-nextgen has none there.

        Raises
        ------
        SceneError
            When a file is damaged.
        """
        window = Window(0, block.start, files.grid.width, block.height)
        # Without a band to read, all bands together tell where the image is.
        sources = [files.bands[name] for name in bands or files.bands]
        numbers = read_bands(sources, window)
        empty = np.logical_or.reduce(
            [without_value(band, source.nodata) for band, source in zip(numbers, sources, strict=True)]
        )
        refuse_reflectance(sources[0].header.path, numbers, empty)
        quality = mask_quality(files.mask, window)
        quality[empty] = INVALID
        values = {name: _reflectance(numbers[index], files.scale[name], quality) for index, name in enumerate(bands)}
        return SceneRows(values, quality)


def _find_scene(image: ImageFiles, scene_id: str, bands: Sequence[str]) -> PlanetFiles:
    """What the headers and the metadata of an image say.

    Raises
    ------
    SceneError
        When a file is damaged or missing, a band is missing, or the mask lies elsewhere.
    """
    chosen = choose_image(image.of(*IMAGES), bands)
    header = read_header(chosen.path)
    sources = _band_sources(header)
    if missing := [name for name in bands if name not in sources]:
        has = ", ".join(sources) or f"{header.count} bands, of which none is known"
        raise SceneError(f"{header.path}: the bands {', '.join(missing)} are needed, but the image has {has}.")
    metadata = _metadata_file(image, chosen)
    scale = _scales(header, chosen, metadata)
    mask_file = choose_mask(image.of(*MASKS), chosen)
    mask = find_mask(mask_file, header.grid) if mask_file else None
    sun = _find_sun(image, metadata)
    read = [header.path, mask and mask.header.path, sun.path, metadata if chosen.role is Role.TOP else None]
    return PlanetFiles(
        scene_id=scene_id,
        image_id=image.image_id,
        folder=image.folder,
        date=day_of(image.image_id),
        grid=header.grid,
        bands=sources,
        scale={name: scale[source.index - 1] for name, source in sources.items()},
        mask=mask,
        sun=sun.sun,
        inputs=tuple(sorted({path for path in read if path})),
        notes=sun.notes if mask else (_NO_MASK, *sun.notes),
        facts={
            "planet_asset": chosen.role.value,
            "planet_file": chosen.path.name,
            "usable_data_mask": mask.kind.value if mask else "none",
            "harmonized": chosen.harmonized,
        },
    )


def _band_sources(header: RasterHeader) -> dict[str, BandSource]:
    """Canonical name -> band, for the bands that are known."""
    names = bands_of(header.descriptions)
    if repeated := [name for name in names if name and names.count(name) > 1]:
        raise SceneError(f"{header.path}: each band must come once, but {repeated[0]} comes twice; get the file again.")
    return {name: BandSource(header, index) for index, name in enumerate(names, start=1) if name}


def _metadata_file(image: ImageFiles, chosen: NamedFile) -> Path | None:
    """The product metadata of a raster, if there are any; those of the same variant first."""
    files = image.of(Role.METADATA_XML)
    variant = chosen.eight_bands, chosen.clipped
    return min(files, key=lambda file: (file.eight_bands, file.clipped) != variant).path if files else None


def _scales(header: RasterHeader, chosen: NamedFile, metadata: Path | None) -> Sequence[float]:
    """Reflectance per digital number of each band of a raster."""
    if chosen.role is Role.TOP:
        if metadata is None:
            raise SceneError(
                f"{header.path}: top of atmosphere needs the coefficients in its *_metadata.xml, but there is none beside "
                "it; put it there, or order surface reflectance (*_SR.tif)."
            )
        return read_coefficients(metadata, header.count)
    for scale, offset in zip(header.scales, header.offsets, strict=True):
        if (scale, offset) != (1, 0) and (abs(scale / SURFACE_SCALE - 1) > 1e-6 or offset != 0):
            raise SceneError(
                f"{header.path}: digital numbers must be surface reflectance times 10000, but the file declares a scale "
                f"of {scale:g} and an offset of {offset:g}; convert it."
            )
    return [SURFACE_SCALE] * header.count


def _find_sun(image: ImageFiles, metadata: Path | None) -> FoundSun:
    items = [file.path for role in (Role.METADATA_JSON, Role.CATALOGUE_JSON) for file in image.of(role)]
    return find_sun([*items, *([metadata] if metadata else [])])


def _refuse_copies(scenes: Sequence[PlanetFiles]) -> None:
    """Clips of one image are scenes of their own; the same ground twice would be learnt and tested on at once."""
    same: dict[str, list[PlanetFiles]] = defaultdict(list)
    for scene in scenes:
        same[scene.image_id.lower()].append(scene)
    for one, other in (pair for images in same.values() for pair in combinations(images, 2)):
        if (shared := _shared_area(one.grid, other.grid)) > 0.5:
            raise SceneError(
                f"each image must come once, but {one.image_id} is in {one.folder} and in {other.folder}, which share "
                f"{shared:.0%} of the smaller one; move one of them out of --data-dir, or rename it if it is another image."
            )


def _shared_area(one: Grid, other: Grid) -> float:
    """The area that two grids share, in parts of the smaller one."""
    first, second = one.outline(), other.outline()
    if one.crs != other.crs:
        second = shape(transform_geom(other.crs, one.crs, mapping(second)))
    return float(first.intersection(second).area / min(first.area, second.area))


def _reflectance(numbers: np.ndarray, scale: float, quality: np.ndarray) -> np.ndarray:
    """Reflectance, multiplied in float64: float32 (height, width), NaN where the quality is INVALID."""
    values = np.empty(numbers.shape, dtype=np.float32)
    np.multiply(numbers, scale, out=values, dtype=np.float64, casting="same_kind")
    values[quality == INVALID] = np.nan
    return values
