"""Work under a time limit: a decoder that hangs must not hang the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from datamodules.common.errors import VideoError
from datamodules.video.read_ahead import Item, ThreadedItems

_AHEAD = 1  # items decoded while the consumer works on one: overlap without a growing queue


class Deadline:
    """A moment, so many seconds from now, after which work on one file is given up."""

    def __init__(self, seconds: float, path: str) -> None:
        self.seconds = seconds
        self.path = path
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds that are left, at least 0."""
        return max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Raise ``VideoError`` once the time is over."""
        if self.remaining() == 0.0:
            raise self.error()

    def error(self) -> VideoError:
        """The error that says that the time is over."""
        return VideoError(
            f"{self.path}: not decoded within {self.seconds:g} s; raise decode_timeout or repair the file"
        )


class LimitedStream(ThreadedItems[Item]):
    """Iterate over a producer that runs in a thread of its own, one item ahead, until a deadline.

    Args:
        produce: Makes the iterator, inside the thread.
        deadline: When to give up; its error is raised in the consuming thread.
    """

    def __init__(self, produce: Callable[[], Iterator[Item]], deadline: Deadline) -> None:
        super().__init__(lambda progress: produce(), deadline.path, _AHEAD)
        self._deadline = deadline

    def _check_time(self, silent_since: float) -> None:
        self._deadline.check()


def call_limited(work: Callable[[], Item], deadline: Deadline) -> Item:
    """Run ``work`` in a thread and return its result.

    Raises:
        VideoError: If the deadline passes first; errors of ``work`` itself come through unchanged.
    """

    def produce() -> Iterator[Item]:
        yield work()

    for result in LimitedStream(produce, deadline):
        return result
    raise deadline.error()
