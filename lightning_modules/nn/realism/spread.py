"""Whether made faces look like faces at all, since agreement alone can be won with noise.

Every measure is a ratio to, or a place among, real faces that neither the made faces nor the reference set hold.
Images are float ``(N, 3, S, S)`` in 0..1; features are float ``(N, F)`` of a judge.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def diversity(features: Tensor) -> float:
    """Mean Euclidean distance between two different rows; NaN for fewer than two."""
    if len(features) < 2:
        return math.nan
    distances = torch.cdist(features.double(), features.double())
    return (distances.sum() / (len(features) * (len(features) - 1))).item()


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
