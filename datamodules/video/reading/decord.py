"""Reading with decord: frames are handed over without a copy."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch  # decord crashes when it is imported before torch
import torch.utils.dlpack
from numpy.typing import NDArray

from datamodules.common.errors import VideoError
from datamodules.video.limits import Deadline
from datamodules.video.reading.contract import FrameChunk, VideoInfo, chunk_length
from datamodules.video.reading.survey import CannotOpenError, Survey, survey, trusted_times

if TYPE_CHECKING:
    import decord

_FAULTS = 1e-9  # below one frame: any frame that decord repairs by repeating another counts as a failure


class DecordVideo:
    """A file opened by decord.

    The first frame is decoded on opening, because decord tells the size of the upright picture in no other way; it is
    kept, so that the pass over the wanted frames never turns back.

    Args:
        path: The file.
        threads: Decoding threads; 0 lets FFmpeg choose.
        deadline: Bounds the survey.

    Raises:
        VideoError: If decord cannot open the file or decode its first frame, the file is damaged or cut off, or
            decord counts other frames than are shown (it does not know edit lists).
    """

    def __init__(self, path: str, threads: int, deadline: Deadline) -> None:
        self.path = path
        found = _survey(path, deadline)
        self._reader = _open(path, threads, quietly=found is None)
        frames = len(self._reader)
        if found is None:
            found = _decord_survey(self._reader)
        elif found.trimmed:
            raise VideoError(f"{path}: an edit list cuts away {found.trimmed} frames that it would show")
        elif found.frames != frames:
            raise VideoError(f"{path}: its index has {frames} frames, the file {found.frames}")
        self._times = found.times
        self._first = self._decode([0])
        self.info = VideoInfo(
            path=path,
            width=int(self._first.shape[2]),
            height=int(self._first.shape[1]),
            fps=found.fps,
            duration=found.duration,
            frames=frames,
            frames_announced=found.announced,
            reader="decord",
        )

    def chunks(self, indices: NDArray[np.int64]) -> Iterator[FrameChunk]:
        """Decode the frames at rising ``indices`` in one pass, a bounded number at a time."""
        if indices.size and indices[0] == 0:
            yield FrameChunk(indices[:1], self._first, self._times[:1])
            indices = indices[1:]
        length = chunk_length(self.info.width, self.info.height)
        for start in range(0, len(indices), length):
            part = indices[start : start + length]
            yield FrameChunk(part, self._decode(part.tolist()), self._times[part])

    def _decode(self, indices: list[int]) -> NDArray[np.uint8]:
        from decord import DECORDError, DECORDLimitReachedError

        try:
            batch = self._reader.get_batch(indices)
        except (DECORDError, DECORDLimitReachedError, RuntimeError, IndexError) as error:
            where = f"frames {indices[0]} to {indices[-1]}"
            raise VideoError(f"{self.path}: {where} of {len(self._reader)} cannot be decoded") from error
        # the capsule shares decord's memory: asnumpy() would copy 88 MB for 32 frames of 720p
        frames: NDArray[np.uint8] = torch.utils.dlpack.from_dlpack(batch.to_dlpack()).numpy()
        return frames


def _survey(path: str, deadline: Deadline) -> Survey | None:
    """The survey; None where PyAV cannot open the file, since decord's older FFmpeg may still do."""
    try:
        return survey(path, deadline)
    except CannotOpenError:
        return None


def _decord_survey(reader: decord.VideoReader) -> Survey:
    """What decord alone tells of a file."""
    frames, fps = len(reader), float(reader.get_avg_fps())
    times = np.asarray(reader.get_frame_timestamp(list(range(frames))), dtype=np.float64)[:, 0]
    return Survey(-1, fps, frames / fps if fps > 0 else 0.0, frames, frames, 0, trusted_times(times, fps))


def _open(path: str, threads: int, *, quietly: bool) -> decord.VideoReader:
    if any("\ud800" <= letter <= "\udfff" for letter in path):
        raise VideoError(f"{path}: its name is no UTF-8, which it does not take")
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    try:
        if not quietly:
            return decord.VideoReader(path, ctx=decord.cpu(0), num_threads=threads, fault_tol=_FAULTS)
        with _without_stderr():
            return decord.VideoReader(path, ctx=decord.cpu(0), num_threads=threads, fault_tol=_FAULTS)
    except (decord.DECORDError, RuntimeError, AssertionError) as error:
        raise VideoError(f"{path}: {_open_reason(error)}") from error


def _open_reason(error: BaseException) -> str:
    if "cannot find video stream" in str(error):
        return "no video stream that its FFmpeg can decode"
    if "Invalid frame count" in str(error):
        return "no frames"
    return "cannot be opened"


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Send the process' stderr to a scratch file for the moment of one call.

    decord writes a line there for each file that it cannot open, at every log level. Used only for a file that PyAV
    could not open either, so that the window is short and rare.
    """
    with tempfile.TemporaryFile() as scratch:
        saved = os.dup(2)
        try:
            os.dup2(scratch.fileno(), 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
