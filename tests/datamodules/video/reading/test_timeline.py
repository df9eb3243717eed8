"""Times that rise, whatever a container says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.video.reading.timeline import BestEffort, Timeline


def settled(times: Sequence[float | None], fps: float = 10.0, origin: float = 0.0) -> list[float]:
    timeline = Timeline[int](fps, origin)
    told = [pair for number, time in enumerate(times) for pair in timeline.add(number, time)]
    told += timeline.rest()
    assert [number for number, _ in told] == list(range(len(times)))
    return [time for _, time in told]


@pytest.mark.parametrize(
    ("times", "right"),
    [
        ([0.0, 0.1, 0.1, 0.3], [0.0, 0.1, 0.2, 0.3]),
        ([0.0, 0.01, 0.01, 0.02, 0.03], [0.0, 0.01, 0.015, 0.02, 0.03]),  # the frames behind it stay
        ([0.0, 0.1, 0.1, 0.1, 0.5], [0.0, 0.1, 0.2, 0.3, 0.5]),
        ([0.0, 0.1, 0.0, 0.3], [0.0, 0.1, 0.2, 0.3]),
        ([5.0, 5.1, 0.0, 5.3], [5.0, 5.1, 5.2, 5.3]),  # one bad time is no restart
        ([5.0, 5.1, 900.0, 5.3, 5.4], [5.0, 5.1, 5.2, 5.3, 5.4]),
        ([0.0, 0.1, 9.0, 9.1], [0.0, 0.1, 9.0, 9.1]),  # a gap is one
        ([0.0, 2.0, 4.0, 6.0], [0.0, 2.0, 4.0, 6.0]),
        ([0.0, 0.1, 9.0], [0.0, 0.1, 9.0]),
        ([0.5, 0.2, 0.3], [0.1, 0.2, 0.3]),
        ([None, None, 0.3], [0.0, 0.1, 0.3]),
        ([math.nan, 1e12], [0.0, 0.1]),
        ([0.0, 0.1, 500_000.0, 500_000.1, 3.0, 3.1, None], [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),  # clocks set anew
        ([0.2] * 20, [0.2 + 0.1 * number for number in range(20)]),
        ([3.0], [3.0]),
        ([], []),
    ],
)
def test_only_what_does_not_rise_moves(times: list[float | None], right: list[float]) -> None:
    assert settled(times) == pytest.approx(right, abs=1e-6)


def test_times_are_counted_from_the_origin() -> None:
    assert settled([-2.0, -1.9], origin=-2.1) == pytest.approx([0.1, 0.2])
    assert settled([1.4, 1.5], origin=1.5) == pytest.approx([-0.1, 0.0])


@given(
    st.lists(st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)), max_size=40),
    st.floats(0, 120),
)
def test_times_always_rise(times: list[float | None], fps: float) -> None:
    assert all(later > earlier for earlier, later in pairwise(settled(times, fps if fps > 0.1 else 0.0)))


@given(st.lists(st.floats(0.001, 100.0), min_size=1, max_size=50))
def test_good_times_are_kept(steps: list[float]) -> None:
    times = np.cumsum(steps).tolist()
    assert settled(times, 25.0) == times


def test_best_effort_takes_the_sounder_clock() -> None:
    best = BestEffort()
    assert [best.ticks(*pair) for pair in ((0, 0), (2, 1), (2, 2), (2, 3), (None, 4), (9, None))] == [0, 2, 2, 3, 4, 9]
    assert BestEffort().ticks(None, None) is None
