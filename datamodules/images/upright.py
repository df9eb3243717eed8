"""Reading pictures upright as RGB, whatever their files hold: grey, transparent, 16-bit, CMYK, palettes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from datamodules.images.unreadable import UNREADABLE, check_regular, unreadable

Transparent = Literal["white", "ignored"]


def read_picture(
    path: str | Path, source: str = "", *, transparent: Transparent = "white", least_side: int | None = None
) -> Image.Image:
    """Read a picture upright (EXIF orientation applied) as 8-bit RGB.

    16-bit values keep their upper byte; grey is the same in all three channels.

    Args:
        path: The file.
        source: List and line for the message.
        transparent: What is transparent shows ``white``, since cut-out faces are drawn on paper, not in the dark; or
            the colour that is stored below it (``ignored``).
        least_side: A JPEG may come smaller, by a half, a quarter or an eighth, but no side below this; None: whole.

    Raises:
        UnreadablePictureError: If the file is absent or cannot be decoded; the message names it.
    """
    try:
        return _as_rgb(open_upright(path, least_side)[0], transparent)
    except UNREADABLE as error:
        raise unreadable(path, source, error) from error


def open_upright(path: str | Path, least_side: int | None = None) -> tuple[Image.Image, str]:
    """Decode a picture upright, in the mode of its file, and name the format; `least_side` as in `read_picture`.

    The errors are those of Pillow, see `UNREADABLE`.
    """
    check_regular(path)
    # a stream, since Pillow maps a file that is given by name into memory, and scrambles a turned TIFF then
    with Path(path).open("rb") as stream, Image.open(stream) as image:
        if least_side is not None:
            image.draft("RGB", (least_side, least_side))
        ImageOps.exif_transpose(image, in_place=True)
        return image, image.format or ""


def _as_rgb(image: Image.Image, transparent: Transparent) -> Image.Image:
    if image.mode.startswith("I"):
        upper = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return Image.fromarray(upper).convert("RGB")
    if image.mode == "F":
        return Image.fromarray(np.asarray(image).clip(0, 255).astype(np.uint8)).convert("RGB")
    if transparent == "white" and image.has_transparency_data:
        coloured = image.convert("RGBA")
        paper = Image.new("RGBA", coloured.size, "white")
        return Image.alpha_composite(paper, coloured).convert("RGB")
    return image.convert("RGB")
