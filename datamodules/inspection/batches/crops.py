"""Random training crops: picture, masks, boxes and answers are cut together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from datamodules.inspection.batch import IGNORE
from datamodules.inspection.batches.decoded import DecodedImage, DrawnAnswers

DEFECT_SHARE = 0.5  # crops that are placed on a defect or an answer, where there is one
_SMALLEST_VISIBLE = 0.25  # share of a box that must stay inside for it to stay a box


@dataclass(frozen=True)
class Window:
    """Part of an image that is kept: first row and column, rows and columns."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def draw_window(
    size: tuple[int, int], crop_size: int, targets: NDArray[np.float32], generator: np.random.Generator
) -> Window:
    """Choose a crop: every second one holds the centre of a defect or an answer, somewhere in its middle half.

    Args:
        size: Height and width of the image; a side below ``crop_size`` is kept whole.
        crop_size: Side of the crop in pixels.
        targets: ``(N, 4)`` boxes of defects and answers; rows with NaN are not used.
        generator: Source of the draws.
    """
    height, width = (min(side, crop_size) for side in size)
    top, left = (int(generator.integers(0, side - kept + 1)) for side, kept in zip(size, (height, width), strict=True))
    on_target, chosen, *shift = generator.random(4)  # always four: the draws that follow do not depend on the labels
    targets = targets[~np.isnan(targets).any(axis=1)]
    if len(targets) and on_target < DEFECT_SHARE:
        x1, y1, x2, y2 = targets[int(chosen * len(targets))]
        top = _around(float(y1 + y2) / 2, height, size[0], shift[0])
        left = _around(float(x1 + x2) / 2, width, size[1], shift[1])
    return Window(top, left, height, width)


def crop_image(image: DecodedImage, window: Window) -> DecodedImage:
    """Cut an image; a box of which under a quarter is left is no box any more, and its pixels become unknown."""
    rows, columns = window.slices
    drawn = image.class_mask[rows, columns]
    boxes, visible = clip_boxes(image.boxes, window)
    lost = (visible > 0) & (visible < _SMALLEST_VISIBLE)
    if lost.any():
        drawn = drawn.copy()
        for x1, y1, x2, y2 in boxes[lost]:
            drawn[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))] = IGNORE
    kept = visible >= _SMALLEST_VISIBLE
    return replace(
        image,
        pixels=image.pixels[:, rows, columns],
        class_mask=drawn,
        boxes=boxes[kept],
        box_class=image.box_class[kept],
    )


def crop_answers(answers: DrawnAnswers, window: Window) -> DrawnAnswers:
    """Cut answers; an anchor whose centre is outside goes, and an answer of which nothing is left goes with it."""
    rows, columns = window.slices
    mask = answers.mask[:, rows, columns]
    boxes = answers.boxes - np.array([window.left, window.top, window.left, window.top], dtype=np.float32)
    centre_x, centre_y = (boxes[..., 0] + boxes[..., 2]) / 2, (boxes[..., 1] + boxes[..., 3]) / 2
    inside = (centre_x >= 0) & (centre_x < window.width) & (centre_y >= 0) & (centre_y < window.height)
    boxes[~inside] = np.nan
    kept = mask.any(axis=(1, 2)) | inside.any(axis=1)
    return DrawnAnswers(mask[kept], boxes[kept], answers.shown[kept], answers.truth[kept])


def clip_boxes(boxes: NDArray[np.float32], window: Window) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes in pixels of the window, clipped to it, and the share of each one's area that is left."""
    moved = boxes - np.array([window.left, window.top, window.left, window.top], dtype=np.float32)
    limits = np.array([window.width, window.height, window.width, window.height], dtype=np.float32)
    clipped = np.clip(moved, 0, limits).astype(np.float32)
    return clipped, (_areas(clipped) / np.maximum(_areas(moved), 1e-6)).astype(np.float32)


def _areas(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _around(centre: float, length: int, side: int, shift: float) -> int:
    """First pixel of a span of ``length`` whose middle half holds ``centre``, as far as the image allows it."""
    start = round(centre - length / 2 + (shift - 0.5) * length / 2)
    return min(max(start, 0), side - length)
