"""Non-maximum suppression that remembers which boxes each kept one stands for."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_iou  # type: ignore[import-untyped]  # torchvision has no types


def suppress(
    boxes: Tensor, scores: Tensor, classes: Tensor, iou: float = 0.5, limit: int | None = None
) -> tuple[Tensor, list[Tensor]]:
    """Keep the best of every heap of boxes of one class, and name the others of the heap.

    Args:
        boxes: float32 ``(N, 4)``, x1, y1, x2, y2.
        scores: float32 ``(N,)``.
        classes: int64 ``(N,)``; boxes of different classes leave each other alone.
        iou: Overlap above which the better of two boxes suppresses the other.
        limit: Boxes to keep at most; None keeps all.

    Returns:
        Kept rows, int64 ``(K,)``, best first; and for each the rows that it suppressed, best first. A box that more
        than one kept box overlaps belongs to the best of them, as in the suppression itself.

    Example:
        >>> box = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [50, 0, 60, 10]])
        >>> kept, suppressed = suppress(box, torch.tensor([0.8, 0.9, 0.3]), torch.zeros(3, dtype=torch.long))
        >>> kept.tolist(), [rows.tolist() for rows in suppressed]
        ([1, 2], [[0], []])
    """
    boxes = boxes.float()
    kept: Tensor = batched_nms(boxes, scores.float(), classes, iou)
    rest = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    rest[kept] = False
    kept = kept if limit is None else kept[:limit]
    others = rest.nonzero().squeeze(1)
    others = others[scores[others].argsort(descending=True, stable=True)]
    if len(kept) == 0 or len(others) == 0:
        return kept, [others.new_empty(0) for _ in range(len(kept))]
    covered = (
        (box_iou(boxes[others], boxes[kept]) > iou)
        & (classes[others, None] == classes[kept])
        & (scores[others, None] <= scores[kept])
    )
    owner = covered.int().argmax(dim=1).masked_fill(~covered.any(dim=1), -1)  # the first one is the best one
    return kept, [others[owner == index] for index in range(len(kept))]
