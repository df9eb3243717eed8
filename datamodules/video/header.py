"""What a container says about itself, and whether the file holds what it says."""

from __future__ import annotations

import math
from dataclasses import dataclass

import av
import av.container
import av.error
import av.logging
import av.video.stream

from datamodules.common.errors import VideoError

SHORTFALL = 0.05  # part of the announced frames, or of the announced duration, that may be missing

av.logging.set_level(None)  # FFmpeg writes its notes about damaged streams to stderr; our errors name the file instead


@dataclass(frozen=True)
class Header:
    """What the header of a container says of the video stream with the most pixels.

    Attributes:
        stream: Number of the stream in the file.
        width: Width in pixels, before rotation.
        height: Height in pixels, before rotation.
        fps: Average frames a second; 0 where unknown.
        duration: Seconds; 0 where unknown.
        announced: Frames that the header promises, or duration times rate where it promises none; 0 where unknown.
        exact: True when the header gives the number of frames itself.
    """

    stream: int
    width: int
    height: int
    fps: float
    duration: float
    announced: int
    exact: bool


def open_container(path: str, timeout: float) -> av.container.InputContainer:
    """Open a file with PyAV.

    Args:
        path: The file.
        timeout: Seconds after which opening, or one later read, is given up.

    Raises:
        VideoError: If FFmpeg cannot open the file.
    """
    try:
        return av.open(path, timeout=(timeout, timeout))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{path}: {describe(error)}") from error


def describe(error: BaseException) -> str:
    """FFmpeg's reason in a few words, without numbers and the path."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(reason).splitlines()[0][:160]


def best_stream(container: av.container.InputContainer, path: str) -> av.video.stream.VideoStream:
    """Return the video stream with the most pixels; the earlier one of equals; cover pictures only when alone.

    Raises:
        VideoError: If there is no video stream with a known size.
    """
    streams = [s for s in container.streams.video if s.codec_context is not None and s.width > 0 and s.height > 0]
    if not streams:
        raise VideoError(f"{path}: the file holds no video stream that can be decoded")
    moving = [stream for stream in streams if not _is_picture(stream)]
    return max(moving or streams, key=lambda stream: stream.width * stream.height)


def _is_picture(stream: av.video.stream.VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def read_header(path: str, timeout: float) -> Header:
    """Open a file and read its header; no frame is decoded.

    Raises:
        VideoError: If it cannot be opened or has no video.
    """
    with open_container(path, timeout) as container:
        return header_of(container, best_stream(container, path))


def header_of(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> Header:
    """Collect what an open container says of one stream."""
    rate = stream.average_rate or stream.guessed_rate
    fps = float(rate) if rate else 0.0
    if stream.duration is not None and stream.time_base is not None:
        duration = float(stream.duration * stream.time_base)
    else:
        duration = (container.duration or 0) / 1e6  # the container counts in microseconds
    announced = stream.frames or round(duration * fps)
    return Header(stream.index, stream.width, stream.height, fps, duration, announced, stream.frames > 0)


def check_complete(path: str, header: Header, frames: int, last_time: float, timeout: float) -> None:
    """Raise when a file clearly holds less than its header says: it was cut off.

    A header with a number of frames is compared with ``frames``. Where the header only gives a duration, the time of
    the last video frame is compared with it, and when that falls short the last packets of all streams are looked at
    too, since sound may rightly last longer than the picture.

    Args:
        path: The file.
        header: What it says.
        frames: Frames that it holds.
        last_time: Presentation time of its last frame, in seconds.
        timeout: Seconds that a second look may take for each read.

    Raises:
        VideoError: If the file is cut off.
    """
    if header.exact:
        if frames < math.floor((1 - SHORTFALL) * header.announced) - 1:
            raise VideoError(
                f"{path}: truncated, {frames} of the {header.announced} frames that its header announces are there"
            )
        return
    needed = (1 - SHORTFALL) * header.duration - 1.0
    if last_time < needed and _last_packet_time(path, timeout) < needed:
        raise VideoError(
            f"{path}: truncated, it ends at {last_time:.2f} s of the {header.duration:.2f} s that its header announces"
        )


def _last_packet_time(path: str, timeout: float) -> float:
    """End of the last packet of any stream, in seconds."""
    last = 0.0
    with open_container(path, timeout) as container:
        try:
            for packet in container.demux():
                if packet.pts is not None and packet.time_base is not None:
                    last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        except (av.error.FFmpegError, OSError):
            return last
    return last
