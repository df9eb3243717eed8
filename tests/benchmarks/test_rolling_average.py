"""Microseconds a frame of the rolling average and the segment machine, beside the mean of a deque."""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lightning_modules.action.segments.machine import SegmentMachine
from lightning_modules.action.segments.rolling_average import Mode, RollingAverage, RollingMeans

WINDOW, CHUNK, FRAMES, CLASSES = 128, 64, 20_000, 2
LIMIT = 5.0  # us a frame, on a loaded machine twice that
PATIENCE = 2
FLOOR = 4.0  # times as fast as the deque; the bare ratio is far above

Floats = NDArray[np.float64]


def stream() -> tuple[Floats, Floats]:
    scores = np.random.default_rng(0).dirichlet(np.ones(CLASSES), FRAMES)
    return scores, np.arange(FRAMES) / 30


def deque_loop(scores: Floats) -> Floats:
    queue: deque[Floats] = deque(maxlen=WINDOW)
    means = np.empty_like(scores)
    for place, row in enumerate(scores):
        queue.append(row)
        means[place] = np.array(queue).mean(axis=0)
    return means


def chunked(average: RollingAverage, scores: Floats, times: Floats, chunk: int) -> list[RollingMeans]:
    return [average.push(scores[at : at + chunk], times[at : at + chunk]) for at in range(0, FRAMES, chunk)]


def microseconds(seconds: float) -> float:
    return seconds / FRAMES * 1e6


@pytest.mark.benchmark
def test_beside_the_deque() -> None:
    scores, times = stream()
    start = time.perf_counter()
    expected = deque_loop(scores)
    baseline = microseconds(time.perf_counter() - start)
    lines = [f"deque of {WINDOW}, mean of each frame: {baseline:.1f} us a frame"]
    lengths: list[dict[str, Any]] = [{"window": WINDOW}, {"seconds": WINDOW / 30}]
    modes: tuple[Mode, ...] = ("trailing", "centred", "exponential")
    for mode in modes:
        for length in lengths:
            taken = []
            for _ in range(3):
                start = time.perf_counter()
                parts = chunked(RollingAverage(CLASSES, mode=mode, **length), scores, times, CHUNK)
                taken.append(microseconds(time.perf_counter() - start))
            lines.append(f"{mode}, {next(iter(length))}, chunks of {CHUNK}: {min(taken):.2f} us a frame")
            assert min(taken) < LIMIT * PATIENCE
            if mode == "trailing":
                np.testing.assert_allclose(np.concatenate([part.means for part in parts]), expected, atol=1e-13)
                assert baseline > FLOOR * min(taken)
    sys.stdout.write("\n" + "\n".join(lines) + "\n")


@pytest.mark.benchmark
def test_cost_does_not_grow_with_the_window() -> None:
    scores, times = stream()
    taken = {}
    for window in (16, 128, 1024, 8192):
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            chunked(RollingAverage(CLASSES, window=window), scores, times, CHUNK)
            seconds.append(time.perf_counter() - start)
        taken[window] = microseconds(min(seconds))
    sys.stdout.write("\n" + ", ".join(f"window {window}: {cost:.2f} us" for window, cost in taken.items()) + "\n")
    assert taken[8192] < 2 * taken[128]


@pytest.mark.benchmark
def test_segment_machine() -> None:
    scores, times = stream()
    parts = chunked(RollingAverage(CLASSES, window=16), scores, times, CHUNK)
    machine = SegmentMachine(["a", "b"], leave=0.4, minimum_seconds=0.2, merge_gap_seconds=0.1)
    start = time.perf_counter()
    for part in parts:
        machine.push(part.times, part.means, part.full)
    cost = microseconds(time.perf_counter() - start)
    sys.stdout.write(f"\nsegment machine, chunks of {CHUNK}: {cost:.2f} us a frame, {len(machine.finish())} segments\n")
    assert cost < LIMIT * PATIENCE
