"""Targets of an anchor detector from labels in pixels: which anchor answers for a box, and which anchors are known."""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from datamodules.inspection.batch import IGNORE, REJECTED, InspectionBatch
from lightning_modules.inspection.areas import AreaTargets, MaskUnit, confident_cells, picture_cells
from lightning_modules.inspection.detector.anchors import cell_centres, prior_boxes, shape_iou

Suppressed = Literal["all", "rejected", "none"]


class AnchorRules(NamedTuple):
    """How labels become targets.

    Attributes:
        ignore_iou: An anchor that answers for no box, yet overlaps one that much, is left out of the loss.
        mask_unit: On a confirmed anchor the whole class vector is known (``area``), or the confirmed class alone
            (``area_class``; on a re-classed one also that the shown class is absent).
        reject_class: On a rejected anchor the shown class of its cell is known to be absent.
        suppressed: Answers that also cover the anchors that the shown one suppressed: ``all``, only the ``rejected``
            ones, or ``none``.
        omnia_epsilon: Cells that the deployed model scored below join the known ones as healthy; None: none do.
        healthy_knowledge: All anchors of a part that is flagged healthy are known to be healthy.
    """

    ignore_iou: float = 0.4
    mask_unit: MaskUnit = "area"
    reject_class: bool = False
    suppressed: Suppressed = "rejected"
    omnia_epsilon: float | None = None
    healthy_knowledge: bool = False


class DetectorTargets(NamedTuple):
    """What the anchors and cells of a batch must give, and where that is known; A anchors, C classes.

    Attributes:
        objectness: float32 ``(B, A, h, w)``, 0 or 1.
        objectness_known: bool ``(B, A, h, w)``; on rows with answers alone these are the areas M of equation 4.
        classes: float32 ``(B, C, h, w)``, 0 or 1.
        classes_known: bool ``(B, C, h, w)``.
        box: float32 ``(B, A, 4, h, w)``, x1, y1, x2, y2 in pixels where ``box_known``, zero elsewhere.
        box_known: bool ``(B, A, h, w)``, never on rows with answers alone.
        assumed: bool ``(B, A, h, w)``, the known anchors that nobody answered, but the deployed model or a healthy
            flag speaks for.
    """

    objectness: Tensor
    objectness_known: Tensor
    classes: Tensor
    classes_known: Tensor
    box: Tensor
    box_known: Tensor
    assumed: Tensor

    def areas(self) -> AreaTargets:
        """The same for areas that are scored by objectness x class, ``(B, C, A, h, w)``.

        An anchor without an object is known to be free of every class, whatever its cell's class vector.
        """
        empty = self.objectness == 0
        return AreaTargets(
            target=self.objectness[:, None] * self.classes[:, :, None],
            known=self.objectness_known[:, None] & (empty[:, None] | self.classes_known[:, :, None]),
            assumed=self.assumed[:, None].expand(-1, self.classes.shape[1], -1, -1, -1),
        )


class _Grid(NamedTuple):
    """Anchors ``(A, 2)`` in pixels on cells of ``stride`` pixels, ``size`` of them (height, width)."""

    anchors: Tensor
    stride: int
    size: tuple[int, int]

    @property
    def cells(self) -> int:
        return self.size[0] * self.size[1]


def match_anchors(boxes: Tensor, anchors: Tensor, stride: int, grid: tuple[int, int]) -> Tensor:
    """The anchor that answers for each box: in the cell that holds its centre, the one of the most similar shape.

    Prior boxes of the same grid find themselves, also after a flip or a quarter turn of an image whose sides are
    multiples of the stride; prior boxes of another model find the nearest relative.

    Args:
        boxes: ``(B, N, 4)``, x1, y1, x2, y2 in pixels; NaN stands for no box.
        anchors: ``(A, 2)``, widths and heights in pixels.
        stride: Side of a cell in pixels.
        grid: Height and width in cells.

    Returns:
        int64 ``(B, N)``, (anchor * h + row) * w + column; -1 for no box, an empty one, or one whose centre lies
        outside the grid.
    """
    height, width = grid
    column, row = (((boxes[..., :2] + boxes[..., 2:]) / 2) / stride).nan_to_num(nan=-1.0).floor().long().unbind(-1)
    sides = boxes[..., 2:] - boxes[..., :2]
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (sides > 0).all(dim=-1)
    anchor = shape_iou(sides, anchors.to(sides.dtype)).nan_to_num(nan=0.0).argmax(dim=-1)
    return torch.where(inside, (anchor * height + row) * width + column, -1)


def detector_targets(
    batch: InspectionBatch, anchors: Tensor, stride: int, grid: tuple[int, int], num_classes: int, rules: AnchorRules
) -> DetectorTargets:
    """Targets of a batch that may hold completely labelled rows and rows with answers alone.

    On labelled rows every box trains the anchor that answers for it, every other anchor is background, except those
    that overlap a box (``ignore_iou``), those of cells that are mostly 255 in the mask outside the boxes, and those
    beyond the picture. On rows with answers alone only the anchors that an answer covers are known, besides those
    that OMNIA or a healthy flag adds. A confirmed answer wins over a rejected one.

    Args:
        batch: Labels in pixels, after augmentation.
        anchors: ``(A, 2)``, widths and heights in pixels.
        stride: Side of a cell in pixels.
        grid: Height and width in cells.
        num_classes: Number of classes C.
        rules: How labels become targets.

    References:
        Cordier, Das, Gutierrez, "Active learning using weakly supervised signals for quality inspection", QCAV 2021,
        sections 3.1, 3.3 and 3.4.
    """
    where = _Grid(anchors.float(), stride, grid)
    found = _unknown(len(batch["labelled"]), where, num_classes)
    complete, answered = batch["labelled"] & batch["valid"], ~batch["labelled"] & batch["valid"]
    for rows, target_of in ((complete, _labelled_targets), (answered, _answered_targets)):
        if bool(rows.any()):
            part = target_of(_selected(batch, rows), where, num_classes, rules)
            for whole, own in zip(found, part, strict=True):
                whole[rows] = own
    return found


def _unknown(rows: int, where: _Grid, num_classes: int) -> DetectorTargets:
    """Targets of rows of which nothing is known."""
    zeros = where.anchors.new_zeros((rows, len(where.anchors), *where.size))
    classes = where.anchors.new_zeros((rows, num_classes, *where.size))
    box = where.anchors.new_zeros((rows, len(where.anchors), 4, *where.size))
    return DetectorTargets(
        zeros, zeros.bool(), classes, classes.bool(), box, box_known=zeros.bool(), assumed=zeros.bool()
    )


def _selected(batch: InspectionBatch, rows: Tensor) -> InspectionBatch:
    """Some rows of what is read here."""
    names = ("size", "class_mask", "boxes", "box_class", "answer_boxes", "answer_class", "answer_truth")
    labels: dict[str, Tensor] = dict(batch)  # type: ignore[arg-type]  # all but the paths, which are not read
    return cast(InspectionBatch, {name: labels[name][rows] for name in (*names, "baseline_map", "is_healthy")})


def _labelled_targets(batch: InspectionBatch, where: _Grid, num_classes: int, rules: AnchorRules) -> DetectorTargets:
    """Targets of completely labelled rows."""
    picture = picture_cells(batch["size"], where.stride, where.size)[0][:, None]
    boxes = batch["boxes"].float()
    slot = match_anchors(boxes, where.anchors, where.stride, where.size)
    slot = torch.where(batch["box_class"] >= 0, slot, -1)
    positive = _marked(slot, where)
    box = _first_box(slot, boxes, where)
    near = _near(boxes, where, rules.ignore_iou)
    known = picture & (positive | ~(near | _unlabelled_cells(batch, where)[:, None]))
    classes = _class_cells(slot, batch["box_class"], where, num_classes)
    return DetectorTargets(
        objectness=positive.float(),
        objectness_known=known,
        classes=classes.float(),
        classes_known=positive.any(dim=1, keepdim=True).expand_as(classes),
        box=box,
        box_known=positive,
        assumed=torch.zeros_like(positive),
    )


def _answered_targets(batch: InspectionBatch, where: _Grid, num_classes: int, rules: AnchorRules) -> DetectorTargets:
    """Targets of rows with answers alone."""
    picture = picture_cells(batch["size"], where.stride, where.size)[0][:, None]
    boxes, truth, shown = batch["answer_boxes"].float(), batch["answer_truth"], batch["answer_class"]
    slot = match_anchors(boxes.flatten(1, 2), where.anchors, where.stride, where.size).view(boxes.shape[:-1])
    first = torch.arange(slot.shape[2], device=slot.device) == 0  # the anchor that emitted the detection
    confirms = (truth >= 0)[..., None] & (first | (rules.suppressed == "all"))
    rejects = (truth == REJECTED)[..., None] & (first | (rules.suppressed != "none"))
    confirmed = _marked(slot.masked_fill(~confirms, -1).flatten(1), where)
    rejected = _marked(slot.masked_fill(~rejects, -1).flatten(1), where) & ~confirmed

    def class_cells(chosen: Tensor, labels: Tensor) -> Tensor:
        labels = labels[..., None].expand_as(slot)
        return _class_cells(slot.masked_fill(~chosen, -1).flatten(1), labels.flatten(1), where, num_classes)

    present = class_cells(confirms, truth)
    if rules.mask_unit == "area":
        classes_known = confirmed.any(dim=1, keepdim=True).expand_as(present)
    else:
        classes_known = present | class_cells(confirms, shown)
    if rules.reject_class:
        classes_known = classes_known | class_cells(rejects, shown)
    answered = confirmed | rejected
    # Neighbours of a confirmed defect are no background, as on labelled rows.
    near = _near(boxes[:, :, 0].masked_fill((truth < 0)[..., None], torch.nan), where, rules.ignore_iou)
    assumed = picture & _assumed_cells(batch, where, rules)[:, None] & ~answered & ~near
    return DetectorTargets(
        objectness=confirmed.float(),
        objectness_known=answered | assumed,
        classes=present.float(),
        classes_known=classes_known,
        box=boxes.new_zeros((len(boxes), len(where.anchors), 4, *where.size)),
        box_known=torch.zeros_like(confirmed),
        assumed=assumed,
    )


def _marked(slot: Tensor, where: _Grid) -> Tensor:
    """Anchors that a slot ``(B, N)`` names; bool ``(B, A, h, w)``."""
    anchors = len(where.anchors)
    return _scattered(slot, anchors * where.cells).view(-1, anchors, *where.size)


def _class_cells(slot: Tensor, labels: Tensor, where: _Grid, num_classes: int) -> Tensor:
    """Cells of the slots ``(B, N)`` by the class of each, where it is one; bool ``(B, C, h, w)``."""
    index = torch.where((slot >= 0) & (labels >= 0), labels * where.cells + slot % where.cells, -1)
    return _scattered(index, num_classes * where.cells).view(-1, num_classes, *where.size)


def _scattered(index: Tensor, length: int) -> Tensor:
    """True at every index ``(B, N)`` that is not -1; bool ``(B, length)``."""
    marks = torch.zeros((len(index), length + 1), dtype=torch.bool, device=index.device)
    return marks.scatter(1, torch.where(index >= 0, index, length), True)[:, :length]


def _first_box(slot: Tensor, boxes: Tensor, where: _Grid) -> Tensor:
    """Box of each anchor, the first one where boxes share an anchor; ``(B, A, 4, h, w)``."""
    order = torch.arange(slot.shape[1], device=slot.device)
    earlier = (slot[:, :, None] == slot[:, None, :]) & (order[None, :] < order[:, None])
    index = torch.where((slot >= 0) & ~earlier.any(dim=2), slot, len(where.anchors) * where.cells)
    table = boxes.new_zeros((len(boxes), len(where.anchors) * where.cells + 1, 4))
    table = table.scatter(1, index[..., None].expand_as(boxes), boxes)[:, :-1]
    return table.view(len(boxes), len(where.anchors), *where.size, 4).movedim(-1, 2)


def _near(boxes: Tensor, where: _Grid, iou: float) -> Tensor:
    """Anchors whose prior box overlaps one of the boxes ``(B, N, 4)`` by ``iou`` or more; bool ``(B, A, h, w)``."""
    priors = prior_boxes(where.anchors, where.stride, where.size)
    columns, rows = priors[:, 0, :, 0::2], priors[:, :, 0, 1::2]  # (A, w, 2) and (A, h, 2): first and last edge
    x1, y1, x2, y2 = boxes[:, :, None, None].unbind(dim=-1)
    across = (torch.minimum(columns[..., 1], x2) - torch.maximum(columns[..., 0], x1)).clamp(min=0)
    down = (torch.minimum(rows[..., 1], y2) - torch.maximum(rows[..., 0], y1)).clamp(min=0)
    both = where.anchors.prod(dim=1) + ((x2 - x1) * (y2 - y1))[..., 0]
    # IoU >= t where the intersection >= t / (1 + t) * (area + area); a product of sides, so no IoU is computed.
    needed = (iou / (1 + iou) * both)[..., None, None]
    return (down[..., :, None] * across[..., None, :] >= needed).any(dim=1)


def _unlabelled_cells(batch: InspectionBatch, where: _Grid) -> Tensor:
    """Cells that are mostly 255 in the mask and whose centre no box holds; bool ``(B, h, w)``.

    Box labels may leave the rim of a box at 255 for methods that need masks; its boxes still tell all of it.
    """
    ignored = (batch["class_mask"] == IGNORE).float()
    height, width = ignored.shape[-2:]
    ignored = F.pad(ignored, (0, -width % where.stride, 0, -height % where.stride), value=1.0)
    share = F.avg_pool2d(ignored[:, None], where.stride)[:, 0]
    # Padding has the value 255 too, but hides nothing.
    of_picture = picture_cells(batch["size"], where.stride, where.size)[1] / where.stride**2
    hidden = share - (1 - of_picture) > of_picture / 2
    x, y = cell_centres(where.stride, where.size, share)[..., None].unbind(dim=2)
    x1, y1, x2, y2 = batch["boxes"].float()[:, None, None].unbind(dim=-1)
    boxed = ((x >= x1) & (x < x2) & (y >= y1) & (y < y2)).any(dim=-1)
    return hidden & ~boxed


def _assumed_cells(batch: InspectionBatch, where: _Grid, rules: AnchorRules) -> Tensor:
    """Cells that OMNIA or a healthy flag makes known as healthy; bool ``(B, h, w)``."""
    healthy = batch["is_healthy"] & rules.healthy_knowledge
    cells = healthy[:, None, None].expand(-1, *where.size)
    if rules.omnia_epsilon is not None:
        cells = cells | confident_cells(batch["baseline_map"], where.stride, rules.omnia_epsilon)
    return cells
