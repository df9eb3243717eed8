"""A picture sheet of what was labelled and what was found."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import lightning as L
import torch
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d, pad

from callbacks.figures.collect import TakesTestBatches
from callbacks.figures.pictures import send_picture, write_image
from callbacks.figures.sheet import SheetFace, as_picture, draw_sheet
from callbacks.inspection.false_detections import covered_pixels
from datamodules.inspection.batch import IGNORE, InspectionBatch

log = logging.getLogger(__name__)

SIDE = 192  # pixels of a picture on the sheet
_LABELLED, _FOUND = (40, 200, 80), (255, 120, 0)


class DetectionSheet(TakesTestBatches):
    """Draw labelled defects in green and detections in orange on the first images of a test that have either.

    Writes ``detections.png`` into the run's folder; nothing where neither a label nor a detection was seen.

    Args:
        limit: Images on the sheet.
        filename: Name of the picture inside the run's folder.
    """

    def __init__(self, limit: int = 12, filename: str = "detections.png") -> None:
        self.limit = limit
        self.filename = filename
        self._kept = _Pictures.none(0)

    def on_test_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Forget an earlier run."""
        self._kept = _Pictures.none(self.limit)

    def take(self, module: L.LightningModule, outputs: STEP_OUTPUT, batch: InspectionBatch) -> None:
        """Keep images with the lowest places in the list."""
        if not isinstance(outputs, Mapping):
            return
        last = int(self._kept.place.max()) if self.limit else 0
        for row in (batch["valid"] & (batch["index"] < last)).nonzero().flatten().tolist():
            height, width = batch["size"][row].tolist()
            detections = outputs["detections"][row]
            found = covered_pixels(detections, *batch["source_size"][row].tolist())
            labelled = labelled_pixels(batch, row)
            if detections or bool(labelled.any()):
                drawn = outlined(batch["image"][row, :, :height, :width].cpu(), labelled, found)
                counts = torch.tensor([[len(detections)]])
                self._kept = self._kept.with_one(_Pictures(batch["index"][row].cpu()[None], counts, drawn[None]))

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Join the processes and draw."""
        folder = Path(trainer.log_dir or trainer.default_root_dir)  # a collective call: all processes make it
        kept = self._kept
        if trainer.world_size > 1:
            kept = _Pictures(*(torch.as_tensor(pl_module.all_gather(part)).cpu().flatten(0, 1) for part in kept))
        kept = kept.first(self.limit)
        used = int((kept.place < _UNUSED).sum())
        if not trainer.is_global_zero or not used:
            return
        faces = [
            SheetFace((as_picture(kept.picture[row]),), f"image {int(kept.place[row])}: {int(kept.found[row])} found")
            for row in range(used)
        ]
        write_image(draw_sheet(faces, 6, "labelled: green; detected: orange"), folder / self.filename)
        send_picture(trainer, "test/detections", folder / self.filename)
        log.info("labels and detections: %s", folder / self.filename)


_UNUSED = torch.iinfo(torch.int64).max


class _Pictures(NamedTuple):
    """Columns of N images as tensors, so that processes can join them; unused places come last."""

    place: Tensor  # (N,) in the split's list
    found: Tensor  # (N, 1) number of detections
    picture: Tensor  # (N, 3, SIDE, SIDE) uint8

    @classmethod
    def none(cls, number: int) -> _Pictures:
        pictures = torch.full((number, 3, SIDE, SIDE), 255, dtype=torch.uint8)
        return cls(torch.full((number,), _UNUSED), torch.zeros(number, 1, dtype=torch.int64), pictures)

    def with_one(self, other: _Pictures) -> _Pictures:
        """The same number of places after one more competed for one."""
        return _Pictures(*(torch.cat(pair) for pair in zip(self, other, strict=True))).first(len(self.place))

    def first(self, number: int) -> _Pictures:
        order = self.place.argsort(stable=True)[:number]
        return _Pictures(*(part[order] for part in self))


def labelled_pixels(batch: InspectionBatch, row: int) -> Tensor:
    """Pixels of the labelled defects of one image, float ``(H, W)`` without its padding; boxes are filled."""
    height, width = batch["size"][row].tolist()
    mask = batch["class_mask"][row, :height, :width].cpu()
    labelled = ((mask > 0) & (mask != IGNORE)).float()
    for x1, y1, x2, y2 in batch["boxes"][row][batch["box_class"][row] >= 0].round().int().tolist():
        labelled[max(y1, 0) : y2, max(x1, 0) : x2] = 1
    return labelled


def outlined(image: Tensor, labelled: Tensor, found: Tensor) -> Tensor:
    """Scale an image into a square and draw the edges of two regions.

    Args:
        image: uint8 ``(3, H, W)``.
        labelled: Float ``(h, w)``, 1 inside, of any size; drawn below ``found``.
        found: Likewise.

    Returns:
        uint8 ``(3, SIDE, SIDE)``, white beside the image.
    """
    height, width = image.shape[1:]
    size = tuple(max(1, round(side * SIDE / max(height, width))) for side in (height, width))
    picture = interpolate(image[None].float(), size, mode="bilinear", antialias=True)[0].round().to(torch.uint8)
    for region, colour in ((labelled, _LABELLED), (found, _FOUND)):
        inside = interpolate(region[None, None], size, mode="area") > 0
        around = max_pool2d(inside.float(), 3, stride=1, padding=1) > 0
        picture[:, (around & ~inside)[0, 0]] = torch.tensor(colour, dtype=torch.uint8)[:, None]
    return pad(picture, (0, SIDE - size[1], 0, SIDE - size[0]), value=255)
