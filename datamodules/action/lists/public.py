"""The lists that Kinetics and UCF101 come with."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from datamodules.action.lists.records import ActionVideo, SplitName, group_of
from datamodules.common.errors import ConfigurationError, LabelError, fail
from datamodules.common.splits import split_of
from datamodules.common.walking import files_below
from datamodules.tables.columns import Table
from datamodules.tables.names import file_at, plain_name
from datamodules.tables.numbers import parse_number
from datamodules.tables.repeats import Repeats
from datamodules.tables.text import read_lines
from datamodules.video.finding import VIDEO_SUFFIXES

_log = logging.getLogger(__name__)
_NUMBER = re.compile(r"\s+\d+$", re.ASCII)  # of the class, after the name
_KINETICS = ("label", "youtube_id", "time_start", "time_end", "split")


def read_kinetics(paths: Sequence[str | Path], root: str | None) -> list[ActionVideo]:
    """Read lists of Kinetics: ``label,youtube_id,time_start,time_end,split``.

    The clips are looked for below ``root``, in any folders, under the usual name ``<id>_<start>_<end>`` with six digits
    each, or as whole videos ``<id>``, of which only the named seconds are used. Clips that are gone (a part of
    Kinetics always is) are counted, not an error.

    Args:
        paths: Lists, for example ``train.csv`` and ``validate.csv``.
        root: Folder of the clips; None takes the folder of the first list.

    Raises:
        LabelError: If a list is malformed.
        ConfigurationError: If not one of the listed clips is there.
    """
    folder = Path(root) if root is not None else Path(paths[0]).parent
    files = _files_by_stem(folder)
    videos: list[ActionVideo] = []
    absent: list[str] = []
    for path in paths:
        table, repeats = Table(path, _KINETICS[:4], None), Repeats(path)
        for line, (label, identity, start, end, word) in table.records(_KINETICS):
            first = parse_number(path, line, "time_start", start)
            last = parse_number(path, line, "time_end", end)
            if not label or last <= first:
                raise fail(path, line, f"label {label!r} from {first:g} to {last:g} s; name one, and end after start")
            if not repeats.is_new(line, (identity, first, last), identity, label=label, split=word or None):
                continue
            trimmed = f"{identity}_{int(first):06d}_{int(last):06d}"
            file = files.get(trimmed) or files.get(identity)
            if file is None:
                absent.append(identity)
                continue
            whole = file.stem != trimmed
            videos.append(
                ActionVideo(
                    path=str(file.absolute()),
                    name=file.relative_to(folder).as_posix(),
                    label=label,
                    group=identity,
                    start=first if whole else 0.0,
                    end=last if whole else None,
                    split=_kinetics_split(word or Path(path).stem, path, line),
                    source=f"{path}, line {line}",
                )
            )
        repeats.report()
    if not videos:
        raise ConfigurationError(
            f"not one of the {len(absent)} clips of {', '.join(map(str, paths))} is below {folder}; give the folder of "
            f"the clips as root (looked for {absent[0]}_<start>_<end>.mp4 and {absent[0]}.mp4)"
        )
    if absent:
        _log.warning("%d of %d listed clips are not below %s", len(absent), len(absent) + len(videos), folder)
    return videos


def read_ucf(path: str | Path, root: str | None, fold: int) -> list[ActionVideo]:
    """Read one of the three divisions of UCF101: ``trainlist01.txt`` and ``testlist01.txt``.

    Args:
        path: Folder of the lists, or one list in it.
        root: Folder of the videos, with one folder a class; None takes the folder of the lists.
        fold: Number of the division, from 1.

    Returns:
        Videos whose split is train or test, and whose group is the recording (``v_Archery_g01``).

    Raises:
        LabelError: If a list is absent or names a file that is not there; the message names file and line.
    """
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    base = Path(root) if root is not None else folder
    lists: tuple[tuple[SplitName, str], ...] = (("train", "trainlist"), ("test", "testlist"))
    videos: list[ActionVideo] = []
    for split, prefix in lists:
        file = folder / f"{prefix}{fold:02d}.txt"
        videos += _ucf_list(file, base, split)
    return videos


def _ucf_list(path: Path, base: Path, split: SplitName) -> list[ActionVideo]:
    lines = read_lines(path, "the list cannot be read ({}); give the folder of the UCF101 lists")
    videos: list[ActionVideo] = []
    repeats = Repeats(path)
    for number, text in enumerate(lines, start=1):
        name = plain_name(_NUMBER.sub("", text.strip()))
        if not name:
            continue
        label, _, rest = name.partition("/")
        if not rest:
            raise fail(path, number, f"{name!r} names no class; it must read CLASS/FILE")
        file = Path(file_at(base, name))
        if not file.is_file():
            raise fail(path, number, f"there is no file {file}; give the folder of the videos as root, or drop the row")
        if not repeats.is_new(number, file, name):
            continue
        videos.append(
            ActionVideo(
                path=str(file),
                name=name,
                label=label,
                group=group_of(file.stem, name),
                split=split,
                source=f"{path}, line {number}",
            )
        )
    if not videos:
        raise LabelError(f"{path}: the list is empty; it needs a video a line, as CLASS/FILE")
    repeats.report()
    return videos


def _kinetics_split(word: str, path: str | Path, line: int) -> SplitName:
    split = split_of(word)
    if split is None:
        raise fail(path, line, f"split {word!r} is not known; allowed are train, validate and test")
    return split


def _files_by_stem(folder: Path) -> dict[str, Path]:
    """Videos below a folder by their names without suffix; the first in sorted order of two with one name."""
    found: dict[str, Path] = {}
    for file in sorted(map(Path, files_below(folder, VIDEO_SUFFIXES))):
        found.setdefault(file.stem, file)
    return found
