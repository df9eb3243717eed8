"""Runs that are stopped, repeated, or share a folder."""

from __future__ import annotations

import logging
import math
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from callbacks.action import segment_writer
from callbacks.action.frame_states import SegmentSettings
from callbacks.action.picture_annotator import PictureAnnotator
from callbacks.action.segment_writer import chunk_of
from callbacks.action.source_annotation import Outputs, SourceAnnotation
from callbacks.action.source_names import free_name, plain_name
from callbacks.action.summary import append_result, read_results
from datamodules.action.batch import StreamBatch, StreamInfo
from lightning_modules.action.segments.files import read_activitynet, read_segment_csv
from tests.tables import csv_rows

from .helpers import NAMES, PART, ColourClassifier, annotate, pictures


def test_a_second_run_takes_what_is_done_and_leaves_its_own_videos_alone(clips: Path, tmp_path: Path) -> None:
    source = tmp_path / "videos"
    shutil.copytree(clips / "videos", source)
    output = source / "out"  # among the sources
    annotate(source, output, video=True)
    again = ColourClassifier()
    summary = annotate(source, output, again, video=True)
    assert again.seen == 0
    assert [one["name"] for one in summary["sources"]] == ["kitchen", "кухня"]
    shutil.copy(source / "кухня.mp4", source / "kitchen.mp4")
    changed = ColourClassifier()
    annotate(source, output, changed, video=True)
    assert changed.seen == 3 * PART
    assert len(read_activitynet(output / "segments.json").segments["kitchen"]) == 3
    other = ColourClassifier()
    annotate(source, output, other, video=True, enter=0.6)
    assert other.seen == 6 * PART


def test_a_result_whose_file_was_removed_is_made_again(clips: Path, tmp_path: Path) -> None:
    annotate(clips / "videos", tmp_path)
    (tmp_path / "kitchen.srt").unlink()
    module = ColourClassifier()
    annotate(clips / "videos", tmp_path, module)
    assert module.seen == 4 * PART
    assert (tmp_path / "kitchen.srt").is_file()


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), RuntimeError("the network failed")])
def test_a_stopped_run_leaves_valid_files_and_goes_on(clips: Path, tmp_path: Path, stop: BaseException) -> None:
    module = ColourClassifier()
    module.fails_at = {45: stop}
    with pytest.raises((RuntimeError, SystemExit)):
        annotate(clips / "videos", tmp_path, module, {"chunk_frames": 10}, video=True, figures=True)
    first = read_results(tmp_path)[str(clips / "videos" / "kitchen.mp4")]
    assert first.status == ("stopped" if isinstance(stop, KeyboardInterrupt) else "error")
    assert len(pictures(tmp_path / "kitchen.mp4")) == 40
    assert len(csv_rows(tmp_path / "kitchen.frames.csv")) == 40
    assert read_segment_csv(tmp_path / "kitchen.segments.csv")[-1].end == pytest.approx(2.0)
    assert (tmp_path / "kitchen.png").is_file()
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    summary = annotate(clips / "videos", tmp_path, video=True)
    assert [one["status"] for one in summary["sources"]] == ["ok", "ok"]


@pytest.mark.parametrize("options", [{}, {"enter": 0.6}])
def test_files_of_one_name_from_several_folders_share_an_output(
    clips: Path, tmp_path: Path, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    for number, name in enumerate(("kitchen", "кухня")):
        (tmp_path / str(number)).mkdir()
        shutil.copy(clips / "videos" / f"{name}.mp4", tmp_path / str(number) / "clip.mp4")
    annotate(tmp_path / "0", tmp_path / "out")
    first = (tmp_path / "out" / "clip.frames.csv").read_bytes()
    summary = annotate(tmp_path / "1", tmp_path / "out", **options)
    assert [(one["name"], one["segments"]) for one in summary["sources"]] == [("clip", 4), ("clip_2", 3)]
    assert (tmp_path / "out" / "clip.frames.csv").read_bytes() == first
    found = read_activitynet(tmp_path / "out" / "segments.json").segments
    assert {name: len(segments) for name, segments in found.items()} == {"clip": 4, "clip_2": 3}
    assert [row["name"] for row in csv_rows(tmp_path / "out" / "summary.csv")] == ["clip", "clip_2"]
    with caplog.at_level(logging.INFO):
        again = annotate(tmp_path / "1", tmp_path / "out", enter=0.7)
    assert "the summary keeps the results of 1 other source" in caplog.text
    assert [one["name"] for one in again["sources"]] == ["clip", "clip_2"]


def test_results_that_are_replaced_are_said(clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = clips / "videos" / "kitchen.mp4"
    with caplog.at_level(logging.INFO):
        annotate(source, tmp_path)
        assert "written anew" not in caplog.text
        annotate(source, tmp_path, enter=0.6, video=True)
        assert "still there" not in caplog.text
        annotate(source, tmp_path, enter=0.6)
    assert caplog.text.count("kitchen: of the run before, with other options, is still there: kitchen.mp4") == 1
    assert "kitchen: made before with other content, weights or options; its files are written anew" in caplog.text


class ShortWindow:
    """Stands in for the desktop: the user presses q at the sixth picture."""

    def __init__(self) -> None:
        self.shown = 0

    def show(self, picture: NDArray[np.uint8]) -> bool:
        self.shown += 1
        return self.shown < 6

    def close(self) -> None:
        self.shown = -1


def test_q_ends_the_run_with_valid_files(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_writer, "LiveWindow", ShortWindow)
    data = {"chunk_frames": 4}
    summary = annotate(clips / "videos", tmp_path, data=data, show=True, video=True, mode="trailing")
    assert [(one["name"], one["status"]) for one in summary["sources"]] == [("kitchen", "stopped")]
    assert 6 <= len(pictures(tmp_path / "kitchen.mp4")) < 4 * PART


def test_a_live_source_never_replaces_an_earlier_recording(tmp_path: Path) -> None:
    info = StreamInfo(name="camera:0", path="", live=True, width=4, height=4, fps=0.0, duration=float("nan"))
    assert plain_name(info) == "camera_0"
    assert plain_name({**info, "name": "-"}) == "stdin"
    assert free_name(info, [], tmp_path) == "camera_0"
    (tmp_path / "camera_0.frames.csv").touch()
    assert free_name(info, [], tmp_path) == "camera_0_2"


def live_chunk(info: StreamInfo, count: int) -> StreamBatch:
    """A last chunk of so many frames."""
    return StreamBatch(
        frames=torch.zeros(count, 3, 4, 4, dtype=torch.uint8), times=torch.arange(count, dtype=torch.float64),
        selected=torch.ones(count, dtype=torch.bool), video_id=0, is_last=True, info=info, dropped=0, status="ok",
        error="",
    )  # fmt: skip


def test_every_recording_of_a_live_source_keeps_its_row(tmp_path: Path) -> None:
    info = StreamInfo(name="-", path="", live=True, width=4, height=4, fps=0.0, duration=float("nan"))
    for count, name in enumerate(("failed", "stdin", "stdin_2")):
        source = SourceAnnotation(name, info, NAMES, SegmentSettings(), Outputs(tmp_path, figures=False))
        source.add(chunk_of(live_chunk(info, count)), np.full((count, len(NAMES)), 0.2))
        append_result(tmp_path, source.finish("ok"))
        time.sleep(0.002)  # rows tell recordings apart by milliseconds
    recorded = list(read_results(tmp_path).values())
    assert [bool(one.started) for one in recorded] == [False, True, True]  # an attempt without a frame is none
    assert [one.frames for one in recorded] == [0, 1, 2]
    for path in tmp_path.glob("stdin_*"):
        path.unlink()
    assert (
        free_name(info, read_results(tmp_path).values(), tmp_path) == "stdin_3"
    )  # the names stay taken without their files


def test_ctrl_c_while_the_encoder_is_waited_for_loses_no_picture() -> None:
    written: list[float] = []

    class Interrupted:
        def write(self, picture: NDArray[np.uint8], time: float) -> None:
            if time == 2 and 2.5 not in written:
                written.append(2.5)
                raise KeyboardInterrupt
            written.append(time)

        def close(self, complete: bool = True) -> None: ...

    annotator = PictureAnnotator(NAMES, "default", Interrupted(), None, paced=False)
    annotator.add_pictures(np.zeros((4, 32, 48, 3), np.uint8), np.arange(4.0))
    with pytest.raises(KeyboardInterrupt):
        annotator.draw(math.inf)
    annotator.draw(math.inf)
    assert written == [0, 1, 2.5, 2, 3]
