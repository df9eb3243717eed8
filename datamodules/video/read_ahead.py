"""Work in a thread of its own, a bounded number of items ahead, given up when it takes too long."""

from __future__ import annotations

import atexit
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from datamodules.common.errors import VideoError

Item = TypeVar("Item")
_POLL = 0.1  # seconds between looks at the clock
_FAREWELL = 2.0  # seconds that threads have to end when the process does
_at_work: list[tuple[threading.Thread, Callable[[], None]]] = []


def ends_with_process(thread: threading.Thread, stop: Callable[[], None]) -> None:
    """Let a daemon thread end before Python does: one that returns from C++ to an interpreter that is gone aborts it.

    Args:
        thread: The thread, started.
        stop: Asks it to end soon.
    """
    _at_work[:] = [one for one in _at_work if one[0].is_alive()]
    _at_work.append((thread, stop))


@atexit.register
def _say_farewell() -> None:
    for _, stop in _at_work:
        stop()
    until = time.monotonic() + _FAREWELL
    for thread, _ in _at_work:
        thread.join(max(0.0, until - time.monotonic()))


class StoppedError(Exception):
    """The consumer wants no more."""


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class _End:
    pass


class ThreadedItems(ABC, Generic[Item]):
    """Iterate over a producer that runs in a thread.

    A thread that hangs inside a decoder cannot be stopped from Python: it is left behind as a daemon, and ends by
    itself when the decoder ever returns, since it looks at the stop flag after each item.

    Args:
        produce: Makes the iterator, inside the thread. It is given a function to call whenever it has made progress.
        name: What the thread is called.
        ahead: Items that wait for the consumer at most.
    """

    def __init__(self, produce: Callable[[Callable[[], None]], Iterator[Item]], name: str, ahead: int) -> None:
        self._produce = produce
        self._stop = threading.Event()
        self._items: queue.Queue[Item | _Failure | _End] = queue.Queue(maxsize=ahead)
        self._progress = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"decode {name}", daemon=True)

    def __iter__(self) -> Iterator[Item]:
        """Start the thread and yield its items; closing the iterator early stops the thread.

        Raises:
            VideoError: If the work takes too long; errors of the producer come through unchanged.
        """
        self._thread.start()
        ends_with_process(self._thread, self._stop.set)
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

    @abstractmethod
    def _check_time(self, silent_since: float) -> None:
        """Raise ``VideoError`` where the work is given up; ``silent_since`` is the monotonic time of its last sign."""

    def _next(self) -> Item | _Failure | _End:
        waiting = time.monotonic()
        while True:
            try:
                return self._items.get(timeout=_POLL)
            except queue.Empty:
                self._check_time(max(waiting, self._progress))

    def _beat(self) -> None:
        self._progress = time.monotonic()
        if self._stop.is_set():
            raise StoppedError

    def _run(self) -> None:
        try:
            for item in self._produce(self._beat):
                self._put(item)
            self._put(_End())
        except StoppedError:
            return
        except Exception as error:  # handed to the consumer, which raises it
            self._hand_over(error)

    def _hand_over(self, error: Exception) -> None:
        try:
            self._put(_Failure(error))
        except StoppedError:
            return

    def _put(self, item: Item | _Failure | _End) -> None:
        while True:
            self._beat()
            try:
                self._items.put(item, timeout=_POLL)
            except queue.Full:
                continue
            return


class Pump(ThreadedItems[Item]):
    """Give the work up when it makes no progress.

    Unlike a deadline for the whole, the time limit here is for silence: a file of an hour may take an hour, but a
    decoder that hangs is left behind.

    Args:
        produce: Makes the iterator, inside the thread. It is given a function to call whenever it has made progress.
        name: What the error and the thread are called.
        ahead: Items that wait for the consumer at most.
        timeout: Seconds without progress, while the consumer waits, after which the work is given up.
    """

    def __init__(
        self, produce: Callable[[Callable[[], None]], Iterator[Item]], name: str, *, ahead: int, timeout: float
    ) -> None:
        super().__init__(produce, name, ahead)
        self._name = name
        self._timeout = timeout

    def _check_time(self, silent_since: float) -> None:
        if time.monotonic() - silent_since > self._timeout:
            raise VideoError(
                f"{self._name}: nothing was decoded for {self._timeout:g} s; raise decode_timeout or repair the file"
            )
