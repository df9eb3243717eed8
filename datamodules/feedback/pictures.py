"""Image files that are asked about, unchanged since they were mined, in a form that browsers show."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path
from typing import NamedTuple

from datamodules.common.errors import ImageError, StoreError

# How the files begin that browsers show, the types that they are sent as, and what stands in them where an orientation
# may be that browsers do not turn them by: all know the EXIF of a JPEG, and nothing else.
_SHOWN = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png", (b"eXIf", b"Raw profile type", b"tiff:Orientation")),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg", (b"tiff:Orientation",)),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp", (b"EXIF", b"tiff:Orientation")),
    (re.compile(rb"GIF8[79]a"), "image/gif", (b"tiff:Orientation",)),
)
_BITS_OF_PNG = 24  # where a PNG says how many bits a channel has


class Picture(NamedTuple):
    """Bytes of an image as it is sent, and their type, such as ``image/png``."""

    content: bytes
    media_type: str


def read_picture(path: Path, sha256: str) -> Picture:
    """Read an image upright; what browsers do not show, or would show turned, is sent as PNG.

    Args:
        path: The file; from the store, never from a request.
        sha256: Of the file when it was mined.

    Raises:
        StoreError: If the file is gone, no regular file, unreadable, or has changed since it was mined.
    """
    if path.exists() and not path.is_file():  # a device or a pipe would never end
        raise StoreError(f"{path} is no regular file: put the image back, or mine again")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror}): put it back, or mine again") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise StoreError(
            f"{path} has changed since it was mined, so its detections no longer fit: put it back, or mine again"
        )
    for beginning, media_type, marks in _SHOWN:
        if beginning.match(content):
            picture = Picture(content, media_type)
            is_deep = media_type == "image/png" and content[_BITS_OF_PNG : _BITS_OF_PNG + 1] == b"\x10"
            return _as_png(path) if is_deep else _upright(path, picture) if _has_any(content, marks) else picture
    return _as_png(path)


def _has_any(content: bytes, marks: tuple[bytes, ...]) -> bool:
    return any(mark in content for mark in marks)


def _upright(path: Path, picture: Picture) -> Picture:
    """The picture as its file is where browsers show that upright, else as an upright PNG."""
    from datamodules.images.size import is_upright  # Pillow is for unusual files alone

    try:
        return picture if is_upright(path) else _as_png(path)
    except ImageError as error:
        raise StoreError(f"{path} is no image that can be shown: convert it to PNG and mine again") from error


def _as_png(path: Path) -> Picture:
    """The picture upright with 8 bits; of more bits the brightest range that it fills, so that none is in the dark."""
    from datamodules.images.levels import white_of
    from datamodules.images.upright import picture_levels
    from datamodules.images.upright import read_picture as read_upright

    try:
        levels = picture_levels(path)
        white = None if levels is None else white_of([levels])
        target = io.BytesIO()
        read_upright(path, transparent="ignored", white_level=white).save(target, "PNG", compress_level=1)
    except ImageError as error:
        raise StoreError(f"{path} is no image that can be shown: convert it to PNG and mine again") from error
    return Picture(target.getvalue(), "image/png")
