"""The most similar of a set of reference pictures, by the cosine of unit vectors, in memory that is bounded."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError


class MostSimilar(NamedTuple):
    """The closest reference of each row.

    Attributes:
        similarity: Cosine, ``(N,)``.
        row: Its row, int64 ``(N,)``.
    """

    similarity: Tensor
    row: Tensor


def most_similar(features: Tensor, reference: Tensor, chunk: int = 16_384, leave_out_own: bool = False) -> MostSimilar:
    """Find the reference with the largest cosine.

    Args:
        features: Unit vectors ``(N, F)``.
        reference: Unit vectors ``(M, F)``, M > 0.
        chunk: Rows of the reference that are compared at a time; it changes no result.
        leave_out_own: Row n is no neighbour of itself, where both are the same set; then M > 1.

    Raises:
        ConfigurationError: If the lengths of the vectors differ, or there is nothing to compare with.

    Example:
        >>> most_similar(torch.eye(2), torch.tensor([[0.0, 1.0], [0.6, 0.8]])).row.tolist()
        [1, 0]
    """
    if features.shape[1] != reference.shape[1]:
        raise ConfigurationError(
            f"the embeddings have {features.shape[1]} and {reference.shape[1]} numbers: use one embedder for both"
        )
    if len(reference) < 1 + leave_out_own:
        raise ConfigurationError(f"there are {len(reference)} pictures to compare with: give more")
    best = torch.full((len(features),), -torch.inf, dtype=features.dtype, device=features.device)
    row = torch.zeros(len(features), dtype=torch.int64, device=features.device)
    own = torch.arange(len(features), device=features.device)
    for start in range(0, len(reference), chunk):
        cosines = features @ reference[start : start + chunk].to(features).T
        if leave_out_own:
            inside = (own >= start) & (own < start + cosines.shape[1])
            cosines[own[inside], own[inside] - start] = -torch.inf
        found = cosines.max(dim=1)
        better = found.values > best
        best = torch.where(better, found.values, best)
        row = torch.where(better, found.indices + start, row)
    return MostSimilar(best, row)
