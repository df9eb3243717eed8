"""Names of files in lists: one file has many spellings."""

from __future__ import annotations

import os
import posixpath
import unicodedata
from pathlib import Path


def plain_name(name: str) -> str:
    r"""One spelling for all of a name: ``./a``, ``x//a``, ``x\a`` of Windows, letters with accents in one or two parts.

    Example:
        >>> [plain_name(name) for name in ("./a.mp4", "x//a.mp4", "x\\a.mp4", "")]
        ['a.mp4', 'x/a.mp4', 'x/a.mp4', '']
    """
    return unicodedata.normalize("NFC", posixpath.normpath(name.replace("\\", "/"))) if name else ""


def file_at(folder: str | Path, name: str) -> str:
    r"""Absolute path of a file that a list names, the same for all spellings of it; it need not be there.

    A name that is there as it is written is taken so; else ``\`` parts folders, as Windows writes it, and letters with
    accents may be in one part or in two.

    Args:
        folder: Folder that the list's names are relative to.
        name: The name; ``~/`` is the home.
    """
    base = Path(folder).absolute()
    own = Path(name).expanduser() if name.startswith("~/") else Path(name)
    written = base / own
    found = written
    if (not name.isascii() or "\\" in name) and not written.exists():
        slashes = name.replace("\\", "/")
        others = [base / slashes, *(base / unicodedata.normalize(form, slashes) for form in ("NFC", "NFD"))]
        found = next((other for other in others if other.exists()), others[0])
    return os.path.realpath(found) if ".." in found.parts else str(found)
