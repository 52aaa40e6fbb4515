"""Scenes and labels become a dataset directory: what the commands call, one function for each sensor."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from darts.core.config import keyword_settings
from darts.core.log import get_logger
from darts.preprocess.config import (
    AuxiliaryConfig,
    ExecutionConfig,
    ImageLabelConfig,
    LabelConfig,
    ObsoleteConfig,
    PatchConfig,
    PlanetConfig,
    Sentinel2Config,
)
from darts.preprocess.downloads import ArcticDemStac, EarthEngineTrends
from darts.preprocess.execution import PreprocessResult, carry_out
from darts.preprocess.features import make_recipe
from darts.preprocess.job import Job
from darts.preprocess.labelling import by_image, by_place
from darts.preprocess.plan import Plan, make_plan
from darts.preprocess.planet import PlanetReader
from darts.preprocess.sentinel2 import Sentinel2Reader

_log = get_logger(__name__)


def preprocess_sentinel2(
    sentinel2: Sentinel2Config,
    labels: LabelConfig,
    patches: PatchConfig,
    auxiliary: AuxiliaryConfig,
    execution: ExecutionConfig,
    obsolete: ObsoleteConfig,
) -> PreprocessResult:
    """Make a dataset directory from Sentinel-2 scenes and label polygons.

    Stopped at any instant, the same call goes on with the next scene; on a finished dataset it changes nothing. The
    bytes written depend on inputs and settings alone. A scene that can't be used is recorded, and the others go on.

    Raises
    ------
    SceneError
        When no scene can be used, or labels or auxiliary data can't.
    DatasetError
        When the directory can't be used, or no patch is left.
    ConfigError
        When a setting breaks a rule.
    """
    _warn_of_obsolete(obsolete)
    return _preprocess(_sentinel2_job(sentinel2, labels, patches, auxiliary, execution))


def plan_sentinel2(
    sentinel2: Sentinel2Config,
    labels: LabelConfig,
    patches: PatchConfig,
    auxiliary: AuxiliaryConfig,
    execution: ExecutionConfig,
    obsolete: ObsoleteConfig,
) -> Plan:
    """What `preprocess_sentinel2` would do with the same settings; reads no pixels and writes nothing.

    Raises
    ------
    SceneError
        When no scene can be used, or labels or auxiliary data can't.
    ConfigError
        When a setting breaks a rule.
    """
    _warn_of_obsolete(obsolete)
    return _plan(_sentinel2_job(sentinel2, labels, patches, auxiliary, execution))


def preprocess_planet(
    planet: PlanetConfig,
    labels: ImageLabelConfig,
    patches: PatchConfig,
    auxiliary: AuxiliaryConfig,
    execution: ExecutionConfig,
    obsolete: ObsoleteConfig,
) -> PreprocessResult:
    """Make a dataset directory from PlanetScope scenes, and labels that name the image they were drawn on.

    Stopped at any instant, the same call goes on with the next scene; on a finished dataset it changes nothing. The
    bytes written depend on inputs and settings alone. A scene that can't be used is recorded, and the others go on.

    Raises
    ------
    SceneError
        When no scene can be used, or labels or auxiliary data can't.
    DatasetError
        When the directory can't be used, or no patch is left.
    ConfigError
        When a setting breaks a rule.
    """
    _warn_of_obsolete(obsolete)
    return _preprocess(_planet_job(planet, labels, patches, auxiliary, execution))


def plan_planet(
    planet: PlanetConfig,
    labels: ImageLabelConfig,
    patches: PatchConfig,
    auxiliary: AuxiliaryConfig,
    execution: ExecutionConfig,
    obsolete: ObsoleteConfig,
) -> Plan:
    """What `preprocess_planet` would do with the same settings; reads no pixels and writes nothing.

    Raises
    ------
    SceneError
        When no scene can be used, or labels or auxiliary data can't.
    ConfigError
        When a setting breaks a rule.
    """
    _warn_of_obsolete(obsolete)
    return _plan(_planet_job(planet, labels, patches, auxiliary, execution))


preprocess_s2_train_data = keyword_settings(preprocess_sentinel2)
"""Make a dataset directory from Sentinel-2 scenes and label polygons; keywords as the flags."""
plan_s2_train_data = keyword_settings(plan_sentinel2)
"""What `preprocess_s2_train_data` would do with the same keywords."""
preprocess_planet_train_data = keyword_settings(preprocess_planet)
"""Make a dataset directory from PlanetScope scenes and their labels; keywords as the flags."""
plan_planet_train_data = keyword_settings(plan_planet)
"""What `preprocess_planet_train_data` would do with the same keywords."""


def _sentinel2_job(
    sentinel2: Sentinel2Config,
    labels: LabelConfig,
    patches: PatchConfig,
    auxiliary: AuxiliaryConfig,
    execution: ExecutionConfig,
) -> Job:
    reader = Sentinel2Reader(sentinel2)
    return Job(reader, by_place(labels), (sentinel2, labels), labels, patches, auxiliary, execution)


def _planet_job(
    planet: PlanetConfig,
    labels: ImageLabelConfig,
    patches: PatchConfig,
    auxiliary: AuxiliaryConfig,
    execution: ExecutionConfig,
) -> Job:
    reader = PlanetReader(planet.data_dir)
    return Job(reader, by_image(labels), (planet, labels), labels, patches, auxiliary, execution)


def _warn_of_obsolete(obsolete: ObsoleteConfig) -> None:
    advice = "the training commands divide a dataset with --data-split-method and --data-split-by"
    for name, value in obsolete:
        if value:
            _log.warning("--%s is obsolete and has no effect: %s.", name.replace("_", "-"), advice)


def _preprocess(job: Job) -> PreprocessResult:
    if job.auxiliary.download:
        _fetch_auxiliary(job)
    return carry_out(_plan(job), job)


def _fetch_auxiliary(job: Job) -> None:
    """Fetch elevation and trends that the scenes need and the folders lack."""
    config, recipe = job.auxiliary, make_recipe(job.patches.bands)
    scenes = job.reader.find(recipe.measured).scenes
    if recipe.terrain and config.arcticdem_dir:
        source = ArcticDemStac(int(config.arcticdem_resolution))
        _say_fetched(source.fetch([scene.grid for scene in scenes], config.arcticdem_dir), config.arcticdem_dir)
    if recipe.trends and config.tcvis_dir:
        versions = defaultdict(list)
        for scene in scenes:
            versions[EarthEngineTrends(config.ee_project, scene.date).year].append(scene)
        for of_one_version in versions.values():
            trends = EarthEngineTrends(config.ee_project, of_one_version[0].date)
            _say_fetched(trends.fetch([scene.grid for scene in of_one_version], config.tcvis_dir), config.tcvis_dir)


def _say_fetched(new: Sequence[Path], folder: Path) -> None:
    _log.info("fetched %d files into %s", len(new), folder)


def _plan(job: Job) -> Plan:
    return make_plan(job.reader, job.labelling, job.regions, job.patches, job.auxiliary)
