"""One way to read frames of a video, over decord or PyAV.

``read_video`` opens a file, tells a consumer what it holds, asks it which frames it wants and hands them over in one
pass in the order of the file. When decord (the default) cannot open or decode a file, PyAV tries once, from the start,
and the result says so; a file that neither reads is a ``VideoError`` that names it.

Both readers agree on these rules:

- The video stream with the most pixels is read, not the first one.
- Frames are as a player shows them: upright (turned and mirrored as the file or its bit stream asks), RGB uint8; 10-bit
  and full-range video is converted by swscale.
- Frame ``i`` is the i-th that the decoder puts out, in presentation order. Its time is FFmpeg's best effort, counted
  from the start of the container; a time that does not rise moves that frame alone.
- The number of frames is never taken from the header: the packets are counted (``datamodules.video.reading.survey``),
  without those that an edit list cuts away, and where packets do not tell the frames, or decoding gives others than
  they promise, all frames are decoded once to be counted. A file that holds clearly less than its header promises is an
  error, and so is one with damaged packets after its first frame.
- Opening and decoding one file must end within a time limit, whichever reader does it.
"""

from __future__ import annotations

import importlib.util
import logging
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import ConfigurationError, VideoError, one_line
from datamodules.video.limits import Deadline, LimitedStream, call_limited
from datamodules.video.reading.contract import FrameChunk, FrameConsumer, OpenVideo, OtherFramesError, VideoInfo

ReaderName = Literal["decord", "pyav"]
_log = logging.getLogger(__name__)


def decord_available() -> bool:
    """True where decord is installed (it has wheels for x86-64 only); it is not imported by this question."""
    return importlib.util.find_spec("decord") is not None


def read_video(
    path: str,
    consumer: FrameConsumer,
    *,
    reader: ReaderName = "decord",
    timeout: float = 60.0,
    threads: int = 0,
    tone_mapping: bool = False,
    again: bool = False,
) -> VideoInfo:
    """Read the frames that ``consumer`` wants from one file.

    Args:
        path: The file.
        consumer: Says which frames it wants and takes them. It is started again when a second attempt is needed.
        reader: First reader; "decord" falls back to PyAV, also where decord is not installed. "pyav" stands alone.
        timeout: Seconds that opening and decoding may take, for each reader that tries.
        threads: Decoding threads; 0 lets FFmpeg choose.
        tone_mapping: Whether pictures of high dynamic range (``VideoInfo.transfer`` says so) are mapped to BT.709.

        again: The file was read before, so that nothing is said once more of the reader that was taken.

    Returns:
        What the file holds; ``info.reader`` tells which reader delivered.

    Raises:
        VideoError: If no reader could open and decode the file in time; the message names the file and each reason.
        ConfigurationError: If ``timeout`` is not positive.
    """
    check_time_limit(timeout)
    reasons = ["decord: not installed"] if reader == "decord" and not decord_available() else []
    for name in ("pyav",) if reader == "pyav" or reasons else ("decord", "pyav"):
        said = name + "".join(f" ({reason})" for reason in reasons)
        try:
            info = _attempt(path, partial(_opened, name, path, threads, tone_mapping), consumer, timeout, said)
        except VideoError as error:
            reasons.append(f"{name}: {_reason(error, path)}")
            continue
        if not again and info.reader.startswith("pyav (decord: ") and decord_available():
            _log.info("%s: read by PyAV (%s)", path, reasons[0])
        return info
    raise VideoError(f"{path}: cannot be read ({'; '.join(reasons)}); repair or remove the file")


def _opened(name: str, path: str, threads: int, tone_mapping: bool, deadline: Deadline, count: str) -> OpenVideo:
    if name == "decord":
        from datamodules.video.reading.decord import DecordVideo

        return DecordVideo(path, threads, deadline, tone_mapping)
    from datamodules.video.reading.pyav import PyAVVideo

    return PyAVVideo(path, threads, deadline, count, tone_mapping)


def check_time_limit(timeout: float) -> None:
    """Raise ``ConfigurationError`` unless a time limit is a positive, finite number of seconds."""
    if not (timeout > 0 and math.isfinite(timeout)):
        raise ConfigurationError(f"decode_timeout is {timeout:g} s; it must be a positive number of seconds")


def _attempt(
    path: str,
    opener: Callable[[Deadline, str], OpenVideo],
    consumer: FrameConsumer,
    timeout: float,
    name: str,
) -> VideoInfo:
    """Read with one reader; once more with counted frames where decoding gives others than the packets promise."""
    deadline = Deadline(timeout, path)
    count = ""
    while True:
        video = call_limited(partial(opener, deadline, count), deadline)
        info = replace(video.info, reader=name)
        try:
            _deliver(video, consumer, info, deadline)
        except OtherFramesError:
            if count:
                raise
            count = "decoding gives other frames than its packets promise"
            continue
        return info


def _deliver(video: OpenVideo, consumer: FrameConsumer, info: VideoInfo, deadline: Deadline) -> None:
    wanted = np.asarray(consumer.start(info), dtype=np.int64)
    if wanted.size == 0:
        return
    if wanted[0] < 0 or wanted[-1] >= info.frames or (np.diff(wanted) <= 0).any():
        raise ValueError(
            f"a consumer must ask for rising indices in 0..{info.frames - 1}, not {wanted[:8].tolist()}..."
        )
    for chunk in LimitedStream(lambda: video.chunks(wanted), deadline):
        consumer.add(chunk)


def _reason(error: VideoError, path: str) -> str:
    """The error's sentence without the file's name, which the final message gives once."""
    return str(error).removeprefix(f"{one_line(path)}: ")


class KeepFrames:
    """The simplest consumer: keep the frames themselves.

    Args:
        indices: Wanted frames, in any order and with repeats; None wants all.
    """

    def __init__(self, indices: NDArray[np.int64] | None = None) -> None:
        self._asked = indices
        self._chunks: list[FrameChunk] = []
        self._order: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def start(self, info: VideoInfo) -> NDArray[np.int64]:
        """Forget earlier frames; ask for each wanted index once."""
        self._chunks = []
        asked = np.arange(info.frames) if self._asked is None else self._asked
        wanted, self._order = np.unique(asked, return_inverse=True)
        return wanted.astype(np.int64)

    def add(self, chunk: FrameChunk) -> None:
        """Keep a copy."""
        self._chunks.append(FrameChunk(chunk.indices, chunk.frames.copy(), chunk.times))

    def frames(self) -> NDArray[np.uint8]:
        """The frames in the order asked for, uint8 ``(N, H, W, 3)``."""
        return np.concatenate([chunk.frames for chunk in self._chunks])[self._order]

    def times(self) -> NDArray[np.float64]:
        """Their presentation times in seconds, float64 ``(N,)``."""
        return np.concatenate([chunk.times for chunk in self._chunks])[self._order]
