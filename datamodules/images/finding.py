"""Finding the pictures of a folder."""

from __future__ import annotations

from pathlib import Path

from datamodules.common.errors import ConfigurationError
from datamodules.common.walking import files_below

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


def find_images(folder: str | Path) -> list[Path]:
    """List the images of a folder and its sub-folders, sorted by path; hidden files are passed over."""
    return sorted(map(Path, files_below(folder, IMAGE_SUFFIXES)))


def images_at(path: str | Path) -> list[Path]:
    """List the images of a folder, or one file whatever its suffix.

    Raises:
        ConfigurationError: If there is no such path, or no image in it.
    """
    place = Path(path)
    if place.is_file():
        return [place.absolute()]
    if not place.is_dir():
        raise ConfigurationError(f"path {str(path)!r} does not exist; give a folder of images or one file")
    found = [file.absolute() for file in find_images(place)]
    if not found:
        suffixes = " ".join(sorted(IMAGE_SUFFIXES))
        raise ConfigurationError(
            f"path {str(path)!r} holds no image (suffixes {suffixes}); give another folder or a file"
        )
    return found


def folder_named(root: str | Path, name: str) -> Path | None:
    """The folder of this name in ``root``, else the only one whose name differs in capitals alone; None without one."""
    own = Path(root) / name
    if own.is_dir() or not Path(root).is_dir():
        return own if own.is_dir() else None
    near = [place for place in Path(root).iterdir() if place.name.lower() == name.lower() and place.is_dir()]
    return near[0] if len(near) == 1 else None


def folders_in(root: str | Path) -> list[str]:
    """Names of the folders in ``root``, sorted, for messages."""
    return sorted(place.name for place in Path(root).iterdir() if place.is_dir()) if Path(root).is_dir() else []
