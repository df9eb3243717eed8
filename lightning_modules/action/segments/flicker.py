"""How steady a sequence of states is, and how far two sequences agree; at once, or block by block on the way.

A switch is a change from one class to another class. A frame without a class ("computing...", or no score) carries the
class before it: a, "computing...", b is one switch, and a, "computing...", a is none. So the labels of single frames,
which always name a class, and the states of their means are counted alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lightning_modules.action.segments.machine import COMPUTING

Floats = NDArray[np.float64]
States = NDArray[np.int64]


class SwitchCounter:
    """Count how often the class that is named changes, block by block.

    Frames in the state "computing..." (-1) carry the last class; before the first class there is nothing to switch
    from. They count in the time that has passed.

    Attributes:
        switches: Changes from one class to another so far.

    Example:
        >>> counter = SwitchCounter()
        >>> counter.add(np.array([-1, 0, 0, -1]), np.array([0.0, 1.0, 2.0, 3.0]))
        >>> counter.add(np.array([1, -1, 1]), np.array([4.0, 5.0, 60.0]))
        >>> counter.switches, counter.per_minute
        (1, 1.0)
    """

    def __init__(self) -> None:
        self.switches = 0
        self._last = COMPUTING
        self._first_time = self._last_time = float("nan")

    def add(self, states: States, times: Floats) -> None:
        """Take the next states ``(T,)``, -1 without a class, and their rising times in seconds ``(T,)``."""
        if not len(states):
            return
        if np.isnan(self._first_time):
            self._first_time = float(times[0])
        self._last_time = float(times[-1])
        named = states[states != COMPUTING]
        if len(named):
            before = named[0] if self._last == COMPUTING else self._last
            self.switches += int(np.count_nonzero(np.diff(named, prepend=before)))
            self._last = int(named[-1])

    @property
    def per_minute(self) -> float:
        """Switches, divided by the minutes from the first to the last frame; NaN where these are none."""
        length = self._last_time - self._first_time
        return 60.0 * self.switches / length if length > 0 else float("nan")


def switches_per_minute(states: ArrayLike, times: ArrayLike) -> float:
    """Changes from one class to another class that a viewer sees, a minute.

    Frames in the state "computing..." (-1) carry the class before them, so they make no switch of their own.

    Args:
        states: One a frame, ``(T,)``.
        times: Seconds, ``(T,)``, rising.

    Returns:
        Changes, divided by the minutes from the first to the last frame; NaN where these are none.

    Raises:
        ValueError: If the lengths differ.

    Example:
        >>> switches_per_minute([0, -1, 1, 1, 0], [0, 5, 10, 15, 20])
        6.0
    """
    label, at = np.asarray(states, np.int64), np.asarray(times, np.float64)
    if label.shape != at.shape:
        raise ValueError(f"{label.size} states came with {at.size} times; give one time a state.")
    counter = SwitchCounter()
    counter.add(label, at)
    return counter.per_minute


def action_or_other(states: ArrayLike, action: int, known: ArrayLike = True) -> States:
    """States as a search for one action sees them: it, or anything else.

    Args:
        states: Class index of a frame or -1, ``(T,)``.
        action: Index of the action.
        known: Whether it is known that a frame shows the action or not, bool ``(T,)`` or for all.

    Returns:
        int64 ``(T,)``: 1 the action, 0 other, -1 not known.

    Example:
        >>> action_or_other([2, 0, -1, 1], 2, [True, True, True, False]).tolist()
        [1, 0, 0, -1]
    """
    return np.where(np.asarray(known), np.asarray(states) == action, COMPUTING).astype(np.int64)


def agreement(states: ArrayLike, other: ArrayLike) -> float:
    """Share of frames with the same state in both sequences, ``(T,)`` each; NaN without frames.

    Raises:
        ValueError: If the lengths differ.

    Example:
        >>> agreement([0, 1, 1, -1], [0, 1, 0, -1])
        0.75
    """
    first, second = np.asarray(states), np.asarray(other)
    if first.shape != second.shape:
        raise ValueError(f"{first.size} states cannot be compared with {second.size}; bring both to the same frames.")
    return float(np.mean(first == second)) if first.size else float("nan")


def held_states(times: ArrayLike, states: ArrayLike, at: ArrayLike, before: int = -1) -> np.ndarray:
    """States at other times, each held until the next: how sparse frames speak for those between them.

    Args:
        times: Seconds, ``(T,)``, rising.
        states: ``(T,)``.
        at: Seconds, ``(K,)``.
        before: State before the first of ``times``.

    Returns:
        int64 ``(K,)``.

    Example:
        >>> held_states([0.0, 1.0], [3, 5], [-0.5, 0.0, 0.9, 1.0, 7.0]).tolist()
        [-1, 3, 3, 5, 5]
    """
    known = np.concatenate([[before], np.asarray(states, np.int64)])
    place = np.searchsorted(np.asarray(times, np.float64), np.asarray(at, np.float64), side="right")
    return known[place]


class HeldAgreement:
    """How often the states of a thinned stream, held between its frames, agree with those of the whole one.

    The share that :func:`agreement` gives with :func:`held_states`, block by block.

    Attributes:
        frames: Frames of the whole stream that were compared so far.
        equal: Those with equal states.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.equal = 0
        self._held = COMPUTING
        self._times, self._states = np.empty(0), np.empty(0, np.int64)
        self._whole_times, self._whole_states = np.empty(0), np.empty(0, np.int64)

    @property
    def value(self) -> float:
        """Share of the whole stream's frames with equal states; NaN without frames."""
        return self.equal / self.frames if self.frames else float("nan")

    def agree(self, states: States) -> None:
        """Take states ``(K,)`` of the time when both streams were the same."""
        self.frames += len(states)
        self.equal += len(states)
        self._held = int(states[-1]) if len(states) else self._held

    def add(self, times: Floats, states: States, whole_times: Floats, whole_states: States, known_until: float) -> None:
        """Take what became known of both streams.

        Args:
            times: Of the thinned stream, seconds ``(K,)``, rising.
            states: Of the thinned stream, ``(K,)``.
            whole_times: Of the whole stream, seconds ``(N,)``, rising.
            whole_states: Of the whole stream, ``(N,)``.
            known_until: Time up to which nothing more of the thinned stream will come, in seconds.
        """
        self._times = np.concatenate([self._times, times])
        self._states = np.concatenate([self._states, states])
        self._whole_times = np.concatenate([self._whole_times, whole_times])
        self._whole_states = np.concatenate([self._whole_states, whole_states])
        ready = int(np.searchsorted(self._whole_times, known_until, side="right"))
        held = np.concatenate([[self._held], self._states])
        places = np.searchsorted(self._times, self._whole_times[:ready], side="right")
        self.frames += ready
        self.equal += int(np.count_nonzero(held[places] == self._whole_states[:ready]))
        used = int(places[-1]) if ready else 0
        self._held = int(held[used])
        self._times, self._states = self._times[used:], self._states[used:]
        self._whole_times, self._whole_states = self._whole_times[ready:], self._whole_states[ready:]
