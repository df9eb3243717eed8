"""Network of the anchor detector: (H, W, B * 5 + C) from the features of any backbone."""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_modules.inspection.areas import PRIOR

LEAST_DOUBT = 1e-6  # 1 - score below which log odds stop growing


class DetectorOutput(NamedTuple):
    """Equation 2 of the paper, by part; A anchors a cell (the paper's B), C classes, F features.

    Attributes:
        objectness: ``(B, A, h, w)``, logits.
        box: ``(B, A, 4, h, w)``, t of x, y, width, height (`anchors.decode_boxes`).
        classes: ``(B, C, h, w)``, logits, one vector a cell.
        features: ``(B, F, h, w)``, what the head and the domain segmenter see.
    """

    objectness: Tensor
    box: Tensor
    classes: Tensor
    features: Tensor

    def scores(self) -> Tensor:
        """Probability that an anchor holds a defect of a class, objectness x class; float32 ``(B, C, A, h, w)``."""
        return self.objectness.float().sigmoid()[:, None] * self.classes.float().sigmoid()[:, :, None]

    def log_odds(self) -> Tensor:
        """Log odds of `scores`, with a gradient also where they round to 0; float32 ``(B, C, A, h, w)``."""
        log_score = F.logsigmoid(self.objectness.float())[:, None] + F.logsigmoid(self.classes.float())[:, :, None]
        return log_score - (-torch.expm1(log_score)).clamp(min=LEAST_DOUBT).log()


class AnchorDetector(nn.Module):
    """Backbone, dropout, and a 1x1 head with objectness and box of each anchor and one class vector a cell.

    Objectness starts near 0.01 for every anchor: the many empty anchors then do not drown the first steps (RetinaNet).

    Shape:
        - x: ``(B, 3, H, W)``, normalised.
        - returns: `DetectorOutput` with h = ceil(H / stride), w = ceil(W / stride).

    Args:
        backbone: Maps ``(B, 3, H, W)`` to ``(B, F, h, w)`` and knows ``num_features`` and ``stride``.
        num_anchors: Anchors a cell A.
        num_classes: Number of classes C.
        dropout: Share of the features that training sets to zero.

    Attributes:
        anchors: Buffer, float32 ``(A, 2)``, widths and heights in pixels; NaN until they are set.

    References:
        Cordier, Das, Gutierrez, "Active learning using weakly supervised signals for quality inspection", QCAV 2021,
        equation 2; Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, section 3.3, for the start.
    """

    anchors: Tensor

    def __init__(self, backbone: nn.Module, num_anchors: int, num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.backbone = backbone
        self.stride = cast(int, backbone.stride)
        self.num_features = cast(int, backbone.num_features)
        self.dropout = nn.Dropout(dropout)
        self.parts = (num_anchors, 4 * num_anchors, num_classes)
        self.head = nn.Conv2d(self.num_features, sum(self.parts), 1)
        nn.init.normal_(self.head.weight, std=0.01)
        bias = torch.zeros(sum(self.parts))
        bias[:num_anchors] = -math.log(1 / PRIOR - 1)
        self.head.bias = nn.Parameter(bias)
        self.register_buffer("anchors", torch.full((num_anchors, 2), torch.nan))

    def forward(self, x: Tensor) -> DetectorOutput:
        """Predict for ``(B, 3, H, W)``."""
        return self.predict(self.backbone(x))

    def predict(self, features: Tensor) -> DetectorOutput:
        """Predict from features ``(B, F, h, w)``; in training each call draws its dropout anew."""
        objectness, box, classes = self.head(self.dropout(features)).split(self.parts, dim=1)
        return DetectorOutput(objectness, box.unflatten(1, (-1, 4)), classes, features)
