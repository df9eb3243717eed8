"""Targets of anchors from labels and answers in pixels, in cases that can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.ops import box_iou

from datamodules.inspection.batch import IGNORE, REJECTED, InspectionBatch
from lightning_modules.inspection.detector.anchors import prior_boxes
from lightning_modules.inspection.detector.areas import (
    AnchorRules,
    DetectorTargets,
    detector_targets,
    match_anchors,
)

Batch = Callable[..., InspectionBatch]
ANCHORS = torch.tensor([[8.0, 8.0], [24.0, 12.0]])
NAN = float("nan")


def targets(batch: InspectionBatch, **rules: Any) -> DetectorTargets:
    height, width = batch["image"].shape[-2:]
    return detector_targets(batch, ANCHORS, 8, (-(-height // 8), -(-width // 8)), 3, AnchorRules(**rules))


def places(mask: Tensor) -> list[tuple[int, ...]]:
    return [tuple(index) for index in mask.nonzero().tolist()]


def answered(blank_batch: Batch, *answers: tuple[list[list[float]], int, int], **changes: Any) -> InspectionBatch:
    """One row with answers alone: anchor boxes, shown class, truth."""
    count = max(len(boxes) for boxes, _, _ in answers) if answers else 1
    batch = blank_batch(1, 32, 32, answers=len(answers), **changes)
    batch["labelled"] = torch.tensor([False])
    batch["class_mask"][:] = IGNORE
    batch["answer_boxes"] = torch.full((1, len(answers), count, 4), NAN)
    for number, (boxes, shown, truth) in enumerate(answers):
        batch["answer_boxes"][0, number, : len(boxes)] = torch.tensor(boxes)
        batch["answer_class"][0, number], batch["answer_truth"][0, number] = shown, truth
    return batch


SMALL_11 = [8.0, 8.0, 16.0, 16.0]  # small anchor of cell (1, 1)
WIDE_11 = [0.0, 6.0, 24.0, 18.0]  # wide anchor of cell (1, 1)
SMALL_30 = [0.0, 24.0, 8.0, 32.0]


# Matching.


def test_every_prior_box_finds_itself() -> None:
    priors = prior_boxes(ANCHORS, 8, (3, 4)).flatten(0, 2)
    assert match_anchors(priors[None], ANCHORS, 8, (3, 4))[0].tolist() == list(range(24))


@pytest.mark.parametrize("side", ["horizontal", "vertical"])
def test_after_a_flip_it_finds_its_mirror_image(side: str) -> None:
    priors = prior_boxes(ANCHORS, 8, (3, 4))
    x1, y1, x2, y2 = priors.unbind(-1)
    flipped = torch.stack((32 - x2, y1, 32 - x1, y2) if side == "horizontal" else (x1, 24 - y2, x2, 24 - y1), -1)
    found = match_anchors(flipped.flatten(0, 2)[None], ANCHORS, 8, (3, 4)).view(2, 3, 4)
    own = torch.arange(24).view(2, 3, 4).flip(2 if side == "horizontal" else 1)
    assert torch.equal(found, own)


def test_no_box_and_boxes_outside_match_nothing() -> None:
    boxes = torch.tensor([[NAN] * 4, [-20.0, 0, -10, 8], [30.0, 0, 38, 8], [4.0, 4, 4, 9]])
    assert match_anchors(boxes[None], ANCHORS, 8, (4, 4))[0].tolist() == [-1, -1, -1, -1]


# Labelled rows.


def test_a_labelled_box_trains_the_anchor_of_its_shape_in_the_cell_of_its_centre(blank_batch: Batch) -> None:
    box = torch.tensor([2.0, 6.0, 22.0, 16.0])  # centre 12, 11; wide
    found = targets(
        blank_batch(boxes=1) | {"boxes": box.view(1, 1, 4), "box_class": torch.tensor([[2]])}, ignore_iou=0.5
    )
    assert places(found.objectness[0] > 0) == [(1, 1, 1)]
    assert torch.equal(found.box[0, 1, :, 1, 1], box)
    assert places(found.box_known[0]) == [(1, 1, 1)]
    assert places(found.classes[0] > 0) == [(2, 1, 1)]
    assert places(found.classes_known[0]) == [(0, 1, 1), (1, 1, 1), (2, 1, 1)]
    assert found.objectness_known.all()  # no other anchor overlaps it by half
    assert not found.assumed.any()


def test_neighbours_that_overlap_a_box_are_left_out(blank_batch: Batch) -> None:
    batch = blank_batch(boxes=1)
    batch["boxes"][0, 0], batch["box_class"][0, 0] = torch.tensor([2.0, 2.0, 26.0, 14.0]), 0  # centre 14, 8: cell 1, 1
    found = targets(batch, ignore_iou=0.4)
    assert places(~found.objectness_known[0]) == [(1, 0, 1)]  # of the cell above, as near to it
    areas = found.areas()
    assert places(areas.target[0] > 0) == [(0, 1, 1, 1)]
    assert places(~areas.known[0]) == [(c, 1, 0, 1) for c in range(3)]


@pytest.mark.parametrize("seed", range(5))
def test_left_out_is_what_overlaps_by_iou(blank_batch: Batch, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    batch = blank_batch(2, 32, 32, boxes=4)
    corner = torch.rand((2, 4, 2), generator=generator) * 24
    batch["boxes"] = torch.cat((corner, corner + 4 + torch.rand((2, 4, 2), generator=generator) * 20), dim=-1)
    batch["box_class"][:] = 1
    batch["boxes"][0, 3], batch["box_class"][0, 3] = torch.nan, -1
    found = targets(batch, ignore_iou=0.3)
    for row in range(2):
        boxes = batch["boxes"][row][batch["box_class"][row] >= 0]
        iou = box_iou(prior_boxes(ANCHORS, 8, (4, 4)).view(-1, 4), boxes).amax(dim=1).view(2, 4, 4)
        assert torch.equal(~found.objectness_known[row], (iou >= 0.3) & (found.objectness[row] == 0))


def test_two_boxes_on_one_anchor_keep_both_classes_and_the_first_box(blank_batch: Batch) -> None:
    batch = blank_batch(boxes=2)
    batch["boxes"][0] = torch.tensor([[8.0, 8.0, 16.0, 16.0], [9.0, 8.0, 16.0, 16.0]])
    batch["box_class"][0] = torch.tensor([1, 2])
    found = targets(batch)
    assert places(found.objectness[0] > 0) == [(0, 1, 1)]
    assert places(found.classes[0] > 0) == [(1, 1, 1), (2, 1, 1)]
    assert found.box[0, 0, :, 1, 1].tolist() == [8.0, 8.0, 16.0, 16.0]


def test_pixels_of_255_are_unknown_except_inside_boxes(blank_batch: Batch) -> None:
    batch = blank_batch(boxes=1)
    batch["class_mask"][0, :, 16:] = IGNORE
    batch["boxes"][0, 0], batch["box_class"][0, 0] = torch.tensor([14.0, 16.0, 32.0, 32.0]), 0
    found = targets(batch, ignore_iou=0.99)
    unknown = places(~found.objectness_known[0, 0])
    assert unknown == [(0, 2), (0, 3), (1, 2), (1, 3)]


def test_beyond_the_picture_nothing_is_known(blank_batch: Batch) -> None:
    batch = blank_batch()
    batch["size"] = torch.tensor([[20, 32]])
    batch["class_mask"][0, 20:] = IGNORE
    assert places(~targets(batch).objectness_known[0].any(dim=0)) == [(3, column) for column in range(4)]
    batch["valid"] = torch.tensor([False])
    assert not targets(batch).objectness_known.any()


def test_images_that_are_no_multiple_of_the_stride(blank_batch: Batch) -> None:
    found = targets(blank_batch(1, 20, 28))
    assert found.objectness.shape == (1, 2, 3, 4)
    assert found.objectness_known.all()


# Rows with answers alone.


def test_confirmation(blank_batch: Batch) -> None:
    found = targets(answered(blank_batch, ([WIDE_11], 1, 1)))
    assert places(found.objectness_known[0]) == [(1, 1, 1)]
    assert found.objectness[0, 1, 1, 1] == 1
    assert places(found.classes_known[0]) == [(0, 1, 1), (1, 1, 1), (2, 1, 1)]
    assert places(found.classes[0] > 0) == [(1, 1, 1)]
    assert not found.box_known.any()
    assert not found.assumed.any()


def test_reclassification(blank_batch: Batch) -> None:
    batch = answered(blank_batch, ([WIDE_11], 1, 2))
    assert places(targets(batch).classes[0] > 0) == [(2, 1, 1)]
    found = targets(batch, mask_unit="area_class")
    assert places(found.classes[0] > 0) == [(2, 1, 1)]
    assert places(found.classes_known[0]) == [(1, 1, 1), (2, 1, 1)]


@pytest.mark.parametrize("reject_class", [False, True])
def test_rejection(blank_batch: Batch, reject_class: bool) -> None:
    found = targets(answered(blank_batch, ([SMALL_30], 1, REJECTED)), reject_class=reject_class)
    assert places(found.objectness_known[0]) == [(0, 3, 0)]
    assert not found.objectness.any()
    assert not found.classes.any()
    assert places(found.classes_known[0]) == ([(1, 3, 0)] if reject_class else [])
    areas = found.areas()
    assert places(areas.known[0]) == [(c, 0, 3, 0) for c in range(3)]  # no object: no class
    assert not areas.target.any()


@pytest.mark.parametrize(
    ("suppressed", "confirmed", "rejected"),
    [
        ("all", [(0, 1, 1), (1, 1, 1)], [(0, 1, 1), (1, 1, 1)]),
        ("rejected", [(1, 1, 1)], [(0, 1, 1), (1, 1, 1)]),
        ("none", [(1, 1, 1)], [(1, 1, 1)]),
    ],
)
def test_anchors_that_the_detection_suppressed(
    blank_batch: Batch, suppressed: str, confirmed: list[Any], rejected: list[Any]
) -> None:
    for truth, known in ((0, confirmed), (REJECTED, rejected)):
        found = targets(answered(blank_batch, ([WIDE_11, SMALL_11], 0, truth)), suppressed=suppressed)
        assert places(found.objectness_known[0]) == known


def test_a_confirmed_answer_wins(blank_batch: Batch) -> None:
    batch = answered(blank_batch, ([SMALL_11], 0, REJECTED), ([SMALL_11], 1, 1))
    found = targets(batch, reject_class=True)
    assert places(found.objectness[0] > 0) == [(0, 1, 1)]
    assert places(found.classes[0] > 0) == [(1, 1, 1)]


def test_a_drawn_box_marks_the_nearest_anchor(blank_batch: Batch) -> None:
    found = targets(answered(blank_batch, ([[1.0, 23.0, 8.0, 31.0]], 2, 2)))
    assert places(found.objectness[0] > 0) == [(0, 3, 0)]


def test_omnia_adds_sure_cells_but_neither_answers_nor_their_neighbours(blank_batch: Batch) -> None:
    batch = answered(blank_batch, ([WIDE_11], 0, 0))
    batch["baseline_map"] = torch.full((1, 32, 32), 0.005)
    batch["baseline_map"][0, 24:] = 0.5
    batch["baseline_map"][0, :8, :8] = torch.nan
    found = targets(batch, omnia_epsilon=0.01, ignore_iou=0.45)
    unsure = {(0, 0), *((3, column) for column in range(4))}
    near = {(1, 1, 0), (1, 1, 2)}  # the wide anchor, moved by a cell
    every = {(a, y, x) for a in range(2) for y in range(4) for x in range(4)}
    assert set(places(found.assumed[0])) == {p for p in every if p[1:] not in unsure} - near - {(1, 1, 1)}
    assert set(places(found.objectness_known[0])) == set(places(found.assumed[0])) | {(1, 1, 1)}
    assert not found.objectness[found.assumed].any()
    assert places(found.classes_known[0]) == [(c, 1, 1) for c in range(3)]


def test_healthy_parts_join_whole(blank_batch: Batch) -> None:
    batch = answered(blank_batch, ([SMALL_30], 0, REJECTED))
    batch["is_healthy"] = torch.tensor([True])
    assert not targets(batch).assumed.any()
    found = targets(batch, healthy_knowledge=True)
    assert found.objectness_known.all()
    assert places(~found.assumed[0]) == [(0, 3, 0)]
    assert found.areas().known.all()
    assert not found.areas().target.any()


def test_rows_of_both_kinds_in_one_batch(blank_batch: Batch) -> None:
    batch = blank_batch(2, 32, 32, boxes=1, answers=1)
    batch["labelled"] = torch.tensor([True, False])
    batch["boxes"][:] = torch.tensor([8.0, 8.0, 16.0, 16.0])
    batch["box_class"][:] = 0
    batch["answer_boxes"][:] = torch.tensor(SMALL_30)
    batch["answer_class"][:] = batch["answer_truth"][:] = 1
    found = targets(batch)
    assert places(found.objectness > 0) == [(0, 0, 1, 1), (1, 0, 3, 0)]
    assert places(found.box_known) == [(0, 0, 1, 1)]
    assert found.objectness_known[0].all()
    assert found.objectness_known[1].sum() == 1
