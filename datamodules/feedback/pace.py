"""How fast an operator answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

PAUSE_SECONDS = 120.0  # a longer gap between two answers is a break, not work
FEWEST = 5  # answers before a pace is worth showing


def answers_an_hour(created: Sequence[str]) -> float | None:
    """Answers an hour since the last break.

    Args:
        created: Times of answers, ISO 8601, newest first.

    Returns:
        The pace; None while there are too few answers.

    Example:
        >>> round(answers_an_hour([f"2026-01-01T00:00:{second:02}+00:00" for second in range(50, 0, -5)]))
        720
    """
    times = [datetime.fromisoformat(one).timestamp() for one in created]
    working = times[:1]
    for one in times[1:]:
        if working[-1] - one > PAUSE_SECONDS:
            break
        working.append(one)
    if len(working) < FEWEST or working[0] <= working[-1]:
        return None
    return 3600.0 * (len(working) - 1) / (working[0] - working[-1])
