"""Work under a time limit: a decoder that hangs must not hang the run."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from datamodules.common.errors import VideoError

Item = TypeVar("Item")
_AHEAD = 1  # items decoded while the consumer works on one: overlap without a growing queue


class Deadline:
    """A moment after which work on one file is given up.

    Args:
        seconds: Time allowed from now on.
        path: File that the error names.
    """

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


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class _End:
    pass


class LimitedStream(Generic[Item]):
    """Iterate over a producer that runs in a thread of its own, one item ahead, until a deadline.

    A thread that hangs inside a decoder cannot be stopped from Python: it is left behind as a daemon, and ends by
    itself when the decoder ever returns, since it looks at the stop flag after each item.

    Args:
        produce: Makes the iterator, inside the thread.
        deadline: When to give up; its error is raised in the consuming thread.
    """

    def __init__(self, produce: Callable[[], Iterator[Item]], deadline: Deadline) -> None:
        self._produce = produce
        self._deadline = deadline
        self._stop = threading.Event()
        self._items: queue.Queue[Item | _Failure | _End] = queue.Queue(maxsize=_AHEAD)
        self._thread = threading.Thread(target=self._run, name=f"decode {deadline.path}", daemon=True)

    def __iter__(self) -> Iterator[Item]:
        """Start the thread and yield its items; closing the iterator early stops the thread."""
        self._thread.start()
        try:
            while True:
                try:
                    item = self._items.get(timeout=self._deadline.remaining() or 1e-3)
                except queue.Empty:
                    raise self._deadline.error() from None
                if isinstance(item, _End):
                    return
                if isinstance(item, _Failure):
                    raise item.error
                yield item
        finally:
            self._stop.set()

    def _run(self) -> None:
        try:
            iterator = self._produce()
            for item in iterator:
                if not self._put(item):
                    return
            self._put(_End())
        except Exception as error:  # handed to the consumer, which raises it
            self._put(_Failure(error))

    def _put(self, item: Item | _Failure | _End) -> bool:
        while not self._stop.is_set():
            try:
                self._items.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False


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
