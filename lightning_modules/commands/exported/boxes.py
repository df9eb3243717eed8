"""Boxes of a detector from its maps, by NumPy: the thresholds, the suppression, and what each box stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightning_modules.commands.exported.session import Arrays

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

MAX_CANDIDATES = 1000  # anchors of a picture that enter the suppression, the best


class Candidates(NamedTuple):
    """Anchors of one picture at or above their class's threshold, best first.

    Attributes:
        place: Class, anchor, row and column, int64 ``(N, 4)``.
        scores: float32 ``(N,)``.
        boxes: x1, y1, x2, y2 in pixels of the network's picture, float32 ``(N, 4)``.
    """

    place: Integers
    scores: Floats
    boxes: Floats


def candidates(scores: Floats, boxes: Floats, thresholds: Floats) -> Candidates:
    """Anchors that may hold something.

    Args:
        scores: ``(C, A, h, w)``.
        boxes: ``(A, 4, h, w)``.
        thresholds: ``(C,)``.
    """
    place = np.argwhere(scores >= thresholds[:, None, None, None])
    values = scores[tuple(place.T)]
    best = np.argsort(-values, kind="stable")[:MAX_CANDIDATES]
    place = place[best]
    return Candidates(place, values[best], boxes[place[:, 1], :, place[:, 2], place[:, 3]])


def suppress(
    boxes: Floats, scores: Floats, classes: Integers, iou: float = 0.5, limit: int | None = None
) -> tuple[Integers, list[Integers]]:
    """Keep the best of every heap of boxes of one class, and name the others of the heap.

    As `lightning_modules.inspection.detector.detections.suppress`, which is torch's.

    Args:
        boxes: ``(N, 4)``, x1, y1, x2, y2.
        scores: ``(N,)``.
        classes: int64 ``(N,)``; boxes of different classes leave each other alone.
        iou: Overlap above which the better of two boxes suppresses the other.
        limit: Boxes to keep at most; None keeps all.

    Returns:
        Kept rows, best first; and for each the rows that it suppressed, best first.

    Example:
        >>> box = np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [50, 0, 60, 10]], dtype=np.float32)
        >>> kept, suppressed = suppress(box, np.float32([0.8, 0.9, 0.3]), np.zeros(3, dtype=np.int64))
        >>> kept.tolist(), [rows.tolist() for rows in suppressed]
        ([1, 2], [[0], []])
    """
    order = np.argsort(-scores, kind="stable")
    free = np.ones(len(boxes), dtype=np.bool_)
    kept: list[int] = []
    heaps: list[Integers] = []
    for row in order.tolist():
        if not free[row]:
            continue
        rest = order[free[order] & (order != row)]
        same = rest[(classes[rest] == classes[row]) & (_overlaps(boxes[row], boxes[rest]) > iou)]
        free[row] = False
        free[same] = False
        kept.append(row)
        heaps.append(same)
    return np.array(kept[:limit], dtype=np.int64), heaps[:limit]


def kept_places(facts: Mapping[str, Any], outputs: Arrays) -> NDArray[np.bool_]:
    """Which classes and anchors a detector keeps, bool ``(B, C, A, h, w)``."""
    kept = np.zeros(outputs["scores"].shape, dtype=np.bool_)
    limits = np.asarray(facts["thresholds"], dtype=np.float32)
    for row, (scores, boxes) in enumerate(zip(outputs["scores"], outputs["boxes"], strict=True)):
        found = candidates(scores, boxes, limits)
        best, _ = suppress(found.boxes, found.scores, found.place[:, 0], facts["nms_iou"], facts["max_detections"])
        kept[(row, *found.place[best].T)] = True
    return kept


def _overlaps(box: Floats, others: Floats) -> Floats:
    """Intersection over union of a box with others ``(N, 4)``."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    inner = sides.clip(0).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1)
    union: Floats = inner / ((box[2:] - box[:2]).prod() + areas - inner)
    return union
