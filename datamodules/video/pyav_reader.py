"""Reading with PyAV: packets are counted first, then decoded from the start, converting only the wanted frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import av
import av.container
import av.error
import av.video.stream
import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import VideoError
from datamodules.video.header import Header, best_stream, check_complete, describe, header_of, open_container
from datamodules.video.limits import Deadline
from datamodules.video.reader import FrameChunk, FramesMissingError, VideoInfo, chunk_length


@dataclass(frozen=True)
class _Count:
    """Packets of one stream.

    Attributes:
        frames: Packets that hold a frame to be shown.
        last_time: Latest presentation time among them, in seconds.
    """

    frames: int
    last_time: float


class PyAVVideo:
    """A file opened by PyAV.

    Args:
        path: The file.
        threads: Decoding threads; 0 lets FFmpeg choose.
        deadline: Checked between packets and between frames.

    Raises:
        VideoError: If it cannot be opened, its first frame cannot be decoded, or it is cut off.
    """

    def __init__(self, path: str, threads: int, deadline: Deadline) -> None:
        self.path = path
        self._deadline = deadline
        header, count = self._survey()
        check_complete(path, header, count.frames, count.last_time, self._timeout())
        self._decoded = self._decode(header.stream, threads)
        first = next(self._decoded, None)
        if first is None:
            raise VideoError(f"{path}: not one frame can be decoded")
        self._first = first
        self._turns = first.rotation // 90 % 4 if first.rotation % 90 == 0 else 0
        width, height = (first.height, first.width) if self._turns % 2 else (first.width, first.height)
        self.info = VideoInfo(
            path=path,
            width=width,
            height=height,
            fps=header.fps,
            duration=header.duration or (count.frames / header.fps if header.fps > 0 else 0.0),
            frames=count.frames,
            frames_announced=header.announced or count.frames,
            reader="pyav",
        )

    def chunks(self, indices: NDArray[np.int64]) -> Iterator[FrameChunk]:
        """Decode the frames at rising ``indices`` in one pass, a bounded number at a time."""
        length = chunk_length(self.info.width, self.info.height)
        position, frame = 0, self._first
        for start in range(0, len(indices), length):
            part = indices[start : start + length]
            frames = np.empty((len(part), self.info.height, self.info.width, 3), dtype=np.uint8)
            times = np.empty(len(part), dtype=np.float64)
            for row, index in enumerate(part.tolist()):
                while position < index:
                    following = next(self._decoded, None)
                    if following is None:
                        raise self._missing(position + 1)
                    position, frame = position + 1, following
                frames[row] = self._upright(frame)
                times[row] = frame.time if frame.time is not None else np.nan
            yield FrameChunk(part, frames, times)

    def _survey(self) -> tuple[Header, _Count]:
        """Read the header and count the packets; packets that an edit list cuts away are not shown and not counted."""
        with open_container(self.path, self._timeout()) as container:
            stream = best_stream(container, self.path)
            header = header_of(container, stream)
            frames, last = 0, 0.0
            try:
                for packet in container.demux(stream):
                    self._deadline.check()
                    if packet.size and not packet.is_discard:
                        frames += 1
                        if packet.pts is not None and packet.time_base is not None:
                            last = max(last, float(packet.pts * packet.time_base))
            except av.error.FFmpegError as error:
                raise VideoError(f"{self.path}: damaged after {frames} frames ({describe(error)})") from error
        if frames == 0:
            raise VideoError(f"{self.path}: its video stream holds no frame")
        return header, _Count(frames, last)

    def _decode(self, stream_index: int, threads: int) -> Iterator[av.VideoFrame]:
        """Decode every frame in order; an error inside a packet ends the stream as its end does."""
        with open_container(self.path, self._timeout()) as container:
            stream = container.streams[stream_index]
            assert isinstance(stream, av.video.stream.VideoStream)
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = threads
            try:
                for frame in container.decode(stream):
                    self._deadline.check()
                    yield frame
            except av.error.FFmpegError as error:
                self._fault = describe(error)

    _fault = ""

    def _missing(self, decodable: int) -> FramesMissingError:
        reason = f" ({self._fault})" if self._fault else ""
        return FramesMissingError(
            f"{self.path}: decoding ends after {decodable} of {self.info.frames} frames{reason}", decodable
        )

    def _upright(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """RGB picture ``(H, W, 3)`` with the rotation flag applied, in the size of the first frame."""
        turned = self._turns % 2 == 1
        width, height = (self.info.height, self.info.width) if turned else (self.info.width, self.info.height)
        picture = np.asarray(frame.to_ndarray(format="rgb24", width=width, height=height), dtype=np.uint8)
        return np.rot90(picture, self._turns) if self._turns else picture

    def _timeout(self) -> float:
        return max(self._deadline.remaining(), 0.1)
