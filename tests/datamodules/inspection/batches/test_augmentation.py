"""Image, masks, boxes, answers and stored maps stay together under every move."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.inspection.batch import IGNORE, PADDING, InspectionBatch
from datamodules.inspection.batches.augmentation import augment
from datamodules.inspection.settings import AugmentationSettings
from tests.inspection_batches import blank_batch

NONE = AugmentationSettings(flip_horizontal=0, flip_vertical=0)


def make_batch(
    rows: int = 16, height: int = 64, width: int = 96, *, padded: bool = True, seed: int = 0
) -> InspectionBatch:
    """Rows whose picture says where each pixel was, with one defect, one answer and a map that follow from it."""
    generator = np.random.default_rng(seed)
    batch = blank_batch(
        rows, height, width, boxes=2, answers=2,
        image=torch.zeros(rows, 3, height, width, dtype=torch.uint8), source_size=torch.full((rows, 2), 100),
        class_mask=torch.full((rows, height, width), IGNORE, dtype=torch.uint8),
        answer_boxes=torch.full((rows, 2, 3, 4), torch.nan),
    )  # fmt: skip
    for row in range(rows):
        h, w = (height - 16, width - 24) if padded and row % 2 else (height, width)
        batch["size"][row] = torch.tensor([h, w])
        batch["image"][row, 0, :h, :w] = torch.arange(1, h + 1)[:, None].to(torch.uint8)
        batch["image"][row, 1, :h, :w] = torch.arange(1, w + 1)[None, :].to(torch.uint8)
        y, x = int(generator.integers(0, h - 12)), int(generator.integers(0, w - 7))
        batch["class_mask"][row, :h, :w] = 0
        batch["class_mask"][row, y : y + 12, x : x + 7] = 3
        batch["boxes"][row, 0] = torch.tensor([x, y, x + 7, y + 12])
        batch["box_class"][row, 0] = 2
        batch["answer_mask"][row, 0, y : y + 12, x : x + 7] = True
        batch["answer_boxes"][row, 0, 1] = torch.tensor([x, y, x + 7, y + 12])
        batch["answer_class"][row, 0] = 2
        batch["answer_truth"][row, 0] = -1
        batch["baseline_map"][row, :h, :w] = batch["class_mask"][row, :h, :w].float() / 4
    return batch


def bounds(mask: Tensor) -> Tensor:
    rows, columns = torch.nonzero(mask, as_tuple=True)
    return torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]).float()


def check_together(batch: InspectionBatch) -> None:
    """Every label that follows from the picture still does."""
    for row in range(len(batch["path"])):
        h, w = batch["size"][row].tolist()
        defect = batch["class_mask"][row] == 3
        assert torch.equal(bounds(defect), batch["boxes"][row, 0])
        assert torch.equal(bounds(batch["answer_mask"][row, 0]), batch["answer_boxes"][row, 0, 1])
        assert torch.equal(defect, batch["answer_mask"][row, 0])
        assert bool(batch["boxes"][row, 1].isnan().all())
        assert bool(batch["answer_boxes"][row, 0, [0, 2]].isnan().all())
        known = ~batch["baseline_map"][row].isnan()
        assert torch.equal(known, batch["class_mask"][row] != IGNORE)
        assert torch.equal(batch["baseline_map"][row][known] == 0.75, defect[known])
        inside = torch.zeros_like(known)
        inside[:h, :w] = True
        assert torch.equal(inside, known)
        assert torch.equal(inside, batch["image"][row, 0] > 0)  # the picture begins in the corner, zeros follow


@pytest.mark.parametrize("shape", [(64, 96), (64, 64)])
@pytest.mark.parametrize("turn", [False, True])
def test_flips_and_turns_keep_everything_together(shape: tuple[int, int], turn: bool) -> None:
    batch = make_batch(32, *shape)
    before = {name: value.clone() for name, value in batch.items() if isinstance(value, Tensor)}
    moved = augment(batch, AugmentationSettings(rotate90=turn), 0, 0)
    check_together(moved)
    for name, value in before.items():  # the caller's batch is as it was
        torch.testing.assert_close(dict(batch)[name], value, equal_nan=True)
    seen = {tuple(moved["image"][row, :2, 0, 0].tolist()) for row in range(0, 32, 2)}  # source pixel of the corner
    assert len(seen) == 4
    if turn:
        assert moved["image"].shape[-1] == moved["image"].shape[-2]
        assert bool((moved["size"] != batch["size"]).any())  # pictures that are not square lie on their side


@pytest.mark.parametrize(("across", "down"), [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
def test_a_flip_is_exactly_the_mirror_image(across: float, down: float) -> None:
    batch = make_batch(4, padded=False)
    moved = augment(batch, AugmentationSettings(flip_horizontal=across, flip_vertical=down), 0, 0)
    axes = [axis for axis, probability in ((-1, across), (-2, down)) if probability]
    assert torch.equal(moved["image"], batch["image"].flip(axes))
    assert torch.equal(moved["class_mask"], batch["class_mask"].flip(axes))
    x1, _, x2, _ = batch["boxes"][0, 0].tolist()
    expected = [96 - x2, 96 - x1] if across else [x1, x2]
    assert moved["boxes"][0, 0, 0::2].tolist() == expected


def test_draws_follow_from_seeds_and_rows_alone() -> None:
    batch = make_batch()
    settings = AugmentationSettings(rotate90=True, brightness=0.2, degrees=20, scale=0.1, translate=0.1)
    state = torch.get_rng_state()
    first = augment(batch, settings, 1, 5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    again = augment(batch, settings, 1, 5)
    assert torch.equal(first["image"], again["image"])
    repeated: Any = {**batch, "repeat": torch.ones(16, dtype=torch.int64)}
    for other in (augment(batch, settings, 2, 5), augment(batch, settings, 1, 6), augment(repeated, settings, 1, 5)):
        assert not torch.equal(first["image"], other["image"])


def test_a_row_is_augmented_the_same_in_any_batch() -> None:
    settings = AugmentationSettings(rotate90=True, brightness=0.2, contrast=0.2, degrees=20, scale=0.1, translate=0.1)
    whole = make_batch(8, 96, 96)
    chosen: Any = {name: value[[5, 2]] if isinstance(value, Tensor) else value[:2] for name, value in whole.items()}
    for plane in ("image", "class_mask", "answer_mask", "baseline_map"):  # a batch that is padded further
        empty = {"class_mask": IGNORE, "baseline_map": torch.nan}.get(plane, 0)
        chosen[plane] = torch.nn.functional.pad(chosen[plane], (0, 32, 0, 32), value=empty)
    moved, other = augment(whole, settings, 0, 0), augment(chosen, settings, 0, 0)
    for place, row in enumerate((5, 2)):
        assert torch.equal(other["size"][place], moved["size"][row])
        torch.testing.assert_close(other["boxes"][place], moved["boxes"][row], equal_nan=True)
        here, there = other["image"][place, :, :96, :96].int(), moved["image"][row].int()
        assert float((here - there).abs().gt(1).float().mean()) < 0.002  # the warp rounds in shares of the batch's side
        assert int(other["image"][place, :, 96:].max()) == 0


def test_light_changes_the_picture_alone() -> None:
    batch = make_batch()
    lit = augment(batch, AugmentationSettings(flip_horizontal=0, flip_vertical=0, brightness=0.3, contrast=0.3), 0, 0)
    assert not torch.equal(lit["image"], batch["image"])
    for name in ("size", "class_mask", "boxes", "answer_mask", "baseline_map"):
        torch.testing.assert_close(dict(lit)[name], dict(batch)[name], equal_nan=True)
    outside = (batch["image"][:, 0] == 0)[:, None].expand_as(lit["image"])
    assert int(lit["image"][outside].max()) == 0  # padding stays black


@pytest.mark.parametrize(
    "settings",
    [
        AugmentationSettings(degrees=30),
        AugmentationSettings(translate=0.2),
        AugmentationSettings(scale=0.3),
        AugmentationSettings(rotate90=True, degrees=15, translate=0.1, scale=0.2, brightness=0.1),
    ],
)
def test_warped_boxes_still_bound_the_mask(settings: AugmentationSettings) -> None:
    batch = make_batch(32, 96, 96)
    moved = augment(batch, settings, 0, 0)
    checked = 0
    for row in range(32):
        known = ~moved["baseline_map"][row].isnan()
        assert torch.equal(known, moved["class_mask"][row] != IGNORE) or moved["box_class"][row, 0] == -1
        scored = moved["baseline_map"][row] > 0.5
        assert torch.equal(scored, moved["answer_mask"][row, 0])
        assert torch.equal(scored & known, (moved["class_mask"][row] == 3)) or moved["box_class"][row, 0] == -1
        if moved["box_class"][row, 0] == -1:
            assert bool(moved["boxes"][row, 0].isnan().all())
            continue
        checked += 1
        inside = bounds(moved["class_mask"][row] == 3)
        box = moved["boxes"][row, 0]
        assert bool((inside[:2] >= box[:2] - 1).all())
        assert bool((inside[2:] <= box[2:] + 1).all())
        if settings.degrees == 0:  # without a rotation the hull is tight
            torch.testing.assert_close(inside, box, atol=1.0, rtol=0)
    assert checked > 20
    assert torch.equal(moved["size"].sort().values, batch["size"].sort().values)  # pictures may lie on their side


def test_an_answer_that_left_the_picture_is_padding() -> None:
    batch = make_batch(64, 96, 96, padded=False)
    moved = augment(batch, AugmentationSettings(flip_horizontal=0, flip_vertical=0, translate=0.9), 0, 0)
    gone = moved["answer_truth"][:, 0] == PADDING
    assert bool(gone.any())
    assert not bool(gone.all())
    assert not bool(moved["answer_mask"][gone].any())
    assert bool(moved["answer_boxes"][gone].isnan().all())


def test_nothing_to_do_changes_nothing() -> None:
    batch = make_batch()
    same = augment(batch, NONE, 0, 0)
    for name, value in dict(batch).items():
        if isinstance(value, Tensor):
            torch.testing.assert_close(dict(same)[name], value, equal_nan=True)
