"""Anchors: shapes from the data, their place on the grid, and boxes as offsets from them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from datamodules.common.errors import ConfigurationError
from lightning_modules.inspection.detector.anchors import decode_boxes, fit_anchors, prior_boxes, shape_iou


def three_heaps(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 0.5, (300, 2))
    centres = np.array([[8.0, 8.0], [20.0, 10.0], [30.0, 40.0]])
    return centres[np.arange(300) % 3] + noise


def test_the_heaps_are_found_from_small_to_large() -> None:
    anchors = fit_anchors(three_heaps(0), 3, seed=1)
    assert anchors.dtype == torch.float32
    assert torch.allclose(anchors, torch.tensor([[8.0, 8.0], [20.0, 10.0], [30.0, 40.0]]), atol=0.3)


def test_equal_boxes_and_seed_give_equal_anchors() -> None:
    boxes = np.random.default_rng(4).uniform(4, 60, (500, 2)).astype(np.float32)
    assert torch.equal(fit_anchors(boxes, 5, seed=2), fit_anchors(boxes.copy(), 5, seed=2))


def test_more_anchors_cover_the_boxes_better() -> None:
    boxes = np.random.default_rng(5).uniform(4, 60, (400, 2))

    def cover(k: int) -> float:
        return float(shape_iou(torch.from_numpy(boxes), fit_anchors(boxes, k).double()).amax(dim=1).mean())

    assert cover(1) < cover(3) < cover(9)


@pytest.mark.parametrize(
    ("boxes", "k", "message"),
    [
        (np.array([[4.0, 4.0], [4.0, 4.0]]), 2, "2 anchors were asked of boxes of 1 different"),
        (np.zeros((0, 2)), 1, "boxes of 0 different"),
        (np.array([[4.0, 0.0]]), 1, "A box for the anchors is 4 x 0"),
        (np.array([[4.0, np.nan]]), 1, "4 x nan"),
    ],
)
def test_boxes_that_give_no_anchors(boxes: np.ndarray, k: int, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        fit_anchors(boxes, k)


def test_prior_boxes_are_centred_on_their_cells() -> None:
    priors = prior_boxes(torch.tensor([[4.0, 8.0], [40.0, 2.0]]), 8, (2, 3))
    assert priors.shape == (2, 2, 3, 4)
    assert priors[0, 1, 2].tolist() == [18.0, 8.0, 22.0, 16.0]
    assert priors[1, 0, 0].tolist() == [-16.0, 3.0, 24.0, 5.0]


ANCHORS = torch.tensor([[10.0, 6.0], [30.0, 40.0]])


def test_zero_is_the_anchor_on_its_cell() -> None:
    boxes = decode_boxes(torch.zeros(1, 2, 4, 2, 2), ANCHORS, 8)
    assert boxes[0, 0, :, 1, 0].tolist() == [-1.0, 9.0, 9.0, 15.0]


def test_a_centre_reaches_the_corner_of_its_cell_and_a_side_sixteen_times_the_anchor() -> None:
    raw = torch.tensor([math.log(3), -math.log(3), 100.0, math.log(16) * math.atanh(0.5)]).view(1, 1, 4, 1, 1)
    x1, y1, x2, y2 = decode_boxes(raw, ANCHORS[:1], 8).flatten().tolist()
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((8.0, 0.0), abs=1e-4)
    assert (x2 - x1, y2 - y1) == pytest.approx((16 * 10.0, 4 * 6.0))


def test_wild_outputs_stay_finite_and_half_precision_is_widened() -> None:
    raw = torch.tensor([1e4, -1e4, 1e4, -1e4], dtype=torch.bfloat16).view(1, 1, 4, 1, 1).requires_grad_()
    boxes = decode_boxes(raw, ANCHORS[:1], 8)
    assert boxes.dtype == torch.float32
    assert boxes.isfinite().all()
    boxes.sum().backward()
    assert raw.grad is not None
    assert raw.grad.isfinite().all()
