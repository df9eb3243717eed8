"""How steady a sequence of states is, and how far two sequences agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["agreement", "held_states", "switches_per_minute"]


def switches_per_minute(states: ArrayLike, times: ArrayLike) -> float:
    """Changes of the label that a viewer sees, a minute.

    A change to or from "computing" (-1) counts like any other.

    Args:
        states: One a frame, ``(T,)``.
        times: Seconds, ``(T,)``, rising.

    Returns:
        Changes between neighbouring frames, divided by the minutes from the first to the last frame; NaN where these
        are none.

    Raises:
        ValueError: If the lengths differ.

    Example:
        >>> switches_per_minute([0, 0, 1, 1, 0], [0, 5, 10, 15, 20])
        6.0
    """
    label, at = np.asarray(states), np.asarray(times, np.float64)
    if label.shape != at.shape:
        raise ValueError(f"{label.size} states came with {at.size} times; give one time a state.")
    minutes = (at[-1] - at[0]) / 60 if len(at) else 0.0
    return float(np.count_nonzero(np.diff(label)) / minutes) if minutes > 0 else float("nan")


def agreement(states: ArrayLike, other: ArrayLike) -> float:
    """Share of frames with the same state in both sequences; NaN without frames.

    Args:
        states: ``(T,)``.
        other: ``(T,)``.

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
