"""Finding the videos of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from datamodules.common.errors import ConfigurationError
from datamodules.common.walking import files_below

_SUFFIXES = "3gp asf avi f4v flv m2ts m4v mkv mov mp4 mpeg mpg mts mxf ogv ts vob webm wmv y4m"
VIDEO_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())


class FoundVideo(NamedTuple):
    """A video of a folder: its absolute path, and its path relative to the folder with forward slashes."""

    path: str
    name: str


def find_videos(path: str | Path) -> list[FoundVideo]:
    """List the videos of a folder and its sub-folders, or one file, sorted by path.

    A folder gives the files whose suffix is that of a video, whatever they hold: a text file named ``.mp4`` is listed
    and reported later. Hidden files and folders are passed over. One file is taken whatever its suffix.

    Raises:
        ConfigurationError: If there is no such path, or no video in it.
    """
    root = Path(path)
    if root.is_file():
        return [FoundVideo(path=str(root.absolute()), name=root.name)]
    if not root.is_dir():
        raise ConfigurationError(f"path {str(path)!r} does not exist; give a folder of videos or one file")
    found = [Path(file) for file in files_below(root, VIDEO_SUFFIXES)]
    if not found:
        suffixes = " ".join(sorted(VIDEO_SUFFIXES))
        raise ConfigurationError(
            f"path {str(path)!r} holds no video (suffixes {suffixes}); give another folder or a file"
        )
    names = sorted((file.relative_to(root).as_posix(), file) for file in found)
    return [FoundVideo(path=str(file.absolute()), name=name) for name, file in names]
