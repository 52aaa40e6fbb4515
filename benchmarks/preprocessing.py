"""What preprocessing costs: whole scenes and single steps, each beside a reference in the same run.

    uv run --with geocube --with scikit-image python benchmarks/preprocessing.py [--full] [--rounds 3] [--only kernels]

It prints a table of goals, with what the reference and we take, their ratio, and whether the goal is met. Times are CPU
time with one thread, medians of rounds in which all cases take their turn, so that other work on the machine does little
harm. Scenes are 4000 x 4000 pixels, with --full 8000 x 8000, for which the plain chain needs 9 GB of memory; goals for
memory are told for these only. geocube and scikit-image are references, no dependencies: without them, two goals can't
be told. The scenes are simulated once, into --folder.
"""

import argparse
import os
import platform
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from measuring import ONE_THREAD, Row, print_table

PARTS = ("kernels", "scenes")


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="scenes of 8000 x 8000 pixels")
    parser.add_argument("--rounds", type=int, default=3, help="of whole scenes; single steps take three times as many")
    parser.add_argument("--only", choices=PARTS, help="leave the other part out")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "darts-benchmarks", help="keeps scenes"
    )
    given = parser.parse_args()
    os.environ.update(ONE_THREAD)  # before any library counts the cores
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "opencv-python-headless", "rasterio", "zarr"))
    print(f"Python {platform.python_version()}, {packages}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    parts = [given.only] if given.only else PARTS
    print_table(chain.from_iterable(_rows(part, given) for part in parts))


def _rows(part: str, given: argparse.Namespace) -> Iterator[Row]:
    if part == "kernels":
        from kernels import kernel_rows

        return kernel_rows(3 * given.rounds)
    from scene_to_patches import scene_rows

    return scene_rows(given.folder, 8000 if given.full else 4000, given.rounds)


if __name__ == "__main__":
    main()
