"""Work in a thread of its own, a bounded number of items ahead, given up when it makes no progress."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from datamodules.common.errors import VideoError

Item = TypeVar("Item")
_POLL = 0.1  # seconds between looks at the clock


class _StoppedError(Exception):
    """The consumer wants no more."""


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class _End:
    pass


class Pump(Generic[Item]):
    """Iterate over a producer that runs in a thread.

    Unlike a deadline for the whole, the time limit here is for silence: a file of an hour may take an hour, but a
    decoder that hangs is left behind as a daemon thread.

    Args:
        produce: Makes the iterator, inside the thread. It is given a function to call whenever it has made progress.
        name: What the error and the thread are called.
        ahead: Items that wait for the consumer at most.
        timeout: Seconds without progress, while the consumer waits, after which the work is given up.
    """

    def __init__(
        self, produce: Callable[[Callable[[], None]], Iterator[Item]], name: str, *, ahead: int, timeout: float
    ) -> None:
        self._produce = produce
        self._name = name
        self._timeout = timeout
        self._stop = threading.Event()
        self._items: queue.Queue[Item | _Failure | _End] = queue.Queue(maxsize=ahead)
        self._progress = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"decode {name}", daemon=True)

    def __iter__(self) -> Iterator[Item]:
        """Start the thread and yield its items; closing the iterator early stops the thread.

        Raises:
            VideoError: If the work makes no progress; errors of the producer come through unchanged.
        """
        self._thread.start()
        try:
            while True:
                item = self._next()
                if isinstance(item, _End):
                    return
                if isinstance(item, _Failure):
                    raise item.error
                yield item
        finally:
            self._stop.set()

    def _next(self) -> Item | _Failure | _End:
        waiting = time.monotonic()
        while True:
            try:
                return self._items.get(timeout=_POLL)
            except queue.Empty:
                if time.monotonic() - max(waiting, self._progress) > self._timeout:
                    raise VideoError(
                        f"{self._name}: nothing was decoded for {self._timeout:g} s; raise decode_timeout or repair "
                        "the file"
                    ) from None

    def _beat(self) -> None:
        self._progress = time.monotonic()
        if self._stop.is_set():
            raise _StoppedError

    def _run(self) -> None:
        try:
            for item in self._produce(self._beat):
                self._put(item)
            self._put(_End())
        except _StoppedError:
            return
        except Exception as error:  # handed to the consumer, which raises it
            self._hand_over(error)

    def _hand_over(self, error: Exception) -> None:
        try:
            self._put(_Failure(error))
        except _StoppedError:
            return

    def _put(self, item: Item | _Failure | _End) -> None:
        while True:
            self._beat()
            try:
                self._items.put(item, timeout=_POLL)
            except queue.Full:
                continue
            return
