"""What patches cost from disk to batches, beside the plain way in the same run.

    uv run --with albumentations==2.0.8 python benchmarks/loading.py [--quick] [--rounds 9] [--size 256]

It prints a table of goals, with what the reference and we take for a patch of ten bands, their ratio, and whether the goal
is met. The plain way is one file of float32 for each band, read by zarr, and a DataLoader of torch with two processes. Times
are CPU time of all threads and processes, medians of rounds in which all cases take their turn, so that other work on the
machine does little harm. albumentations is a reference, no dependency: without it, the last goal can't be told. Patches are
simulated once, into --folder.
"""

import argparse
import importlib.util
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from itertools import chain, cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import geopandas as gpd
import numpy as np
import psutil
import torch
import zarr
from shapely.geometry import box
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from zarr.codecs import BloscCodec

from darts.core.bands import get_bands
from darts.dataset.journal import SceneEntry
from darts.dataset.reader import Dataset, open_dataset
from darts.dataset.writer import open_writer
from darts.sample.noise import generator
from darts.training.augment import augment
from darts.training.loader import Draw, PatchLoader, Read
from measuring import Row, none_different, print_table, share, times_cheaper, without_reference
from scene_to_patches import bytes_below
from simulated import field

BANDS = (
    *("blue", "green", "red", "nir", "ndvi", "tc_brightness", "tc_greenness", "tc_wetness"),
    *("relative_elevation", "slope"),
)
OPTICAL = ((450, 90, -40), (650, 120, -30), (700, 160, -80), (2300, 250, 380))
"""Mean digital number of each optical band, and how much ground and vegetation change it."""
LABELLED = 2.3
"""Standard deviations above which noise is a label; most patches have none."""
AUGMENTATIONS = ("flip", "rotate90", "blur", "brightness-contrast", "multiplicative-noise")
WORKERS = 2
SLOWEST = 1 / 0.6
"""Of the time that copying float32 from a memory map takes."""
PLAIN, PACKED, RAW = "plain", "lz4", "none"
MAPPED_X, MAPPED_Y = "x.npy", "y.npy"


@dataclass(frozen=True, slots=True)
class Size:
    """What is measured with patches of one size.

    Attributes
    ----------
    pixels, batch
        Pixels of a side, patches of a batch.
    patches, draws
        How many patches there are, and how many are read in a round.
    read, loaded
        Goals without augmentation, for patches that are packed by lz4 and for those that aren't: how many times cheaper
        than the plain way.
    augmented
        Goal with augmentation, packed by lz4.
    """

    pixels: int
    batch: int
    patches: int
    draws: int
    read: Mapping[str, float]
    loaded: Mapping[str, float]
    augmented: float

    def drawn(self) -> list[int]:
        """The patches of a round, each before any comes again."""
        order = np.random.default_rng(self.pixels).permutation(self.patches)
        return list(islice(cycle(order.tolist()), self.draws))


SIZES = (
    Size(256, 8, patches=64, draws=64, read={PACKED: 7, RAW: 15}, loaded={PACKED: 9, RAW: 15}, augmented=7),
    Size(896, 4, patches=9, draws=16, read={PACKED: 2.3, RAW: 5}, loaded={PACKED: 3, RAW: 9}, augmented=5),
)
QUICK = (replace(SIZES[0], patches=49, draws=48), replace(SIZES[1], patches=4, draws=8))


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer patches and rounds, for a first look")
    parser.add_argument("--rounds", type=int, help="9, with --quick 3")
    parser.add_argument("--size", type=int, choices=[size.pixels for size in SIZES], help="leave the other size out")
    folder = Path(tempfile.gettempdir()) / "darts-benchmarks"
    parser.add_argument("--folder", type=Path, default=folder, help="keeps patches")
    given = parser.parse_args()
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it asks for news otherwise
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "torch", "zarr", "numcodecs"))
    print(f"Python {platform.python_version()}, {packages}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    sizes = [size for size in (QUICK if given.quick else SIZES) if given.size in (None, size.pixels)]
    rounds = given.rounds or (3 if given.quick else 9)
    print_table(chain.from_iterable(loading_rows(size, given.folder, rounds) for size in sizes))
    print(f"load {os.getloadavg()[0]:.1f}")


def loading_rows(size: Size, folder: Path, rounds: int) -> Iterator[Row]:
    """All goals for patches of one size."""
    stored = patches_on_disk(folder, size)
    yield same_numbers(stored, size)
    yield from single_samples(stored, size, rounds)
    yield from loaders(stored, size, rounds)
    yield from augmented_loaders(stored, size, rounds)
    written = [bytes_below(stored / store) / 1e6 for store in (f"{PLAIN}/x", f"{PACKED}/data.zarr/x")]
    yield share(f"A5 {size.pixels}: bytes on disk, at most 0.5 of float32", *written, "MB", (0, 0.5))


# --- what is measured


def single_samples(stored: Path, size: Size, rounds: int) -> Iterator[Row]:
    """A1 and A2: one patch after the other, in one thread."""
    plain = PlainSamples(stored / PLAIN)
    mapped_x, mapped_y = (np.load(stored / name, mmap_mode="r") for name in (MAPPED_X, MAPPED_Y))
    draws, (x, y) = Draws(size), buffers(size)

    def each(read: Read) -> Callable[[], None]:
        def run() -> None:
            for draw in draws:
                read(draw, x, y)

        return run

    def copied(draw: Draw, x: np.ndarray, y: np.ndarray) -> None:
        np.copyto(x, mapped_x[draw.row])
        np.copyto(y, mapped_y[draw.row])

    cases = {
        PLAIN: each(lambda draw, *_: plain.read(draw.row)),
        "kept open": each(lambda draw, *_: plain.read_kept(draw.row)),
        "mapped": each(copied),
        **{name: each(reader(open_dataset(stored / name))) for name in (PACKED, RAW)},
    }
    cpu = milliseconds(cases, rounds, size.draws)
    for goal, name in (("A1", PACKED), ("A2", RAW)):
        text = f"{goal} {size.pixels}: a patch packed by {name}, at least {size.read[name]} x cheaper"
        yield times_cheaper(text, cpu[PLAIN], cpu[name], "ms", size.read[name])
    yield times_cheaper("   A1 beside arrays that are kept open", cpu["kept open"], cpu[PACKED], "ms", None)
    text = f"A2 {size.pixels}: at most {SLOWEST:.2f} of a copy of float32 from a memory map"
    yield share(text, cpu["mapped"], cpu[RAW], "ms", (0, SLOWEST))


def loaders(stored: Path, size: Size, rounds: int) -> Iterator[Row]:
    """A3 and A4: all batches of an epoch; two processes beside two threads."""
    cases = {PLAIN: epoch_of(plain_loader(PlainSamples(stored / PLAIN), size))}
    cases |= {name: epoch_of(our_loader(reader(open_dataset(stored / name)), size)) for name in (PACKED, RAW)}
    cpu = milliseconds(cases, rounds, size.draws)
    for goal, name in (("A3", PACKED), ("A4", RAW)):
        text = f"{goal} {size.pixels}: batches of {size.batch} packed by {name}, at least {size.loaded[name]} x cheaper"
        yield times_cheaper(text, cpu[PLAIN], cpu[name], "ms", size.loaded[name])


def augmented_loaders(stored: Path, size: Size, rounds: int) -> Iterator[Row]:
    """AB: the same with augmentation."""
    text = f"AB {size.pixels}: batches, packed and augmented, at least {size.augmented} x cheaper"
    if not importlib.util.find_spec("albumentations"):
        yield without_reference(text)
        return
    cases = {
        PLAIN: epoch_of(plain_loader(AugmentedPlainSamples(stored / PLAIN), size)),
        PACKED: epoch_of(our_loader(augmented_reader(open_dataset(stored / PACKED)), size)),
    }
    cpu = milliseconds(cases, max(3, rounds // 2), size.draws)
    yield times_cheaper(text, cpu[PLAIN], cpu[PACKED], "ms", size.augmented)


def same_numbers(stored: Path, size: Size) -> Row:
    """Whether both ways give the same numbers."""
    plain = PlainSamples(stored / PLAIN)
    different, (x, y) = 0, buffers(size)
    for name in (PACKED, RAW):
        read = reader(open_dataset(stored / name))
        for row in range(size.patches):
            read(Draw(0, row), x, y)
            theirs_x, theirs_y = plain.read_kept(row)
            different += int(np.count_nonzero(x != theirs_x)) + int(np.count_nonzero(y != theirs_y))
    return none_different(f"A  {size.pixels}: the same numbers", f"{size.patches} patches", "the same", different)


def milliseconds(cases: Mapping[str, Callable[[], None]], rounds: int, draws: int) -> dict[str, float]:
    """Median CPU time of a patch in each case, of this process and all below it; the first round doesn't count."""
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, run in cases.items():
            before = cpu_seconds()
            run()
            if number:
                seconds[name].append(cpu_seconds() - before)
    return {name: 1000 * median(values) / draws for name, values in seconds.items()}


def cpu_seconds() -> float:
    """Of this process and of those that it started and that still run."""
    children = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return time.process_time() + sum(times.user + times.system for times in children)


def buffers(size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Memory for one patch."""
    return np.empty((len(BANDS), size.pixels, size.pixels), np.float32), np.empty((size.pixels,) * 2, np.uint8)


# --- our way


def reader(dataset: Dataset) -> Read:
    """Reads all bands of a patch."""
    channels = dataset.channel_indices(BANDS)
    return lambda draw, x, y: dataset.read_into(draw.row, channels, x, y)


def augmented_reader(dataset: Dataset) -> Read:
    """Reads a patch and changes it where it lies."""
    read = reader(dataset)

    def read_and_augment(draw: Draw, x: np.ndarray, y: np.ndarray) -> None:
        read(draw, x, y)
        augment(x, y, AUGMENTATIONS, np.random.default_rng(draw))

    return read_and_augment


class Draws:
    """The draws of a round, the same in each."""

    def __init__(self, size: Size) -> None:
        self.draws = [Draw(0, row, number) for number, row in enumerate(size.drawn())]

    def __len__(self) -> int:
        """Draws of a round."""
        return len(self.draws)

    def __iter__(self) -> Iterator[Draw]:
        """One round."""
        return iter(self.draws)

    def set_epoch(self, epoch: int) -> None:
        """Every round is the same."""


def our_loader(read: Read, size: Size) -> PatchLoader:
    """Threads."""
    return PatchLoader(read, Draws(size), size.batch, len(BANDS), size.pixels, num_workers=WORKERS)


def epoch_of(batches: Any) -> Callable[[], None]:
    """Takes all batches, and does next to nothing with them."""

    def run() -> None:
        for batch in batches:
            batch["y"][:, 0, 0].sum()

    return run


# --- the plain way


class PlainSamples(TorchDataset[dict[str, torch.Tensor]]):
    """Patches in float32, with a file for each band."""

    def __init__(self, store: Path) -> None:
        self.store = store

    @cached_property
    def group(self) -> zarr.Group:
        """Opened once in each process."""
        return zarr.open_group(self.store, mode="r")

    @cached_property
    def arrays(self) -> tuple[Any, Any]:
        """Opened once, too."""
        return self.group["x"], self.group["y"]

    def read(self, row: int) -> tuple[Any, Any]:
        """As it is usually written."""
        return self.group["x"][row], self.group["y"][row]

    def read_kept(self, row: int) -> tuple[Any, Any]:
        """The same without opening the arrays for each patch."""
        x, y = self.arrays
        return x[row], y[row]

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        """One patch."""
        x, y = self.read(row)
        return {"x": torch.from_numpy(x), "y": torch.from_numpy(y)}


class AugmentedPlainSamples(PlainSamples):
    """The same, changed by albumentations: channels last, and back into what a batch wants."""

    @cached_property
    def change(self) -> Callable[..., dict[str, np.ndarray]]:
        """The list of `AUGMENTATIONS`."""
        import albumentations as reference

        noise = reference.MultiplicativeNoise(per_channel=True, elementwise=True, p=0.5)
        contrast = reference.RandomBrightnessContrast(p=0.5)
        changes = [reference.D4(p=1), reference.Blur(p=0.5), contrast, noise]
        changed: Callable[..., dict[str, np.ndarray]] = reference.Compose(changes, seed=1)
        return changed

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        """One patch."""
        x, y = self.read(row)
        changed = self.change(image=x.transpose(1, 2, 0), mask=y)
        x, y = changed["image"].transpose(2, 0, 1), changed["mask"]
        return {"x": torch.from_numpy(np.ascontiguousarray(x)), "y": torch.from_numpy(np.ascontiguousarray(y))}


def plain_loader(samples: PlainSamples, size: Size) -> DataLoader[dict[str, torch.Tensor]]:
    """Processes."""
    return DataLoader(samples, size.batch, sampler=size.drawn(), num_workers=WORKERS, persistent_workers=True)


# --- patches


def patches_on_disk(folder: Path, size: Size) -> Path:
    """The same patches as two datasets of ours, as the plain store, and as arrays of numpy."""
    made = folder / f"patches-{size.pixels}-{size.patches}"
    if not (made / "done").exists():
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        x, y = simulated(size)
        write_ours(made / PACKED, x, y)
        write_ours(made / RAW, x, y)
        write_plain(made, open_dataset(made / PACKED))
        (made / "done").touch()
    return made


def simulated(size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Patches cut from one image: x float32 (patches, bands, h, w) in [0, 1], y uint8 (patches, h, w)."""
    across = -int(-np.sqrt(size.patches) // 1)
    edge = across * size.pixels
    rng = generator("loading", size.pixels, size.patches)
    image = np.stack([*optical(edge, rng), *trends(edge, rng), *terrain(edge, rng)]).astype(np.float32)
    labels = (field(edge, edge, rng, 3.0) > LABELLED).astype(np.uint8)
    x = np.stack([part for rows in np.split(image, across, axis=1) for part in np.split(rows, across, axis=2)])
    y = np.stack([part for rows in np.split(labels, across) for part in np.split(rows, across, axis=1)])
    return np.clip(x[: size.patches], 0, 1), y[: size.patches]


def optical(edge: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Reflectance in digital numbers, with noise of a sensor, and the vegetation index."""
    ground, vegetation = (field(edge, edge, rng, roughness) for roughness in (2.4, 2.2))
    bands = []
    for mean, of_ground, of_vegetation in OPTICAL:
        noise = 0.015 * mean * rng.standard_normal((edge, edge), dtype=np.float32)
        bands.append(
            np.clip(mean + of_ground * ground + of_vegetation * vegetation + noise, 50, 6000).astype(np.uint16)
        )
        yield bands[-1] / np.float32(6000)
    red, nir = (band.astype(np.float32) for band in bands[2:])
    yield ((nir - red) / (nir + red) + 1) / 2


def trends(edge: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Bytes with pixels of 30 m, interpolated to 3 m, as preprocessing does it."""
    for _ in range(3):
        coarse = np.clip(128 + 28 * field(edge // 10 + 1, edge // 10 + 1, rng, 2.0), 0, 255).astype(np.uint8)
        yield interpolated(coarse, edge) / 255


def terrain(edge: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Relative elevation and slope from elevations with pixels of 10 m."""
    coarse = 60 * field(3 * edge // 10 + 1, 3 * edge // 10 + 1, rng, 3.6)
    elevation = interpolated(coarse, edge)
    yield (elevation - cv2.blur(elevation, (101, 101)) + 50) / 100
    down, right = np.gradient(elevation, 3.0)
    yield np.degrees(np.arctan(np.hypot(down, right))) / 90


def interpolated(coarse: np.ndarray, edge: int) -> np.ndarray:
    """Cubic convolution: float32 (edge, edge)."""
    return cv2.resize(coarse.astype(np.float32), (edge, edge), interpolation=cv2.INTER_CUBIC)


def write_ours(directory: Path, x: np.ndarray, y: np.ndarray) -> None:
    """A dataset of one scene."""
    kept = {"scene_date": "2022-07-16", "row": 0, "column": 0, "crs": "EPSG:32608", "geometry": box(0, 70, 1, 71)}
    with open_writer(directory, get_bands(BANDS), x.shape[-1], 0, {}, compression=directory.name) as writer:
        stage = writer.stage("scene", len(x))
        for number, (image, labels) in enumerate(zip(x, y, strict=True)):
            stage.add(image, labels, {"patch_id": f"{number}", "sample_id": "scene", "region": "North", **kept})
        labels = gpd.GeoDataFrame({"sample_id": ["scene"]}, geometry=[box(0, 70, 1, 71)], crs="EPSG:4326")
        writer.commit(stage.finish(SceneEntry("scene"), labels))
        writer.finish()


def write_plain(folder: Path, dataset: Dataset) -> None:
    """The same numbers in float32: a file for each band, and a memory map."""
    count, shape = len(dataset), (len(BANDS), dataset.manifest.patch_size, dataset.manifest.patch_size)
    packed = {"compressors": BloscCodec(cname="lz4", clevel=9), "fill_value": 0}
    group = zarr.create_group(folder / PLAIN)
    x = group.create_array("x", shape=(count, *shape), chunks=(1, 1, *shape[1:]), dtype="float32", **packed)
    y = group.create_array("y", shape=(count, *shape[1:]), chunks=(1, *shape[1:]), dtype="uint8", **packed)
    mapped_x = np.lib.format.open_memmap(folder / MAPPED_X, "w+", np.float32, (count, *shape))
    mapped_y = np.lib.format.open_memmap(folder / MAPPED_Y, "w+", np.uint8, (count, *shape[1:]))
    for row in range(count):
        x[row] = mapped_x[row] = dataset.read_x(row)
        y[row] = mapped_y[row] = dataset.read_y(row)


if __name__ == "__main__":
    main()
