"""Augmentation of a training batch: pictures, masks, boxes, answers and stored maps move together.

Flips and quarter turns move pixels without changing them, whatever their type, where kornia's sequence would turn each
into floats and back. Slants, scales and light follow in one warp.
"""

from __future__ import annotations

import torch
from torch import Tensor

from datamodules.common.seeded_draws import row_draws
from datamodules.inspection.batch import IGNORE, InspectionBatch
from datamodules.inspection.batches.warping import warp
from datamodules.inspection.settings import AugmentationSettings

_DRAWS = ("across", "down", "turn", "rotation", "scale", "shift across", "shift down", "brightness", "contrast")


def augment(batch: InspectionBatch, settings: AugmentationSettings, seed: int, epoch: int) -> InspectionBatch:
    """Augment a batch; a row is augmented the same in any batch, at any place in it.

    Args:
        batch: Batch on any device; it is not changed.
        settings: What may happen.
        seed: Seed of the data.
        epoch: Epoch of the training.

    Returns:
        A new batch. After a rotation, shift or scale each picture has its size still, and pixels that come in from
        outside are black and unknown (class mask 255, map NaN).
    """
    draws = row_draws(_DRAWS, seed, epoch, batch["index"], batch.get("repeat", 0))
    batch = _move(_squared(batch) if settings.rotate90 else batch, _moves(draws[:, :3].cpu(), settings))
    if settings.is_warping or settings.changes_light:
        batch = warp(batch, settings, draws[:, 3:])
    return batch


Move = tuple[bool, int]  # flip left to right, then so many quarter turns against the clock


def _moves(draws: Tensor, settings: AugmentationSettings) -> list[Move]:
    """One move of each row; a flip top to bottom is a flip left to right and half a turn."""
    across, down = draws[:, 0] < settings.flip_horizontal, draws[:, 1] < settings.flip_vertical
    turns = (draws[:, 2] * 4).long() * settings.rotate90
    return list(zip((across != down).tolist(), ((2 * down + turns) % 4).tolist(), strict=True))


def _move(batch: InspectionBatch, moves: list[Move]) -> InspectionBatch:
    """Apply each row's move and put its picture back to the upper left corner."""
    sides = (batch["image"].shape[-2], batch["image"].shape[-1])
    rows_of: dict[Move, Tensor] = {}
    for move in sorted(set(moves)):
        rows_of[move] = torch.tensor([row for row, own in enumerate(moves) if own == move])
    whole = torch.nn.functional.pad(batch["size"].flip(1), (2, 0)).to(torch.float32)  # x1, y1, x2, y2 of the picture
    placed = _moved_boxes(whole[:, None], rows_of, sides)[:, 0]
    corner = placed[:, :2]
    back = torch.cat([corner, corner], dim=1)[:, None]
    moved = batch.copy()
    moved["image"] = _moved_pixels(batch["image"], rows_of, corner)
    moved["class_mask"] = _moved_pixels(batch["class_mask"], rows_of, corner)
    moved["answer_mask"] = _moved_pixels(batch["answer_mask"], rows_of, corner)
    moved["baseline_map"] = _moved_pixels(batch["baseline_map"], rows_of, corner)
    moved["boxes"] = _moved_boxes(batch["boxes"], rows_of, sides) - back
    anchors = batch["answer_boxes"]
    moved["answer_boxes"] = (_moved_boxes(anchors.flatten(1, 2), rows_of, sides) - back).reshape(anchors.shape)
    moved["size"] = (placed[:, 2:] - corner).flip(1).to(torch.int64)
    return moved


def _moved_pixels(pixels: Tensor, rows_of: dict[Move, Tensor], corner: Tensor) -> Tensor:
    """Flip and turn the last two axes; then roll what padding lies before the picture to behind it."""
    moved = torch.empty_like(pixels)
    for (flip, turns), rows in rows_of.items():
        own = pixels[rows]
        moved[rows] = torch.rot90(own.flip(-1) if flip else own, turns, (-2, -1))
    for row in torch.nonzero(corner.any(dim=1)).flatten().tolist():
        x, y = (int(value) for value in corner[row])
        moved[row] = torch.roll(moved[row], (-y, -x), (-2, -1))
    return moved


def _moved_boxes(boxes: Tensor, rows_of: dict[Move, Tensor], sides: tuple[int, int]) -> Tensor:
    """Flip and turn boxes ``(B, N, 4)`` inside an image of height and width ``sides``."""
    moved = torch.empty_like(boxes)
    for (flip, turns), rows in rows_of.items():
        own, (height, width) = boxes[rows], sides
        if flip:
            x1, y1, x2, y2 = own.unbind(-1)
            own = torch.stack([width - x2, y1, width - x1, y2], dim=-1)
        for _ in range(turns):
            x1, y1, x2, y2 = own.unbind(-1)
            own = torch.stack([y1, width - x2, y2, width - x1], dim=-1)
            height, width = width, height
        moved[rows] = own
    return moved


def _squared(batch: InspectionBatch) -> InspectionBatch:
    """Pad a batch to the right or below until it is square."""
    height, width = batch["image"].shape[-2:]
    if height == width:
        return batch
    edge = max(height, width)
    sides = (0, edge - width, 0, edge - height)
    padded = batch.copy()
    padded["image"] = torch.nn.functional.pad(batch["image"], sides)
    padded["class_mask"] = torch.nn.functional.pad(batch["class_mask"], sides, value=IGNORE)
    padded["answer_mask"] = torch.nn.functional.pad(batch["answer_mask"], sides)
    padded["baseline_map"] = torch.nn.functional.pad(batch["baseline_map"], sides, value=torch.nan)
    return padded
