"""When a detection counts as true: a region against a class mask, a box against labelled boxes.

The paper's operator decides by eye; these are the rules that stand in for the eye in simulated sessions and metrics.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco
from scipy.ndimage import maximum_filter

from datamodules.common.errors import LabelError
from datamodules.inspection.batch import IGNORE, Box

Mask = NDArray[np.uint8]


def region_pixels(rle: str, height: int, width: int) -> NDArray[np.bool_]:
    """Pixels of a region, bool ``(height, width)``, from a compressed run-length string of the COCO format."""
    return np.asarray(coco.decode({"size": [height, width], "counts": rle.encode("ascii")}), bool)


def region_shares(rle: str, mask: Mask, *, reach: int = 4) -> dict[int, float]:
    """Share of a region that lies on or near each class.

    A region is a union of areas, and a scratch fills only a small part of the areas that it crosses. A pixel therefore
    counts for a class when a pixel of that class is within ``reach`` of it, half the side of an area of the usual size.

    Args:
        rle: Region as a compressed run-length string; its size is that of ``mask``.
        mask: uint8 ``(H, W)``: 0 healthy, c + 1 class c, 255 nothing is known.
        reach: Pixels to each side; 0 counts only the pixels of the class itself.

    Returns:
        Class (from 0) to a share in 0..1 of the region's known pixels, for every class that is near.

    Raises:
        LabelError: If ``mask`` is not a plane.
    """
    if mask.ndim != 2:
        raise LabelError(f"The class mask has the shape {mask.shape}; it must have rows and columns alone.")
    region = region_pixels(rle, *mask.shape)
    if not region.any():
        return {}
    rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
    near = (_window(rows, mask.shape[0], reach), _window(columns, mask.shape[1], reach))
    region, mask = region[near], mask[near]  # a large image costs no more than the region
    counted = region & (mask != IGNORE)
    total = int(counted.sum())
    shares: dict[int, float] = {}
    for value in np.unique(mask):
        if total and value not in (0, IGNORE):
            reached = maximum_filter(mask == value, size=2 * reach + 1)
            shares[int(value) - 1] = float((reached & counted).sum() / total)
    return shares


def is_true_region(rle: str, mask: Mask, class_index: int, share: float = 0.3, *, reach: int = 4) -> bool:
    """Whether at least ``share`` of a region lies on or near its class; see :func:`region_shares`.

    Args:
        rle: Region as a compressed run-length string; its size is that of ``mask``.
        mask: uint8 ``(H, W)``: 0 healthy, c + 1 class c, 255 nothing is known.
        class_index: Class that the region was found as, from 0.
        share: Smallest share in (0, 1].
        reach: Pixels to each side that count as near.
    """
    return region_shares(rle, mask, reach=reach).get(class_index, 0.0) >= share


def box_iou(box: Box, other: Box) -> float:
    """Intersection over union of two boxes x1, y1, x2, y2; 0 when both are empty.

    Example:
        >>> box_iou((0, 0, 2, 2), (1, 0, 3, 2))
        0.3333333333333333
    """
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    union = math.fsum((b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)) - shared
    return shared / union if union > 0 else 0.0


def is_true_box(box: Box, boxes: Sequence[Box], box_classes: Sequence[int], class_index: int, iou: float = 0.5) -> bool:
    """Whether a labelled box of the class overlaps ``box`` by ``iou`` or more.

    Args:
        box: Detected box.
        boxes: Labelled boxes of the image, in the same pixels.
        box_classes: Class of each labelled box.
        class_index: Class that the box was found as, from 0.
        iou: Smallest intersection over union in (0, 1].
    """
    pairs = zip(boxes, box_classes, strict=True)
    return any(label == class_index and box_iou(box, other) >= iou for other, label in pairs)


def _window(places: NDArray[np.intp], size: int, reach: int) -> slice:
    """The places and ``reach`` more on each side, within ``size``."""
    return slice(max(int(places[0]) - reach, 0), min(int(places[-1]) + reach + 1, size))
