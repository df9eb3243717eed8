"""One image at the size that the network sees, with its labels in the same pixels."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.common.errors import LabelError
from datamodules.images.upright import read_picture
from datamodules.inspection.labels.masks import class_mask, decode_region, labelled_boxes, pixel_slices
from datamodules.inspection.labels.records import Answer, LabelledImage

_STRIDES = (1, 2, 4, 8, 16, 32)  # of the areas of a stored map


@dataclass(frozen=True)
class DecodedImage:
    """Pixels and labels of an image after resizing; all arrays share one height and width.

    Attributes:
        pixels: uint8 ``(3, H, W)``, RGB.
        class_mask: uint8 ``(H, W)``: 0 healthy, c + 1 class c, 255 unknown.
        boxes: float32 ``(N, 4)``, x1, y1, x2, y2 of the labelled defects.
        box_class: int64 ``(N,)``.
        source_size: Height and width of the upright source image.
        is_healthy: Whether the whole part is known to be free of defects.
    """

    pixels: NDArray[np.uint8]
    class_mask: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    box_class: NDArray[np.int64]
    source_size: tuple[int, int]
    is_healthy: bool

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[1], self.pixels.shape[2]

    @property
    def nbytes(self) -> int:
        """Memory of the arrays in bytes."""
        return self.pixels.nbytes + self.class_mask.nbytes + self.boxes.nbytes + self.box_class.nbytes


class ImageCache:
    """Decoded images in memory until a budget is spent; those that come later are decoded each time.

    Nothing is thrown out: in an order that is shuffled anew each epoch, any image is as good as another.

    Args:
        megabytes: Budget; 0 keeps nothing.
    """

    def __init__(self, megabytes: float) -> None:
        self._budget = megabytes * 1e6
        self._kept: dict[tuple[str, str, bool], DecodedImage] = {}

    def get(self, image: LabelledImage) -> DecodedImage | None:
        """The image as it was kept, or None."""
        return self._kept.get(_key(image))

    def forget(self) -> None:
        """Drop what is kept, since images are to be decoded otherwise."""
        self._budget += sum(found.nbytes for found in self._kept.values())
        self._kept = {}

    def decoded(
        self,
        image: LabelledImage,
        num_classes: int,
        image_size: int | None,
        box_fill: float,
        white_level: float | None = None,
    ) -> DecodedImage:
        """The image as it was kept, else as ``decode`` reads it, which is kept where the budget allows it."""
        if (kept := self.get(image)) is not None:
            return kept
        found = decode(image, num_classes, image_size, box_fill, white_level)
        if found.nbytes <= self._budget:
            self._budget -= found.nbytes
            self._kept[_key(image)] = found
        return found


def decode(
    image: LabelledImage, num_classes: int, image_size: int | None, box_fill: float, white_level: float | None = None
) -> DecodedImage:
    """Read an image and draw its labels.

    Args:
        image: The image.
        num_classes: Number of classes.
        image_size: Pixels of the longer side after resizing, the aspect kept; None keeps the size.
        box_fill: Share of a box's sides that becomes class in the mask.
        white_level: Value of white in an image of more than 8 bits, see `read_picture`.

    Raises:
        LabelError: If image or mask cannot be read, or they contradict each other.
    """
    pixels = np.array(read_picture(image.path, image.source, transparent="ignored", white_level=white_level))
    source_size = (pixels.shape[0], pixels.shape[1])
    drawn = class_mask(image, num_classes, size=source_size, box_fill=box_fill)
    boxes, box_class = labelled_boxes(image, drawn)
    is_healthy = image.is_healthy is True or (image.labelled and not drawn.any() and not len(boxes))
    size = network_size(source_size, image_size)
    if size != source_size:
        picture = Image.fromarray(pixels)
        pixels = np.array(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR))
        drawn = np.array(Image.fromarray(drawn).resize((size[1], size[0]), Image.Resampling.NEAREST))
        boxes = (boxes * scale_of(source_size, size)).astype(np.float32)
    return DecodedImage(
        pixels=np.ascontiguousarray(pixels.transpose(2, 0, 1)),
        class_mask=drawn,
        boxes=boxes,
        box_class=box_class,
        source_size=source_size,
        is_healthy=is_healthy,
    )


def network_size(source_size: tuple[int, int], image_size: int | None) -> tuple[int, int]:
    """Height and width after resizing the longer side to ``image_size``; at least one pixel each.

    Example:
        >>> network_size((300, 600), 128), network_size((300, 600), None)
        ((64, 128), (300, 600))
    """
    if image_size is None:
        return source_size
    longer = max(source_size)
    height, width = (max(1, round(side * image_size / longer)) for side in source_size)
    return height, width


def scale_of(source_size: tuple[int, int], size: tuple[int, int]) -> NDArray[np.float64]:
    """Factors of x1, y1, x2, y2 from the source image to the resized one."""
    x, y = size[1] / source_size[1], size[0] / source_size[0]
    return np.array([x, y, x, y])


@dataclass(frozen=True)
class DrawnAnswers:
    """Answers of an image in the pixels of the resized image.

    Attributes:
        mask: bool ``(A, H, W)``.
        boxes: float32 ``(A, K, 4)``, NaN fills up.
        shown: int64 ``(A,)``, class that the detection was shown as.
        truth: int64 ``(A,)``, class that the operator says is there; -1 rejected.
    """

    mask: NDArray[np.bool_]
    boxes: NDArray[np.float32]
    shown: NDArray[np.int64]
    truth: NDArray[np.int64]


def draw_answers(answers: tuple[Answer, ...], source_size: tuple[int, int], size: tuple[int, int]) -> DrawnAnswers:
    """Draw what the operator answered; a region that resizing would lose keeps its box's pixels.

    Args:
        answers: Answers in pixels of the source image.
        source_size: Height and width of the source image.
        size: Height and width of the resized image.
    """
    scale = scale_of(source_size, size)
    mask = np.zeros((len(answers), *size), dtype=np.bool_)
    longest = max((max(1, len(answer.anchor_boxes)) for answer in answers), default=1)
    boxes = np.full((len(answers), longest, 4), np.nan, dtype=np.float32)
    for row, answer in enumerate(answers):
        mask[row] = _region(answer, source_size, size, scale)
        own = np.asarray(answer.anchor_boxes or (answer.box,)) * scale
        boxes[row, : len(own)] = own
    return DrawnAnswers(
        mask=mask,
        boxes=boxes,
        shown=np.array([answer.class_index for answer in answers], dtype=np.int64),
        truth=np.array([answer.truth for answer in answers], dtype=np.int64),
    )


def read_baseline_map(path: str, size: tuple[int, int]) -> NDArray[np.float32]:
    """Read the deployed model's score of each area and give each pixel the score of its area.

    Args:
        path: Npz with ``score`` ``(h, w)``, the areas of the whole picture from its upper left corner.
        size: Height and width of the resized image.

    Returns:
        float32 ``(H, W)`` in 0..1.

    Raises:
        LabelError: If the file is absent or holds no such map.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            score = np.asarray(stored["score"], dtype=np.float32)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise LabelError(
            f"the stored map {path} cannot be read ({error}); remove it and mine the images again with the writer of "
            "the store, or set omnia_epsilon: null"
        ) from error
    if score.ndim != 2 or 0 in score.shape:
        raise LabelError(f"the stored map {path} has shape {score.shape}; it must be (h, w); mine the images again")
    rows, columns = _area_of_pixel(size, (score.shape[0], score.shape[1]))
    spread: NDArray[np.float32] = score[rows[:, None], columns[None, :]]
    return spread


def _area_of_pixel(size: tuple[int, int], areas: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column of the area of each pixel row and column.

    Areas of a known stride start at the upper left corner and the last one may stick out; otherwise (the map was made
    at another image size) they divide the picture evenly.
    """
    for stride in _STRIDES:
        if all(-(-side // stride) == count for side, count in zip(size, areas, strict=True)):
            return np.arange(size[0]) // stride, np.arange(size[1]) // stride
    return np.arange(size[0]) * areas[0] // size[0], np.arange(size[1]) * areas[1] // size[1]


def _region(
    answer: Answer, source_size: tuple[int, int], size: tuple[int, int], scale: NDArray[np.float64]
) -> NDArray[np.bool_]:
    x1, y1, x2, y2 = (float(value) for value in np.asarray(answer.box) * scale)
    boxed = np.zeros(size, dtype=np.bool_)
    boxed[pixel_slices((x1, y1, x2, y2), size)] = True
    if answer.rle is None:
        return boxed
    region = decode_region(answer.rle, source_size)
    if size != source_size:
        resized = Image.fromarray(region.astype(np.uint8)).resize((size[1], size[0]), Image.Resampling.NEAREST)
        region = np.asarray(resized).astype(np.bool_)
    return region if region.any() else boxed


def _key(image: LabelledImage) -> tuple[str, str, bool]:
    return image.path, image.source, image.labelled
