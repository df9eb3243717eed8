"""Whether a picture's file is whole, told before a training by its beginning and its end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from PIL import TiffImagePlugin

from datamodules.images.unreadable import UNREADABLE, UnreadablePictureError, check_regular, unreadable
from datamodules.images.upright import read_picture

_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two of more than 4 GB
_HEAD: Final = 16  # bytes that are looked at
_TAIL: Final = 64
_PARTS_OF_TIFF: Final = ((273, 279), (324, 325))  # tags: places and lengths of strips, of tiles


def broken_picture(path: str | Path, source: str = "") -> UnreadablePictureError | None:
    """The error of a file that is cut off or no picture; None where it looks whole.

    A few bytes are read, of a TIFF its directory, of a file whose bytes are odd the whole.

    Args:
        path: The file.
        source: List and line for the message.
    """
    try:
        check_regular(path)
        with Path(path).open("rb") as stream:
            head = stream.read(_HEAD)
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _TAIL))
            tail = stream.read()
    except OSError as error:
        return unreadable(path, source, error)
    if _tiff_looks_whole(path, size) if head.startswith(_TIFF) else _looks_whole(head, tail, size):
        return None
    try:
        read_picture(path, source)
    except UnreadablePictureError as error:
        return error
    return None


def _looks_whole(head: bytes, tail: bytes, size: int) -> bool:
    if head.startswith(b"\xff\xd8\xff"):  # JPEG
        return b"\xff\xd9" in tail
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"IEND" in tail
    if head.startswith(b"GIF8"):
        return tail.rstrip(b"\0").endswith(b";")
    if head.startswith(b"RIFF"):  # WebP
        return int.from_bytes(head[4:8], "little") + 8 <= size
    if head.startswith(b"BM"):
        return int.from_bytes(head[2:6], "little") <= size
    return False


def _tiff_looks_whole(path: str | Path, size: int) -> bool:
    """Whether all strips or tiles of the first picture lie inside the file; its directory may be anywhere."""
    try:
        with TiffImagePlugin.TiffImageFile(path) as image:
            tags = image.tag_v2
            parts = [
                (tags[places], tags[lengths]) for places, lengths in _PARTS_OF_TIFF if {places, lengths} <= {*tags}
            ]
            return bool(parts) and all(
                place > 0 and place + length <= size for one in parts for place, length in zip(*one, strict=True)
            )
    except UNREADABLE:
        return False
