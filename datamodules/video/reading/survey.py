"""What a file says about its video and what it holds: a look at the header and at every packet, decoding nothing.

Both readers begin here, so that they agree on the stream, the number of frames and their times, and on what is cut off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import av
import av.container
import av.error
import av.logging
import av.stream
import av.video.stream
import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import VideoError
from datamodules.video.limits import Deadline

SHORTFALL = 0.05  # part of the announced frames, or of the announced duration, that may be missing
ODD_LETTERS = "replace"  # what becomes of a title that is no UTF-8
_Stream = av.video.stream.VideoStream

av.logging.set_level(None)  # FFmpeg writes its notes about damaged streams to stderr; our errors name the file instead


class CannotOpenError(VideoError):
    """FFmpeg does not recognise the file, or finds no video in it."""


@dataclass(frozen=True)
class Survey:
    """The video stream with the most pixels.

    Attributes:
        stream: Number of the stream in the file.
        fps: Average frames a second; 0 where unknown.
        duration: Seconds, as the container states them, or frames / fps; 0 where neither is known.
        announced: Frames that the header promises, or duration times rate where it promises none.
        frames: Packets with a frame that is shown: all but those that an edit list (a trimmed clip) cuts away.
        trimmed: Packets that an edit list cuts away.
        times: Presentation times of the shown frames in seconds, rising, float64 ``(frames,)``: those of the
            container, or index / fps where the container has none or they do not rise.
    """

    stream: int
    fps: float
    duration: float
    announced: int
    frames: int
    trimmed: int
    times: NDArray[np.float64]


def survey(path: str, deadline: Deadline) -> Survey:
    """Read the header and all packets of a file.

    Raises:
        CannotOpenError: If FFmpeg cannot open the file or it holds no video.
        VideoError: If the file is damaged or cut off, or the time is over.
    """
    with open_container(path, deadline) as container:
        stream = best_stream(container, path)
        times: list[float] = []
        trimmed = 0
        try:
            for packet in container.demux(stream):
                deadline.check()
                if packet.size and packet.is_discard:
                    trimmed += 1
                elif packet.size:
                    times.append(_packet_time(packet))
        except av.error.FFmpegError as error:
            raise VideoError(f"{path}: damaged after {len(times)} frames ({describe(error)})") from error
        if not times:
            raise VideoError(f"{path}: its video stream holds no frame")
        _check_complete(path, container, stream, len(times) + trimmed, np.sort(times)[-1], deadline)
        fps, duration = rate_of(stream), _duration(container, stream)
        return Survey(
            stream=stream.index,
            fps=fps,
            duration=duration or (len(times) / fps if fps > 0 else 0.0),
            announced=stream.frames or round(duration * fps) or len(times),
            frames=len(times),
            trimmed=trimmed,
            times=trusted_times(np.sort(times), fps),
        )


def open_container(path: str, deadline: Deadline) -> av.container.InputContainer:
    """Open a file with PyAV; opening and each later read are bounded by the time that is left.

    Raises:
        CannotOpenError: If FFmpeg cannot open the file.
    """
    seconds = max(deadline.remaining(), 0.1)
    try:
        return av.open(path, timeout=(seconds, seconds), metadata_errors=ODD_LETTERS)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise CannotOpenError(f"{path}: {describe(error)}") from error


def describe(error: BaseException) -> str:
    """FFmpeg's reason in a few words, without its number and the path."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(reason).splitlines()[0][:160]


def best_stream(container: av.container.InputContainer, path: str) -> _Stream:
    """Return the video stream with the most pixels, the earlier one of equals; a cover picture is none.

    Raises:
        CannotOpenError: If there is no video stream that can be decoded.
        VideoError: If there is only a cover picture beside the sound.
    """
    streams = [s for s in container.streams.video if s.codec_context is not None and s.width > 0 and s.height > 0]
    if not streams:
        raise CannotOpenError(f"{path}: the file holds no video stream that can be decoded")
    moving = [stream for stream in streams if not stream.disposition & av.stream.Disposition.attached_pic]
    if not moving:
        raise VideoError(f"{path}: the file holds only a cover picture, no video")
    return max(moving, key=lambda stream: stream.width * stream.height)


def trusted_times(times: NDArray[np.float64], fps: float) -> NDArray[np.float64]:
    """Presentation times that rise from frame to frame, or index / fps where those of the container do not.

    Args:
        times: Times in seconds as the container gives them, float64 ``(N,)``; some may be absent (NaN or absurd).
        fps: Average frames a second; 0 where unknown.

    Returns:
        float64 ``(N,)``; NaN where neither is known.

    Example:
        >>> trusted_times(np.array([0.0, 0.0, 0.2]), fps=10.0).tolist()
        [0.0, 0.1, 0.2]
    """
    if np.isfinite(times).all() and np.abs(times).max() < 1e9 and (np.diff(times) > 0).all():
        return times
    return np.arange(len(times)) / fps if fps > 0 else np.full(len(times), np.nan)


def rate_of(stream: _Stream) -> float:
    """Average frames a second as the container states them; 0 where it does not say."""
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate else 0.0


def _duration(container: av.container.InputContainer, stream: _Stream) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1e6  # the container counts in microseconds


def _packet_time(packet: av.Packet[_Stream]) -> float:
    """Presentation time of a packet in seconds, NaN where it has none."""
    if packet.pts is None or packet.time_base is None:
        return math.nan
    return float(packet.pts * packet.time_base)


def _check_complete(
    path: str,
    container: av.container.InputContainer,
    stream: _Stream,
    packets: int,
    last_time: float,
    deadline: Deadline,
) -> None:
    """Raise when a file clearly holds less than its header says: it was cut off.

    A header with a number of frames is compared with the number of packets. Where the header only gives a duration,
    the time of the last video packet is compared with it, and when that falls short the last packets of all streams
    are looked at too, since sound may rightly last longer than the picture.
    """
    if stream.frames:
        if packets < math.floor((1 - SHORTFALL) * stream.frames):
            raise VideoError(f"{path}: truncated, {packets} of the {stream.frames} frames that its header announces")
        return
    duration = _duration(container, stream)
    needed = (1 - SHORTFALL) * duration - 1.0
    if last_time < needed and last_packet_time(path, deadline) < needed:
        raise VideoError(f"{path}: truncated, it ends at {last_time:.2f} s but announces {duration:.2f} s")


def last_packet_time(path: str, deadline: Deadline) -> float:
    """End of the last packet of any stream, in seconds.

    Raises:
        VideoError: If the time is over before it is found.
    """
    last = 0.0
    with open_container(path, deadline) as container:
        try:
            for packet in container.demux():
                deadline.check()
                if packet.pts is not None and packet.time_base is not None:
                    last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        except av.error.FFmpegError:
            return last
    return last
