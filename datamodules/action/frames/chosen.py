"""Reading the chosen frames of one video, or of its pictures, in the size that the network sees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.action.frames.sampling import FrameSampling
from datamodules.action.frames.settings import ActionFrameSettings
from datamodules.action.lists.records import ActionVideo, Picture
from datamodules.common.errors import ImageError, VideoError
from datamodules.images.upright import read_picture
from datamodules.video.reading.contract import FrameChunk, VideoInfo
from datamodules.video.reading.reader import read_video


class SparseFrames:
    """Takes frames from ``read_video``, resizes them and writes them to an open file.

    Args:
        stream: Binary file, opened for writing; a second attempt begins it anew.
        video: The part that is wanted.
        reading: Size and sampling.

    Attributes:
        times: Presentation times of the frames that were written, in seconds.
    """

    def __init__(self, stream: IO[bytes], video: ActionVideo, reading: ActionFrameSettings) -> None:
        self.times: list[float] = []
        self._stream = stream
        self._video = video
        self._reading = reading

    def start(self, info: VideoInfo) -> NDArray[np.int64]:
        """Forget earlier frames and choose among those of the part."""
        self._stream.seek(0)
        self._stream.truncate()
        self.times = []
        return wanted_frames(info, self._video, self._reading)

    def add(self, chunk: FrameChunk) -> None:
        """Resize and write frames."""
        self._stream.write(resized(chunk.frames, self._reading.frame_size).tobytes())
        self.times += chunk.times.tolist()


def wanted_frames(info: VideoInfo, video: ActionVideo, sampling: FrameSampling) -> NDArray[np.int64]:
    """Rising indices of the chosen frames of a part of a video.

    Raises:
        VideoError: If the part lies behind the end of the video, or its times are needed and unknown.
    """
    times = info.times
    end = math.inf if video.end is None else video.end
    part = video.start > 0 or video.end is not None
    if (part or sampling.sampling_rate is not None) and not np.isfinite(times).all():
        raise VideoError(f"{video.path}: the times of its frames are unknown; leave start, end and sampling_rate out")
    inside = np.flatnonzero((times >= video.start - 1e-6) & (times < end - 1e-6)) if part else np.arange(info.frames)
    if not len(inside):
        raise VideoError(
            f"{video.path}: no frame from {video.start:g} to {end:g} s ({video.source}); its last is at {times[-1]:g} s"
        )
    return inside[sampling.choose(times[inside])].astype(np.int64)


def resized(frames: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize whole frames, uint8 ``(M, H, W, 3)``, to a square, whatever their shape, bilinearly with antialiasing.

    Returns:
        uint8 ``(M, 3, size, size)``, contiguous.
    """
    pictures = torch.from_numpy(frames).permute(0, 3, 1, 2)
    if pictures.shape[-2:] != (size, size):
        pictures = torch.nn.functional.interpolate(
            pictures, (size, size), mode="bilinear", align_corners=False, antialias=True
        )
    return np.ascontiguousarray(pictures.numpy())


def read_frames(video: ActionVideo, reading: ActionFrameSettings, target: Path) -> tuple[list[float], list[str]]:
    """Write the chosen frames of a video to a file, uint8 ``(M, 3, size, size)``; an unreadable video gives none.

    Returns:
        Times of the frames in seconds (NaN where unknown), and sentences about what could not be read.
    """
    with target.open("w+b") as stream:
        if video.pictures:
            return _read_pictures(video.pictures, reading, stream)
        try:
            return _read_file(video, reading, stream), []
        except VideoError as error:
            stream.seek(0)
            stream.truncate()
            return [], [str(error)]


def _read_file(video: ActionVideo, reading: ActionFrameSettings, stream: IO[bytes]) -> list[float]:
    frames = SparseFrames(stream, video, reading)
    timeout, mapped = reading.decode_timeout, reading.tone_mapping
    read_video(video.path, frames, timeout=timeout, threads=1, tone_mapping=mapped)  # several files are read at a time
    return frames.times


def _read_pictures(
    pictures: Sequence[Picture], reading: ActionFrameSettings, stream: IO[bytes]
) -> tuple[list[float], list[str]]:
    known = np.array([picture.time for picture in pictures])
    times: list[float] = []
    errors: list[str] = []
    for position in reading.choose(known, default=None).tolist():
        picture = pictures[position]
        try:
            frame = read_resized(picture.path, reading.frame_size)
        except VideoError as error:
            errors.append(str(error))
            continue
        stream.write(frame.tobytes())
        times.append(picture.time)
    return times, errors


def read_resized(path: str, size: int) -> NDArray[np.uint8]:
    """Read one picture upright as RGB, uint8 ``(1, 3, size, size)``.

    Raises:
        VideoError: If it cannot be decoded.
    """
    try:
        image = read_picture(path, transparent="ignored", least_side=2 * size)
        return resized(np.array(image)[None], size)
    except ImageError as error:
        raise VideoError(f"{path}: the picture cannot be read ({error}); replace or remove it") from error
