"""What several benchmarks measure with."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import av
import torch


def seconds(work: Callable[[], object]) -> float:
    """Time that some work takes, on a GPU to its end."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def resident() -> int:
    """Bytes of this process in memory."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def bare_decode(source: str | Path, side: int | None = None, *, with_source: bool = False) -> int:
    """Number of frames, each decoded, and in the usual way brought to a side and made an array in its own size."""
    count = 0
    with av.open(str(source)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            if side is not None:
                frame.to_ndarray(format="rgb24", width=side, height=side)
            if with_source:
                frame.to_ndarray(format="rgb24")
            count += 1
    return count
