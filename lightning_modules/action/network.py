"""Classifier of single frames: a backbone's pooled features, one wide layer, dropout, classes."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F


class FrameClassifier(nn.Module):
    """Backbone, fully connected layer with ReLU, dropout, class layer.

    Shape:
        - x: ``(B, 3, S, S)``, normalised.
        - returns: logits ``(B, C)``.

    Args:
        backbone: Maps ``(B, 3, S, S)`` to pooled features ``(B, F)``.
        num_features: F.
        num_classes: C.
        hidden: Width of the fully connected layer.
        dropout: Share of that layer's output that training sets to zero.

    References:
        Gjorjian, "Deep Learning Action Recognition: Drinking-Cooking", section 3.
    """

    def __init__(
        self, backbone: nn.Module, num_features: int, num_classes: int, hidden: int = 512, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.num_features = num_features
        self.hidden = nn.Linear(num_features, hidden)
        self.dropout = nn.Dropout(dropout)
        self.classes = nn.Linear(hidden, num_classes)
        for layer in (self.hidden, self.classes):  # the original's start
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def features(self, x: Tensor) -> Tensor:
        """Pooled features ``(B, F)`` of normalised frames ``(B, 3, S, S)``."""
        return cast(Tensor, self.backbone(x))

    def classify(self, features: Tensor) -> Tensor:
        """Logits ``(B, C)`` of features ``(B, F)``."""
        return cast(Tensor, self.classes(self.dropout(F.relu(self.hidden(features)))))

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, C)`` of normalised frames ``(B, 3, S, S)``."""
        return self.classify(self.features(x))
