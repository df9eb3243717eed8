"""What a user may call a source."""

from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.common.errors import ConfigurationError, VideoError
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


def test_pattern(folder: Path) -> None:
    assert sources_of(str(folder / "*.mp4")) == [str(folder / "b.mp4")]
    with pytest.raises(ConfigurationError, match="no file is called like this"):
        sources_of(str(folder / "*.webm"))


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
