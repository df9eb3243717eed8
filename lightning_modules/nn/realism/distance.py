"""Kernel inception distance: how far the distribution of made pictures is from that of real ones."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError

_SUBSETS = 50  # of the KID's interval
_SUBSET = 100  # faces of one of them, at most


class KernelDistance(NamedTuple):
    """Kernel inception distance with a judge's features.

    Attributes:
        value: Unbiased estimate of the squared maximum mean discrepancy; 0 (or slightly below) for the same faces.
        low: 2.5 % point over random subsets.
        high: 97.5 % point.
    """

    value: float
    low: float
    high: float


def kernel_distance(features: Tensor, real: Tensor, seed: int = 0) -> KernelDistance:
    """KID (Binkowski et al., ICLR 2018) with the cubic kernel, and an interval over random subsets.

    The features are divided by the mean length of the real ones over sqrt(F), so that judges can be compared.

    Args:
        features: Of made faces, ``(N, F)``, N > 1.
        real: Of real faces, ``(M, F)``, M > 1.
        seed: Of the subsets.

    Raises:
        ConfigurationError: If there are fewer than two of either.
    """
    if min(len(features), len(real)) < 2:
        raise ConfigurationError(
            f"A kernel distance needs two faces of each kind, but there are {len(features)} made and {len(real)} real "
            "ones: ask for more."
        )
    scale = real.double().norm(dim=1).mean() / math.sqrt(real.shape[1])
    first, second = features.double() / scale, real.double() / scale
    kernels = (_cubic(first, first), _cubic(second, second), _cubic(first, second))
    generator = torch.Generator().manual_seed(seed)
    size = min(_SUBSET, len(first), len(second))
    values = []
    for _ in range(_SUBSETS):
        rows = torch.randperm(len(first), generator=generator)[:size]
        columns = torch.randperm(len(second), generator=generator)[:size]
        part = (kernels[0][rows][:, rows], kernels[1][columns][:, columns], kernels[2][rows][:, columns])
        values.append(_discrepancy(*part))
    low, high = torch.tensor(values, dtype=torch.float64).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return KernelDistance(_discrepancy(*kernels), low.item(), high.item())


def _cubic(first: Tensor, second: Tensor) -> Tensor:
    return (first @ second.T / first.shape[1] + 1).pow(3)


def _discrepancy(within: Tensor, real: Tensor, across: Tensor) -> float:
    """Unbiased squared maximum mean discrepancy from the three kernel matrices."""
    own, other = len(within), len(real)
    first = (within.sum() - within.diagonal().sum()) / (own * (own - 1))
    second = (real.sum() - real.diagonal().sum()) / (other * (other - 1))
    return (first + second - 2 * across.mean()).item()
