"""Draws the state of the moment into a source's pictures and hands them to a video file, a window, or both."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from callbacks.action.frame_states import FrameStates, SegmentSettings
from callbacks.action.live_window import LiveWindow
from callbacks.action.overlay import Overlay, OverlayStyle
from datamodules.action.batch import StreamInfo
from datamodules.common.errors import VideoError
from lightning_modules.action.segments.frame_files import COMPUTING_TEXT
from lightning_modules.action.segments.machine import COMPUTING

_LONGEST_PAUSE = 0.5  # seconds; times of a broken file may jump
_USUAL_FPS = 25.0  # of a source that states no rate


class PictureWriter(Protocol):
    """What takes annotated pictures."""

    def write(self, picture: NDArray[np.uint8], time: float) -> None:
        """Take an RGB picture ``(H, W, 3)`` and its time in seconds."""

    def close(self, complete: bool = True) -> object:
        """Finish the file; ``complete`` is False after an interruption."""


def waiting_bytes(info: StreamInfo, settings: SegmentSettings, rate: float | None = None) -> float:
    """Memory that the full-size pictures of a source take while they wait for their states.

    Only under ``centred`` they wait, for half a window.

    Args:
        info: The source.
        settings: Its window.
        rate: Frames a second that the network looks at; None is all. The pictures between them wait too.

    Returns:
        Bytes.

    Example:
        >>> info = StreamInfo(name="", path="", live=False, width=1920, height=1080, fps=25.0, duration=60.0)
        >>> waiting_bytes(info, SegmentSettings(seconds=10.0, mode="centred")) / 1e9
        0.7776
        >>> waiting_bytes(info, SegmentSettings(seconds=10.0, mode="trailing"))
        0.0
    """
    if settings.mode != "centred":
        return 0.0
    fps = info["fps"] if info["fps"] > 0 else _USUAL_FPS
    if settings.window is not None:
        seconds = settings.window / (min(rate, fps) if rate is not None else fps)
    else:
        seconds = settings.seconds or 0.0
    return seconds / 2 * fps * info["width"] * info["height"] * 3


class PictureAnnotator:
    """Annotate pictures as soon as their state is known; they wait for it in order.

    A picture between two scored frames shows the state of the earlier one.

    Args:
        class_names: Classes in the order of the states.
        style: Look of the label.
        writer: Takes the annotated pictures; None where no video is written.
        window: Shows them; None where nobody looks.
        paced: Whether the window shows pictures no faster than they were filmed.

    Attributes:
        wanted: False once the window is closed.
        fault: Why the video ended early, in one sentence; empty while it can be written.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        style: OverlayStyle,
        writer: PictureWriter | None,
        window: LiveWindow | None,
        *,
        paced: bool,
    ) -> None:
        self._texts = [f"activity: {name}" if style == "legacy" else name for name in class_names]
        self._style = style
        self._writer = writer
        self._window = window
        self._paced = paced
        self._overlay: Overlay | None = None
        self._pictures: deque[tuple[NDArray[np.uint8], float]] = deque()
        self._times = np.empty(0)
        self._states, self._means = np.empty(0, np.int64), np.empty(0)
        self._current: tuple[int, float] = (COMPUTING, float("nan"))
        self._shown_at = float("-inf")
        self._shown_time = float("nan")
        self.wanted = True
        self.fault = ""

    def add_pictures(self, pictures: NDArray[np.uint8], times: NDArray[np.float64]) -> None:
        """Take RGB pictures ``(N, H, W, 3)`` with their times in seconds ``(N,)``; they will be drawn into."""
        if self._writer is not None or self._window is not None:
            self._pictures.extend(zip(pictures, times.tolist(), strict=True))

    def add_states(self, known: FrameStates) -> None:
        """Take states that became known."""
        rows = np.arange(len(known.states))
        seen = np.where(
            known.states == COMPUTING, np.argmax(np.nan_to_num(known.means, nan=-1.0), axis=1), known.states
        )
        self._times = np.concatenate([self._times, known.times])
        self._states = np.concatenate([self._states, known.states])
        self._means = np.concatenate([self._means, known.means[rows, seen]])

    def draw(self, known_until: float) -> None:
        """Annotate the pictures up to a time in seconds for which all states are known."""
        used = 0
        while self._pictures and self._pictures[0][1] <= known_until and self.wanted:
            picture, at = self._pictures[0]
            while used < len(self._times) and self._times[used] <= at:
                self._current = (int(self._states[used]), float(self._means[used]))
                used += 1
            self._annotate(picture, at)
            self._pictures.popleft()  # only now, so that Ctrl-C while the encoder is waited for loses no picture
        self._times, self._states, self._means = self._times[used:], self._states[used:], self._means[used:]

    def close(self, complete: bool = True) -> None:
        """Finish the video; ``complete`` is False after an interruption. Pictures that still wait are left out."""
        self._pictures.clear()
        self._end_video(complete)

    def _end_video(self, complete: bool) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.close(complete)
            except VideoError as error:
                self.fault = self.fault or str(error)

    def _annotate(self, picture: NDArray[np.uint8], at: float) -> None:
        height, width = picture.shape[:2]
        if self._overlay is None or (self._overlay.width, self._overlay.height) != (width, height):
            self._overlay = Overlay(width, height, self._style)
        state, mean = self._current
        if state == COMPUTING:
            self._overlay.draw(picture, COMPUTING_TEXT, "computing", mean)
        else:
            self._overlay.draw(picture, self._texts[state], "class", mean)
        if self._writer is not None:
            try:
                self._writer.write(picture, at)
            except VideoError as error:  # the segments do without it
                self.fault = str(error)
                self._end_video(complete=False)
        if self._window is not None:
            self._pause(at)
            self.wanted = self._window.show(picture)

    def _pause(self, at: float) -> None:
        """Wait until the picture is due, counted from the one before."""
        if self._paced and self._shown_time == self._shown_time:
            due = self._shown_at + min(_LONGEST_PAUSE, max(0.0, at - self._shown_time))
            time.sleep(max(0.0, due - time.monotonic()))
        self._shown_at, self._shown_time = time.monotonic(), at
