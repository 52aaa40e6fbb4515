"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from darts.core.log import console


@dataclass(slots=True)
class Tally:
    """What was done since the start of this process."""

    total: int
    done: int
    patches: int = 0
    read: int = 0
    _begun: float = field(default_factory=time.monotonic)
    _first: int = field(init=False)

    def __post_init__(self) -> None:
        """Remember where this process began, since only its own work tells its speed."""
        self._first = self.done

    def add(self, patches: int, read: int) -> None:
        """Count a scene, the patches that it gave, and the bytes of its files."""
        self.done += 1
        self.patches += patches
        self.read += read

    @property
    def speed(self) -> str:
        """Megabytes of scenes a second."""
        return f"{self.read / 1e6 / max(time.monotonic() - self._begun, 1e-6):.1f} MB/s"

    @property
    def left(self) -> str:
        """Time that the remaining scenes will take at this pace, h:mm:ss."""
        pace = (time.monotonic() - self._begun) / max(self.done - self._first, 1)
        return str(timedelta(seconds=round(pace * (self.total - self.done))))


@contextmanager
def show_progress(what: str, total: int, done: int = 0) -> Iterator[Callable[[str, int, int], None]]:
    """Show how many of `total` are done; call the yielded function with name, patches and bytes when one more is."""
    tally = Tally(total, done)
    if not console.is_terminal:
        yield _plain_lines(what, tally)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(what, total=total, completed=done)

        def advance(_name: str, patches: int, read: int) -> None:
            tally.add(patches, read)
            bar.update(task, advance=1, description=f"{what} ({tally.patches} patches, {tally.speed})")

        yield advance


def _plain_lines(what: str, tally: Tally) -> Callable[[str, int, int], None]:
    def advance(name: str, patches: int, read: int) -> None:
        tally.add(patches, read)
        line = f"{what} {tally.done}/{tally.total}: {name}: {patches} patches ({tally.speed}, {tally.left} left)"
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    return advance
