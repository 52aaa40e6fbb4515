"""Finding ready patches: images and masks of the same name."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from darts.core.errors import SceneError
from darts.core.files import files_below
from darts.preprocess.importing.config import ImportConfig

SUFFIXES = (".npy", ".tif", ".tiff", ".png")
ROLES = ("train", "val", "test")
"""Folders that divide patches."""
_NAMED = 5


@dataclass(frozen=True, slots=True)
class PatchFiles:
    """The two files of a patch.

    Attributes
    ----------
    name
        Path of the image below its folder, without suffix and ending: unique.
    role
        The folder train, val or test that it lies in; "" if there are none.
    image, mask
        The files.
    """

    name: str
    role: str
    image: Path
    mask: Path


@dataclass(frozen=True, slots=True)
class FoundPatches:
    """What lies in the two folders.

    Attributes
    ----------
    patches
        Images with a mask, by role, then by name.
    without_mask, without_image
        Names of images and of masks that have no counterpart.
    """

    patches: tuple[PatchFiles, ...]
    without_mask: tuple[str, ...]
    without_image: tuple[str, ...]


def find_patches(config: ImportConfig) -> FoundPatches:
    """Find images and masks of the same name.

    Raises
    ------
    SceneError
        When a folder is missing, two files of a folder have one name, an image or mask has no counterpart (unless they are
        to be left out), or nothing is left.
    """
    image_files, mask_files = _told_apart(config)
    images = _by_name(config.images_dir, image_files, config.image_ending)
    masks = _by_name(config.masks_dir, mask_files, config.mask_ending)
    divided = [_roles_in(folder) for folder in (config.images_dir, config.masks_dir)]
    if bool(divided[0]) != bool(divided[1]):
        with_roles, without = (
            (config.images_dir, config.masks_dir) if divided[0] else (config.masks_dir, config.images_dir)
        )
        raise SceneError(
            "if one of --images-dir and --masks-dir has folders train, val or test, the other has them, too, but "
            f"{with_roles} has and {without} has not; divide both, or give the folders of one role."
        )
    found = FoundPatches(
        patches=tuple(_patch(name, images[name], masks[name]) for name in sorted(images, key=_order) if name in masks),
        without_mask=tuple(sorted(images.keys() - masks.keys())),
        without_image=tuple(sorted(masks.keys() - images.keys())),
    )
    if (found.without_mask or found.without_image) and not config.skip_unmatched:
        raise SceneError(_unmatched(found))
    if not found.patches:
        raise SceneError(
            f"no image in {config.images_dir} has a mask of the same name in {config.masks_dir}; look at the names, "
            "--image-ending and --mask-ending."
        )
    return found


def _roles_in(folder: Path) -> list[str]:
    return [role for role in ROLES if (folder / role).is_dir()]


def _told_apart(config: ImportConfig) -> tuple[list[Path], list[Path]]:
    """The files that are images, and those that are masks.

    What could be both belongs to the side whose folder lies deeper, or, within one folder, whose ending is longer: of
    `a.tif` and `a_mask.tif`, only the ending of masks needs to be given.
    """
    images = _fitting(config.images_dir, config.image_ending, "--images-dir")
    masks = _fitting(config.masks_dir, config.mask_ending, "--masks-dir")
    sides = (config.images_dir, config.image_ending), (config.masks_dir, config.mask_ending)
    by_image, by_mask = ((len(folder.resolve().parts), len(ending)) for folder, ending in sides)
    if by_image < by_mask:
        images = _without(images, masks)
    else:
        masks = _without(masks, images)
    _require_none_beside(config.images_dir, images)
    _require_none_beside(config.masks_dir, masks)
    return images, masks


def _fitting(folder: Path, ending: str, flag: str) -> list[Path]:
    """All files in a folder whose suffix and ending fit."""
    if not folder.is_dir():
        raise SceneError(f"{flag} must be a folder, but there is no folder {folder}.")
    return [p for p in files_below(folder, SceneError) if p.suffix.lower() in SUFFIXES and p.stem.endswith(ending)]


def _without(paths: Iterable[Path], others: Iterable[Path]) -> list[Path]:
    left_out = {path.absolute() for path in others}
    return [path for path in paths if path.absolute() not in left_out]


def _require_none_beside(folder: Path, paths: Iterable[Path]) -> None:
    roles = _roles_in(folder)
    beside = [path.name for path in paths if path.relative_to(folder).parts[0] not in roles]
    if roles and beside:
        raise SceneError(
            f"{folder} is divided into {', '.join(roles)}, but {listed(beside)} lie beside these folders; move them into "
            "one, or away."
        )


def _by_name(folder: Path, paths: Iterable[Path], ending: str) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for path in paths:
        name = path.relative_to(folder).with_suffix("").as_posix().removesuffix(ending)
        if name in named:
            raise SceneError(
                f"each name stands for one file, but {folder} has {named[name].name} and {path.name}; move one away."
            )
        named[name] = path
    return named


def _order(name: str) -> tuple[int, str]:
    role = _role_of(name)
    return (ROLES.index(role) if role else -1, name)


def _role_of(name: str) -> str:
    first, slash, _ = name.partition("/")
    return first if slash and first in ROLES else ""


def _patch(name: str, image: Path, mask: Path) -> PatchFiles:
    return PatchFiles(name, _role_of(name), image, mask)


def _unmatched(found: FoundPatches) -> str:
    parts = []
    if found.without_mask:
        parts.append(f"{_counted(found.without_mask, 'image')} no mask: {listed(found.without_mask)}")
    if found.without_image:
        parts.append(f"{_counted(found.without_image, 'mask')} no image: {listed(found.without_image)}")
    return (
        f"every image has a mask of the same name, but of {len(found.patches) + len(found.without_mask)} images and "
        f"{len(found.patches) + len(found.without_image)} masks {'; '.join(parts)}; mend the names, or give "
        "--skip-unmatched to leave them out."
    )


def _counted(names: Sequence[str], what: str) -> str:
    return f"1 {what} has" if len(names) == 1 else f"{len(names)} {what}s have"


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
