"""Measures of segments, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_modules.action.segments.flicker import (
    SwitchCounter,
    action_or_other,
    agreement,
    held_states,
    switches_per_minute,
)
from lightning_modules.action.segments.machine import Segment
from lightning_modules.action.segments.measures import (
    boundary_errors,
    edit_score,
    frame_accuracy,
    keep_labels,
    segment_average_precision,
    segment_f1,
    segment_map,
    segment_report,
    temporal_iou,
    true_states,
)

TRUE = [Segment("a", 0, 10), Segment("b", 10, 20), Segment("a", 20, 30)]

lists = st.lists(
    st.builds(
        lambda label, start, length, score: Segment(label, start, start + length, score),
        st.sampled_from("abc"),
        st.integers(0, 20).map(float),
        st.integers(1, 10).map(float),
        st.integers(0, 10).map(lambda value: value / 10),
    ),
    max_size=8,
)


def test_segments_that_are_right_score_one() -> None:
    report = segment_report(TRUE, TRUE)
    ones = ("segment_f1_10", "segment_f1_25", "segment_f1_50", "edit_score", "segment_map", "found_share")
    assert report == {**dict.fromkeys(ones, 1.0), "onset_error": 0.0, "boundary_error": 0.0}


def test_nothing_to_find_and_nothing_found() -> None:
    assert all(math.isnan(value) for value in segment_report([], []).values())
    missed = segment_report([], TRUE)
    assert missed["segment_f1_50"] == missed["edit_score"] == missed["segment_map"] == missed["found_share"] == 0
    assert math.isnan(missed["onset_error"])
    invented = segment_report(TRUE, [])
    assert invented["segment_f1_50"] == invented["edit_score"] == 0
    assert math.isnan(invented["segment_map"])


@pytest.mark.parametrize(("iou", "expected"), [(0.10, 1.0), (0.25, 4 / 6), (0.50, 4 / 6), (0.51, 2 / 6)])
def test_f1_over_thresholds(iou: float, expected: float) -> None:
    found = [Segment("a", 0, 10), Segment("b", 10, 15), Segment("a", 28, 30)]  # IoU 1, 0.5 and 0.2
    assert segment_f1(found, TRUE, iou) == pytest.approx(expected)


def test_f1_counts_a_broken_segment_once_and_labels_matter() -> None:
    broken = [Segment("a", 0, 6), Segment("a", 6, 10), Segment("b", 10, 20), Segment("a", 20, 30)]
    assert segment_f1(broken, TRUE, 0.10) == pytest.approx(6 / 7)
    assert segment_f1([Segment("c", 0, 10)], TRUE) == 0
    both = segment_f1({"one": TRUE, "two": []}, {"one": TRUE, "three": TRUE[:1]})
    assert both == pytest.approx(6 / 7)  # counts of all videos together
    with pytest.raises(ValueError, match="give both alike"):
        segment_f1({"one": TRUE}, TRUE)


def test_edit_score_counts_order_and_not_times() -> None:
    late = [Segment(one.label, one.start + 5, one.end + 5) for one in TRUE]
    assert edit_score(late, TRUE) == 1
    assert edit_score([TRUE[0], TRUE[2]], TRUE) == pytest.approx(2 / 3)  # one insertion
    flicker = [Segment(label, place, place + 1) for place, label in enumerate("ababab")]
    assert edit_score(flicker, TRUE) == pytest.approx(0.5)  # three deletions of six
    assert edit_score({"one": TRUE, "two": [], "three": []}, {"one": TRUE, "two": TRUE}) == pytest.approx(0.5)


def test_boundaries() -> None:
    found = [Segment("a", 1, 9), Segment("b", 10.5, 20), Segment("b", 12, 13), Segment("c", 20, 30)]
    errors = boundary_errors(found, TRUE)
    np.testing.assert_array_equal(errors, [[1, -1], [0.5, 0], [np.nan, np.nan]])
    report = segment_report(found, TRUE)
    assert report["onset_error"] == 0.75
    assert report["boundary_error"] == 0.75  # of 1, 1, 0.5 and 0
    assert report["found_share"] == pytest.approx(2 / 3)
    two = boundary_errors({"x": found[:1], "y": []}, {"x": TRUE[:1], "y": TRUE[:1]})
    np.testing.assert_array_equal(two, [[1, -1], [np.nan, np.nan]])


def test_each_segment_is_paired_once_longest_overlap_first() -> None:
    found = [Segment("a", 0, 14)]
    true = [Segment("a", 0, 4), Segment("a", 5, 15)]
    np.testing.assert_array_equal(boundary_errors(found, true), [[np.nan, np.nan], [-5, -1]])


def test_average_precision_by_hand() -> None:
    true = {"x": [Segment("a", 0, 10), Segment("a", 20, 30)], "y": [Segment("a", 0, 10)]}
    found = {
        "x": [Segment("a", 0, 10, 0.9), Segment("a", 1, 10, 0.8), Segment("a", 20, 28, 0.5)],
        "y": [Segment("a", 50, 60, 0.7)],
    }
    # ranked: right, double, wrong, right: precision 1, 1/2, 1/3, 1/2 at recall 1/3, 1/3, 1/3, 2/3
    assert segment_average_precision(found, true, "a") == pytest.approx((1 + 0.5) / 3)
    assert segment_average_precision(found, true, "a", 0.85) == pytest.approx(1 / 3)
    assert math.isnan(segment_average_precision(found, true, "b"))


def test_a_taken_segment_leaves_the_next_best() -> None:
    true = [Segment("a", 0, 10), Segment("a", 4, 14)]
    found = [Segment("a", 1, 11, 0.9), Segment("a", 0, 11, 0.8)]
    assert segment_average_precision(found, true, "a", 0.5) == 1  # the second takes what is free, IoU 7 / 14
    assert segment_average_precision(found, true, "a", 0.51) == pytest.approx(0.5)


def test_map_over_thresholds_and_classes() -> None:
    found = [Segment("a", 0, 7.25, 0.9)]  # right at .50, .55, .60, .65 and .70
    assert segment_map(found, [Segment("a", 0, 10)]) == pytest.approx(0.5)
    assert segment_map(found, [Segment("a", 0, 10), Segment("b", 10, 20)]) == pytest.approx(0.25)
    assert segment_map([*found, Segment("c", 0, 1, 1.0)], [Segment("a", 0, 10)]) == pytest.approx(0.5)


@settings(max_examples=80, deadline=None)
@given(lists, lists)
def test_measures_keep_their_range(found: list[Segment], true: list[Segment]) -> None:
    report = segment_report(found, true)
    for name, value in report.items():
        assert math.isnan(value) or value >= 0
        assert math.isnan(value) or value <= 1 or name.endswith("error")
    values = [report[f"segment_f1_{iou}"] for iou in (10, 25, 50)]
    assert values == sorted(values, reverse=True) or all(math.isnan(value) for value in values)
    assert report["edit_score"] == edit_score(true, found) or not (found or true)
    overlap = temporal_iou(found, true)
    assert overlap.shape == (len(found), len(true))
    np.testing.assert_array_equal(overlap, temporal_iou(true, found).T)


def test_frames() -> None:
    assert frame_accuracy([0, 1, -1, 1], [0, 1, 1, -1]) == pytest.approx(2 / 3)
    assert frame_accuracy([0, 1, -1, -1], [0, 1, 1, -1], count_unlabelled=True) == 0.75
    assert math.isnan(frame_accuracy([0], [-1]))
    assert math.isnan(frame_accuracy([], []))
    with pytest.raises(ValueError, match="2 states cannot be compared with 1"):
        frame_accuracy([0, 1], [0])
    states = true_states(TRUE, np.arange(0, 32, 5), ["b", "a"])
    assert states.tolist() == [1, 1, 0, 0, 1, 1, -1]
    assert true_states(TRUE, [0, 12], ["b"]).tolist() == [-1, 0]
    assert [one.start for one in keep_labels(TRUE, ["a"])] == [0, 20]


@pytest.mark.parametrize(
    ("states", "switches"),
    [
        ([0, -1, 1], 1),
        ([0, -1, -1, 0], 0),
        ([-1, -1, 0, 0], 0),  # before the first class there is nothing to switch from
        ([1, 0, -1], 1),
        ([-1, -1, -1], 0),
        ([0, 1, -1, 0, -1, 2], 3),
    ],
)
def test_a_switch_is_from_class_to_class(states: list[int], switches: int) -> None:
    times = np.arange(len(states), dtype=np.float64)
    for block in range(1, len(states) + 1):
        counter = SwitchCounter()
        for start in range(0, len(states), block):
            part = slice(start, start + block)
            counter.add(np.array(states[part]), times[part])
        assert counter.switches == switches, block
    assert switches_per_minute(states, times) == pytest.approx(60 * switches / (len(states) - 1))


def test_the_action_or_another() -> None:
    raw, states = np.array([2, 2, 0, 1, 2, -1]), np.array([-1, 2, -1, -1, 2, 2])
    assert action_or_other(raw, 2, raw != -1).tolist() == [1, 1, 0, 0, 1, -1]
    assert action_or_other(states, 2, [False, *[True] * 5]).tolist() == [-1, 1, 0, 0, 1, 1]
    assert action_or_other([0, -1], 0).tolist() == [1, 0]


def test_flicker() -> None:
    assert switches_per_minute([0, 1, 0, -1, 0], [0, 1, 2, 3, 30]) == 4.0
    assert switches_per_minute([1] * 5, np.arange(5)) == 0
    assert math.isnan(switches_per_minute([1], [0.0]))
    assert math.isnan(switches_per_minute([], []))
    with pytest.raises(ValueError, match="1 states came with 2 times"):
        switches_per_minute([1], [0, 1])
    assert agreement([1, 2, 3, 4], [1, 2, 3, 5]) == 0.75
    assert math.isnan(agreement([], []))
    with pytest.raises(ValueError, match="4 states cannot be compared"):
        agreement([1, 2, 3, 4], [1])
    assert held_states([1.0, 2.0], [0, 1], [0.5, 1.0, 1.9, 2.0, 99.0]).tolist() == [-1, 0, 0, 1, 1]
    assert held_states([], [], [0.5], before=2).tolist() == [2]
