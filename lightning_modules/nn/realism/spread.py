"""How far apart faces are: those of one set, and each made face and its source among strangers."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from lightning_modules.nn.estimate import NORMAL, Estimate

_BLOCK = 1024  # rows of a distance matrix at a time


def diversity(features: Tensor) -> float:
    """Mean Euclidean distance between two different rows; NaN for fewer than two."""
    return pairwise_distance(features).value


def pairwise_distance(features: Tensor) -> Estimate:
    """The same with its interval, that of a U-statistic: 1.96 times 2 / sqrt(N) deviations of a row's mean distance.

    Args:
        features: Or pixels, ``(N, F)``.

    Example:
        >>> pairwise_distance(torch.tensor([[0.0], [1.0], [2.0]])).value.__round__(4)
        1.3333
    """
    number = len(features)
    if number < 2:
        return Estimate(math.nan, math.nan, math.nan, number)
    centred = features.double() - features.double().mean(dim=0)
    totals = torch.cat([torch.cdist(block, centred).sum(dim=1) for block in torch.split(centred, _BLOCK)])
    means = totals / (number - 1)
    half = NORMAL * 2 * means.std().item() / math.sqrt(number)
    value = means.mean().item()
    return Estimate(value, max(0.0, value - half), value + half, number)


def similarity_percentile(features: Tensor, sources: Tensor, real: Tensor, seed: int = 0) -> Tensor:
    """Place of each made face's likeness to its source among random pairs of real faces, 0..100, ``(N,)``.

    Likeness is the cosine of features around the mean of the real ones; 50 is what two strangers have.

    Args:
        features: Of made faces, ``(N, F)``.
        sources: Of the face that each was made after, ``(N, F)``.
        real: Of real faces, ``(M, F)``, M > 1.
        seed: Of the pairs.
    """
    centre = real.mean(dim=0)
    own = functional.cosine_similarity(features - centre, sources - centre)
    pairs = random_pairs(len(real), 4000, seed)
    strangers = functional.cosine_similarity(real[pairs[0]] - centre, real[pairs[1]] - centre).sort().values
    below = torch.searchsorted(strangers, own.contiguous())
    return below.double() / len(strangers) * 100


def random_pairs(number: int, pairs: int, seed: int) -> Tensor:
    """Pairs of different rows of ``number``, int64 ``(2, pairs)``."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(number, (pairs,), generator=generator)
    shift = torch.randint(1, max(2, number), (pairs,), generator=generator)
    return torch.stack([first, (first + shift) % number])
