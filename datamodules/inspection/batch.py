"""What a batch of images of parts holds, and what a detection is; the contract between data, methods and callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, NotRequired, TypedDict

if TYPE_CHECKING:  # an exported network runs on the same contract without torch
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

ORIGINAL, NEW = 0, 1  # domains
IGNORE = 255  # value of `class_mask` where nothing is known
REJECTED = -1  # value of `answer_truth`: the operator saw no defect there
PADDING = -2  # value of `answer_class` and `answer_truth` in the rows that fill a batch up


class InspectionBatch(TypedDict):
    """Images of one size with their labels in pixels; B images, at most N boxes and A answers in each.

    Every coordinate is in pixels of ``image``, x to the right and y down, x2 and y2 exclusive. Rows of one batch may
    come from both domains and may be labelled completely or by answers alone.

    Attributes:
        image: uint8 ``(B, 3, H, W)``, RGB in 0..255; zero to the right of and below ``size``.
        size: int64 ``(B, 2)``, height and width of the part of ``image`` that is picture.
        source_size: int64 ``(B, 2)``, height and width of the upright source image.
        class_mask: uint8 ``(B, H, W)``: 0 healthy, c + 1 class c, 255 nothing is known (padding too; everywhere in rows
            with answers alone).
        boxes: float32 ``(B, N, 4)``, x1, y1, x2, y2 of the labelled defects; NaN fills up.
        box_class: int64 ``(B, N)``, class of each box; -1 fills up.
        answer_mask: bool ``(B, A, H, W)``, pixels of each answered detection.
        answer_boxes: float32 ``(B, A, K, 4)``: the anchor box that emitted the detection, then those it suppressed (for
            detections without anchors, the detection's own box); NaN fills up.
        answer_class: int64 ``(B, A)``, class that the detection was shown as; -2 fills up.
        answer_truth: int64 ``(B, A)``, class that the operator says is there; -1 rejected; -2 fills up.
        baseline_map: float32 ``(B, H, W)``, highest score over classes (and anchors) that the deployed model gave the
            area around each pixel, in 0..1; NaN where it is not known.
        domain: int64 ``(B,)``, 0 original, 1 new.
        labelled: bool ``(B,)``, True: ``class_mask`` and ``boxes`` are complete; False: only the answers are known.
        is_healthy: bool ``(B,)``, True: the whole part is known to be free of defects.
        index: int64 ``(B,)``, row of the image in its split's list.
        repeat: int64 ``(B,)``, how often the row came before in this epoch; nothing says never.
        valid: bool ``(B,)``, False: the row only pads the processes to equal length, or its file could not be read.
        path: Absolute path of each source image.
        error: Why each file could not be read, empty where it could; only where there is one.
    """

    image: Tensor
    size: Tensor
    source_size: Tensor
    class_mask: Tensor
    boxes: Tensor
    box_class: Tensor
    answer_mask: Tensor
    answer_boxes: Tensor
    answer_class: Tensor
    answer_truth: Tensor
    baseline_map: Tensor
    domain: Tensor
    labelled: Tensor
    is_healthy: Tensor
    index: Tensor
    repeat: NotRequired[Tensor]
    valid: Tensor
    path: list[str]
    error: NotRequired[list[str]]


Box = tuple[float, float, float, float]


class Detection(NamedTuple):
    """What one question of the feedback page shows and one answer covers.

    A named tuple, since Lightning moves what ``predict_step`` returns and cannot rebuild a frozen dataclass.

    Attributes:
        class_index: Class, from 0.
        score: Highest score of its areas, 0..1.
        box: x1, y1, x2, y2 in pixels of the upright source image, x2 and y2 exclusive.
        margin: Score minus the class's threshold; near 0 is uncertain.
        entropy: Binary entropy of the score in nats.
        rle: Region in pixels of the source image as a compressed run-length string of the COCO format; None for boxes.
        anchor_boxes: Anchor box that emitted the detection, then those that it suppressed, in the pixels of ``box``;
            empty for regions.
        mc_dropout: Mutual information of the score under dropout (BALD) in nats; None when it was not sampled.
        embedding: float16 ``(F,)`` on the CPU, mean feature of its areas; None when not asked for.
    """

    class_index: int
    score: float
    box: Box
    margin: float
    entropy: float
    rle: str | None = None
    anchor_boxes: tuple[Box, ...] = ()
    mc_dropout: float | None = None
    embedding: Tensor | NDArray[np.float16] | None = None


class InspectionPrediction(TypedDict):
    """What ``predict_step`` and ``test_step`` return; lists hold one entry an image.

    Attributes:
        detections: Detections at or above the thresholds, best first.
        score_map: float16 ``(h, w)`` each, on the CPU: highest score over classes and anchors of each cell.
        image_score: float32 ``(B,)``, highest score of the image.
        source_size: int64 ``(B, 2)``, height and width.
        valid: bool ``(B,)``.
        index: int64 ``(B,)``.
        path: Absolute path of each source image.
        thresholds: float32 ``(C,)``, the thresholds that were applied.
    """

    detections: list[list[Detection]]
    score_map: list[Tensor]
    image_score: Tensor
    source_size: Tensor
    valid: Tensor
    index: Tensor
    path: list[str]
    thresholds: Tensor
