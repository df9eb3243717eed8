"""States and segments: against a frame-by-frame reading of the rule, at any chunking, and by hand."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from datamodules.common.errors import ConfigurationError
from lightning_modules.action.segments.machine import Segment, SegmentMachine
from lightning_modules.action.segments.rolling_average import Mode, RollingAverage

Floats = NDArray[np.float64]
NAMES = ["drinking", "cooking", "idle"]


def slow_states(means: Floats, full: list[bool], enter: float, leave: float, action: int | None) -> list[int]:
    """The rule as it is told, one frame after the other."""
    state, states = -1, []
    for row, whole in zip(means, full, strict=True):
        best = -1 if np.isnan(row).any() else int(np.argmax(row))
        if best < 0 or not whole:
            state = -1
        elif row[best] >= enter:
            state = best
        elif state < 0 or row[state] < leave:
            state = -1
        states.append(state if action in (None, state) else -1)
    return states


def slow_segments(states: list[int], times: Floats, end: float) -> list[tuple[int, float, float]]:
    """Runs of equal states."""
    edges = [0, *(place for place in range(1, len(states)) if states[place] != states[place - 1]), len(states)]
    stops = [*times.tolist(), end]
    return [(states[a], stops[a], stops[b]) for a, b in pairwise(edges) if b > a and states[a] >= 0]


def run(machine: SegmentMachine, times: Floats, means: Floats, full: Any, cuts: list[int] | None = None) -> list[int]:
    edges = [0, *(cuts or []), len(times)]
    states = [machine.push(times[a:b], means[a:b], full[a:b]) for a, b in pairwise(edges)]
    return [int(state) for state in np.concatenate(states)]


def machine_of(states: str, step: float = 1.0, **options: Any) -> SegmentMachine:
    """Segments of a stream written as letters, d, c, i or . a frame."""
    machine = SegmentMachine(NAMES, **options)
    means = np.array([[0.9 * (letter == name[0]) for name in NAMES] for letter in states]).reshape(-1, 3)
    machine.push(np.arange(len(states)) * step, means, np.full(len(states), True))
    machine.finish()
    return machine


def short(machine: SegmentMachine) -> str:
    return " ".join(f"{one.label[0]}{one.start:g}-{one.end:g}" for one in machine.segments)


@st.composite
def streams(draw: st.DrawFn) -> tuple[Floats, Floats, list[bool], list[int]]:
    """Means on a coarse grid, so that ties and thresholds are met exactly; times; full; cuts."""
    count = draw(st.integers(1, 50))
    generator = np.random.default_rng(draw(st.integers(0, 10_000)))
    means = generator.integers(0, 11, (count, 3)) / 10.0
    means = np.repeat(means, generator.integers(1, 4, count), axis=0)[:count]
    means[generator.random(count) < 0.05] = np.nan
    full = (generator.random(count) < 0.95).tolist()
    times = np.cumsum(generator.choice([0.04, 0.1, 0.5], count))
    return times, means, full, sorted(draw(st.lists(st.integers(0, count), max_size=8)))


thresholds = st.sampled_from([(0.5, None), (0.5, 0.3), (0.0, None), (0.9, 0.0), (1.0, 0.7)])


@settings(max_examples=150, deadline=None)
@given(streams(), thresholds, st.sampled_from([None, "cooking"]), st.booleans())
def test_states_and_segments_are_those_of_the_rule(
    stream: tuple[Floats, Floats, list[bool], list[int]],
    limits: tuple[float, float | None],
    action: str | None,
    wait: bool,
) -> None:
    times, means, full, cuts = stream
    machine = SegmentMachine(NAMES, *limits, action=action, computing_until_full=wait)
    states = run(machine, times, means, full, cuts)
    enter, leave = limits
    looked_for = None if action is None else NAMES.index(action)
    expected = slow_states(
        means, full if wait else [True] * len(full), enter, enter if leave is None else leave, looked_for
    )
    assert states == expected
    assert machine.state == expected[-1]
    segments = machine.finish(times[-1] + 1)
    runs = slow_segments(expected, times, times[-1] + 1)
    assert [(NAMES.index(one.label), one.start, one.end) for one in segments] == runs
    for one in segments:
        inside = (times >= one.start) & (times < one.end)
        assert one.score == pytest.approx(means[inside, NAMES.index(one.label)].mean(), abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(streams(), thresholds, st.sampled_from([0.0, 0.2, 1.0]), st.sampled_from([0.0, 0.1, 0.6]))
def test_chunks_do_not_change_a_bit_and_segments_keep_the_limits(
    stream: tuple[Floats, Floats, list[bool], list[int]],
    limits: tuple[float, float | None],
    minimum: float,
    gap: float,
) -> None:
    times, means, full, cuts = stream
    options: dict[str, Any] = {"minimum_seconds": minimum, "merge_gap_seconds": gap}
    whole, chunked = SegmentMachine(NAMES, *limits, **options), SegmentMachine(NAMES, *limits, **options)
    assert run(whole, times, means, full) == run(chunked, times, means, full, cuts)
    assert whole.finish() == chunked.finish()
    assert all(one.duration >= minimum - 1e-6 for one in whole.segments)
    for one, after in pairwise(whole.segments):
        assert one.end <= after.start
        assert one.label != after.label or after.start - one.end > gap - 1e-6


def test_one_class_at_a_time_with_and_without_hysteresis() -> None:
    means = np.array([[0.4, 0.6, 0], [0.55, 0.45, 0], [0.4, 0.45, 0.15], [0.2, 0.3, 0.5], [0.4, 0.4, 0.2], [0.1] * 3])
    times, full = np.arange(6.0), [True] * 6
    assert SegmentMachine(NAMES).push(times, means, full).tolist() == [1, 0, -1, 2, -1, -1]
    assert SegmentMachine(NAMES, leave=0.2).push(times, means, full).tolist() == [1, 0, 0, 2, 2, -1]
    assert SegmentMachine(NAMES, enter=0.0).push(times, means, full).tolist() == [1, 0, 1, 2, 0, 0]  # ties: the first
    assert SegmentMachine(NAMES, leave=0.2, action="drinking").push(times, means, full).tolist() == [
        -1,
        0,
        0,
        -1,
        -1,
        -1,
    ]


def test_preset_of_the_original_is_its_loop() -> None:
    generator = np.random.default_rng(0)
    scores = np.repeat(generator.dirichlet(np.ones(2), 40), 5, axis=0)
    times = np.arange(200) / 30
    found = RollingAverage(2, window=16).push(scores, times)
    machine = SegmentMachine(["drinking", "cooking"], enter=0.0, action="drinking", computing_until_full=False)
    drawn = machine.push(found.times, found.means, found.full) == 0
    queue: list[Floats] = []
    for place, row in enumerate(scores):
        queue = [*queue, row][-16:]
        assert drawn[place] == (int(np.argmax(np.array(queue).mean(axis=0))) == 0)


@pytest.mark.parametrize(
    ("mode", "enter", "late"),
    [("trailing", 0.5, 25), ("centred", 0.5, 4), ("centred", 0.4, 0)],  # W enter / m, centred W / 2 less, or 0
)
def test_onset_after_a_change_where_one_frame_in_six_is_wrong(mode: Mode, enter: float, late: int) -> None:
    true = np.repeat([0, 1], 100)
    true[::6] = 2  # m = 5 / 6
    found = RollingAverage(3, window=42, mode=mode)
    machine = SegmentMachine(NAMES, enter, leave=0.3)
    for block in (found.push(np.eye(3)[true], np.arange(200.0)), found.finish()):
        machine.push(block.times, block.means, block.full)
    (second,) = (one for one in machine.finish() if one.label == NAMES[1])
    assert second.start - 100 == pytest.approx(late, abs=1.01)


def test_computing_until_the_window_is_full() -> None:
    means = np.full((6, 3), [0.75, 0.125, 0.125])
    full = [False, False, True, True, True, True]
    machine = SegmentMachine(NAMES)
    assert machine.push(np.arange(6.0), means, full).tolist() == [-1, -1, 0, 0, 0, 0]
    assert machine.finish(6.5) == [Segment("drinking", 2.0, 6.5, 0.75)]
    assert SegmentMachine(NAMES, computing_until_full=False).push(np.arange(6.0), means, full).tolist() == [0] * 6


@pytest.mark.parametrize(
    ("states", "options", "expected"),
    [
        ("ddd.dd", {}, "d0-3 d4-6"),
        ("ddd.dd", {"merge_gap_seconds": 1}, "d0-6"),
        ("ddd..dd", {"merge_gap_seconds": 1}, "d0-3 d5-7"),
        ("dddcdd", {"merge_gap_seconds": 1}, "d0-3 c3-4 d4-6"),
        ("dddcdd", {"minimum_seconds": 2}, "d0-3 d4-6"),
        ("dddcdd", {"minimum_seconds": 2, "merge_gap_seconds": 1}, "d0-6"),
        ("d.d.d", {"minimum_seconds": 2, "merge_gap_seconds": 1}, "d0-5"),
        ("d.d.d", {"minimum_seconds": 2}, ""),
        ("dd.c.dd.cc", {"minimum_seconds": 2, "merge_gap_seconds": 3}, "d0-7 c8-10"),
        ("....", {}, ""),
        ("", {}, ""),
    ],
)
def test_merging_and_dropping(states: str, options: dict[str, Any], expected: str) -> None:
    assert short(machine_of(states, **options)) == expected


def test_score_of_a_merged_segment_is_the_mean_over_its_frames() -> None:
    machine = SegmentMachine(NAMES, merge_gap_seconds=1)
    scores = [0.5, 0.0, 0.75, 0.75, 0.75]
    machine.push(np.arange(5.0), [[value, 0, 0] for value in scores], [True] * 5)
    assert machine.finish() == [Segment("drinking", 0.0, 5.0, 0.6875)]


def test_end_of_the_stream() -> None:
    machine = machine_of("ddd", step=0.5)
    assert machine.segments[0].end == 1.5  # the last frame lasts as long as the one before it
    assert machine.finish() == machine.segments
    with pytest.raises(ValueError, match="after the end"):
        machine.push([9.0], [[1, 0, 0]], [True])
    alone = SegmentMachine(NAMES)
    assert alone.push(2.0, [0.9, 0.1, 0.0], True).tolist() == [0]
    assert alone.finish() == [Segment("drinking", 2.0, 2.0, 0.9)]
    early = SegmentMachine(NAMES)
    early.push([0.0, 1.0], [[0.9, 0, 0]] * 2, [True] * 2)
    assert early.finish(0.5)[0].end == 1.0  # a container that states too short a length
    assert SegmentMachine(NAMES).finish() == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"action": "drinkin"}, r"no action 'drinkin'.*nearest: drinking"),
        ({"action": "xyzzy"}, "the classes: drinking, cooking, idle"),
        ({"leave": 0.6}, r"leave is 0\.6 and enter is 0\.5"),
        ({"enter": 50}, "enter is 50"),
        ({"minimum_seconds": -1}, "minimum_seconds is -1"),
        ({"class_names": ["a", "a"]}, "class_names"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        SegmentMachine(**{"class_names": NAMES, **options})


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="2 times came with 1 means"):
        SegmentMachine(NAMES).push([0, 1], [[1, 0, 0]], [True, True])
