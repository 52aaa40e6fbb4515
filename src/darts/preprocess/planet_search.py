"""PlanetScope images below a folder, in whatever layout: found by the names of files and folders alone."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from darts.core.errors import SceneError
from darts.core.files import not_listed
from darts.preprocess.cubes import is_cube
from darts.preprocess.planet_names import IMAGES, MASKS, NamedFile, Role, leading_id, named_file
from darts.preprocess.scenes import UnusableScene

_UNSAFE = re.compile(r"[^A-Za-z0-9._+@-]+")


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """The files of one image in one folder, sorted by name."""

    image_id: str
    folder: Path
    files: tuple[NamedFile, ...]

    def of(self, *roles: Role) -> list[NamedFile]:
        """The files of some roles."""
        return [file for file in self.files if file.role in roles]

    @property
    def has_image(self) -> bool:
        """Whether there is a raster to read."""
        return bool(self.of(*IMAGES))


def images_below(root: Path) -> tuple[list[ImageFiles], list[UnusableScene]]:
    """The images in a folder and in all folders below it, and what is there in place of others.

    The name of a file, else that of its folder, begins with the id of its image. Files that are named by no id belong
    to the only image of their folder, which then has the name of the folder if it is itself named by no id. Hidden
    folders, `__MACOSX` and data cubes are passed over.

    Raises
    ------
    SceneError
        When a folder can't be listed.
    """
    groups: list[ImageFiles] = []
    unusable: list[UnusableScene] = []
    for folder, names in _folders_below(root):
        files = [file for name in names if (file := named_file(folder / name))]
        named, nameless = _by_id(folder, files)
        images = [file for group in (*named.values(), nameless) for file in group if file.role in IMAGES]
        ids = {image_id for image_id, group in named.items() if any(file in images for file in group)}
        unnamed = [file for file in nameless if file.role in IMAGES]
        if len(ids) + len(unnamed) == 1:
            named.setdefault(next(iter(ids), folder.name), []).extend(nameless)
        elif unnamed:
            unusable.append(_unnamed(folder, unnamed))
        groups += [ImageFiles(name, folder, tuple(sorted(group, key=_path))) for name, group in named.items()]
    return [group for group in groups if group.has_image], unusable + _without_image(groups)


def _folders_below(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Each folder with the names of its files, sorted.

    Links are followed, but to no folder a second time, and to none that `root` lies in.
    """
    seen = {str(folder) for folder in root.resolve().parents}
    for name, below, files in os.walk(root, followlinks=True, onerror=_refuse):
        place = os.path.realpath(name)
        if place in seen:
            below.clear()
            continue
        seen.add(place)
        below[:] = sorted(folder for folder in below if _is_searched(folder))
        yield Path(name), sorted(file for file in files if not file.startswith("."))


def _is_searched(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX" and not is_cube(Path(name))


def _refuse(error: OSError) -> None:
    raise not_listed(error, SceneError)


def _path(file: NamedFile) -> Path:
    return file.path


def _by_id(folder: Path, files: Sequence[NamedFile]) -> tuple[dict[str, list[NamedFile]], list[NamedFile]]:
    """The files of each image id, upper or lower case, and those without one."""
    named: dict[str, list[NamedFile]] = {}
    nameless: list[NamedFile] = []
    written: dict[str, str] = {}
    for file in files:
        if image_id := file.image_id or leading_id(folder.name):
            named.setdefault(written.setdefault(image_id.lower(), image_id), []).append(file)
        else:
            nameless.append(file)
    return named, nameless


def _unnamed(folder: Path, images: Sequence[NamedFile]) -> UnusableScene:
    names = ", ".join(file.path.name for file in images)
    return UnusableScene(
        safe_id(folder.name),
        f"{folder}: an image must be the only one in its folder, unless the names of its files begin with its id, but "
        f"{names} has other images beside it; give each image a folder of its own.",
    )


def _without_image(groups: Sequence[ImageFiles]) -> list[UnusableScene]:
    """The ids that there are rasters of, but nowhere an image."""
    found = {group.image_id.lower() for group in groups if group.has_image}
    lacking = {}
    for group in groups:
        rasters = group.of(Role.OTHER_RASTER, *MASKS)
        if rasters and group.image_id.lower() not in found:
            names = ", ".join(file.path.name for file in rasters)
            lacking[group.image_id] = UnusableScene(
                safe_id(group.image_id),
                f"{group.folder}: an image must be surface reflectance (*_SR*.tif) or top of atmosphere "
                f"(*_AnalyticMS*.tif), but there is only {names}; get surface reflectance.",
            )
    return list(lacking.values())


def safe_id(text: str) -> str:
    """A text with hyphens in place of what an id of a scene may not hold."""
    return _UNSAFE.sub("-", text).strip("-") or "scene"


def scene_ids(images: Sequence[ImageFiles], root: Path) -> list[str]:
    """A unique id for each image: its own, or `<image id>@<folder>` where several have the same.

    The folder is the nearest one above the files that differs: two clips `east/<id>/...` and `west/<id>/...` become
    `<id>@east` and `<id>@west`.
    """
    ids = [safe_id(image.image_id) for image in images]
    same: dict[str, list[int]] = {}
    for index, scene_id in enumerate(ids):
        same.setdefault(scene_id.lower(), []).append(index)
    for indices in same.values():
        if len(indices) > 1:
            places = _places([images[index] for index in indices], root)
            for index, place in zip(indices, places, strict=True):
                ids[index] = f"{ids[index]}@{place}"
    return ids


def _places(images: Sequence[ImageFiles], root: Path) -> list[str]:
    """A text for each of several images from the names of its folders, no two of them alike."""
    paths = [(root.name, *image.folder.relative_to(root).parts) for image in images]
    for depth in range(1, max(map(len, paths)) + 1):
        parts = [path[-depth] if depth <= len(path) else root.name for path in paths]
        places = [safe_id(_shortened(part, image.image_id)) for part, image in zip(parts, images, strict=True)]
        if _differ(places):
            return places
    places = [safe_id("-".join(path[1:])) for path in paths]
    return places if _differ(places) else [f"{place}-{number}" for number, place in enumerate(places, start=1)]


def _differ(texts: Sequence[str]) -> bool:
    return len({text.lower() for text in texts}) == len(texts)


def _shortened(name: str, image_id: str) -> str:
    """The name of a folder without the id that it begins with."""
    rest = name[len(image_id) :] if name.lower().startswith(image_id.lower()) else name
    return rest.strip("_-. ") or name
