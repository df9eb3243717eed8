"""Files of segments and frames: read back, within the video, whole after a stop, in any script."""

from __future__ import annotations

import csv
import json
import math
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.common.errors import LabelError
from lightning_modules.action.segments.files import (
    fit_segments,
    read_activitynet,
    read_segment_csv,
    write_activitynet,
    write_segment_csv,
    write_srt,
    write_vtt,
)
from lightning_modules.action.segments.frame_files import FrameScoreWriter, TimeLabelWriter
from lightning_modules.action.segments.machine import Segment

SEGMENTS = [Segment("飲む", 0.0, 1.25, 0.75), Segment("cooking, <hot> & «été»", 3661.5, 3662.75, 0.5)]

segment_lists = st.lists(
    st.builds(
        lambda label, start, length, score: Segment(label, start, start + length, score),
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=12),
        st.integers(0, 10**6).map(lambda value: value / 1000),
        st.integers(0, 10**5).map(lambda value: value / 1000),
        st.integers(0, 1000).map(lambda value: value / 1000),
    ),
    max_size=6,
)


def times_of(text: str) -> list[int]:
    """Every clock of a file of subtitles in milliseconds."""
    clocks = re.findall(r"(\d+):(\d\d):(\d\d)[.,](\d{3})", text)
    return [((int(h) * 60 + int(m)) * 60 + int(s)) * 1000 + int(rest) for h, m, s, rest in clocks]


def test_activitynet_results_and_truth(tmp_path: Path) -> None:
    path = tmp_path / "new" / "segments.json"
    write_activitynet(path, {"v_été.mp4": SEGMENTS, "empty.mp4": []})
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["results"]["v_été.mp4"][0] == {"label": "飲む", "score": 0.75, "segment": [0.0, 1.25]}
    assert content["results"]["empty.mp4"] == []
    assert "飲む" in path.read_text(encoding="utf-8")
    assert read_activitynet(path).segments == {"v_été.mp4": SEGMENTS, "empty.mp4": []}
    durations = {"v_été.mp4": 3662.0}
    write_activitynet(path, {"v_été.mp4": SEGMENTS}, kind="truth", durations=durations, subset="testing")
    truth = read_activitynet(path)
    assert truth.segments["v_été.mp4"][1] == Segment(SEGMENTS[1].label, 3661.5, 3662.0, 1.0)
    assert (truth.durations, truth.subsets) == (durations, {"v_été.mp4": "testing"})


@settings(max_examples=15, deadline=None)
@given(segment_lists)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, segments: list[Segment]) -> None:
    folder = tmp_path_factory.mktemp("files", numbered=True)
    ordered = sorted(segments, key=lambda one: (one.start, one.end))
    write_activitynet(folder / "s.json", {"video": segments})
    write_segment_csv(folder / "s.csv", segments)
    for found in (read_activitynet(folder / "s.json").segments["video"], read_segment_csv(folder / "s.csv")):
        assert [one.label for one in found] == [one.label for one in ordered]
        values = [[one.start, one.end, one.score] for one in found]
        np.testing.assert_allclose(
            np.reshape(values, (-1, 3)), np.reshape([[o.start, o.end, o.score] for o in ordered], (-1, 3)), atol=1e-6
        )
    for write, name in ((write_srt, "s.srt"), (write_vtt, "s.vtt")):
        write(folder / name, segments)
        text = (folder / name).read_text(encoding="utf-8")
        assert text.count(" --> ") == len(segments)
        clocks = times_of("\n".join(line for line in text.split("\n") if " --> " in line))
        assert clocks[::2] == sorted(clocks[::2])
        assert all(end > start for start, end in zip(clocks[::2], clocks[1::2], strict=True))


def test_subtitles_to_the_letter(tmp_path: Path) -> None:
    write_srt(tmp_path / "a.srt", SEGMENTS)
    assert (tmp_path / "a.srt").read_bytes().decode() == (
        "1\n00:00:00,000 --> 00:00:01,250\n飲む\n\n2\n01:01:01,500 --> 01:01:02,750\ncooking, <hot> & «été»\n"
    )
    write_vtt(tmp_path / "a.vtt", SEGMENTS)
    assert (tmp_path / "a.vtt").read_bytes().decode() == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.250\n飲む\n\n"
        "01:01:01.500 --> 01:01:02.750\ncooking, &lt;hot&gt; &amp; «été»\n"
    )
    write_srt(tmp_path / "b.srt", [Segment("a\n\n2\n --> b", 0, 0)])
    assert (tmp_path / "b.srt").read_text() == "1\n00:00:00,000 --> 00:00:00,001\na 2 -> b\n"
    write_srt(tmp_path / "c.srt", [])
    assert (tmp_path / "c.srt").read_text() == ""
    write_vtt(tmp_path / "c.vtt", [])
    assert (tmp_path / "c.vtt").read_text() == "WEBVTT\n"


def test_segments_are_cut_to_the_video() -> None:
    segments = [Segment("b", 5, 20), Segment("a", -0.1, 5), Segment("c", 12, 13)]
    assert fit_segments(segments, 10) == [Segment("a", 0, 5), Segment("b", 5, 10)]
    for unknown in (None, 0.0, math.nan):
        assert [one.label for one in fit_segments(segments, unknown)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", 'neither "database" nor "results"'),
        ('{"results": []}', '"results" holds'),
        ('{"results": {"v": {}}}', "video 'v' holds"),
        ('{"results": {"v": [{"label": "a", "segment": [3, 2]}]}}', r"video 'v', entry 1: .*must not be before"),
        ('{"results": {"v": [{"label": "a", "segment": [1, NaN]}]}}', "entry 1"),
        ('{"results": {"v": [{"label": "a"}]}}', r"entry 1: .*'segment'"),
        ('{"results": {"v": [{"label": "a", "segment": [1]}]}}', "entry 1"),
        ('{"results": {"v": [{"label": 3, "segment": [1, 2]}]}}', "the label is 3"),
        ('{"results": {"v": ["a"]}}', "entry 1"),
        ('{"database": {"v": 3}}', "video 'v' holds '3'"),
    ],
)
def test_malformed_labels_are_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "truth.json"
    path.write_text(content)
    with pytest.raises(LabelError, match=f"truth.json.*{message}"):
        read_activitynet(path)


def test_missing_and_malformed_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"none\.json: cannot be read"):
        read_activitynet(tmp_path / "none.json")
    with pytest.raises(LabelError, match=r"none\.csv: there is no such list"):
        read_segment_csv(tmp_path / "none.csv")
    path = tmp_path / "s.csv"
    path.write_text("label,start,end\na,0,1\nb,2,x\n")
    with pytest.raises(LabelError, match=r"s\.csv, line 3: "):
        read_segment_csv(path)
    path.write_text("name,start,end\na,0,1\n")
    with pytest.raises(LabelError, match=r"s\.csv, line 1: the header lacks label"):
        read_segment_csv(path)
    path.write_text("label,start,end\na,0\n")
    with pytest.raises(LabelError, match=r"s\.csv, line 2: "):
        read_segment_csv(path)


def test_frame_rows_are_whole_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.frames.csv"
    writer = FrameScoreWriter(path, ["été", "a,b"])
    writer.write([0.0, 1 / 30], [[np.nan, np.nan], [0.25, 0.75]], [-1, 1])
    with path.open(encoding="utf-8", newline="") as stream:  # while it is still open
        assert list(csv.reader(stream)) == [
            ["time", "state", "mean:été", "mean:a,b"],
            ["0.000000", "computing...", "", ""],
            ["0.033333", "a,b", "0.25000", "0.75000"],
        ]
    writer.write(np.empty(0), np.empty((0, 2)), np.empty(0, np.int64))
    writer.close()
    writer.close()
    assert len(path.read_text(encoding="utf-8").splitlines()) == 3


def test_time_label_as_the_original_wrote_it(tmp_path: Path) -> None:
    path = tmp_path / "timeLabel.json"
    with TimeLabelWriter(path, "drinking") as writer:
        writer.write([0.0, 1 / 30], [0.5, 0.987654321])
    assert path.read_text() == '{"drinking": [[0.0, 0.5], [33.333333, 0.98765]]}\n'
    TimeLabelWriter(path, "été").close()
    assert json.loads(path.read_text(encoding="utf-8")) == {"été": []}


def test_time_label_replaces_the_old_file_only_when_whole(tmp_path: Path) -> None:
    path = tmp_path / "timeLabel.json"
    path.write_text("old")
    writer = TimeLabelWriter(path, "drinking")
    writer.write([0.5], [0.75])
    assert path.read_text() == "old"
    writer.write([0.75, 1.0], [0.5, 0.25])
    writer.close()
    writer.close()
    assert json.loads(path.read_text()) == {"drinking": [[500.0, 0.75], [750.0, 0.5], [1000.0, 0.25]]}
    assert [one.name for one in tmp_path.iterdir()] == ["timeLabel.json"]
    with suppress(KeyboardInterrupt), TimeLabelWriter(path, "drinking") as stopped:
        stopped.write([2.0], [0.5])
        raise KeyboardInterrupt
    assert json.loads(path.read_text()) == {"drinking": [[2000.0, 0.5]]}  # valid after a stop
