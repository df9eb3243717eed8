"""Image files that are asked about, unchanged since they were mined, in a form that browsers show."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import NamedTuple

from datamodules.common.errors import ImageError, StoreError

_SHOWN = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif"}


class Picture(NamedTuple):
    """Bytes of an image as it is sent, and their type, such as ``image/png``."""

    content: bytes
    media_type: str


def read_picture(path: Path, sha256: str) -> Picture:
    """Read an image; formats that browsers do not show are sent as PNG.

    Args:
        path: The file; from the store, never from a request.
        sha256: Of the file when it was mined.

    Raises:
        StoreError: If the file is gone, unreadable, or has changed since it was mined.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror}): put it back, or mine again") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise StoreError(
            f"{path} has changed since it was mined, so its detections no longer fit: put it back, or mine again"
        )
    if path.suffix.lower() in _SHOWN:
        return Picture(content, _SHOWN[path.suffix.lower()])
    return Picture(_as_png(path), "image/png")


def _as_png(path: Path) -> bytes:
    from datamodules.images.upright import read_picture as read_upright  # Pillow is for unusual formats alone

    try:
        target = io.BytesIO()
        read_upright(path, transparent="ignored").save(target, "PNG", compress_level=1)
    except ImageError as error:
        raise StoreError(f"{path} is no image that can be shown: convert it to PNG and mine again") from error
    return target.getvalue()
