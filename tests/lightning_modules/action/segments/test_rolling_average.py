"""Means over sliding windows: the deque's means, at any chunking, length and frame rate."""

from __future__ import annotations

import pickle
from collections import deque
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from datamodules.common.errors import ConfigurationError
from lightning_modules.action.segments.rolling_average import Mode, RollingAverage, RollingMeans

Floats = NDArray[np.float64]
MODES: tuple[Mode, ...] = ("trailing", "centred", "exponential")


def deque_means(scores: Floats, window: int) -> Floats:
    """The loop of the original script."""
    queue: deque[Floats] = deque(maxlen=window)
    means = []
    for row in scores:
        queue.append(row)
        means.append(np.array(queue).mean(axis=0))
    return np.array(means).reshape(scores.shape)


def run(average: RollingAverage, scores: Floats, times: Floats, cuts: list[int] | None = None) -> RollingMeans:
    """Push the frames, cut into chunks, and join the results."""
    edges = [0, *(cuts or []), len(times)]
    parts = [average.push(scores[a:b], times[a:b]) for a, b in pairwise(edges)]
    parts.append(average.finish())
    return RollingMeans(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def frames(count: int, classes: int = 3, fps: float = 30.0, seed: int = 0) -> tuple[Floats, Floats]:
    generator = np.random.default_rng(seed)
    scores = generator.dirichlet(np.ones(classes), count).astype(np.float32).astype(np.float64)
    return scores.reshape(count, classes), np.arange(count) / fps


@st.composite
def streams(draw: st.DrawFn) -> tuple[Floats, Floats, list[int]]:
    """Scores, some of them not finite, at irregular times, and where the chunks are cut."""
    count = draw(st.integers(0, 60))
    scores, _ = frames(count, draw(st.integers(1, 4)), seed=draw(st.integers(0, 1000)))
    for place in draw(st.lists(st.integers(0, max(count - 1, 0)), max_size=8)) if count else []:
        scores[place, 0] = draw(st.sampled_from([np.nan, np.inf]))
    steps = draw(st.lists(st.sampled_from([0.0, 0.01, 1 / 30, 0.04, 1.5]), min_size=count, max_size=count))
    return scores, np.cumsum(steps), sorted(draw(st.lists(st.integers(0, count), max_size=8)))


lengths = st.one_of(
    st.fixed_dictionaries({"window": st.integers(1, 25)}),
    st.fixed_dictionaries({"seconds": st.sampled_from([0.001, 0.04, 0.2, 0.5, 3.0])}),
)


@settings(max_examples=60, deadline=None)
@given(streams(), st.integers(1, 25))
def test_trailing_is_the_deque_of_the_original(stream: tuple[Floats, Floats, list[int]], window: int) -> None:
    scores, times, cuts = stream
    found = run(RollingAverage(scores.shape[1], window=window), scores, times, cuts)
    good = np.isfinite(scores).all(axis=1)
    np.testing.assert_allclose(found.means[good], deque_means(scores[good], window), rtol=0, atol=1e-13)
    np.testing.assert_array_equal(found.counts, np.minimum(np.cumsum(good), window))
    np.testing.assert_array_equal(found.full, np.cumsum(good) >= window)
    np.testing.assert_array_equal(found.times, times)


@settings(max_examples=60, deadline=None)
@given(streams(), lengths, st.sampled_from(MODES))
def test_chunks_do_not_change_a_bit(
    stream: tuple[Floats, Floats, list[int]], length: dict[str, Any], mode: Mode
) -> None:
    scores, times, cuts = stream
    whole, chunked = (
        RollingAverage(scores.shape[1], mode=mode, **length),
        RollingAverage(scores.shape[1], mode=mode, **length),
    )
    first, second = run(whole, scores, times), run(chunked, scores, times, cuts)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(first.times) == len(times) == whole.frames == chunked.frames
    assert whole.skipped == chunked.skipped == int((~np.isfinite(scores).all(axis=1)).sum())


def window_members(
    times: Floats, good: NDArray[np.bool_], place: int, length: dict[str, Any], mode: Mode
) -> NDArray[np.int64]:
    """Frames of one window, straight from the definition."""
    numbers: NDArray[np.int64] = np.flatnonzero(good)
    if "seconds" in length:
        away, seconds = times[numbers] - times[place], length["seconds"]
        if mode == "trailing":
            return np.compress((away > -seconds + 1e-6) & (numbers <= place), numbers)
        return np.compress((away >= -seconds / 2 - 1e-6) & (away < seconds / 2 - 1e-6), numbers)
    before, window = int(good[:place].sum()), length["window"]
    if mode == "trailing":
        return numbers[: before + int(good[place])][-window:]
    behind = before + int(good[place]) + (window - 1) // 2
    return numbers[max(before - window // 2, 0) : behind]


@settings(max_examples=60, deadline=None)
@given(streams(), lengths, st.sampled_from(MODES[:2]))
def test_windows_hold_the_frames_of_their_definition(
    stream: tuple[Floats, Floats, list[int]], length: dict[str, Any], mode: Mode
) -> None:
    scores, times, cuts = stream
    good = np.asarray(np.isfinite(scores).all(axis=1))
    found = run(RollingAverage(scores.shape[1], mode=mode, **length), scores, times, cuts)
    for place in range(len(times)):
        members = window_members(times, good, place, length, mode)
        assert found.counts[place] == len(members)
        if len(members):
            np.testing.assert_allclose(found.means[place], scores[members].mean(axis=0), rtol=0, atol=1e-13)
        else:
            assert np.isnan(found.means[place]).all()
            assert not found.full[place]


@pytest.mark.parametrize("mode", MODES[:2])
@pytest.mark.parametrize(("fps", "window"), [(30.0, 60), (29.97, 59), (25.0, 50), (12.5, 2), (10.0, 21)])
def test_frames_and_seconds_are_alike_at_a_steady_rate(mode: Mode, fps: float, window: int) -> None:
    scores, times = frames(200, fps=fps)
    by_frames = run(RollingAverage(3, window=window, mode=mode), scores, times)
    by_seconds = run(RollingAverage(3, seconds=window / fps, mode=mode), scores, times)
    np.testing.assert_allclose(by_frames.means, by_seconds.means, rtol=0, atol=1e-13)
    if mode == "trailing":
        np.testing.assert_array_equal(by_frames.counts, by_seconds.counts)
        np.testing.assert_array_equal(by_frames.full, by_seconds.full)
        assert by_frames.full.tolist() == [place >= window - 1 for place in range(200)]


def test_exponential_weights_shrink_by_frame_or_by_time() -> None:
    scores, times = frames(50)
    place = np.arange(50)
    found = run(RollingAverage(3, window=9, mode="exponential"), scores, times)
    weights = 0.8 ** (49 - place)  # (9 - 1) / (9 + 1)
    np.testing.assert_allclose(found.means[-1], weights @ scores / weights.sum(), atol=1e-13)
    np.testing.assert_allclose(found.means[0], scores[0], atol=1e-15)
    late = times + np.where(place > 20, 5.0, 0.0)  # a pause: what was before it hardly counts
    found = run(RollingAverage(3, seconds=0.5, mode="exponential"), scores, late)
    weights = np.exp(-(late[-1] - late) / 0.25)
    np.testing.assert_allclose(found.means[-1], weights @ scores / weights.sum(), atol=1e-13)
    np.testing.assert_allclose(found.means[21], scores[21], atol=1e-6)


@pytest.mark.parametrize("mode", ["trailing", "exponential"])
def test_mean_age_of_the_weights_is_that_of_the_window(mode: Mode) -> None:
    ramp = np.arange(4000.0)[:, None] / 4000
    found = run(RollingAverage(1, window=128, mode=mode), ramp, np.arange(4000) / 30)
    assert (ramp[-1] - found.means[-1]) * 4000 == pytest.approx(63.5, abs=1e-6)


def test_centred_has_no_lag_and_trailing_half_a_window() -> None:
    scores = np.zeros((400, 2))
    scores[:200, 0] = scores[200:, 1] = 1
    times = np.arange(400) / 30
    centred = run(RollingAverage(2, window=128, mode="centred"), scores, times)
    trailing = run(RollingAverage(2, window=128), scores, times)
    assert np.argmax(centred.means[:, 1] >= 0.5) == pytest.approx(200, abs=1)
    assert np.argmax(trailing.means[:, 1] >= 0.5) == 263
    assert centred.full.all()


def test_no_drift_over_a_million_frames() -> None:
    generator = np.random.default_rng(0)
    average = RollingAverage(2, window=128)
    tail = np.empty((0, 2))
    worst = 0.0
    for block in range(200):
        scores = generator.random((5000, 2)) ** 8  # many orders of magnitude
        found = average.push(scores, (block * 5000 + np.arange(5000)) / 30)
        tail = np.concatenate([tail, scores])[-128:]
        worst = max(worst, float(np.abs(found.means[-1] - tail.mean(axis=0)).max()))
    assert average.frames == 1_000_000
    assert worst < 1e-15
    assert average.push(np.zeros((128, 2)), np.full(128, 1e6)).means[-1].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("length", [{"window": 50}, {"seconds": 2.0}])
@pytest.mark.parametrize("mode", MODES[:2])
def test_memory_stays_while_the_stream_goes_on(mode: Mode, length: dict[str, Any]) -> None:
    average = RollingAverage(3, mode=mode, **length)
    for block in range(100):
        average.push(*_block(block))
    before = len(pickle.dumps(average))
    for block in range(100, 400):
        average.push(*_block(block))
    assert len(pickle.dumps(average)) == pytest.approx(before, rel=0.1)


def _block(number: int) -> tuple[Floats, Floats]:
    return np.full((64, 3), 0.5), (number * 64 + np.arange(64)) / 30


def test_frames_without_a_score_take_the_mean_of_their_neighbours() -> None:
    scores, times = frames(30)
    holes = scores.copy()
    holes[[0, 7, 8, 20]] = np.nan
    average = RollingAverage(3, window=5)
    found = run(average, holes, times)
    assert average.skipped == 4
    assert np.isnan(found.means[0]).all()
    np.testing.assert_array_equal(found.means[8], found.means[6])
    good = np.setdiff1d(np.arange(30), [0, 7, 8, 20])
    np.testing.assert_allclose(found.means[good], deque_means(scores[good], 5), atol=1e-14)


def test_exponential_weights_pass_over_frames_without_a_score() -> None:
    scores, times = frames(40)
    good = np.arange(40) % 7 > 1
    holes = np.where(good[:, None], scores, np.nan)
    for length in ({"window": 9}, {"seconds": 0.3}):
        found = run(RollingAverage(3, mode="exponential", **length), holes, times)
        without = run(RollingAverage(3, mode="exponential", **length), scores[good], times[good])
        np.testing.assert_allclose(found.means[good], without.means, rtol=0, atol=1e-14)
        assert np.isnan(found.means[:2]).all()
        np.testing.assert_allclose(found.means[7:9], found.means[[6, 6]], rtol=0, atol=1e-14)
        np.testing.assert_array_equal(found.counts, np.cumsum(good))


def test_a_window_longer_than_the_stream_is_never_full() -> None:
    scores, times = frames(20)
    assert not run(RollingAverage(3, window=64), scores, times).full.any()
    assert not run(RollingAverage(3, seconds=2.0), scores, times).full.any()
    assert not run(RollingAverage(3, window=64, mode="centred"), scores, times).full.any()
    assert run(RollingAverage(3, window=40, mode="centred"), scores, times).full.all()
    assert not run(RollingAverage(3, seconds=2.0, mode="centred"), scores, times).full.any()
    assert run(RollingAverage(3, seconds=4 / 3, mode="centred"), scores, times).full.all()


def test_no_frame_one_frame_and_a_frame_at_a_time() -> None:
    average = RollingAverage(2, window=3)
    assert average.push(np.empty((0, 2)), np.empty(0)).means.shape == (0, 2)
    assert average.push([], []).means.shape == (0, 2)
    assert average.finish().means.shape == (0, 2)
    found = average.push([0.25, 0.75], 1.5)
    assert (found.means.tolist(), found.times.tolist(), found.full.tolist()) == ([[0.25, 0.75]], [1.5], [False])
    centred = RollingAverage(2, seconds=2.0, mode="centred")
    assert len(centred.push([0.25, 0.75], 0.0).times) == 0
    assert centred.finish().means.tolist() == [[0.25, 0.75]]
    assert len(centred.finish().times) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "window is None and seconds is None"),
        ({"window": 3, "seconds": 2.0}, "window is 3 and seconds is 2"),
        ({"window": 0}, "window is 0"),
        ({"seconds": float("nan")}, "seconds is nan"),
        ({"num_classes": 0, "window": 1}, "num_classes is 0"),
        ({"window": 1, "mode": "middle"}, "mode is 'middle'"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        RollingAverage(**{"num_classes": 2, **options})


def test_bad_input_is_named() -> None:
    average = RollingAverage(2, window=3)
    with pytest.raises(ValueError, match=r"must be \(T, 2\)"):
        average.push(np.zeros((4, 3)), np.arange(4))
    average.push(np.zeros((4, 2)), np.arange(4))
    with pytest.raises(ValueError, match=r"Frame 5 is at 3\.5 s after one at 4\.0 s"):
        average.push(np.zeros((2, 2)), [4.0, 3.5])
    with pytest.raises(ValueError, match="Frame 4 is at nan s"):
        average.push(np.zeros((1, 2)), [np.nan])


def test_a_stream_without_scores_does_not_wait_for_them() -> None:
    """Pictures wait for their means, so that a network that gives NaN from some frame on must not fill the memory."""
    window, count = 6, 400
    scores = np.full((count, 2), np.nan)
    scores[:10], scores[300:] = (0.75, 0.25), (0.25, 0.75)
    found = []
    for block in (1, 7, 400):
        average = RollingAverage(2, window=window, mode="centred")
        parts = []
        for start in range(0, count, block):
            parts.append(average.push(scores[start : start + block], np.arange(start, min(count, start + block))))
            assert sum(len(part.times) for part in parts) >= start + block - 64 - window
        parts.append(average.finish())
        found.append([np.concatenate(column) for column in zip(*parts, strict=True)])
    for other in found[1:]:
        for first, second in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(first, second)
    means = found[0][1]
    assert len(means) == count
    np.testing.assert_array_equal(means[100], (0.75, 0.25))  # of the last scores before it
    assert found[0][2][100] == window // 2
    np.testing.assert_array_equal(means[320], (0.25, 0.75))
