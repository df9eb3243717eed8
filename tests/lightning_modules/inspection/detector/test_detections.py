"""Detections of anchors: in pixels of the source image, with the anchors that each stands for."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torchvision.ops import batched_nms, box_iou

from lightning_modules.inspection.detector.anchors import prior_boxes
from lightning_modules.inspection.detector.areas import match_anchors
from lightning_modules.inspection.detector.detections import AnchorMaps, SuppressionRules, box_detections, suppress

ANCHORS = torch.tensor([[8.0, 8.0], [24.0, 12.0]])


def maps(found: dict[tuple[int, int, int, int], float], boxes: dict[tuple[int, ...], Any] | None = None) -> AnchorMaps:
    """Scores by (class, anchor, row, column); every anchor's box is the anchor, or of ``boxes``."""
    scores = torch.zeros(2, 2, 4, 6)
    for place, score in found.items():
        scores[place] = score
    priors = prior_boxes(ANCHORS, 8, (4, 6))
    decoded = priors.movedim(-1, 1).clone()
    for (anchor, row, column), box in (boxes or {}).items():
        decoded[anchor, :, row, column] = torch.tensor(box)
    features = torch.arange(24.0).view(1, 4, 6).expand(3, 4, 6)
    return AnchorMaps(scores, decoded, priors, features, scores / 10)


def detect(given: AnchorMaps, source: tuple[int, int] = (32, 48), **rules: Any) -> list[Any]:
    thresholds = torch.tensor([0.5, 0.7])
    return box_detections(given, thresholds, (32, 48), source, 8, SuppressionRules(**rules))


def test_boxes_are_in_source_pixels_when_the_image_was_resized() -> None:
    (found,) = detect(maps({(1, 0, 1, 2): 0.8}), source=(96, 96))  # 3 times as high, twice as wide
    assert found.class_index == 1
    assert found.box == (32.0, 24.0, 48.0, 48.0)
    assert found.anchor_boxes == ((32.0, 24.0, 48.0, 48.0),)
    assert found.score == pytest.approx(0.8)
    assert found.margin == pytest.approx(0.1)
    assert found.entropy == pytest.approx(-0.8 * math.log(0.8) - 0.2 * math.log(0.2))
    assert found.mc_dropout == pytest.approx(0.08)
    assert found.embedding is not None
    assert found.embedding.tolist() == [8.0] * 3
    assert found.embedding.dtype == torch.float16
    assert found.rle is None


def test_each_class_has_its_threshold() -> None:
    assert detect(maps({(0, 0, 0, 0): 0.49, (1, 0, 0, 0): 0.69})) == []
    found = detect(maps({(0, 0, 0, 0): 0.5, (1, 0, 0, 0): 0.71}))
    assert [one.class_index for one in found] == [1, 0]


def test_the_emitting_anchor_comes_first_then_those_it_suppressed() -> None:
    shared = [8.0, 8.0, 24.0, 20.0]
    given = maps(
        {(0, 0, 1, 1): 0.6, (0, 1, 1, 1): 0.9, (0, 0, 1, 2): 0.8},
        {(0, 1, 1): shared, (1, 1, 1): shared, (0, 1, 2): shared},
    )
    (found,) = detect(given)
    assert found.box == tuple(shared)
    priors = [given.priors[place].tolist() for place in ((1, 1, 1), (0, 1, 2), (0, 1, 1))]
    assert [list(box) for box in found.anchor_boxes] == priors
    slots = match_anchors(torch.tensor(found.anchor_boxes)[None], ANCHORS, 8, (4, 6))[0]
    assert slots.tolist() == [24 + 7, 8, 7]


@pytest.mark.parametrize("source", [(32, 48), (64, 96), (77, 131)])
def test_anchors_are_matched_back_to_themselves_after_a_flip(source: tuple[int, int]) -> None:
    given = maps({(0, 1, 0, 0): 0.9, (0, 1, 3, 5): 0.8, (1, 0, 2, 4): 0.75})
    for found, (anchor, row, column) in zip(detect(given, source), [(1, 0, 0), (1, 3, 5), (0, 2, 4)], strict=True):
        back = torch.tensor([48 / source[1], 32 / source[0]] * 2)
        x1, y1, x2, y2 = (torch.tensor(found.anchor_boxes[0]) * back).tolist()
        for flipped, place in (
            ((x1, y1, x2, y2), (anchor, row, column)),
            ((48 - x2, y1, 48 - x1, y2), (anchor, row, 5 - column)),
            ((x1, 32 - y2, x2, 32 - y1), (anchor, 3 - row, column)),
        ):
            slot = int(match_anchors(torch.tensor([[flipped]]), ANCHORS, 8, (4, 6))[0, 0])
            assert slot == (place[0] * 4 + place[1]) * 6 + place[2]


def test_boxes_are_clipped_and_never_empty_but_anchors_are_not_clipped() -> None:
    far = {(1, 0, 0): [-40.0, -30.0, -2.0, 9.0]}
    (found,) = detect(maps({(0, 1, 0, 0): 0.9}, far))
    assert found.box == (0.0, 0.0, 1.0, 9.0)
    assert found.anchor_boxes == ((-8.0, -2.0, 16.0, 10.0),)


def test_cells_beyond_the_picture_and_the_limit() -> None:
    given = maps({(0, 0, 0, 0): 0.9, (0, 0, 0, 5): 0.8, (0, 0, 3, 2): 0.7})
    found = box_detections(given, torch.tensor([0.5, 0.5]), (24, 40), (24, 40), 8, SuppressionRules())
    assert [one.score for one in found] == [pytest.approx(0.9)]
    assert [one.score for one in detect(given, max_detections=2)] == [pytest.approx(0.9), pytest.approx(0.8)]
    assert [one.score for one in detect(given, max_candidates=1)] == [pytest.approx(0.9)]


# Suppression.


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
