"""The error of a picture that cannot be read."""

from __future__ import annotations

import logging
import stat
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from PIL import Image, UnidentifiedImageError

from datamodules.common.errors import ImageError, LabelError

_log = logging.getLogger(__name__)

# What Pillow raises on damaged files, beside its own errors: of some formats anything that their code stumbles over.
UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    AssertionError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    struct.error,
    zlib.error,
    UnidentifiedImageError,
    Image.DecompressionBombError,
)


class UnreadablePictureError(ImageError, LabelError):
    """A picture is absent or cannot be decoded: a fault of the file, or of the list that names it."""


def unreadable(
    path: str | Path, source: str, error: Exception, kind: Literal["image", "mask"] = "image"
) -> UnreadablePictureError:
    """Error with a sentence that names the file and what to do."""
    where = f"{source}: " if source else ""
    if isinstance(error, FileNotFoundError):
        return UnreadablePictureError(f"{where}there is no {kind} {path}: correct root or the name, or drop the row")
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, UnidentifiedImageError):  # Pillow's text has the address of its stream
        reason = "the file is no picture of a known format" if Path(path).stat().st_size else "the file is empty"
    return UnreadablePictureError(f"{where}{kind} {path} cannot be read ({reason}): replace the file or drop the row")


def check_regular(path: str | Path) -> None:
    """Refuse what would be waited for, or read, without end: a pipe, a device.

    Raises:
        OSError: If the path is absent or no regular file.
    """
    if not stat.S_ISREG(Path(path).stat().st_mode):
        raise OSError("it is no regular file")


class UnreadableFiles:
    """Names files that could not be read and were passed over, each once, and counts them at the end of a run."""

    def __init__(self) -> None:
        self._named: set[str] = set()

    def name(self, errors: Iterable[str]) -> None:
        """Name what the rows of a batch say; an empty text is a row that was read."""
        for error in errors:
            if error and error not in self._named:
                self._named.add(error)
                _log.warning("warning: skipped: %s", error)

    def count(self, stage: str) -> None:
        """Say how many there were; in ``predict`` the writer of the rows does."""
        if self._named and stage != "predict":
            _log.warning(
                "warning: %d picture(s) could not be read and were skipped in %s", len(self._named), str(stage)
            )
        self._named = set()
