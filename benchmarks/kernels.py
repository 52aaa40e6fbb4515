"""C2 to C4: relative elevation, burnt labels and erosion, each beside what is usual for it."""

import importlib.util
import warnings
from collections.abc import Callable, Iterator

import cv2
import geopandas as gpd
import numpy as np
import rasterio
from rasterio.features import rasterize

from darts.preprocess.labels import burn, eroded
from darts.preprocess.patches import Window
from darts.preprocess.scenes import GOOD, LOW, Grid
from darts.preprocess.terrain import DEFAULT_SUN, PixelSize, terrain_bands
from darts.sample.noise import generator
from measuring import Row, interleaved, none_different, share, times_cheaper, without_reference
from simulated import PIXELS, UTM, field, polygons

SIZE = 2000
LABELS, LABELLED = 10_000, 8000
EROSION = 10


def kernel_rows(rounds: int) -> Iterator[Row]:
    """All goals of single steps."""
    cv2.setNumThreads(1)
    for radius in (30, 50):
        yield from relative_elevation(radius, rounds)
    yield from labels(rounds)
    yield from erosion(rounds)


def relative_elevation(radius: int, rounds: int) -> Iterator[Row]:
    """C2, without and with holes, beside one cv2.filter2D in float32 over the same disk."""
    size, metres = SIZE + 2 * radius, 2.0
    rng = generator("relative elevation")
    whole = (120 + 60 * field(size, size, rng, 3.6)).astype(np.float32)
    with_holes = np.where(field(size, size, rng, 3.0) > 2.0, np.float32(np.nan), whole)
    kernel = disk(radius).astype(np.float32) / disk(radius).sum(dtype=np.float32)
    north = np.zeros((SIZE, SIZE), dtype=np.float32)

    def ours(dem: np.ndarray) -> np.ndarray:
        pixel = PixelSize(metres, metres)
        name = "relative_elevation"
        return terrain_bands([name], dem, radius, pixel, north, DEFAULT_SUN, radius * metres, 0.0)[name]

    cases: dict[str, Callable[[], object]] = {
        "whole": lambda: ours(whole),
        "reference": lambda: cv2.filter2D(whole, -1, kernel),
        "with holes": lambda: ours(with_holes),
    }
    cpu = interleaved(cases, rounds)
    for name in ("whole", "with holes"):
        goal = f"C2 relative_elevation, {radius} pixels, {name}: at most 3 x filter2D"
        yield share(goal, 1000 * cpu["reference"], 1000 * cpu[name], "ms", (0, 3))


def disk(radius: int) -> np.ndarray:
    """Pixels at most `radius` from the middle: bool (2 radius + 1, 2 radius + 1)."""
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    inside: np.ndarray = y**2 + x**2 <= radius**2
    return inside


def labels(rounds: int) -> Iterator[Row]:
    """C3: 10 000 polygons, beside make_geocube and rasterio."""
    grid = Grid(rasterio.CRS.from_string(UTM), PIXELS, LABELLED, LABELLED)
    shapes = polygons(LABELS, LABELLED)
    table = gpd.GeoDataFrame({"id": np.arange(LABELS, dtype=np.float64)}, geometry=shapes, crs=UTM)
    pairs = [(shape, 1) for shape in shapes]
    cases: dict[str, Callable[[], object]] = {
        "ours": lambda: burn(table, grid, all_touched=False),
        "rasterio": lambda: rasterize(pairs, grid.shape, transform=PIXELS, dtype="uint8"),
    }
    if importlib.util.find_spec("geocube"):
        cases["make_geocube"] = make_geocube(table, grid)
    cpu = interleaved(cases, rounds)
    goal = f"C3 {LABELS} polygons on {LABELLED} x {LABELLED}: at least 5 x cheaper than make_geocube"
    yield (
        times_cheaper(goal, cpu["make_geocube"], cpu["ours"], "s", 5)
        if "make_geocube" in cpu
        else (without_reference(goal))
    )
    yield times_cheaper("C3 the same beside rasterio", cpu["rasterio"], cpu["ours"], "s", None)
    mine = burn(table, grid, all_touched=False)
    for name in [name for name in cases if name != "ours"]:
        different = int(np.count_nonzero(np.asarray(cases[name]()) != mine))
        yield none_different(f"C3 the same pixels as {name}", f"{mine.sum()} positive", "the same", different)


def make_geocube(table: gpd.GeoDataFrame, grid: Grid) -> Callable[[], np.ndarray]:
    """The labels by make_geocube: where it wrote no id, there is none."""
    import rioxarray  # noqa: F401
    import xarray as xr
    from geocube.api.core import make_geocube as cube_of

    left, _, _, top = grid.bounds
    y = top - PIXELS.a * (np.arange(grid.height) + 0.5)
    x = left + PIXELS.a * (np.arange(grid.width) + 0.5)
    empty = xr.DataArray(np.zeros(grid.shape, np.uint8), coords={"y": y, "x": x}, dims=("y", "x"))
    like = empty.rio.write_crs(UTM)

    def burnt() -> np.ndarray:
        found: np.ndarray = cube_of(table, measurements=["id"], like=like)["id"].notnull().to_numpy()
        return found

    return burnt


def erosion(rounds: int) -> Iterator[Row]:
    """C4: beside binary_erosion of scikit-image with a disk."""
    goal = f"C4 erosion by {EROSION} pixels of {SIZE} x {SIZE}: at least 10 x cheaper than skimage"
    if not importlib.util.find_spec("skimage"):
        yield without_reference(goal)
        return
    from skimage.morphology import binary_erosion

    good = field(SIZE, SIZE, generator("erosion"), 3.0) < 1.5
    quality = np.where(good, np.uint8(GOOD), np.uint8(LOW))
    window = Window(0, 0, SIZE)
    cases: dict[str, Callable[[], object]] = {
        "ours": lambda: eroded(quality, window, EROSION),
        "skimage": lambda: binary_erosion(good, disk(EROSION)),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of a new name for the same function
        cpu = interleaved(cases, rounds)
        theirs = binary_erosion(good, disk(EROSION))
    yield times_cheaper(goal, cpu["skimage"], cpu["ours"], "s", 10)
    inner = slice(EROSION, -EROSION)
    mine = eroded(quality, window, EROSION) == GOOD
    different = int(np.count_nonzero(mine[inner, inner] != theirs[inner, inner]))
    yield none_different("C4 the same pixels in the interior", f"{theirs.sum()} good", f"{mine.sum()} good", different)
