"""What is known of a source that is read from its beginning to its end."""

from __future__ import annotations

from typing import TypedDict


class StreamInfo(TypedDict):
    """What is known of a source that is read from its beginning to its end.

    Attributes:
        name: The source as the user gave it: a path, an address, ``camera:0`` or ``-``.
        path: Absolute path of a file; empty for a live source.
        live: True for a camera, an address or standard input; such a source drops frames rather than lag.
        width: Width of the upright picture in pixels.
        height: Height of the upright picture in pixels.
        fps: Average frames a second as the container states it; 0 where it does not say.
        duration: Seconds as the container states it; NaN where it does not say.
    """

    name: str
    path: str
    live: bool
    width: int
    height: int
    fps: float
    duration: float
