"""Batches read ahead by threads into buffers that are used again and again.

Reading and augmenting leave Python for most of their time, so that threads do them in parallel, and a batch is read where it is
used. Worker processes would copy every batch into fresh shared memory, which costs several times what reading it does.
"""

import weakref
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

Batch = dict[str, torch.Tensor]
"""`x` float32 (n, c, h, w), `y` uint8 (n, h, w), `row` int64 (n)."""

_VALID = 2
"""A batch stays as it is until so many others were handed out after it."""


class Draw(NamedTuple):
    """A sample of an epoch: all that its content depends on; `repeat` counts how often the epoch had its row before."""

    epoch: int
    row: int
    repeat: int = 0


class Draws(Protocol):
    """What is drawn in an epoch, in order."""

    def __len__(self) -> int:
        """Number of draws in an epoch."""

    def __iter__(self) -> Iterator[Draw]:
        """The draws of the epoch that was set last."""

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of each epoch."""


Read = Callable[[Draw, np.ndarray, np.ndarray], None]
"""Fills x float32 (c, h, w) and y uint8 (h, w) with the sample of a draw; called in several threads at once."""
