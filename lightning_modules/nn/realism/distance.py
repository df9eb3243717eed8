"""Kernel inception distance: how far the distribution of made pictures is from that of real ones."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.estimate import NORMAL

_BLOCK = 1024  # rows of a kernel matrix at a time


class KernelDistance(NamedTuple):
    """Kernel inception distance with a judge's features.

    Attributes:
        value: Unbiased estimate of the squared maximum mean discrepancy; 0 (or slightly below) for the same faces.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def kernel_distance(features: Tensor, real: Tensor) -> KernelDistance:
    """KID (Binkowski et al., ICLR 2018) with the cubic kernel, and the interval of a U-statistic of two samples.

    The features are divided by the mean length of the real ones over sqrt(F), so that judges can be compared. The
    interval is 1.96 standard errors: 4 / N times the variance of what each made face adds, and likewise of real ones.
    Memory does not grow with N M.

    Args:
        features: Of made faces, ``(N, F)``, N > 1.
        real: Of real faces, ``(M, F)``, M > 1.

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
    parts = [_within(first) - _mean_kernel(first, second), _within(second) - _mean_kernel(second, first)]
    value = sum(part.mean().item() for part in parts)
    half = NORMAL * math.sqrt(sum(4 * part.var().item() / len(part) for part in parts))
    return KernelDistance(value, value - half, value + half)


def _within(features: Tensor) -> Tensor:
    """Mean kernel of each row with the other rows, ``(N,)``."""
    own = _cubic(features.square().sum(dim=1), features.shape[1])
    return (_mean_kernel(features, features) * len(features) - own) / (len(features) - 1)


def _mean_kernel(first: Tensor, second: Tensor) -> Tensor:
    """Mean kernel of each row with the rows of another set, ``(N,)``."""
    blocks = torch.split(first, _BLOCK)
    return torch.cat([_cubic(block @ second.T, first.shape[1]).mean(dim=1) for block in blocks])


def _cubic(products: Tensor, width: int) -> Tensor:
    return (products / width + 1).pow(3)
