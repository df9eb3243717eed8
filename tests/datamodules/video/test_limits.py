"""A decoder that hangs does not hang the run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from datamodules.common.errors import VideoError
from datamodules.video.limits import Deadline, LimitedStream, call_limited


def test_items_come_in_order_and_errors_come_through() -> None:
    def produce() -> Iterator[int]:
        yield from range(5)
        raise KeyError("after five")

    stream = iter(LimitedStream(produce, Deadline(5.0, "a.mp4")))
    assert [next(stream) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError, match="after five"):
        next(stream)


def test_a_hanging_call_ends_in_time() -> None:
    release = threading.Event()
    start = time.monotonic()
    with pytest.raises(VideoError, match=r"a\.mp4: not decoded within 0\.2 s"):
        call_limited(lambda: release.wait(30), Deadline(0.2, "a.mp4"))
    assert time.monotonic() - start < 5
    release.set()


def test_the_thread_ends_when_the_consumer_leaves() -> None:
    def produce() -> Iterator[int]:
        yield from range(1_000_000)

    before = threading.active_count()
    stream = iter(LimitedStream(produce, Deadline(5.0, "a.mp4")))
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    for _ in range(100):
        if threading.active_count() <= before:
            return
        time.sleep(0.05)
    pytest.fail("the decoding thread is still there")


def test_a_slow_consumer_holds_the_producer_back() -> None:
    made: list[int] = []

    def produce() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    stream = iter(LimitedStream(produce, Deadline(5.0, "a.mp4")))
    next(stream)
    time.sleep(0.3)
    assert len(made) <= 4  # one handed over, one waiting, one at the door
    stream.close()  # type: ignore[attr-defined]
