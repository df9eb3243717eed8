"""The files of a source: all of them, alike for any chunks, beside bad input."""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
from collections import deque
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from callbacks.action import source_annotation
from callbacks.action.frame_states import SegmentSettings, StateStream
from datamodules.common.errors import VideoError
from datamodules.video.writing.annotated import AnnotatedVideoWriter
from datamodules.video.writing.encode import encode_video
from datamodules.video.writing.picture_encoder import PictureEncoder
from lightning_modules.action.segments.files import read_activitynet, read_segment_csv
from tests.tables import csv_rows

from .helpers import COLOURS, FPS, NAMES, PART, ColourClassifier, annotate, frames, pictures


def test_every_file_of_a_folder_of_videos(clips: Path, tmp_path: Path) -> None:
    truth = clips / "truth.json"
    summary = annotate(clips / "videos", tmp_path, truth=str(truth), video=True, figures=True)
    for name, parts in (("kitchen", 4), ("кухня", 3)):
        for suffix in (".mp4", ".segments.csv", ".srt", ".vtt", ".frames.csv", ".png"):
            assert (tmp_path / f"{name}{suffix}").stat().st_size > 0, suffix
        assert len(csv_rows(tmp_path / f"{name}.frames.csv")) == parts * PART
        assert len(pictures(tmp_path / f"{name}.mp4")) == parts * PART
    assert summary["metrics"]["frame_accuracy"] >= 0.95
    assert summary["metrics"]["segment_f1_50"] == 1
    assert summary["metrics"]["onset_error"] <= 1 / FPS + 1e-6
    found = read_activitynet(tmp_path / "segments.json").segments
    assert [one.label for one in found["kitchen"]] == [NAMES[index] for index in (0, 1, 2, 0)]
    assert found["kitchen"][-1].end == pytest.approx(4.0)
    labels = [one.label for one in read_segment_csv(tmp_path / "кухня.segments.csv")]
    assert labels == ["cooking", "drinking", "cooking"]
    assert "飲む" in (tmp_path / "kitchen.srt").read_text(encoding="utf-8")
    assert [row["status"] for row in csv_rows(tmp_path / "summary.csv")] == ["ok", "ok"]


@pytest.mark.parametrize("mode", ["trailing", "centred", "exponential"])
def test_chunks_of_any_size_give_the_same_files_and_pictures(
    clips: Path, tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[bytes, float]] = []

    class Recorder(AnnotatedVideoWriter):
        def write(self, picture: NDArray[np.uint8], time: float) -> None:
            written.append((picture.tobytes(), time))
            super().write(picture, time)

    monkeypatch.setattr(source_annotation, "AnnotatedVideoWriter", Recorder)
    seen = set()
    for chunk in (1, 7, None):
        written.clear()
        output = tmp_path / str(chunk)
        annotate(clips / "videos" / "kitchen.mp4", output, data={"chunk_frames": chunk}, mode=mode, video=True)
        names = ("kitchen.frames.csv", "kitchen.segments.csv", "segments.json")
        seen.add((*((output / name).read_text(encoding="utf-8") for name in names), tuple(written)))
        assert len(written) == 4 * PART
    assert len(seen) == 1


def test_the_label_in_a_picture_is_that_of_its_time(clips: Path, tmp_path: Path) -> None:
    # Letters that every machine draws alike.
    module = ColourClassifier(["drinking", "cooking", "washing"])
    annotate(clips / "videos" / "kitchen.mp4", tmp_path, module, mode="trailing", video=True)
    states = [row["state"] for row in csv_rows(tmp_path / "kitchen.frames.csv")]
    boxes = pictures(tmp_path / "kitchen.mp4")[:, 2:12, 2:40].astype(int)
    red, green = boxes[..., 0].max(axis=(1, 2)), boxes[..., 1].max(axis=(1, 2))
    assert states[0] == "computing..."
    for place in (0, 4, 14, 25, 35, 60, 75):  # amber letters hold far more red than green, in any font
        assert (red[place] > green[place] + 25) == (states[place] == "computing..."), place


def test_corrupt_files_are_named_and_skipped(clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = tmp_path / "videos"
    shutil.copytree(clips / "videos", source)
    (source / "broken.mp4").write_text("no video")
    whole = (source / "kitchen.mp4").read_bytes()
    (source / "torn.mp4").write_bytes(whole[: len(whole) // 2])
    with caplog.at_level(logging.INFO):
        summary = annotate(source, tmp_path / "out")
    status = {one["name"]: one["status"] for one in summary["sources"]}
    assert status == {"broken": "error", "torn": "error", "kitchen": "ok", "кухня": "ok"}
    assert all(one["name"] in one["error"] for one in summary["sources"] if one["status"] == "error")
    assert "broken.mp4" in caplog.text
    assert set(read_activitynet(tmp_path / "out" / "segments.json").segments) >= {"kitchen", "кухня"}


def test_the_one_source_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_text("no video")
    with pytest.raises(VideoError, match=r"broken\.mp4"):
        annotate(tmp_path / "broken.mp4", tmp_path / "out")


def test_frames_without_a_score_are_skipped_and_counted(clips: Path, tmp_path: Path) -> None:
    module = ColourClassifier()
    module.unknown = {0, 5, 6, 30, 79}
    summary = annotate(clips / "videos" / "kitchen.mp4", tmp_path, module, video=True, figures=True)
    assert summary["sources"][0]["skipped"] == 5
    assert summary["sources"][0]["segments"] == 4
    assert len(pictures(tmp_path / "kitchen.mp4")) == 4 * PART


def test_nothing_but_nan(clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    module = ColourClassifier()
    module.unknown = set(range(4 * PART))
    summary = annotate(clips / "videos" / "kitchen.mp4", tmp_path, module, video=True, figures=True)
    assert summary["sources"][0]["skipped"] == 4 * PART
    assert read_activitynet(tmp_path / "segments.json").segments == {"kitchen": []}
    assert caplog.text.count("score of every frame is not a number") == 1


def test_legacy_is_the_original_loop(clips: Path, tmp_path: Path) -> None:
    annotate(
        clips / "videos" / "kitchen.mp4", tmp_path, legacy=True, seconds=None, mode="trailing", window=30,
        action="drinking", video=True,
    )  # fmt: skip
    means = list(csv_rows(tmp_path / "kitchen.frames.csv"))
    scores = [
        torch.softmax(-torch.cdist(COLOURS[[place // PART % 3]], COLOURS) / 60, dim=1)[0].numpy() for place in range(80)
    ]
    kept: deque[NDArray[np.float32]] = deque(maxlen=30)
    expected = []
    for place, row in enumerate(scores):
        kept.append(row)
        result = np.array(kept).mean(axis=0)
        if int(np.argmax(result)) == 0:
            expected.append([place * 1000 / FPS, float(max(result))])
    written = json.loads((tmp_path / "kitchen.timeLabel.json").read_text(encoding="utf-8"))["drinking"]
    assert [time for time, _ in written] == pytest.approx([time for time, _ in expected])
    assert [score for _, score in written] == pytest.approx([score for _, score in expected], abs=0.02)
    assert {row["state"] for row in means} == {"drinking", "computing..."}
    with av.open(str(tmp_path / "kitchen.avi")) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == 30
        assert stream.codec_context.name == "mjpeg"


def test_one_frame(tmp_path: Path) -> None:
    encode_video(tmp_path / "one.mp4", frames([2], part=1, height=34, width=50), FPS)
    summary = annotate(tmp_path / "one.mp4", tmp_path / "out", video=True, figures=True, computing_until_full=False)
    assert summary["sources"][0]["frames"] == 1
    assert summary["sources"][0]["seconds"] == pytest.approx(1 / FPS)
    assert [one.label for one in read_segment_csv(tmp_path / "out" / "one.segments.csv")] == ["飲む"]


def test_the_source_is_never_overwritten(clips: Path, tmp_path: Path) -> None:
    source = Path(shutil.copy(clips / "videos" / "kitchen.mp4", tmp_path / "kitchen.mp4"))
    before = source.read_bytes()
    annotate(source, tmp_path, video=True)
    assert source.read_bytes() == before
    assert len(pictures(tmp_path / "kitchen.annotated.mp4")) == 4 * PART


def test_two_files_of_one_name_do_not_meet(clips: Path, tmp_path: Path) -> None:
    for number, name in enumerate(("kitchen", "кухня")):
        (tmp_path / "in" / str(number)).mkdir(parents=True)
        shutil.copy(clips / "videos" / f"{name}.mp4", tmp_path / "in" / str(number) / "clip.mp4")
    summary = annotate(tmp_path / "in", tmp_path / "out")
    assert [one["name"] for one in summary["sources"]] == ["clip", "clip_2"]
    assert len(read_segment_csv(tmp_path / "out" / "clip_2.segments.csv")) == 3


def test_a_stream_of_states_keeps_no_frames() -> None:
    stream = StateStream(["a", "b"], SegmentSettings(seconds=1.0, mode="centred"))
    sizes = []
    for start in range(0, 3000, 10):
        stream.push(np.arange(start, start + 10) / 25, np.tile([0.7, 0.3], (10, 1)))
        sizes.append(len(pickle.dumps(stream)))
    assert max(sizes[150:]) <= 1.1 * max(sizes[:150])
    assert stream.frames == 3000


ODD = (b"A$AP_Ke$ha.mp4", b"caf\xe9.mp4", ("長" * 80).encode() + b".mp4", b"-a\n\tb'\"%03d.mp4")


def test_every_video_is_a_row_whatever_its_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "in").mkdir()
    encode_video(tmp_path / "short.mp4", frames([0, 1], part=4), FPS)
    for name in ODD:
        shutil.copy(os.fsencode(tmp_path / "short.mp4"), os.fsencode(tmp_path / "in") + b"/" + name)
    with caplog.at_level(logging.INFO):
        summary = annotate(tmp_path / "in", tmp_path / "out", seconds=0.1, video=True, figures=True)
    assert {os.fsencode(one["file"]).rpartition(b"/")[2] for one in summary["sources"]} == set(ODD)
    assert {(one["status"], one["segments"], len(one["outputs"])) for one in summary["sources"]} == {("ok", 2, 6)}
    assert all(len(os.fsencode(name)) < 255 for one in summary["sources"] for name in one["outputs"])
    assert len(csv_rows(tmp_path / "out" / "summary.csv")) == len(ODD)
    assert b"\r" not in (tmp_path / "out" / "summary.csv").read_bytes()
    assert any(line.startswith("caf\\xe9.mp4: 8 frames") for line in caplog.messages)
    assert not any("\n" in line for line in caplog.messages)
    assert annotate(tmp_path / "in", tmp_path / "out", None, seconds=0.1, video=True, figures=True) == summary


def test_a_figure_or_a_video_that_fails_costs_itself(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(self: object, *more: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    monkeypatch.setattr(PictureEncoder, "add", full)
    summary = annotate(clips / "videos", tmp_path, video=True, figures=True)
    assert [(one["status"], one["segments"]) for one in summary["sources"]] == [("error", 4), ("error", 3)]
    assert "kitchen.mp4: cannot be written (No space left on device)" in summary["sources"][0]["error"]
    assert f"{tmp_path / 'kitchen.png'} is left out" in caplog.text
    assert not [path.name for path in tmp_path.iterdir() if path.name[0] == "." or path.suffix in (".mp4", ".png")]


def test_no_file_of_somebody_else_is_replaced(clips: Path, tmp_path: Path) -> None:
    shutil.copy(clips / "videos" / "кухня.mp4", tmp_path / "a.mp4")
    shutil.copy(clips / "videos" / "kitchen.mp4", tmp_path / "a.mkv")  # comes first, and would become a.mp4
    (tmp_path / "a.srt").write_text("by hand")
    before = (tmp_path / "a.mp4").read_bytes()
    for _ in range(2):
        summary = annotate(tmp_path, tmp_path, video=True)
        assert [one["name"] for one in summary["sources"]] == ["a_2", "a_3"]
    assert (tmp_path / "a.mp4").read_bytes() == before
    assert (tmp_path / "a.srt").read_text() == "by hand"
