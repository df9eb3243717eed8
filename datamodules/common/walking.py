"""Walking through folders."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from datamodules.common.errors import one_line

_log = logging.getLogger(__name__)


@dataclass
class Below:
    """What lies below a folder, as texts: objects of paths would take most of the time for 200,000 pictures.

    Attributes:
        files: Those that are wanted, in any order; a link that leads nowhere is one, and is named when it is read.
        others: Files with another suffix.
        odd: Pipes, sockets and devices, which nobody may open: that may wait for ever.
        circles: Linked folders that lead back to a folder they lie in.
    """

    files: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    circles: list[str] = field(default_factory=list)


def files_below(folder: str | Path, suffixes: Collection[str] | None = None) -> list[str]:
    """Files of a folder and its sub-folders in any order, linked ones too; hidden files and folders are passed over.

    Args:
        folder: The folder.
        suffixes: Endings that are wanted, in lower case with their dot; None takes every file.
    """
    below = look_below(folder, suffixes)
    if below.odd:
        _log.warning(
            "warning: left out, since they are no files but pipes or the like: %s", one_line(str(below.odd[:5]))
        )
    return below.files


def look_below(folder: str | Path, suffixes: Collection[str] | None = None) -> Below:
    """The same, and what is left out; a folder that may not be read is named in the log."""
    below = Below()
    waiting: list[tuple[str, tuple[str, ...]]] = [(str(folder), ())]
    while waiting:
        place, trail = waiting.pop()
        try:
            with os.scandir(place) as entries:
                seen = [entry for entry in entries if not entry.name.startswith(".")]
            for entry in seen:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, trail))
                elif not entry.is_symlink() or not os.path.isdir(entry.path):  # noqa: PTH112  # as below
                    _sort(entry, suffixes, below)
                elif _contains(entry.path, longer := (*trail, os.path.realpath(place))):
                    below.circles.append(entry.path)
                else:
                    waiting.append((entry.path, longer))
        except OSError as error:
            _log.warning("warning: %s is left out: it cannot be looked into (%s)", one_line(place), error.strerror)
    return below


def _sort(entry: os.DirEntry[str], suffixes: Collection[str] | None, below: Below) -> None:
    name = entry.name
    if suffixes is not None and name[name.rfind(".") :].lower() not in suffixes:
        below.others.append(entry.path)
    elif entry.is_file(follow_symlinks=False) or _is_file_or_nothing(entry):
        below.files.append(entry.path)
    else:
        below.odd.append(entry.path)


def _is_file_or_nothing(entry: os.DirEntry[str]) -> bool:
    """Whether a link leads to a file, or nowhere; texts, since objects of paths would take most of the time."""
    linked = entry.is_symlink()
    return linked and (os.path.isfile(entry.path) or not os.path.exists(entry.path))  # noqa: PTH110, PTH113


def _contains(link: str, places: tuple[str, ...]) -> bool:
    """Whether a linked folder is one of these places, or holds one."""
    target = os.path.join(os.path.realpath(link), "")  # noqa: PTH118  # as above
    return any(os.path.join(place, "").startswith(target) for place in places)  # noqa: PTH118  # as above
