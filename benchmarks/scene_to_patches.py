"""C1, A5, M and W: from orthotiles to patches on disk, beside a plain chain; each run is a process of its own."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np
import zarr

from darts.dataset.schema import DATA_STORE
from measuring import Cost, Row, interleaved_processes, none_different, run_process, share, times_cheaper
from scene_runs import PATCH, Inputs
from simulated import orthotiles

SCRIPT = Path(__file__).parent / "scene_runs.py"
ORTHOTILE = 8000
"""The goals for memory are for scenes of this size; on smaller ones, imports count for more."""
SMALLER = 4000
MEGABYTE, GIBIBYTE = 1e6, 2**30


def scene_rows(folder: Path, size: int, rounds: int) -> Iterator[Row]:
    """All goals of whole scenes; what is simulated stays in `folder`, what is written doesn't."""
    folder.mkdir(parents=True, exist_ok=True)
    inputs = orthotiles(folder, size)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        yield from chains(Path(out), inputs, size, rounds)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        yield from memory_of_a_worker(Path(out), inputs, size)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        yield from workers(Path(out), orthotiles(folder, SMALLER, 4))


def arguments(name: str, out: Path, inputs: Inputs) -> Sequence[str]:
    """What a run is started with; it writes to the folder of its name."""
    return [name, str(out / name), *map(str, astuple(inputs))]


def chains(out: Path, inputs: Inputs, size: int, rounds: int) -> Iterator[Row]:
    """C1 and A5: CPU time, memory and bytes on disk for one orthotile."""
    names = ("ours", "plain_x", "plain_xy", "idle_ours", "idle_plain")
    cost = interleaved_processes(SCRIPT, {name: arguments(name, out, inputs) for name in names}, rounds)
    yield from _cpu_rows(cost, f"{size} x {size}")
    limits = (0, 0.1) if size >= ORTHOTILE else None
    peak = {name: cost[name].peak / MEGABYTE for name in names}
    yield share("C1 peak memory: at most 0.1 of the plain chain", peak["plain_x"], peak["ours"], "MB", limits)
    less = peak["plain_x"] - peak["idle_plain"], peak["ours"] - peak["idle_ours"]
    yield share("   the same less that of idle processes", *less, "MB", None)
    yield _same_patches(out / "plain_xy", out / "ours" / DATA_STORE)
    written = bytes_below(out / "plain_x") / MEGABYTE, bytes_below(out / "ours" / DATA_STORE / "x") / MEGABYTE
    yield share("A5 bytes on disk: at most 0.5 of float32", *written, "MB", (0, 0.5))


def _cpu_rows(cost: dict[str, Cost], size: str) -> Iterator[Row]:
    ours, plain, with_labels = (cost[name].cpu for name in ("ours", "plain_x", "plain_xy"))
    idle, idle_plain = cost["idle_ours"].cpu, cost["idle_plain"].cpu
    goal = f"C1 {size} to patches: at least 6 x cheaper than the plain chain"
    yield times_cheaper(goal, plain - idle_plain, ours - idle, "s", 6)
    yield times_cheaper("   the same beside one with labels and mask", with_labels - idle_plain, ours - idle, "s", None)
    yield times_cheaper("   the same with start and imports", with_labels, ours, "s", None)


def bytes_below(folder: Path) -> int:
    """Of all files."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _same_patches(plain: Path, ours: Path) -> Row:
    """Whether both chains made the same patches: x to 1e-4, y alike."""
    (x, y), (our_x, our_y) = ([zarr.open_array(store / name, mode="r") for name in "xy"] for store in (plain, ours))
    count, our_count = x.shape[0], our_x.shape[0]
    different = abs(count - our_count)
    for index in range(min(count, our_count)):
        different += int(np.count_nonzero(np.abs(np.asarray(x[index]) - np.asarray(our_x[index])) > 1e-4))
        different += int(np.count_nonzero(np.asarray(y[index]) != np.asarray(our_y[index])))
    return none_different("C1 the same patches", f"{count} patches", f"{our_count} patches", different)


def memory_of_a_worker(out: Path, inputs: Inputs, size: int) -> Iterator[Row]:
    """M: with optical bands, ndvi, terrain and trends, and what was foreseen."""
    worker = run_process(SCRIPT, arguments("one_worker", out, inputs))
    if worker.answer["failed"]:
        raise SystemExit(f"the scene failed: {worker.answer['failed']}")
    limits = (0, 1) if size >= ORTHOTILE else None
    goal = f"M  one worker, {size} x {size}, 13 bands, patches of {PATCH}: below 4 GiB"
    yield share(goal, 4, worker.peak / GIBIBYTE, "GiB", limits)
    foreseen = worker.answer["estimate"] / GIBIBYTE
    yield share(
        "M  memory foreseen for it: 0.7 to 2 of what it takes", worker.peak / GIBIBYTE, foreseen, "GiB", (0.7, 2)
    )


def workers(out: Path, inputs: Inputs) -> Iterator[Row]:
    """W: two workers beside one, by the clock."""
    names = ("ours", "two_workers")
    cost = interleaved_processes(SCRIPT, {name: arguments(name, out, inputs) for name in names}, rounds=1)
    one, two = cost["ours"], cost["two_workers"]
    goal = f"W  4 scenes of {SMALLER} x {SMALLER}, 2 workers beside 1, by the clock"
    yield times_cheaper(goal, one.wall, two.wall, "s", None)
    yield times_cheaper("   the same in CPU time", one.cpu, two.cpu, "s", None)
