"""Whether two networks descend from the same weights.

Weights tell descent. Two networks that were trained apart, from random weights, hold the same filters in no common
order, so that their weights, each input's mean over the outputs taken off, correlate by chance alone. Another epoch of
a training, a copy that was trained further and two trainings from the same start keep the order: on the demo's
classifier and judges, trainings apart correlate up to 0.04 in a layer, and epochs of one training, or trainings from
one start, by 0.14 to 1 in every layer and by 0.45 to 0.9 in the middle one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightning_modules.face_attributes.classifier.layers import plain_backbone

RELATED = 0.1  # correlation of two layers of one descent, added to what chance gives
CHANCE = 4.0  # standard deviations of the correlation of unrelated layers
SHARE = 0.25  # of the layers that both have, which tells descent: a copy may have learnt the others anew
FEWEST = 64  # weights of a layer that tells anything


def correlation(first: Tensor, second: Tensor) -> float:
    """Correlation of two weights ``(O, ...)``, each input's mean over the outputs taken off; 0 where one is constant.

    Example:
        >>> weight = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0))
        >>> round(correlation(weight, 2 * weight + 1), 6), abs(correlation(weight, weight.flip(0))) < 0.25
        (1.0, True)
    """
    rows = [weight.detach().cpu().double().flatten(1) for weight in (first, second)]
    own, other = (part - part.mean(dim=0) for part in rows)
    length = own.norm() * other.norm()
    return (own * other).sum().item() / length.item() if length > 0 else 0.0


def share_descent(first: nn.Module, second: nn.Module) -> bool:
    """Whether one network was trained from weights of the other, or both from the same.

    Only the backbones are compared: the rows of heads are attributes, in the same order in every network.
    """
    ours, theirs = (dict(plain_backbone(network).named_parameters()) for network in (first, second))
    found = []
    for name in ours.keys() & theirs.keys():
        own, other = ours[name], theirs[name]
        if own.shape == other.shape and own.ndim > 1 and own.numel() >= FEWEST:
            found.append(correlation(own, other) > RELATED + CHANCE / own.numel() ** 0.5)
    return bool(found) and sum(found) >= SHARE * len(found)


def have_one_architecture(first: nn.Module, second: nn.Module) -> bool:
    """Whether two classifiers have the same backbone, whatever the size of their pictures and full layers."""
    return _architecture(first) == _architecture(second)


def are_equal(first: nn.Module, second: nn.Module) -> bool:
    """Whether two networks have the same names, shapes and values."""
    own, other = first.state_dict(), second.state_dict()
    return own.keys() == other.keys() and all(
        own[key].shape == other[key].shape and torch.equal(own[key].cpu(), other[key].cpu()) for key in own
    )


def _architecture(network: nn.Module) -> list[tuple[str, tuple[int, ...]]]:
    """Parameters in order; of convolutions their shapes, since those of full layers follow from the pictures' size."""
    named = plain_backbone(network).named_parameters()
    return [(name, tuple(part.shape) if part.ndim == 4 else ()) for name, part in named]
