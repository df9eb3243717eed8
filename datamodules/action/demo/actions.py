"""What the person of the demo does: where head and hands are and what they hold, at each moment of an action.

Lengths are in units of the head's half width, seen from the viewer with the origin in the middle of the head, x to the
right and y downwards. One frame tells the actions apart but for the pair: ``lowering`` is ``raising`` played backwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from datamodules.action.demo.settings import DemoAction

Point = tuple[float, float]
ItemKind = Literal["none", "mug", "glass", "bottle", "spoon", "book", "newspaper", "phone", "barbell"]
VESSELS: tuple[ItemKind, ...] = ("mug", "glass", "bottle")

COUNTER_Y = 4.0  # height of the table top
_TOP_OF_LIFT, _BOTTOM_OF_LIFT = -2.05, 3.3


@dataclass(frozen=True)
class Habits:
    """How one person moves (phases in radians, a factor on frequencies) and what is drunk from or read in a video."""

    phase: tuple[float, float, float]
    pace: float
    rest: Literal["sides", "folded"]
    vessel: ItemKind
    paper: ItemKind
    reach: tuple[Point, Point]


@dataclass(frozen=True)
class Pose:
    """One moment of a person.

    Attributes:
        head: Offset of the head.
        look: Shift of the face within the head, for a bowed or turned head.
        left: Hand on the left of the picture.
        right: Hand on the right of the picture, the one that works.
        item: What is held; ``book``, ``newspaper`` and ``barbell`` in both hands, the rest in the right one.
        angle: Turn of the item in radians, counter-clockwise as seen.
        stove: How far the pan on its stove is there, 0..1.
        mouth: Opening of the mouth, 0..1.
    """

    head: Point
    look: Point
    left: Point
    right: Point
    item: ItemKind = "none"
    angle: float = 0.0
    stove: bool = False
    mouth: float = 0.0


def draw_habits(generator: np.random.Generator) -> Habits:
    """Habits of a new person."""
    rests: tuple[Literal["sides", "folded"], ...] = ("sides", "folded")
    papers: tuple[ItemKind, ...] = ("book", "newspaper")
    first, second, third = (float(value) for value in generator.uniform(0, 2 * math.pi, 3))
    offsets = [(float(x), float(y)) for x, y in generator.uniform(-0.18, 0.18, (2, 2))]
    return Habits(
        phase=(first, second, third),
        pace=float(generator.uniform(0.75, 1.35)),
        rest=rests[int(generator.integers(len(rests)))],
        vessel=VESSELS[int(generator.integers(len(VESSELS)))],
        paper=papers[int(generator.integers(len(papers)))],
        reach=(offsets[0], offsets[1]),
    )


def pose_at(action: DemoAction, habits: Habits, time: float, progress: float) -> Pose:
    """The pose at a time in seconds, which drives what is periodic; ``progress`` (0..1) drives the lift of the pair."""
    beat = 2 * math.pi * habits.pace * time
    slow, middle, fast = (math.sin(rate * beat + p) for rate, p in zip((0.22, 0.55, 1.5), habits.phase, strict=True))
    pose = _resting(habits, slow)
    if action == "drinking":
        # The vessel stays at the lips: any frame shows what is going on.
        hand = _moved((0.55, 1.08 + 0.16 * middle), habits.reach[1], 0.4)
        tilt = 0.75 + 0.35 * middle
        pose = replace(pose, right=hand, item=habits.vessel, angle=tilt, look=(0.05, -0.1), mouth=0.25)
    elif action == "cooking":
        stir = (1.0 + 0.45 * math.cos(0.8 * beat), 3.05 + 0.16 * math.sin(0.8 * beat))
        handle = _moved((-1.35, 3.5), habits.reach[0], 0.3)
        pose = replace(pose, left=handle, right=stir, item="spoon", angle=0.2 * fast, stove=True, look=(0.1, 0.32))
    elif action == "reading":
        height = 2.75 + 0.2 * slow + habits.reach[0][1]
        left, right = (-1.05, height), (1.05, height + 0.1 * middle)
        pose = replace(pose, left=left, right=right, item=habits.paper, look=(0.06 * middle, 0.36))
    elif action == "calling":
        hand = _moved((1.12, 0.35 + 0.06 * middle), habits.reach[1], 0.3)
        talk = max(0.0, math.sin(1.3 * beat + habits.phase[1]))
        pose = replace(
            pose, right=hand, item="phone", angle=0.2, look=(-0.1, 0.0), mouth=talk, head=(0.1, pose.head[1])
        )
    elif action == "waving":
        hand = _moved((2.3 + 0.55 * math.sin(0.9 * beat), -0.55 + 0.1 * middle), habits.reach[1], 0.8)
        pose = replace(pose, right=hand, angle=-0.4 * math.sin(0.9 * beat), mouth=0.35)
    elif action in ("raising", "lowering"):
        done = progress if action == "raising" else 1 - progress
        height = _BOTTOM_OF_LIFT + (_TOP_OF_LIFT - _BOTTOM_OF_LIFT) * done
        pose = replace(pose, left=(-1.55, height), right=(1.55, height), item="barbell", mouth=0.15)
    return pose


def blend(first: Pose, second: Pose, share: float) -> Pose:
    """``share`` (0..1) of the way between two poses: the limbs glide, what is held changes at the middle."""
    eased = share * share * (3 - 2 * share)
    nearer = first if share < 0.5 else second
    return replace(
        nearer,
        head=_between(first.head, second.head, eased),
        look=_between(first.look, second.look, eased),
        left=_between(first.left, second.left, eased),
        right=_between(first.right, second.right, eased),
    )


def _resting(habits: Habits, slow: float) -> Pose:
    """Hands that do nothing."""
    head = (0.12 * slow, 0.04 * slow)
    left, right = ((0.75, 3.0), (-0.75, 3.15)) if habits.rest == "folded" else ((-1.9, 5.4), (1.9, 5.4))
    left, right = _moved(left, habits.reach[0], 1), _moved(right, habits.reach[1], 1)
    return Pose(head, (0.08 * slow, 0.0), (left[0] + 0.06 * slow, left[1]), (right[0] + 0.06 * slow, right[1]))


def _moved(point: Point, offset: Point, share: float) -> Point:
    return point[0] + share * offset[0], point[1] + share * offset[1]


def _between(first: Point, second: Point, share: float) -> Point:
    return first[0] + share * (second[0] - first[0]), first[1] + share * (second[1] - first[1])
