"""What preprocessing is going to do, as values: found and checked before anything is written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
from rasterio.crs import CRS
from shapely.geometry.base import BaseGeometry

from darts.core.errors import SceneError
from darts.core.files import short_name
from darts.preprocess.auxiliary import Mosaic, find_elevation, find_trends
from darts.preprocess.auxiliary_bands import AuxiliaryBands
from darts.preprocess.config import AuxiliaryConfig, PatchConfig, RegionConfig, parse_ranges
from darts.preprocess.features import Recipe, make_recipe
from darts.preprocess.findings import Finding, Kind
from darts.preprocess.labelling import Labelling, SceneLabels
from darts.preprocess.mosaics import bounds_in
from darts.preprocess.patches import count_patches
from darts.preprocess.regions import admin_file, read_regions, regions_of
from darts.preprocess.scenes import SceneFiles, SceneReader, UnusableScene
from darts.preprocess.terrain import DEFAULT_SUN
from darts.preprocess.vectors import companions

_WGS84 = CRS.from_epsg(4326)
MAX_PIXELS = 30_000**2
"""More pixels than any scene has: files that claim more are not believed."""


@dataclass(frozen=True, slots=True, eq=False)
class ScenePlan:
    """One scene, and all that its patches are made of.

    Attributes
    ----------
    files
        The scene as found on disk.
    labels
        The polygons to burn in, in its reference system.
    mapped
        Where it was looked at for labels, in its reference system; None is everywhere.
    regions
        The administrative areas that touch it, in its reference system; None without `--admin-dir`.
    auxiliary
        Its terrain and trends.
    inputs
        Name -> every file that is read for it.
    n_patches
        Number of patches before any is dropped.
    """

    files: SceneFiles
    labels: gpd.GeoDataFrame
    mapped: BaseGeometry | None
    regions: gpd.GeoDataFrame | None
    auxiliary: AuxiliaryBands
    inputs: Mapping[str, Path]
    n_patches: int

    @property
    def scene_id(self) -> str:
        """Unique in a dataset."""
        return self.files.scene_id

    @property
    def region_names(self) -> tuple[str, ...]:
        """The regions that its patches can have."""
        named = () if self.regions is None else tuple(sorted(set(self.regions["region"])))
        return named or (self.files.place,)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A dataset to be.

    Attributes
    ----------
    recipe
        What the channels are made of.
    scenes
        In the order in which they are committed.
    unusable
        Scenes that can't be used, and why.
    findings
        What became of labels and images that went another way than hoped.
    notes
        What the user should know.
    """

    recipe: Recipe
    scenes: tuple[ScenePlan, ...]
    unusable: tuple[UnusableScene, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def n_patches(self) -> int:
        """Number of patches before any is dropped."""
        return sum(scene.n_patches for scene in self.scenes)


def make_plan(
    reader: SceneReader[Any],
    labelling: Labelling,
    regions: RegionConfig,
    patches: PatchConfig,
    auxiliary: AuxiliaryConfig,
) -> Plan:
    """Find scenes, labels, areas and auxiliary data, and check that they fit together.

    Raises
    ------
    SceneError
        When no scene can be used, labels or areas can't, or auxiliary data are missing: all of them are named.
    ConfigError
        When a band is unknown.
    """
    recipe = make_recipe(patches.bands, parse_ranges(patches.band_ranges), mask_indices=patches.mask_indices)
    found = reader.find(recipe.measured)
    _check_names(found.scenes)
    misfits = {files.scene_id: _misfit(files, patches.patch_size) for files in found.scenes}
    labelled = labelling([files for files in found.scenes if misfits[files.scene_id] is None])
    unusable = (*found.unusable, *(misfit for misfit in misfits.values() if misfit), *labelled.unusable)
    if not labelled.scenes:
        raise SceneError(_nothing_left(unusable))
    sources = _find_auxiliary(recipe, auxiliary, labelled.scenes)
    areas = admin_file(regions.admin_dir) if regions.admin_dir else None
    table = read_regions(areas) if areas else None
    scenes = tuple(
        ScenePlan(
            files=scene.files,
            labels=scene.labels,
            mapped=scene.mapped,
            regions=None if table is None else regions_of(table, scene.files.grid),
            auxiliary=source,
            inputs=_inputs(scene, source, areas),
            n_patches=count_patches(*scene.files.grid.shape, patches.patch_size, patches.overlap),
        )
        for scene, source in zip(labelled.scenes, sources, strict=True)
    )
    unusable = tuple(sorted(unusable, key=lambda scene: scene.scene_id))
    return Plan(recipe, scenes, unusable, labelled.findings, tuple(_notes(scenes, unusable, labelled.findings)))


def _nothing_left(unusable: Sequence[UnusableScene]) -> str:
    others = f" (scenes that can't be used: {len(unusable)})" if len(unusable) > 1 else ""
    return f"{unusable[0].reason.rstrip('.')}{others}."


def _check_names(found: Sequence[SceneFiles]) -> None:
    seen: dict[str, Path] = {}
    for files in found:
        if files.scene_id in seen:
            raise SceneError(
                f"each scene needs a name of its own, but {seen[files.scene_id]} and {files.folder} are both "
                f"{files.scene_id}; rename or remove one of them."
            )
        seen[files.scene_id] = files.folder


def _misfit(files: SceneFiles, patch_size: int) -> UnusableScene | None:
    """Why a scene is no scene by its size, if it isn't."""
    height, width = files.grid.shape
    if height * width > MAX_PIXELS:
        reason = f"its files claim {height} x {width} pixels, more than a scene has; check them."
        return UnusableScene(files.scene_id, reason)
    if bounds_in(_WGS84, files.grid) is None:
        reason = (
            f"the reference system of its files must have a place on earth, but is {files.grid.crs}; assign another."
        )
        return UnusableScene(files.scene_id, reason)
    if min(height, width) >= patch_size:
        return None
    return UnusableScene(
        files.scene_id,
        f"a scene must be at least one patch of {patch_size} x {patch_size} pixels, but {files.scene_id} has "
        f"{height} x {width}; give --patch-size {min(height, width)} or less, or remove the scene.",
    )


def _find_auxiliary(recipe: Recipe, config: AuxiliaryConfig, scenes: Sequence[SceneLabels]) -> list[AuxiliaryBands]:
    """Elevation and trends of each scene.

    Raises
    ------
    SceneError
        When some are missing, with a list of all that is.
    """
    missing: list[str] = []
    elevation = _elevation(recipe, config, missing)
    trends = _trends(recipe, config, {scene.files.date for scene in scenes}, missing)
    planned = [
        AuxiliaryBands(
            terrain=recipe.terrain,
            trends=recipe.trends,
            elevation=elevation,
            trend_data=trends.get(scene.files.date),
            sun=scene.files.sun or DEFAULT_SUN,
            tpi_outer_radius=config.tpi_outer_radius,
            tpi_inner_radius=config.tpi_inner_radius,
        )
        for scene in scenes
    ]
    missing += _uncovered([scene.files for scene in scenes], planned)
    if missing:
        listed = "; ".join(dict.fromkeys(missing))
        raise SceneError(f"some bands need data that are missing: {listed}. Give them, or leave the bands out.")
    return planned


def _elevation(recipe: Recipe, config: AuxiliaryConfig, missing: list[str]) -> Mosaic | None:
    if not recipe.terrain:
        return None
    if config.arcticdem_dir is None:
        missing.append(f"an elevation model (--arcticdem-dir) for {', '.join(recipe.terrain)}")
        return None
    try:
        return find_elevation(config.arcticdem_dir)
    except SceneError as error:
        missing.append(str(error).rstrip("."))
        return None


def _trends(
    recipe: Recipe, config: AuxiliaryConfig, days: Iterable[date | None], missing: list[str]
) -> dict[date | None, Mosaic]:
    if not recipe.trends:
        return {}
    if config.tcvis_dir is None:
        missing.append(f"Landsat trends (--tcvis-dir) for {', '.join(recipe.trends)}")
        return {}
    try:
        return find_trends(config.tcvis_dir, days)
    except SceneError as error:
        missing.append(str(error).rstrip("."))
        return {}


def _uncovered(files: Sequence[SceneFiles], sources: Sequence[AuxiliaryBands]) -> list[str]:
    """The scenes that no auxiliary data cover at all; where they cover a part of one, the rest has no values."""
    bare: dict[str, list[str]] = {}
    for scene, source in zip(files, sources, strict=True):
        for kind, mosaic in (("elevation", source.elevation), ("trends", source.trend_data)):
            if mosaic is not None and not mosaic.meets(scene.grid):
                bare.setdefault(f"{kind} of {mosaic.root}", []).append(scene.scene_id)
    return [f"no {what} lies over {', '.join(names)}" for what, names in bare.items()]


def _inputs(scene: SceneLabels, source: AuxiliaryBands, areas: Path | None) -> dict[str, Path]:
    """Name -> file; names don't depend on where the data lie."""
    found = {short_name(path, scene.files.folder): path for path in scene.files.inputs} | scene.inputs
    for path in companions(areas) if areas else []:
        found[f"areas: {path.name}"] = path
    found |= source.inputs(scene.files.grid)
    # They are read by other processes, which may have another working directory.
    return {name: found[name].absolute() for name in sorted(found)}


def _notes(scenes: Sequence[ScenePlan], unusable: Sequence[UnusableScene], findings: Sequence[Finding]) -> list[str]:
    """Each thing to know once, with the scenes that it is true of."""
    concerned: dict[str, list[str]] = {}
    no_sun = "the position of the sun isn't known, so hillshade is computed for azimuth 225 and elevation 25"
    for scene in scenes:
        unknown_sun = [no_sun] if "hillshade" in scene.auxiliary.terrain and scene.files.sun is None else []
        for note in [*scene.files.notes, *unknown_sun]:
            concerned.setdefault(note, []).append(scene.scene_id)
    for finding in findings:
        if finding.kind == Kind.IMAGE_WITHOUT_LABEL:
            concerned.setdefault(finding.reason, []).append(finding.name)
    notes = [f"{_some(names)}: {note}." for note, names in concerned.items()]
    assets = {str(scene.files.facts["planet_asset"]) for scene in scenes if "planet_asset" in scene.files.facts}
    if len(assets) > 1:
        notes.append(f"the scenes mix {' and '.join(sorted(assets))}, which a model can't tell apart; keep one kind.")
    if lost := sum(finding.kind == Kind.LABEL_WITHOUT_IMAGE for finding in findings):
        notes.append(f"{lost} label polygons reach no scene and aren't used; the report says why.")
    return [*notes, *(f"{scene.scene_id} can't be used: {scene.reason}" for scene in unusable)]


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} scenes ({names[0]}, ...)"
