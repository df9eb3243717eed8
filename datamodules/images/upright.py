"""Reading pictures upright as RGB, whatever their files hold: grey, transparent, 16-bit, CMYK, palettes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final, Literal

from PIL import Image, ImageOps

from datamodules.images.levels import FULL_RANGE, Levels, deep_values, is_deep, levels_of, next_range, to_bytes
from datamodules.images.unreadable import UNREADABLE, check_regular, unreadable

Transparent = Literal["white", "ignored"]
_ORIENTATION: Final = 0x0112  # EXIF tag
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_log = logging.getLogger(__name__)


def read_picture(
    path: str | Path,
    source: str = "",
    *,
    transparent: Transparent = "white",
    least_side: int | None = None,
    white_level: float | None = None,
) -> Image.Image:
    """Read a picture upright (EXIF orientation applied) as 8-bit RGB; grey is the same in all three channels.

    Args:
        path: The file.
        source: List and line for the message.
        transparent: What is transparent shows ``white``, since cut-out faces are drawn on paper, not in the dark; or
            the colour that is stored below it (``ignored``).
        least_side: A JPEG may come smaller, by a half, a quarter or an eighth, but no side below this; None: whole.
        white_level: Value of white of more than 8 bits; None: what the file says, else its whole range, and a warning
            where that leaves few grey levels.

    Raises:
        UnreadablePictureError: If the file is absent or cannot be decoded; the message names it.
    """
    try:
        with _opened(path) as image:
            if is_deep(image):
                return _deep(image, path, white_level)
            if least_side is not None:
                image.draft("RGB", (least_side, least_side))
            ImageOps.exif_transpose(image, in_place=True)
            return _as_rgb(image, transparent)
    except UNREADABLE as error:
        raise unreadable(path, source, error) from error


def open_upright(path: str | Path) -> tuple[Image.Image, str]:
    """Decode a picture upright, in the mode of its file, and name the format.

    The errors are those of Pillow, see `UNREADABLE`.
    """
    with _opened(path) as image:
        ImageOps.exif_transpose(image, in_place=True)
        return image, image.format or ""


def picture_levels(path: str | Path, source: str = "") -> Levels | None:
    """Values of a picture of more than 8 bits; None for any other, which is not decoded.

    Raises:
        UnreadablePictureError: If the file is absent or cannot be decoded; the message names it.
    """
    try:
        with _opened(path) as image:
            return levels_of(image, deep_values(image, path), path) if is_deep(image) else None
    except UNREADABLE as error:
        raise unreadable(path, source, error) from error


@contextmanager
def _opened(path: str | Path) -> Iterator[Image.Image]:
    check_regular(path)
    # a stream, since Pillow maps a file that is given by name into memory, and scrambles a turned TIFF then
    with Path(path).open("rb") as stream, Image.open(stream) as image:
        yield image


def _deep(image: Image.Image, path: str | Path, white_level: float | None) -> Image.Image:
    is_colour = image.mode not in ("I", "F") and not image.mode.startswith("I;")
    orientation = image.getexif().get(_ORIENTATION, 1) if is_colour else 1  # FFmpeg does not turn
    if not is_colour:
        ImageOps.exif_transpose(image, in_place=True)
    values = deep_values(image, path)
    if white_level is None:
        white_level = _own_white(levels_of(image, values, path), path)
    made = Image.fromarray(to_bytes(values, white_level))
    if orientation in _TURNS:
        made = made.transpose(_TURNS[orientation])
    return made.convert("RGB")


def _own_white(levels: Levels, path: str | Path) -> float:
    """White of one picture that nothing is known of: its whole range, not its brightest value, which is its content."""
    if levels.stated is not None:
        return levels.stated
    if levels.is_float:
        return next_range(levels.highest, is_float=True)
    if levels.highest < FULL_RANGE / 8:
        _warn_of_dark(str(path), levels.highest)
    return FULL_RANGE


@cache
def _warn_once() -> None:
    """Nothing; it is remembered that it was called."""


def _warn_of_dark(path: str, highest: float) -> None:
    if _warn_once.cache_info().currsize:
        return
    _warn_once()
    _log.warning(
        "warning: %s has 16 bits but no value above %g, so that %d of 256 grey levels are left; save it with its white "
        "at 65535, or where there is such an option name the white_level",
        path,
        highest,
        int(highest // 256) + 1,
    )


def _as_rgb(image: Image.Image, transparent: Transparent) -> Image.Image:
    if transparent == "white" and image.has_transparency_data:
        coloured = image.convert("RGBA")
        paper = Image.new("RGBA", coloured.size, "white")
        return Image.alpha_composite(paper, coloured).convert("RGB")
    return image.convert("RGB")
