"""Batches hold what was drawn, in order, whoever reads them and whatever happened to the epoch before."""

import threading
import time

import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from darts.training.loader import Draw, PatchLoader

SIZE, CHANNELS = 4, 3


class Rows:
    """Draws of rows in an order that depends on the epoch."""

    def __init__(self, count):
        self.count, self.epoch = count, 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return self.count

    def __iter__(self):
        rows = np.random.default_rng(self.epoch).permutation(self.count) + 100
        return (Draw(self.epoch, int(row), 0) for row in rows)


class Reader:
    """Fills x and y with numbers of the draw, and remembers what was read, and by which thread."""

    def __init__(self, seconds=0.0):
        self.seconds, self.draws, self.threads = seconds, [], set()

    def __call__(self, draw, x, y):
        if self.seconds:
            time.sleep(self.seconds * (1 + draw.row % 3))
        assert (x.shape, x.dtype, y.shape, y.dtype) == ((CHANNELS, SIZE, SIZE), "f4", (SIZE, SIZE), "u1")
        assert x.flags.c_contiguous
        assert y.flags.c_contiguous
        x[...] = np.arange(CHANNELS)[:, None, None] + 10 * draw.row + 10_000 * draw.epoch
        y[...] = draw.row % 251
        self.draws.append(draw)
        self.threads.add(threading.current_thread().name)


def loader_of(count, batch_size=4, num_workers=0, reader=None, **options):
    return PatchLoader(reader or Reader(), Rows(count), batch_size, CHANNELS, SIZE, num_workers, **options)


def is_right(batch, draws):
    """Whether a batch holds the samples of these draws."""
    rows = torch.tensor([draw.row for draw in draws])
    first = torch.tensor([10 * draw.row + 10_000 * draw.epoch for draw in draws], dtype=torch.float32)
    x = first[:, None, None, None] + torch.arange(CHANNELS)[None, :, None, None].expand(-1, -1, SIZE, SIZE)
    y = (rows % 251).to(torch.uint8)[:, None, None].expand(-1, SIZE, SIZE)
    return (
        torch.equal(batch["row"], rows)
        and torch.equal(batch["x"], x)
        and torch.equal(batch["y"], y)
        and batch["x"].is_contiguous()
    )


def expected(loader, epoch):
    """The draws of each batch."""
    rows = Rows(len(loader.sampler))
    rows.set_epoch(epoch)
    draws = list(rows)
    parts = [draws[i : i + loader.batch_size] for i in range(0, len(draws), loader.batch_size)]
    return parts[: len(loader)]


def reading_threads(but=()):
    """Threads of loaders, but those that were there before: what a traceback holds on to ends later."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("patches")} - set(but)


def assert_epoch(loader, epoch):
    loader.sampler.set_epoch(epoch)
    for batch, draws in zip(loader, expected(loader, epoch), strict=True):
        assert is_right(batch, draws)


# --- what comes out


@pytest.mark.parametrize("num_workers", [0, 1, 3, 7])
@pytest.mark.parametrize(("count", "batch_size"), [(10, 4), (12, 4), (9, 4), (1, 4), (5, 1), (3, 8), (0, 2)])
def test_batches_are_the_draws_in_order_whoever_reads(count, batch_size, num_workers):
    loader = loader_of(count, batch_size, num_workers, Reader(seconds=0.0005))
    assert len(loader) == -(-count // batch_size)
    for epoch in range(3):
        assert_epoch(loader, epoch)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"), [(9, 4, [4, 4]), (10, 4, [4, 4, 2]), (1, 4, [1]), (3, 1, [1, 1, 1]), (5, 4, [4])]
)
def test_a_last_batch_of_one_sample_is_left_out_if_there_are_others(count, batch_size, sizes, num_workers):
    loader = loader_of(count, batch_size, num_workers, drop_single=True)
    assert [len(batch["row"]) for batch in loader] == sizes
    assert len(loader) == len(sizes)
    assert len(loader.sampler) == count


def test_types_are_those_that_training_is_given():
    (batch,) = loader_of(3)
    assert {name: tensor.dtype for name, tensor in batch.items()} == {
        "x": torch.float32, "y": torch.uint8, "row": torch.int64
    }  # fmt: skip


@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_epoch_that_counts_is_the_one_set_before_the_first_batch_is_asked_for(num_workers):
    loader = loader_of(6, num_workers=num_workers)
    batches = iter(loader)  # Lightning begins to iterate, and sets the epoch afterwards
    loader.sampler.set_epoch(5)
    assert is_right(next(batches), expected(loader, 5)[0])


# --- buffers


@pytest.mark.parametrize("num_workers", [0, 1, 2, 5])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_batch_stays_until_two_more_were_handed_out_across_epochs_too(batch_size, num_workers):
    loader = loader_of(14, batch_size, num_workers)
    last = []
    for epoch in range(3):
        loader.sampler.set_epoch(epoch)
        for batch, draws in zip(loader, expected(loader, epoch), strict=True):
            last = [*last[-1:], (batch, draws)]
            time.sleep(0.002)  # enough to read all that may be read ahead
            assert all(is_right(*kept) for kept in last)


@pytest.mark.parametrize(("num_workers", "most"), [(0, 3), (2, 4), (9, 6)])
def test_memory_is_used_again_in_the_next_epoch(num_workers, most):
    loader = loader_of(40, 4, num_workers)
    places = [{batch["x"].data_ptr() for batch in loader} for _ in range(3)]
    assert places[0] == places[1] == places[2]
    assert len(places[0]) == most


class Event:
    """Stands for a CUDA event: what the GPU was told to do before is done when somebody waits for it."""

    done, recorded = 0, 0

    def __init__(self, blocking):
        assert blocking

    def record(self):
        Event.recorded += 1
        self.number = Event.recorded

    def synchronize(self):
        Event.done = max(Event.done, self.number)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_no_page_locked_buffer_is_written_to_before_the_gpu_has_copied_it(monkeypatch, num_workers):
    copies = {}  # place of a batch -> number of events before the one that tells that it was copied
    too_early = []

    def read(draw, x, y):
        place = x.__array_interface__["data"][0]
        too_early.extend([draw] if copies.get(place, -1) >= Event.done else [])

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor.clone())
    loader = PatchLoader(read, Rows(20), 2, CHANNELS, SIZE, num_workers, pin_memory=True)
    for _ in range(2):
        for batch in loader:
            copies |= {x.data_ptr(): Event.recorded for x in batch["x"]}
    assert Event.recorded >= 20
    assert too_early == []


# --- epochs that end early


class BrokenDiskError(Exception):
    pass


@pytest.mark.parametrize("num_workers", [0, 1, 3])
@pytest.mark.parametrize("broken", [0, 5, 13])
def test_an_error_comes_as_it_is_and_leaves_no_thread_and_no_trace(num_workers, broken):
    error, reader, before = BrokenDiskError("patch 7"), Reader(seconds=0.0005), reading_threads()
    is_broken = True

    def read(draw, x, y):
        reader(draw, x, y)
        if is_broken and draw == list(Rows(14))[broken]:
            raise error

    loader = loader_of(14, 4, num_workers, read)
    handed_out = []
    with pytest.raises(BrokenDiskError) as raised:
        handed_out.extend(len(batch["row"]) for batch in loader)
    assert raised.value is error
    assert len(handed_out) == broken // 4
    assert reading_threads(before) == set()
    read_so_far = len(reader.draws)
    time.sleep(0.01)
    assert len(reader.draws) == read_so_far
    is_broken = False
    assert_epoch(loader, 1)


@pytest.mark.parametrize("num_workers", [0, 1, 3])
@pytest.mark.parametrize("taken", [1, 2, 3])
def test_an_epoch_that_is_given_up_leaves_no_thread_and_no_trace(num_workers, taken):
    before = reading_threads()
    loader = loader_of(20, 4, num_workers, Reader(seconds=0.0005))
    for number, _ in enumerate(loader, start=1):
        if number == taken:
            break
    assert reading_threads(before) == set()
    assert_epoch(loader, 0)
    assert_epoch(loader, 1)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_iterating_anew_ends_what_was_under_way(num_workers):
    loader = loader_of(20, 4, num_workers, Reader(seconds=0.0005))
    never_asked = iter(loader)
    given_up = iter(loader)
    next(given_up)
    kept = next(given_up)
    assert_epoch(loader, 3)
    assert list(given_up) == []
    assert list(never_asked) == []
    assert len(kept["row"]) == 4


def test_threads_are_used_again_and_end_with_the_loader():
    reader, before = Reader(seconds=0.001), reading_threads()
    loader = loader_of(24, 4, 2, reader)
    for epoch in range(3):
        assert_epoch(loader, epoch)
    threads = reading_threads(before)
    assert len(reader.threads) == len(threads) == 2
    del loader
    for thread in threads:
        thread.join(timeout=5)
    assert not any(thread.is_alive() for thread in threads)


def test_threads_read_at_the_same_time():
    together = threading.Barrier(3, timeout=5)
    loader = loader_of(12, 4, 3, lambda draw, x, y: together.wait())
    assert len(list(loader)) == 3


@pytest.mark.parametrize(("num_workers", "read"), [(0, 4), (2, 12), (5, 16)])
def test_threads_read_some_batches_ahead_of_use(num_workers, read):
    reader = Reader()
    batches = iter(loader_of(40, 4, num_workers, reader))
    for count in (read, read + 4, read + 8):
        next(batches)
        deadline = time.monotonic() + 10
        while len(reader.draws) < count and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.01)
        assert len(reader.draws) == count


# --- going on in the middle of an epoch


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_epoch_goes_on_after_the_batches_that_were_handed_out(num_workers):
    loader = loader_of(18, 4, num_workers)
    assert loader.state_dict() == {"batches": 0}
    states = [loader.state_dict() for _ in loader]
    assert states == [{"batches": number} for number in (1, 2, 3, 4, 0)]  # after the last one, the next epoch begins
    reader = Reader()
    other = loader_of(18, 4, num_workers, reader)
    other.load_state_dict({"batches": 3})
    assert other.state_dict() == {"batches": 3}
    for batch, draws in zip(other, expected(other, 0)[3:], strict=True):
        assert is_right(batch, draws)
    assert sorted(reader.draws) == sorted(draw for draws in expected(other, 0)[3:] for draw in draws)
    assert_epoch(other, 1)
    assert len(reader.draws) == 6 + 18


def test_an_iteration_that_never_began_does_not_use_up_the_state():
    loader = loader_of(12)
    loader.load_state_dict({"batches": 2})
    iter(loader)
    (batch,) = loader
    assert is_right(batch, expected(loader, 0)[2])


class Net(pl.LightningModule):
    """Remembers the rows that it was given."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.seen, self.validated = [], []

    def training_step(self, batch, index):
        self.seen.append((self.current_epoch, batch["row"].tolist()))
        return self.layer(batch["x"].mean(dim=(1, 2, 3))[:, None]).mean() * 0

    def validation_step(self, batch, index):
        self.validated.append(batch["row"].tolist())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class SaveAt(pl.Callback):
    """Saves a checkpoint after so many steps."""

    def __init__(self, step, path):
        self.step, self.path = step, path

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


def fit(loader, validation=None, callbacks=(), checkpoint=None):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = pl.Trainer(
        max_epochs=3, callbacks=list(callbacks), enable_checkpointing=False, num_sanity_val_steps=1, **quiet
    )
    net = Net()
    trainer.fit(net, loader, validation, ckpt_path=checkpoint, weights_only=False)
    return net


def rows_of(loader, epoch):
    return [[draw.row for draw in part] for part in expected(loader, epoch)]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("num_workers", [0, 2])
def test_lightning_trains_and_validates_on_the_draws_of_each_epoch(num_workers):
    train, val = loader_of(14, 4, num_workers), loader_of(6, 4, num_workers)
    net = fit(train, val)
    assert net.seen == [(epoch, rows) for epoch in range(3) for rows in rows_of(train, epoch)]
    assert net.validated == [rows_of(val, 0)[0], *(rows for epoch in range(3) for rows in rows_of(val, epoch))]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 8, 11])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_lightning_goes_on_with_the_next_batch_after_a_checkpoint(tmp_path, step, num_workers):
    path = tmp_path / "last.ckpt"
    whole = fit(loader_of(14, 4, num_workers), callbacks=[SaveAt(step, path)]).seen
    reader = Reader()
    assert fit(loader_of(14, 4, num_workers, reader), checkpoint=path).seen == whole[step:]
    assert len(reader.draws) == sum(len(rows) for _, rows in whole[step:])
