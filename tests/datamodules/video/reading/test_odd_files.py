"""Files whose name, title or pictures are odd, in both readers and in the stream."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from datamodules.common.errors import VideoError
from datamodules.video.reading.reader import KeepFrames, ReaderName, read_video
from datamodules.video.streaming.reader import StreamReader

READERS: tuple[ReaderName, ...] = ("decord", "pyav")


def made(path: Path, *, cover: bool = False) -> Path:
    """Three pictures under a title that is no UTF-8; a cover picture is the first of them alone."""
    with av.open(str(path), "w", metadata_encoding="latin-1") as container:
        container.metadata["title"] = "café"
        stream = container.add_stream("mjpeg" if cover else "libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p" if cover else "yuv420p"
        if cover:
            stream.disposition = Disposition.attached_pic
        for level in (0,) if cover else (0, 100, 200):
            picture = np.full((48, 64, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_a_name_and_a_title_that_are_no_utf_8(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(made(tmp_path / "a.mp4").rename(tmp_path / "a\udce9.mp4")))
    kept = [KeepFrames() for _ in READERS]
    infos = [read_video(path, frames, reader=reader) for frames, reader in zip(kept, READERS, strict=True)]
    assert [info.frames for info in infos] == [3, 3]
    assert "its name is no UTF-8" in infos[0].reader
    assert len(list(StreamReader(path).frames())) == 3


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    path = str(made(tmp_path / "cover.mp4", cover=True))
    for reader in READERS:
        with pytest.raises(VideoError, match="only a cover picture, no video"):
            read_video(path, KeepFrames(), reader=reader)
    with pytest.raises(VideoError, match=r"cover\.mp4: the file holds only a cover picture, no video$"):
        StreamReader(path)
