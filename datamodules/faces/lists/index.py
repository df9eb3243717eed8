"""Finding the pictures that a list names, however the collector of the pictures named files and folders."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from datamodules.common.errors import ConfigurationError
from datamodules.common.walking import files_below
from datamodules.tables.names import plain_name

_log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".jp2", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


class ImageIndex:
    """The pictures below a folder.

    Args:
        root: The folder; hidden files and folders in it are passed over.

    Raises:
        ConfigurationError: If there is no such folder.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()
        if not self.root.is_dir():
            raise ConfigurationError(f"root {root} is no folder; name the folder of the pictures")
        self._by_name: dict[str, str] = {}
        self._by_stem: dict[str, str] = {}
        start = len(str(self.root)) + 1
        for file in sorted(files_below(self.root, IMAGE_SUFFIXES)):
            name = file[start:].replace(os.sep, "/")
            parts = name.split("/")
            for first in range(len(parts)):
                own = "/".join(parts[first:])
                self._by_name.setdefault(own if own.isascii() else plain_name(own), name)
            stem = _key(parts[-1].rpartition(".")[0])
            self._by_stem.setdefault(stem, name)
            if len(parts) > 1:
                self._by_stem.setdefault(f"{_key(parts[-2])}/{stem}", name)

    def named(self, name: str) -> str | None:
        """The picture whose path, from the folder or from any folder below it, is ``name``; relative to the folder."""
        return self._by_name.get(name) or self._by_name.get(plain_name(name))

    def first(self, stems: Iterable[str]) -> str | None:
        """The picture of the first of ``stems``, each a file's name without suffix, or FOLDER/NAME."""
        for stem in stems:
            folder, _, name = stem.rpartition("/")
            found = self._by_stem.get(f"{_key(folder)}/{_key(name)}" if folder else _key(name))
            if found is not None:
                return found
        return None


def report_lacking(path: str | Path, lacking: Sequence[str], total: int, all_lack: str, some_lack: str) -> None:
    """Say which pictures of a list lack something.

    Raises:
        ConfigurationError: If all of them do.
    """
    if lacking and len(lacking) == total:
        raise ConfigurationError(f"not one of the {total} pictures of {path} {all_lack}")
    if lacking:
        named = ", ".join(lacking[:5]) + (", ..." if len(lacking) > 5 else "")
        _log.warning("warning: %d of %d pictures of %s %s: %s", len(lacking), total, path, some_lack, named)


def images_at(paths: Iterable[str | Path]) -> list[tuple[Path, str]]:
    """Pictures of folders and files, with names relative to the folder that was given.

    Raises:
        ConfigurationError: If a path does not exist or holds no picture.
    """
    found: list[tuple[Path, str]] = []
    for path in map(Path, paths):
        if path.is_file():
            found.append((path.absolute(), path.name))
            continue
        if not path.exists():
            raise ConfigurationError(f"path {str(path)!r} does not exist; give pictures, or folders of pictures")
        files = [Path(file) for file in sorted(files_below(path.absolute(), IMAGE_SUFFIXES))]
        if not files:
            suffixes = " ".join(sorted(IMAGE_SUFFIXES))
            raise ConfigurationError(f"the folder {str(path)!r} holds no picture (suffixes {suffixes}); give another")
        found += [(file, file.relative_to(path.absolute()).as_posix()) for file in files]
    return found


def _key(name: str) -> str:
    return name.casefold().replace(" ", "_")
