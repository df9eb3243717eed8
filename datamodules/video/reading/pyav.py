"""Reading with PyAV: every frame is decoded from the start, only the wanted ones are converted."""

from __future__ import annotations

from collections.abc import Iterator

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import VideoError
from datamodules.video.limits import Deadline
from datamodules.video.reading.contract import FrameChunk, OtherFramesError, chunk_length
from datamodules.video.reading.decoding import decoded
from datamodules.video.reading.survey import describe, info_of, open_container, survey
from datamodules.video.reading.timeline import BestEffort
from datamodules.video.reading.tone_mapping import mapping_of
from datamodules.video.reading.whole_frames import WholeFrames


class PyAVVideo:
    """A file opened by PyAV.

    Args:
        path: The file.
        threads: Decoding threads; 0 lets FFmpeg choose.
        deadline: Checked between packets.
        count: Why all frames are decoded to be counted first; empty lets the packets decide.
        tone_mapping: Whether pictures of high dynamic range are mapped to BT.709.

    Raises:
        VideoError: If it cannot be opened, its first frame cannot be decoded, or it is damaged or cut off.
    """

    def __init__(
        self, path: str, threads: int, deadline: Deadline, count: str = "", tone_mapping: bool = False
    ) -> None:
        self.path = path
        self._threads = threads
        self._deadline = deadline
        self._found = survey(path, deadline, count=count)
        self._whole = WholeFrames()
        self._mapping = mapping_of(self._found.picture.transfer) if tone_mapping else None
        self.info = info_of(path, self._found, "pyav")

    def chunks(self, indices: NDArray[np.int64]) -> Iterator[FrameChunk]:
        """Decode the frames at rising ``indices`` in one pass, a bounded number at a time."""
        length = chunk_length(self.info.width, self.info.height)
        decoding = self._decode()
        for start in range(0, len(indices), length):
            part = indices[start : start + length]
            frames = np.empty((len(part), self.info.height, self.info.width, 3), dtype=np.uint8)
            for row, index in enumerate(part.tolist()):
                frames[row] = self._upright(self._seek(decoding, index))
            yield FrameChunk(part, frames, self.info.times[part])
        whole = len(indices) and indices[-1] == self.info.frames - 1 and self._found.ticks is not None
        if whole and next(decoding, None) is not None:
            raise OtherFramesError(f"{self.path}: decoding gives more than {self.info.frames} frames")

    def _seek(self, decoding: Iterator[tuple[int, av.VideoFrame]], index: int) -> av.VideoFrame:
        for position, frame in decoding:
            if position == index:
                return frame
        raise OtherFramesError(f"{self.path}: decoding ends before frame {index} of {self.info.frames}")

    def _decode(self) -> Iterator[tuple[int, av.VideoFrame]]:
        """Number and picture of every frame in order, each compared with what the packets promised."""
        best_effort, ticks = BestEffort(), self._found.ticks
        promised = None if ticks is None else ticks.tolist()
        position = -1
        with open_container(self.path, self._deadline) as container:
            try:
                for position, frame in enumerate(decoded(container, self._found.stream, self._threads, self._deadline)):
                    ticks_found = best_effort.ticks(frame.pts, frame.dts)
                    if promised is not None and promised[position : position + 1] != [ticks_found]:
                        raise OtherFramesError(f"{self.path}: frame {position} is another than its packets promise")
                    yield position, frame
            except av.error.FFmpegError as error:
                failure = OtherFramesError if promised is not None else VideoError
                raise failure(f"{self.path}: damaged after {position + 1} frames ({describe(error)})") from error

    def _upright(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """RGB picture ``(H, W, 3)`` as it is shown, in the size of the first frame."""
        orientation, frame = self._found.picture.orientation, self._whole.of(frame)
        width, height = orientation.size(self.info.width, self.info.height)
        # POINT repeats the colour samples of 4:2:0 and 4:2:2, as the conversion of 8-bit video does in any mode and
        # as decord does for 10 bits too; a frame of another size than the first is interpolated
        mode = "POINT" if (frame.width, frame.height) == (width, height) else "BILINEAR"
        if self._mapping is not None:
            picture = self._mapping.picture(frame, width, height, mode)
        else:
            shown = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation=mode)
            picture = np.asarray(shown, dtype=np.uint8)
        upright: NDArray[np.uint8] = orientation.upright(picture)
        return upright
