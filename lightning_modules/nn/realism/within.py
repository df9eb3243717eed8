"""Measures inside each class, so that other shares of the classes do not count as unreal."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from lightning_modules.nn.estimate import Estimate, mean_of
from lightning_modules.nn.realism.distance import kernel_distance
from lightning_modules.nn.realism.spread import pairwise_distance

_LEAST = 4  # pictures of a class on either side: fewer have no interval


class ByClass(NamedTuple):
    """A measure inside each class.

    Attributes:
        mean: Over the classes that have it.
        each: By the number of the class.
    """

    mean: Estimate
    each: dict[int, Estimate]


def class_kernel_distances(features: Tensor, labels: Tensor, real: Tensor, real_labels: Tensor) -> ByClass:
    """Kernel distance of the made pictures of each class to the real ones of that class, and its mean.

    A kernel distance over all classes together counts other shares as a fault, so that it is smallest for a model with
    the bias of the real pictures; this one is not moved by shares.

    Args:
        features: Of made pictures, ``(N, F)``.
        labels: Class of each, int64 ``(N,)``; -1 for none.
        real: Of real pictures, ``(M, F)``.
        real_labels: Likewise, ``(M,)``.
    """
    each = {}
    for number in sorted({*labels.tolist()} & {*real_labels.tolist()} - {-1}):
        own, other = features[labels == number], real[real_labels == number]
        if min(len(own), len(other)) >= _LEAST:
            found = kernel_distance(own, other)
            each[number] = Estimate(found.value, found.low, found.high, len(own))
    return ByClass(mean_of(list(each.values())), each)


def class_spreads(features: Tensor, labels: Tensor) -> ByClass:
    """Mean distance of two pictures of each class, and its mean: near 0 where a model makes one face again and again.

    Args:
        features: Or pixels, ``(N, F)``.
        labels: Class of each, int64 ``(N,)``; -1 for none.

    Example:
        >>> import torch
        >>> points = torch.tensor([[0.0], [2.0], [10.0], [10.0]])
        >>> class_spreads(points, torch.tensor([0, 0, 1, 1])).mean.value
        1.0
    """
    each = {
        number: pairwise_distance(features[labels == number])
        for number in sorted({*labels.tolist()} - {-1})
        if int((labels == number).sum()) > 1
    }
    return ByClass(mean_of(list(each.values())), each)
