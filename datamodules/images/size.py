"""The size of an upright picture, from its header."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from PIL import Image

from datamodules.images.unreadable import UNREADABLE, unreadable

_ORIENTATION: Final = 0x0112  # EXIF tag
_QUARTER_TURNS: Final = frozenset({5, 6, 7, 8})  # its values that swap width and height


def picture_size(path: str | Path, source: str = "", *, kind: Literal["image", "mask"] = "image") -> tuple[int, int]:
    """Width and height in pixels.

    Args:
        path: The file.
        source: List and line for the message.
        kind: What the message calls the file; the orientation of a mask is not looked at, since `read_mask` does not.

    Raises:
        UnreadablePictureError: If the file is absent or is no picture.
    """
    try:
        with Image.open(path) as image:
            turned = kind == "image" and _orientation(image) in _QUARTER_TURNS
            return (image.height, image.width) if turned else (image.width, image.height)
    except UNREADABLE as error:
        raise unreadable(path, source, error, kind) from error


def _orientation(image: Image.Image) -> int | None:
    """EXIF orientation; Pillow would decode a whole PNG in search of a tag behind its pixels."""
    if image.format == "PNG" and "exif" not in image.info:
        return None
    return image.getexif().get(_ORIENTATION)
