"""Both readers on real files with real traps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.common.errors import VideoError
from datamodules.video.reading.contract import VideoInfo
from datamodules.video.reading.reader import KeepFrames, ReaderName, decord_available, read_video

BOTH: list[ReaderName] = ["decord", "pyav"]
UNREADABLE = {"corrupted.mp4", "error_test.mp4"}
NOT_FOR_DECORD = {
    "av1_video.mkv": "no video stream that its FFmpeg can decode",
    "test.avi": "frames must be counted by decoding, since it holds pictures without content",
    "h265_video.mp4": "pictures look back beyond key frames",
    "video_90.mov": "the picture is turned or mirrored",
    "h264_10bits.mp4": "it misplaces the colours of 4:2:0 of more than 8 bits",
}


class Spread(KeepFrames):
    """Up to 12 frames spread over a video."""

    def start(self, info: VideoInfo) -> NDArray[np.int64]:
        self._asked = np.unique(np.linspace(0, info.frames - 1, 12).astype(np.int64))
        return super().start(info)


def real_files(shared_dir: Path) -> list[Path]:
    found = [*(shared_dir / "data" / "action").rglob("*"), *(shared_dir / "data" / "vqa" / "videos").iterdir()]
    files = sorted(file for file in found if file.suffix in {".mp4", ".mkv", ".mov", ".avi"})
    if not files:
        pytest.skip("there are no real videos in ../shared/data")
    return files


@pytest.mark.slow
@pytest.mark.skipif(not decord_available(), reason="decord has no wheel for this machine")
def test_both_readers_agree_on_every_file(shared_dir: Path) -> None:
    worst: dict[str, float] = {}
    for file in real_files(shared_dir):
        if file.name in UNREADABLE:
            continue
        frames = {name: Spread() for name in BOTH}
        infos = {name: read_video(str(file), frames[name], reader=name) for name in BOTH}
        if file.name in NOT_FOR_DECORD:
            assert infos["decord"].reader == f"pyav (decord: {NOT_FOR_DECORD[file.name]})"
        else:
            assert infos["decord"].reader == "decord", file
        first, second = (frames[name].frames().astype(int) for name in BOTH)
        assert first.shape == second.shape, file
        assert frames["decord"].times().tolist() == frames["pyav"].times().tolist(), file
        worst[file.name] = float(np.abs(first - second).mean(axis=(1, 2, 3)).max())
    assert {name: round(value, 3) for name, value in worst.items() if value > 0.01} == {}


@pytest.mark.parametrize("reader", BOTH)
def test_unreadable_files_are_named(shared_dir: Path, reader: ReaderName) -> None:
    for file in real_files(shared_dir):
        if file.name in UNREADABLE:
            with pytest.raises(VideoError, match=file.name):
                read_video(str(file), Spread(), reader=reader)


@pytest.mark.parametrize("reader", BOTH)
@pytest.mark.parametrize(
    ("name", "width", "height", "frames", "announced"),
    [
        ("nasa_13013.mp4", 480, 270, 390, 390),  # the second stream is the larger one
        ("video_90.mov", 320, 568, 3, 3),  # stored lying, shown upright
        ("video_0.mov", 568, 320, 3, 3),
        ("flipping_a_pancake.mkv", 426, 240, 310, 311),  # the header has no count, duration times rate says 311
        ("h264_10bits.mp4", 200, 200, 30, 30),
        ("av1_video.mkv", 640, 360, 125, 125),
        ("unordered.mov", 50, 50, 4, 4),
    ],
)
def test_traps(
    shared_dir: Path, reader: ReaderName, name: str, width: int, height: int, frames: int, announced: int
) -> None:
    files = [file for file in real_files(shared_dir) if file.name == name]
    info = read_video(str(files[0]), Spread(), reader=reader)
    assert (info.width, info.height, info.frames, info.frames_announced) == (width, height, frames, announced)


def test_times_are_counted_from_the_start_of_the_container(shared_dir: Path) -> None:
    file = shared_dir / "data" / "vqa" / "videos" / "1724.mp4"
    if not file.is_file():
        pytest.skip("1724.mp4 is not here")
    frames = KeepFrames(np.array([0, 1]))
    read_video(str(file), frames)
    assert frames.times() == pytest.approx([0, 1001 / 30000])
