"""Rotation, shift, scale and light of a batch, each picture about its own centre, in one warp."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from datamodules.images.affine import about_centre, turned
from datamodules.inspection.batch import IGNORE, PADDING, InspectionBatch
from datamodules.inspection.settings import AugmentationSettings

_SMALLEST_VISIBLE = 0.25  # share of a box that must stay inside for it to stay a box


def warp(batch: InspectionBatch, settings: AugmentationSettings, draws: Tensor) -> InspectionBatch:
    """Warp a batch: images bilinearly, masks and maps by the nearest pixel, boxes by the hull of their corners.

    Args:
        batch: The batch; it is not changed.
        settings: What may happen.
        draws: Numbers in [0, 1) for rotation, scale, shift across and down, brightness, contrast, ``(B, 6)``.

    Returns:
        A new batch, see ``augmentation.augment``.
    """
    spread = 2 * draws - 1
    warped, image, inside = batch.copy(), batch["image"].float() / 255, _inside(batch)
    if settings.is_warping:
        linear = turned(settings.degrees * spread[:, 0], 1 + settings.scale * spread[:, 1])
        matrix = about_centre(linear, _edges(batch), settings.translate * spread[:, 2:4])
        image = _resampled(image, matrix, "bilinear")
        planes = _resampled(_planes(batch, inside), matrix, "nearest") * inside[:, None]
        inside = planes[:, 0] > 0
        _move_planes(warped, planes, inside)
        _move_boxes(warped, matrix, _edges(batch))
    lit = _relit(image, settings, spread[:, 4:, None, None, None])
    warped["image"] = (lit * inside[:, None] * 255).round().to(torch.uint8)
    return warped


def _resampled(planes: Tensor, matrix: Tensor, mode: Literal["bilinear", "nearest"]) -> Tensor:
    from kornia.geometry.transform import warp_affine  # kornia takes a second to import

    warped: Tensor = warp_affine(planes, matrix, (planes.shape[-2], planes.shape[-1]), mode, align_corners=True)
    return warped


def _relit(image: Tensor, settings: AugmentationSettings, spread: Tensor) -> Tensor:
    """Shift the brightness, then scale the values, within 0..1."""
    lit = (image + settings.brightness * spread[:, 0]).clamp(0, 1)
    return (lit * (1 + settings.contrast * spread[:, 1])).clamp(0, 1)


def _edges(batch: InspectionBatch) -> Tensor:
    """Width and height of each picture, float32 ``(B, 2)``."""
    return batch["size"].flip(1).float()


def _planes(batch: InspectionBatch, inside: Tensor) -> Tensor:
    """Picture, class mask, where a score is known, score, answers, ``(B, 4 + A, H, W)``; 0 comes in from outside."""
    score = batch["baseline_map"]
    single = [inside, batch["class_mask"], ~score.isnan(), score.nan_to_num(0.0)]
    return torch.cat([torch.stack([plane.float() for plane in single], dim=1), batch["answer_mask"].float()], dim=1)


def _move_planes(batch: InspectionBatch, planes: Tensor, inside: Tensor) -> None:
    """Put resampled planes in their places."""
    mask, known, score = planes[:, 1:4].unbind(1)
    batch["class_mask"] = torch.where(inside, mask, IGNORE).to(torch.uint8)
    batch["baseline_map"] = torch.where(known > 0, score, torch.nan)
    batch["answer_mask"] = planes[:, 4:] > 0


def _inside(batch: InspectionBatch) -> Tensor:
    """Pixels of the picture itself, bool ``(B, H, W)``."""
    height, width = batch["image"].shape[-2:]
    rows = torch.arange(height, device=batch["size"].device)[:, None] < batch["size"][:, 0, None, None]
    return rows & (torch.arange(width, device=batch["size"].device) < batch["size"][:, 1, None, None])


def _move_boxes(batch: InspectionBatch, matrix: Tensor, edges: Tensor) -> None:
    """Move the boxes of a batch in place; those that left their picture go."""
    moved = hulls(batch["boxes"], matrix)
    clipped = torch.minimum(moved.clamp(min=0), edges.repeat(1, 2)[:, None])
    visible = _areas(clipped) / _areas(moved)
    kept = visible >= _SMALLEST_VISIBLE
    for row, place in torch.nonzero((visible > 0) & ~kept).tolist():
        x1, y1, x2, y2 = clipped[row, place].tolist()
        batch["class_mask"][row, int(y1) : int(y2) + 1, int(x1) : int(x2) + 1] = IGNORE
    batch["boxes"] = torch.where(kept[..., None], clipped, torch.full_like(clipped, torch.nan))
    batch["box_class"] = torch.where(kept, batch["box_class"], torch.full_like(batch["box_class"], -1))
    anchors = hulls(batch["answer_boxes"].flatten(1, 2), matrix).reshape(batch["answer_boxes"].shape)
    centre = (anchors[..., :2] + anchors[..., 2:]) / 2
    inside = ((centre >= 0) & (centre < edges[:, None, None])).all(dim=-1)
    batch["answer_boxes"] = torch.where(inside[..., None], anchors, torch.full_like(anchors, torch.nan))
    gone = ~inside.any(dim=-1) & ~batch["answer_mask"].any(dim=-1).any(dim=-1)
    batch["answer_class"] = batch["answer_class"].masked_fill(gone, PADDING)
    batch["answer_truth"] = batch["answer_truth"].masked_fill(gone, PADDING)


def hulls(boxes: Tensor, matrix: Tensor) -> Tensor:
    """Upright boxes around transformed ones.

    Args:
        boxes: ``(B, N, 4)``, x1, y1, x2, y2 at the edges of pixels; NaN stays NaN.
        matrix: ``(B, 2, 3)`` between centres of pixels.
    """
    x1, y1, x2, y2 = (boxes - 0.5).unbind(-1)
    corners = torch.stack([torch.stack(pair, dim=-1) for pair in ((x1, y1), (x2, y1), (x2, y2), (x1, y2))], dim=2)
    moved = torch.einsum("bij,bnkj->bnki", matrix[:, :2, :2], corners) + matrix[:, None, None, :2, 2] + 0.5
    return torch.cat([moved.amin(dim=2), moved.amax(dim=2)], dim=-1)


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
