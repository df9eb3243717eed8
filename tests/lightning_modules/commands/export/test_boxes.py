"""Suppression by NumPy keeps what torch's keeps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lightning_modules.commands.exported.boxes import suppress
from lightning_modules.inspection.detector.detections import suppress as suppress_by_torch


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("limit", [None, 5])
def test_the_same_boxes_are_kept_and_stand_for_the_same_others(seed: int, limit: int | None) -> None:
    draws = np.random.default_rng(seed)
    corner, side = draws.uniform(0, 60, (80, 2)), draws.uniform(5, 40, (80, 2))
    boxes = np.concatenate([corner, corner + side], axis=1).astype(np.float32)
    scores, classes = draws.uniform(0, 1, 80).astype(np.float32), draws.integers(0, 3, 80)
    kept, heaps = suppress(boxes, scores, classes, 0.4, limit)
    given = (torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(classes))
    expected, their_heaps = suppress_by_torch(*given, 0.4, limit)
    assert kept.tolist() == expected.tolist()
    if limit is None:
        assert [heap.tolist() for heap in heaps] == [heap.tolist() for heap in their_heaps]


def test_nothing_gives_nothing() -> None:
    kept, heaps = suppress(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    assert (len(kept), heaps) == (0, [])
