"""Checks of records against the files that they name, from the files' headers alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from datamodules.common.errors import LabelError
from datamodules.images.size import picture_size, sizes_of_picture
from datamodules.images.unreadable import UnreadablePictureError
from datamodules.inspection.labels.records import RawImage
from datamodules.summary.findings import Findings

_TOLERANCE = 1.0  # pixels that a box may stick out: rounding of shares; what sticks out is cut off


def check_files(images: Iterable[RawImage], findings: Findings) -> None:
    """Check every record before any work.

    Faults are an image that is absent, a mask that is absent, unreadable or of another size than its upright image, and
    a box outside it; each names the list and the line.
    """
    for raw in images:
        try:
            _check(raw)
        except LabelError as error:
            findings.fault(str(error))


def _check(raw: RawImage) -> None:
    if raw.mask is None and not raw.objects:
        if not Path(raw.path).is_file():
            raise LabelError(f"{raw.source}: there is no image {raw.path}; correct root or the name, or drop the row")
        return
    try:
        upright, stored = sizes_of_picture(raw.path, raw.source)
    except UnreadablePictureError:
        if Path(raw.path).is_file():
            return  # of no size; whoever decodes it says what is wrong, a training before it begins
        raise
    _check_mask(raw, upright, stored)
    for item in raw.objects:
        x1, y1, x2, y2 = item.box
        if min(x1, y1) < -_TOLERANCE or x2 > upright[0] + _TOLERANCE or y2 > upright[1] + _TOLERANCE:
            raise LabelError(
                f"{item.source}: box {x1:g},{y1:g},{x2:g},{y2:g} lies outside {raw.name!r}, which is "
                f"{upright[0]}x{upright[1]}; give pixels of the upright image"
            )


def _check_mask(raw: RawImage, upright: tuple[int, int], stored: tuple[int, int]) -> None:
    if raw.mask is None:
        return
    size = picture_size(raw.mask, raw.source, kind="mask")
    if size == upright:
        return
    turned = " (it was drawn before the orientation of the image turned it: turn it too)" if size == stored else ""
    raise LabelError(
        f"{raw.source}: mask {raw.mask} is {size[0]}x{size[1]} but the upright image is {upright[0]}x{upright[1]}"
        f"{turned}; give a mask of the image's size"
    )
