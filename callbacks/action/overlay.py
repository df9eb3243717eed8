"""The label of the moment drawn into pictures: text made once a label, blended into its own box alone."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from callbacks.figures.fonts import runs_of

OverlayStyle = Literal["default", "legacy"]
Kind = Literal["class", "computing"]

_COLOURS: dict[Kind, tuple[int, int, int]] = {"class": (140, 235, 150), "computing": (255, 190, 70)}
_LEGACY_COLOURS: dict[Kind, tuple[int, int, int]] = {"class": (0, 255, 0), "computing": (255, 0, 0)}
_BACKGROUND, _OPACITY = (16, 18, 22), 0.72  # dark enough for light text over any picture
_TRACK = (70, 74, 82)
_SMALLEST = 7  # pixels; smaller text cannot be read
_KEPT = 64  # texts kept ready


class _Patch(NamedTuple):
    """A box of text ready to be blended.

    Attributes:
        x: Left edge in the picture.
        y: Top edge in the picture.
        colour: Premultiplied by 256 times the opacity, uint16 ``(h, w, 3)``.
        transparency: 256 times what remains of the picture, uint16 ``(h, w, 1)``.
        bar: Left, top, right and bottom of the bar of the score in the picture; None without one.
        accent: Colour of the bar.
    """

    x: int
    y: int
    colour: NDArray[np.uint16]
    transparency: NDArray[np.uint16]
    bar: tuple[int, int, int, int] | None
    accent: tuple[int, int, int]


class Overlay:
    """Draws a label, and a bar as long as its score, into the top left corner of pictures of one size.

    Args:
        width: Width of the pictures in pixels.
        height: Height of the pictures in pixels.
        style: ``default`` is a dark box whose size follows the picture; ``legacy`` the original script's line at
            (10, 25), green for the action and red otherwise.
    """

    def __init__(self, width: int, height: int, style: OverlayStyle = "default") -> None:
        self.width = width
        self.height = height
        self.style = style
        self._patches: OrderedDict[tuple[str, Kind], _Patch] = OrderedDict()

    def draw(self, picture: NDArray[np.uint8], text: str, kind: Kind = "class", score: float = float("nan")) -> None:
        """Draw into a picture, in place.

        Args:
            picture: RGB ``(H, W, 3)``.
            text: What to say; any script.
            kind: A recognised class, or that there is none yet; it decides the colour.
            score: 0 to 1, shown as the length of a bar; NaN shows an empty one.
        """
        patch = self._patch(text, kind)
        height, width = patch.colour.shape[:2]
        region = picture[patch.y : patch.y + height, patch.x : patch.x + width]
        region[:] = (region * patch.transparency + patch.colour) >> 8
        if patch.bar is not None and score > 0:
            left, top, right, bottom = patch.bar
            picture[top:bottom, left : left + round(min(score, 1.0) * (right - left))] = patch.accent

    def _patch(self, text: str, kind: Kind) -> _Patch:
        key = (text, kind)
        if key in self._patches:
            self._patches.move_to_end(key)
            return self._patches[key]
        patch = self._legacy_patch(text, kind) if self.style == "legacy" else self._default_patch(text, kind)
        self._patches[key] = patch
        if len(self._patches) > _KEPT:
            self._patches.popitem(last=False)
        return patch

    def _default_patch(self, text: str, kind: Kind) -> _Patch:
        size = max(_SMALLEST, round(0.06 * (self.width * self.height) ** 0.5))
        margin, padding, bar_height = max(1, size // 3), max(2, size // 2), max(2, size // 6)
        room = self.width - 2 * margin - 2 * padding
        line = _fitting_line(text, size, max(1, room))
        wide = max(line.width, min(room, 6 * size))  # short labels all have a box of one width
        box_width = min(self.width, wide + 2 * padding)
        box_height = min(self.height, line.height + padding + 2 * bar_height + max(1, bar_height))
        box = Image.new("RGBA", (box_width, box_height), (0, 0, 0, 0))
        pen = ImageDraw.Draw(box)
        opacity = round(255 * _OPACITY)
        pen.rounded_rectangle((0, 0, box_width - 1, box_height - 1), radius=size // 4, fill=(*_BACKGROUND, opacity))
        box.paste(Image.new("RGBA", line.size, (*_COLOURS[kind], 255)), (padding, padding // 2), line)
        x, y = min(margin, self.width - box_width), min(margin, self.height - box_height)
        left, right = padding, box_width - padding
        top, bottom = box_height - 2 * bar_height, box_height - bar_height
        if right <= left or top < 0:  # a picture of a few pixels has no room for the bar
            return _blendable(box, x, y, None, _COLOURS[kind])
        pen.rectangle((left, top, right - 1, bottom - 1), fill=(*_TRACK, 255))
        return _blendable(box, x, y, (x + left, y + top, x + right, y + bottom), _COLOURS[kind])

    def _legacy_patch(self, text: str, kind: Kind) -> _Patch:
        line = _line(text, 17)
        x, y = min(10, self.width - 1), max(0, min(25 - round(line.height * 0.78), self.height - 1))
        line = line.crop((0, 0, min(line.width, self.width - x), min(line.height, self.height - y)))
        box = Image.new("RGBA", line.size, (*_LEGACY_COLOURS[kind], 0))
        box.putalpha(line)
        return _blendable(box, x, y, None, _LEGACY_COLOURS[kind])


def _blendable(
    box: Image.Image, x: int, y: int, bar: tuple[int, int, int, int] | None, accent: tuple[int, int, int]
) -> _Patch:
    values = np.asarray(box, np.uint16)
    opacity = np.round(values[..., 3:] * np.float32(256 / 255)).astype(np.uint16)
    return _Patch(x, y, values[..., :3] * opacity, 256 - opacity, bar, accent)


def _fitting_line(text: str, size: int, room: int) -> Image.Image:
    """The text no wider than ``room`` pixels: smaller first, then cut off with an ellipsis."""
    line = _line(text, size)
    while line.width > room and size > _SMALLEST:
        size = max(_SMALLEST, min(size - 1, int(size * room / line.width)))
        line = _line(text, size)
    shortened = text
    while line.width > room and len(shortened) > 1:
        shortened = shortened[: max(1, min(len(shortened) - 1, int(len(shortened) * room / line.width)))]
        line = _line(shortened.rstrip() + "\N{HORIZONTAL ELLIPSIS}", size)
    return line if line.width <= room else line.crop((0, 0, room, line.height))


def _line(text: str, size: int) -> Image.Image:
    """One line of text as coverage 0..255, mode L, as high as the font's tallest letters."""
    runs = [(run, ImageFont.truetype(font, size)) for run, font in runs_of(text)]
    widths = [round(font.getlength(run)) for run, font in runs]
    ascent = max((font.getmetrics()[0] for _, font in runs), default=size)
    descent = max((font.getmetrics()[1] for _, font in runs), default=0)
    image = Image.new("L", (max(1, sum(widths) + 1), ascent + descent), 0)
    pen = ImageDraw.Draw(image)
    x = 0
    for (run, font), width in zip(runs, widths, strict=True):
        pen.text((x, ascent), run, fill=255, font=font, anchor="ls")
        x += width
    return image
