"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from darts.core.log import console


@contextmanager
def show_progress(what: str, total: int, done: int = 0) -> Iterator[Callable[[str], None]]:
    """Show how many of `total` are done; call the yielded function with a line when another one is."""
    if not console.is_terminal:
        yield _plain_lines(what, total, done)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(what, total=total, completed=done)
        yield lambda line: bar.update(task, advance=1, description=f"{what} ({line})")


def _plain_lines(what: str, total: int, done: int) -> Callable[[str], None]:
    count = done

    def advance(line: str) -> None:
        nonlocal count
        count += 1
        console.print(f"{what} {count}/{total}: {line}", markup=False, highlight=False, soft_wrap=True)

    return advance
