"""Time of the rolling average and the segment machine, beside the mean of a deque."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lightning_modules.action.segments.machine import SegmentMachine
from lightning_modules.action.segments.rolling_average import Mode, RollingAverage, RollingMeans
from tests.benchmarks.conftest import Speed
from tests.benchmarks.measuring import Work, in_turns

pytestmark = [pytest.mark.benchmark, pytest.mark.action]

WINDOW, CHUNK, FRAMES, CLASSES = 128, 64, 20_000, 2
LENGTHS: list[dict[str, Any]] = [{"window": WINDOW}, {"seconds": WINDOW / 30}]
MODES: tuple[Mode, ...] = ("trailing", "centred", "exponential")

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


def averaged(scores: Floats, times: Floats, **options: Any) -> list[RollingMeans]:
    average = RollingAverage(CLASSES, **options)
    return [average.push(scores[at : at + CHUNK], times[at : at + CHUNK]) for at in range(0, FRAMES, CHUNK)]


def segmented(parts: list[RollingMeans]) -> None:
    machine = SegmentMachine(["a", "b"], leave=0.4, minimum_seconds=0.2, merge_gap_seconds=0.1)
    for part in parts:
        machine.push(part.times, part.means, part.full)


def test_beside_the_deque(speed: Speed) -> None:
    scores, times = stream()
    for length in LENGTHS:
        means = np.concatenate([part.means for part in averaged(scores, times, **length)])
        np.testing.assert_allclose(means, deque_loop(scores), atol=1e-13)
    works: dict[str, Work] = {
        f"{mode} {[*length]}": partial(averaged, scores, times, mode=mode, **length)
        for mode in MODES
        for length in LENGTHS
    }
    works["segments"] = partial(segmented, averaged(scores, times, window=16))
    works["deque"] = partial(deque_loop, scores)
    taken = in_turns(works)
    bare = taken.pop("deque")
    speed.add("averages", bare / np.max([*taken.values()], axis=0), 1e6 * float(np.median(bare)) / FRAMES, "us a frame")


def test_cost_does_not_grow_with_the_window(speed: Speed) -> None:
    works = {window: partial(averaged, *stream(), window=window) for window in (128, 8192)}
    taken = in_turns({str(window): work for window, work in works.items()})
    limit = 1e6 * float(np.median(taken["128"])) / FRAMES
    speed.add("window", taken["8192"] / taken["128"], limit, "us a frame")
