"""Rotation, shift, scale and light of a batch, all in one kornia call."""

from __future__ import annotations

import kornia.augmentation as kornia_augmentation
import torch
from kornia.constants import DataKey, Resample
from torch import Tensor

from datamodules.inspection.batch import IGNORE, PADDING, InspectionBatch
from datamodules.inspection.batches.settings import AugmentationSettings

_SMALLEST_VISIBLE = 0.25  # share of a box that must stay inside for it to stay a box


def warp(batch: InspectionBatch, settings: AugmentationSettings, seed: int) -> InspectionBatch:
    """Warp a batch: images bilinearly, masks and maps by the nearest pixel, boxes by the hull of their corners.

    Args:
        batch: The batch; it is not changed.
        settings: What may happen.
        seed: Seed of kornia's draws; the global generator is left as it was.

    Returns:
        A new batch, see ``augmentation.augment``.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _warped(batch, settings) if settings.is_warping else _relit(batch, settings)


def _relit(batch: InspectionBatch, settings: AugmentationSettings) -> InspectionBatch:
    lit = batch.copy()
    image = _sequence(settings, [DataKey.INPUT])(batch["image"].float() / 255)
    lit["image"] = _bytes(image * _inside(batch)[:, None])
    return lit


def _warped(batch: InspectionBatch, settings: AugmentationSettings) -> InspectionBatch:
    height, width = batch["image"].shape[-2:]
    sequence = _sequence(settings, [DataKey.INPUT, DataKey.MASK])
    image, planes = sequence(batch["image"].float() / 255, _planes(batch))
    inside, mask, known, score = planes[:, :4].unbind(1)
    warped = batch.copy()
    warped["image"] = _bytes(image * inside[:, None])
    warped["class_mask"] = torch.where(inside > 0, mask.round(), torch.full_like(mask, IGNORE)).to(torch.uint8)
    warped["baseline_map"] = torch.where(known > 0, score, torch.full_like(score, torch.nan))
    warped["answer_mask"] = planes[:, 4:] > 0
    warped["size"] = torch.tensor([height, width], device=image.device).repeat(len(image), 1)
    matrix = sequence.transform_matrix
    assert matrix is not None  # there is one: the sequence has a geometric step
    _move_boxes(warped, matrix, height, width)
    return warped


def _sequence(settings: AugmentationSettings, data_keys: list[DataKey]) -> kornia_augmentation.AugmentationSequential:
    steps = []
    if settings.is_warping:
        steps.append(
            kornia_augmentation.RandomAffine(
                degrees=settings.degrees,
                translate=(settings.translate, settings.translate),
                scale=(1 - settings.scale, 1 + settings.scale),
                p=1.0,
            )
        )
    if settings.brightness:
        steps.append(kornia_augmentation.RandomBrightness((1 - settings.brightness, 1 + settings.brightness), p=1.0))
    if settings.contrast:
        steps.append(kornia_augmentation.RandomContrast((1 - settings.contrast, 1 + settings.contrast), p=1.0))
    return kornia_augmentation.AugmentationSequential(
        *steps,
        data_keys=data_keys,
        extra_args={DataKey.MASK: {"resample": Resample.NEAREST, "align_corners": False}},
    )


def _planes(batch: InspectionBatch) -> Tensor:
    """Picture, class mask, where a score is known, score, answers, ``(B, 4 + A, H, W)``; 0 comes in from outside."""
    score = batch["baseline_map"]
    single = [_inside(batch), batch["class_mask"], ~score.isnan(), score.nan_to_num(0.0)]
    return torch.cat([torch.stack([plane.float() for plane in single], dim=1), batch["answer_mask"].float()], dim=1)


def _inside(batch: InspectionBatch) -> Tensor:
    """Pixels of the picture itself, bool ``(B, H, W)``."""
    height, width = batch["image"].shape[-2:]
    rows = torch.arange(height, device=batch["size"].device)[:, None] < batch["size"][:, 0, None, None]
    return rows & (torch.arange(width, device=batch["size"].device) < batch["size"][:, 1, None, None])


def _bytes(image: Tensor) -> Tensor:
    return (image.clamp(0, 1) * 255).round().to(torch.uint8)


def _move_boxes(batch: InspectionBatch, matrix: Tensor, height: int, width: int) -> None:
    """Move the boxes of a batch in place; those that left the image go."""
    limits = torch.tensor([width, height, width, height], dtype=torch.float32, device=matrix.device)
    moved = hulls(batch["boxes"], matrix)
    clipped = torch.minimum(moved.clamp(min=0), limits)
    visible = _areas(clipped) / _areas(moved)
    kept = visible >= _SMALLEST_VISIBLE
    for row, place in torch.nonzero((visible > 0) & ~kept).tolist():
        x1, y1, x2, y2 = clipped[row, place].tolist()
        batch["class_mask"][row, int(y1) : int(y2) + 1, int(x1) : int(x2) + 1] = IGNORE
    batch["boxes"] = torch.where(kept[..., None], clipped, torch.full_like(clipped, torch.nan))
    batch["box_class"] = torch.where(kept, batch["box_class"], torch.full_like(batch["box_class"], -1))
    anchors = hulls(batch["answer_boxes"].flatten(1, 2), matrix).reshape(batch["answer_boxes"].shape)
    centre = (anchors[..., :2] + anchors[..., 2:]) / 2
    inside = ((centre >= 0) & (centre < limits[:2])).all(dim=-1)
    batch["answer_boxes"] = torch.where(inside[..., None], anchors, torch.full_like(anchors, torch.nan))
    gone = ~inside.any(dim=-1) & ~batch["answer_mask"].any(dim=-1).any(dim=-1)
    batch["answer_class"] = batch["answer_class"].masked_fill(gone, PADDING)
    batch["answer_truth"] = batch["answer_truth"].masked_fill(gone, PADDING)


def hulls(boxes: Tensor, matrix: Tensor) -> Tensor:
    """Upright boxes around transformed ones.

    Args:
        boxes: ``(B, N, 4)``, x1, y1, x2, y2 at the edges of pixels; NaN stays NaN.
        matrix: ``(B, 3, 3)`` between centres of pixels, as kornia has it.
    """
    x1, y1, x2, y2 = (boxes - 0.5).unbind(-1)
    corners = torch.stack([torch.stack(pair, dim=-1) for pair in ((x1, y1), (x2, y1), (x2, y2), (x1, y2))], dim=2)
    moved = torch.einsum("bij,bnkj->bnki", matrix[:, :2, :2], corners) + matrix[:, None, None, :2, 2] + 0.5
    return torch.cat([moved.amin(dim=2), moved.amax(dim=2)], dim=-1)


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
