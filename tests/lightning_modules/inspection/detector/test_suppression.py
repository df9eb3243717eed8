"""Suppression: what is kept is torchvision's choice, and every other box is named by the box that suppressed it."""

from __future__ import annotations

import torch
from torchvision.ops import batched_nms, box_iou

from lightning_modules.inspection.detector.suppression import suppress


def test_boxes_of_another_class_are_left_alone() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10]] * 3)
    kept, suppressed = suppress(boxes, torch.tensor([0.5, 0.9, 0.7]), torch.tensor([0, 1, 0]))
    assert kept.tolist() == [1, 2]
    assert [rows.tolist() for rows in suppressed] == [[], [0]]


def test_a_box_between_two_belongs_to_the_better_one() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [4, 0, 14, 10], [2, 0, 12, 10]])
    kept, suppressed = suppress(boxes, torch.tensor([0.8, 0.9, 0.3]), torch.zeros(3, dtype=torch.long))
    assert kept.tolist() == [1, 0]
    assert [rows.tolist() for rows in suppressed] == [[2], []]


def test_random_boxes() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        corner = torch.rand((80, 2), generator=generator) * 50
        boxes = torch.cat((corner, corner + 5 + torch.rand((80, 2), generator=generator) * 20), dim=1)
        scores = torch.rand(80, generator=generator)
        classes = torch.randint(0, 3, (80,), generator=generator)
        kept, suppressed = suppress(boxes, scores, classes, 0.5)
        assert torch.equal(kept, batched_nms(boxes, scores, classes, 0.5))
        assert sorted([*kept.tolist(), *(row for rows in suppressed for row in rows.tolist())]) == list(range(80))
        for own, rows in zip(kept, suppressed, strict=True):
            assert (classes[rows] == classes[own]).all()
            assert (scores[rows] <= scores[own]).all()
            assert (box_iou(boxes[own, None], boxes[rows]) > 0.5).all()
            assert (scores[rows].diff() <= 0).all()


def test_limit_and_nothing() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [50, 0, 60, 10], [51, 0, 61, 10]])
    kept, suppressed = suppress(boxes, torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.zeros(4, dtype=torch.long), limit=1)
    assert kept.tolist() == [0]
    assert [rows.tolist() for rows in suppressed] == [[1]]
    kept, suppressed = suppress(boxes[:0], torch.zeros(0), torch.zeros(0, dtype=torch.long))
    assert len(kept) == len(suppressed) == 0
