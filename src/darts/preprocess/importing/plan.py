"""What an import will do: found, measured and grouped before a pixel is read."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from darts.core.bands import Band
from darts.core.errors import SceneError
from darts.preprocess.importing.arrays import read_shape
from darts.preprocess.importing.config import ImportConfig
from darts.preprocess.importing.files import ROLES, PatchFiles, find_patches, listed
from darts.preprocess.importing.groups import group_patches
from darts.preprocess.importing.values import imported_bands


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """All that is known before pixels are read.

    Attributes
    ----------
    config
        The settings.
    bands
        The channels of the dataset, with their scaling.
    size
        Width and height of every patch.
    patches, regions
        The files of each patch, and its group, or else its name.
    left_out
        Images without a mask, and masks without an image.
    """

    config: ImportConfig
    bands: tuple[Band, ...]
    size: int
    patches: tuple[PatchFiles, ...]
    regions: tuple[str, ...]
    left_out: int

    @property
    def is_divided(self) -> bool:
        """Whether the patches lie in folders train, val and test."""
        return any(patch.role for patch in self.patches)

    @property
    def roles(self) -> dict[str, int]:
        """`train`, `val` and `test` -> number of patches; empty without such folders."""
        counts = Counter(patch.role for patch in self.patches)
        return {role: counts[role] for role in ROLES} if self.is_divided else {}

    @property
    def doubts(self) -> tuple[str, ...]:
        """What the user should know, a sentence each."""
        return tuple(self._doubts())

    def _doubts(self) -> Iterator[str]:
        if self.left_out:
            yield f"{self.left_out} files without a counterpart are left out."
        pairs = {(region, patch.role) for patch, region in zip(self.patches, self.regions, strict=True)}
        roles = Counter(region for region, _ in pairs)
        if torn := sorted(region for region, count in roles.items() if count > 1):
            yield (
                f"{len(torn)} of {len(roles)} groups lie in several of the folders train, val and test ({listed(torn)}), so "
                "that a model is tested on places that it was trained on; divide the groups anew, without the split file."
            )


def make_plan(config: ImportConfig) -> ImportPlan:
    """Find the files, and check all that can be checked without reading pixels.

    Raises
    ------
    SceneError
        When files are missing, can't be opened, differ in size, or have too few channels, or the groups file can't be used.
    """
    found = find_patches(config)
    patches = found.patches
    regions = (
        tuple(patch.name for patch in patches)
        if config.groups_file is None
        else group_patches(config.groups_file, patches)
    )
    return ImportPlan(
        config=config,
        bands=imported_bands(config),
        size=_common_size(patches, config),
        patches=patches,
        regions=regions,
        left_out=len(found.without_mask) + len(found.without_image),
    )


@dataclass(frozen=True, slots=True)
class _Shape:
    path: Path
    channels: int
    height: int
    width: int

    def __str__(self) -> str:
        """As a message says it."""
        return f"{self.path} has {self.width} x {self.height} pixels in {self.channels} channels"


def _common_size(patches: Sequence[PatchFiles], config: ImportConfig) -> int:
    """Width and height of all images and masks."""
    images = [_Shape(patch.image, *read_shape(patch.image)) for patch in patches]
    masks = [_Shape(patch.mask, *read_shape(patch.mask)) for patch in patches]
    needed = max(config.channels)
    (height, width), _ = Counter((image.height, image.width) for image in images).most_common(1)[0]
    _require("images are square", images, lambda one: one.height == one.width, "cut them to squares")
    one_size = f"images and masks have one size, here {width} x {height} pixels"
    for files in (images, masks):
        _require(one_size, files, lambda one: (one.height, one.width) == (height, width), "cut them, or move them away")
    _require(
        f"images have the channel {needed} that --bands or --image-bands asks for",
        images,
        lambda one: one.channels >= needed,
        "name the channels that are there",
    )
    _require("masks have one channel", masks, lambda one: one.channels == 1, "save them with one")
    return height


def _require(rule: str, files: Sequence[_Shape], holds: Callable[[_Shape], bool], advice: str) -> None:
    if wrong := [one for one in files if not holds(one)]:
        raise SceneError(f"{rule}, but {len(wrong)} of {len(files)} differ: {wrong[0]}; {advice}.")
