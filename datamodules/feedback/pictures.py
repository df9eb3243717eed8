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
            return _upright(path, picture) if any(mark in content for mark in marks) else picture
    return _upright(path, None)


def _upright(path: Path, picture: Picture | None) -> Picture:
    """The picture as its file is where browsers show that upright, else as an upright PNG."""
    from datamodules.images.size import is_upright  # Pillow is for unusual files alone
    from datamodules.images.upright import read_picture as read_upright

    try:
        if picture is not None and is_upright(path):
            return picture
        target = io.BytesIO()
        read_upright(path, transparent="ignored").save(target, "PNG", compress_level=1)
    except ImageError as error:
        raise StoreError(f"{path} is no image that can be shown: convert it to PNG and mine again") from error
    return Picture(target.getvalue(), "image/png")
