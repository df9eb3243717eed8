"""What the person of the demo holds, and what lies about."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datamodules.action.demo.actions import COUNTER_Y, VESSELS, ItemKind, Point, Pose
from datamodules.action.demo.pen import Colour, Pen, box, mix, shade, turn

_STOVE: Point = (0.75, COUNTER_Y - 0.35)  # middle of the pan
_THINGS: tuple[ItemKind, ...] = ("mug", "glass", "bottle", "book", "phone")


@dataclass(frozen=True)
class Wares:
    """Colours of what is held or lies about, and the unused things on the table by place; constant over a video."""

    main: Colour
    second: Colour
    table: Colour
    things: tuple[tuple[ItemKind, float], ...]
    pan: bool

    def draw_things(self, pen: Pen) -> None:
        """Draw what stands on the table."""
        if self.pan:
            _draw_pan(pen, (-4.4, COUNTER_Y - 0.2), shade(self.main, 0.5))
        for kind, x in self.things:
            if kind in VESSELS:
                _draw_vessel(pen, kind, (x, COUNTER_Y - 0.45), 0.0, self.second, self.main)
            elif kind == "book":
                pen.polygon(box(x - 0.8, COUNTER_Y - 0.3, x + 0.8, COUNTER_Y), self.second)
                pen.polygon(box(x - 0.7, COUNTER_Y - 0.6, x + 0.7, COUNTER_Y - 0.3), self.main)
            else:
                pen.polygon(box(x - 0.5, COUNTER_Y - 0.14, x + 0.5, COUNTER_Y), (30, 30, 35))


def draw_wares(generator: np.random.Generator, main: Colour, second: Colour, table: Colour) -> Wares:
    """Wares of a new room: up to three unused things, left and right of the person."""
    places = [-3.3, 3.2, 4.3]
    kinds = generator.integers(len(_THINGS), size=3)
    things = [
        (_THINGS[int(kind)], place + float(generator.uniform(-0.3, 0.3)))
        for kind, place in zip(kinds, places, strict=True)
        if generator.uniform() < 0.5
    ]
    return Wares(main, second, table, tuple(things), bool(generator.uniform() < 0.35))


def draw_item(pen: Pen, pose: Pose, wares: Wares) -> None:
    """Draw what is held."""
    x, y = pose.right
    if pose.item in VESSELS:
        _draw_vessel(pen, pose.item, (x - 0.1, y - 0.25), pose.angle, wares.main, wares.second, 1.3)
    elif pose.item == "spoon":
        tip = (_STOVE[0] + 0.6 * (x - 1.0), _STOVE[1] - 0.1)
        pen.limb([(x + 0.15, y - 0.6), tip], 0.17, mix(wares.main, (150, 105, 60), 0.7))
        pen.ellipse(tip, 0.3, 0.2, mix(wares.main, (150, 105, 60), 0.7))
    elif pose.item in ("book", "newspaper"):
        _draw_paper(pen, pose, wares)
    elif pose.item == "phone":
        pen.turned((x - 0.12, y - 0.3), pose.angle, box(-0.22, -0.75, 0.22, 0.75), (28, 28, 34))
        pen.turned((x - 0.12, y - 0.3), pose.angle, box(-0.12, -0.62, 0.12, 0.55), shade(wares.second, 0.9))
    elif pose.item == "barbell":
        _draw_barbell(pen, pose, wares)


def draw_stove(pen: Pen, wares: Wares, clock: float) -> None:
    """A pan with food over a flame, and steam."""
    x, y = _STOVE
    pen.polygon(box(x - 1.7, COUNTER_Y - 0.02, x + 1.7, COUNTER_Y + 0.18), (45, 45, 50))
    for step in range(5):
        flame = x - 0.8 + 0.4 * step
        height = 0.22 + 0.08 * math.sin(9 * clock + 2 * step)
        pen.polygon([(flame - 0.14, COUNTER_Y), (flame, COUNTER_Y - height), (flame + 0.14, COUNTER_Y)], (90, 160, 255))
    _draw_pan(pen, _STOVE, (42, 42, 48))
    pen.ellipse((x, y - 0.02), 1.05, 0.22, shade(wares.second, 0.95))
    for step in range(4):
        pen.ellipse((x - 0.66 + 0.44 * step, y - 0.04), 0.17, 0.09, wares.main)
    for step in range(4):
        rise = (0.45 * clock + step / 4) % 1
        wisp = (x + 0.35 * math.sin(5 * rise + 2 * step), y - 0.5 - 2.1 * rise)
        pen.ellipse(wisp, 0.22 + 0.3 * rise, 0.18 + 0.3 * rise, (240, 240, 240), round(95 * (1 - rise)))


def _draw_pan(pen: Pen, centre: Point, colour: Colour) -> None:
    """A frying pan seen from the front, its handle to the left."""
    x, y = centre
    pen.limb([(x - 1.1, y + 0.02), (x - 2.2, y - 0.18)], 0.2, shade(colour, 0.8))
    pen.polygon([(x - 1.25, y), (x + 1.25, y), (x + 1.0, y + 0.36), (x - 1.0, y + 0.36)], colour)
    pen.ellipse((x, y), 1.25, 0.3, shade(colour, 1.35))


def _draw_vessel(
    pen: Pen, kind: ItemKind, centre: Point, angle: float, main: Colour, second: Colour, size: float = 1.0
) -> None:
    """A mug, a glass or a bottle around its middle."""

    def part(points: Sequence[Point], colour: Colour, opacity: int = 255) -> None:
        pen.turned(centre, angle, [(size * x, size * y) for x, y in points], colour, opacity)

    if kind == "mug":
        handle = turn(
            centre, angle, [(size * x, size * y) for x, y in ((0.4, -0.22), (0.72, -0.18), (0.72, 0.22), (0.4, 0.26))]
        )
        pen.line(handle, 0.14, shade(main, 0.8))
        part(box(-0.42, -0.48, 0.42, 0.48), main)
        part(box(-0.42, -0.48, 0.42, -0.34), shade(second, 0.6))
    elif kind == "glass":
        part([(-0.4, -0.6), (0.4, -0.6), (0.3, 0.55), (-0.3, 0.55)], (225, 238, 245), 190)
        part([(-0.35, -0.2), (0.35, -0.2), (0.28, 0.48), (-0.28, 0.48)], main, 220)
    else:
        part(box(-0.36, -0.35, 0.36, 0.75), main)
        part([(-0.36, -0.35), (-0.15, -0.75), (0.15, -0.75), (0.36, -0.35)], main)
        part(box(-0.15, -1.1, 0.15, -0.72), shade(main, 0.75))
        part(box(-0.36, -0.05, 0.36, 0.45), second)


def _draw_paper(pen: Pen, pose: Pose, wares: Wares) -> None:
    """An open book or a newspaper between the hands, seen from outside."""
    book = pose.item == "book"
    (left, low_left), (right, low_right) = pose.left, pose.right
    middle, low = (left + right) / 2, (low_left + low_right) / 2
    wide, up, down = (1.15, 0.95, 0.55) if book else (1.75, 1.15, 1.0)
    colour = wares.main if book else (222, 220, 210)
    for side, bend in ((-1, 1.0), (1, 0.9)):
        edge = middle + side * wide
        page = [(middle, low - up + 0.15), (edge, low - up), (edge, low + down - 0.15), (middle, low + down)]
        pen.polygon(page, shade(colour, bend))
        if book:
            pen.polygon(
                box(
                    min(middle + side * 0.3, edge - side * 0.25),
                    low - 0.55,
                    max(middle + side * 0.3, edge - side * 0.25),
                    low - 0.2,
                ),
                wares.second,
            )
            continue
        pen.polygon(box(middle + side * 0.9 - 0.65, low - 0.75, middle + side * 0.9 + 0.65, low - 0.45), (60, 60, 66))
        for row in range(4):
            y = low - 0.2 + 0.26 * row
            pen.line([(middle + side * 0.2, y), (edge - side * 0.15, y)], 0.1, (120, 120, 124))
    pen.line([(middle, low - up + 0.15), (middle, low + down)], 0.1, shade(colour, 0.6))


def _draw_barbell(pen: Pen, pose: Pose, wares: Wares) -> None:
    """A bar through both hands with two plates on each end."""
    (left, y), (right, _) = pose.left, pose.right
    pen.limb([(left - 1.9, y), (right + 1.9, y)], 0.16, (150, 152, 158))
    for side, end in ((-1, left), (1, right)):
        for step, high in ((0.85, 0.95), (1.25, 0.72)):
            x = end + side * step
            pen.polygon(box(x - 0.17, y - high, x + 0.17, y + high), shade(wares.main, 0.75 if step < 1 else 0.55))
