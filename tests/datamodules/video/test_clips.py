"""Which frames make a clip."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.common.errors import ConfigurationError
from datamodules.video.clips import centred_starts, clip_indices, clip_span, key_frame_positions, random_starts


@settings(max_examples=200, deadline=None)
@given(
    frames=st.integers(1, 500),
    clips=st.integers(1, 6),
    length=st.integers(1, 40),
    interval=st.integers(1, 5),
    seed=st.integers(0, 9),
)
def test_indices_lie_in_the_video(frames: int, clips: int, length: int, interval: int, seed: int) -> None:
    for starts in (
        centred_starts(frames, clips, length, interval),
        random_starts(frames, clips, length, interval, np.random.default_rng(seed)),
    ):
        index = clip_indices(starts, frames, length, interval)
        assert index.shape == (clips, length)
        assert index.min() >= 0
        assert index.max() < frames
        if frames >= clip_span(length, interval):  # no clip needs to begin anew
            assert (np.diff(index, axis=1) == interval).all()
        else:
            assert (starts == 0).all()


def test_centres_of_equal_intervals_are_symmetric() -> None:
    starts = centred_starts(300, 3, 32, 2)
    last = 300 - clip_span(32, 2)
    assert starts.tolist() == [39, 119, 198]
    assert abs((last - starts[-1]) - starts[0]) <= 1


def test_a_short_video_begins_anew() -> None:
    index = clip_indices(centred_starts(98, 1, 32, 4), 98, 32, 4)[0]
    assert index[24] == 96
    assert index[25] == 2  # 100 modulo 98
    assert (clip_indices(centred_starts(1, 3, 32, 2), 1, 32, 2) == 0).all()


def test_random_starts_reach_both_ends() -> None:
    generator = np.random.default_rng(0)
    starts = random_starts(12, 500, 5, 2, generator)
    assert set(starts.tolist()) == {0, 1, 2, 3}


def test_key_frames() -> None:
    assert key_frame_positions("official", 32, 4).tolist() == [0, 7, 15, 23]
    assert key_frame_positions("segment_centers", 8, 2).tolist() == [2, 6]
    assert key_frame_positions("segment_centers", 3, 3).tolist() == [0, 1, 2]
    for layout, length, count in (("official", 32, 3), ("official", 3, 4), ("segment_centers", 4, 5)):
        with pytest.raises(ConfigurationError):
            key_frame_positions(layout, length, count)  # type: ignore[arg-type]
