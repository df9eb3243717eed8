"""What the readers of video files agree on: what they are told, what they hand over, and how they fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import VideoError

# Frames handed over at a time: bounds the memory of a 4K file, and stays below the 32 MiB from which the C library
# gives memory back after each use, whose page faults cost a fifth of the decoding of 720p.
CHUNK_BYTES = 24 << 20


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video once it is open.

    Attributes:
        path: The file.
        width: Width of the upright picture in pixels.
        height: Height of the upright picture in pixels.
        fps: Average frames a second of the stream; 0 where the container does not say.
        duration: Duration in seconds as the container states it, or frames / fps where it does not.
        frames: Frames that can be read: indices run from 0 to ``frames - 1``.
        frames_announced: Frames that the header promises, or duration times rate where it promises none.
        reader: "decord", "pyav" or "pyav (decord: reason)".
    """

    path: str
    width: int
    height: int
    fps: float
    duration: float
    frames: int
    frames_announced: int
    reader: str


class FrameChunk(NamedTuple):
    """Some of the wanted frames, in the order of the file.

    Attributes:
        indices: int64 ``(M,)``, rising.
        frames: uint8 ``(M, H, W, 3)``, RGB; valid only until the next chunk is asked for.
        times: float64 ``(M,)``, presentation times in seconds.
    """

    indices: NDArray[np.int64]
    frames: NDArray[np.uint8]
    times: NDArray[np.float64]


class FrameConsumer(Protocol):
    """Takes frames from ``read_video``; whatever it keeps is started afresh by ``start``."""

    def start(self, info: VideoInfo) -> NDArray[np.int64]:
        """Forget earlier frames and say which are wanted: rising indices below ``info.frames``, each once."""

    def add(self, chunk: FrameChunk) -> None:
        """Take the next frames; a view of them must not be kept."""


class OpenVideo(Protocol):
    """A video that a reader has opened; used for one pass."""

    info: VideoInfo

    def chunks(self, indices: NDArray[np.int64]) -> Iterator[FrameChunk]:
        """Decode the frames at rising ``indices`` in one pass."""


class FramesMissingError(VideoError):
    """Decoding ended after ``decodable`` frames, without more than the end of the file missing."""

    def __init__(self, message: str, decodable: int) -> None:
        super().__init__(message)
        self.decodable = decodable


def chunk_length(width: int, height: int) -> int:
    """Frames of one chunk, at least 1 and at most 32."""
    return max(1, min(32, CHUNK_BYTES // max(1, width * height * 3)))
