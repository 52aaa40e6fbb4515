"""Making the sample data: the steps, their order, and the record of what is done."""

import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from darts.core.config import keyword_settings
from darts.core.errors import DartsError
from darts.core.files import make_directory, write_text
from darts.core.log import get_logger
from darts.sample.config import SampleConfig
from darts.sample.layout import (
    PLANET_RESOLUTION,
    S2_RESOLUTION,
    planet_acquisitions,
    sentinel2_acquisitions,
    world_grid,
)
from darts.sample.paint import carve
from darts.sample.planet import scene_centres, simulate_planet_scene, write_labels, write_planet_scene
from darts.sample.readme import Facts, readme
from darts.sample.sentinel2 import simulate_scene, write_scene
from darts.sample.slumps import LONGEST, SHORTEST, Slump, place_slumps
from darts.sample.surroundings import write_elevation, write_regions, write_trends
from darts.sample.world import Terrain, simulate_terrain

logger = get_logger(__name__)

VERSION = 1
"""Of the simulation; another version makes other data."""
RECORD = "sample.toml"
PLANET_SCENES = 2


@dataclass(frozen=True)
class SampleData:
    """Where the simulated data lies."""

    output_dir: Path
    sentinel2_dir: Path
    """A folder for each Sentinel-2 scene."""
    planet_dir: Path
    """A folder for each PlanetScope scene."""
    labels_dir: Path
    """Labels and footprints of the PlanetScope scenes."""
    arcticdem_dir: Path
    tcvis_dir: Path
    admin_dir: Path
    readme: Path
    already_complete: bool
    """Whether all of it was there before, so that nothing was done."""


def simulate_into(config: SampleConfig) -> SampleData:
    """Write simulated scenes, labels, elevation, trends and regions with known truth.

    The same settings give the same bytes. Where data of the same settings is there already, nothing is done.

    Parameters
    ----------
    config
        Where to write, the seed, how many scenes, and how large.

    Returns
    -------
    SampleData
        The folders, and whether they were there before.

    Raises
    ------
    DartsError
        When the folder can't be written to, or holds sample data of other settings.
    """
    output = make_directory(config.output_dir)
    settings = {"random_seed": config.random_seed, "scenes": config.scenes, "size": config.size, "version": VERSION}
    if _is_complete(output, settings):
        logger.info("the sample data in %s is complete", output)
        return _places(output, already_complete=True)
    staging = output / ".tmp-sample"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        _simulate(config, staging)
        files = _publish(staging, output)
    except OSError as problem:
        raise DartsError(f"the sample data can't be written into {output} ({problem.strerror or problem}).") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    write_text(output / RECORD, tomli_w.dumps({"sample": settings, "files": files}))
    return _places(output, already_complete=False)


def _simulate(config: SampleConfig, folder: Path) -> None:
    """Simulate one world, and write all that is seen of it into a folder."""
    seed = config.random_seed
    world = world_grid(config.scenes, config.size)
    bare = simulate_terrain(seed, world)
    slumps = place_slumps(seed, bare, world)
    terrain = carve(bare, world, slumps)
    logger.info("simulated %d slumps", len(slumps))
    _write_sentinel2(config, folder / "sentinel2", terrain, slumps)
    _write_planet(config, folder, terrain, slumps)
    write_elevation(folder / "arcticdem" / "dem.tif", terrain, world)
    write_trends(folder / "tcvis" / "tcvis.tif", seed, terrain, world, slumps)
    write_regions(folder / "admin" / "regions.gpkg", seed, world)
    _write_readme(config, folder / "README.md", len(slumps))


def _write_sentinel2(config: SampleConfig, folder: Path, terrain: Terrain, slumps: tuple[Slump, ...]) -> None:
    seed, world = config.random_seed, world_grid(config.scenes, config.size)
    for acquisition in sentinel2_acquisitions(seed, config.scenes, config.size):
        scene = simulate_scene(seed, terrain, world, slumps, acquisition)
        write_scene(folder / acquisition.name, seed, scene, slumps)
        logger.info("wrote %s", acquisition.name)


def _write_planet(config: SampleConfig, folder: Path, terrain: Terrain, slumps: tuple[Slump, ...]) -> None:
    """Write PlanetScope scenes of places that the first and the middle Sentinel-2 scene show, too."""
    seed, world = config.random_seed, world_grid(config.scenes, config.size)
    sites = [one.grid for one in sentinel2_acquisitions(seed, config.scenes, config.size)]
    chosen = sites[:: max(1, len(sites) // PLANET_SCENES)][:PLANET_SCENES]
    flights = planet_acquisitions(seed, scene_centres(slumps, chosen), config.size)
    scenes = [simulate_planet_scene(seed, terrain, world, slumps, flight) for flight in flights]
    for scene in scenes:
        write_planet_scene(folder / "planet" / "PSScene" / scene.acquisition.name, scene)
    write_labels(folder / "labels", scenes, slumps)


def _write_readme(config: SampleConfig, path: Path, slumps: int) -> None:
    facts = Facts(
        seed=config.random_seed,
        scenes=config.scenes,
        size=config.size,
        slumps=slumps,
        shortest=SHORTEST,
        longest=LONGEST,
        planet_scenes=min(PLANET_SCENES, config.scenes),
        s2=S2_RESOLUTION,
        planet=PLANET_RESOLUTION,
    )
    path.write_text(readme(facts), encoding="utf-8")


def _places(output: Path, *, already_complete: bool) -> SampleData:
    return SampleData(
        output_dir=output,
        sentinel2_dir=output / "sentinel2",
        planet_dir=output / "planet",
        labels_dir=output / "labels",
        arcticdem_dir=output / "arcticdem",
        tcvis_dir=output / "tcvis",
        admin_dir=output / "admin",
        readme=output / "README.md",
        already_complete=already_complete,
    )


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _publish(staging: Path, output: Path) -> dict[str, int]:
    """Move every file to its place, and return the size of each in bytes."""
    sizes: dict[str, int] = {}
    for path in _files(staging):
        name = path.relative_to(staging)
        place = output / name
        place.parent.mkdir(parents=True, exist_ok=True)
        sizes[name.as_posix()] = path.stat().st_size
        path.replace(place)
    return sizes


def _is_complete(output: Path, settings: dict[str, Any]) -> bool:
    """Whether the folder holds all files of the same settings.

    Raises
    ------
    DartsError
        When it holds sample data of other settings.
    """
    record = _read_record(output / RECORD)
    if record is None:
        return False
    found = record.get("sample", {})
    different = [
        f"{name} {found.get(name)!r}, not {value!r}" for name, value in settings.items() if found.get(name) != value
    ]
    if different:
        raise DartsError(
            f"{output} holds sample data made with {'; '.join(different)}; choose another --output-dir, or delete it."
        )
    return all(_has_size(output / name, size) for name, size in record.get("files", {}).items())


def _read_record(path: Path) -> dict[str, Any] | None:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise DartsError(f"{path} can't be read ({problem}); delete it, and the data is made again.") from None


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


make_sample_data = keyword_settings(simulate_into)
"""Write simulated scenes, labels, elevation, trends and regions with known truth; keywords as the flags."""
