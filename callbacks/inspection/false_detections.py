"""Where detections lie, which are false, and which of them another model made too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from pycocotools import mask as coco
from torch import Tensor

from datamodules.inspection.batch import IGNORE, Detection, InspectionBatch
from datamodules.inspection.matching import is_true_box, is_true_region, region_pixels
from lightning_modules.inspection.measures.boxes import labelled_boxes


@dataclass(frozen=True)
class FalseDetectionRule:
    """When a detection is false and when two detections are the same.

    Attributes:
        threshold: Score from which a model detects, in all classes.
        share: Part of a region that must lie on or near its class to be true.
        iou: Overlap of a box with a labelled box of its class to be true.
        overlap: Two detections of different models are the same when their intersection over union exceeds this,
            whatever their classes: an operator has seen the place.
    """

    threshold: float = 0.5
    share: float = 0.3
    iou: float = 0.5
    overlap: float = 0.0


def in_batch_pixels(batch: InspectionBatch) -> InspectionBatch:
    """The batch as if its images were the sources, so that detections come in the pixels of its labels."""
    return {**batch, "source_size": batch["size"]}


def false_detections(
    detections: Sequence[Detection], batch: InspectionBatch, row: int, rule: FalseDetectionRule
) -> list[Detection]:
    """Those detections, in pixels of the batch, of a completely labelled image that are not true.

    A region where nothing is known is neither true nor false.
    """
    if not detections:
        return []
    height, width = batch["size"][row].tolist()
    mask = batch["class_mask"][row, :height, :width].cpu().numpy()
    boxes, classes = labelled_boxes(batch, row)
    corners = [(x1, y1, x2, y2) for x1, y1, x2, y2 in boxes.tolist()]
    false = []
    for one in detections:
        if one.rle is None:
            true = is_true_box(one.box, corners, classes.tolist(), one.class_index, rule.iou)
        else:
            true = is_true_region(one.rle, mask, one.class_index, rule.share)
            true = true or bool((mask[region_pixels(one.rle, height, width)] == IGNORE).all())
        if not true:
            false.append(one)
    return false


def apart_from(
    detections: Sequence[Detection], others: Sequence[Detection], size: Sequence[int], rule: FalseDetectionRule
) -> list[Detection]:
    """Those detections that are the same as none of another model's, of the same image and in the same pixels.

    ``size`` is the image's height and width.
    """
    if not detections or not others:
        return list(detections)
    as_regions = all(one.rle is not None for one in (*detections, *others))
    ours, theirs = (_regions(group, size) if as_regions else _corners(group) for group in (detections, others))
    shared = np.asarray(coco.iou(ours, theirs, [0] * len(others)))
    return [one for one, overlaps in zip(detections, shared, strict=True) if overlaps.max() <= rule.overlap]


def _regions(detections: Sequence[Detection], size: Sequence[int]) -> list[dict[str, object]]:
    """Regions in the form of pycocotools."""
    shape = [int(side) for side in size]
    return [{"size": shape, "counts": (one.rle or "").encode("ascii")} for one in detections]


def _corners(detections: Sequence[Detection]) -> list[list[float]]:
    """Boxes as x, y, width, height, the form of pycocotools."""
    return [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in (one.box for one in detections)]


def covered_pixels(detections: list[Detection], height: int, width: int) -> Tensor:
    """Pixels that detections cover, float ``(height, width)``."""
    covered = torch.zeros(height, width)
    for one in detections:
        if one.rle is not None:
            covered[torch.from_numpy(region_pixels(one.rle, height, width))] = 1
        else:
            x1, y1, x2, y2 = (round(side) for side in one.box)
            covered[max(y1, 0) : y2, max(x1, 0) : x2] = 1
    return covered
