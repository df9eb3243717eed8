"""The pen of the action demo: shapes in the units of a figure, drawn into a Pillow picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from datamodules.action.demo.actions import Point

Colour = tuple[int, int, int]


def shade(colour: Colour, factor: float) -> Colour:
    """A darker or lighter colour."""
    red, green, blue = (max(0, min(255, int(value * factor))) for value in colour)
    return red, green, blue


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """``first`` with ``share`` of ``second``."""
    red, green, blue = (int(a * (1 - share) + b * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


class Pen:
    """Draws in units of so many pixels around an origin, x to the right and y downwards; may mirror all it draws."""

    def __init__(self, picture: Image.Image, origin: Point, unit: float, mirrored: bool) -> None:
        self._draw = ImageDraw.Draw(picture, "RGBA")
        self._origin = origin
        self._unit = unit
        self._sign = -1 if mirrored else 1

    def _pixel(self, point: Point) -> Point:
        return (
            self._origin[0] + self._sign * point[0] * self._unit,
            self._origin[1] + point[1] * self._unit,
        )

    def ellipse(self, centre: Point, wide: float, high: float, colour: Colour, opacity: int = 255) -> None:
        """Filled ellipse of half axes ``wide`` and ``high``."""
        x, y = self._pixel(centre)
        a, b = wide * self._unit, high * self._unit
        self._draw.ellipse([x - a, y - b, x + a, y + b], fill=(*colour, opacity))

    def chord(self, centre: Point, wide: float, high: float, start: float, end: float, colour: Colour) -> None:
        """The part of an ellipse between two angles (degrees, clockwise from the right), cut off straight."""
        x, y = self._pixel(centre)
        a, b = wide * self._unit, high * self._unit
        if self._sign < 0:
            start, end = 180 - end, 180 - start
        self._draw.chord([x - a, y - b, x + a, y + b], start, end, fill=colour)

    def polygon(self, points: Sequence[Point], colour: Colour, opacity: int = 255) -> None:
        """Filled polygon."""
        self._draw.polygon([self._pixel(point) for point in points], fill=(*colour, opacity))

    def limb(self, points: Sequence[Point], thick: float, colour: Colour) -> None:
        """Line through the points with round joints and ends."""
        pixels = [self._pixel(point) for point in points]
        radius = max(0.5, thick * self._unit / 2)
        self._draw.line(pixels, fill=colour, width=max(1, round(2 * radius)))
        for x, y in pixels:
            self._draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)

    def line(self, points: Sequence[Point], thick: float, colour: Colour) -> None:
        """Line through the points with square ends."""
        width = max(1, round(thick * self._unit))
        self._draw.line([self._pixel(point) for point in points], fill=colour, width=width)

    def turned(self, centre: Point, angle: float, points: Sequence[Point], colour: Colour, opacity: int = 255) -> None:
        """Filled polygon given around ``centre`` and turned by ``angle`` radians, counter-clockwise as seen."""
        self.polygon(turn(centre, angle, points), colour, opacity)


def turn(centre: Point, angle: float, points: Sequence[Point]) -> list[Point]:
    """Points around ``centre``, turned by ``angle`` radians, counter-clockwise as seen."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return [(centre[0] + cosine * x + sine * y, centre[1] - sine * x + cosine * y) for x, y in points]


def box(left: float, top: float, right: float, bottom: float) -> list[Point]:
    """Corners of an upright rectangle."""
    return [(left, top), (right, top), (right, bottom), (left, bottom)]
