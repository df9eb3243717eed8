"""Where the images are that a file of labels names: paths of other machines, links of other tools."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from datamodules.common.errors import LabelError

_UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")  # what Label Studio puts before the name of an uploaded file


class ImageFinder:
    """Finds images by the names that a file gives them.

    Args:
        source: The file, for messages; images are looked for beside it.
        root: Folder below which images are looked for first; None where there is none.

    Raises:
        LabelError: If there is no such folder.
    """

    def __init__(self, source: Path, root: Path | None = None) -> None:
        if root is not None and not root.is_dir():
            raise LabelError(f"there is no folder {root} to look for images in: name one with --root DIR")
        self.source = source
        self.beside = source if source.is_dir() else source.parent
        self.root = root

    def find(self, name: str) -> Path:
        """Absolute path of an image.

        Args:
            name: Path, absolute or not, of this machine or another, or a link of Label Studio.

        Raises:
            LabelError: If it is at none of the places, at two, or no regular file.
        """
        wanted = _path_of(name)
        relative = wanted.lstrip("/")
        bare = PurePosixPath(wanted).name
        names = [relative, bare, _UPLOADED.sub("", bare)]
        folders = [self.beside, self.beside / "images", self.beside.parent / "images"]
        places = [self.root / one for one in names if self.root is not None]
        places += [Path(wanted)] if wanted.startswith("/") or Path(wanted).is_absolute() else []
        if "d" in parse_qs(urlsplit(name).query):  # below a root that only Label Studio knows: an absolute path of ours
            places.append(Path("/", relative))
        places += [folder / one for one in names if one for folder in folders]
        for place in places:
            if place.is_file():
                return place.absolute()
            if place.exists() and not place.is_dir():
                raise LabelError(f"{place} is no regular file: name an image")
        return self._below(names[1:], name)

    def _below(self, names: list[str], asked: str) -> Path:
        """The one file of such a name anywhere below the root."""
        for one in dict.fromkeys(names):
            found = self._index[one]
            if len(found) > 1:
                raise LabelError(f"there are {len(found)} images {one}, such as {found[0]} and {found[1]}: rename one")
            if found:
                return found[0]
        where = f"beside {self.source}" if self.root is None else f"below {self.root}"
        raise LabelError(f"there is no image {asked} {where}: name the folder that holds it with --root DIR")

    @cached_property
    def _index(self) -> dict[str, list[Path]]:
        from datamodules.images.finding import find_images  # Pillow is for imports alone

        index: dict[str, list[Path]] = defaultdict(list)
        for path in find_images(self.root) if self.root is not None else ():
            index[path.name].append(path.absolute())
        return index


def _path_of(name: str) -> str:
    r"""The path in a name, with slashes: of a link, of a file of Windows, or as it is.

    Example:
        >>> _path_of("/data/local-files/?d=line%203/a.png"), _path_of(r"C:\parts\a.png"), _path_of("b#1.png")
        ('line 3/a.png', 'C:/parts/a.png', 'b#1.png')
    """
    inside = parse_qs(urlsplit(name).query).get("d") if "?d=" in name else None
    if inside:
        return inside[0]
    if re.match(r"^[a-z][a-z0-9+.-]+://", name):  # http, s3, gs, file
        return unquote(urlsplit(name).path)
    return unquote(name) if name.startswith("/data/upload/") else name.replace("\\", "/")
