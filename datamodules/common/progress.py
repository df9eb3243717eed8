"""Progress of work on many files: a bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_LINES = 4  # lines of progress in a file


@contextmanager
def file_progress(title: str, total: int, done: int = 0, *, percent: bool = False) -> Iterator[Callable[..., None]]:
    """Give a function to call for each piece that is done, with its weight where it counts more than one.

    Args:
        title: What is going on, for example "Reading the videos".
        total: Number of pieces.
        done: Those that were done before.
        percent: Say the share, not the number.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(title, total=total, completed=done)
            yield lambda weight=1: bar.advance(task, weight)
        return
    count = done

    def report(weight: int = 1) -> None:
        nonlocal count
        before, count = count, count + weight
        if total >= _LINES and count * _LINES // total > before * _LINES // total:
            said = f"{100 * count // total} %" if percent else f"{count} of {total}"
            console.print(f"{title}: {said}", highlight=False)

    yield report
