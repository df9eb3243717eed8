"""Sheets of faces with captions, and strips that show how a face came to be."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from callbacks.figures.fonts import default_font

Picture = NDArray[np.uint8]  # (H, W, 3), RGB

_WIDTH = 132  # of a face on a sheet, in pixels, at least
_MARGIN = 8
_LINE = 14
_WHITE, _BLACK, _GREY = (255, 255, 255), (20, 20, 20), (110, 110, 110)


class SheetFace(NamedTuple):
    """One place on a sheet.

    Attributes:
        pictures: Shown side by side, such as the source and what was made of it.
        caption: Below them, each of its lines wrapped.
        note: Small print below the caption.
    """

    pictures: tuple[Picture, ...]
    caption: str
    note: str = ""


def as_picture(image: Tensor) -> Picture:
    """A picture ``(3, H, W)`` uint8, on any device, as an array ``(H, W, 3)``."""
    return np.ascontiguousarray(image.detach().cpu().permute(1, 2, 0).numpy())


def draw_sheet(faces: Sequence[SheetFace], columns: int, heading: str = "") -> Image.Image:
    """Put faces, at least one, in rows of so many columns at most, with their captions and, where given, a heading."""
    columns = max(1, min(columns, len(faces)))
    side = max(_WIDTH, max(face.pictures[0].shape[0] for face in faces))
    pictures = max(len(face.pictures) for face in faces)
    width = pictures * side + (pictures - 1) * 2
    fonts = (_font(11), _font(9))
    captions = [
        [line for part in face.caption.split("\n") for line in _wrapped(part, width, 11)]
        + [face.note] * bool(face.note)
        for face in faces
    ]
    top = _MARGIN + (_LINE * (heading.count("\n") + 1) + 6 if heading else 0)
    rows = [range(start, min(start + columns, len(faces))) for start in range(0, len(faces), columns)]
    heights = [side + _LINE * max(len(captions[number]) for number in row) + 10 for row in rows]
    total = (columns * (width + _MARGIN) + _MARGIN, top + sum(heights) + _MARGIN)
    sheet = Image.new("RGB", (max(total[0], _text_width(heading, 12) + 2 * _MARGIN), total[1]), _WHITE)
    pen = ImageDraw.Draw(sheet)
    pen.multiline_text((_MARGIN, _MARGIN - 3), heading, _BLACK, _font(12), spacing=2)
    y = top
    for row, height in zip(rows, heights, strict=True):
        for place, number in enumerate(row):
            x = _MARGIN + place * (width + _MARGIN)
            _paste(sheet, faces[number].pictures, x, y, side)
            lines = captions[number]
            for line, text in enumerate(lines):
                small = bool(faces[number].note) and line == len(lines) - 1
                pen.text((x, y + side + 2 + line * _LINE), text, _GREY if small else _BLACK, fonts[small])
        y += height
    return sheet


def draw_grid(
    pictures: Sequence[Sequence[Picture]], row_names: Sequence[str], column_names: Sequence[str], heading: str = ""
) -> Image.Image:
    """Put rows of equally many pictures of one size in a grid with names at its rows and columns, and a heading."""
    side = max(96, pictures[0][0].shape[0])
    left = 150
    titles = [_wrapped(name, side, 10) for name in column_names]
    top = _MARGIN + (_LINE + 6 if heading else 0) + 12 * max(len(title) for title in titles) + 4
    size = (left + len(column_names) * (side + 4) + _MARGIN, top + len(pictures) * (side + 4) + _MARGIN)
    sheet = Image.new("RGB", size, _WHITE)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN - 3), heading, _BLACK, _font(12))
    for column, title in enumerate(titles):
        for line, text in enumerate(reversed(title)):
            pen.text((left + column * (side + 4), top - 14 - line * 12), text, _BLACK, _font(10))
    for row, (name, shown) in enumerate(zip(row_names, pictures, strict=True)):
        y = top + row * (side + 4)
        room = max(1, side // 12)
        for number, text in enumerate(_wrapped(name, left - 2 * _MARGIN, 9)[:room]):
            pen.text((_MARGIN, y + number * 12), text, _BLACK, _font(9))
        for column, picture in enumerate(shown):
            _paste(sheet, (picture,), left + column * (side + 4), y, side)
    return sheet


def draw_strip(pictures: Sequence[Picture], steps: Sequence[int]) -> Image.Image:
    """The states of one face from left to right, with the step after which each was taken below it."""
    faces = [SheetFace((picture,), f"step {step}") for picture, step in zip(pictures, steps, strict=True)]
    return draw_sheet(faces, columns=len(faces))


def _paste(sheet: Image.Image, pictures: Sequence[Picture], x: int, y: int, side: int) -> None:
    for number, picture in enumerate(pictures):
        image = Image.fromarray(np.ascontiguousarray(picture))
        if image.size != (side, side):
            whole = side % image.width == 0
            image = image.resize((side, side), Image.Resampling.NEAREST if whole else Image.Resampling.BICUBIC)
        sheet.paste(image, (x + number * (side + 2), y))


def _wrapped(text: str, width: int, size: int) -> list[str]:
    """Lines that fit; a letter is about 0.56 of its size wide."""
    return textwrap.wrap(text, max(8, int(width / (size * 0.56)))) or [""]


def _text_width(text: str, size: int) -> int:
    return int(max((_font(size).getlength(line) for line in text.splitlines()), default=0))


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(default_font(bold=False), size)
