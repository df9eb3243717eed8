"""Which domain does each pixel of the features come from? A small fully convolutional classifier.

References:
    Cordier, Das and Gutierrez, "Active learning using weakly supervised signals for quality inspection", QCAV 2021,
    section 3.4.4; Hoffman et al., "FCNs in the Wild", 2016.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn


class DomainSegmenter(nn.Module):
    """1x1 convolution with 64 filters, ReLU, batch norm, 1x1 convolution with one: a logit for every feature pixel.

    Shape:
        - features: ``(B, F, h, w)``, floating point.
        - returns: ``(B, 1, h, w)`` logits; above 0 means the new domain.

    Args:
        num_features: Channels F.
        hidden: Filters of the first layer.
    """

    def __init__(self, num_features: int, hidden: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(num_features, hidden, 1), nn.ReLU(inplace=True), nn.BatchNorm2d(hidden), nn.Conv2d(hidden, 1, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Domain logits of ``(B, F, h, w)``."""
        return cast(Tensor, self.layers(features))


def proxy_a_distance(error: Tensor) -> Tensor:
    """Proxy A-distance 2 (1 - 2 error) of a domain classifier: 2 where it is never wrong, 0 where it guesses.

    Args:
        error: Share of wrong decisions, 0..1, any shape; above 0.5 counts as guessing.

    References:
        Ben-David et al., "Analysis of Representations for Domain Adaptation", NIPS 2006.

    Example:
        >>> import torch
        >>> proxy_a_distance(torch.tensor([0.0, 0.25, 0.5, 0.6]))
        tensor([2., 1., 0., 0.])
    """
    return 2 * (1 - 2 * error.clamp(max=0.5))
