"""The batch contract of video quality: what a data module hands to a method."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, TypedDict

from datamodules.common.errors import ConfigurationError
from datamodules.video.reading.contract import VideoInfo

if TYPE_CHECKING:  # an exported network runs on the same contract without torch
    from torch import Tensor


def check_label_range(ends: tuple[float, float]) -> tuple[float, float]:
    """Ends of a scale of opinion scores, in either order, as they came.

    Raises:
        ConfigurationError: If they are one number, or not finite.

    Example:
        >>> check_label_range((0.0, 100.0))
        (0.0, 100.0)
    """
    first, last = ends
    if first == last or not (math.isfinite(first) and math.isfinite(last)):
        raise ConfigurationError(
            f"label_range is {first:g} to {last:g}, but a scale has two different finite ends: give for example 1 and 5"
        )
    return ends


class VideoRecord(TypedDict):
    """What is known of one video file after it was read, or after it could not be read.

    Attributes:
        path: Absolute path of the file.
        status: "ok", or "error" when no reader could decode the file (every tensor of the item is then zero).
        error: One sentence that names the file; empty when the status is "ok".
        width: Width of the upright picture in pixels.
        height: Height of the upright picture in pixels.
        fps: Average frames a second, as the container states it.
        duration: Seconds from the first picture to the end of the last.
        frames_decoded: Frames that the file really holds: the count that the clips were drawn from.
        frames_announced: Frames that the header promises, or duration times rate where it promises none.
        upsampled: True when the picture was enlarged because the grid of fragments did not fit.
        transfer: FFmpeg's name of the transfer function, as ffprobe prints it, such as "bt709", "smpte2084" (PQ) or
            "arib-std-b67" (HLG); empty where the file does not say.
        reader: "decord", "pyav", or "pyav (decord: reason)" when decord failed and PyAV took over.
        seconds: Wall-clock time of opening, decoding and sampling, in seconds.
    """

    path: str
    status: Literal["ok", "error"]
    error: str
    width: int
    height: int
    fps: float
    duration: float
    frames_decoded: int
    frames_announced: int
    upsampled: bool
    transfer: str
    reader: str
    seconds: float


def video_record(
    path: str, info: VideoInfo | None, seconds: float, *, error: str = "", upsampled: bool = False
) -> VideoRecord:
    """What is known of a file.

    Args:
        path: Its absolute path.
        info: What its reader found; None where it could not be read, or was not.
        seconds: Time that reading took.
        error: Why it could not be read.
        upsampled: Whether the picture was enlarged.
    """
    return VideoRecord(
        path=path,
        status="error" if error else "ok",
        error=error,
        width=info.width if info else 0,
        height=info.height if info else 0,
        fps=info.fps if info else 0.0,
        duration=info.duration if info else 0.0,
        frames_decoded=info.frames if info else 0,
        frames_announced=info.frames_announced if info else 0,
        upsampled=upsampled,
        transfer=info.transfer if info else "",
        reader=info.reader if info else "",
        seconds=seconds,
    )


class VideoQualityBatch(TypedDict):
    """One batch of B videos with K clips each.

    T is the clip length in frames, S = grid_size * fragment_size, N_t the number of key frames of a clip
    and R the side of a key frame (content_size), all in pixels where they measure pictures.

    Attributes:
        fragments: Mosaic of full-resolution crops, uint8 ``(B, K, 3, T, S, S)``, RGB 0..255.
        key_frames: Whole frames resized without keeping the aspect ratio, uint8 ``(B, K, N_t, 3, R, R)``, RGB 0..255.
        frame_index: Index in the file of every sampled frame, int64 ``(B, K, T)``.
        index: Row of the video in the list of its split, int64 ``(B,)``.
        mos: Mean opinion score, float32 ``(B,)``; NaN where unknown.
        pattern: Processing pattern, int64 ``(B,)``; -1 where unknown (each video is then its own class).
        region: Region that counts as x1, y1, x2, y2 in pixels of the upright source, float32 ``(B, 4)``; NaN unknown.
        valid: bool ``(B,)``; False for the sampler's padding and for a file that could not be read.
        video: Path of each video as written in its list.
        record: What is known of each file.
    """

    fragments: Tensor
    key_frames: Tensor
    frame_index: Tensor
    index: Tensor
    mos: Tensor
    pattern: Tensor
    region: Tensor
    valid: Tensor
    video: list[str]
    record: list[VideoRecord]
