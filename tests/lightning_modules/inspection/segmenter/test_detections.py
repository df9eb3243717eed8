"""Regions of cells as detections in pixels of the source image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from scipy import ndimage

from datamodules.inspection.batch import Detection
from lightning_modules.inspection.segmenter.detections import region_detections


def _decoded(found: Detection, height: int, width: int) -> NDArray[np.uint8]:
    assert found.rle is not None
    return np.asarray(coco_mask.decode({"size": [height, width], "counts": found.rle.encode()}))


def test_neighbours_over_corners_are_one_region_and_classes_stay_apart() -> None:
    scores = torch.zeros(2, 5, 5)
    scores[0, 0, 0] = scores[0, 1, 1] = 0.75
    scores[0, 4, 4] = 0.5
    scores[1, 1, 0] = 0.875
    found = region_detections(scores, 8, torch.tensor([0.5, 0.5]), (40, 40), (40, 40))
    assert [(one.class_index, one.score, one.box) for one in found] == [
        (1, 0.875, (0.0, 8.0, 8.0, 16.0)),
        (0, 0.75, (0.0, 0.0, 16.0, 16.0)),
        (0, 0.5, (32.0, 32.0, 40.0, 40.0)),
    ]
    assert int(_decoded(found[1], 40, 40).sum()) == 128
    assert found[1].margin == pytest.approx(0.25)
    assert found[2].entropy == pytest.approx(np.log(2))
    assert found[0].anchor_boxes == ()
    assert found[0].embedding is None


def test_thresholds_are_of_each_class_and_inclusive() -> None:
    scores = torch.full((2, 1, 1), 0.3)
    assert [one.class_index for one in region_detections(scores, 8, [0.31, 0.3], (8, 8), (8, 8))] == [1]
    assert region_detections(scores, 8, [0.4, 0.4], (8, 8), (8, 8)) == []


def test_padding_is_no_place_for_detections() -> None:
    scores = torch.ones(1, 4, 4)
    (found,) = region_detections(scores, 8, [0.5], (20, 16), (20, 16))
    assert found.box == (0.0, 0.0, 16.0, 20.0)
    assert int(_decoded(found, 20, 16).sum()) == 20 * 16


def test_a_strip_under_half_a_cell_has_no_detections() -> None:
    (found,) = region_detections(torch.ones(1, 4, 4), 8, [0.5], (19, 20), (19, 20))
    assert found.box == (0.0, 0.0, 20.0, 16.0)
    assert region_detections(torch.ones(1, 1, 1), 8, [0.5], (3, 20), (3, 20)) == []


def test_embedding_and_dropout_are_of_the_region() -> None:
    scores = torch.zeros(1, 3, 3)
    scores[0, 0, 0], scores[0, 0, 1] = 0.6, 0.9
    features = torch.arange(18.0).view(2, 3, 3)
    unsure = torch.arange(9.0).view(1, 3, 3) / 100
    (found,) = region_detections(scores, 4, [0.5], (12, 12), (12, 12), features=features, mutual_information=unsure)
    assert found.embedding is not None
    assert found.embedding.dtype == torch.float16
    assert found.embedding.tolist() == [0.5, 9.5]
    assert found.mc_dropout == pytest.approx(0.01)


def test_only_the_best_are_kept_when_asked() -> None:
    scores = torch.zeros(1, 7, 7)
    scores[0, ::2, ::2] = torch.linspace(0.5, 0.9, 16).view(4, 4)
    found = region_detections(scores, 8, [0.5], (56, 56), (56, 56), max_detections=3)
    assert [round(one.score, 3) for one in found] == [0.9, 0.873, 0.847]


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 2**31),
    st.sampled_from([1, 2, 8]),
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.sampled_from([0.2, 0.5, 1.0, 1.7, 4.0]),
)
def test_regions_are_their_cells_blown_up(seed: int, stride: int, size: tuple[int, int], scale: float) -> None:
    """Against drawing each pixel of the source with the cell it falls in."""
    source = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    rows, columns = ((2 * side + stride) // (2 * stride) for side in size)
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(1, rows + 1, columns + 2, generator=generator)
    found = region_detections(scores, stride, [0.7], size, source)
    cells = scores[0, :rows, :columns].numpy() >= np.float32(0.7)
    _, number = ndimage.label(cells, structure=np.ones((3, 3)))
    assert len(found) == number
    masks = [_decoded(one, *source).astype(bool) for one in found]
    for one, mask in zip(found, masks, strict=True):
        ys, xs = np.nonzero(mask)
        assert len(ys) > 0
        assert one.box[0] <= xs.min() < xs.max() + 1 <= one.box[2]
        assert one.box[1] <= ys.min() < ys.max() + 1 <= one.box[3]
        assert 0 <= one.box[0] < one.box[2] <= source[1]
        assert 0 <= one.box[1] < one.box[3] <= source[0]
        assert one.score >= np.float32(0.7)
    if stride * scale >= 1:  # cells of a pixel or more: each pixel belongs to the cell that holds its centre
        y = ((np.arange(source[0]) + 0.5) * size[0] / source[0] / stride).astype(int)
        x = ((np.arange(source[1]) + 0.5) * size[1] / source[1] / stride).astype(int)
        union = np.zeros(source, dtype=bool)
        for mask in masks:
            assert not (union & mask).any()
            union |= mask
        last = [((length - 1) % stride + 1) * pixels / length for length, pixels in zip(size, source, strict=True)]
        if min(last) >= 1:
            found_at = np.zeros((rows + 1, columns + 1), dtype=bool)  # the strip beyond the last centre has no cell
            found_at[:rows, :columns] = cells
            assert (union == found_at[np.ix_(y, x)]).mean() > 0.999


def test_rle_is_what_pycocotools_would_encode() -> None:
    scores = torch.zeros(1, 6, 6)
    scores[0, 0:6, 2] = 1
    scores[0, 0, 3:6] = 1
    scores[0, 5, 5] = 1
    found = region_detections(scores, 4, [0.5], (24, 24), (24, 24))
    assert len(found) == 2
    for one in found:
        mask = _decoded(one, 24, 24)
        assert coco_mask.encode(np.asfortranarray(mask))["counts"].decode() == one.rle
