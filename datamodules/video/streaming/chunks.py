"""Gathers decoded frames into the chunks of a stream: bounded in bytes, and in whole clips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import ConfigurationError
from datamodules.video.reading.contract import CHUNK_BYTES
from datamodules.video.streaming.reader import PictureConverter, SourceFacts, TimedFrame

_USUAL_FRAMES = 128  # of a chunk whose pictures are small


@dataclass(frozen=True)
class ChunkPlan:
    """How the frames of a source are put into chunks; the fields are those of ``ActionStream``.

    Raises:
        ConfigurationError: If a field has a value that cannot work.
    """

    frame_size: int
    chunk_bytes: int
    chunk_frames: int | None
    clip_length: int
    rate: float | None
    compare_rate: bool
    with_source: bool
    tone_mapping: bool = False

    def __post_init__(self) -> None:
        for name in ("frame_size", "chunk_bytes", "clip_length"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.chunk_frames is not None and self.chunk_frames < self.clip_length:
            raise ConfigurationError(
                f"chunk_frames is {self.chunk_frames}; a chunk must hold a clip of {self.clip_length} frames at least"
            )
        if self.rate is not None and not 0 < self.rate <= 1000:
            raise ConfigurationError(f"rate is {self.rate:g} frames a second; it must be above 0 and at most 1000")
        if self.compare_rate and self.rate is None:
            raise ConfigurationError("compare_rate compares a rate with all frames, but rate is null; give a rate")

    def frames(self, facts: SourceFacts) -> int:
        """Most frames of a chunk: whole clips, at least one, and a power of two of them where the size decides.

        No array passes the size beyond which the C library hands memory back after each use, whose page faults would
        cost a third of the decoding.
        """
        square = self.frame_size**2 * 3
        full = facts.width * facts.height * 3 if self.with_source else 0
        fitting = min(self.chunk_bytes // (square + full), CHUNK_BYTES // max(square, full))
        if self.chunk_frames is None:
            clips = min(fitting, max(_USUAL_FRAMES, self.clip_length)) // self.clip_length
            return self.clip_length * (1 << max(0, clips.bit_length() - 1))
        clips = min(self.chunk_bytes // (square + full), self.chunk_frames) // self.clip_length
        return self.clip_length * max(1, clips)


class RateSelector:
    """Which frames a rate takes: of every interval of 1 / rate seconds the first frame in it.

    Example:
        >>> selector = RateSelector(2.0)
        >>> [selector.takes(time) for time in (0.0, 0.2, 0.4, 0.6, 1.0)]
        [True, False, False, True, True]
    """

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._interval: float | None = None

    def takes(self, time: float) -> bool:
        """True when the frame at ``time`` (seconds, rising) is taken."""
        if self._rate is None:
            return True
        interval = np.floor(time * self._rate + 1e-6)  # a frame due at 0.2 s may be stamped 0.1999999
        if self._interval is not None and interval <= self._interval:
            return False
        self._interval = interval
        return True


class ChunkPart(NamedTuple):
    """The arrays of one chunk.

    Attributes:
        frames: uint8 ``(T, 3, S, S)``.
        times: float64 ``(T,)``.
        selected: bool ``(T,)``.
        source: uint8 ``(N, H, W, 3)``; None when not asked for.
        source_times: float64 ``(N,)``.
    """

    frames: NDArray[np.uint8]
    times: NDArray[np.float64]
    selected: NDArray[np.bool_]
    source: NDArray[np.uint8] | None
    source_times: NDArray[np.float64]


class ChunkBuilder:
    """Converts frames as they come and hands them over chunk by chunk.

    Each chunk has arrays of its own, since the consumer keeps what it takes. Frames beyond the last whole clip wait
    for the next chunk.
    """

    def __init__(self, plan: ChunkPlan, facts: SourceFacts) -> None:
        self.facts = facts
        self._plan = plan
        self._length = plan.frames(facts)
        self._converter = PictureConverter(facts, plan.frame_size, plan.tone_mapping)
        self._selector = RateSelector(plan.rate)
        self._squares = self._new_squares()
        self._fulls = self._new_fulls()
        self._times: list[float] = []
        self._selected: list[bool] = []
        self._source_times: list[float] = []

    @property
    def full(self) -> bool:
        """True when no further frame fits."""
        return self.room == 0

    @property
    def room(self) -> int:
        """Frames that surely fit."""
        return self._length - max(len(self._times), len(self._source_times))

    @property
    def ready(self) -> bool:
        """True when a chunk can be taken that is not empty."""
        return len(self._times) >= self._plan.clip_length or bool(self._source_times)

    def add(self, timed: TimedFrame) -> None:
        """Convert and keep one frame."""
        taken = self._selector.takes(timed.time)
        if taken or self._plan.compare_rate:
            self._converter.square(timed.frame, self._squares[len(self._times)])
            self._times.append(timed.time)
            self._selected.append(taken)
        if self._fulls is not None:
            self._converter.full(timed.frame, self._fulls[len(self._source_times)])
            self._source_times.append(timed.time)

    def take(self, *, last: bool = False) -> ChunkPart:
        """Hand over what is there: whole clips, or everything when ``last``."""
        held = len(self._times)
        count = held if last else held - held % self._plan.clip_length
        part = ChunkPart(
            frames=self._squares[:count],
            times=np.array(self._times[:count], dtype=np.float64),
            selected=np.array(self._selected[:count], dtype=np.bool_),
            source=None if self._fulls is None else self._fulls[: len(self._source_times)],
            source_times=np.array(self._source_times, dtype=np.float64),
        )
        if not last:
            self._begin(self._squares[count:held])
        return part

    def _begin(self, waiting: NDArray[np.uint8]) -> None:
        """Start the next chunk with the frames that wait."""
        self._squares = self._new_squares()
        self._squares[: len(waiting)] = waiting
        kept = len(self._times) - len(waiting)
        self._times, self._selected = self._times[kept:], self._selected[kept:]
        self._fulls, self._source_times = self._new_fulls(), []

    def _new_squares(self) -> NDArray[np.uint8]:
        return np.empty((self._length, 3, self._plan.frame_size, self._plan.frame_size), dtype=np.uint8)

    def _new_fulls(self) -> NDArray[np.uint8] | None:
        if not self._plan.with_source:
            return None
        return np.empty((self._length, self.facts.height, self.facts.width, 3), dtype=np.uint8)
