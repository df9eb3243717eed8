"""What a file says about its video and what it holds: its header, every packet, and its first frame.

All readers begin here, so that they agree on the stream, the number of frames and their times, on what is cut off and
on how pictures are laid. Only where packets do not tell the frames (``packets.PacketTable.why_decode``) are all of them
decoded to be counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

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
from datamodules.video.reading.contract import VideoInfo
from datamodules.video.reading.decoding import StreamDecoder, decoded
from datamodules.video.reading.orientation import Orientation, orientation_of
from datamodules.video.reading.packets import PacketTable
from datamodules.video.reading.timeline import ABSURD, BestEffort, Timeline, clock_origin, seconds
from datamodules.video.reading.transfer import transfer_of

SHORTFALL = 0.05  # part of the announced frames, or of the announced duration, that may be missing
_BYTE = 8  # bits
ODD_LETTERS = "replace"  # what becomes of a title that is no UTF-8
_INDEXED = ("mov", "matroska", "avi")  # parts of FFmpeg's names of containers
_Stream = av.video.stream.VideoStream

av.logging.set_level(None)  # FFmpeg writes its notes about damaged streams to stderr; our errors name the file instead


class CannotOpenError(VideoError):
    """FFmpeg does not recognise the file, or finds no video in it."""


@dataclass(frozen=True)
class Picture:
    """What the first frame that decodes says of all pictures.

    Attributes:
        width: Width of the upright picture in pixels.
        height: Its height.
        orientation: How decoded pictures are laid to be upright.
        transfer: FFmpeg's name of its transfer function; empty where unknown.
        pixel_aspect: Width of an upright pixel by its height.
        deep_halves: Whether it has more than 8 bits, and half as many lines of colours as of light.
    """

    width: int
    height: int
    orientation: Orientation
    transfer: str
    pixel_aspect: Fraction
    deep_halves: bool


@dataclass(frozen=True)
class Survey:
    """The video stream with the most pixels.

    Attributes:
        stream: Number of the stream in the file.
        fps: Average frames a second; 0 where unknown.
        duration: Seconds from the first picture to the end of the last, whatever the container says: that may count
            its sound, or what an edit list cuts away.
        announced: Frames that the header promises, or the container's duration times rate where it promises none.
        hidden: Packets that an edit list (a trimmed clip) cuts away.
        times: When the frames that are shown are presented, in seconds from the start of the container, rising,
            float64 ``(frames,)``: FFmpeg's best effort, repaired one by one where it does not rise.
        ticks: The best effort itself in units of the stream's time base, int64 ``(frames,)``; None where the frames
            were counted by decoding.
        counted: Why they were; empty where the packets told them.
        indexed: Whether the container is an mp4, Matroska or AVI with an index, so that a reader may begin elsewhere
            than at its start.
        open_groups: Whether pictures look back beyond a key frame, so that no reader may begin there.
        picture: What the first frame says of all pictures.
    """

    stream: int
    fps: float
    duration: float
    announced: int
    hidden: int
    times: NDArray[np.float64]
    ticks: NDArray[np.int64] | None
    counted: str
    indexed: bool
    open_groups: bool
    picture: Picture

    @property
    def frames(self) -> int:
        """Frames that are shown, as ``ffprobe -count_frames`` counts them."""
        return len(self.times)


def survey(path: str, deadline: Deadline, *, count: str = "") -> Survey:
    """Read the header, all packets and the first frame of a file.

    Args:
        path: The file.
        deadline: Bounds it.
        count: Why all frames are decoded to be counted, whatever the packets say; empty lets these decide.

    Raises:
        CannotOpenError: If FFmpeg cannot open the file or it holds no video.
        VideoError: If the file is damaged or cut off, or the time is over.
    """
    with open_container(path, deadline) as container:
        stream = best_stream(container, path)
        known = len(stream.index_entries)
        packets, first = _scan(path, container, stream, deadline)
        fps, stated, origin = rate_of(stream), _duration(container, stream), clock_origin(container)
        last = max((pts for pts in packets.pts if pts is not None), default=None)
        end = math.nan if last is None else (seconds(last, stream.time_base) or 0.0) - min(origin, 0.0)
        _check_complete(path, container, stream, packets.count + packets.hidden, known, end, deadline)
        count = count or packets.why_decode(stream)
        if first is None:
            raise VideoError(f"{path}: not one frame can be decoded")
        if count:
            enough = min(packets.count - 1, math.floor((1 - SHORTFALL) * packets.count))
            times, ticks = _counted(path, stream.index, Timeline(fps, origin), enough, deadline), None
        else:
            ticks = packets.ticks()
            unit = stream.time_base or Fraction(1)
            times = ticks * float(unit.numerator) / unit.denominator - origin
        return Survey(
            stream=stream.index,
            fps=fps,
            duration=shown_for(times, seconds(packets.last_length.ticks, stream.time_base) or 0.0, fps),
            announced=stream.frames or round(stated * fps) or len(times),
            hidden=packets.hidden,
            times=times,
            ticks=ticks,
            counted=count,
            indexed=known > 0 and any(name in container.format.name for name in _INDEXED),
            open_groups=packets.open_groups(),
            picture=_picture(first, stream),
        )


def shown_for(times: NDArray[np.float64], last_length: float, fps: float) -> float:
    """Seconds from the first picture to the end of the last.

    Args:
        times: When each picture is shown, rising, in seconds, float64 ``(frames,)``, at least one.
        last_length: Seconds for which the last one is shown; 0 where unknown: as long as the one before it, or as all
            are on average.
        fps: Average frames a second; 0 where unknown.
    """
    if not 0 < last_length < ABSURD:
        last_length = float(times[-1] - times[-2]) if len(times) > 1 else 1 / fps if fps > 0 else 0.0
    return float(times[-1] - times[0]) + last_length


def _scan(
    path: str, container: av.container.InputContainer, stream: _Stream, deadline: Deadline
) -> tuple[PacketTable, av.VideoFrame | None]:
    """All packets of a stream; they are decoded up to the first frame."""
    packets = PacketTable(stream.codec_context.name, stream.codec_context.extradata)
    first: av.VideoFrame | None = None
    decoder = StreamDecoder(container, stream, 1, "SLICE")  # more threads decode more frames before they give the first
    try:
        for packet in decoder.packets():
            deadline.check()
            packets.add(packet)
            if first is None:
                first = _first_of(decoder, packet)
    except av.error.FFmpegError as error:
        raise VideoError(f"{path}: damaged after {packets.count} frames ({describe(error)})") from error
    if not packets.count:
        raise VideoError(f"{path}: its video stream holds no frame")
    return packets, first


def _first_of(decoder: StreamDecoder, packet: av.Packet[_Stream]) -> av.VideoFrame | None:
    try:
        return next(iter(decoder.decode(packet)), None)
    except av.error.FFmpegError:
        return None  # a stream may begin between two key frames


def _counted(path: str, number: int, timeline: Timeline[None], enough: int, deadline: Deadline) -> NDArray[np.float64]:
    """Times of all frames that decode; damage after ``enough`` of them is that of a file's last moments."""
    best_effort = BestEffort()
    times: list[float] = []
    with open_container(path, deadline) as container:
        try:
            for frame in decoded(container, number, 0, deadline):
                times += [time for _, time in timeline.add(None, best_effort.time(frame))]
        except av.error.FFmpegError as error:
            if len(times) < enough:
                raise VideoError(f"{path}: damaged after {len(times)} frames ({describe(error)})") from error
    times += [time for _, time in timeline.rest()]
    return np.array(times, dtype=np.float64)


def _picture(first: av.VideoFrame, stream: _Stream) -> Picture:
    orientation = orientation_of(first)
    width, height = orientation.size(first.width, first.height)
    deep = any(component.bits > _BYTE for component in first.format.components)
    halves = first.format.chroma_height(first.height) < first.height
    aspect = pixel_aspect(stream, orientation)
    return Picture(width, height, orientation, transfer_of(first), aspect, deep and halves)


def pixel_aspect(stream: _Stream, orientation: Orientation) -> Fraction:
    """Width of an upright pixel by its height; 1 where the container does not say."""
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    if aspect <= 0:
        return Fraction(1)
    return 1 / aspect if orientation.transposed else aspect


def info_of(path: str, found: Survey, reader: str) -> VideoInfo:
    """What a survey tells of a file."""
    return VideoInfo(
        path=path,
        width=found.picture.width,
        height=found.picture.height,
        fps=found.fps,
        duration=found.duration,
        frames=found.frames,
        frames_announced=found.announced,
        reader=reader,
        times=found.times,
        transfer=found.picture.transfer,
        pixel_aspect=found.picture.pixel_aspect,
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


def rate_of(stream: _Stream) -> float:
    """Average frames a second as the container states them; 0 where it does not say."""
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate else 0.0


def _duration(container: av.container.InputContainer, stream: _Stream) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return max(0.0, float(stream.duration * stream.time_base))
    return max(0.0, (container.duration or 0) / 1e6)  # the container counts in microseconds


def _check_complete(
    path: str,
    container: av.container.InputContainer,
    stream: _Stream,
    samples: int,
    indexed: int,
    end: float,
    deadline: Deadline,
) -> None:
    """Raise when a file clearly holds less than its header says: it was cut off."""
    if stream.frames and holds_all(stream.frames, samples, indexed):
        return
    duration = _duration(container, stream)
    needed = (1 - SHORTFALL) * duration - 1.0
    if stream.frames:
        raise VideoError(f"{path}: truncated, {samples} of the {stream.frames} frames that its header announces")
    if end < needed and last_packet_time(path, deadline) < needed:
        raise VideoError(f"{path}: truncated, it ends at {end:.2f} s but announces {duration:.2f} s")


def holds_all(announced: int, samples: int, indexed: int) -> bool:
    """Whether a stream holds what its header announces.

    Args:
        announced: Frames in the header.
        samples: Packets that were read, those that an edit list hides too.
        indexed: Packets that the container's index names: fewer than announced where an edit list leaves some out
            altogether, or where a recorder wrote none for pictures that did not change. 0 where there is no index.
    """
    enough = math.floor((1 - SHORTFALL) * announced)
    return samples >= enough or (0 < indexed < enough and samples >= math.floor((1 - SHORTFALL) * indexed))


def last_packet_time(path: str, deadline: Deadline) -> float:
    """End of the last packet of any stream, in seconds; from the start of the container where that is negative.

    Raises:
        VideoError: If the time is over before it is found.
    """
    last = 0.0
    with open_container(path, deadline) as container:
        origin = clock_origin(container)
        try:
            for packet in container.demux():
                deadline.check()
                if packet.pts is not None and packet.time_base is not None:
                    last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base) - min(origin, 0.0))
        except av.error.FFmpegError:
            return last
    return last
