"""Reading with decord: frames are handed over without a copy."""

from __future__ import annotations

import os
import tempfile
import threading
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
from datamodules.video.reading.orientation import Orientation
from datamodules.video.reading.survey import CannotOpenError, Survey, info_of, survey
from datamodules.video.reading.timeline import Timeline
from datamodules.video.reading.tone_mapping import HDR

if TYPE_CHECKING:
    import decord

_STDERR = threading.Lock()  # of the whole process: one thread at a time may move it
_FAULTS = 1e-9  # below one frame: any frame that decord repairs by repeating another counts as a failure


class DecordVideo:
    """A file opened by decord.

    The first frame is decoded on opening, because decord tells the size of the upright picture in no other way; it is
    kept, so that the pass over the wanted frames never turns back.

    Args:
        path: The file.
        threads: Decoding threads; 0 lets FFmpeg choose.
        deadline: Bounds the survey.
        tone_mapping: Whether pictures of high dynamic range are mapped to BT.709, which PyAV alone does.

    Raises:
        VideoError: If decord cannot open the file or decode its first frame, the file is damaged or cut off, or
            decord would show other frames than a player (see ``why_not``).
    """

    def __init__(self, path: str, threads: int, deadline: Deadline, tone_mapping: bool = False) -> None:
        self.path = path
        found = _survey(path, deadline)
        if found is not None and (reason := why_not(found)):
            raise VideoError(f"{path}: {reason}")
        if found is not None and tone_mapping and found.picture.transfer in HDR:
            raise VideoError(f"{path}: it hands over 8 bits, and tones are mapped from more")
        self._reader = _open(path, threads, quietly=found is None)
        self._first = self._decode([0])
        self.info = self._alone() if found is None else info_of(path, found, "decord")
        if self.info.frames != len(self._reader):
            raise VideoError(f"{path}: its index has {len(self._reader)} frames, the file {self.info.frames}")
        if self._first.shape[1:3] != (self.info.height, self.info.width):
            raise VideoError(f"{path}: its pictures are {self._first.shape[2]}x{self._first.shape[1]}")

    def _alone(self) -> VideoInfo:
        """What decord alone tells of a file."""
        frames, fps = len(self._reader), float(self._reader.get_avg_fps())
        told = np.asarray(self._reader.get_frame_timestamp(list(range(frames))), dtype=np.float64)[:, 0]
        timeline = Timeline[None](fps)
        times = [time for one in told.tolist() for _, time in timeline.add(None, one)]
        times += [time for _, time in timeline.rest()]
        return VideoInfo(
            path=self.path,
            width=int(self._first.shape[2]),
            height=int(self._first.shape[1]),
            fps=fps,
            duration=frames / fps if fps > 0 else 0.0,
            frames=frames,
            frames_announced=frames,
            reader="decord",
            times=np.array(times, dtype=np.float64),
        )

    def chunks(self, indices: NDArray[np.int64]) -> Iterator[FrameChunk]:
        """Decode the frames at rising ``indices`` in one pass, a bounded number at a time."""
        if indices.size and indices[0] == 0:
            yield FrameChunk(indices[:1], self._first, self.info.times[:1])
            indices = indices[1:]
        length = chunk_length(self.info.width, self.info.height)
        for start in range(0, len(indices), length):
            part = indices[start : start + length]
            yield FrameChunk(part, self._decode(part.tolist()), self.info.times[part])

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


def why_not(found: Survey) -> str:
    """Why decord would show other frames of a file than a player; empty where it shows the same.

    It takes packets for frames, begins at any key frame and misses it where there is no index or the clock is negative,
    and knows neither edit lists nor mirrored pictures nor turns that the bit stream asks for. It lays the colours of
    4:2:0 of more than 8 bits half a line too low.
    """
    if found.hidden:
        return f"an edit list cuts away {found.hidden} frames that it would show"
    if found.counted:
        return f"frames must be counted by decoding, since {found.counted}"
    if not found.indexed:
        return "its container has no index that serves"
    if found.ticks is not None and found.ticks[0] < 0:
        return "its clock begins below zero"
    if found.open_groups:
        return "pictures look back beyond key frames"
    if found.picture.orientation != Orientation():
        return "the picture is turned or mirrored"
    if found.picture.deep_halves:
        return "it misplaces the colours of 4:2:0 of more than 8 bits"
    return ""


def _survey(path: str, deadline: Deadline) -> Survey | None:
    """The survey; None where PyAV cannot open the file, since decord's older FFmpeg may still do."""
    try:
        return survey(path, deadline)
    except CannotOpenError:
        return None


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
    with _STDERR, tempfile.TemporaryFile() as scratch:
        saved = os.dup(2)
        try:
            os.dup2(scratch.fileno(), 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
