"""Progress of work on many files: a bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_FIRST = 2.0  # seconds without a line at the beginning; the next waits twice as long, and so on
_LONGEST = 60.0  # seconds without a line


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
    count, wait = done, _FIRST
    started = said_at = time.monotonic()

    def report(weight: int = 1) -> None:
        nonlocal count, wait, said_at
        count += weight
        now = time.monotonic()
        if count < total and now - said_at >= wait:
            wait, said_at = min(2 * wait, _LONGEST), now
            said = f"{100 * count // total} %" if percent else f"{count} of {total}"
            left = duration((now - started) / (count - done) * (total - count))
            console.print(f"{title}: {said}, about {left} left", highlight=False, soft_wrap=True)

    yield report


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, rounded to what an estimate is worth.

    Example:
        >>> duration(42), duration(600), duration(9000)
        ('42 s', '10 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
