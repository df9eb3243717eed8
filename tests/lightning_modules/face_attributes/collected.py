"""Statistics of made activations, for the tests of what is computed from them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lightning_modules.face_attributes.statistics.collecting import AttributeStatistics, FaceStatistics


def collected(
    layers: dict[str, Tensor], labels: Tensor, images: Tensor | None = None, **options: Any
) -> FaceStatistics:
    """Statistics of faces in one batch, black ones where no images are given."""
    count = len(labels)
    sums = AttributeStatistics(labels.shape[1], **{"kept": 10, "thumbnail": 2, **options})
    if images is None:
        images = torch.zeros(count, 3, 4, 4, dtype=torch.uint8)
    sums.update(layers, labels, torch.ones(count) > 0, torch.arange(count), images)
    return sums.finish()
