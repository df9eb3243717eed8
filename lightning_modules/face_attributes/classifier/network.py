"""Classifier of face attributes: a backbone's features and the heads of a schema."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from lightning_modules.face_attributes.classifier.heads import AttributeHeads


class FaceAttributeNetwork(nn.Module):
    """Backbone, dropout, heads.

    Shape:
        - x: ``(B, 3, S, S)``, normalised.
        - returns: logits ``(B, L)``.

    Args:
        backbone: Maps ``(B, 3, S, S)`` to features ``(B, F)``: a `VGG`, or any module.
        heads: The heads on F features.
        image_size: S in pixels.
        dropout: Share of the features that training sets to zero before the heads; a VGG has a dropout of its own.

    Example:
        >>> import torch
        >>> from datamodules.faces.schema import AttributeSchema
        >>> heads = AttributeHeads(12, AttributeSchema.from_file())
        >>> FaceAttributeNetwork(nn.Flatten(), heads, image_size=2)(torch.zeros(2, 3, 2, 2)).shape
        torch.Size([2, 81])

    References:
        Cate, Dalvi, Hussain, "DeepFace: Face Generation using Deep Learning" (2016), section 3.2 and figure 1.
    """

    def __init__(self, backbone: nn.Module, heads: AttributeHeads, image_size: int = 224, dropout: float = 0.0) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.heads = heads
        self.image_size = image_size

    @property
    def num_features(self) -> int:
        """F."""
        return self.heads.num_features

    def features(self, x: Tensor) -> Tensor:
        """Features ``(B, F)``, fc7 or pooled, of normalised faces ``(B, 3, S, S)``."""
        return cast(Tensor, self.backbone(x))

    def classify(self, features: Tensor) -> Tensor:
        """Logits ``(B, L)`` of features ``(B, F)``."""
        return cast(Tensor, self.heads(self.dropout(features)))

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, L)`` of normalised faces ``(B, 3, S, S)``."""
        return self.classify(self.features(x))
