"""The training picture that each made picture is most like, of several views of both, in memory that is bounded."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError

_ROWS = 1024  # pictures that are compared at a time


class MostAlike(NamedTuple):
    """The closest reference pictures of each picture.

    Attributes:
        similarity: Largest cosine, float32 ``(N,)``.
        row: Reference picture that has it, int64 ``(N,)``.
        second: Largest cosine of all other reference pictures, ``(N,)``; -inf where there is no other.
    """

    similarity: Tensor
    row: Tensor
    second: Tensor

    def is_near_copy(self, ratio: float = 1 / 3) -> Tensor:
        """Whether the nearest reference is far nearer than the second, in Euclidean distance, bool ``(N,)``."""
        first, second = ((2 - 2 * value).clamp(min=0).sqrt() for value in (self.similarity, self.second))
        return (first < ratio * second) & self.second.isfinite()


def most_alike(views: Tensor, reference: Tensor, chunk: int = 4096, leave_out_own: bool = False) -> MostAlike:
    """Compare view q of a picture with the views q, q + Q, ... of all references; the best pair of views counts.

    So a picture may be cut into Q regions, or its descriptor into Q chunks as somepago/DCR does (``--style split``), to
    find copies of a part; and a reference may have more such sets of views, as of its mirrored picture.

    Args:
        views: Unit vectors (or 0, which is like nothing), ``(N, Q, F)``.
        reference: ``(M, V, F)``, V a multiple of Q.
        chunk: References that are compared at a time; it changes no result.
        leave_out_own: Picture n is no reference of itself, where both are the same set.

    Raises:
        ConfigurationError: If views do not fit together, or there is nothing to compare with.

    Example:
        >>> faces = torch.eye(3)[:, None]
        >>> found = most_alike(torch.tensor([[[0.0, 0.6, 0.8]]]), faces)
        >>> found.row.tolist(), round(found.second.item(), 4)
        ([2], 0.6)
    """
    number = views.shape[1]
    if views.shape[2] != reference.shape[2] or reference.shape[1] % number:
        raise ConfigurationError(
            f"the pictures have {tuple(views.shape[1:])} views and numbers, the references "
            f"{tuple(reference.shape[1:])}: describe both alike"
        )
    if len(reference) < 1 + leave_out_own:
        raise ConfigurationError(f"there are {len(reference)} pictures to compare with: give more")
    parts = [
        _of_rows(views[start : start + _ROWS], reference, chunk, start if leave_out_own else None)
        for start in range(0, len(views), _ROWS)
    ]
    return MostAlike(*(torch.cat([part[place] for part in parts]) for place in range(3)))


def _of_rows(views: Tensor, reference: Tensor, chunk: int, own: int | None) -> MostAlike:
    best = torch.full((len(views),), -torch.inf)
    second, row = best.clone(), torch.zeros(len(views), dtype=torch.int64)
    for start in range(0, len(reference), chunk):
        cosines = _cosines(views, reference[start : start + chunk])
        if own is not None:
            places = torch.arange(own, own + len(views)) - start
            inside = (places >= 0) & (places < cosines.shape[1])
            cosines[inside.nonzero()[:, 0], places[inside]] = -torch.inf
        found = cosines.topk(min(2, cosines.shape[1]), dim=1)
        better = found.values[:, 0] > best
        second = torch.maximum(second, torch.where(better, best, found.values[:, 0]))
        row = torch.where(better, found.indices[:, 0] + start, row)
        best = torch.where(better, found.values[:, 0], best)
        if cosines.shape[1] > 1:
            second = torch.maximum(second, found.values[:, 1])
    return MostAlike(best, row, second)


def _cosines(views: Tensor, reference: Tensor) -> Tensor:
    """Largest cosine of views that belong together, float32 ``(N, M)``."""
    number = views.shape[1]
    best: Tensor | None = None
    for view in range(reference.shape[1]):
        cosines = views[:, view % number] @ reference[:, view].T
        best = cosines if best is None else torch.maximum(best, cosines)
    assert best is not None  # a picture has a view
    return best
