"""Work in a thread, given up when it falls silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from datamodules.common.errors import VideoError
from datamodules.video.read_ahead import Pump


def test_items_come_in_order_and_at_most_so_many_ahead() -> None:
    made: list[int] = []

    def produce(progress: Callable[[], None]) -> Iterator[int]:
        for number in range(20):
            made.append(number)
            yield number

    seen = []
    for number in Pump(produce, "numbers", ahead=2, timeout=5):
        time.sleep(0.005)
        assert len(made) <= number + 1 + 2 + 1 + 1  # taken, waiting, in hand, just being made
        seen.append(number)
    assert seen == list(range(20))


def test_silence_is_an_error_but_slow_progress_is_not() -> None:
    hang = threading.Event()

    def produce(progress: Callable[[], None]) -> Iterator[int]:
        for _ in range(8):
            time.sleep(0.1)
            progress()
        yield 1
        hang.wait(20)

    items = iter(Pump(produce, "film.mp4", ahead=1, timeout=0.5))
    assert next(items) == 1
    with pytest.raises(VideoError, match=r"film\.mp4: nothing was decoded for 0\.5 s; raise decode_timeout"):
        next(items)
    hang.set()


def test_errors_come_through() -> None:
    def produce(progress: Callable[[], None]) -> Iterator[int]:
        yield 1
        raise KeyError("inside")

    items = iter(Pump(produce, "x", ahead=1, timeout=5))
    assert next(items) == 1
    with pytest.raises(KeyError, match="inside"):
        next(items)


def test_closing_early_ends_the_thread() -> None:
    ended = threading.Event()

    def produce(progress: Callable[[], None]) -> Iterator[int]:
        try:
            while True:
                progress()
                yield 1
        finally:
            ended.set()

    items = iter(Pump(produce, "x", ahead=1, timeout=5))
    next(items)
    items.close()  # type: ignore[attr-defined]  # it is a generator
    assert ended.wait(5)
