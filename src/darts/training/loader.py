"""Batches for training, read by threads into buffers that are used again and again.

Reading and augmenting spend their time outside of Python, so that threads can share the work, and a sample is written to
where its batch will be used. Worker processes would send each batch through fresh shared memory, which costs several times
what reading it does.
"""

import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
import torch

Batch = dict[str, torch.Tensor]
"""`x` float32 (n, c, h, w), `y` uint8 (n, h, w), `row` int64 (n)."""

_KEPT = 2
"""The batches handed out last that nothing is written to."""


class Draw(NamedTuple):
    """What one sample of an epoch depends on; `repeat` tells apart the draws of a row that comes several times."""

    epoch: int
    row: int
    repeat: int = 0


class Draws(Protocol):
    """What is drawn in an epoch."""

    def __len__(self) -> int:
        """Number of draws in an epoch."""

    def __iter__(self) -> Iterator[Draw]:
        """The draws of one epoch, in order."""

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""


Read = Callable[[Draw, np.ndarray, np.ndarray], None]
"""Writes the sample of a draw into x float32 (c, h, w) and y uint8 (h, w); several threads call it at once."""


@dataclass(frozen=True, slots=True)
class _Slot:
    """Place for a batch: tensors, and the same memory as numpy arrays."""

    tensors: Batch
    x: np.ndarray
    y: np.ndarray
    row: np.ndarray


@dataclass(frozen=True, slots=True)
class _Reading:
    """A batch that is being read."""

    slot: _Slot
    size: int
    samples: list[Future[None]] = field(default_factory=list)

    def finished(self) -> Batch:
        """The batch, as soon as the threads are done with it; the last one of an epoch may fill a part of its slot."""
        for sample in self.samples:
            sample.result()
        return {name: tensor[: self.size] for name, tensor in self.slot.tensors.items()}


class PatchLoader:
    """Iterates over the batches of one epoch at a time; a new iteration ends the one before.

    A batch stays as it is until two more were handed out; who needs it for longer copies it. Order and content don't depend
    on `num_workers`. Threads are kept for the next epoch; when an iteration fails or is given up, they end with it.

    Parameters
    ----------
    read
        Reads one sample; what it raises is raised by the iteration.
    draws
        What an epoch consists of; asked for when its first batch is.
    batch_size, channels, patch_size
        Shape of a batch: (batch_size, channels, patch_size, patch_size).
    num_workers
        Threads that read ahead; with 0, a batch is read when it is asked for.
    pin_memory
        Whether batches are in page-locked memory, from which a GPU copies on its own while Python goes on.
    drop_single
        Whether a last batch of one sample is left out, if there are others.
    """

    def __init__(
        self,
        read: Read,
        draws: Draws,
        batch_size: int,
        channels: int,
        patch_size: int,
        num_workers: int = 0,
        pin_memory: bool = False,
        drop_single: bool = False,
    ) -> None:
        self.sampler = draws  # Lightning calls its set_epoch, and asks for the other, too
        self.batch_sampler = None
        self.batch_size = batch_size
        self._read, self._shape, self._num_workers = read, (channels, patch_size, patch_size), num_workers
        self._pin_memory, self._drop_single = pin_memory, drop_single
        # One batch more than the threads have samples of in hand, so that none waits at the end of a batch.
        self._ahead = 1 + -(-num_workers // batch_size) if num_workers else 1
        self._handed_out = self._handed_out_in_epoch = self._to_skip = 0
        self._epoch: Callable[[], Generator[Batch] | None] = lambda: None

    def __len__(self) -> int:
        """Batches in an epoch."""
        batches, rest = divmod(len(self.sampler), self.batch_size)
        dropped = self._drop_single and batches > 0 and rest == 1
        return batches + (rest > 0 and not dropped)

    def __iter__(self) -> Iterator[Batch]:
        """One epoch, or what is left of one whose state was loaded."""
        if (before := self._epoch()) is not None:
            before.close()
        epoch = self._batches()
        self._epoch = weakref.ref(epoch)
        return epoch

    def state_dict(self) -> dict[str, int]:
        """Number of batches that were handed out in the epoch that is under way."""
        return {"batches": self._handed_out_in_epoch % max(len(self), 1)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Let the next epoch begin after as many batches; they are not read."""
        self._to_skip = self._handed_out_in_epoch = state["batches"]

    def _batches(self) -> Generator[Batch]:
        draws, size = list(self.sampler), self.batch_size
        todo = deque(draws[size * number : size * (number + 1)] for number in range(self._to_skip, len(self)))
        self._handed_out_in_epoch, self._to_skip = self._to_skip, 0
        readings: deque[_Reading] = deque()
        try:
            while todo or readings:
                self._read_ahead(todo, readings)
                batch = readings[0].finished()
                readings.popleft()
                self._handed_out += 1
                self._handed_out_in_epoch += 1
                if self._num_workers:
                    self._read_ahead(todo, readings)
                yield batch
        finally:
            if todo or readings:
                self._stop_threads()

    def _read_ahead(self, todo: deque[list[Draw]], readings: deque[_Reading]) -> None:
        """Begin to read batches until enough are being read; there are slots for these, and for those that are kept."""
        while todo and len(readings) < self._ahead:
            slot = self._ring[(self._handed_out + len(readings)) % len(self._ring)]
            readings.append(self._begin(todo.popleft(), slot))

    def _begin(self, draws: list[Draw], slot: _Slot) -> _Reading:
        reading, sent = _Reading(slot, len(draws)), self._sent_to_gpu()
        for index, draw in enumerate(draws):
            if self._num_workers:
                reading.samples.append(self._threads.submit(self._read_sample, draw, slot, index, sent))
            else:
                self._read_sample(draw, slot, index, sent)
        return reading

    def _read_sample(self, draw: Draw, slot: _Slot, index: int, sent: torch.cuda.Event | None) -> None:
        if sent is not None:
            sent.synchronize()
        self._read(draw, slot.x[index], slot.y[index])
        slot.row[index] = draw.row

    def _sent_to_gpu(self) -> torch.cuda.Event | None:
        """The end of all that the GPU was told to do so far: it may still be copying the batch that was in a slot before."""
        if not self._pin_memory:
            return None
        event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    @cached_property
    def _ring(self) -> list[_Slot]:
        return [self._make_slot() for _ in range(_KEPT + self._ahead)]

    def _make_slot(self) -> _Slot:
        shapes = {"x": self._shape, "y": self._shape[1:], "row": ()}
        dtypes = {"x": np.float32, "y": np.uint8, "row": np.int64}
        # numpy asks the system for large pages, torch doesn't.
        arrays = {name: np.empty((self.batch_size, *shapes[name]), dtypes[name]) for name in shapes}
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        if self._pin_memory:
            tensors = {name: tensor.pin_memory() for name, tensor in tensors.items()}
        return _Slot(tensors, **{name: tensor.numpy() for name, tensor in tensors.items()})

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._num_workers, thread_name_prefix="patches")

    def _stop_threads(self) -> None:
        """Wait for the samples that are being read, and forget the others."""
        if self._num_workers:
            self._threads.shutdown(cancel_futures=True)
            del self._threads
