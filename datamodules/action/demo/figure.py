"""The person of the demo: looks, limbs and the order in which they are drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from datamodules.action.demo.actions import COUNTER_Y, Point, Pose
from datamodules.action.demo.items import Wares, draw_item, draw_stove
from datamodules.action.demo.pen import Colour, Pen, box, shade

_ARM = 2.0  # upper arm and forearm
_LARGEST_BEND = 1.35
_SHOULDER: Point = (1.42, 1.85)
_SKINS: tuple[Colour, ...] = ((255, 219, 190), (240, 190, 150), (205, 150, 110), (150, 100, 70), (95, 62, 45))
_HAIRS: tuple[Colour, ...] = (
    (35, 28, 25),
    (90, 55, 30),
    (165, 110, 55),
    (215, 180, 105),
    (150, 150, 155),
    (150, 60, 35),
)


@dataclass(frozen=True)
class Looks:
    """What one person looks like, the two colours of the shirt in a pattern; constant over a video."""

    skin: Colour
    hair: Colour
    style: Literal["short", "long", "bald", "bun", "hat"]
    shirt: tuple[Colour, Colour]
    pattern: Literal["plain", "stripes", "vest"]
    sleeves: bool
    trousers: Colour
    glasses: bool
    mirrored: bool


def draw_looks(generator: np.random.Generator) -> Looks:
    """Looks of a new person."""
    styles: tuple[Literal["short", "long", "bald", "bun", "hat"], ...] = ("short", "long", "bald", "bun", "hat")
    patterns: tuple[Literal["plain", "stripes", "vest"], ...] = ("plain", "stripes", "vest")
    first, second, trousers = (any_colour(generator, 0.35, 0.95) for _ in range(3))
    return Looks(
        skin=_SKINS[int(generator.integers(len(_SKINS)))],
        hair=_HAIRS[int(generator.integers(len(_HAIRS)))],
        style=styles[int(generator.integers(len(styles)))],
        shirt=(first, second),
        pattern=patterns[int(generator.integers(len(patterns)))],
        sleeves=bool(generator.uniform() < 0.5),
        trousers=shade(trousers, 0.6),
        glasses=bool(generator.uniform() < 0.25),
        mirrored=bool(generator.uniform() < 0.5),
    )


def any_colour(generator: np.random.Generator, darkest: float, lightest: float, vivid: float = 0.8) -> Colour:
    """A colour of any hue, its lightest channel within ``darkest..lightest`` (0..1)."""
    value = generator.uniform(darkest, lightest)
    channels = 1 - generator.uniform(0, vivid) * generator.dirichlet((0.7, 0.7, 0.7)) * 1.5
    red, green, blue = (int(255 * max(0.0, value * float(channel))) for channel in channels)
    return red, green, blue


def draw_person(pen: Pen, looks: Looks, pose: Pose, wares: Wares, table: Colour | None, clock: float) -> None:
    """Draw a person, what is held, and a table in front where it has a colour; ``clock`` in seconds moves the steam."""
    sway = (pose.head[0] * 0.5, 0.0)
    shoulders = {-1: (-_SHOULDER[0] + sway[0], _SHOULDER[1]), 1: (_SHOULDER[0] + sway[0], _SHOULDER[1])}
    hands = {-1: pose.left, 1: pose.right}
    if looks.style == "long":
        pen.ellipse((pose.head[0], pose.head[1] + 0.45), 1.22, 1.6, shade(looks.hair, 0.85))
    _draw_body(pen, looks, sway)
    _draw_head(pen, looks, pose)
    behind = {side: hands[side][1] > COUNTER_Y + 0.15 for side in (-1, 1)}
    order = (-1, 1) if pose.item != "none" else (1, -1)
    for side in order:
        if behind[side]:
            _draw_arm(pen, looks, shoulders[side], hands[side], side)
    if table is not None or pose.stove:
        top = table if table is not None else wares.table
        pen.polygon(box(-30, COUNTER_Y, 30, COUNTER_Y + 0.35), shade(top, 1.12))
        pen.polygon(box(-30, COUNTER_Y + 0.35, 30, 30), shade(top, 0.8))
        wares.draw_things(pen)
    if pose.stove:
        draw_stove(pen, wares, clock)
    if pose.item == "barbell":
        draw_item(pen, pose, wares)
    for side in order:
        if not behind[side]:
            _draw_arm(pen, looks, shoulders[side], hands[side], side)
    if pose.item in ("book", "newspaper"):
        draw_item(pen, pose, wares)
        for side in order:
            pen.ellipse((hands[side][0], hands[side][1] + 0.25), 0.26, 0.2, looks.skin)
    elif pose.item not in ("none", "barbell"):
        draw_item(pen, pose, wares)
        pen.ellipse(pose.right, 0.3, 0.26, looks.skin)
    elif pose.item == "none" and pose.right[1] < 0.6:
        _draw_open_hand(pen, looks, pose)


def _draw_body(pen: Pen, looks: Looks, sway: Point) -> None:
    """Legs, trunk, neck."""
    x = sway[0]
    for side in (-1, 1):
        pen.limb([(side * 0.6, 5.4), (side * 0.68, 9.8)], 1.1, looks.trousers)
    pen.polygon(box(-1.18, 4.9, 1.18, 5.9), looks.trousers)
    first, second = looks.shirt
    trunk = [(x - 0.5, 1.3), (x + 0.5, 1.3), (x + 1.6, 1.75), (x + 1.45, 2.5), (1.2, 5.2), (-1.2, 5.2)]
    pen.polygon([*trunk, (x - 1.45, 2.5), (x - 1.6, 1.75)], first)
    if looks.pattern == "stripes":
        for row in range(6):
            y = 1.95 + 0.55 * row
            half = 1.45 - 0.05 * row
            pen.line([(x - half, y), (x + half, y)], 0.24, second)
    elif looks.pattern == "vest":
        pen.polygon([(x - 0.45, 1.35), (x + 0.45, 1.35), (0.55, 5.2), (-0.55, 5.2)], second)
    pen.polygon([(x - 0.4, 0.7), (x + 0.4, 0.7), (x + 0.5, 1.45), (x, 1.75), (x - 0.5, 1.45)], shade(looks.skin, 0.85))


def _draw_head(pen: Pen, looks: Looks, pose: Pose) -> None:
    """Hair, face and what is on it."""
    x, y = pose.head
    hair = looks.hair
    if looks.style == "bun":
        pen.ellipse((x, y - 1.2), 0.45, 0.42, hair)
    for side in (-1, 1):
        pen.ellipse((x + 0.97 * side, y + 0.1), 0.16, 0.25, shade(looks.skin, 0.9))
    pen.ellipse((x, y), 1.0, 1.18, looks.skin)
    if looks.style == "hat":
        pen.chord((x, y - 0.35), 1.05, 1.05, 180, 360, looks.shirt[1])
        pen.limb([(x - 1.25, y - 0.38), (x + 1.25, y - 0.38)], 0.22, shade(looks.shirt[1], 0.8))
    elif looks.style != "bald":
        pen.chord((x, y - 0.05), 1.06, 1.22, 198, 342, hair)
    face_x, face_y = x + pose.look[0], y + pose.look[1]
    for side in (-1, 1):
        eye = (face_x + 0.4 * side, face_y - 0.02)
        pen.ellipse(eye, 0.12, 0.14, (30, 30, 35))
        pen.line([(eye[0] - 0.2, eye[1] - 0.3), (eye[0] + 0.2, eye[1] - 0.3)], 0.08, shade(hair, 0.8))
        if looks.glasses:
            _ring(pen, eye)
    pen.line([(face_x, face_y + 0.08), (face_x + 0.08, face_y + 0.36)], 0.08, shade(looks.skin, 0.75))
    pen.ellipse((face_x, face_y + 0.66), 0.28, 0.06 + 0.14 * pose.mouth, (150, 50, 55))


def _ring(pen: Pen, centre: Point) -> None:
    """One glass of a pair of glasses."""
    angles = [math.tau * step / 10 for step in range(11)]
    pen.line([(centre[0] + 0.28 * math.cos(a), centre[1] + 0.26 * math.sin(a)) for a in angles], 0.06, (40, 40, 45))


def _draw_arm(pen: Pen, looks: Looks, shoulder: Point, hand: Point, side: int) -> None:
    """Sleeve, forearm and fist."""
    elbow = _elbow(shoulder, hand, side)
    forearm = looks.shirt[0] if looks.sleeves else looks.skin
    pen.limb([elbow, hand], 0.52, shade(forearm, 0.9 if looks.sleeves else 0.95))
    pen.limb([shoulder, elbow], 0.68, shade(looks.shirt[0], 0.88))
    pen.ellipse(hand, 0.32, 0.32, looks.skin)


def _draw_open_hand(pen: Pen, looks: Looks, pose: Pose) -> None:
    """A palm with its fingers spread."""
    for finger in (-2, -1, 0, 1, 2):
        angle = pose.angle - 0.42 * finger
        tip = (pose.right[0] - 0.78 * math.sin(angle), pose.right[1] - 0.78 * math.cos(angle))
        pen.limb([pose.right, tip], 0.17, looks.skin)
    pen.ellipse(pose.right, 0.4, 0.4, looks.skin)


def _elbow(shoulder: Point, hand: Point, side: int) -> Point:
    """Where an arm bends: outwards and down; a hand near its shoulder brings the elbow towards the viewer."""
    dx, dy = hand[0] - shoulder[0], hand[1] - shoulder[1]
    distance = max(1e-6, math.hypot(dx, dy))
    bend = min(_LARGEST_BEND, math.sqrt(max(0.0, _ARM**2 - distance * distance / 4)))
    out, down = 0.75 * side, 0.66
    # The longer the reach, the less can the elbow leave the plane across it.
    share = min(1.0, max(0.0, (distance - 1.2) / 1.5))
    along = share * (out * dx + down * dy) / (distance * distance)
    out, down = out - along * dx, down - along * dy
    length = max(0.2, math.hypot(out, down))
    return shoulder[0] + dx / 2 + bend * out / length, shoulder[1] + dy / 2 + bend * down / length
