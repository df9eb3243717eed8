"""Frames of a source one after the other, however long it is: one pass, constant memory, times of the container.

Unlike ``datamodules.video.reading.reader`` this looks at nothing twice: the header's counts are only compared with what
came out when the end is reached. Frames and their times are the same in both, but a packet that cannot be decoded is
passed over here, so that a damaged or joined stream gives all that it holds, and is told of at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import av.container
import av.error
import av.video.stream
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from datamodules.common.errors import VideoError
from datamodules.video.limits import Deadline
from datamodules.video.reading.decoding import StreamDecoder, ThreadKind
from datamodules.video.reading.orientation import Orientation, orientation_of
from datamodules.video.reading.packets import LastLength
from datamodules.video.reading.survey import (
    ODD_LETTERS,
    SHORTFALL,
    CannotOpenError,
    best_stream,
    describe,
    holds_all,
    last_packet_time,
    pixel_aspect,
    rate_of,
)
from datamodules.video.reading.timeline import ABSURD, BestEffort, Timeline, clock_origin, seconds
from datamodules.video.reading.tone_mapping import mapping_of
from datamodules.video.reading.transfer import transfer_of
from datamodules.video.reading.whole_frames import WholeFrames
from datamodules.video.streaming.sources import STANDARD_INPUT, is_live, opening, standard_input_is_file

_HOPELESS = 1000  # packets in a row that cannot be decoded


class TimedFrame(NamedTuple):
    """A decoded frame and its presentation time in seconds."""

    frame: av.VideoFrame
    time: float


@dataclass(frozen=True)
class SourceFacts:
    """What is known of a source when its first frame is there.

    Attributes:
        name: The source as it was given.
        path: Absolute path of a file; empty otherwise.
        live: False for a file and for an address or pipe that states its duration, hence is a recording.
        width: Width of the upright picture in pixels.
        height: Height of the upright picture in pixels.
        orientation: How decoded pictures are laid to be upright.
        fps: Average frames a second; 0 where unknown.
        duration: Seconds; NaN where unknown.
        transfer: FFmpeg's name of the transfer function of the pictures; empty where unknown.
        pixel_aspect: Width of an upright pixel by its height.
    """

    name: str
    path: str
    live: bool
    width: int
    height: int
    orientation: Orientation
    fps: float
    duration: float
    transfer: str
    pixel_aspect: Fraction


class StreamReader:
    """One opened source; used for one pass, from one thread.

    Args:
        source: A single source, as ``sources_of`` gives it.
        timeout: Seconds that opening, and each later read from the network, may take.
        threads: Decoding threads; 0 lets FFmpeg choose.

    Raises:
        VideoError: If the source cannot be opened or holds no video.
    """

    def __init__(self, source: str, *, timeout: float = 60.0, threads: int = 0) -> None:
        self.source = source
        self.fault = ""
        self._delivered = 0
        self._packets = 0
        self._indexed = 0
        self._origin = 0.0
        self._damaged = 0
        self._last_time = -math.inf
        self._last_length = LastLength()
        self._live = is_live(source)
        self._container = _open(source, timeout)
        try:
            self._stream = best_stream(self._container, source)
            self._origin = clock_origin(self._container)
            self._indexed = len(self._stream.index_entries)
            kind: ThreadKind = "SLICE" if self._live else "AUTO"  # frame threads delay a live picture
            self._decoder = StreamDecoder(self._container, self._stream, threads, kind)
        except BaseException:
            self._container.close()
            raise

    @property
    def recording(self) -> bool:
        """True for a source that can be read at leisure: a file, or a container that states its duration."""
        if not self._live:
            return True
        if self.source == STANDARD_INPUT and standard_input_is_file():
            return True
        at_leisure = self.source == STANDARD_INPUT or self.source.startswith(("http://", "https://", "ftp://"))
        return at_leisure and self.duration > 0

    @property
    def fps(self) -> float:
        """Average frames a second as the container states them; 0 where it does not say."""
        return rate_of(self._stream)

    @property
    def duration(self) -> float:
        """Seconds as the container states them; NaN where it does not say."""
        if self._stream.duration and self._stream.time_base is not None and self._stream.duration > 0:
            return float(self._stream.duration * self._stream.time_base)
        return self._container.duration / 1e6 if self._container.duration else math.nan

    @property
    def end(self) -> float:
        """Time in seconds at which the last frame ends, once all were read; 0 where the packets do not say."""
        length = seconds(self._last_length.ticks, self._stream.time_base) or 0.0
        return self._last_time + length if self._delivered and 0 < length < ABSURD else 0.0

    def facts(self, frame: av.VideoFrame) -> SourceFacts:
        """What is known of the source; ``frame`` is its first one, which carries the display matrix."""
        orientation = orientation_of(frame)
        width, height = orientation.size(frame.width, frame.height)
        return SourceFacts(
            name=self.source,
            path="" if self._live else str(Path(self.source).absolute()),
            live=not self.recording,
            width=width,
            height=height,
            orientation=orientation,
            fps=self.fps,
            duration=self.duration,
            transfer=transfer_of(frame),
            pixel_aspect=pixel_aspect(self._stream, orientation),
        )

    def frames(self, progress: Callable[[], None] = lambda: None) -> Iterator[TimedFrame]:
        """Decode every frame in presentation order; ``fault`` then tells in one sentence what was wrong, if anything.

        Args:
            progress: Called after each packet; an error that it raises ends the reading.
        """
        timeline, best_effort = Timeline[av.VideoFrame](self.fps, self._origin), BestEffort()
        try:
            for frame in self._decoded(progress):
                for settled in timeline.add(frame, best_effort.time(frame)):
                    self._last_time = settled[1]
                    yield TimedFrame(*settled)
            for settled in timeline.rest():
                self._last_time = settled[1]
                yield TimedFrame(*settled)
            self._judge()
        finally:
            self._container.close()

    def close(self) -> None:
        """Close the source; harmless when repeated."""
        self._container.close()

    def _decoded(self, progress: Callable[[], None]) -> Iterator[av.VideoFrame]:
        """Decode packet by packet, passing over the damaged ones."""
        in_a_row = 0
        try:
            for packet in self._decoder.packets():
                progress()
                self._packets += bool(packet.size)
                if not packet.is_discard:
                    self._last_length.add(packet)
                try:
                    decoded = self._decoder.decode(packet)
                except av.error.FFmpegError as error:
                    self._damaged += bool(self._delivered)  # a recording may begin between two key frames
                    in_a_row += 1
                    if in_a_row >= _HOPELESS:
                        self.fault = f"{self.source}: {in_a_row} packets in a row are damaged ({describe(error)})"
                        return
                    continue
                for frame in decoded:
                    in_a_row = 0
                    self._delivered += 1
                    yield frame
        except (av.error.FFmpegError, OSError) as error:
            self.fault = f"{self.source}: broke off after {self._delivered} frames ({describe(error)})"

    def _judge(self) -> None:
        """Say what was wrong once the end is reached: nothing decoded, damage, or less than the header promises."""
        if self.fault:
            return
        if not self._delivered:
            self.fault = f"{self.source}: not one frame can be decoded; the file is empty or damaged"
        elif self._live:
            return
        elif self._damaged:
            packets = "1 packet" if self._damaged == 1 else f"{self._damaged} packets"
            self.fault = f"{self.source}: damaged, {packets} could not be decoded; {self._count()} were"
        elif self._truncated():
            self.fault = f"{self.source}: truncated, its header announces more than the {self._count()} that it holds"

    def _count(self) -> str:
        return f"{self._delivered} frames (to {self._last_time:.2f} s)"

    def _truncated(self) -> bool:
        """True when the file holds clearly less than its header says."""
        if self._stream.frames:
            return not holds_all(self._stream.frames, self._packets, self._indexed)
        needed = (1 - SHORTFALL) * self.duration - 1.0
        end = self._last_time + max(0.0, self._origin)  # the duration of some containers is the time of their end
        if self._stream.duration:
            return end < needed
        return end < needed and _end_of_packets(self.source) < needed  # sound may last longer


class PictureConverter:
    """Writes decoded frames into arrays: squeezed to a square of so many pixels a side, or upright in full size.

    One converter serves one source: its two scalers are set up once and kept, which is three times as fast as a
    scaler a frame.

    Args:
        facts: What is known of the source.
        side: Pixels of a side of the square.
        tone_mapping: Whether pictures of high dynamic range are mapped to BT.709.
    """

    def __init__(self, facts: SourceFacts, side: int, tone_mapping: bool = False) -> None:
        self._mapping = mapping_of(facts.transfer) if tone_mapping else None
        self._whole = WholeFrames()
        self._orientation = facts.orientation
        self._side = side
        self._size = facts.orientation.size(facts.width, facts.height)
        self._name = facts.name
        self._to_square, self._to_full = VideoReformatter(), VideoReformatter()

    def square(self, frame: av.VideoFrame, out: NDArray[np.uint8]) -> None:
        """Resize without keeping the aspect ratio, with a filter as wide as the reduction; ``out`` is ``(3, S, S)``.

        Planes rather than pixels are asked of FFmpeg: it would halve the colours of pixels once more.

        Raises:
            VideoError: If FFmpeg cannot convert such pictures.
        """
        frame = self._whole.of(frame)
        if self._mapping is not None:
            mapped = self._mapping.picture(frame, self._side, self._side, "BILINEAR")
            out[...] = self._orientation.upright(mapped).transpose(2, 0, 1)
            return
        converted = self._converted(self._to_square, frame, (self._side, self._side), "gbrp", "BILINEAR")
        for channel, plane in enumerate((2, 0, 1)):
            out[channel] = self._orientation.upright(_rows(converted, plane, self._side))

    def full(self, frame: av.VideoFrame, out: NDArray[np.uint8]) -> None:
        """Convert to RGB; ``out`` is ``(H, W, 3)``. A frame of another size than the first is interpolated.

        Raises:
            VideoError: If FFmpeg cannot convert such pictures.
        """
        # POINT repeats the colour samples of 4:2:0 and 4:2:2, as datamodules.video.reading.reader does
        mode = "POINT" if (frame.width, frame.height) == self._size else "BILINEAR"
        frame = self._whole.of(frame)
        if self._mapping is not None:
            out[...] = self._orientation.upright(self._mapping.picture(frame, *self._size, mode))
            return
        converted = self._converted(self._to_full, frame, self._size, "rgb24", mode)
        picture = _rows(converted, 0, converted.width * 3).reshape(converted.height, converted.width, 3)
        out[...] = self._orientation.upright(picture)

    def _converted(
        self, scaler: VideoReformatter, frame: av.VideoFrame, size: tuple[int, int], layout: str, mode: str
    ) -> av.VideoFrame:
        try:
            return scaler.reformat(frame, size[0], size[1], layout, interpolation=mode)
        except (av.error.FFmpegError, ValueError) as error:
            raise VideoError(
                f"{self._name}: pictures of {frame.width}x{frame.height} in {frame.format.name} cannot be converted "
                f"({describe(error)}); convert the video first"
            ) from error


def _rows(frame: av.VideoFrame, plane: int, length: int) -> NDArray[np.uint8]:
    """A view of one plane without the padding of its rows, uint8 ``(height, length)``."""
    data = frame.planes[plane]
    rows = np.frombuffer(memoryview(data), dtype=np.uint8).reshape(-1, data.line_size)
    return rows[: frame.height, :length]


def _open(source: str, timeout: float) -> av.container.InputContainer:
    what = opening(source)
    try:
        return av.open(
            what.url, format=what.format, options=what.options, timeout=(timeout, timeout), metadata_errors=ODD_LETTERS
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise CannotOpenError(
            f"{source}: cannot be opened ({describe(error)}); check that it is there, is a video and may be read"
        ) from error


def _end_of_packets(path: str) -> float:
    """End of the last packet of any stream in seconds; read only when the pictures end early."""
    try:
        return last_packet_time(path, Deadline(60.0, path))
    except VideoError:
        return math.inf
