"""Images of parts as tensors: decoded once, cropped while training, padded to one size in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.common.sampler import SampleIndex
from datamodules.images.unreadable import UnreadablePictureError
from datamodules.inspection.batch import IGNORE, PADDING, InspectionBatch
from datamodules.inspection.batches.crops import crop_answers, crop_image, draw_window
from datamodules.inspection.batches.decoded import (
    DecodedImage,
    DrawnAnswers,
    ImageCache,
    draw_answers,
    read_baseline_map,
)
from datamodules.inspection.labels.records import LabelledImage
from datamodules.inspection.settings import InspectionDataSettings
from datamodules.summary.findings import OnError

SIZE_MULTIPLE = 32  # sides of a batch: every stride up to it divides them


@dataclass(frozen=True)
class InspectionItem:
    """One row of a batch before padding.

    Attributes:
        image: Pixels and labels.
        answers: Answers in the same pixels.
        baseline_map: float32 ``(H, W)``; None where it is not known.
        record: What the list says.
        index: Row in the split's list.
        valid: False: the row only pads the processes to equal length, or the file could not be read.
        repeat: How often the row came before in this epoch.
        error: Why the file could not be read; empty where it could.
    """

    image: DecodedImage
    answers: DrawnAnswers
    baseline_map: NDArray[np.float32] | None
    record: LabelledImage
    index: int
    valid: bool
    repeat: int = 0
    error: str = ""


class InspectionDataset(Dataset[InspectionItem]):
    """Images of one split.

    Args:
        images: The images, in the order of their list.
        settings: How they become tensors.
        num_classes: Number of classes.
        training: Cut random crops, drawn from ``(seed, epoch, repeat, row)``.
        cache: Keeps decoded images; each worker process has its own copy of it.
        on_error: "raise" stops at a file that cannot be read; "skip" gives a row with ``valid`` False and the reason.
        white_level: Value of white in images of more than 8 bits, see `read_picture`.
    """

    unit: ClassVar[str] = "images"  # what progress counts

    def __init__(
        self,
        images: Sequence[LabelledImage],
        settings: InspectionDataSettings,
        num_classes: int,
        *,
        training: bool = False,
        cache: ImageCache | None = None,
        on_error: OnError = "raise",
        white_level: float | None = None,
    ) -> None:
        self.images = list(images)
        self.settings = settings
        self._num_classes = num_classes
        self._training = training
        self._cache = cache if cache is not None else ImageCache(0)
        self._on_error = on_error
        self._white_level = white_level

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    def __getitem__(self, sample: SampleIndex | int) -> InspectionItem:
        """Read one image; a sample that only pads is not read."""
        if isinstance(sample, int):
            sample = SampleIndex(sample)
        record = self.images[sample.index]
        if not sample.valid:
            return _blank(record, sample.index)
        try:
            image = self._cache.decoded(
                record, self._num_classes, self.settings.image_size, self.settings.box_fill, self._white_level
            )
        except UnreadablePictureError as error:
            if self._on_error == "raise":
                raise
            return replace(_blank(record, sample.index), error=str(error))
        answers = draw_answers(record.answers, image.source_size, image.size)
        stored = None if record.baseline_map is None else read_baseline_map(record.baseline_map, image.size)
        item = InspectionItem(image, answers, stored, record, sample.index, True, sample.repeat)
        return self._crop(item, sample) if self._training and self.settings.crop_size is not None else item

    def _crop(self, item: InspectionItem, sample: SampleIndex) -> InspectionItem:
        assert self.settings.crop_size is not None
        generator = np.random.default_rng((self.settings.seed, sample.epoch, sample.repeat, sample.index))
        targets = np.concatenate([item.image.boxes, item.answers.boxes[:, 0]])
        window = draw_window(item.image.size, self.settings.crop_size, targets, generator)
        rows, columns = window.slices
        return replace(
            item,
            image=crop_image(item.image, window),
            answers=crop_answers(item.answers, window),
            baseline_map=None if item.baseline_map is None else item.baseline_map[rows, columns],
        )


def collate(items: Sequence[InspectionItem], smallest: int = 1) -> InspectionBatch:
    """Pad items to one size, a multiple of 32 and at least ``smallest`` pixels a side, and stack them."""
    rows = len(items)
    height, width = (_round_up(max(smallest, *(item.image.size[axis] for item in items))) for axis in (0, 1))
    answers = max(len(item.answers.mask) for item in items)
    anchors = max(item.answers.boxes.shape[1] for item in items)
    boxes = max(len(item.image.boxes) for item in items)
    batch = InspectionBatch(
        image=torch.zeros(rows, 3, height, width, dtype=torch.uint8),
        size=_sizes([item.image.size for item in items]),
        source_size=_sizes([item.image.source_size for item in items]),
        class_mask=torch.full((rows, height, width), IGNORE, dtype=torch.uint8),
        boxes=torch.full((rows, boxes, 4), torch.nan),
        box_class=torch.full((rows, boxes), -1, dtype=torch.int64),
        answer_mask=torch.zeros(rows, answers, height, width, dtype=torch.bool),
        answer_boxes=torch.full((rows, answers, anchors, 4), torch.nan),
        answer_class=torch.full((rows, answers), PADDING, dtype=torch.int64),
        answer_truth=torch.full((rows, answers), PADDING, dtype=torch.int64),
        baseline_map=torch.full((rows, height, width), torch.nan),
        domain=torch.tensor([item.record.domain for item in items], dtype=torch.int64),
        labelled=torch.tensor([item.record.labelled and item.valid for item in items], dtype=torch.bool),
        is_healthy=torch.tensor([item.image.is_healthy for item in items], dtype=torch.bool),
        index=torch.tensor([item.index for item in items], dtype=torch.int64),
        repeat=torch.tensor([item.repeat for item in items], dtype=torch.int64),
        valid=torch.tensor([item.valid for item in items], dtype=torch.bool),
        path=[item.record.path for item in items],
    )
    if any(item.error for item in items):
        batch["error"] = [item.error for item in items]
    for row, item in enumerate(items):
        _fill(batch, row, item)
    return batch


def _fill(batch: InspectionBatch, row: int, item: InspectionItem) -> None:
    height, width = item.image.size
    batch["image"][row, :, :height, :width] = torch.from_numpy(item.image.pixels)
    batch["class_mask"][row, :height, :width] = torch.from_numpy(item.image.class_mask)
    batch["boxes"][row, : len(item.image.boxes)] = torch.from_numpy(item.image.boxes)
    batch["box_class"][row, : len(item.image.boxes)] = torch.from_numpy(item.image.box_class)
    count, anchors = item.answers.boxes.shape[:2]
    batch["answer_mask"][row, :count, :height, :width] = torch.from_numpy(item.answers.mask)
    batch["answer_boxes"][row, :count, :anchors] = torch.from_numpy(item.answers.boxes)
    batch["answer_class"][row, :count] = torch.from_numpy(item.answers.shown)
    batch["answer_truth"][row, :count] = torch.from_numpy(item.answers.truth)
    if item.baseline_map is not None:
        batch["baseline_map"][row, :height, :width] = torch.from_numpy(item.baseline_map)


def _blank(record: LabelledImage, index: int) -> InspectionItem:
    """A row that holds nothing, as small as a batch can be."""
    size = (SIZE_MULTIPLE, SIZE_MULTIPLE)
    image = DecodedImage(
        pixels=np.zeros((3, *size), dtype=np.uint8),
        class_mask=np.full(size, IGNORE, dtype=np.uint8),
        boxes=np.zeros((0, 4), dtype=np.float32),
        box_class=np.zeros((0,), dtype=np.int64),
        source_size=size,
        is_healthy=False,
    )
    return InspectionItem(image, draw_answers((), size, size), None, record, index, False)


def _sizes(sizes: Sequence[tuple[int, int]]) -> Tensor:
    return torch.tensor(sizes, dtype=torch.int64).reshape(-1, 2)


def _round_up(side: int) -> int:
    return -(-side // SIZE_MULTIPLE) * SIZE_MULTIPLE
