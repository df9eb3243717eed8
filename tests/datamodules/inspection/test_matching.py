"""A detection is true when enough of it lies on its class."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.common.errors import LabelError
from datamodules.inspection.matching import box_iou, is_true_box, is_true_region, region_pixels, region_shares
from tests.datamodules.samples import rle


def block(top: int, left: int, side: int = 16, size: tuple[int, int] = (48, 64)) -> NDArray[np.bool_]:
    region = np.zeros(size, bool)
    region[top : top + side, left : left + side] = True
    return region


def test_region_pixels_round_trip() -> None:
    region = block(8, 40)
    assert np.array_equal(region_pixels(rle(region), 48, 64), region)


def test_shares_without_reach_are_shares_of_pixels() -> None:
    mask = np.zeros((48, 64), np.uint8)
    mask[8:12, 8:24] = 3
    mask[12:16, 8:24] = 1
    shares = region_shares(rle(block(8, 8)), mask, reach=0)
    assert shares == {0: 0.25, 2: 0.25}


def test_a_thin_scratch_through_a_region_is_true_with_reach_only() -> None:
    mask = np.zeros((48, 64), np.uint8)
    mask[15:17] = 6
    region = rle(block(8, 0))
    assert is_true_region(region, mask, 5)
    assert not is_true_region(region, mask, 5, reach=0)
    assert not is_true_region(region, mask, 4), "another class"
    assert not is_true_region(rle(block(30, 0)), mask, 5), "elsewhere"


def test_unknown_pixels_do_not_count() -> None:
    mask = np.full((48, 64), 255, np.uint8)
    region = rle(block(8, 8))
    assert region_shares(region, mask) == {}
    mask[8:12, 8:12] = 2
    assert region_shares(region, mask, reach=0) == {1: 1.0}


def test_an_empty_region_is_false() -> None:
    mask = np.ones((48, 64), np.uint8)
    assert not is_true_region(rle(np.zeros((48, 64), bool)), mask, 0)


def test_a_mask_with_channels_is_refused() -> None:
    with pytest.raises(LabelError, match=r"\(4, 4, 3\)"):
        region_shares("", np.zeros((4, 4, 3), np.uint8))


def test_boxes() -> None:
    assert box_iou((0, 0, 4, 4), (0, 0, 4, 4)) == 1
    assert box_iou((0, 0, 4, 4), (4, 0, 8, 4)) == 0
    assert box_iou((0, 0, 0, 0), (0, 0, 0, 0)) == 0
    boxes, classes = [(0.0, 0.0, 10.0, 10.0), (20.0, 0.0, 30.0, 10.0)], [1, 2]
    assert is_true_box((0, 0, 10, 8), boxes, classes, 1)
    assert not is_true_box((0, 0, 10, 8), boxes, classes, 2)
    assert not is_true_box((0, 0, 10, 4), boxes, classes, 1)
    assert is_true_box((0, 0, 10, 4), boxes, classes, 1, iou=0.4)
    assert not is_true_box((0, 0, 10, 8), [], [], 1)
