"""Mean average precision over boxes, beside that over areas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from scipy import ndimage
from torch import Tensor, nn
from torchmetrics.detection import MeanAveragePrecision

from datamodules.inspection.batch import IGNORE, Detection, InspectionBatch


class ImageBoxes(NamedTuple):
    """Boxes of one image, on the CPU.

    Attributes:
        row: Of the image in the data.
        found: ``boxes`` ``(m, 4)``, ``scores`` and ``labels`` ``(m,)``.
        truth: ``boxes`` ``(n, 4)`` and ``labels`` ``(n,)``.
    """

    row: int
    found: dict[str, Tensor]
    truth: dict[str, Tensor]


class BoxMetrics(nn.Module):
    """COCO's mean average precision of detected boxes, by torchmetrics and pycocotools.

    It holds every box until the end and runs on one core, so it belongs to testing rather than to each validation.
    ``compute`` returns ``box_map`` (mean over IoU .50 to .95) and ``box_map_50``; NaN without labelled boxes.

    Example:
        >>> truth = {"boxes": torch.tensor([[0.0, 0.0, 10.0, 10.0]]), "labels": torch.tensor([0])}
        >>> found = Detection(0, 0.9, (0.0, 0.0, 10.0, 10.0), margin=0.4, entropy=0.3)
        >>> metrics = BoxMetrics()
        >>> metrics.add([found], truth["boxes"], truth["labels"])
        >>> round(float(metrics.compute()["box_map"]), 3)
        1.0
    """

    def __init__(self) -> None:
        super().__init__()
        self._images: list[ImageBoxes] = []

    def update(self, detections: Sequence[Sequence[Detection]], batch: InspectionBatch) -> None:
        """Add the completely labelled rows of a batch.

        Args:
            detections: Of each row, boxes in pixels of the source image; their scores rank them, so they should reach
                down to low scores.
            batch: The labels.
        """
        for row, found in enumerate(detections):
            if bool(batch["valid"][row]) and bool(batch["labelled"][row]):
                boxes, classes = labelled_boxes(batch, row)
                self.add(found, boxes * source_scale(batch, row), classes, int(batch["index"][row]))

    def add(self, detections: Sequence[Detection], boxes: Tensor, classes: Tensor, index: int = 0) -> None:
        """Add what was found in one image, labelled boxes ``(n, 4)`` in the same pixels, and their classes ``(n,)``.

        Images are measured by ``index``, so that detections of equal scores have one order on any number of processes.
        """
        found = {
            "boxes": torch.tensor([one.box for one in detections], dtype=torch.float32).view(-1, 4),
            "scores": torch.tensor([one.score for one in detections], dtype=torch.float32),
            "labels": torch.tensor([one.class_index for one in detections], dtype=torch.int64),
        }
        self._images.append(ImageBoxes(index, found, {"boxes": boxes.float().cpu(), "labels": classes.long().cpu()}))

    def compute(self) -> dict[str, Tensor]:
        """Return box_map and box_map_50 over the images of all processes, which all call it."""
        # torchmetrics gathers an image at a time, which takes as many images in every process.
        metric = MeanAveragePrecision(backend="pycocotools", sync_on_compute=False)
        metric.warn_on_many_detections = False  # COCO's limit of 100 an image is what is wanted
        images = sorted(of_all_processes(self._images), key=lambda image: image.row)
        metric.update([image.found for image in images], [image.truth for image in images])
        values = metric.compute()
        picked = {"box_map": values["map"], "box_map_50": values["map_50"]}
        # pycocotools writes -1 where no box is labelled
        return {name: torch.where(value < 0, torch.full_like(value, math.nan), value) for name, value in picked.items()}

    def reset(self) -> None:
        """Forget all images."""
        self._images = []


def of_all_processes(images: list[ImageBoxes]) -> list[ImageBoxes]:
    """Images of every process, on each of them."""
    if not (dist.is_available() and dist.is_initialized()):
        return images
    parts = [images] * dist.get_world_size()
    dist.all_gather_object(parts, images)
    return [image for part in parts for image in part]


def source_scale(batch: InspectionBatch, row: int) -> Tensor:
    """Factors from the batch's pixels to the source's for (x1, y1, x2, y2): float32 ``(4,)`` on the CPU."""
    height, width = (batch["source_size"][row].cpu().double() / batch["size"][row].cpu().double()).tolist()
    return torch.tensor([width, height, width, height])


def labelled_boxes(batch: InspectionBatch, row: int) -> tuple[Tensor, Tensor]:
    """Boxes of the defects of one completely labelled row.

    Where the labels are masks alone, each 8-connected region of a class gives its bounding box.

    Args:
        batch: The labels.
        row: Which image.

    Returns:
        ``boxes`` float32 ``(n, 4)`` in pixels of the batch's image and ``classes`` int64 ``(n,)``, on the CPU.
    """
    classes = batch["box_class"][row].cpu()
    if bool((classes >= 0).any()):
        return batch["boxes"][row].cpu()[classes >= 0], classes[classes >= 0]
    height, width = batch["size"][row].tolist()
    mask = batch["class_mask"][row, :height, :width].cpu().numpy()
    boxes: list[tuple[float, ...]] = []
    found: list[int] = []
    for value in np.unique(mask):
        if value in (0, IGNORE):
            continue
        regions, _ = ndimage.label(mask == value, structure=np.ones((3, 3)))
        for rows, columns in ndimage.find_objects(regions):
            boxes.append((columns.start, rows.start, columns.stop, rows.stop))
            found.append(int(value) - 1)
    return torch.tensor(boxes, dtype=torch.float32).view(-1, 4), torch.tensor(found, dtype=torch.int64)
