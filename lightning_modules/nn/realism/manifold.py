"""Improved precision and recall (Kynkäänniemi et al., NeurIPS 2019): which pictures lie where the others do."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.estimate import Estimate, wilson

_BLOCK = 512  # rows and columns of a distance matrix at a time


class Coverage(NamedTuple):
    """Shares with the intervals of shares.

    Attributes:
        precision: Of made pictures that lie within the real ones: do they look real?
        recall: Of real pictures that lie within the made ones: is all that is real made?
    """

    precision: Estimate
    recall: Estimate


def precision_recall(features: Tensor, real: Tensor, neighbours: int = 3) -> Coverage:
    """A set reaches from each of its pictures as far as to the k-th nearest other one of it.

    Args:
        features: Of made pictures, ``(N, F)``, N > k.
        real: Of real pictures, ``(M, F)``, M > k.
        neighbours: k.

    Raises:
        ConfigurationError: If there are not more pictures than neighbours.

    Example:
        >>> line = torch.arange(10.0)[:, None]
        >>> found = precision_recall(line[:5] + 0.25, line, neighbours=1)
        >>> found.precision.value, found.recall.value
        (1.0, 0.6)
    """
    if neighbours < 1 or min(len(features), len(real)) <= neighbours:
        raise ConfigurationError(
            f"precision and recall look at the {neighbours} nearest pictures, but there are {len(features)} made and "
            f"{len(real)} real ones: give more pictures, or ask for fewer neighbours"
        )
    centre = real.double().mean(dim=0)
    first, second = features.double() - centre, real.double() - centre
    precise, recalled = _inside(first, second, neighbours), _inside(second, first, neighbours)
    return Coverage(
        wilson(int(precise.sum()), len(precise)),
        wilson(int(recalled.sum()), len(recalled)),
    )


def _inside(points: Tensor, others: Tensor, neighbours: int) -> Tensor:
    """Whether each point lies within the reach of another, bool ``(N,)``."""
    reach = torch.cat(
        [
            torch.cdist(part, others).topk(neighbours + 1, dim=1, largest=False).values[:, -1]  # the nearest is itself
            for part in torch.split(others, _BLOCK)
        ]
    )
    return torch.cat([(torch.cdist(part, others) <= reach).any(dim=1) for part in torch.split(points, _BLOCK)])
