"""What augmentation costs, beside albumentations in the same run.

    uv run --with albumentations==2.0.8 python benchmarks/augmenting.py [--rounds 9]

It prints a table of goals, with what the reference and we take for a patch of ten bands, their ratio, and whether the goal
is met. Times are CPU time with one thread, medians of rounds in which all cases take their turn, so that other work on the
machine does little harm. albumentations is a reference, no dependency: without it, goals can't be told.
"""

import argparse
import importlib.util
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from itertools import chain
from typing import Any

from measuring import ONE_THREAD, Row, interleaved, print_table, times_cheaper, without_reference

BANDS = 10
GOALS = {256: 3, 896: 5}
"""Pixels of a side, and how many times cheaper the full list must be."""
SAMPLES = {256: 32, 896: 8}
FULL = ("flip", "rotate90", "blur", "brightness-contrast", "multiplicative-noise")
LISTS: dict[str, tuple[str, ...]] = {
    "full list": FULL,
    "symmetries": FULL[:2],
    "blur": ("blur",),
    "brightness and contrast": ("brightness-contrast",),
    "noise": ("multiplicative-noise",),
    "full list and posterize": (*FULL, "posterize"),
    "rotation": ("rotate",),
}


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    os.environ.update(ONE_THREAD, NO_ALBUMENTATIONS_UPDATE="1")  # before any library counts the cores, or asks for news
    known = ["numpy", "opencv-python-headless"]
    known += ["albumentations"] if importlib.util.find_spec("albumentations") else []
    packages = ", ".join(f"{name} {version(name)}" for name in known)
    print(f"Python {platform.python_version()}, {packages}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print_table(chain.from_iterable(augmentation_rows(size, given.rounds) for size in GOALS))


def augmentation_rows(size: int, rounds: int) -> Iterator[Row]:
    """B1, and each part of the list by itself."""
    import cv2

    cv2.setNumThreads(1)
    cases: dict[str, Callable[[], object]] = {name: _ours(names, size) for name, names in LISTS.items()}
    if importlib.util.find_spec("albumentations"):
        for name, transforms in _reference_lists().items():
            cases[f"reference {name}"] = _reference(transforms, size)
    cpu = {name: 1000 * seconds / SAMPLES[size] for name, seconds in interleaved(cases, rounds).items()}
    for name in LISTS:
        goal = f"B1 {name}, {BANDS} bands of {size} x {size}"
        at_least = GOALS[size] if name == "full list" else None
        goal += f": at least {at_least} x cheaper" if at_least else ""
        reference = cpu.get(f"reference {name}")
        yield times_cheaper(goal, reference, cpu[name], "ms", at_least) if reference else without_reference(goal)


def _ours(names: Sequence[str], size: int) -> Callable[[], None]:
    """Copy each patch into a buffer, as reading does, and change it there."""
    import numpy as np

    from darts.training.augment import augment

    patches, labels = _patches(size)
    x, y = np.empty_like(patches[0]), np.empty_like(labels[0])
    rng = np.random.default_rng(1)

    def run() -> None:
        for patch, label in zip(patches, labels, strict=True):
            np.copyto(x, patch)
            np.copyto(y, label)
            augment(x, y, names, rng)

    return run


def _reference_lists() -> dict[str, list[Any]]:
    """What each of our lists is in albumentations."""
    import albumentations as reference

    symmetries, blur = reference.D4(p=1), reference.Blur(p=0.5)
    contrast = reference.RandomBrightnessContrast(p=0.5)
    noise = reference.MultiplicativeNoise(per_channel=True, elementwise=True, p=0.5)
    posterize = [reference.FromFloat(dtype="uint8"), reference.Posterize(num_bits=(4, 7), p=0.5), reference.ToFloat()]
    full = [symmetries, blur, contrast, noise]
    rotation = reference.Rotate(limit=(-180, 180), fill_mask=2, p=0.5)
    lists = [full, [symmetries], [blur], [contrast], [noise], [*full, *posterize], [rotation]]
    return dict(zip(LISTS, lists, strict=True))


def _reference(transforms: Sequence[Any], size: int) -> Callable[[], None]:
    """Channels last, which albumentations wants, and back into contiguous memory, which a batch wants."""
    import albumentations as reference
    import numpy as np

    patches, labels = _patches(size)
    changed = reference.Compose(transforms, seed=1)

    def run() -> None:
        for patch, label in zip(patches, labels, strict=True):
            sample = changed(image=patch.transpose(1, 2, 0), mask=label)
            np.ascontiguousarray(sample["image"].transpose(2, 0, 1))
            np.ascontiguousarray(sample["mask"])

    return run


def _patches(size: int) -> tuple[Any, Any]:
    """float32 (samples, BANDS, size, size) and uint8 (samples, size, size); times don't depend on values."""
    import numpy as np

    rng = np.random.default_rng(0)
    patches = rng.random((SAMPLES[size], BANDS, size, size), dtype=np.float32)
    return patches, rng.integers(0, 3, (SAMPLES[size], size, size), dtype=np.uint8)


if __name__ == "__main__":
    main()
