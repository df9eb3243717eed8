"""Progress of work on many files: a bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_LINES = 4  # lines of progress in a file


@contextmanager
def file_progress(title: str, total: int, done: int = 0) -> Iterator[Callable[[], None]]:
    """Give a function to call for each file that is done; it writes to the standard error.

    Args:
        title: What is going on, for example "Reading the videos".
        total: Number of files.
        done: Those that were done before.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(title, total=total, completed=done)
            yield lambda: bar.advance(task)
        return
    count = done

    def report() -> None:
        nonlocal count
        count += 1
        if total >= _LINES and count * _LINES // total > (count - 1) * _LINES // total:
            console.print(f"{title}: {count} of {total}", highlight=False)

    yield report
