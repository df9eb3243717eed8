"""Pictures are those that a player shows, in both readers and as a stream: turned, mirrored, in their colours."""

from __future__ import annotations

import itertools
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from _pytest.mark.structures import ParameterSet
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from datamodules.video.reading.orientation import Orientation, orientation_from
from datamodules.video.reading.reader import KeepFrames, ReaderName, decord_available, read_video
from datamodules.video.streaming.reader import PictureConverter, StreamReader
from tests.datamodules.video.reading.containers import ffmpeg, needs_ffmpeg

READERS: list[ReaderName] = ["decord", "pyav"] if decord_available() else ["pyav"]
SCENE = ("-f", "lavfi", "-i", "testsrc2=size=128x96:rate=25:duration=0.2", "-c:v", "libx264", "-qp", "8")
MATRICES = [
    matrix
    for first, second in itertools.product((1 << 16, -1 << 16), repeat=2)
    for matrix in ((first, 0, 0, 0, second, 0, 0, 0, 1 << 30), (0, first, 0, second, 0, 0, 0, 0, 1 << 30))
]
COLOURS = {
    "bt601": ["-vf", "scale=out_color_matrix=bt601", "-pix_fmt", "yuv420p", "-colorspace", "smpte170m"],
    "bt709": ["-vf", "scale=out_color_matrix=bt709", "-pix_fmt", "yuv420p", "-colorspace", "bt709"],
    "full range": ["-pix_fmt", "yuvj420p"],
    "10 bit": ["-pix_fmt", "yuv420p10le"],
    "4:2:2": ["-pix_fmt", "yuv422p"],
    "4:4:4 10 bit": ["-pix_fmt", "yuv444p10le"],
    "interlaced": ["-vf", "tinterlace=4,scale=interl=1", "-pix_fmt", "yuv420p", "-flags", "+ildct+ilme"],
}
USUAL = {"bt709", "10 bit", "interlaced"}


def rest(value: object) -> ParameterSet:
    """A case that is run with the slow tests."""
    return pytest.param(value, marks=pytest.mark.slow)


def shown(path: Path) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """All pictures of a file by each reader."""
    for reader in READERS:
        kept = KeepFrames()
        read_video(str(path), kept, reader=reader)
        yield reader, kept.frames()
    stream = StreamReader(str(path))
    pictures = []
    converter: PictureConverter | None = None
    for frame, _ in stream.frames():
        if converter is None:
            facts = stream.facts(frame)
            converter = PictureConverter(facts, 16)
        pictures.append(np.empty((facts.height, facts.width, 3), dtype=np.uint8))
        converter.full(frame, pictures[-1])
    yield "stream", np.array(pictures)


def by_ffmpeg(path: Path, width: int, height: int) -> NDArray[np.uint8]:
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    pixels = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(pixels, dtype=np.uint8).reshape(-1, height, width, 3)


def apart(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    assert first.shape == second.shape
    return float(np.abs(first.astype(int) - second).mean())


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "plain.mp4"
    ffmpeg(*SCENE, "-pix_fmt", "yuv420p", path)
    return path


@needs_ffmpeg
@pytest.mark.parametrize("matrix", [*MATRICES[3:6], *map(rest, MATRICES[:3] + MATRICES[6:])], ids=str)
def test_every_display_matrix(plain: Path, tmp_path: Path, matrix: tuple[int, ...]) -> None:
    content = bytearray(plain.read_bytes())
    place = content.index(b"tkhd") + 44
    content[place : place + 36] = struct.pack(">9i", *matrix)
    path = tmp_path / "turned.mp4"
    path.write_bytes(content)
    width, height = (128, 96) if matrix[0] else (96, 128)
    right = by_ffmpeg(path, width, height)
    for name, pictures in shown(path):
        assert apart(pictures, right) < 0.1, name


@needs_ffmpeg
def test_turns_that_the_bit_stream_asks_for(plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "sei.mp4"
    ffmpeg("-i", plain, "-c", "copy", "-bsf:v", "h264_metadata=display_orientation=insert:rotate=90", path)
    upright = next(shown(plain))[1]
    for name, pictures in shown(path):
        assert apart(pictures, np.rot90(upright, axes=(1, 2))) == 0, name


@needs_ffmpeg
def test_turns_of_matroska(plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "turned.mkv"
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(90)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    upright = next(shown(plain))[1]
    for name, pictures in shown(path):
        assert apart(pictures, np.rot90(upright, axes=(1, 2))) == 0, name


@needs_ffmpeg
@pytest.mark.parametrize("name", [*sorted(USUAL), *map(rest, sorted({*COLOURS} - USUAL))])
def test_colours_are_those_of_ffmpeg(tmp_path: Path, name: str) -> None:
    path = tmp_path / "colours.mp4"
    ffmpeg(*SCENE, *COLOURS[name], path)
    right = by_ffmpeg(path, 128, 96)
    all_pictures = dict(shown(path))
    assert {reader for reader, pictures in all_pictures.items() if apart(pictures, right) >= 3} == set()
    if name == "interlaced":
        assert len({pictures.tobytes() for pictures in all_pictures.values()}) == 1


@needs_ffmpeg
def test_small_squares_of_two_fields_are_no_combs(tmp_path: Path) -> None:
    path = tmp_path / "fields.mp4"
    ffmpeg(*SCENE, *COLOURS["interlaced"], path)
    stream = StreamReader(str(path))
    frame = next(stream.frames()).frame
    assert frame.interlaced_frame
    converter = PictureConverter(stream.facts(frame), 32)
    square, full = np.empty((3, 32, 32), dtype=np.uint8), np.empty((96, 128, 3), dtype=np.uint8)
    converter.square(frame, square)
    converter.full(frame, full)
    whole = torch.from_numpy(full).float().mean(dim=2)[None, None]  # grey: colours are halved in other ways
    reduced = interpolate(whole, (32, 32), mode="bilinear", antialias=True)[0, 0].numpy()
    assert np.abs(square.mean(axis=0) - reduced).mean() < 3  # 7 where each field was reduced alone


def test_a_picture_at_an_odd_angle_is_left_as_it_is() -> None:
    half = 46341  # of the square root of two
    assert orientation_from((half, half, 0, -half, half, 0, 0, 0, 1 << 30)) == Orientation()
    assert orientation_from((0,) * 9) == Orientation()
    assert orientation_from((300, 1 << 16, 0, -1 << 16, 300, 0, 0, 0, 1 << 30)) == Orientation(True, False, True)
