"""Checks of records against the files that they name, from the files' headers alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from datamodules.common.errors import LabelError
from datamodules.images.size import picture_size
from datamodules.inspection.labels.records import RawImage

_TOLERANCE = 1.0  # pixels that a box may stick out: rounding of shares; what sticks out is cut off


def check_files(images: Iterable[RawImage]) -> None:
    """Check every record before any work.

    Raises:
        LabelError: If an image or mask is absent or unreadable, a mask has another size than its upright image, or a
            box lies outside it; the message names the list and the line.
    """
    for raw in images:
        if raw.mask is None and not raw.objects:
            if not Path(raw.path).is_file():
                raise LabelError(
                    f"{raw.source}: there is no image {raw.path}; correct root or the name, or drop the row"
                )
            continue
        width, height = picture_size(raw.path, raw.source)
        _check_mask(raw, height, width)
        for item in raw.objects:
            x1, y1, x2, y2 = item.box
            if min(x1, y1) < -_TOLERANCE or x2 > width + _TOLERANCE or y2 > height + _TOLERANCE:
                raise LabelError(
                    f"{item.source}: box {x1:g},{y1:g},{x2:g},{y2:g} lies outside {raw.name!r}, which is "
                    f"{width}x{height}; give pixels of the upright image"
                )


def _check_mask(raw: RawImage, height: int, width: int) -> None:
    if raw.mask is None:
        return
    mask_width, mask_height = picture_size(raw.mask, raw.source, kind="mask")
    if (mask_height, mask_width) != (height, width):
        raise LabelError(
            f"{raw.source}: mask {raw.mask} is {mask_width}x{mask_height} but the upright image is {width}x{height}; "
            "give a mask of the image's size"
        )
