"""What is known of a source that is read from its beginning to its end."""

from __future__ import annotations

from fractions import Fraction
from typing import NotRequired, TypedDict


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
        transfer: FFmpeg's name of the transfer function, such as "bt709", "smpte2084" (PQ) or "arib-std-b67" (HLG);
            empty or absent where the source does not say.
        pixel_aspect: Width of an upright pixel by its height; absent where the source does not say.
    """

    name: str
    path: str
    live: bool
    width: int
    height: int
    fps: float
    duration: float
    transfer: NotRequired[str]
    pixel_aspect: NotRequired[Fraction]
