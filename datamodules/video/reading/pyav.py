"""Reading with PyAV: every frame is decoded from the start, only the wanted ones are converted."""

from __future__ import annotations

from collections.abc import Iterator

import av
import av.error
import av.video.stream
import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import VideoError
from datamodules.video.limits import Deadline
from datamodules.video.reading.contract import FrameChunk, FramesMissingError, VideoInfo, chunk_length
from datamodules.video.reading.survey import describe, open_container, survey


class PyAVVideo:
    """A file opened by PyAV.

    Args:
        path: The file.
        threads: Decoding threads; 0 lets FFmpeg choose.
        deadline: Checked between packets and between frames.

    Raises:
        VideoError: If it cannot be opened, its first frame cannot be decoded, or it is damaged or cut off.
    """

    def __init__(self, path: str, threads: int, deadline: Deadline) -> None:
        self.path = path
        self._deadline = deadline
        self._fault = ""
        found = survey(path, deadline)
        self._times = found.times
        self._decoded = self._decode(found.stream, threads)
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
            fps=found.fps,
            duration=found.duration,
            frames=found.frames,
            frames_announced=found.announced,
            reader="pyav",
        )

    def chunks(self, indices: NDArray[np.int64]) -> Iterator[FrameChunk]:
        """Decode the frames at rising ``indices`` in one pass, a bounded number at a time."""
        length = chunk_length(self.info.width, self.info.height)
        position, frame = 0, self._first
        for start in range(0, len(indices), length):
            part = indices[start : start + length]
            frames = np.empty((len(part), self.info.height, self.info.width, 3), dtype=np.uint8)
            for row, index in enumerate(part.tolist()):
                while position < index:
                    following = next(self._decoded, None)
                    if following is None:
                        raise self._missing(position + 1)
                    position, frame = position + 1, following
                frames[row] = self._upright(frame)
            yield FrameChunk(part, frames, self._times[part])

    def _decode(self, stream_index: int, threads: int) -> Iterator[av.VideoFrame]:
        """Decode every frame in order; an error inside a packet ends the stream as its end does."""
        with open_container(self.path, self._deadline) as container:
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

    def _missing(self, decodable: int) -> FramesMissingError:
        reason = f" ({self._fault})" if self._fault else ""
        return FramesMissingError(
            f"{self.path}: decoding ends after {decodable} of {self.info.frames} frames{reason}", decodable
        )

    def _upright(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """RGB picture ``(H, W, 3)`` with the rotation flag applied, in the size of the first frame."""
        turned = self._turns % 2 == 1
        width, height = (self.info.height, self.info.width) if turned else (self.info.width, self.info.height)
        # POINT repeats the colour samples of 4:2:0 and 4:2:2, as the conversion of 8-bit video does in any mode and
        # as decord does for 10 bits too; a frame of another size than the first is interpolated
        mode = "POINT" if (frame.width, frame.height) == (width, height) else "BILINEAR"
        picture = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation=mode)
        return np.rot90(np.asarray(picture, dtype=np.uint8), self._turns)
