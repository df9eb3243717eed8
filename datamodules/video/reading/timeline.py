"""When each frame of a video is shown: from what container and decoder say to seconds that rise.

All readers take their times from here, so that lists, scores and segments speak of the same moments.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Generic, NamedTuple, TypeVar

import av
import av.container
from av.audio.stream import AudioStream

Item = TypeVar("Item")
ABSURD = 1e9  # seconds, thirty years: no time of a video lies further from its clock's zero
USUAL_FPS = 25.0  # spacing of frames without times in a source that states no rate
_RESTART = 1.0  # seconds back, or
_LEAP = 3600.0  # seconds ahead, at which a clock has been set anew rather than shaken
_HELD = 8  # frames that wait for the next one whose time can be believed


def clock_origin(container: av.container.InputContainer) -> float:
    """Time of the container that counts as zero, in seconds: its start, as ffprobe tells it (negative too)."""
    starts = [(container.start_time or 0) / 1e6]
    if "matroska" in container.format.name:
        starts += [start for stream in container.streams.audio if (start := _opus_start(stream)) is not None]
    start = min(starts)
    return start if abs(start) < ABSURD else 0.0


def _opus_start(stream: AudioStream) -> float | None:
    """Start of Opus in Matroska with the run-up of its decoder, which ffprobe 5 counts and FFmpeg 8 does not."""
    header = stream.codec_context.extradata or b""
    start = seconds(stream.start_time, stream.time_base)
    if start is None or start < 0 or header[:8] != b"OpusHead" or len(header) < 12:
        return None
    return start - math.floor(int.from_bytes(header[10:12], "little") / 48 + 0.5) / 1000  # samples, in milliseconds


class BestEffort:
    """FFmpeg's best guess of a frame's time: its presentation time, or its decoding time where that is more sound.

    These are the rules of ``guess_correct_pts`` in libavcodec, which PyAV does not hand on.
    """

    def __init__(self) -> None:
        self._faults = [0, 0]  # of presentation and decoding times
        self._last: list[int | None] = [None, None]

    def ticks(self, pts: int | None, dts: int | None) -> int | None:
        """Time of the next frame in units of its time base; None where the container tells none."""
        for which, (own, other) in enumerate(((pts, dts), (dts, pts))):
            if own is not None:
                last = self._last[which]
                self._faults[which] += last is not None and own <= last
                self._last[which] = own
            elif other is not None:
                self._last[which] = other
        if pts is not None and (dts is None or self._faults[0] <= self._faults[1]):
            return pts
        return dts

    def time(self, frame: av.VideoFrame) -> float | None:
        """Time of the next frame in seconds."""
        return seconds(self.ticks(frame.pts, frame.dts), frame.time_base)


def seconds(ticks: int | None, time_base: Fraction | None) -> float | None:
    """Ticks of a clock in seconds; None where either is unknown."""
    return None if ticks is None or time_base is None else float(ticks * time_base)


class _Waiting(NamedTuple, Generic[Item]):
    item: Item
    time: float


class Timeline(Generic[Item]):
    """Rising times, counted from the origin, for frames that come one by one.

    A time that rises is kept as it is. A frame whose time repeats or leads astray waits for the next that can be
    believed, and moves alone, between its neighbours. A frame without a time follows its predecessor by one frame's
    duration. Where a clock was set anew (joined recordings, a restarted sender), the later times go on from there.

    Args:
        fps: Average frames a second; 0 where unknown.
        origin: Time of the container that counts as zero, in seconds.

    Example:
        >>> timeline = Timeline(10.0)
        >>> told = [pair for time in (0.0, None, 0.2, 0.2, 0.4) for pair in timeline.add("", time)]
        >>> [round(time, 6) for _, time in [*told, *timeline.rest()]]
        [0.0, 0.1, 0.2, 0.3, 0.4]
    """

    def __init__(self, fps: float, origin: float = 0.0) -> None:
        self._step = 1.0 / fps if fps > 0 else 1.0 / USUAL_FPS
        self._origin = origin
        self._last: float | None = None
        self._waiting: list[_Waiting[Item]] = []

    def add(self, item: Item, time: float | None) -> Iterator[tuple[Item, float]]:
        """Take the next frame and what the container says of its time; yield those whose time is now known."""
        if time is None or not abs(time) < ABSURD:
            yield from self.rest()
            yield self._placed(item, 0.0 if self._last is None else self._last + self._step)
            return
        if self._last is None:
            if not self._waiting:  # only the next one tells whether it can be believed
                self._waiting = [_Waiting(item, time)]
                return
            yield self._first(time)
        last = self._last or 0.0
        self._waiting.append(_Waiting(item, time))
        moved = time - self._origin
        if last < moved <= last + _RESTART or (last < moved and self._within(moved)):
            yield from self._between(moved)
        elif len(self._waiting) > 1 and self._goes_on():
            yield from self._anew()
        elif len(self._waiting) > _HELD:
            yield from self.rest()

    def rest(self) -> Iterator[tuple[Item, float]]:
        """The frames that still wait: a gap is believed, any other time is not."""
        waiting, self._waiting = self._waiting, []
        for item, time in waiting:
            moved, last = time - self._origin, self._last
            yield self._placed(item, moved if last is None or last < moved < last + _LEAP else last + self._step)

    def _first(self, following: float) -> tuple[Item, float]:
        """The first frame; a little before the second where its own time is later than that."""
        item, time = self._waiting.pop()
        if following < time:
            time = following - self._step
        return self._placed(item, time - self._origin)

    def _within(self, moved: float) -> bool:
        """Whether a time that leaves a gap lies before one that waits: that one led astray."""
        return any(moved < one.time - self._origin for one in self._waiting[:-1])

    def _goes_on(self) -> bool:
        """Whether the last two that wait follow one another, after a gap or on a clock that was set anew."""
        before, after = (one.time for one in self._waiting[-2:])
        last = self._last or 0.0
        far = before - self._origin > last + _RESTART or before - self._origin < last - _RESTART
        return far and before < after < before + _LEAP

    def _anew(self) -> Iterator[tuple[Item, float]]:
        """Follow the clock that the last two agree on: after a gap as it is, else from the last frame on."""
        yield from self._steps(self._waiting[:-2])
        (first, begin), (second, end) = self._waiting[-2:]
        self._waiting = []
        last = self._last or 0.0
        if not last < begin - self._origin < last + _LEAP:
            self._origin = begin - (last + self._step)
        yield self._placed(first, begin - self._origin)
        yield self._placed(second, end - self._origin)

    def _between(self, moved: float) -> Iterator[tuple[Item, float]]:
        """Place those that wait between the last and the one that came, at most a frame's duration apart."""
        *others, (item, _) = self._waiting
        self._waiting = []
        last = self._last or 0.0
        step = min(self._step, (moved - last) / (len(others) + 1))
        yield from self._steps(others, step)
        yield self._placed(item, moved)

    def _steps(self, waiting: list[_Waiting[Item]], step: float | None = None) -> Iterator[tuple[Item, float]]:
        for item, _ in waiting:
            yield self._placed(item, (self._last or 0.0) + (self._step if step is None else step))

    def _placed(self, item: Item, time: float) -> tuple[Item, float]:
        if self._last is not None and time <= self._last:
            time = math.nextafter(self._last, math.inf)
        self._last = time
        return item, time
