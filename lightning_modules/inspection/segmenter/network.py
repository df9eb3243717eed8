"""The grid-cell segmenter: features, dropout, one logit a class and cell."""

from __future__ import annotations

import math
from typing import NamedTuple, cast

from torch import Tensor, nn

from lightning_modules.inspection.areas import PRIOR


class SegmenterOutput(NamedTuple):
    """What the network says of each cell.

    Attributes:
        logits: ``(B, C, h, w)``, one independent decision a class.
        features: ``(B, F, h, w)``, the last features that all classes share.
    """

    logits: Tensor
    features: Tensor


class GridSegmenter(nn.Module):
    """Backbone, dropout, 1x1 convolution.

    Shape:
        - x: ``(B, 3, H, W)``, normalised.
        - returns: `SegmenterOutput` with h = ceil(H / stride), w = ceil(W / stride).

    Args:
        backbone: Maps ``(B, 3, H, W)`` to ``(B, F, h, w)`` and knows ``num_features`` and ``stride``.
        num_classes: C.
        dropout: Share of the features that training sets to zero.
    """

    def __init__(self, backbone: nn.Module, num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.backbone = backbone
        self.stride = cast(int, backbone.stride)
        self.num_features = cast(int, backbone.num_features)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv2d(self.num_features, num_classes, 1)
        nn.init.constant_(self.head.bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]  # there is a bias

    def forward(self, x: Tensor) -> SegmenterOutput:
        """Logits and features of ``(B, 3, H, W)``."""
        features = self.backbone(x)
        return SegmenterOutput(self.classify(features), features)

    def classify(self, features: Tensor) -> Tensor:
        """Logits ``(B, C, h, w)`` of features ``(B, F, h, w)``; under dropout each call draws anew."""
        return cast(Tensor, self.head(self.dropout(features)))
