"""Areas: what cells should say, by labels, answers, the deployed model and healthy flags; cases by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from datamodules.inspection.batch import IGNORE, InspectionBatch
from lightning_modules.inspection.areas import (
    AreaTargets,
    answer_cells,
    cell_targets,
    class_pixels,
    confident_cells,
    picture_cells,
)

Batch = Callable[..., InspectionBatch]


def _cells(targets: AreaTargets) -> tuple[Tensor, Tensor, Tensor]:
    """Target, known and assumed of the only row and area, (C, h, w)."""
    return targets.target[0, :, 0], targets.known[0, :, 0], targets.assumed[0, :, 0]


def _places(mask: Tensor) -> set[tuple[int, ...]]:
    return {tuple(place) for place in mask.nonzero().tolist()}


def _answered(blank_batch: Batch, answers: list[tuple[slice, slice, int, int]], **changes: Any) -> InspectionBatch:
    """A mentored image; each answer is rows, columns, shown class, truth."""
    batch = blank_batch(answers=len(answers), **changes)
    batch["labelled"][:] = False
    batch["domain"][:] = 1
    batch["class_mask"][:] = IGNORE
    for number, (rows, columns, shown, truth) in enumerate(answers):
        batch["answer_mask"][0, number, rows, columns] = True
        batch["answer_class"][0, number] = shown
        batch["answer_truth"][0, number] = truth
    return batch


# Complete labels.


def test_coverage_rule_and_ignore_band(blank_batch: Batch) -> None:
    batch = blank_batch()
    batch["class_mask"][0, 0, :4] = 1  # cell (0, 0): 4 of 64 pixels, .0625
    batch["class_mask"][0, 8, 8:11] = 1  # cell (1, 1): 3 of 64 pixels, .047
    target, known, assumed = _cells(cell_targets(batch, 8, 2, coverage=0.06))
    assert _places(target) == {(0, 0, 0)}
    assert _places(~known) == {(0, 1, 1)}  # for the other class the cell is healthy
    assert not assumed.any()


def test_a_centre_makes_a_touched_cell_defective(blank_batch: Batch) -> None:
    batch = blank_batch(boxes=3)
    batch["class_mask"][0, 9, 9] = 1  # one pixel, .016
    batch["boxes"][0, 0] = torch.tensor([9.0, 9.0, 10.0, 10.0])
    batch["box_class"][0, 0] = 0
    batch["boxes"][0, 1] = torch.tensor([16.0, 16.0, 24.0, 24.0])  # a ring whose centre is healthy
    batch["box_class"][0, 1] = 1
    batch["boxes"][0, 2] = torch.tensor([-40.0, 0.0, -20.0, 8.0])  # moved out of the picture by augmentation
    batch["box_class"][0, 2] = 1
    target, known, _ = _cells(cell_targets(batch, 8, 2))
    assert _places(target) == {(0, 1, 1)}
    assert known.all()


def test_unknown_pixels_hide_a_defect_only_where_they_are_enough(blank_batch: Batch) -> None:
    batch = blank_batch()
    batch["class_mask"][0, 0, :3] = IGNORE  # too few to hide .06
    batch["class_mask"][0, 8:16, 8:16] = IGNORE
    batch["class_mask"][0, 8:10, 8:16] = 2  # beside the unknown pixels a quarter is class 1
    target, known, _ = _cells(cell_targets(batch, 8, 2))
    assert _places(target) == {(1, 1, 1)}
    assert _places(~known) == {(0, 1, 1)}


def test_padding_is_unknown_and_does_not_count_against_coverage(blank_batch: Batch) -> None:
    batch = blank_batch(size=torch.tensor([[20, 13]]))
    batch["class_mask"][0] = IGNORE
    batch["class_mask"][0, :20, :13] = 0
    batch["class_mask"][0, 16, 8:11] = 1  # 3 of the 20 pixels of picture in cell (2, 1)
    target, known, _ = _cells(cell_targets(batch, 8, 1))
    assert _places(target) == {(0, 2, 1)}
    assert _places(known) == {(0, row, column) for row in range(3) for column in range(2)}


def test_a_cell_whose_centre_is_padding_is_unknown(blank_batch: Batch) -> None:
    batch = blank_batch(size=torch.tensor([[19, 32]]))
    _, known, _ = _cells(cell_targets(batch, 8, 1))
    assert known[0, :2].all()
    assert not known[0, 2:].any()


def test_images_that_are_no_multiple_of_the_stride(blank_batch: Batch) -> None:
    batch = blank_batch(height=20, width=18)
    batch["class_mask"][0, 16:, 16:] = 1
    target, known, _ = _cells(cell_targets(batch, 8, 1))
    assert target.shape == (1, 3, 3)
    assert known[0, 2, :2].all()
    assert not known[0, :, 2].any()  # two pixels of eight: the centre is outside
    assert not target.any()


def test_rows_that_only_pad_the_processes_are_unknown(blank_batch: Batch) -> None:
    batch = blank_batch(2, valid=torch.tensor([True, False]))
    known = cell_targets(batch, 8, 1).known
    assert known[0].all()
    assert not known[1].any()


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 4, 8]), st.integers(0, 2**31))
def test_class_pixels_agree_with_counting_one_by_one(height: int, width: int, stride: int, seed: int) -> None:
    noise = torch.Generator().manual_seed(seed)
    values = torch.tensor([0, 1, 2, 3, 9, IGNORE], dtype=torch.uint8)
    mask = values[torch.randint(0, len(values), (1, height, width), generator=noise)]
    pixels, unknown = class_pixels(mask, stride, 3)
    for row in range(pixels.shape[2]):
        for column in range(pixels.shape[3]):
            part = mask[0, row * stride : (row + 1) * stride, column * stride : (column + 1) * stride]
            for kind in range(3):
                assert pixels[0, kind, row, column] == (part == kind + 1).sum()
            assert unknown[0, row, column] == stride**2 - (part <= 3).sum()  # beyond the border nothing is known


def test_stride_one_makes_pixels_the_areas(blank_batch: Batch) -> None:
    batch = blank_batch(height=4, width=5)
    batch["class_mask"][0, 1, 2] = 1
    target, known, _ = _cells(cell_targets(batch, 1, 1))
    assert _places(target) == {(0, 1, 2)}
    assert known.all()


# Answers.


def test_confirmed_and_rejected_areas_and_nothing_else_is_known(blank_batch: Batch) -> None:
    cell, other = slice(8, 16), slice(16, 24)
    batch = _answered(blank_batch, [(cell, cell, 1, 1), (other, other, 0, -1)])
    target, known, assumed = _cells(cell_targets(batch, 8, 3))
    assert _places(target) == {(1, 1, 1)}
    assert _places(known) == {(kind, place, place) for kind in range(3) for place in (1, 2)}
    assert not assumed.any()


def test_answers_by_area_and_class_speak_of_their_class_alone(blank_batch: Batch) -> None:
    first, second, third = slice(0, 8), slice(8, 16), slice(16, 24)
    batch = _answered(blank_batch, [(first, first, 1, 1), (second, second, 0, -1), (third, third, 0, 2)])
    target, known, _ = _cells(cell_targets(batch, 8, 3, mask_unit="area_class"))
    assert _places(target) == {(1, 0, 0), (2, 2, 2)}
    assert _places(known) == {(1, 0, 0), (0, 1, 1), (2, 2, 2), (0, 2, 2)}


def test_a_changed_class_by_area(blank_batch: Batch) -> None:
    first = slice(0, 8)
    batch = _answered(blank_batch, [(first, first, 0, 2)])
    target, known, _ = _cells(cell_targets(batch, 8, 3))
    assert _places(target) == {(2, 0, 0)}
    assert _places(known) == {(kind, 0, 0) for kind in range(3)}


@pytest.mark.parametrize("unit", ["area", "area_class"])
@pytest.mark.parametrize("order", [[1, -1], [-1, 1]])
def test_a_confirmation_wins_over_a_rejection(blank_batch: Batch, unit: Any, order: list[int]) -> None:
    cell = slice(0, 8)
    batch = _answered(blank_batch, [(cell, cell, 1, truth) for truth in order])
    target, known, _ = _cells(cell_targets(batch, 8, 2, mask_unit=unit))
    assert _places(target) == {(1, 0, 0)}
    assert _places(known) == ({(0, 0, 0), (1, 0, 0)} if unit == "area" else {(1, 0, 0)})


def test_two_confirmed_classes_share_a_cell(blank_batch: Batch) -> None:
    cell = slice(0, 8)
    batch = _answered(blank_batch, [(cell, cell, 0, 0), (cell, cell, 1, 1), (cell, cell, 2, -1)])
    target, known, _ = _cells(cell_targets(batch, 8, 3))
    assert _places(target) == {(0, 0, 0), (1, 0, 0)}
    assert known[:, 0, 0].all()


def test_a_shifted_answer_marks_the_cells_it_mostly_covers() -> None:
    mask = torch.zeros(1, 2, 32, 32, dtype=torch.bool)
    mask[0, 0, 0:16, 3:19] = True  # a crop moved the region by three pixels
    mask[0, 1, 9, 9] = True  # a click
    cells = answer_cells(mask, 8, torch.full((1, 4, 4), 64))
    assert _places(cells[0, 0]) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert _places(cells[0, 1]) == {(1, 1)}


def test_an_answer_in_the_corner_of_a_picture_that_ends_inside_a_cell(blank_batch: Batch) -> None:
    batch = _answered(blank_batch, [(slice(8, 29), slice(8, 29), 0, -1)], size=torch.tensor([[29, 29]]))
    _, known, _ = _cells(cell_targets(batch, 8, 1))
    assert _places(known) == {(0, row, column) for row in (1, 2, 3) for column in (1, 2, 3)}


def test_without_answers_a_mentored_row_is_unknown(blank_batch: Batch) -> None:
    for batch in (_answered(blank_batch, []), blank_batch(answers=2, labelled=torch.tensor([False]))):
        targets = cell_targets(batch, 8, 2, omnia_epsilon=0.01, healthy_knowledge=True)
        assert not targets.known.any()


def test_labelled_and_answered_rows_do_not_mix(blank_batch: Batch, random_batch: Batch) -> None:
    batch = random_batch(4)
    together = cell_targets(batch, 8, 2, omnia_epsilon=0.01)
    for row in range(4):
        alone: Any = {name: value[row : row + 1] for name, value in batch.items()}
        for whole, single in zip(together, cell_targets(alone, 8, 2, omnia_epsilon=0.01), strict=True):
            assert torch.equal(whole[row : row + 1], single)
    assert not together.assumed[:2].any()


# What joins M without an answer.


def test_omnia_joins_sure_cells_and_keeps_the_others_masked(blank_batch: Batch) -> None:
    batch = _answered(blank_batch, [(slice(0, 8), slice(0, 8), 0, 0)], height=16, width=16)
    scores = torch.tensor([[0.001, 0.009], [0.011, torch.nan]])
    batch["baseline_map"][0] = scores.repeat_interleave(8, 0).repeat_interleave(8, 1)
    target, known, assumed = _cells(cell_targets(batch, 8, 2, omnia_epsilon=0.01))
    assert _places(target) == {(0, 0, 0)}  # the answer stands, although the map is sure of the opposite
    assert _places(known) == {(kind, 0, column) for kind in range(2) for column in range(2)}
    assert _places(assumed) == {(0, 0, 1), (1, 0, 1)}


def test_the_highest_score_inside_a_cell_decides() -> None:
    scores = torch.full((1, 8, 20), 0.001)
    scores[0, 7, 15] = 0.5
    scores[0, 0, 17] = torch.nan
    assert confident_cells(scores, 8, 0.01)[0].tolist() == [[True, False, False]]
    assert confident_cells(torch.full((1, 3, 3), 0.001), 8, 0.01).all()  # the part beyond the border says nothing


def test_omnia_speaks_for_no_class_of_a_cell_that_an_answer_touches(blank_batch: Batch) -> None:
    batch = _answered(blank_batch, [(slice(0, 8), slice(0, 8), 0, -1)], height=8, width=16)
    batch["baseline_map"][:] = 0.0
    _, known, assumed = _cells(cell_targets(batch, 8, 2, mask_unit="area_class", omnia_epsilon=0.01))
    assert _places(known) == {(0, 0, 0), (0, 0, 1), (1, 0, 1)}
    assert _places(assumed) == {(0, 0, 1), (1, 0, 1)}


def test_a_healthy_image_joins_whole(blank_batch: Batch) -> None:
    batch = _answered(blank_batch, [(slice(0, 8), slice(0, 8), 0, -1)], is_healthy=torch.tensor([True]))
    assert _cells(cell_targets(batch, 8, 2))[1].sum() == 2
    target, known, assumed = _cells(cell_targets(batch, 8, 2, healthy_knowledge=True))
    assert known.all()
    assert not target.any()
    assert _places(~assumed) == {(0, 0, 0), (1, 0, 0)}
    batch["size"][:] = torch.tensor([16, 32])  # padding stays unknown
    known = _cells(cell_targets(batch, 8, 2, healthy_knowledge=True))[1]
    assert known[:, :2].all()
    assert not known[:, 2:].any()


def test_a_healthy_flag_changes_nothing_on_labelled_rows(blank_batch: Batch) -> None:
    batch = blank_batch(is_healthy=torch.tensor([True]))
    batch["class_mask"][0, :8, :8] = IGNORE
    _, known, assumed = _cells(cell_targets(batch, 8, 2, healthy_knowledge=True, omnia_epsilon=0.5))
    assert not known[:, 0, 0].any()
    assert not assumed.any()


@pytest.mark.parametrize("stride", [1, 4, 8, 16])
@pytest.mark.parametrize("axes", [(-1,), (-2,), (-2, -1)])
def test_flipping_the_labels_flips_the_areas(random_batch: Batch, stride: int, axes: tuple[int, ...]) -> None:
    batch = random_batch(4, 32)
    flipped: Any = dict(batch)
    for name in ("class_mask", "answer_mask", "baseline_map"):
        flipped[name] = flipped[name].flip(axes)
    options: Any = {"omnia_epsilon": 0.01, "healthy_knowledge": True}
    for plain, turned in zip(
        cell_targets(batch, stride, 2, **options), cell_targets(flipped, stride, 2, **options), strict=True
    ):
        assert torch.equal(plain.flip(axes), turned)


@given(st.integers(0, 40), st.integers(0, 40), st.sampled_from([1, 2, 8]))
def test_picture_cells_agree_with_their_definition(height: int, width: int, stride: int) -> None:
    grid = (40 // stride, 40 // stride)
    inside, pixels = picture_cells(torch.tensor([[height, width]]), stride, grid)
    assert pixels.sum() == height * width
    for row in range(grid[0]):
        for column in range(grid[1]):
            centre = (row + 0.5) * stride <= height and (column + 0.5) * stride <= width
            assert bool(inside[0, row, column]) == centre
