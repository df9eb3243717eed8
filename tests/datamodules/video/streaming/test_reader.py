"""Reading a source once from its beginning to its end."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from datamodules.common.errors import VideoError
from datamodules.video.limits import Deadline
from datamodules.video.reading.reader import KeepFrames, read_video
from datamodules.video.reading.survey import survey
from datamodules.video.streaming.reader import PictureConverter, StreamReader

SIDE = 32
MakeClip = Callable[..., Path]


def read_all(path: str | Path) -> tuple[StreamReader, np.ndarray, list[float]]:
    """The reader after its end, the full pictures, and their times."""
    reader = StreamReader(str(path))
    pictures, times = [], []
    converter = None
    for frame, time in reader.frames():
        if converter is None:
            facts = reader.facts(frame)
            converter = PictureConverter(facts, SIDE)
        picture = np.empty((facts.height, facts.width, 3), dtype=np.uint8)
        converter.full(frame, picture)
        pictures.append(picture)
        times.append(time)
    return reader, np.array(pictures), times


def test_pictures_and_times_are_those_of_the_other_reader(make_clip: MakeClip) -> None:
    path = str(make_clip("same.mp4", frames=30, fps=Fraction(30000, 1001)))
    kept = KeepFrames()
    read_video(path, kept, reader="pyav")
    reader, pictures, times = read_all(path)
    assert np.array_equal(pictures, kept.frames())
    assert times == pytest.approx(kept.times().tolist())
    assert reader.fault == ""


def test_square_pictures_are_the_reduced_full_ones(make_clip: MakeClip) -> None:
    reader = StreamReader(str(make_clip("square.mp4", frames=1, height=96, width=128)))
    frame = next(reader.frames()).frame
    facts = reader.facts(frame)
    converter = PictureConverter(facts, SIDE)
    square, full = np.empty((3, SIDE, SIDE), dtype=np.uint8), np.empty((96, 128, 3), dtype=np.uint8)
    converter.square(frame, square)
    converter.full(frame, full)
    planes = torch.from_numpy(full).permute(2, 0, 1)[None].float()
    reduced = interpolate(planes, size=(SIDE, SIDE), mode="bilinear", antialias=True)[0]
    assert (torch.from_numpy(square) - reduced).abs().mean() < 3  # 7 where the colours were halved once more


@pytest.mark.parametrize(
    ("name", "size", "frames", "transposed"),
    [
        ("decord/video_0.mov", (568, 320), 3, False),
        ("decord/video_90.mov", (320, 568), 3, True),
        ("torchcodec/nasa_13013.mp4", (480, 270), 390, False),
        ("torchcodec/h265_video.mp4", (128, 128), 10, False),
        ("torchcodec/h264_10bits.mp4", (200, 200), 30, False),
    ],
)
def test_real_files(shared_dir: Path, name: str, size: tuple[int, int], frames: int, transposed: bool) -> None:
    path = shared_dir / "data" / "action" / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    reader = StreamReader(str(path))
    times = []
    for frame, time in reader.frames():
        facts = reader.facts(frame)
        times.append(time)
    assert (facts.width, facts.height) == size
    assert (len(times), facts.orientation.transposed) == (frames, transposed)
    assert reader.fault == ""
    assert (np.diff(times) > 0).all()
    assert times == pytest.approx(survey(str(path), Deadline(60, str(path))).times.tolist())


def test_rotated_file_is_upright(shared_dir: Path) -> None:
    path = str(shared_dir / "data" / "action" / "decord" / "video_90.mov")
    kept = KeepFrames()
    read_video(path, kept, reader="pyav")
    assert np.array_equal(read_all(path)[1], kept.frames())


def test_times_that_do_not_rise_are_mended(shared_dir: Path) -> None:
    times = read_all(shared_dir / "data" / "action" / "mmaction2" / "test.avi")[2]
    assert len(times) == 164
    assert (np.diff(times) > 0).all()
    assert times[-1] == pytest.approx(6.56, abs=0.1)


def test_damaged_packets_are_passed_over_and_told_of(shared_dir: Path) -> None:
    reader, pictures, _ = read_all(shared_dir / "data" / "action" / "decord" / "corrupted.mp4")
    assert len(pictures) == 49
    assert "corrupted.mp4: damaged, 1 packet could not be decoded; 49 frames" in reader.fault


def test_truncated_file_gives_what_it_holds(make_clip: MakeClip, tmp_path: Path) -> None:
    whole = make_clip("whole.mkv", frames=200, options={"x264-params": "keyint=10"})
    short = tmp_path / "short.mkv"
    short.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    reader, pictures, times = read_all(short)
    assert 50 < len(pictures) < 150
    assert "short.mkv: " in reader.fault
    assert "truncated" in reader.fault or "damaged" in reader.fault
    assert times[-1] < 200 / 25


def test_clock_of_transport_stream_begins_at_zero(make_clip: MakeClip, tmp_path: Path) -> None:
    path = tmp_path / "late.ts"
    with av.open(str(make_clip("early.mp4", frames=10))) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                shift = round(20 / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                target.mux(packet)
    with av.open(str(path)) as container:
        assert container.start_time > 10_000_000
    times = read_all(path)[2]
    assert times == pytest.approx([index / 25 for index in range(10)], abs=1e-4)


def test_file_without_video_and_no_file_are_errors(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    with pytest.raises(VideoError, match=r"text\.mp4: cannot be opened \(Invalid data"):
        StreamReader(str(text))
    with pytest.raises(VideoError, match="No such file"):
        StreamReader(str(tmp_path / "absent.mp4"))


def test_a_name_with_a_colon_is_a_file(make_clip: MakeClip, tmp_path: Path) -> None:
    path = tmp_path / "a:b.mp4"
    path.write_bytes(make_clip("colon.mp4", frames=3).read_bytes())
    assert len(read_all(path)[1]) == 3


def test_progress_may_end_the_reading(make_clip: MakeClip) -> None:
    class EnoughError(Exception):
        pass

    def stop() -> None:
        raise EnoughError

    with pytest.raises(EnoughError):
        list(StreamReader(str(make_clip("colon.mp4", frames=3))).frames(stop))


def test_pictures_that_ffmpeg_cannot_convert(make_clip: MakeClip) -> None:
    reader = StreamReader(str(make_clip("odd.mp4", frames=1, height=32, width=32)))
    converter = PictureConverter(reader.facts(next(reader.frames()).frame), SIDE)
    strange = av.VideoFrame(32, 32, "rgbaf32be")
    with pytest.raises(VideoError, match="pictures of 32x32 in rgbaf32be cannot be converted"):
        converter.full(strange, np.empty((32, 32, 3), dtype=np.uint8))
    with pytest.raises(VideoError, match="convert the video first"):
        converter.square(strange, np.empty((3, SIDE, SIDE), dtype=np.uint8))
