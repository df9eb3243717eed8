"""Rolling average and segment machine of one stream, driven together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightning_modules.action.segments.machine import Segment, SegmentMachine
from lightning_modules.action.segments.rolling_average import Mode, RollingAverage, RollingMeans

Floats = NDArray[np.float64]
States = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class SegmentSettings:
    """How frame scores become states and segments.

    Attributes:
        window: Frames that are averaged; None where ``seconds`` says it.
        seconds: Seconds that are averaged; None where ``window`` says it.
        mode: Which neighbours of a frame are averaged.
        enter: Smallest mean score that starts a class.
        leave: Smallest mean score that keeps it; None is ``enter``.
        minimum_seconds: Shortest segment.
        merge_gap_seconds: Longest gap between two segments of a class that are one.
        action: The one class to look for; None looks for all.
        computing_until_full: Whether frames wait for a full window.
    """

    window: int | None = None
    seconds: float | None = 2.0
    mode: Mode = "trailing"
    enter: float = 0.5
    leave: float | None = None
    minimum_seconds: float = 0.0
    merge_gap_seconds: float = 0.0
    action: str | None = None
    computing_until_full: bool = True


class FrameStates(NamedTuple):
    """Frames whose state became known, in order.

    Attributes:
        times: Seconds ``(K,)``.
        scores: Class probabilities of the frames themselves ``(K, C)``; NaN where there are none.
        means: Their rolling averages ``(K, C)``.
        states: Index of the class that is seen, or -1, int64 ``(K,)``.
        full: Whether the window of a frame was full, bool ``(K,)``.
    """

    times: Floats
    scores: Floats
    means: Floats
    states: States
    full: Flags


class StateStream:
    """From frame scores to states and segments, one block after the other.

    Args:
        class_names: Classes in the order of the scores.
        settings: How.

    Attributes:
        frames: Frames so far.

    Raises:
        ConfigurationError: If a setting cannot work or the action is no class.
    """

    def __init__(self, class_names: Sequence[str], settings: SegmentSettings) -> None:
        self._average = RollingAverage(len(class_names), settings.window, settings.seconds, settings.mode)
        self._machine = SegmentMachine(
            class_names,
            enter=settings.enter,
            leave=settings.leave,
            minimum_seconds=settings.minimum_seconds,
            merge_gap_seconds=settings.merge_gap_seconds,
            action=settings.action,
            computing_until_full=settings.computing_until_full,
        )
        self._waiting = np.empty((0, len(class_names)))  # scores of frames whose mean is not known yet

    @property
    def frames(self) -> int:
        """Frames so far."""
        return self._average.frames

    @property
    def skipped(self) -> int:
        """Frames so far without a score."""
        return self._average.skipped

    @property
    def segments(self) -> list[Segment]:
        """Segments that can no longer change."""
        return self._machine.segments

    def push(self, times: Floats, scores: Floats) -> FrameStates:
        """Take the next frames, by rising seconds ``(T,)`` and scores ``(T, C)``; the answer may be about earlier ones.

        A row with NaN is skipped and counted.
        """
        self._waiting = np.concatenate([self._waiting, scores]) if len(self._waiting) else scores
        return self._known(self._average.push(scores, times))

    def finish_frames(self) -> FrameStates:
        """States of the frames that waited for later ones."""
        return self._known(self._average.finish())

    def finish(self, end_time: float | None) -> list[Segment]:
        """All segments; ``end_time`` is the end of the last frame in seconds."""
        return self._machine.finish(end_time)

    def _known(self, block: RollingMeans) -> FrameStates:
        count = len(block.times)
        scores, self._waiting = self._waiting[:count], self._waiting[count:]
        states = self._machine.push(block.times, block.means, block.full)
        return FrameStates(block.times, scores, block.means, states, block.full)
