"""Losses of the anchor detector, whole on labelled rows and masked on rows with answers alone."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torchvision.ops import complete_box_iou_loss  # type: ignore[import-untyped]  # torchvision has no types

from lightning_modules.inspection.detector.anchors import decode_boxes
from lightning_modules.inspection.detector.areas import DetectorTargets
from lightning_modules.inspection.detector.network import DetectorOutput
from lightning_modules.inspection.losses import AreaAverage, global_count, global_counts, masked_bce, weak_loss


class LossSettings(NamedTuple):
    """Weights beside objectness, whose weight is 1, so that L_S and L_W compare as they do for grid cells.

    Attributes:
        classes: Weight of the class vectors.
        box: Weight of the boxes.
        positive: Factor of the loss of anchors that hold a defect.
        average: Divisor of L_W's objectness, as in `weak_loss`. A labelled anchor weighs one over some ten thousand;
            under eq. 4 each of a few answered ones weighs hundreds of times as much, with ``all`` as much.
    """

    classes: float
    box: float
    positive: float
    average: AreaAverage


def supervised_loss(
    output: DetectorOutput,
    targets: DetectorTargets,
    labelled: Tensor,
    anchors: Tensor,
    stride: int,
    settings: LossSettings,
) -> Tensor:
    """L_S: objectness of all known anchors, class vectors and boxes where a labelled box sits.

    Args:
        output: Of the network.
        targets: Of all rows.
        labelled: bool ``(B,)``, rows whose labels are complete.
        anchors: ``(A, 2)``, widths and heights in pixels.
        stride: Side of a cell in pixels.
        settings: Weights.

    Returns:
        A float32 scalar, averaged over the global batch; a zero in the graph without labelled rows.
    """
    rows = labelled[:, None, None, None]
    known = (targets.objectness_known & rows, targets.classes_known & rows, targets.box_known & rows)
    counts = global_counts(*known)
    objectness = masked_bce(
        output.objectness, targets.objectness, known[0], positive_weight=settings.positive, count=counts[0]
    )
    classes = masked_bce(output.classes, targets.classes, known[1], count=counts[1])
    box = box_loss(output.box, targets.box, known[2], anchors, stride) / counts[2]
    return objectness + settings.classes * classes + settings.box * box


def answered_loss(output: DetectorOutput, targets: DetectorTargets, labelled: Tensor, settings: LossSettings) -> Tensor:
    """L_W (eq. 4): objectness of the anchors in M, class vectors where a confirmed anchor sits; never a box.

    Args:
        output: Of the network.
        targets: Of all rows.
        labelled: bool ``(B,)``; the other rows have answers alone.
        settings: Weights.

    Returns:
        A float32 scalar, averaged over the global batch; a zero in the graph without an answer.
    """
    rows = ~labelled[:, None, None, None]
    known = targets.objectness_known & rows
    objectness = weak_loss(
        output.objectness,
        targets.objectness,
        known & ~targets.assumed,
        targets.assumed & rows,
        rows,
        average=settings.average,
        positive_weight=settings.positive,
    )
    known = targets.classes_known & rows
    classes = masked_bce(output.classes, targets.classes, known, count=global_count(known))
    return objectness + settings.classes * classes


def box_loss(raw: Tensor, box: Tensor, known: Tensor, anchors: Tensor, stride: int) -> Tensor:
    """Complete IoU loss, summed over the anchors that answer for a box.

    Args:
        raw: ``(B, A, 4, h, w)``, as the network gives it.
        box: ``(B, A, 4, h, w)``, x1, y1, x2, y2 in pixels.
        known: bool ``(B, A, h, w)``, the anchors that answer for a box; the gradient of all others is exactly zero.
        anchors: ``(A, 2)``, widths and heights in pixels.
        stride: Side of a cell in pixels.

    References:
        Zheng et al., "Distance-IoU Loss: Faster and Better Learning for Bounding Box Regression", AAAI 2020.
    """
    predicted = decode_boxes(raw, anchors, stride).movedim(2, -1)[known]
    loss: Tensor = complete_box_iou_loss(predicted, box.movedim(2, -1)[known].to(predicted.dtype), reduction="sum")
    return loss
