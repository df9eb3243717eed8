"""Boxes as offsets from cell and anchor: there and back, and gradients."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_modules.inspection.detector.box_coding import decode_boxes, encode_boxes

ANCHORS = torch.tensor([[10.0, 6.0], [30.0, 40.0]])


def test_zero_is_the_anchor_on_its_cell() -> None:
    boxes = decode_boxes(torch.zeros(1, 2, 4, 2, 2), ANCHORS, 8)
    assert boxes[0, 0, :, 1, 0].tolist() == [-1.0, 9.0, 9.0, 15.0]


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    stride=st.sampled_from([1, 4, 8, 32]),
    height=st.integers(1, 4),
    width=st.integers(1, 4),
)
def test_encoding_undoes_decoding_and_back(seed: int, stride: int, height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    raw = (torch.rand((2, 2, 4, height, width), generator=generator, dtype=torch.float64) - 0.5) * 6
    boxes = decode_boxes(raw, ANCHORS, stride)
    again = encode_boxes(boxes, ANCHORS, stride)
    assert torch.allclose(again, raw, atol=1e-6)
    assert torch.allclose(decode_boxes(again, ANCHORS, stride), boxes, atol=1e-6)


def test_centres_reach_the_border_of_a_cell() -> None:
    border = torch.tensor([8.0, 8.0, 18.0, 14.0]).view(1, 1, 4, 1, 1).expand(1, 1, 4, 2, 2)
    raw = encode_boxes(border, ANCHORS[:1], 8)  # centre at 13, 11: of cell (1, 1)
    assert raw.abs().max() < 10
    centre = torch.tensor([5.0, 5.0, 11.0, 11.0]).view(1, 1, 4, 1, 1).expand(1, 1, 4, 2, 2)
    assert encode_boxes(centre, ANCHORS[:1], 8)[0, 0, :2].abs().max() < 1.2  # a corner of all four cells


def test_wild_outputs_stay_finite_and_half_precision_is_widened() -> None:
    raw = torch.tensor([1e4, -1e4, 1e4, -1e4], dtype=torch.bfloat16).view(1, 1, 4, 1, 1).requires_grad_()
    boxes = decode_boxes(raw, ANCHORS[:1], 8)
    assert boxes.dtype == torch.float32
    assert boxes.isfinite().all()
    boxes.sum().backward()
    assert raw.grad is not None
    assert raw.grad.isfinite().all()
