"""What a user may call a source."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from datamodules.common.errors import ConfigurationError, VideoError
from datamodules.video.finding import find_videos
from datamodules.video.streaming.sources import is_live, opening, sources_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.mp4", "a.MKV", "sub/c.avi", ".hidden/d.mp4", ".e.mp4", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def test_folder_gives_the_videos_below_it(folder: Path) -> None:
    names = [Path(source).relative_to(folder).as_posix() for source in sources_of(str(folder))]
    assert names == ["a.MKV", "b.mp4", "sub/c.avi"]


def test_one_file_is_taken_whatever_its_suffix(folder: Path) -> None:
    assert sources_of(str(folder / "notes.txt")) == [str(folder / "notes.txt")]
    assert sources_of(f"file://{folder / 'b.mp4'}") == [str(folder / "b.mp4")]
    (folder / "a b.mp4").touch()
    assert sources_of(f"file://{folder / 'a%20b.mp4'}") == [str(folder / "a b.mp4")]


def test_pattern(folder: Path) -> None:
    assert sources_of(str(folder / "*.mp4")) == [str(folder / "b.mp4")]
    with pytest.raises(ConfigurationError, match="no file is called like this"):
        sources_of(str(folder / "*.webm"))


def test_pictures_and_pipes_are_no_videos(folder: Path) -> None:
    for number in range(3):
        (folder / f"p{number}.png").touch()
    with pytest.raises(ConfigurationError, match=r"3 of the 3 files are pictures, .*: make one of them with `ffmpeg"):
        sources_of(str(folder / "*.png"))
    os.mkfifo(folder / "pipe.mp4")
    with pytest.raises(VideoError, match="this is a pipe, a socket or a device"):
        sources_of(str(folder / "pipe.mp4"))
    with pytest.raises(ConfigurationError, match=r"pipe\.mp4' is a pipe, a socket or a device"):
        find_videos(folder / "pipe.mp4")


def test_what_is_left_out_is_counted(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    os.mkfifo(folder / "pipe.mp4")
    (folder / "no_suffix").touch()
    with caplog.at_level(logging.INFO):
        assert [found.name for found in find_videos(folder)] == ["a.MKV", "b.mp4", "sub/c.avi"]
    said = "2 files with another suffix (no_suffix, notes.txt), 1 pipe, socket or device (pipe.mp4)"
    assert caplog.messages == [f"left out of {folder}: {said}"]


def test_file_whose_name_looks_like_a_pattern_or_a_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clip[1].mp4").touch()
    (tmp_path / "0").touch()
    monkeypatch.chdir(tmp_path)
    assert sources_of("clip[1].mp4") == ["clip[1].mp4"]
    assert sources_of("0") == ["0"]


@pytest.mark.parametrize(
    ("text", "source"),
    [("0", "camera:0"), ("camera:02", "camera:2"), ("-", "-"), ("tcp://host:9", "tcp://host:9")],
)
def test_live_sources(text: str, source: str) -> None:
    assert sources_of(text) == [source]
    assert is_live(source)


def test_files_are_not_live() -> None:
    assert not any(is_live(source) for source in ("a.mp4", "/a/camera:0.mp4", "file:///a.mp4", "C://a.mp4", "a:b.mp4"))


def test_empty_folder_absent_file_and_empty_text_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no video below this folder"):
        sources_of(str(tmp_path))
    with pytest.raises(VideoError, match="there is no such file or folder"):
        sources_of(str(tmp_path / "absent.mp4"))
    with pytest.raises(ConfigurationError, match="source is empty"):
        sources_of(" ")


def test_camera_that_is_not_there() -> None:
    if Path("/dev/video97").exists():
        pytest.skip("this machine has 98 cameras")
    with pytest.raises(VideoError, match=r"camera:97: .*(there is no camera /dev/video97; cameras found|are read on)"):
        opening("camera:97")


def test_files_are_opened_by_their_absolute_path() -> None:
    assert opening("a:b.mp4").url.startswith("/")
    assert opening("rtsp://host/x").options["rtsp_transport"] == "tcp"


def test_sources_that_this_machine_cannot_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datamodules.video.streaming.sources.standard_input_is_file", lambda: False)
    monkeypatch.setattr("os.isatty", lambda handle: True)
    with pytest.raises(VideoError, match="standard input is a terminal"):
        opening("-")
    monkeypatch.setattr("sys.platform", "sunos5")
    with pytest.raises(VideoError, match="cameras are read on Linux and macOS only, not on sunos5"):
        opening("camera:0")
