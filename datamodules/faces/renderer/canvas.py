"""The sheet that faces are drawn on: coordinates, soft-edged shapes, and painting only where a shape can be.

All arithmetic on pixels is of operations that IEEE 754 rounds in one way (add, multiply, divide, square root, compare),
so that a face has the same bytes in a batch of one and in a batch of a thousand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.faces.renderer.parameters import FaceParameters

# The most that a face is moved, by which the windows of its parts are widened.
LARGEST_SHIFT = 0.05
LARGEST_ROLL = 0.12  # radians
LARGEST_YAW = 0.05
NEAREST, FARTHEST = 0.95, 1.06  # of the distance: coordinates are multiplied by it

Box = tuple[float, float, float, float]
EVERYWHERE: Box = (-9.0, -9.0, 9.0, 9.0)


class Canvas:
    """B pictures under work.

    Coordinates are those of an upright face: x from -1 to 1 to the right and y from -1 to 1 downwards span the picture
    when the head is neither moved nor tilted.

    Attributes:
        side: Height and width S in pixels.
        image: float32 ``(B, 3, S, S)``, RGB in 0..1, drawn in place.
        x: float32 ``(B, S, S)``.
        y: float32 ``(B, S, S)``.
        yaw: How far the features in the face are moved to the side by a turned head, float32 ``(B)``.
        head: Signed distance to the outline of the head, negative inside, float32 ``(B, S, S)``; set by the painter.
    """

    def __init__(self, parameters: FaceParameters, side: int) -> None:
        self.parameters = parameters
        self.side = side
        line = (torch.arange(side, dtype=torch.float32) * 2 + 1) / side - 1
        pose = parameters.strength[:, 1]
        right = column(LARGEST_SHIFT * parameters.spread("shift_x") * pose)
        down = column(LARGEST_SHIFT * parameters.spread("shift_y") * pose)
        middle, reach = (NEAREST + FARTHEST) / 2, (FARTHEST - NEAREST) / 2
        far = column(middle + reach * parameters.spread("distance") * pose)
        roll = column(LARGEST_ROLL * parameters.spread("roll") * pose)
        sine = roll - roll * roll * roll / 6  # exact arithmetic where sin() has a rounding of its own on every machine
        cosine = 1 - roll * roll / 2
        across, along = (line[None, None, :] - right) * far, (line[None, :, None] - down) * far
        self.x = across * cosine + along * sine
        self.y = along * cosine - across * sine
        self.yaw = LARGEST_YAW * parameters.spread("yaw") * pose
        self.image = torch.zeros(len(parameters), 3, side, side)
        self.head = torch.zeros(0)

    @contextmanager
    def patch(self, box: Box = EVERYWHERE, where: Tensor | None = None) -> Iterator[Patch]:
        """Work on a window of some of the pictures; what is painted there is written back at the end.

        Args:
            box: Left, top, right and bottom in the coordinates of the face, of all that may be painted.
            where: bool ``(B,)``; None takes all pictures.
        """
        rows, columns = window_of(box, self.side)
        if where is None or bool(where.all()):
            chosen, parameters = None, self.parameters
        else:
            chosen = where.nonzero()[:, 0]
            parameters = self.parameters.rows(chosen)
        image = _cut(self.image, rows, columns, chosen)
        x, y = _cut(self.x, rows, columns, chosen), _cut(self.y, rows, columns, chosen)
        head = _cut(self.head, rows, columns, chosen) if self.head.numel() else self.head
        yaw = self.yaw if chosen is None else self.yaw[chosen]
        yield Patch(parameters, image, x, y, x - column(yaw), head, self.side / 2)
        if chosen is not None and len(chosen):
            self.image[:, :, rows, columns].index_copy_(0, chosen, image)


@dataclass(frozen=True)
class Patch:
    """A window of n pictures under work.

    Attributes:
        parameters: Of the n faces.
        image: float32 ``(n, 3, h, w)``.
        x: Coordinate across, float32 ``(n, h, w)``.
        y: Coordinate along.
        u: Coordinate across of what lies in the face and moves with its turn.
        head: Signed distance to the outline of the head.
        scale: Pixels in a unit of the coordinates.
    """

    parameters: FaceParameters
    image: Tensor
    x: Tensor
    y: Tensor
    u: Tensor
    head: Tensor
    scale: float

    def soft(self, distance: Tensor, edge: float = 0.0) -> Tensor:
        """1 inside a shape, 0 outside, and in between over one pixel or the width ``edge``.

        Args:
            distance: Signed distance to the outline in coordinates, negative inside, ``(n, h, w)``.
            edge: Width of the transition, where it shall be softer than a pixel.
        """
        steep = min(self.scale, 1 / edge) if edge else self.scale
        return (0.5 - distance * steep).clamp_(0, 1)

    def paint(self, mask: Tensor, colour: Tensor) -> None:
        """Lay a colour over the pictures.

        Args:
            mask: Cover from 0 to 1, ``(n, h, w)``.
            colour: ``(3,)``, one a face ``(n, 3)``, or one a pixel ``(n, 3, h, w)``.
        """
        layer = colour if colour.ndim == 4 else colour.reshape(-1, 3, 1, 1)
        cover = mask[:, None]
        self.image.mul_(1 - cover).add_(cover * layer)

    def tint(self, mask: Tensor, factor: Tensor) -> None:
        """Multiply by a colour, as a glaze: ``factor`` as for `paint`, 1 changes nothing."""
        layer = factor if factor.ndim == 4 else factor.reshape(-1, 3, 1, 1)
        self.image.mul_(1 + mask[:, None] * (layer - 1))


def column(value: Tensor) -> Tensor:
    """One value a face for each of its pixels: ``(n,)`` to ``(n, 1, 1)``."""
    return value[:, None, None]


def pick(where: Tensor, yes: float, no: float) -> Tensor:
    """One of two numbers a face, ``(n, 1, 1)``."""
    return column(where.float() * (yes - no) + no)


def ellipse(x: Tensor, y: Tensor, wide: Tensor | float, high: Tensor | float) -> Tensor:
    """About the signed distance to an ellipse around 0 with these half axes: its level over the slope of its level."""
    across, along = x / wide, y / high
    level = (across * across + along * along).sqrt()
    across, along = across / wide, along / high
    return (level - 1) * level / ((across * across + along * along).sqrt() + 1e-4)


def segment(x: Tensor, y: Tensor, start: tuple[float, float], end: tuple[float, float]) -> Tensor:
    """Distance to the line between two points."""
    (left, top), (right, bottom) = start, end
    across, along = right - left, bottom - top
    share = (((x - left) * across + (y - top) * along) / (across * across + along * along)).clamp_(0, 1)
    dx, dy = x - left - share * across, y - top - share * along
    return (dx * dx + dy * dy).sqrt()


def wave(phase: Tensor) -> Tensor:
    """A smooth wave of period 1 between -1 and 1, close to a cosine, of exact arithmetic."""
    saw = 4 * (phase - (phase + 0.5).floor()).abs() - 1
    return saw * (saw * saw * 0.5 - 1.5)


def _cut(value: Tensor, rows: slice, columns: slice, chosen: Tensor | None) -> Tensor:
    window = value[..., rows, columns]
    return window if chosen is None else window.index_select(0, chosen)


def window_of(box: Box, side: int) -> tuple[slice, slice]:
    """Rows and columns that a box in coordinates of the face may reach under any pose, of a side in pixels."""
    left, top, right, bottom = box
    swing = math.sin(LARGEST_ROLL)
    across = max(abs(top), abs(bottom)) * swing + LARGEST_SHIFT + LARGEST_YAW + 0.03
    along = max(abs(left), abs(right)) * swing + LARGEST_SHIFT + 0.03

    def bounds(low: float, high: float, margin: float) -> slice:
        first, last = low / NEAREST if low < 0 else low / FARTHEST, high / NEAREST if high > 0 else high / FARTHEST
        start, stop = ((edge + 1) / 2 * side for edge in (first - margin, last + margin))
        return slice(max(0, math.floor(start)), min(side, math.ceil(stop)))

    return bounds(top, bottom, along), bounds(left, right, across)
