"""Drawn figures of the demo clips: cartoon faces, pages of text, a platform game.

Pillow draws them at twice the size and they are averaged down, so that their edges are smooth.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from datamodules.video_quality.demo.drawing import (
    Clip,
    camera,
    fractal,
    paint,
    palette,
    to_bytes,
    unit,
    vertical_gradient,
)

_DETAIL = 2  # drawn this much larger, then averaged down
_FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf", "DejaVuSansMono.ttf")
_LINES = (
    "the light over water keeps moving while people talk about food music and travel new recipe ten minutes easy home",
    "garden follow for more best day ever wait until end street market summer morning how to build this watch again",
    "little dog learns quick tip number one secret city night run step by step colour paper bridge winter sale today",
)
_WORDS = [word for line in _LINES for word in line.split()]

Colour = tuple[int, int, int]


def face(generator: np.random.Generator, count: int, height: int, width: int) -> Clip:
    """A cartoon head that sways, blinks and talks in front of a soft room."""
    back = vertical_gradient(height, width, palette(generator, 3, (0.45, 0.95), 0.5))
    back = back + generator.uniform(0, 8) * fractal(generator, height, width, generator.uniform(0.9, 1.8))[..., None]
    skin = np.array(
        [(255, 219, 190), (240, 190, 150), (205, 150, 110), (150, 100, 70), (95, 62, 45)][generator.integers(5)]
    )
    hair = palette(generator, 4, (0.08, 0.75), 0.6)[generator.integers(4)]
    shirt = palette(generator, 2, (0.4, 0.9), 0.8)
    unit_size = 0.3 * min(height, width) * generator.uniform(0.8, 1.15)
    strands = generator.uniform(-1, 1, (int(generator.integers(40, 110)), 2))
    long_hair = generator.uniform() < 0.5
    texture = 1 + 0.035 * fractal(generator, height, width, 0.9)[..., None]
    sway, talk, blink = generator.uniform(0.1, 0.3), generator.uniform(0.5, 1.2), generator.integers(0, max(count, 1))
    frames = []
    for position in range(count):
        centre = np.array([width / 2 + 0.18 * unit_size * np.sin(sway * position), height * 0.46])
        picture = Image.fromarray(to_bytes(back)).resize((width * _DETAIL, height * _DETAIL), Image.Resampling.BICUBIC)
        pen = _Pen(picture, centre, unit_size)
        _draw_head(pen, _tone(skin), _tone(hair), (_tone(shirt[0]), _tone(shirt[1])), strands, long_hair)
        _draw_features(
            pen, _tone(skin), _tone(hair), 0.12 * (1 + np.sin(talk * position)), abs(position - int(blink)) <= 1
        )
        frames.append(to_bytes(np.asarray(picture.reduce(_DETAIL), np.float32) * texture))
    return np.stack(frames)


class _Pen:
    """Draws in units of the head's half width around its centre, y downwards."""

    def __init__(self, picture: Image.Image, centre: np.ndarray[tuple[int], np.dtype[np.float64]], size: float) -> None:
        self._draw = ImageDraw.Draw(picture)
        self._centre = centre * _DETAIL
        self._size = size * _DETAIL

    def _point(self, x: float, y: float) -> tuple[float, float]:
        return float(self._centre[0] + x * self._size), float(self._centre[1] + y * self._size)

    def ellipse(self, x: float, y: float, wide: float, high: float, colour: Colour) -> None:
        """Filled ellipse of half axes ``wide`` and ``high``."""
        self._draw.ellipse([self._point(x - wide, y - high), self._point(x + wide, y + high)], fill=colour)

    def cap(self, x: float, y: float, wide: float, high: float, start: float, end: float, colour: Colour) -> None:
        """The part of an ellipse between two angles (degrees, clockwise from the right), cut off straight."""
        self._draw.chord([self._point(x - wide, y - high), self._point(x + wide, y + high)], start, end, fill=colour)

    def lines(self, points: list[tuple[float, float]], thick: float, colour: Colour) -> None:
        """Open line through the points, ``thick`` in the same units."""
        pixels = max(1, round(thick * self._size))
        self._draw.line([self._point(x, y) for x, y in points], fill=colour, width=pixels, joint="curve")

    def polygon(self, points: list[tuple[float, float]], colour: Colour) -> None:
        """Filled polygon."""
        self._draw.polygon([self._point(x, y) for x, y in points], fill=colour)


def _draw_head(
    pen: _Pen,
    skin: Colour,
    hair: Colour,
    shirt: tuple[Colour, Colour],
    strands: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    long_hair: bool,
) -> None:
    """Hair behind, neck, shirt with stripes, head, hair in front with single strands."""
    pen.ellipse(0, -0.2, 1.12, 1.2, _shade(hair, 0.75))
    if long_hair:
        pen.ellipse(0, 0.35, 1.22, 1.6, _shade(hair, 0.75))
    pen.polygon([(-0.35, 0.8), (0.35, 0.8), (0.42, 1.7), (-0.42, 1.7)], _shade(skin, 0.85))
    pen.ellipse(0, 2.75, 1.75, 1.3, shirt[0])
    for stripe in range(6):
        y = 1.75 + 0.2 * stripe
        half = 1.75 * max(0.0, 1 - ((y - 2.75) / 1.3) ** 2) ** 0.5
        pen.lines([(-half, y), (half, y)], 0.06, shirt[1])
    for side in (-1, 1):
        pen.ellipse(0.98 * side, 0.1, 0.16, 0.25, _shade(skin, 0.9))
    pen.ellipse(0, 0, 1, 1.25, skin)
    pen.cap(0, 0, 1.06, 1.34, 200, 340, hair)
    for x, bend in strands:
        root, tip = 1.0 * x, 0.92 * x
        low = -0.5 - 0.25 * (1 - tip**2) ** 0.5 + 0.16 * abs(bend)
        high = -1.32 * max(0.0, 1 - (root / 1.06) ** 2) ** 0.5
        pen.lines(
            [(0.8 * root, high), (root, (high + low) / 2), (tip + 0.06 * bend, low)],
            0.025,
            _shade(hair, 1 + 0.5 * bend),
        )


def _draw_features(pen: _Pen, skin: Colour, hair: Colour, mouth: float, blink: bool) -> None:
    """Eyes, brows, nose, cheeks and mouth."""
    for side in (-1, 1):
        x = 0.42 * side
        pen.ellipse(1.35 * x, 0.35, 0.2, 0.12, _mix(skin, (235, 110, 110), 0.3))
        if blink:
            pen.lines([(x - 0.2, -0.05), (x, 0.0), (x + 0.2, -0.05)], 0.05, _shade(skin, 0.5))
        else:
            pen.ellipse(x, -0.05, 0.21, 0.14, (250, 250, 250))
            pen.ellipse(x, -0.05, 0.105, 0.125, (70, 95, 120))
            pen.ellipse(x, -0.05, 0.05, 0.06, (15, 15, 20))
            pen.ellipse(x + 0.04, -0.1, 0.025, 0.03, (255, 255, 255))
            pen.lines([(x - 0.22, -0.08), (x, -0.21), (x + 0.22, -0.08)], 0.03, _shade(skin, 0.45))
        pen.lines([(x - 0.24, -0.36), (x, -0.44), (x + 0.24, -0.36)], 0.07, _shade(hair, 0.8))
    pen.lines([(0.02, 0.0), (-0.1, 0.35), (0.06, 0.38)], 0.04, _shade(skin, 0.75))
    pen.ellipse(0, 0.72, 0.3, 0.06 + mouth, (150, 45, 50))
    pen.ellipse(0, 0.72 - 0.6 * mouth, 0.2, 0.3 * mouth + 0.01, (250, 245, 240))
    pen.ellipse(0, 0.75 + 0.6 * mouth, 0.15, 0.35 * mouth + 0.01, (220, 110, 115))


def text(generator: np.random.Generator, count: int, height: int, width: int) -> Clip:
    """A page that scrolls under a headline, light on dark or dark on light, on paper or over a picture."""
    rows = height + 24 + 4 * count
    dark = generator.uniform() < 0.5
    light = (0.05, 0.3) if dark else (0.8, 1)
    if generator.uniform() < 0.4:
        field = unit(fractal(generator, rows, width + 16, 1.6))
        page = paint(field, palette(generator, 4, (0.02, 0.45) if dark else (0.65, 1), 0.6))
    else:
        page = vertical_gradient(rows, width + 16, palette(generator, 2, light, 0.4))
        page = page + generator.uniform(0, 4) * fractal(generator, rows, width + 16, 0.5)[..., None]
    picture = Image.fromarray(to_bytes(page)).resize(((width + 16) * _DETAIL, rows * _DETAIL))
    write_text(picture, generator, dark, scale=min(height, width) / 288)
    return camera_down(np.asarray(picture.reduce(_DETAIL)), generator, count, height, width)


def camera_down(
    canvas: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    generator: np.random.Generator,
    count: int,
    height: int,
    width: int,
) -> Clip:
    """Scroll a page, or let it drift and grow where the text is a title."""
    if generator.uniform() < 0.3:
        return camera(generator, canvas, count, height, width, generator.uniform(0.3, 1.5), 0.08)
    step = generator.integers(1, 5)
    return np.stack([canvas[4 + step * t : 4 + step * t + height, 8 : 8 + width] for t in range(count)])


def write_text(picture: Image.Image, generator: np.random.Generator, dark: bool, scale: float) -> None:
    """Fill a picture, drawn at twice the size, with lines of words: some large, most of reading size."""
    pen = ImageDraw.Draw(picture)
    ink, accent = ((245, 245, 240), (255, 205, 80)) if dark else ((25, 25, 32), (190, 40, 50))
    face_name = str(generator.choice(_FONTS))
    reading = generator.uniform(11, 18) * scale * _DETAIL
    y = 10.0 * scale * _DETAIL
    while y < picture.height:
        headline = generator.uniform() < 0.15
        size = max(8, int(reading * (generator.uniform(1.5, 2.4) if headline else 1)))
        font = _font(face_name, size)
        left = 14 * scale * _DETAIL
        line = ""
        while pen.textlength(line, font=font) < picture.width - 3 * left:
            line += str(generator.choice(_WORDS)) + " "
        pen.text((left, y), line.strip().capitalize(), font=font, fill=accent if headline else ink)
        y += 1.35 * size


def caption(clip: Clip, generator: np.random.Generator, top: int, bottom: int, words: int = 3) -> Clip:
    """A new clip with a centred caption in the rows ``top`` to ``bottom`` of every frame."""
    height, width = bottom - top, clip.shape[2]
    line = " ".join(str(word) for word in generator.choice(_WORDS, words)).upper()
    sheet = Image.new("L", (width * _DETAIL, height * _DETAIL), 0)
    rim = sheet.copy()
    font = _font("DejaVuSans-Bold.ttf", 100)
    fitting = 100 * 0.88 * sheet.width / font.getlength(line)
    size = max(8, int(min(0.5 * sheet.height, fitting)))
    font = _font("DejaVuSans-Bold.ttf", size)
    middle = (sheet.width / 2, sheet.height / 2)
    ImageDraw.Draw(sheet).text(middle, line, font=font, fill=255, anchor="mm")
    ImageDraw.Draw(rim).text(middle, line, font=font, fill=255, anchor="mm", stroke_width=max(1, size // 14))
    ink = np.asarray([(255, 255, 255), (255, 224, 70), (120, 240, 255)][int(generator.integers(3))], np.float32)
    letters = np.asarray(sheet.reduce(_DETAIL), np.float32)[..., None] / 255
    border = np.asarray(rim.reduce(_DETAIL), np.float32)[..., None] / 255
    written = clip.copy()
    area = written[:, top:bottom].astype(np.float32)
    written[:, top:bottom] = to_bytes(area * (1 - border) * (1 - letters) + letters * ink)
    return written


def game(generator: np.random.Generator, count: int, height: int, width: int) -> Clip:
    """A platform game that scrolls: brick ground, blocks, clouds, a jumping figure."""
    tile = max(6, round(generator.uniform(18, 30) * min(height, width) / 288))
    speed = generator.uniform(1, 4)
    columns = width + int(speed * count) + 2 * tile
    inks = [_tone(ink) for ink in palette(generator, 6, (0.3, 0.95), 0.9)]
    sky = vertical_gradient(height, columns, palette(generator, 2, (0.75, 0.95), 0.5))
    world = Image.fromarray(to_bytes(sky))
    pen = ImageDraw.Draw(world)
    for _ in range(columns // 50):
        x, y = generator.uniform(0, columns), generator.uniform(0, 0.4 * height)
        for bump in range(3):
            pen.ellipse(
                [x + bump * tile * 0.8, y - tile * (bump % 2) * 0.4, x + (bump * 0.8 + 1.5) * tile, y + tile],
                (250, 250, 250),
            )
    floor = height - 2 * tile
    for left in range(0, columns, tile):
        for top in range(floor, height, tile):
            _brick(pen, left, top, tile, inks[1])
        if generator.uniform() < 0.35:
            _brick(pen, left, floor - tile * int(generator.integers(1, max(2, floor // tile - 2))), tile, inks[3])
        elif generator.uniform() < 0.3:
            pen.ellipse(
                [left + tile // 4, floor - 2 * tile, left + tile * 3 // 4, floor - tile], inks[5], outline=inks[0]
            )
    scene = np.asarray(world)
    frames = []
    for position in range(count):
        offset = int(speed * position)
        frame = Image.fromarray(scene[:, offset : offset + width])
        hop = abs(np.sin(0.35 * position)) * 3 * tile
        _hero(ImageDraw.Draw(frame), width // 3, int(floor - hop), tile, inks)
        frames.append(np.asarray(frame))
    return np.stack(frames)


def _brick(pen: ImageDraw.ImageDraw, left: int, top: int, tile: int, colour: Colour) -> None:
    """One tile of bricks: joints, a light upper edge and a dark lower one."""
    pen.rectangle([left, top, left + tile - 1, top + tile - 1], colour)
    dark = _shade(colour, 0.6)
    for row in range(3):
        y = top + row * tile // 3
        pen.line([left, y, left + tile - 1, y], dark)
        x = left + (tile // 2 if row % 2 else tile // 4)
        pen.line([x, y, x, y + tile // 3], dark)
    pen.line([left, top, left + tile - 1, top], _shade(colour, 1.4))


def _hero(pen: ImageDraw.ImageDraw, x: int, foot: int, tile: int, inks: list[Colour]) -> None:
    """A small figure of boxes standing on row ``foot``."""
    part = tile // 2
    pen.rectangle([x, foot - 2 * part, x + 2 * part, foot - part // 2], inks[2])
    pen.rectangle([x + part // 4, foot - 4 * part, x + 2 * part - part // 4, foot - 2 * part], (245, 205, 165))
    pen.rectangle([x, foot - 4 * part - part // 2, x + 2 * part, foot - 3 * part - part // 2], inks[4])
    pen.rectangle(
        [x + part + part // 3, foot - 3 * part, x + 2 * part - part // 3, foot - 2 * part - part // 2], (20, 20, 25)
    )
    for leg in (0, part + part // 3):
        pen.rectangle([x + leg, foot - part // 2, x + leg + part * 2 // 3, foot], (40, 40, 50))


@lru_cache(maxsize=64)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A font that matplotlib carries, so that every machine draws the same letters."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def _tone(
    colour: np.ndarray[tuple[int, ...], np.dtype[np.floating]] | np.ndarray[tuple[int, ...], np.dtype[np.int64]],
) -> Colour:
    """A colour of an array as Pillow takes it."""
    red, green, blue = (round(float(value)) for value in colour)
    return red, green, blue


def _shade(colour: Colour, factor: float) -> Colour:
    """A darker or lighter colour."""
    red, green, blue = (min(255, int(value * factor)) for value in colour)
    return red, green, blue


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    """``first`` with ``share`` of ``second``."""
    red, green, blue = (int(a * (1 - share) + b * share) for a, b in zip(first, second, strict=True))
    return red, green, blue
