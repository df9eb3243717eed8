"""Labels and detections of a test on one sheet."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import lightning as L
import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco

from callbacks.inspection.detection_sheet import SIDE, DetectionSheet, labelled_pixels, outlined
from datamodules.inspection.batch import Detection
from tests.inspection_batches import blank_batch


def detection(rle: str | None = None) -> Detection:
    return Detection(0, 0.9, (8.0, 8.0, 16.0, 16.0), 0.4, 0.3, rle)


def region() -> str:
    """The pixels of ``detection``'s box."""
    mask = np.zeros((32, 32), np.uint8)
    mask[8:16, 8:16] = 1
    return str(coco.encode(np.asfortranarray(mask))["counts"].decode())


def test_edges_lie_around_what_is_labelled_and_found() -> None:
    grey = torch.full((3, 32, 64), 128, dtype=torch.uint8)
    labelled, found = torch.zeros(32, 64), torch.zeros(64, 128)  # detections come in pixels of a source twice as large
    labelled[8:16, 8:16] = 1
    found[32:48, 64:96] = 1
    picture = outlined(grey, labelled, found)
    scale = SIDE / 64
    green, orange = (torch.tensor(colour)[:, None, None] == picture for colour in ((40, 200, 80), (255, 120, 0)))
    for drawn, (y1, y2, x1, x2) in ((green, (8, 16, 8, 16)), (orange, (16, 24, 32, 48))):
        places = drawn.all(0).nonzero()
        corners = [*(places.amin(0).tolist()), *(places.amax(0) + 1).tolist()]
        assert corners == pytest.approx([y1 * scale, x1 * scale, y2 * scale, x2 * scale], abs=1.01)
    assert (picture[:, SIDE // 2 :] == 255).all()


def test_boxes_are_filled_and_padding_is_left_out() -> None:
    batch = blank_batch(1, boxes=2, size=torch.tensor([[20, 32]]))
    batch["boxes"][0, 0] = torch.tensor([4.0, 4.0, 8.0, 40.0])
    batch["box_class"][0, 0] = 1
    assert labelled_pixels(batch, 0).shape == (20, 32)
    assert labelled_pixels(batch, 0).sum() == 4 * 16


@pytest.mark.parametrize("kind", ["region", "box"])
def test_the_first_images_with_anything_are_shown_whatever_the_batches(tmp_path: Path, kind: str) -> None:
    found = [detection(region() if kind == "region" else None)]
    trainer = SimpleNamespace(world_size=1, is_global_zero=True, log_dir=str(tmp_path), loggers=[], global_step=0)
    sheets = []
    for order in ((0, 4), (4, 0)):
        sheet = DetectionSheet(limit=3)
        sheet.on_test_epoch_start(trainer, L.LightningModule())
        for first in order:
            batch = blank_batch(4, first=first, valid=torch.tensor([True, True, True, False]))
            batch["class_mask"][1, 2:6, 2:6] = 1
            sheet.take(L.LightningModule(), {"detections": [[], [], found, found]}, batch)
        assert sheet._kept.place.tolist() == [1, 2, 5]
        assert sheet._kept.found.flatten().tolist() == [0, 1, 0]
        sheet.on_test_epoch_end(trainer, L.LightningModule())
        sheets.append(np.asarray(Image.open(tmp_path / "detections.png")))
    np.testing.assert_array_equal(*sheets)


def test_nothing_is_written_where_nothing_was_seen(tmp_path: Path) -> None:
    trainer = SimpleNamespace(world_size=1, is_global_zero=True, log_dir=str(tmp_path), loggers=[], global_step=0)
    sheet = DetectionSheet()
    sheet.on_test_epoch_start(trainer, L.LightningModule())
    sheet.take(L.LightningModule(), {"detections": [[]]}, blank_batch(1))
    sheet.on_test_epoch_end(trainer, L.LightningModule())
    assert not list(tmp_path.iterdir())
