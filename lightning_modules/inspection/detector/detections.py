"""From scores and boxes of anchors to detections, in pixels of the source image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_iou  # type: ignore[import-untyped]  # torchvision has no types

from datamodules.inspection.batch import Box, Detection
from lightning_modules.inspection.uncertainty import binary_entropy


class AnchorMaps(NamedTuple):
    """What a detector says of one image; C classes, A anchors a cell.

    Attributes:
        scores: float32 ``(C, A, h, w)``, objectness x class.
        boxes: float32 ``(A, 4, h, w)``, decoded x1, y1, x2, y2 in pixels of the network's image.
        priors: float32 ``(A, h, w, 4)``, the anchors themselves, likewise.
        features: ``(F, h, w)``, when embeddings are wanted.
        mutual_information: ``(C, A, h, w)`` in nats, when it was sampled.
    """

    scores: Tensor
    boxes: Tensor
    priors: Tensor
    features: Tensor | None = None
    mutual_information: Tensor | None = None


class SuppressionRules(NamedTuple):
    """How many boxes are looked at, and which go.

    Attributes:
        iou: Overlap above which the better of two boxes of a class suppresses the other.
        max_candidates: Anchors that enter the suppression, the best.
        max_detections: Boxes that leave it, the best.
    """

    iou: float = 0.5
    max_candidates: int = 1000
    max_detections: int = 300


def box_detections(
    maps: AnchorMaps,
    thresholds: Tensor,
    size: Sequence[int],
    source_size: Sequence[int],
    stride: int,
    rules: SuppressionRules,
) -> list[Detection]:
    """Anchors at or above their class's threshold, after class-wise suppression.

    The box of a detection is clipped to the image and at least a pixel wide and high. Its anchor boxes are the anchor
    that emitted it, then those that it suppressed, best first; they are *not* clipped, since their centre names the
    cell they belong to and their sides the anchor.

    Args:
        maps: What the network says of the image.
        thresholds: ``(C,)`` in 0..1, on the device of the maps.
        size: Height and width of the picture inside the network's image, in pixels.
        source_size: Height and width of the upright source image, in pixels.
        stride: Side of a cell in pixels of the network's image.
        rules: Of the suppression.

    Returns:
        Detections, highest score first.
    """
    rows, columns = (-(-int(side) // stride) for side in size)
    scores = maps.scores[..., :rows, :columns]
    index = (scores >= thresholds[:, None, None, None]).nonzero()
    values = scores[tuple(index.unbind(1))]
    best = values.argsort(descending=True, stable=True)[: rules.max_candidates]
    index, values = index[best], values[best]
    classes, anchor, row, column = index.unbind(1)
    boxes = maps.boxes[anchor, :, row, column]
    kept, suppressed = suppress(boxes, values, classes, rules.iou, rules.max_detections)
    height, width = (int(source) / int(own) for source, own in zip(source_size, size, strict=True))
    scale = boxes.new_tensor([width, height, width, height])
    priors = _rows(maps.priors[anchor, row, column] * scale)
    clipped = _rows(_clipped(boxes[kept] * scale, source_size))
    entropy = binary_entropy(values[kept].double()).tolist()
    margin = (values - thresholds[classes])[kept].tolist()
    sampled = None if maps.mutual_information is None else maps.mutual_information[tuple(index[kept].T)].tolist()
    features = None if maps.features is None else maps.features[:, row[kept], column[kept]].half().T.cpu()
    return [
        Detection(
            class_index=int(classes[own]),
            score=float(values[own]),
            box=clipped[number],
            margin=margin[number],
            entropy=entropy[number],
            anchor_boxes=(priors[own], *(priors[other] for other in suppressed[number].tolist())),
            mc_dropout=None if sampled is None else sampled[number],
            embedding=None if features is None else features[number].clone(),
        )
        for number, own in enumerate(kept.tolist())
    ]


def _clipped(boxes: Tensor, source_size: Sequence[int]) -> Tensor:
    """Boxes inside the image, each side at least one pixel."""
    height, width = (float(side) for side in source_size)
    x1, y1, x2, y2 = boxes.unbind(1)
    x1, y1 = x1.clamp(0, width - 1), y1.clamp(0, height - 1)
    x2, y2 = torch.maximum(x2.clamp(max=width), x1 + 1), torch.maximum(y2.clamp(max=height), y1 + 1)
    return torch.stack((x1, y1, x2, y2), dim=1)


def _rows(boxes: Tensor) -> list[Box]:
    return [(x1, y1, x2, y2) for x1, y1, x2, y2 in boxes.tolist()]


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
