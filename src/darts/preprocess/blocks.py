"""A scene in blocks of rows: read one after another, and joined only where a patch needs it.

All of a scene in memory would be many gigabytes; a block is a few hundred megabytes. Blocks begin at the same rows for
any patch size, worker or memory limit, so that a value doesn't depend on these.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import numpy as np

from darts.preprocess.patches import Window
from darts.preprocess.scenes import Block

BLOCK_ROWS = 512
"""A multiple of the tiles that images are delivered in, so that each tile is decoded once."""


def blocks_of(height: int) -> list[Block]:
    """The blocks of a scene, from top to bottom."""
    return [Block(start, min(start + BLOCK_ROWS, height)) for start in range(0, height, BLOCK_ROWS)]


def windows_with_values(
    height: int, windows: Sequence[Window], read: Callable[[Block], np.ndarray], rows_below: int = 0
) -> Iterator[tuple[Window, np.ndarray]]:
    """Each window with the values in it, holding no more blocks in memory than the next window needs.

    Parameters
    ----------
    height
        Rows of the scene.
    windows
        In the order of their rows.
    read
        Reads the values of a block: (channels, rows, width).
    rows_below
        Rows below a window that must have been read before it is given out.
    """
    held: deque[tuple[Block, np.ndarray]] = deque()
    coming = iter(blocks_of(height))
    for row, group in groupby(windows, key=lambda window: window.row):
        while held and held[0][0].stop <= row:
            held.popleft()
        for window in group:
            needed = min(row + window.size + rows_below, height)
            while not held or held[-1][0].stop < needed:
                block = next(coming)
                held.append((block, read(block)))
            yield window, _cut(held, window)


def _cut(held: Sequence[tuple[Block, np.ndarray]], window: Window) -> np.ndarray:
    """The values in a window: (channels, size, size)."""
    columns = slice(window.column, window.column + window.size)
    parts = []
    for block, values in held:
        first, last = max(window.row, block.start), min(window.row + window.size, block.stop)
        if first < last:
            parts.append(values[:, first - block.start : last - block.start, columns])
    return np.concatenate(parts, axis=1)
