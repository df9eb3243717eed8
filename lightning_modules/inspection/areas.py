"""From labels and answers in pixels to areas: what each grid cell should say, and whether that is known at all.

Labels travel in pixels; only here, after augmentation, do they meet the method's own stride.

References:
    Cordier, Das and Gutierrez, "Active learning using weakly supervised signals for quality inspection", QCAV 2021,
    sections 3.1 to 3.4 and figure 2.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from datamodules.inspection.batch import IGNORE, PADDING, REJECTED, InspectionBatch

MaskUnit = Literal["area", "area_class"]

PRIOR = 0.01  # score of every class before any training: defects are rare, and training need not learn that first


class AreaTargets(NamedTuple):
    """What each area should say; B images, C classes, A areas a cell, h x w cells.

    Attributes:
        target: float32 ``(B, C, A, h, w)``, 1 defective, 0 healthy; 0 where it is not known.
        known: bool ``(B, C, A, h, w)``: on rows with answers alone the set M; on labelled rows all but what is ignored.
        assumed: bool ``(B, C, A, h, w)``, the part of ``known`` that nobody answered: the deployed model's confidence
            (OMNIA-like) or a healthy flag speaks for it.
    """

    target: Tensor
    known: Tensor
    assumed: Tensor


def cell_targets(
    batch: InspectionBatch,
    stride: int,
    num_classes: int,
    *,
    coverage: float = 0.06,
    mask_unit: MaskUnit = "area",
    omnia_epsilon: float | None = None,
    healthy_knowledge: bool = False,
) -> AreaTargets:
    """Targets of a grid of cells, A = 1.

    A cell of a labelled row is defective for a class that covers at least ``coverage`` of it, or that it touches where
    the centre of one of its boxes lies; it is healthy where the class is absent and pixels of 255 could not hide
    ``coverage`` of it; in between it is not known. Cells whose centre lies beyond ``size``, and rows that are only
    padding, are never known. For rows with answers alone see `answer_targets` and `assumed_cells`.

    Args:
        batch: Any mixture of labelled and answered rows, of both domains.
        stride: Side of a cell in pixels; an image that is no multiple of it ends in a part of a cell.
        num_classes: C.
        coverage: Share of a cell's picture, above 0 up to 1.
        mask_unit: An answer makes ``area`` the whole cell known (the paper), or ``area_class`` only the classes that
            it speaks of.
        omnia_epsilon: Cells that the deployed model scored below it join M as healthy; None: none do.
        healthy_knowledge: Rows with ``is_healthy`` join M whole.
    """
    picture, share = picture_cells(batch["size"], stride, grid_size(batch["image"], stride))
    usable = (picture & batch["valid"][:, None, None])[:, None]
    labelled = batch["labelled"][:, None, None, None]
    target, known = labelled_targets(batch, stride, num_classes, coverage, share)
    target, known = target & labelled, known & labelled
    assumed = torch.zeros_like(known)
    if not bool(labelled.all()):
        positive, answered = answer_targets(batch, stride, num_classes, mask_unit)
        answered = answered & ~labelled
        assumed = assumed_cells(batch, stride, answered, omnia_epsilon, healthy_knowledge) & ~labelled
        target, known = target | (positive & answered), known | answered | assumed
    known = known & usable
    return AreaTargets((target & known).float()[:, :, None], known[:, :, None], (assumed & usable)[:, :, None])


def grid_size(image: Tensor, stride: int) -> tuple[int, int]:
    """Cells of an image ``(B, 3, H, W)``: height and width, rounded up.

    Example:
        >>> grid_size(torch.zeros(1, 3, 20, 16), 8)
        (3, 2)
    """
    return -(-image.shape[-2] // stride), -(-image.shape[-1] // stride)


def picture_cells(size: Tensor, stride: int, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Which cells belong to the picture, and how many of their pixels do.

    Args:
        size: int64 ``(B, 2)``, height and width of the picture in pixels.
        stride: Side of a cell.
        grid: Height and width in cells.

    Returns:
        bool ``(B, h, w)``, the cell's centre is picture; int64 ``(B, h, w)``, its pixels of picture.

    Example:
        >>> inside, pixels = picture_cells(torch.tensor([[8, 13]]), 8, (2, 2))
        >>> inside.tolist(), pixels.tolist()
        ([[[True, True], [False, False]]], [[[64, 40], [0, 0]]])
    """
    sides = [
        (size[:, axis, None] - stride * torch.arange(grid[axis], device=size.device)).clamp(0, stride)
        for axis in (0, 1)
    ]
    rows, columns = sides[0][:, :, None], sides[1][:, None, :]
    return (2 * rows >= stride) & (2 * columns >= stride), rows * columns


def class_pixels(class_mask: Tensor, stride: int, num_classes: int) -> tuple[Tensor, Tensor]:
    """Count the pixels of each class, and those of which nothing is known, in every cell.

    Args:
        class_mask: uint8 ``(B, H, W)``: 0 healthy, c + 1 class c, 255 (and any value above C) not known.
        stride: Side of a cell.
        num_classes: C.

    Returns:
        int64 ``(B, C, h, w)`` and ``(B, h, w)``; pixels beyond H and W count as not known.
    """
    batch, height, width = class_mask.shape
    h, w = -(-height // stride), -(-width // stride)
    padded = F.pad(class_mask, (0, w * stride - width, 0, h * stride - height), value=IGNORE)
    rows, columns = (torch.arange(n * stride, device=class_mask.device) // stride for n in (h, w))
    images = torch.arange(batch, device=class_mask.device)[:, None, None]
    place = (images * h + rows[:, None]) * w + columns
    kinds = num_classes + 2
    values = padded.clamp(max=num_classes + 1).long()
    counts = torch.bincount((place * kinds + values).flatten(), minlength=batch * h * w * kinds)
    counts = counts.view(batch, h, w, kinds).permute(0, 3, 1, 2)
    return counts[:, 1:-1], counts[:, -1]


def labelled_targets(
    batch: InspectionBatch, stride: int, num_classes: int, coverage: float, picture_pixels: Tensor
) -> tuple[Tensor, Tensor]:
    """Defective and known cells by complete labels, bool ``(B, C, h, w)`` each; see `cell_targets`.

    Every row is read as if it were labelled; ``picture_pixels`` is that of `picture_cells`.
    """
    pixels, unknown = class_pixels(batch["class_mask"], stride, num_classes)
    needed = (coverage * picture_pixels).clamp(min=1e-6)
    # Padding has the value 255 too, but hides nothing.
    hidden = (unknown - (stride * stride - picture_pixels)).clamp(min=0)
    touched = pixels > 0
    defective = pixels >= needed[:, None]
    defective |= touched & centre_cells(batch["boxes"], batch["box_class"], stride, pixels.shape)
    return defective, defective | (~touched & (hidden < needed)[:, None])


def centre_cells(boxes: Tensor, box_class: Tensor, stride: int, shape: torch.Size) -> Tensor:
    """Cells that hold the centre of a box ``(B, N, 4)``, by class: bool ``shape``, (B, C, h, w).

    NaN in boxes and negative classes ``(B, N)`` fill up; ``stride`` is the side of a cell in pixels.
    """
    found = torch.zeros(shape, dtype=torch.bool, device=boxes.device)
    if boxes.shape[1] == 0:
        return found
    centre = ((boxes[..., :2] + boxes[..., 2:]) / (2 * stride)).nan_to_num(nan=-1.0).floor().long()
    column, row = centre.unbind(-1)
    inside = (box_class >= 0) & (row >= 0) & (row < shape[2]) & (column >= 0) & (column < shape[3])
    image = torch.arange(len(boxes), device=boxes.device)[:, None].expand_as(row)
    found[image[inside], box_class[inside], row[inside], column[inside]] = True
    return found


def answer_cells(answer_mask: Tensor, stride: int, picture_pixels: Tensor, share: float = 0.5) -> Tensor:
    """Cells that each answered detection covers: by ``share`` at least, or more than it covers any other cell.

    A detection of this stride consists of whole cells and finds exactly them. After a crop or under another stride a
    cell that an answer only touches stays unknown; yet no answer vanishes, however small.

    Args:
        answer_mask: bool ``(B, A, H, W)``.
        stride: Side of a cell.
        picture_pixels: ``(B, h, w)`` of `picture_cells`.
        share: Of a cell's pixels of picture.

    Returns:
        bool ``(B, A, h, w)``.
    """
    height, width = answer_mask.shape[-2:]
    cells = picture_pixels.new_zeros((*answer_mask.shape[:2], *picture_pixels.shape[1:]), dtype=torch.bool)
    row, place = answer_mask.flatten(2).any(dim=2).nonzero(as_tuple=True)  # most of a batch only fills it up
    if len(row):
        padded = F.pad(answer_mask[row, place].float(), (0, -width % stride, 0, -height % stride))
        covered = F.avg_pool2d(padded[:, None], stride, divisor_override=1)[:, 0] / picture_pixels.clamp(min=1)[row]
        most = covered.amax(dim=(-2, -1), keepdim=True)
        cells[row, place] = (covered >= share) | ((covered == most) & (covered > 0))
    return cells


def answer_targets(
    batch: InspectionBatch, stride: int, num_classes: int, mask_unit: MaskUnit = "area"
) -> tuple[Tensor, Tensor]:
    """Defective and known cells by an operator's answers, bool ``(B, C, h, w)`` each.

    ``area``: a confirmed or re-classed detection says that its cells have the true class and no other, a rejected one
    that they have none; what one answer confirms, another does not take away. ``area_class``: a confirmed detection
    speaks of its class alone, a re-classed one also says that the shown class is absent, a rejected one only that.

    Args:
        batch: Every row is read as if it had answers alone.
        stride: Side of a cell.
        num_classes: C.
        mask_unit: See above.
    """
    shown, truth = batch["answer_class"], batch["answer_truth"]
    if shown.shape[1] == 0:
        none = torch.zeros((len(shown), num_classes, *grid_size(batch["image"], stride)), device=shown.device).bool()
        return none, none.clone()
    _, pixels = picture_cells(batch["size"], stride, grid_size(batch["image"], stride))
    cells = answer_cells(batch["answer_mask"], stride, pixels).float()
    is_there = _one_hot(truth, num_classes)
    positive = torch.einsum("bac,bahw->bchw", is_there, cells) > 0
    if mask_unit == "area":
        answered = torch.einsum("ba,bahw->bhw", (truth != PADDING).float(), cells) > 0
        return positive, answered[:, None].expand_as(positive)
    denied = _one_hot(shown, num_classes) * ((truth == REJECTED) | ((truth >= 0) & (truth != shown)))[..., None]
    negative = torch.einsum("bac,bahw->bchw", denied, cells) > 0
    return positive, positive | negative


def assumed_cells(
    batch: InspectionBatch, stride: int, answered: Tensor, omnia_epsilon: float | None, healthy_knowledge: bool
) -> Tensor:
    """Cells that join M as healthy although nobody answered them, bool ``(B, C, h, w)``.

    OMNIA-like (section 3.4.2): every pixel of the cell belongs to an area that the deployed model scored below epsilon,
    and no answer touches the cell. Healthy knowledge (section 3.4.3): the whole part is flagged healthy.

    Args:
        batch: The maps, flags and size of the image are read.
        stride: Side of a cell.
        answered: bool ``(B, C, h, w)``, known by an answer.
        omnia_epsilon: See `cell_targets`.
        healthy_knowledge: See `cell_targets`.
    """
    assumed = torch.zeros_like(answered)
    if omnia_epsilon is not None:
        sure = confident_cells(batch["baseline_map"], stride, omnia_epsilon)
        assumed |= (sure & ~answered.any(dim=1))[:, None]
    if healthy_knowledge:
        assumed |= batch["is_healthy"][:, None, None, None] & ~answered
    return assumed


def confident_cells(baseline_map: Tensor, stride: int, epsilon: float) -> Tensor:
    """Cells whose every pixel has a known score below ``epsilon``, bool ``(B, h, w)``.

    The highest score inside the cell decides, so that a map of another stride or place is read with caution.

    Args:
        baseline_map: float32 ``(B, H, W)`` in 0..1; NaN where nothing is known.
        stride: Side of a cell.
        epsilon: In 0..1.
    """
    scores = baseline_map.nan_to_num(nan=1.0)
    height, width = scores.shape[-2:]
    highest = F.max_pool2d(F.pad(scores, (0, -width % stride, 0, -height % stride))[:, None], stride)[:, 0]
    return highest < epsilon


def _one_hot(classes: Tensor, num_classes: int) -> Tensor:
    """float32 ``(B, A, C)``; all zero for negative classes."""
    return (classes[..., None] == torch.arange(num_classes, device=classes.device)).float()
