"""Frames and times of odd but ordinary files, in both readers and as a stream, are those that ffprobe tells."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.common.errors import VideoError
from datamodules.video.reading.reader import KeepFrames, ReaderName, decord_available, read_video
from datamodules.video.streaming.reader import StreamReader
from tests.datamodules.video.reading.containers import (
    Recipe,
    Truth,
    all_recipes,
    ffmpeg,
    needs_ffmpeg,
    some_recipes,
    truth_of,
)
from tests.datamodules.video.reading.fields import field_coded

READERS: list[ReaderName] = ["decord", "pyav"] if decord_available() else ["pyav"]
USUAL = [
    Recipe("h264", "ts", "wraps", sound=True),
    Recipe("h264", "mp4", "trimmed_both", sound=True),
    Recipe("h264", "mkv", "repeated", variable=True),
    Recipe("h264", "mp4", "fragmented_cut"),
    Recipe("h264_open", "ts", "begins_inside"),
    Recipe("h264_open", "mp4", "no_edits"),
    Recipe("mpeg4", "avi", "negative", variable=True),  # with null frames
    Recipe("vp8", "webm", "offset", sound=True),
    Recipe("hevc_open", "mkv", "cut"),
]  # fmt: skip
pytestmark = needs_ffmpeg


def differences(path: Path) -> list[str]:
    """What differs from ffprobe, in words; nothing where it sees no frame or only absurd times either."""
    truth = truth_of(path)
    if not truth.frames or any(time is not None and abs(time) > 1e9 for time in truth.times):
        return []
    found: list[str] = []
    pictures: dict[str, NDArray[np.uint8]] = {}
    for reader in READERS:
        kept = KeepFrames()
        try:
            info = read_video(str(path), kept, reader=reader)
        except VideoError as error:
            found.append(str(error))
            continue
        found += compared(reader, info.times, truth)
        pictures[reader] = kept.frames()
        sparse = np.arange(0, info.frames, 7)
        kept = KeepFrames(sparse)
        read_video(str(path), kept, reader=reader)
        pictures[f"sparse {reader}"] = kept.frames()
        if reader == "pyav" and "_lost" not in path.name:  # decoders differ in what they make up
            for name, others in pictures.items():
                own = pictures["pyav"][sparse] if name.startswith("sparse") else pictures["pyav"]
                if others.shape != own.shape or np.abs(others.astype(int) - own).mean(axis=(1, 2, 3)).max() > 1:
                    found.append(f"{name}: other pictures")
    stream = StreamReader(str(path))
    found += compared("stream", np.array([time for _, time in stream.frames()]), truth)
    return found + ([stream.fault] if stream.fault else [])


def compared(reader: str, times: NDArray[np.float64], truth: Truth) -> list[str]:
    """Frames and times beside ffprobe's: a time that does not rise, or is absent, moves its own frame alone."""
    if len(times) != truth.frames:
        return [f"{reader}: {len(times)} frames, not {truth.frames}"]
    right = np.array([np.nan if time is None else time for time in truth.times])
    apart = np.abs(times - right) > 1e-3
    steps = np.diff(right, prepend=right[0] - 1)
    found = [] if apart.sum() <= (~(steps > 0)).sum() else [f"{reader}: {apart.sum()} times differ"]
    return found + ([] if (np.diff(times) > 0).all() else [f"{reader}: times do not rise"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("containers")


@pytest.mark.parametrize("recipe", USUAL, ids=lambda recipe: recipe.name)
def test_as_ffprobe_tells(folder: Path, recipe: Recipe) -> None:
    assert differences(recipe.make(folder)) == []


def test_key_frames_closer_than_the_delay_of_decoding(tmp_path: Path) -> None:
    path = tmp_path / "close.mp4"
    keys = ("-force_key_frames", "0.84,0.88", "-movflags", "frag_keyframe+empty_moov")
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=2", "-c:v", "libx264", "-bf", "3", "-g", "12", *keys, path)
    assert differences(path) == []


def test_a_duration_is_that_of_the_pictures(folder: Path) -> None:
    for container, change in (("mp4", "trimmed"), ("mkv", "offset")):
        path = Recipe("h264", container, change, sound=True).make(folder)  # its sound is longer
        first, *_, last = (time for time in truth_of(path).times if time is not None)
        for reader in READERS:
            info = read_video(str(path), KeepFrames(np.array([0])), reader=reader)
            assert info.duration == pytest.approx(last - first + 1 / 25, abs=1e-3), (path, reader)
        stream = StreamReader(str(path))
        assert len(list(stream.frames())) == len(truth_of(path).times)
        assert stream.end == pytest.approx(last + 1 / 25, abs=1e-3), path


def test_packets_without_content_hold_the_picture_before_them(tmp_path: Path) -> None:
    path = tmp_path / "held.ogv"  # Theora's packet of a picture that did not change is empty
    ffmpeg("-f", "lavfi", "-i", "color=red:s=64x48:r=25:d=2", "-c:v", "libtheora", path)
    assert truth_of(path).frames < 20
    assert differences(path) == []
    assert read_video(str(path), KeepFrames(), reader="pyav").duration == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("container", ["ts", "mkv"])
def test_field_coded_mpeg2(tmp_path: Path, container: str) -> None:
    path = tmp_path / f"fields.{container}"
    ffmpeg("-fflags", "+genpts", "-r", "50", "-i", field_coded(tmp_path), "-c", "copy", path)
    assert truth_of(path).frames == 12
    assert differences(path) == []


def test_field_coded_h264(shared_dir: Path) -> None:
    path = shared_dir / "data" / "faults" / "video" / "02_field_coded.ts"
    if not path.is_file():
        pytest.skip(f"{path.name} is not here")
    assert differences(path) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_many(tmp_path: Path, seed: int) -> None:
    """A tenth of all recipes in all."""
    wrong: dict[str, list[str]] = {}
    for recipe in some_recipes(len(all_recipes()) // 80, seed):
        try:
            path = recipe.make(tmp_path)
        except subprocess.CalledProcessError:
            continue  # this ffmpeg does not write it
        if found := differences(path):
            wrong[recipe.name] = found
    assert wrong == {}
