"""A measured number with its 95 % interval, and the intervals of shares and means."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor

NORMAL: Final = 1.959963984540054  # standard deviations on either side that hold 95 % of a normal distribution
_DRAWS: Final = 300  # of a bootstrap
_TOGETHER: Final = 1 << 22  # numbers that are drawn at a time


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


def difference(first: Estimate, second: Estimate) -> Estimate:
    """First less second, with the interval of two independent ones (Newcombe 1998, method 10, for shares).

    Example:
        >>> [round(number, 3) for number in difference(wilson(56, 70), wilson(48, 80))[:3]]
        [0.2, 0.052, 0.334]
    """
    value = first.value - second.value
    low = value - math.hypot(first.value - first.low, second.high - second.value)
    high = value + math.hypot(first.high - first.value, second.value - second.low)
    return Estimate(value, low, high, first.n)


def mean_of(parts: Sequence[Estimate]) -> Estimate:
    """Mean of independent numbers; n is that of all their pictures.

    Example:
        >>> mean_of([Estimate(1.0, 0.0, 2.0, 10), Estimate(3.0, 2.0, 4.0, 10)]).value
        2.0
    """
    if not parts:
        return Estimate(math.nan, math.nan, math.nan, 0)
    value = math.fsum(part.value for part in parts) / len(parts)
    below = math.hypot(*(part.value - part.low for part in parts)) / len(parts)
    above = math.hypot(*(part.high - part.value for part in parts)) / len(parts)
    return Estimate(value, value - below, value + above, sum(part.n for part in parts))


def around(value: float, draws: Tensor, n: int, least: float = -math.inf) -> Estimate:
    """A number with 1.96 standard deviations of its bootstrap draws on either side.

    For numbers that resampling shifts, such as a distance that is 0 for equal sets: the quantiles of their draws may
    not hold them.

    Args:
        value: The number.
        draws: The same of resampled pictures, ``(D,)``.
        n: Pictures.
        least: Its least possible value.
    """
    half = NORMAL * draws.double().std().item()
    return Estimate(value, max(least, value - half), value + half, n)


def bootstrapped(values: Tensor, statistic: Callable[[Tensor], Tensor], seed: int, draws: int = _DRAWS) -> Estimate:
    """A statistic of values and the 2.5 % and 97.5 % points of its bootstrap.

    Args:
        values: ``(N,)``; the interval of fewer than two is NaN.
        statistic: From ``(D, N)`` to ``(D,)``.
        seed: Of the resampling.
        draws: D.

    Example:
        >>> values = torch.arange(100.0)
        >>> found = bootstrapped(values, lambda rows: rows.mean(dim=1), seed=0)
        >>> found.value, 43 < found.low < 45, 54 < found.high < 56
        (49.5, True, True)
    """
    values = values.double()
    whole = statistic(values[None]).item() if len(values) else math.nan
    if len(values) < 2:
        return Estimate(whole, math.nan, math.nan, len(values))
    generator = torch.Generator().manual_seed(seed)
    together = max(1, _TOGETHER // len(values))
    drawn = [
        statistic(values[torch.randint(len(values), (min(together, draws - start), len(values)), generator=generator)])
        for start in range(0, draws, together)
    ]
    low, high = torch.cat(drawn).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return Estimate(whole, min(low, whole), max(high, whole), len(values))
