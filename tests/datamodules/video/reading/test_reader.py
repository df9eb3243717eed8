"""Both readers on generated clips, good and bad."""

from __future__ import annotations

import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.common.errors import ConfigurationError, VideoError
from datamodules.video.reading import contract, reader, survey
from datamodules.video.reading import pyav as pyav_reader
from datamodules.video.reading.contract import FrameChunk, VideoInfo
from datamodules.video.reading.reader import KeepFrames, ReaderName, decord_available, read_video
from datamodules.video.reading.survey import CannotOpenError
from tests.datamodules.samples import run_python

READERS: list[ReaderName] = ["decord", "pyav"] if decord_available() else ["pyav"]
needs_decord = pytest.mark.skipif(not decord_available(), reason="decord has no wheel for this machine")
MakeClip = Callable[..., Path]


def read(path: Path, name: ReaderName, indices: list[int] | None = None) -> tuple[VideoInfo, KeepFrames]:
    frames = KeepFrames(None if indices is None else np.array(indices))
    return read_video(str(path), frames, reader=name), frames


@pytest.mark.parametrize("name", READERS)
def test_frames_come_in_the_order_asked_for(make_clip: MakeClip, name: ReaderName) -> None:
    path = make_clip(frames=24)
    info, everything = read(path, name)
    assert (info.width, info.height, info.frames, info.frames_announced, info.reader) == (128, 96, 24, 24, name)
    assert info.fps == pytest.approx(25)
    assert info.duration == pytest.approx(24 / 25)
    assert everything.frames().shape == (24, 96, 128, 3)
    assert everything.times() == pytest.approx(np.arange(24) / 25)
    _, some = read(path, name, [23, 0, 7, 7])
    assert (some.frames() == everything.frames()[[23, 0, 7, 7]]).all()
    assert some.times() == pytest.approx([23 / 25, 0, 7 / 25, 7 / 25])


@pytest.mark.parametrize("name", READERS)
def test_pictures_are_rgb_and_upright(tmp_path: Path, name: ReaderName) -> None:
    from datamodules.video.writing.encode import encode_video

    picture = np.zeros((4, 64, 96, 3), dtype=np.uint8)
    picture[:, :32, :, 0] = 220  # red above, blue below
    picture[:, 32:, :, 2] = 220
    encode_video(tmp_path / "a.mp4", picture, fps=10, qp=10)
    frame = read(tmp_path / "a.mp4", name)[1].frames()[2].astype(int)
    assert frame[8, 48] == pytest.approx([220, 0, 0], abs=12)
    assert frame[56, 48] == pytest.approx([0, 0, 220], abs=12)


@needs_decord
@pytest.mark.parametrize(
    ("name", "options", "bound"),
    [
        ("a.mp4", {}, 0.1),
        ("b.mp4", {"height": 90, "width": 122}, 0.1),
        ("c.mp4", {"pix_fmt": "yuv444p"}, 0.1),
        ("d.mp4", {"pix_fmt": "yuvj420p"}, 0.1),
        ("e.mp4", {"codec": "libx265"}, 0.1),
        ("f.avi", {"codec": "mpeg4", "qp": 3}, 0.1),
        ("g.mkv", {"frames": 40, "options": {"x264-params": "keyint=8"}}, 0.1),
        ("h.mp4", {"pix_fmt": "yuv422p10le"}, 0.1),
        ("i.mp4", {"pix_fmt": "yuv444p10le"}, 0.1),
    ],
)
def test_readers_agree(make_clip: MakeClip, name: str, options: dict[str, object], bound: float) -> None:
    path = make_clip(name, **options)
    first_info, first = read(path, "decord")
    second_info, second = read(path, "pyav")
    assert first_info.reader == "decord"
    assert first_info.frames == second_info.frames
    assert first.times() == pytest.approx(second.times())
    difference = np.abs(first.frames().astype(int) - second.frames()).mean(axis=(1, 2, 3))
    assert difference.max() < bound


@needs_decord
def test_decord_misplaces_colours_of_more_than_8_bits(make_clip: MakeClip) -> None:
    path = make_clip("deep.mp4", pix_fmt="yuv420p10le")
    info, first = read(path, "decord")
    assert info.reader.startswith("pyav (decord: it misplaces the colours")
    assert (first.frames() == read(path, "pyav")[1].frames()).all()


@pytest.mark.parametrize("name", READERS)
def test_one_pass_over_few_frames(make_clip: MakeClip, name: ReaderName, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "CHUNK_BYTES", 128 * 96 * 3 * 4)  # chunks of four frames
    seen: list[list[int]] = []

    class Watch(KeepFrames):
        def add(self, chunk: FrameChunk) -> None:
            seen.append(chunk.indices.tolist())
            super().add(chunk)

    frames = Watch(np.arange(3, 24, 2))
    read_video(str(make_clip(frames=24)), frames, reader=name)
    assert [index for chunk in seen for index in chunk] == list(range(3, 24, 2))
    assert max(map(len, seen)) == 4
    assert (frames.frames() == read(make_clip(frames=24), name)[1].frames()[3::2]).all()


@pytest.mark.parametrize("name", READERS)
def test_one_frame(make_clip: MakeClip, name: ReaderName) -> None:
    info, frames = read(make_clip("one.mp4", frames=1), name)
    assert info.frames == 1
    assert frames.frames().shape == (1, 96, 128, 3)


def bad_file(kind: str, folder: Path, good: Path) -> Path:
    path = folder / f"{kind}.mp4"
    content = good.read_bytes()
    path.write_bytes({"empty": b"", "text": b"not a video\n" * 50, "cut": content[: len(content) // 2]}[kind])
    return path


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", ["empty", "text", "cut"])
def test_unreadable_files_are_named(
    tmp_path: Path, make_clip: MakeClip, kind: str, name: ReaderName, capfd: pytest.CaptureFixture[str]
) -> None:
    path = bad_file(kind, tmp_path, make_clip(frames=24))
    with pytest.raises(VideoError) as caught:
        read(path, name)
    message = str(caught.value)
    assert message.startswith(f"{path}: cannot be read (")
    assert message.count(str(path)) == 1
    assert "pyav: " in message
    if name == "decord":
        assert "decord: " in message
    assert capfd.readouterr().err == ""  # FFmpeg's own notes stay quiet


@pytest.mark.parametrize("name", READERS)
def test_an_absent_file_is_named(tmp_path: Path, name: ReaderName) -> None:
    with pytest.raises(VideoError, match=r"absent\.mp4: cannot be read .*No such file"):
        read(tmp_path / "absent.mp4", name)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_truncated_files_with_a_whole_header(
    tmp_path: Path, make_clip: MakeClip, name: ReaderName, suffix: str
) -> None:
    content = make_clip(f"long.{suffix}", frames=100).read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(content[: len(content) // 2])
    if suffix == "mp4":
        path.write_bytes(move_index_first(content))
        assert read(path, name)[0].frames == 100
        path.write_bytes(faststart_cut(content))
    with pytest.raises(VideoError, match=r"cut\.\w+: cannot be read .*truncated"):
        read(path, name)


def faststart_cut(content: bytes) -> bytes:
    """Move the index before the data, as files made for the web have it, then cut the data."""
    return move_index_first(content)[: len(content) * 6 // 10]


def move_index_first(content: bytes) -> bytes:
    boxes: dict[bytes, bytes] = {}
    position = 0
    while position < len(content):
        size = int.from_bytes(content[position : position + 4], "big")
        boxes[content[position + 4 : position + 8]] = content[position : position + size]
        position += size
    index, data = bytearray(boxes[b"moov"]), boxes[b"mdat"]
    shift = len(boxes[b"ftyp"]) + len(index) + 8 - content.index(data) - 8
    place = index.index(b"stco") + 8
    for number in range(int.from_bytes(index[place : place + 4], "big")):
        at = place + 4 + 4 * number
        index[at : at + 4] = (int.from_bytes(index[at : at + 4], "big") + shift).to_bytes(4, "big")
    return boxes[b"ftyp"] + bytes(index) + data


@needs_decord
def test_a_trimmed_clip_is_read_as_it_is_shown(tmp_path: Path, make_clip: MakeClip) -> None:
    """Phones trim by an edit list: decord shows the cut frames, so PyAV takes over."""
    content = bytearray(make_clip("trim.mp4", frames=48, options={"x264-params": "keyint=48:bframes=0"}).read_bytes())
    place = content.index(b"elst") + 12
    start = int.from_bytes(content[place + 4 : place + 8], "big")
    scale_place = content.index(b"mdhd") + 4 + 12
    ticks = int.from_bytes(content[scale_place : scale_place + 4], "big") // 25
    content[place + 4 : place + 8] = (start + 12 * ticks).to_bytes(4, "big")
    path = tmp_path / "trimmed.mp4"
    path.write_bytes(content)
    info, frames = read(path, "decord")
    assert info.reader.startswith("pyav (decord: an edit list cuts away")
    assert (info.frames, info.frames_announced) == (36, 48)
    whole = read(make_clip("trim.mp4", frames=48, options={"x264-params": "keyint=48:bframes=0"}), "pyav")[1]
    assert (frames.frames() == whole.frames()[12:]).all()


@needs_decord
def test_pyav_takes_over_when_decord_fails_on_the_way(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from datamodules.video.reading import decord as decord_reader

    def fail(self: object, indices: NDArray[np.int64]) -> Iterator[FrameChunk]:
        raise VideoError(f"{self.path}: frame 9 cannot be decoded")  # type: ignore[attr-defined]

    monkeypatch.setattr(decord_reader.DecordVideo, "chunks", fail)
    caplog.set_level("INFO")
    info, frames = read(make_clip(frames=24), "decord", [0, 5])
    assert info.reader == "pyav (decord: frame 9 cannot be decoded)"
    assert len(frames.frames()) == 2
    read_video(str(make_clip(frames=24)), frames, again=True)
    assert caplog.text.count("read by PyAV") == 1


def test_without_decord_pyav_serves(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "decord_available", lambda: False)
    assert read(make_clip(frames=24), "decord")[0].reader == "pyav (decord: not installed)"


@pytest.mark.parametrize("missing", [-3, 1, 3])
def test_frames_are_counted_where_packets_promise_others(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch, missing: int
) -> None:
    """Packets and decoder disagree: the decoder is right, and it is found out on the way."""
    real = pyav_reader.survey

    def lie(path: str, deadline: reader.Deadline, *, count: str = "") -> survey.Survey:
        found = real(path, deadline, count=count)
        if count:
            return found
        ticks = np.arange(found.frames + missing) * 512
        return replace(found, ticks=ticks, times=ticks / 12800)

    monkeypatch.setattr(pyav_reader, "survey", lie)
    info, frames = read(make_clip(frames=48), "pyav")
    assert (info.frames, info.frames_announced) == (48, 48)
    assert len(frames.frames()) == 48


@pytest.mark.parametrize("name", READERS)
def test_the_time_limit_holds(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch, name: ReaderName) -> None:
    def hang(self: object, indices: NDArray[np.int64]) -> Iterator[FrameChunk]:
        time.sleep(2)
        yield from ()

    monkeypatch.setattr(pyav_reader.PyAVVideo, "chunks", hang)
    if name == "decord":
        from datamodules.video.reading import decord as decord_reader

        monkeypatch.setattr(decord_reader.DecordVideo, "chunks", hang)
    start = time.monotonic()
    with pytest.raises(VideoError, match=r"clip\.mp4: cannot be read .*pyav: not decoded within 0\.3 s"):
        read_video(str(make_clip(frames=24)), KeepFrames(), reader=name, timeout=0.3)
    assert time.monotonic() - start < 1.9


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan"), float("inf")])
def test_time_limits_must_be_positive(make_clip: MakeClip, timeout: float) -> None:
    with pytest.raises(ConfigurationError, match="decode_timeout"):
        read_video(str(make_clip()), KeepFrames(), timeout=timeout)


def test_consumers_must_ask_in_order(make_clip: MakeClip) -> None:
    class Wrong(KeepFrames):
        def start(self, info: VideoInfo) -> NDArray[np.int64]:
            return np.array([3, 2])

    with pytest.raises(ValueError, match="rising indices"):
        read_video(str(make_clip()), Wrong(), reader="pyav")


def test_a_consumer_may_want_nothing(make_clip: MakeClip) -> None:
    class Nothing(KeepFrames):
        def start(self, info: VideoInfo) -> NDArray[np.int64]:
            return np.zeros(0, dtype=np.int64)

    assert read_video(str(make_clip()), Nothing()).frames == 24


def test_importing_the_reader_does_not_import_decord() -> None:
    code = (
        "import sys, datamodules.video.reading.reader as r; print(sorted({'decord', 'torch', 'av'} & set(sys.modules)))"
    )
    assert run_python("-c", code).strip() == "[]"


def test_a_file_of_sound_alone_has_no_best_stream(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(1600))
    with av.open(str(tmp_path / "a.wav")) as container, pytest.raises(CannotOpenError, match="no video stream"):
        survey.best_stream(container, "a.wav")
