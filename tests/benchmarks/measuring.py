"""What the benchmarks measure with: works taken in turns, and what several of them run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
import torch
from numpy.typing import NDArray

PAIRS = 5
SLICE = 0.15  # seconds of a short work in each turn

Figures = NDArray[np.float64]  # one for each turn
Work = Callable[[], object]
Result = TypeVar("Result")


def in_turns(
    works: Mapping[str, Callable[[], Result]], clock: Callable[[Callable[[], Result]], float] | None = None
) -> dict[str, Figures]:
    """Figure of each work in each of five turns, so that what else the machine does meets all of them.

    Args:
        works: What is measured, one after the other in every turn; a first turn warms up and does not count.
        clock: Runs a work and gives its figure; by default its seconds.
    """
    measure: Callable[[Callable[[], Result]], float] = clock or seconds
    taken = [[measure(work) for work in works.values()] for _ in range(1 + PAIRS)]
    return dict(zip(works, np.array(taken[1:], dtype=np.float64).T, strict=True))


def seconds(work: Work) -> float:
    """Time that some work takes, on a GPU to its end."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def processor_seconds(work: Work) -> float:
    """Time of all processors in this process, whatever else runs."""
    began = time.process_time()
    work()
    return time.process_time() - began


def least_seconds(work: Work) -> float:
    """Least time of a short work, which is repeated for a while."""
    end = time.perf_counter() + SLICE
    least = seconds(work)
    while time.perf_counter() < end:
        least = min(least, seconds(work))
    return least


def resident() -> int:
    """Bytes of this process in memory."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def peak_bytes(work: Work) -> int:
    """Memory of this process at its highest during some work, above that before it; Linux alone tells."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # sets the high-water mark back
    before = resident()
    work()
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024 - before


def in_new_process(work: Callable[..., Result], *arguments: object) -> Result:
    """Result of a function of a module: memory that earlier work has freed would hide what it takes."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def moving(count: int, height: int, width: int) -> Iterator[NDArray[np.uint8]]:
    """A textured room with something bright that moves through it."""
    generator = np.random.default_rng(0)
    room = generator.integers(60, 160, (height // 8, width // 8, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    for number in range(count):
        picture = room.copy()
        left = (5 * number) % (width - width // 6)
        picture[height // 3 : 2 * height // 3, left : left + width // 6] = (230, 220, number % 256)
        yield picture


def bare_decode(source: str | Path, side: int | None = None, *, with_source: bool = False) -> None:
    """Decode all frames; bring each in the usual way to a side, and make it an array in its own size."""
    with av.open(str(source)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            if side is not None:
                frame.to_ndarray(format="rgb24", width=side, height=side)
            if with_source:
                frame.to_ndarray(format="rgb24")
