"""From mean scores to what is seen now and to segments with times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from datamodules.common.errors import ConfigurationError

COMPUTING = -1  # state of a frame whose class is not known
TOLERANCE = 1e-6  # s; times are rounded to the container's clock

Floats = NDArray[np.float64]
States = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a video that shows one action.

    Attributes:
        label: Name of the class.
        start: Seconds, time of its first frame.
        end: Seconds, time of the first frame after it, or the end of the video.
        score: Mean over its frames of the class's mean score, 0..1; 1 for a labelled segment.
    """

    label: str
    start: float
    end: float
    score: float = 1.0

    @property
    def duration(self) -> float:
        """Seconds from start to end."""
        return self.end - self.start


class SegmentMachine:
    """Decide frame by frame which class is seen, and collect the segments; one class at a time.

    The state of a frame is the class of the highest mean score (the first of equal ones) where that is at least
    ``enter``; otherwise the class of the frame before, as long as its mean score is at least ``leave``; otherwise
    "computing", -1. A frame whose window is not full, or holds no score, is "computing".

    Neighbouring frames of one state make a segment from the time of the first to the time of the next state's first
    frame. Segments of one class that follow each other at most ``merge_gap_seconds`` apart become one, then those
    shorter than ``minimum_seconds`` are dropped, then those of one class are merged again over what was dropped. The
    states of frames are not changed by either: they are known at once.

    Memory does not grow with the stream, besides the list of segments. The result does not depend on how the stream is
    cut into blocks.

    With ``enter=0`` and ``computing_until_full=False`` the state is the class of the highest mean; with ``action`` it
    is what Gjorjian's script draws ("Deep Learning Action Recognition: Drinking-Cooking", section 5.2): the action, or
    "computing...".

    Args:
        class_names: Classes in the order of the scores.
        enter: Smallest mean score in 0..1 that starts a class.
        leave: Smallest mean score in 0..``enter`` that keeps it; None is ``enter``, no hysteresis.
        minimum_seconds: Shortest segment; 0 keeps all.
        merge_gap_seconds: Longest gap between two segments of a class that are one; 0 merges none.
        action: The one class to look for; frames of the others read "computing". None looks for all.
        computing_until_full: Whether frames wait for a full window.

    Attributes:
        state: State of the newest frame.

    Raises:
        ConfigurationError: If a value is out of range or ``action`` is not a class.

    Example:
        >>> machine = SegmentMachine(["drinking", "cooking"])
        >>> means = [[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]]
        >>> machine.push([0.0, 1.0, 2.0], means, [True] * 3).tolist()
        [0, 0, 1]
        >>> machine.finish(3.0)[0]
        Segment(label='drinking', start=0.0, end=2.0, score=0.625)
    """

    def __init__(
        self,
        class_names: Sequence[str],
        enter: float = 0.5,
        leave: float | None = None,
        minimum_seconds: float = 0.0,
        merge_gap_seconds: float = 0.0,
        action: str | None = None,
        computing_until_full: bool = True,
    ) -> None:
        self.class_names = list(class_names)
        self.enter = enter
        self.leave = enter if leave is None else leave
        self.computing_until_full = computing_until_full
        _check(self.class_names, self.enter, self.leave, minimum_seconds, merge_gap_seconds)
        self._action = None if action is None else class_index(action, self.class_names)
        self._tidy = _Tidy(minimum_seconds, merge_gap_seconds)
        self.state = COMPUTING
        self._seen = COMPUTING  # the state before other classes than the action read "computing"
        self._start = self._last = self._before_last = math.nan
        self._score = 0.0  # sum over the frames of the open segment
        self._frames = 0
        self._finished = False

    @property
    def segments(self) -> list[Segment]:
        """Segments that can no longer change, in order."""
        return self._tidy.done

    def push(self, times: ArrayLike, means: ArrayLike, full: ArrayLike) -> States:
        """Add the next frames.

        Args:
            times: Presentation times in seconds, a number or ``(K,)``, rising.
            means: Mean scores, ``(C,)`` or ``(K, C)``; a row with NaN is "computing".
            full: Whether the window of each mean is full, a bool or ``(K,)``.

        Returns:
            States, int64 ``(K,)``: an index into ``class_names``, or -1 for "computing".

        Raises:
            ValueError: If the shapes do not fit, or the stream is already finished.
        """
        at = np.atleast_1d(np.asarray(times, np.float64))
        scores = np.asarray(means, np.float64).reshape(-1, len(self.class_names))
        whole = np.atleast_1d(np.asarray(full, np.bool_))
        if self._finished:
            raise ValueError("A frame came after the end of its stream; make a new SegmentMachine for each stream.")
        if not len(at) == len(scores) == len(whole):
            raise ValueError(f"{len(at)} times came with {len(scores)} means and {len(whole)} flags; give one a frame.")
        if not len(at):
            return np.empty(0, np.int64)
        states = self._states(scores, whole)
        if self._action is not None:
            states = np.where(states == self._action, states, COMPUTING)
        self._collect(at, scores, states)
        return states

    def finish(self, end_time: float | None = None) -> list[Segment]:
        """End the stream and close the open segment.

        Args:
            end_time: End of the last frame in seconds; None lets it last as long as the frame before it.

        Returns:
            All segments. A second call returns them again.
        """
        if not self._finished and not math.isnan(self._last):
            step = 0.0 if math.isnan(self._before_last) else self._last - self._before_last
            end = self._last + step if end_time is None else max(end_time, self._last)
            self._close(end)
        if not self._finished:
            self._tidy.finish()
        self._finished = True
        return self.segments

    def _states(self, means: Floats, full: NDArray[np.bool_]) -> States:
        usable = ~np.isnan(means).any(axis=1)
        if self.computing_until_full:
            usable &= full
        best = np.argmax(means, axis=1)
        rows = np.arange(len(means))
        entered = usable & (means[rows, best] >= self.enter)
        # the class that each frame would keep: that of the last frame that entered one
        last_entered = np.maximum.accumulate(np.where(entered, rows, -1))
        kept = np.where(last_entered >= 0, best[last_entered], self._seen)
        with np.errstate(invalid="ignore"):
            holds = usable & (kept >= 0) & (means[rows, kept] >= self.leave)
        last_broken = np.maximum.accumulate(np.where(entered | holds, -2, rows))
        states = np.where(last_broken > last_entered, COMPUTING, kept)
        self._seen = int(states[-1])
        return states

    def _collect(self, times: Floats, means: Floats, states: States) -> None:
        changes = np.flatnonzero(np.diff(states, prepend=self.state))
        edges = [0, *changes.tolist(), len(states)]
        for place, (first, stop) in enumerate(pairwise(edges)):
            if place > 0:  # the part before the first edge continues the open run
                self._close(float(times[first]))
                self.state, self._start = int(states[first]), float(times[first])
            if self.state != COMPUTING and stop > first:
                part = means[first:stop, self.state]
                self._score = float(np.cumsum(np.concatenate([[self._score], part]))[-1])  # one by one, in any blocks
                self._frames += stop - first
        self._before_last = float(times[-2]) if len(times) > 1 else self._last
        self._last = float(times[-1])

    def _close(self, end: float) -> None:
        if self.state != COMPUTING:
            segment = Segment(self.class_names[self.state], self._start, end, self._score / self._frames)
            self._tidy.add(segment, self._frames)
        self.state, self._score, self._frames = COMPUTING, 0.0, 0


class _Tidy:
    """Merge, drop what is short, merge over what was dropped; at most two segments wait."""

    def __init__(self, minimum_seconds: float, merge_gap_seconds: float) -> None:
        self.minimum = minimum_seconds
        self.done: list[Segment] = []
        self._first, self._second = _Merge(merge_gap_seconds), _Merge(merge_gap_seconds)

    def add(self, segment: Segment, frames: int) -> None:
        for merged, count in self._first.add(segment, frames):
            self._keep(merged, count)

    def finish(self) -> None:
        for merged, count in self._first.finish():
            self._keep(merged, count)
        self.done += [merged for merged, _ in self._second.finish()]

    def _keep(self, segment: Segment, frames: int) -> None:
        if segment.duration + TOLERANCE >= self.minimum:
            self.done += [merged for merged, _ in self._second.add(segment, frames)]


class _Merge:
    """Join segments of one class that follow each other at most ``gap`` seconds apart."""

    def __init__(self, gap: float) -> None:
        self.gap = gap
        self._waiting: tuple[Segment, int] | None = None

    def add(self, segment: Segment, frames: int) -> list[tuple[Segment, int]]:
        if self.gap == 0:
            return [(segment, frames)]
        if self._waiting is None:
            self._waiting = (segment, frames)
            return []
        before, count = self._waiting
        if before.label == segment.label and segment.start - before.end <= self.gap + TOLERANCE:
            score = (before.score * count + segment.score * frames) / (count + frames)
            self._waiting = (replace(before, end=segment.end, score=score), count + frames)
            return []
        self._waiting = (segment, frames)
        return [(before, count)]

    def finish(self) -> list[tuple[Segment, int]]:
        waiting, self._waiting = self._waiting, None
        return [] if waiting is None else [waiting]


def class_index(name: str, class_names: Sequence[str]) -> int:
    """Place of a class.

    Raises:
        ConfigurationError: If there is no such class; the message names the nearest.

    Example:
        >>> class_index("cooking", ["drinking", "cooking"])
        1
    """
    if name in class_names:
        return list(class_names).index(name)
    lowered = {one.lower(): one for one in class_names}
    near = [lowered[one] for one in get_close_matches(name.lower(), lowered, n=3, cutoff=0.5)]
    shown = near or list(class_names)[:10]
    more = "" if near or len(class_names) <= 10 else f" and {len(class_names) - 10} more"
    begin = "the nearest" if near else "the classes"
    raise ConfigurationError(f"There is no action {name!r} among the classes; {begin}: {', '.join(shown)}{more}.")


def _check(
    class_names: Sequence[str], enter: float, leave: float, minimum_seconds: float, merge_gap_seconds: float
) -> None:
    if not class_names or len(set(class_names)) < len(class_names):
        raise ConfigurationError(f"class_names is {list(class_names)}; give at least one name, and each once.")
    if not 0 <= enter <= 1:
        raise ConfigurationError(f"enter is {enter}; a mean score lies in 0..1, so choose a value there.")
    if not 0 <= leave <= enter:
        raise ConfigurationError(
            f"leave is {leave} and enter is {enter}; a class that was entered must be kept at once, so choose leave "
            "in 0..enter, or null for the same value."
        )
    for name, value in (("minimum_seconds", minimum_seconds), ("merge_gap_seconds", merge_gap_seconds)):
        if not 0 <= value < math.inf:
            raise ConfigurationError(f"{name} is {value}; it must be a finite number of seconds, at least 0.")
