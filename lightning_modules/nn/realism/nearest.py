"""The nearest real picture of each made one: whether made pictures lie among real ones, or are copies of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_BLOCK = 256  # rows of a distance matrix at a time


class Nearest(NamedTuple):
    """The closest of a set of reference faces to each face.

    Attributes:
        distance: Euclidean, ``(N,)``.
        row: Its row, int64 ``(N,)``.
    """

    distance: Tensor
    row: Tensor


def nearest(features: Tensor, reference: Tensor) -> Nearest:
    """Find the closest reference of each row by Euclidean distance.

    Args:
        features: ``(N, F)``.
        reference: ``(M, F)``.
    """
    blocks = [torch.cdist(block.double(), reference.double()).min(dim=1) for block in _blocks(features)]
    return Nearest(torch.cat([block.values for block in blocks]), torch.cat([block.indices for block in blocks]))


def nearest_ratio(features: Tensor, held_out: Tensor, reference: Tensor) -> float:
    """Mean distance to the closest reference face, over that of real faces outside the reference.

    About 1 for faces that lie among the real ones; above it for what no real face looks like.

    Args:
        features: Of made faces, ``(N, F)``.
        held_out: Of real faces that are not in the reference, ``(H, F)``.
        reference: Of real faces, ``(M, F)``.
    """
    return (nearest(features, reference).distance.mean() / nearest(held_out, reference).distance.mean()).item()


def copies(features: Tensor, reference: Tensor, ratio: float = 0.5) -> float:
    """Share of faces that are far nearer to one reference face than to any other: copies of it.

    Args:
        features: Of made faces, ``(N, F)``.
        reference: Of real faces, ``(M, F)``, M > 1.
        ratio: Distance to the nearest over that to the second nearest, below which a face is a copy.
    """
    blocks = [torch.cdist(block.double(), reference.double()).topk(2, largest=False) for block in _blocks(features)]
    distances = torch.cat([block.values for block in blocks])
    return (distances[:, 0] < ratio * distances[:, 1]).double().mean().item()


def _blocks(features: Tensor) -> tuple[Tensor, ...]:
    return torch.split(features, _BLOCK)
