"""What the readers of video files agree on: what they are told, what they hand over, and how they fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
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
        duration: Seconds from the first picture to the end of the last.
        frames: Frames that can be read: indices run from 0 to ``frames - 1``.
        frames_announced: Frames that the header promises, or its duration times rate where it promises none.
        reader: "decord", "pyav" or "pyav (decord: reason)".
        times: When each frame is presented, in seconds from the start of the container, rising, float64 ``(frames,)``;
            NaN where unknown.
        transfer: FFmpeg's name of the transfer function, such as "bt709", "smpte2084" (PQ) or "arib-std-b67" (HLG);
            empty where the file does not say.
        pixel_aspect: Width of an upright pixel by its height.
    """

    path: str
    width: int
    height: int
    fps: float
    duration: float
    frames: int
    frames_announced: int
    reader: str
    times: NDArray[np.float64] = field(repr=False, compare=False)
    transfer: str = ""
    pixel_aspect: Fraction = Fraction(1)


class FrameChunk(NamedTuple):
    """Some of the wanted frames, in the order of the file.

    Attributes:
        indices: int64 ``(M,)``, rising.
        frames: uint8 ``(M, H, W, 3)``, RGB; valid only until the next chunk is asked for.
        times: float64 ``(M,)``, presentation times in seconds, those of ``VideoInfo.times``.
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


class OtherFramesError(VideoError):
    """Decoding gives other frames than the packets promise: they must be counted by decoding."""


def chunk_length(width: int, height: int) -> int:
    """Frames of one chunk, at least 1 and at most 32."""
    return max(1, min(32, CHUNK_BYTES // max(1, width * height * 3)))
