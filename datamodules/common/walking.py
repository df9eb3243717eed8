"""Walking through folders."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path


def files_below(folder: str | Path, suffixes: Collection[str] | None = None) -> list[str]:
    """Files of a folder and its sub-folders in any order; hidden files and folders are passed over.

    They are texts: objects of paths would take most of the time for the 200,000 pictures of a large list.

    Args:
        folder: The folder.
        suffixes: Endings that are wanted, in lower case with their dot; None takes every file.
    """
    found: list[str] = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        seen = [name for name in files if not name.startswith(".")]
        kept = seen if suffixes is None else [name for name in seen if name[name.rfind(".") :].lower() in suffixes]
        found += [os.path.join(place, name) for name in kept]  # noqa: PTH118  # as above
    return found
