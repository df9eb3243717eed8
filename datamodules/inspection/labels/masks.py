"""Labels of one image as pixels: a class mask and the boxes of its defects."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from scipy import ndimage

from datamodules.common.errors import LabelError
from datamodules.images.masks import read_mask
from datamodules.images.size import picture_size
from datamodules.inspection.batch import IGNORE, Box
from datamodules.inspection.labels.mask_rules import facts_of, labels_of, marks_rule, numbers_rule
from datamodules.inspection.labels.records import IGNORED_CLASS, LabelledImage

_EIGHT = np.ones((3, 3), dtype=np.int8)  # neighbours by side and by corner


def class_mask(
    image: LabelledImage, num_classes: int, *, size: tuple[int, int] | None = None, box_fill: float = 1.0
) -> NDArray[np.uint8]:
    """Draw the complete labels of an image at the size of its source.

    Args:
        image: The image.
        num_classes: Number of classes.
        size: Height and width of the upright image; None reads them from the file.
        box_fill: Share of a box's sides that becomes class; the frame around it becomes 255, not known.

    Returns:
        uint8 ``(H, W)``: 0 healthy, c + 1 class c, 255 nothing is known (everywhere in an unlabelled image).

    Raises:
        LabelError: If the mask has another size, or an image that is flagged healthy has a defect.
    """
    height, width = size if size is not None else picture_size(image.path, image.source)[::-1]
    if not image.labelled:
        return np.full((height, width), IGNORE, dtype=np.uint8)
    drawn = np.zeros((height, width), dtype=np.uint8)
    if image.mask is not None:
        drawn = _read_class_mask(image, num_classes, (height, width))
    frames = image.regions or (None,) * len(image.boxes)
    labelled = list(zip(image.boxes, image.box_classes, frames, strict=True))
    if image.mask is None:
        for box, index, rle in sorted(labelled, key=lambda item: -_area(item[0])):  # small ones stay visible
            _draw(drawn, box, index, rle, box_fill)
    if image.is_healthy and bool(((drawn > 0) & (drawn != IGNORE)).any()):
        raise LabelError(f"{image.source}: {image.name!r} is flagged healthy but its labels hold a defect; correct one")
    return drawn


def labelled_boxes(image: LabelledImage, drawn: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Boxes of the defects: those of the list, or the bounds of the 8-connected regions of the mask.

    Args:
        image: The image.
        drawn: What ``class_mask`` made of it.

    Returns:
        float32 ``(N, 4)`` x1, y1, x2, y2 in pixels, x2 and y2 exclusive; int64 ``(N,)`` classes.
    """
    if not image.labelled:
        return _no_boxes()
    if image.boxes or image.mask is None:
        kept = [(box, index) for box, index in zip(image.boxes, image.box_classes, strict=True) if index >= 0]
        if not kept:
            return _no_boxes()
        boxes, classes = zip(*kept, strict=True)
        limits = (drawn.shape[1], drawn.shape[0]) * 2
        return np.clip(boxes, 0, limits).astype(np.float32), np.asarray(classes, dtype=np.int64)
    return region_boxes(drawn)


def region_boxes(drawn: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Bounds of the 8-connected regions of each class in a class mask, in the form of ``labelled_boxes``."""
    boxes: list[Box] = []
    classes: list[int] = []
    for value in np.unique(drawn):
        if value in (0, IGNORE):
            continue
        regions, _ = ndimage.label(drawn == value, structure=_EIGHT)
        for rows, columns in ndimage.find_objects(regions):
            boxes.append((columns.start, rows.start, columns.stop, rows.stop))
            classes.append(int(value) - 1)
    if not boxes:
        return _no_boxes()
    return np.asarray(boxes, dtype=np.float32), np.asarray(classes, dtype=np.int64)


def decode_region(rle: str, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Turn a compressed run-length string of the COCO format into pixels, bool ``(H, W)``."""
    decoded = coco_mask.decode({"size": list(size), "counts": rle.encode("ascii")})
    return np.asarray(decoded, dtype=np.bool_)


def pixel_slices(box: Box, size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns that a box covers, rounded to pixels, at least one of each, inside the image."""
    return _span(box[1], box[3], size[0]), _span(box[0], box[2], size[1])


def inner_box(box: Box, share: float) -> Box:
    """The box with the same centre and ``share`` of each side."""
    width, height = (box[2] - box[0]) * (1 - share) / 2, (box[3] - box[1]) * (1 - share) / 2
    return (box[0] + width, box[1] + height, box[2] - width, box[3] - height)


def _read_class_mask(image: LabelledImage, num_classes: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    assert image.mask is not None
    stored = read_mask(image.mask, image.source)
    if stored.size != size:
        raise LabelError(
            f"{image.source}: mask {image.mask} is {stored.size[1]}x{stored.size[0]} but the upright image is "
            f"{size[1]}x{size[0]}; give a mask of the image's size"
        )
    rule = image.mask_rule
    if rule is None:  # nobody looked at the list
        facts = [facts_of(stored)]
        rule = (
            marks_rule(facts, None) if image.mask_values is not None else numbers_rule(facts, num_classes, None, None)
        )
    return labels_of(stored, rule, image.mask_values)


def _draw(drawn: NDArray[np.uint8], box: Box, index: int, rle: str | None, box_fill: float) -> None:
    size = (drawn.shape[0], drawn.shape[1])
    value = IGNORE if index == IGNORED_CLASS else index + 1
    if rle is not None:
        drawn[decode_region(rle, size)] = value
        return
    if box_fill < 1:
        drawn[pixel_slices(box, size)] = IGNORE
    drawn[pixel_slices(inner_box(box, box_fill), size)] = value


def _span(first: float, last: float, length: int) -> slice:
    start = min(max(math.floor(first + 0.5), 0), length - 1)
    return slice(start, max(min(math.floor(last + 0.5), length), start + 1))


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _no_boxes() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return np.zeros((0, 4), dtype=np.float32), np.zeros((0,), dtype=np.int64)
