"""Cutting a face out of its picture: the box with a margin, made square, resized once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image


class Square(NamedTuple):
    """A square in pixels of a picture; it may reach beyond the picture."""

    left: float
    top: float
    side: float


def square_of(box: Sequence[float] | NDArray[np.float32] | None, size: tuple[int, int], margin: float) -> Square:
    """The square that is cut.

    Args:
        box: Left, top, right and bottom of the face; None, or NaN, takes the largest square in the picture's middle.
        size: Width and height of the picture.
        margin: What is added to each side, as a share of the box's longer side; not to a whole picture.

    Example:
        >>> square_of((10, 20, 30, 60), (100, 100), 0.25)
        Square(left=-10.0, top=10.0, side=60.0)
        >>> square_of(None, (120, 100), 0.25)
        Square(left=10.0, top=0.0, side=100)
    """
    width, height = size
    if box is None or any(math.isnan(float(edge)) for edge in box):
        whole = min(size)
        return Square((width - whole) / 2, (height - whole) / 2, whole)
    left, top, right, bottom = (float(edge) for edge in box)
    side = max(right - left, bottom - top) * (1 + 2 * margin)
    return Square((left + right - side) / 2, (top + bottom - side) / 2, side)


def cut_face(image: Image.Image, square: Square, size: int) -> NDArray[np.uint8]:
    """Cut a square and resize it once to a side S, smoothed where it shrinks; beyond the picture its border goes on.

    Returns:
        uint8 ``(3, S, S)``.
    """
    left, top = math.floor(square.left), math.floor(square.top)
    right, bottom = math.ceil(square.left + square.side), math.ceil(square.top + square.side)
    inside = (max(left, 0), max(top, 0), min(right, image.width), min(bottom, image.height))
    pixels = image if inside == (0, 0, image.width, image.height) else image.crop(inside)
    missing = (inside[1] - top, bottom - inside[3]), (inside[0] - left, right - inside[2])
    if any(edge > 0 for pair in missing for edge in pair):
        pixels = Image.fromarray(np.pad(np.asarray(pixels), (*missing, (0, 0)), mode="edge"))
    place = (square.left - left, square.top - top)
    window = (*place, place[0] + square.side, place[1] + square.side)
    resized = pixels.resize((size, size), Image.Resampling.BICUBIC, box=window)
    return np.ascontiguousarray(np.asarray(resized).transpose(2, 0, 1))
