"""Batches of images of parts, made of simple shapes."""

from __future__ import annotations

from typing import Any

import torch

from datamodules.inspection.batch import IGNORE, PADDING, InspectionBatch


def blank_batch(
    rows: int = 1,
    height: int = 32,
    width: int = 32,
    *,
    boxes: int = 0,
    answers: int = 0,
    first: int = 0,
    **changes: Any,
) -> InspectionBatch:
    """Healthy labelled grey images of the original domain; ``changes`` replaces tensors by name."""
    batch: dict[str, Any] = {
        "image": torch.full((rows, 3, height, width), 128, dtype=torch.uint8),
        "size": torch.tensor([[height, width]] * rows),
        "source_size": torch.tensor([[height, width]] * rows),
        "class_mask": torch.zeros(rows, height, width, dtype=torch.uint8),
        "boxes": torch.full((rows, boxes, 4), torch.nan),
        "box_class": torch.full((rows, boxes), -1),
        "answer_mask": torch.zeros(rows, answers, height, width, dtype=torch.bool),
        "answer_boxes": torch.full((rows, answers, 1, 4), torch.nan),
        "answer_class": torch.full((rows, answers), PADDING),
        "answer_truth": torch.full((rows, answers), PADDING),
        "baseline_map": torch.full((rows, height, width), torch.nan),
        "domain": torch.zeros(rows, dtype=torch.long),
        "labelled": torch.ones(rows, dtype=torch.bool),
        "is_healthy": torch.zeros(rows, dtype=torch.bool),
        "index": torch.arange(first, first + rows),
        "valid": torch.ones(rows, dtype=torch.bool),
        "path": [f"/images/{row}.png" for row in range(first, first + rows)],
    }
    return InspectionBatch(**(batch | changes))  # type: ignore[typeddict-item]


def random_batch(rows: int = 4, side: int = 32, classes: int = 2, seed: int = 0) -> InspectionBatch:
    """First half labelled and original, second half mentored and new; bright squares are the defects."""
    noise = torch.Generator().manual_seed(seed)
    batch = blank_batch(rows, side, side, answers=2)
    batch["image"] = torch.randint(40, 90, (rows, 3, side, side), generator=noise, dtype=torch.uint8)
    batch["domain"] = (torch.arange(rows) >= rows // 2).long()
    batch["labelled"] = batch["domain"] == 0
    for row in range(rows):
        y, x = (int(v) for v in torch.randint(0, side // 8, (2,), generator=noise) * 8)
        kind = row % classes
        batch["image"][row, kind % 3, y : y + 8, x : x + 8] = 250
        if batch["labelled"][row]:
            batch["class_mask"][row, y : y + 8, x : x + 8] = kind + 1
            continue
        batch["class_mask"][row] = IGNORE
        batch["answer_mask"][row, 0, y : y + 8, x : x + 8] = True
        batch["answer_class"][row, 0] = batch["answer_truth"][row, 0] = kind
        if row % 2:
            other = (y + side // 2) % side
            batch["answer_mask"][row, 1, other : other + 8, x : x + 8] = True
            batch["answer_class"][row, 1], batch["answer_truth"][row, 1] = kind, -1
        batch["baseline_map"][row] = (
            torch.rand(side // 8, side // 8, generator=noise).repeat_interleave(8, 0).repeat_interleave(8, 1) * 0.02
        )
    return batch
