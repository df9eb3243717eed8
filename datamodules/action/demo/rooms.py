"""Rooms of the action demo: the picture behind the person, never twice the same."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from datamodules.action.demo.figure import any_colour
from datamodules.action.demo.pen import Colour, mix, shade

Pattern = Literal["plain", "stripes", "tiles", "bricks", "dots", "diamonds", "garden"]
_FURNITURE = ("window", "picture", "shelf", "plant", "lamp", "door")


def draw_room(generator: np.random.Generator, width: int, height: int) -> Image.Image:
    """Draw a wall with a pattern and furniture, or a garden, in RGB."""
    patterns: tuple[Pattern, ...] = get_args(Pattern)
    pattern = patterns[int(generator.integers(len(patterns)))]
    wall = any_colour(generator, 0.4, 1.0, vivid=0.5)
    picture = _gradient(width, height, shade(wall, 1.1), shade(wall, 0.75))
    pen = ImageDraw.Draw(picture)
    if pattern == "garden":
        _draw_garden(pen, generator, width, height)
    else:
        _draw_pattern(pen, generator, pattern, wall, width, height)
        floor = int(height * generator.uniform(0.68, 0.82))
        pen.rectangle([0, floor, width, height], fill=any_colour(generator, 0.25, 0.8, vivid=0.5))
        pen.rectangle([0, floor - height // 40, width, floor], fill=shade(wall, 0.55))
        names = generator.permutation(len(_FURNITURE))[: int(generator.integers(2, 5))]
        for name, place in zip(names, generator.permutation(5), strict=False):
            middle = width * (0.1 + 0.2 * float(place) + float(generator.uniform(-0.04, 0.04)))
            _draw_furniture(pen, generator, _FURNITURE[int(name)], middle, floor, height)
    picture = picture.filter(ImageFilter.GaussianBlur(float(generator.uniform(2.0, 4.0))))
    return _textured(picture, generator)


def _gradient(width: int, height: int, top: Colour, bottom: Colour) -> Image.Image:
    """A picture that runs from one colour to another."""
    share = np.linspace(0, 1, height)[:, None, None]
    rows = (1 - share) * np.asarray(top, float) + share * np.asarray(bottom, float)
    return Image.fromarray(np.broadcast_to(rows, (height, width, 3)).astype(np.uint8).copy())


def _textured(picture: Image.Image, generator: np.random.Generator) -> Image.Image:
    """Soft blotches: uneven light and worn paint."""
    coarse = generator.standard_normal((6, 8)).astype(np.float32)
    fine = generator.standard_normal((picture.height // 2, picture.width // 2)).astype(np.float32)
    sheets = [
        np.asarray(Image.fromarray(field).resize(picture.size, Image.Resampling.BICUBIC)) for field in (coarse, fine)
    ]
    light = 1 + generator.uniform(0.03, 0.14) * sheets[0] + generator.uniform(0.0, 0.06) * sheets[1]
    lit = np.asarray(picture, np.float32) * light[..., None]
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))


def _draw_pattern(
    pen: ImageDraw.ImageDraw, generator: np.random.Generator, pattern: Pattern, wall: Colour, width: int, height: int
) -> None:
    """Wallpaper, tiles or bricks."""
    other = mix(wall, any_colour(generator, 0.2, 1.0), float(generator.uniform(0.2, 0.6)))
    step = int(generator.integers(height // 12, height // 5))
    if pattern == "stripes":
        for x in range(0, width, 2 * step):
            pen.rectangle([x, 0, x + step, height], fill=other)
    elif pattern == "tiles":
        for x in range(0, width, step):
            pen.line([x, 0, x, height], fill=other, width=2)
        for y in range(0, height, step):
            pen.line([0, y, width, y], fill=other, width=2)
    elif pattern == "bricks":
        for row, y in enumerate(range(0, height, max(4, step // 2))):
            pen.line([0, y, width, y], fill=other, width=1)
            for x in range((row % 2) * step // 2, width, step):
                pen.line([x, y, x, y + step // 2], fill=other, width=1)
    elif pattern in ("dots", "diamonds"):
        radius = step // 4
        for row, y in enumerate(range(0, height + step, step)):
            for x in range((row % 2) * step // 2, width + step, step):
                corners = [(x - radius, y), (x, y - radius), (x + radius, y), (x, y + radius)]
                if pattern == "diamonds":
                    pen.polygon(corners, fill=other)
                else:
                    pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=other)


def _draw_garden(pen: ImageDraw.ImageDraw, generator: np.random.Generator, width: int, height: int) -> None:
    """Sky, hills, trees and grass."""
    sky = mix((120, 180, 240), any_colour(generator, 0.6, 1.0), float(generator.uniform(0, 0.5)))
    grass = mix((80, 150, 60), any_colour(generator, 0.3, 0.8), float(generator.uniform(0, 0.5)))
    horizon = int(height * generator.uniform(0.4, 0.65))
    pen.rectangle([0, 0, width, horizon], fill=sky)
    for _ in range(3):
        x, y, wide = (
            generator.uniform(0, width),
            generator.uniform(0, horizon / 2),
            generator.uniform(0.08, 0.2) * width,
        )
        pen.ellipse([x, y, x + wide, y + 0.35 * wide], fill=shade(sky, 1.25))
    pen.ellipse([-width * 0.3, horizon - height * 0.15, width * 0.7, height * 1.2], fill=shade(grass, 0.8))
    pen.rectangle([0, horizon, width, height], fill=grass)
    for _ in range(int(generator.integers(2, 6))):
        x, size = generator.uniform(0, width), generator.uniform(0.1, 0.2) * height
        pen.rectangle([x - size / 7, horizon - size / 2, x + size / 7, horizon + size], fill=(95, 68, 45))
        crown = shade(grass, float(generator.uniform(0.45, 0.8)))
        pen.ellipse([x - size, horizon - 2.4 * size, x + size, horizon - 0.2 * size], fill=crown)


def _draw_furniture(
    pen: ImageDraw.ImageDraw, generator: np.random.Generator, name: str, middle: float, floor: int, height: int
) -> None:
    """One piece at the wall around a column."""
    half = height * float(generator.uniform(0.09, 0.17))
    top = height * float(generator.uniform(0.06, 0.22))
    colour, other = any_colour(generator, 0.25, 0.95), any_colour(generator, 0.25, 0.95)
    left, right = middle - half, middle + half
    if name == "window":
        bottom = top + 2.4 * half
        pen.rectangle([left - 3, top - 3, right + 3, bottom + 3], fill=shade(colour, 1.3))
        pen.rectangle([left, top, right, bottom], fill=mix((160, 205, 245), other, 0.25))
        pen.line([middle, top, middle, bottom], fill=shade(colour, 1.3), width=3)
        pen.line([left, (top + bottom) / 2, right, (top + bottom) / 2], fill=shade(colour, 1.3), width=3)
    elif name == "picture":
        pen.rectangle([left, top, right, top + 1.5 * half], fill=shade(colour, 0.6))
        pen.rectangle([left + 3, top + 3, right - 3, top + 1.5 * half - 3], fill=other)
        pen.polygon(
            [(left + 3, top + 1.5 * half - 3), (middle, top + half * 0.5), (right - 3, top + 1.5 * half - 3)], colour
        )
    elif name == "shelf":
        for level in range(2):
            y = top + (level + 1) * half * 1.1
            pen.rectangle([left - half / 2, y, right + half / 2, y + 4], fill=shade(colour, 0.6))
            x = left - half / 2
            while x < right + half / 4:
                wide, high = generator.uniform(0.12, 0.3) * half, generator.uniform(0.5, 0.9) * half
                pen.rectangle([x, y - high, x + wide, y], fill=any_colour(generator, 0.2, 0.95))
                x += wide + 1
    elif name == "plant":
        pen.polygon(
            [
                (left, floor - half),
                (right, floor - half),
                (right - half / 3, floor + half / 2),
                (left + half / 3, floor + half / 2),
            ],
            colour,
        )
        for _ in range(9):
            x, y = middle + generator.uniform(-1.1, 1.1) * half, floor - half - generator.uniform(0.2, 2.2) * half
            pen.line([middle, floor - half, x, y], fill=(50, 110, 55), width=2)
            pen.ellipse([x - half / 3, y - half / 4, x + half / 3, y + half / 4], fill=mix((60, 140, 65), other, 0.25))
    elif name == "lamp":
        pen.line([middle, 0, middle, top + half], fill=(40, 40, 44), width=2)
        pen.polygon(
            [
                (middle - half / 3, top + half),
                (middle + half / 3, top + half),
                (right, top + 2 * half),
                (left, top + 2 * half),
            ],
            shade(colour, 1.2),
        )
    else:
        pen.rectangle([left, top + half, right + half, floor], fill=shade(colour, 0.8))
        pen.rectangle([left + 4, top + half + 6, right + half - 4, floor - 6], outline=shade(colour, 0.55), width=2)
        pen.ellipse(
            [right + half - 14, (top + floor) / 2, right + half - 8, (top + floor) / 2 + 6], fill=(230, 200, 90)
        )
