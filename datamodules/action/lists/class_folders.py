"""A folder a class: of videos, or of their frames as pictures."""

from __future__ import annotations

import logging
import math
import re
from collections import defaultdict
from pathlib import Path
from typing import Literal

from datamodules.action.lists.records import ActionVideo, Picture, SplitName, group_of
from datamodules.common.errors import ConfigurationError, fail, one_line
from datamodules.common.splits import known_split, split_of
from datamodules.common.walking import files_below, look_below
from datamodules.tables.columns import Table
from datamodules.tables.names import file_at, plain_name
from datamodules.tables.numbers import parse_number
from datamodules.tables.repeats import Repeats
from datamodules.video.finding import VIDEO_SUFFIXES, tell_left_out

PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
FRAME_LIST = "frames.csv"  # beside the class folders: which video a picture is from, and when it is shown
FRAME_COLUMNS = ("frame", "video", "class", "time")
OPTIONAL_FRAME_COLUMNS = ("group", "split")

_log = logging.getLogger(__name__)

FolderKind = Literal["videos", "frames"]
_NUMBERED = re.compile(r"^(.*?)[_\- ]?\d+$")  # <video>_<number>


def folder_kind(root: str | Path) -> FolderKind:
    """Whether the class folders hold videos or pictures.

    Raises:
        ConfigurationError: If there is no such folder, or it holds neither or both.
    """
    suffixes = {file.suffix.lower() for file in _files(root)}
    videos, pictures = bool(suffixes & VIDEO_SUFFIXES), bool(suffixes & PICTURE_SUFFIXES)
    if videos and pictures:
        raise ConfigurationError(
            f"the class folders below {root} hold both videos and pictures; say which count by label_format videos or "
            "frames"
        )
    return "frames" if pictures else "videos"


def read_class_folders(root: str | Path, kind: FolderKind) -> list[ActionVideo]:
    """List the videos of a folder with one folder a class.

    Where the folders of ``root`` are ``train``, ``val`` and ``test``, these are the splits and hold the classes.

    Pictures named ``<video>_<number>`` are the frames of one video, and so are those of one folder inside a class
    folder. A file ``frames.csv`` in ``root`` (columns ``frame,video,class,time`` and optionally ``group,split``), as
    ``appraise extract-frames`` writes it, says so exactly.

    Raises:
        ConfigurationError: If there is no such folder or nothing of that kind in it.
        LabelError: If ``frames.csv`` is wrong; the message names file and line.
    """
    root = Path(root)
    if kind == "frames" and (root / FRAME_LIST).is_file():
        return _listed_pictures(root)
    wanted = VIDEO_SUFFIXES if kind == "videos" else PICTURE_SUFFIXES
    base = _base(root)
    below = look_below(base, wanted)
    tell_left_out(root, below)
    found = _places(_sorted(below.files, base), root)
    _check_names(base, found, kind)
    if not found:
        what = "video" if kind == "videos" else "picture"
        raise ConfigurationError(f"{root} holds no {what} in folders named after classes; it must be ROOT/CLASS/FILE")
    if kind == "frames":
        return _numbered_pictures(found, root)
    return [
        ActionVideo(
            path=str(file),
            name=(name := file.relative_to(root.absolute()).as_posix()),
            label=label,
            group=group_of(file.stem, name),
            split=split,
            source=str(root),
        )
        for file, label, split in found
    ]


def _files(root: str | Path) -> list[Path]:
    """All files below a folder, absolute and sorted; hidden ones are passed over."""
    base = _base(root)
    return _sorted(files_below(base), base)


def _base(root: str | Path) -> Path:
    base = Path(root).absolute()
    if not base.is_dir():
        raise ConfigurationError(f"root {str(root)!r} is not a folder; give one that holds a folder for each class")
    return base


def _sorted(files: list[str], base: Path) -> list[Path]:
    return sorted(map(Path, files), key=lambda file: file.relative_to(base).as_posix())


_Place = tuple[Path, str, SplitName | None]  # file, class, split


def _places(files: list[Path], root: Path) -> list[_Place]:
    """Class and split that the folders of each file name; files beside the class folders are left out."""
    folders = [file.relative_to(root.absolute()).parts[:-1] for file in files]
    splits = all(split_of(own[0]) for own in folders if own) and any(len(own) > 1 for own in folders)
    depth = 1 if splits else 0  # of the folder that names the class
    found: list[_Place] = []
    beside: list[Path] = []
    for file, own in zip(files, folders, strict=True):
        if len(own) > depth:
            found.append((file, own[depth], split_of(own[0]) if splits else None))
        else:
            beside.append(file)
    if found and beside:
        _log.warning("left out: %d file(s) beside the class folders of %s: %s, ...", len(beside), root, beside[0].name)
    return found


def _check_names(base: Path, found: list[_Place], kind: FolderKind) -> None:
    """Name folders that give no class; a class must have a name that every file of a run can hold.

    Raises:
        ConfigurationError: If the name of a class is no UTF-8, or has control characters.
    """
    labels = {label for _, label, _ in found}
    for label in sorted(labels):
        if one_line(label) != label:
            raise ConfigurationError(f"{base}: '{one_line(label)}' cannot be the name of a class; rename the folder")
    seen = {file.relative_to(base).parts[0] for file, _, _ in found}
    empty = sorted(one.name for one in base.iterdir() if one.is_dir() and one.name[0] != "." and one.name not in seen)
    broken = sorted(one.name for one in base.iterdir() if one.is_symlink() and not one.exists() and not one.suffix)
    if empty or broken:
        names = one_line(", ".join([*empty, *(f"{name} (a link that leads nowhere)" for name in broken)]))
        _log.warning("warning: no %s in these folders of %s, so they give no class: %s", kind, base, names)


def _numbered_pictures(found: list[_Place], root: Path) -> list[ActionVideo]:
    """Gather pictures into videos by their names."""
    pictures: dict[tuple[str, str, SplitName | None], list[Path]] = defaultdict(list)
    for file, label, split in found:
        stem = _NUMBERED.match(file.stem)
        video = file.parent / (stem.group(1) if stem else file.stem)
        pictures[str(video), label, split].append(file)
    videos: list[ActionVideo] = []
    for (path, label, split), files in pictures.items():
        name = Path(path).relative_to(root.absolute()).as_posix()
        frames = tuple(Picture(str(file), math.nan) for file in sorted(files, key=_natural))
        group = group_of(Path(path).name, name)
        videos.append(ActionVideo(path, name, label, group, split=split, pictures=frames, source=str(root)))
    return videos


def _natural(file: Path) -> list[tuple[int, str]]:
    """Order of names in which frame 10 follows frame 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", file.name) if part]


def _listed_pictures(root: Path) -> list[ActionVideo]:
    """Gather pictures into videos as ``frames.csv`` says."""
    path = root / FRAME_LIST
    table = Table(path, FRAME_COLUMNS, OPTIONAL_FRAME_COLUMNS)
    frames: dict[tuple[str, str], list[Picture]] = defaultdict(list)
    facts: dict[tuple[str, str], tuple[str, SplitName | None, int]] = {}
    repeats = Repeats(path)
    for line, (frame, name, label, time, group, word) in table.records((*FRAME_COLUMNS, *OPTIONAL_FRAME_COLUMNS)):
        video = plain_name(name)
        file = Path(file_at(root, frame))
        if not file.is_file():
            raise fail(path, line, f"there is no picture {file}; extract the frames again or drop the row")
        split = known_split(path, line, word, split_of(word))
        fact = (group or group_of(Path(video).stem, video), split)
        known = facts.setdefault((video, label), (*fact, line))
        if known[:2] != fact:
            raise fail(path, line, f"{video} has another group or split here than in line {known[2]}")
        seconds = parse_number(path, line, "time", time) if time else math.nan
        if repeats.is_new(line, file, frame, **{"class": label, "video": video}):
            frames[video, label].append(Picture(str(file), seconds))
    repeats.report()
    return [
        ActionVideo(
            path=str((root / label / video).absolute()),
            name=video,
            label=label,
            group=facts[video, label][0],
            split=facts[video, label][1],
            pictures=tuple(pictures),
            source=f"{path}, line {facts[video, label][2]}",
        )
        for (video, label), pictures in frames.items()
    ]
