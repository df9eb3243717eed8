"""Work in a thread, given up when it falls silent or passes its deadline, so that a hanging decoder hangs no run."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from datamodules.common.errors import VideoError
from datamodules.video.limits import Deadline, LimitedStream, call_limited
from datamodules.video.read_ahead import Pump
from tests.running import REPOSITORY

Produce = Callable[[], Iterator[int]]
START: dict[str, Callable[[Produce], Iterator[int]]] = {
    "deadline": lambda produce: iter(LimitedStream(produce, Deadline(5.0, "a.mp4"))),
    "silence": lambda produce: iter(Pump(lambda progress: produce(), "a.mp4", ahead=1, timeout=5)),
}


@pytest.fixture(params=START)
def start(request: pytest.FixtureRequest) -> Callable[[Produce], Iterator[int]]:
    return START[request.param]


def test_items_come_in_order_and_errors_come_through(start: Callable[[Produce], Iterator[int]]) -> None:
    def produce() -> Iterator[int]:
        yield from range(5)
        raise KeyError("after five")

    items = start(produce)
    assert [next(items) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError, match="after five"):
        next(items)


def test_the_thread_ends_when_the_consumer_leaves(start: Callable[[Produce], Iterator[int]]) -> None:
    ended = threading.Event()

    def produce() -> Iterator[int]:
        try:
            yield from range(1_000_000)
        finally:
            ended.set()

    before = threading.active_count()
    items = start(produce)
    next(items)
    items.close()  # type: ignore[attr-defined]  # it is a generator
    assert ended.wait(5)
    for _ in range(100):
        if threading.active_count() <= before:
            return
        time.sleep(0.05)
    pytest.fail("the decoding thread is still there")


def test_a_slow_consumer_holds_the_producer_back(start: Callable[[Produce], Iterator[int]]) -> None:
    made: list[int] = []

    def produce() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    items = start(produce)
    next(items)
    time.sleep(0.3)
    assert len(made) <= 4  # one handed over, one waiting, one at the door
    items.close()  # type: ignore[attr-defined]


def test_as_many_items_wait_as_are_asked_for() -> None:
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


def test_a_hanging_call_ends_in_time() -> None:
    release = threading.Event()
    begin = time.monotonic()
    with pytest.raises(VideoError, match=r"a\.mp4: not decoded within 0\.2 s"):
        call_limited(lambda: release.wait(30), Deadline(0.2, "a.mp4"))
    assert time.monotonic() - begin < 5
    release.set()


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


def test_a_thread_at_work_does_not_abort_the_end_of_the_process() -> None:
    program = """
import torch
from datamodules.video.read_ahead import Pump
from tests.running import REPOSITORY

def produce(progress):
    while True:
        progress()
        for _ in range(50):
            torch.nn.functional.interpolate(torch.rand(1, 3, 64, 64), (32, 32), mode="bilinear")
        yield 1

items = iter(Pump(produce, "a.mp4", ahead=1000000, timeout=60))
next(items)
"""
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True)
