"""Intervals of accuracies where questions share pictures and templates."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightning_modules.face_benchmark.results.outcome import Outcome
from lightning_modules.nn.estimate import NORMAL, Estimate, wilson

_LEAST: Final = 1e-12


class Clusters(NamedTuple):
    """Which of N questions belong together, int64 ``(N,)`` each, from 0.

    Attributes:
        templates: By wording.
        pictures: By pictures that they share, of one or over several others.
        both: By both.
    """

    templates: NDArray[np.int64]
    pictures: NDArray[np.int64]
    both: NDArray[np.int64]

    def take(self, kept: NDArray[np.bool_]) -> Clusters:
        """Those of some questions."""
        return Clusters(*(part[kept] for part in self))


def clusters_of(outcomes: Sequence[Outcome]) -> Clusters:
    """Templates and shared pictures of questions."""
    templates = _numbered([one.template or one.key for one in outcomes])
    pictures = _picture_groups([one.picture_hashes for one in outcomes])
    return Clusters(templates, pictures, _numbered(list(zip(templates.tolist(), pictures.tolist(), strict=True))))


def accuracy(right: NDArray[np.bool_], clusters: Clusters) -> Estimate:
    """Share of questions that are right, with Wilson's interval of their effective number.

    That is as many independent questions as would have the variance of the share by clusters, see `mean_variance`;
    where all or none are right, which shows no variance, as many as there are clusters of the coarser kind. A kind of
    which all questions are one cluster says nothing, and the other one counts.

    Args:
        right: bool ``(N,)``.
        clusters: Of the same questions.

    Example:
        >>> from numpy import arange, array
        >>> alone = Clusters(arange(40), arange(40), arange(40))
        >>> [round(number, 3) for number in accuracy(array([True] * 30 + [False] * 10), alone)[:3]]
        [0.75, 0.596, 0.859]
    """
    n = len(right)
    if n == 0:
        return wilson(0, 0)
    share = float(right.mean())
    if share in (0.0, 1.0):
        effective = _number(clusters)
    else:
        effective = share * (1 - share) / max(mean_variance(right.astype(np.float64), clusters), _LEAST)
    effective = min(max(effective, 1.0), float(n))
    found = _wilson_of(share, effective)
    return Estimate(share, found.low, found.high, n)


def difference(first: NDArray[np.bool_], second: NDArray[np.bool_], clusters: Clusters) -> Estimate:
    """Accuracy of the first less that of the second on the same questions, paired, with 1.96 deviations on either side.

    Where all pairs are alike, which shows no variance, by Wilson's bound of the share of other pairs.

    Args:
        first: bool ``(N,)``.
        second: bool ``(N,)``.
        clusters: Of the questions.
    """
    if len(first) == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    paired = first.astype(np.float64) - second.astype(np.float64)
    if np.all(paired == paired[0]):
        other = 1 - _wilson_of(1.0, _number(clusters)).low
        value = float(paired[0])
        width = other if value == 0 else 2 * other
        return Estimate(value, max(-1.0, value - width), min(1.0, value + width), len(paired))
    value, half = float(paired.mean()), NORMAL * math.sqrt(mean_variance(paired, clusters))
    return Estimate(value, max(-1.0, value - half), min(1.0, value + half), len(paired))


def _number(clusters: Clusters) -> float:
    """Clusters of the coarser kind of which there are several; 1 where there is none."""
    numbers = [len(set(part.tolist())) for part in clusters[:2]]
    return float(min((number for number in numbers if number > 1), default=1))


def mean_variance(values: NDArray[np.float64], clusters: Clusters) -> float:
    """Variance of a mean whose values share templates and pictures.

    By templates, plus by pictures, less by both (Cameron, Gelbach and Miller, Journal of Business & Economic Statistics
    29, 2011): each is what a bootstrap of whole clusters comes to, without its noise. Never less than the largest of
    the first two.

    Args:
        values: ``(N,)``.
        clusters: Of the same N.
    """
    templates, pictures, both = (_by(values, part) for part in clusters)
    return max(templates, pictures, templates + pictures - both)


def _by(values: NDArray[np.float64], cluster: NDArray[np.int64]) -> float:
    number = int(cluster.max()) + 1
    sums = np.bincount(cluster, weights=values - values.mean(), minlength=number)
    used = len(np.unique(cluster))
    correction = used / (used - 1) if used > 1 else 1.0
    return float((sums**2).sum()) / len(values) ** 2 * correction


def _wilson_of(share: float, effective: float) -> Estimate:
    """Wilson's interval of a number of questions that need not be whole."""
    square = NORMAL**2
    middle = (share + square / (2 * effective)) / (1 + square / effective)
    spread = share * (1 - share) / effective + square / (4 * effective * effective)
    half = NORMAL / (1 + square / effective) * math.sqrt(spread)
    return Estimate(share, max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)), round(effective))


def _numbered(names: Sequence[Hashable]) -> NDArray[np.int64]:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


def _picture_groups(hashes: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    """Questions that are joined by pictures, directly or over others; one without pictures is alone."""
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while (above := leader.setdefault(name, name)) != name:
            leader[name] = leader[above]
            name = leader[name]
        return name

    for group in hashes:
        for other in group[1:]:
            leader[find(other)] = find(group[0])
    return _numbered([find(group[0]) if group else row for row, group in enumerate(hashes)])
