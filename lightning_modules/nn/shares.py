"""Shares of classes among pictures: how far from those that are wanted, and what the judge's errors did to them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lightning_modules.nn.estimate import NORMAL, Estimate, around

_DRAWS = 1000  # of a bootstrap
_LEAST = 1e-12


def total_variation(shares: Tensor, target: Tensor) -> Tensor:
    """Half of the sum of differences, ``(...,)``, of shares ``(..., K)`` that add up to 1: 0 equal, 1 disjoint.

    Example:
        >>> total_variation(torch.tensor([0.75, 0.25]), torch.tensor([0.5, 0.5])).item()
        0.25
    """
    return (shares - target).abs().sum(dim=-1) / 2


def divergence(shares: Tensor, target: Tensor) -> Tensor:
    """Kullback-Leibler divergence of shares from a target in nats, ``(...,)``; infinite where the target lacks a class.

    Example:
        >>> round(divergence(torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5])).item(), 4)
        0.6931
    """
    own: Tensor = torch.xlogy(shares, shares)
    return (own - torch.xlogy(shares, target)).sum(dim=-1)


def jensen_shannon(shares: Tensor, target: Tensor) -> Tensor:
    """Jensen-Shannon divergence in nats, ``(...,)``: 0 equal, log 2 disjoint.

    Example:
        >>> round(jensen_shannon(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])).item(), 4)
        0.6931
    """
    middle = (shares + target) / 2
    return (divergence(shares, middle) + divergence(target, middle)) / 2


def distances(counts: Tensor, target: Tensor, seed: int = 0) -> dict[str, Estimate]:
    """Total variation, both divergences and the largest share over the smallest, with intervals.

    The intervals are 1.96 standard deviations of a parametric bootstrap; of the ratio 1.96 of its logarithm's
    (1 / count of each). One that is infinite has none.

    Args:
        counts: Pictures of each class, ``(K,)``.
        target: Wanted shares, ``(K,)``.
        seed: Of the bootstrap.
    """
    n = round(counts.sum().item())
    if n < 1:
        none = Estimate(math.nan, math.nan, math.nan, 0)
        return dict.fromkeys(("total_variation", "kl", "js", "max_over_min"), none)
    shares, wanted = counts.double() / counts.double().sum(), target.double()
    drawn = _resampled(shares, n, seed)
    found = {}
    for name, measure in (("total_variation", total_variation), ("kl", divergence), ("js", jensen_shannon)):
        value = max(0.0, measure(shares, wanted).item())
        if math.isinf(value):
            found[name] = Estimate(value, math.nan, math.nan, n)
        else:
            found[name] = around(value, measure(drawn, wanted), n, least=0.0)
    found["max_over_min"] = _ratio(counts, n)
    return found


def corrected_shares(
    counts: Tensor, confusion: Tensor, confusion_counts: Tensor | None = None, seed: int = 0
) -> list[Estimate]:
    """Shares of the true classes, where a judge takes class k for class j with probability C[k, j].

    What is observed is ``C^T p``; p is solved for, cut at 0 and made to add up to 1. The intervals are quantiles of a
    bootstrap of the pictures and, where its counts are known, of the confusion.

    Args:
        counts: Pictures that the judge says are of each class, ``(K,)``.
        confusion: C, ``(K, K)``, rows that add up to 1.
        confusion_counts: Labelled pictures that C was measured on, ``(K, K)``; None takes C as exact.
        seed: Of the bootstrap.

    Example:
        >>> judge = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
        >>> round(corrected_shares(torch.tensor([620.0, 380.0]), judge)[0].value, 4)
        0.6
    """
    n = round(counts.sum().item())
    if n < 1:
        return [Estimate(math.nan, 0.0, 1.0, 0)] * len(counts)
    shares = counts.double() / counts.double().sum()
    drawn = _resampled(shares, n, seed)
    matrices = confusion.double().expand(len(drawn), -1, -1)
    if confusion_counts is not None:
        rows = [
            _resampled(confusion[row].double(), round(total), seed + 1 + row)
            for row, total in enumerate(confusion_counts.sum(dim=1).tolist())
        ]
        matrices = torch.stack(rows, dim=1)
    whole = _solved(confusion.double()[None], shares[None])[0]
    found = _solved(matrices, drawn).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64), dim=0)
    low, high = torch.minimum(found[0], whole), torch.maximum(found[1], whole)
    return [Estimate(*numbers, n) for numbers in zip(whole.tolist(), low.tolist(), high.tolist(), strict=True)]


def class_counts(shown: Tensor) -> Tensor:
    """Pictures of each class, ``(K,)``, of weights ``(N, K)``; rows of NaN are of no known class."""
    return shown.double().nansum(dim=0)


def labels_of(shown: Tensor) -> Tensor:
    """Class of each picture, int64 ``(N,)``, of weights ``(N, K)``; -1 where no class has more than half.

    Example:
        >>> labels_of(torch.tensor([[1.0, 0.0], [0.5, 0.5], [torch.nan, torch.nan]])).tolist()
        [0, -1, -1]
    """
    most = shown.nan_to_num(0).max(dim=1)
    return torch.where(most.values > 0.5, most.indices, -1)


def _resampled(shares: Tensor, n: int, seed: int) -> Tensor:
    """Shares of n pictures drawn anew, float64 ``(D, K)``."""
    generator = torch.Generator().manual_seed(seed)
    left, mass = torch.full((_DRAWS,), float(n), dtype=torch.float64), 1.0
    drawn = []
    for share in shares.tolist():  # one binomial after another, so that memory does not grow with n
        chance = min(1.0, share / mass) if mass > _LEAST else 0.0
        part = torch.binomial(left, torch.full_like(left, chance), generator=generator)
        drawn.append(part)
        left, mass = left - part, mass - share
    counts = torch.stack(drawn, dim=1)
    return counts / counts.sum(dim=1, keepdim=True).clamp(min=1)


def _solved(confusion: Tensor, shares: Tensor) -> Tensor:
    """Non-negative p with ``C^T p = shares`` as nearly as may be, ``(D, K)``."""
    inverse: Tensor = torch.linalg.pinv(confusion.transpose(1, 2))
    found = (inverse @ shares[..., None])[..., 0].clamp(min=0)
    return found / found.sum(dim=1, keepdim=True).clamp(min=_LEAST)


def _ratio(counts: Tensor, n: int) -> Estimate:
    high, low = counts.max().item(), counts.min().item()
    if low <= 0:
        return Estimate(math.inf, math.nan, math.nan, n)
    factor = math.exp(NORMAL * math.sqrt(1 / high + 1 / low))
    return Estimate(high / low, max(1.0, high / low / factor), high / low * factor, n)
