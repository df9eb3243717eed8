"""A measured number with its 95 % interval, and the intervals of shares."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

NORMAL: Final = 1.959963984540054  # standard deviations on either side that hold 95 % of a normal distribution


class Estimate(NamedTuple):
    """A number that was measured.

    Attributes:
        value: The number.
        low: Lower end of its 95 % interval; NaN where there is none.
        high: Upper end.
        n: Pictures (or pairs, or classes) that it rests on.
    """

    value: float
    low: float
    high: float
    n: int


def wilson(count: float, n: int) -> Estimate:
    """A share and its score interval (Wilson 1927), which keeps its promise for small n and near 0 and 1 too.

    Args:
        count: Those of n that count; a judge in doubt may count a part.
        n: Of all; with none the share is NaN and may lie anywhere.

    Example:
        >>> [round(number, 4) for number in wilson(5, 10)[:3]], [round(number, 4) for number in wilson(0, 20)[:3]]
        ([0.5, 0.2366, 0.7634], [0.0, 0.0, 0.1611])
    """
    if n < 1:
        return Estimate(math.nan, 0.0, 1.0, n)
    share, square = min(max(count / n, 0.0), 1.0), NORMAL**2
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = NORMAL / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return Estimate(share, max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)), n)
