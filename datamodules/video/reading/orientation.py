"""How a decoded picture is turned and mirrored to be upright: its display matrix, from container or bit stream."""

from __future__ import annotations

import math
import struct
from typing import Any, NamedTuple

import av
from av.sidedata.sidedata import SideData
from numpy.typing import NDArray

_TOLERANCE = 1.0  # degrees beside a quarter turn


class Orientation(NamedTuple):
    """One of the eight ways to lay a picture; applied in this order.

    Attributes:
        transposed: Whether rows become columns.
        flip_rows: Whether it is then turned upside down.
        flip_columns: Whether it is then mirrored.
    """

    transposed: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the upright picture; and back again."""
        return (height, width) if self.transposed else (width, height)

    def upright(self, picture: NDArray[Any]) -> NDArray[Any]:
        """A view of a picture ``(H, W, ...)`` as it is shown."""
        if self.transposed:
            picture = picture.swapaxes(0, 1)
        return picture[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """What the display matrix of a frame asks for; a picture at another angle than a quarter turn is left as it is."""
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV does not know one of the kinds of data beside the frame
        turns = frame.rotation // 90 % 4
        return Orientation(turns % 2 == 1, turns in (1, 2), turns in (2, 3))
    if not isinstance(data, SideData) or data.buffer_size < 36:
        return Orientation()
    return orientation_from(struct.unpack("=9i", bytes(data)[:36]))


def orientation_from(matrix: tuple[int, ...]) -> Orientation:
    """The orientation that a display matrix, nine numbers row by row as FFmpeg has it, comes nearest to.

    Example:
        >>> orientation_from((0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30))  # a phone held upright
        Orientation(transposed=True, flip_rows=False, flip_columns=True)
    """
    a, b, _, c, d = matrix[:5]
    straight, across = math.hypot(a, d), math.hypot(b, c)
    if (
        max(straight, across) == 0
        or math.degrees(math.atan2(min(straight, across), max(straight, across))) > _TOLERANCE
    ):
        return Orientation()
    return Orientation(True, b < 0, c < 0) if across > straight else Orientation(False, d < 0, a < 0)
