"""CPU time, peak memory and the table of goals: every figure stands beside that of a reference, measured in the same run."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

ONE_THREAD = dict.fromkeys(
    "OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS NUMBA_NUM_THREADS OPENCV_FOR_THREADS_NUM GDAL_NUM_THREADS".split(),
    "1",
)
"""Threads that wait for each other burn CPU time and would spoil the comparison."""
MET, NOT_MET, SHOWN = "met", "NOT met", "shown"
_WIDTHS = (76, 17, 12, 15, 7)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; `verdict` is one of the three words above, or says why there is none."""

    goal: str
    reference: str
    ours: str
    ratio: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process and all its children cost.

    Attributes
    ----------
    cpu, wall
        Seconds, from the start of the process to its end.
    peak
        The most memory that it held (VmHWM), bytes, without its children.
    answer
        What it printed.
    """

    cpu: float
    wall: float
    peak: int
    answer: Mapping[str, Any]


def times_cheaper(goal: str, reference: float, ours: float, unit: str, at_least: float | None) -> Row:
    """A goal that holds when the reference costs so many times more."""
    ratio = reference / ours
    verdict = SHOWN if at_least is None else MET if ratio >= at_least else NOT_MET
    return Row(goal, f"{reference:.4g} {unit}", f"{ours:.4g} {unit}", f"{ratio:.2f} x cheaper", verdict)


def share(goal: str, reference: float, ours: float, unit: str, limits: tuple[float, float] | None) -> Row:
    """A goal that holds when ours is so much of the reference, from a lowest to a highest share."""
    ratio = ours / reference
    verdict = SHOWN if limits is None else MET if limits[0] <= ratio <= limits[1] else NOT_MET
    return Row(goal, f"{reference:.4g} {unit}", f"{ours:.4g} {unit}", f"{ratio:.3g} of it", verdict)


def none_different(goal: str, reference: str, ours: str, different: int) -> Row:
    """A goal that holds when no pixel is different."""
    return Row(goal, reference, ours, f"{different} differ", MET if different == 0 else NOT_MET)


def without_reference(goal: str) -> Row:
    """A goal that can't be told."""
    return Row(goal, "-", "-", "-", "reference not installed")


def print_table(rows: Iterable[Row]) -> None:
    """Print each row as soon as it is measured."""
    _print_line("goal", "reference", "ours", "ratio", "")
    for row in rows:
        _print_line(row.goal, row.reference, row.ours, row.ratio, row.verdict)


def _print_line(*cells: str) -> None:
    print("  ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip(), flush=True)


def interleaved(cases: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median CPU seconds of each case in this process; in each round all take their turn, after one that doesn't count."""
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, function in cases.items():
            before = time.process_time()
            function()
            if number:
                seconds[name].append(time.process_time() - before)
    return {name: median(values) for name, values in seconds.items()}


def interleaved_processes(script: Path, cases: Mapping[str, Sequence[str]], rounds: int) -> dict[str, Cost]:
    """Median costs of each case, a process of its own; the answer is that of the last round."""
    costs: dict[str, list[Cost]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, arguments in cases.items():
            costs[name].append(run_process(script, arguments))
    return {name: _median_cost(values) for name, values in costs.items()}


def _median_cost(costs: Sequence[Cost]) -> Cost:
    return Cost(
        cpu=median(cost.cpu for cost in costs),
        wall=median(cost.wall for cost in costs),
        peak=int(median(cost.peak for cost in costs)),
        answer=costs[-1].answer,
    )


def run_process(script: Path, arguments: Sequence[str]) -> Cost:
    """Run a script whose last line is what `tell` prints."""
    began, before = time.perf_counter(), _cpu_of_children()
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(command, env=os.environ | ONE_THREAD, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    cpu, wall = _cpu_of_children() - before, time.perf_counter() - began
    answer = json.loads(done.stdout.splitlines()[-1])
    return Cost(cpu, wall, answer["peak"], answer)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tell(**facts: object) -> None:
    """Print what `run_process` reads: some facts, and the peak memory of this process.

    It is VmHWM, since what getrusage says of a process begins with the peak of its parent.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    print(json.dumps({**facts, "peak": int(kilobytes) * 1024}))
