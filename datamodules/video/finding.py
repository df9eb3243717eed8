"""Finding the videos of a folder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from datamodules.common.errors import ConfigurationError, one_line
from datamodules.common.walking import Below, look_below

_log = logging.getLogger(__name__)

_SUFFIXES = (
    "264 265 3g2 3gp amv asf avc avi divx dv f4v flv gif h264 h265 hevc ivf m1v m2t m2ts m2v m4v mjpeg mjpg mkv mov "
    "mp4 mpe mpeg mpg mpv mts mxf nut ogm ogv rm rmvb tp trp ts vob webm wmv wtv y4m"
)
VIDEO_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())
_NAMED = 3  # files that are left out and named


class FoundVideo(NamedTuple):
    """A video of a folder: its absolute path, and its path relative to the folder with forward slashes."""

    path: str
    name: str


def find_videos(path: str | Path) -> list[FoundVideo]:
    """List the videos of a folder and its sub-folders, or one file, sorted by path.

    A folder gives the files whose suffix is that of a video, whatever they hold: a text file named ``.mp4`` is listed
    and reported later. Linked folders are looked into. Hidden files and folders are passed over, other files are
    counted in one line of the log. One file is taken whatever its suffix.

    Raises:
        ConfigurationError: If there is no such path, or no video in it.
    """
    root = Path(path)
    if root.is_file():
        return [FoundVideo(path=str(root.absolute()), name=root.name)]
    if not root.is_dir():
        what = "is a pipe, a socket or a device" if root.exists() else "does not exist"
        raise ConfigurationError(f"path {str(path)!r} {what}; give a folder of videos or one file")
    found = [Path(file) for file in videos_below(root)]
    if not found:
        suffixes = " ".join(sorted(VIDEO_SUFFIXES))
        raise ConfigurationError(
            f"path {str(path)!r} holds no video (suffixes {suffixes}); give another folder or a file"
        )
    names = sorted((file.relative_to(root).as_posix(), file) for file in found)
    return [FoundVideo(path=str(file.absolute()), name=name) for name, file in names]


def videos_below(folder: str | Path) -> list[str]:
    """Videos of a folder and its sub-folders, sorted; what is left out is counted in one line of the log."""
    below = look_below(folder, VIDEO_SUFFIXES)
    tell_left_out(folder, below)
    return sorted(below.files)


def tell_left_out(folder: str | Path, below: Below) -> None:
    """Count in one line of the log what is passed over below a folder."""
    parts = [
        _counted(below.others, "file with another suffix", "files with another suffix"),
        _counted(below.odd, "pipe, socket or device", "pipes, sockets or devices"),
        _counted(below.circles, "linked folder that leads back", "linked folders that lead back"),
    ]
    if any(parts):
        _log.info("left out of %s: %s", one_line(str(folder)), ", ".join(filter(None, parts)))


def _counted(files: Sequence[str], one: str, many: str) -> str:
    """A number of files with the names of some, first those without a suffix: they may be videos after all."""
    if not files:
        return ""
    names = sorted((Path(file).name for file in files), key=lambda name: (bool(Path(name).suffix), name))
    more = ", ..." if len(names) > _NAMED else ""
    return f"{len(names)} {one if len(names) == 1 else many} ({one_line(', '.join(names[:_NAMED]))}{more})"
