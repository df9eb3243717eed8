"""Reading pictures of people upright as RGB, whatever their files hold: grey, transparent, 16-bit, CMYK, palettes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from datamodules.common.errors import ImageError

_ORIENTATION: Final = 0x0112  # EXIF tag
_QUARTER_TURNS: Final = frozenset({5, 6, 7, 8})  # its values that swap width and height
_UNREADABLE = (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError)  # Syntax: PNG's


def read_picture(path: str | Path, source: str = "") -> Image.Image:
    """Read a picture upright (EXIF orientation applied) as 8-bit RGB.

    What is transparent shows white, since cut-out faces are drawn on paper, not in the dark; 16-bit values keep their
    upper byte; grey is the same in all three channels.

    Args:
        path: The file.
        source: List and line for the message.

    Raises:
        ImageError: If the file is absent or cannot be decoded; the message names it.
    """
    try:
        with Image.open(path) as opened:
            return _as_rgb(ImageOps.exif_transpose(opened))
    except _UNREADABLE as error:
        raise _unreadable(path, source, error) from error


def picture_size(path: str | Path, source: str = "") -> tuple[int, int]:
    """Width and height of an upright picture in pixels, from its header.

    Raises:
        ImageError: If the file is absent or is no picture.
    """
    try:
        with Image.open(path) as image:
            # Pillow would decode a whole PNG in search of a tag behind its pixels.
            tagged = image.format != "PNG" or "exif" in image.info
            turned = tagged and image.getexif().get(_ORIENTATION) in _QUARTER_TURNS
            return (image.height, image.width) if turned else (image.width, image.height)
    except _UNREADABLE as error:
        raise _unreadable(path, source, error) from error


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        upper = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return Image.fromarray(upper).convert("RGB")
    if image.mode == "F":
        return Image.fromarray(np.asarray(image).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        paper = Image.new("RGBA", coloured.size, "white")
        return Image.alpha_composite(paper, coloured).convert("RGB")
    return image.convert("RGB")


def _unreadable(path: str | Path, source: str, error: Exception) -> ImageError:
    where = f"{source}: " if source else ""
    if isinstance(error, FileNotFoundError):
        return ImageError(f"{where}There is no picture {path}: correct root or the name, or take it out.")
    return ImageError(f"{where}The picture {path} cannot be read ({error}): replace the file, or take it out.")
