"""The error of a picture that cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from PIL import Image, UnidentifiedImageError

from datamodules.common.errors import ImageError, LabelError

UNREADABLE = (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError)  # Syntax: PNG's


class UnreadablePictureError(ImageError, LabelError):
    """A picture is absent or cannot be decoded: a fault of the file, or of the list that names it."""


def unreadable(
    path: str | Path, source: str, error: Exception, kind: Literal["image", "mask"] = "image"
) -> UnreadablePictureError:
    """Error with a sentence that names the file and what to do."""
    where = f"{source}: " if source else ""
    if isinstance(error, FileNotFoundError):
        return UnreadablePictureError(f"{where}there is no {kind} {path}: correct root or the name, or drop the row")
    return UnreadablePictureError(f"{where}{kind} {path} cannot be read ({error}): replace the file or drop the row")
