"""Reading pictures upright as RGB, whatever their files hold: grey, transparent, 16-bit, CMYK, palettes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from datamodules.images.unreadable import UNREADABLE, unreadable

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
        with Image.open(path) as opened:
            if least_side is not None:
                opened.draft("RGB", (least_side, least_side))
            return _as_rgb(ImageOps.exif_transpose(opened), transparent)
    except UNREADABLE as error:
        raise unreadable(path, source, error) from error


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
