"""The list of videos as comma-separated text: ``video,class`` and optionally ``start,end,split,group``."""

from __future__ import annotations

from pathlib import Path

from datamodules.action.lists.records import ActionVideo, did_you_mean, group_of
from datamodules.common.errors import fail
from datamodules.common.splits import known_split, split_of
from datamodules.tables.columns import Table
from datamodules.tables.names import file_at, plain_name
from datamodules.tables.numbers import parse_number
from datamodules.tables.repeats import Repeats

REQUIRED = ("video", "class")
OPTIONAL = ("start", "end", "split", "group")


def read_video_list(path: str | Path, root: str | None, known: list[str] | None = None) -> list[ActionVideo]:
    """Read a list of videos.

    Args:
        path: UTF-8 csv with the columns ``video`` (a path relative to ``root``, or absolute) and ``class``, and any of
            ``start`` and ``end`` (seconds: only that part shows the action), ``split`` (train, val or test) and
            ``group`` (videos of one group are never split apart; by default each video is its own).
        root: Folder that the paths are relative to; None takes the folder of the list.
        known: Allowed names of classes; None allows any.

    Raises:
        LabelError: If the list is malformed, names a file that is not there, a class that is not known or a part that
            ends before it starts, or two classes to the same part; the message names file and line.
    """
    table, repeats = Table(path, REQUIRED, OPTIONAL), Repeats(path)
    base = Path(root) if root is not None else Path(path).parent
    videos: list[ActionVideo] = []
    for line, (name, label, start, end, split, group) in table.records((*REQUIRED, *OPTIONAL)):
        if not name or not label:
            raise fail(path, line, "video and class must not be empty; fill both in or drop the row")
        if known is not None and label not in known:
            raise fail(path, line, f"class {label!r} is not known: {did_you_mean(label, known)}")
        file = _file(base, name, path, line)
        first, last = _part(start, end, path, line)
        said = {"class": label, "split": split or None, "group": group or None}
        if not repeats.is_new(line, (file, first, last), name, **said):
            continue
        videos.append(
            ActionVideo(
                path=file,
                name=name,
                label=label,
                group=group or group_of(Path(file).stem, plain_name(name)),
                start=first,
                end=last,
                split=known_split(path, line, split, split_of(split)),
                source=f"{path}, line {line}",
            )
        )
    repeats.report()
    return videos


def _file(base: Path, name: str, source: str | Path, line: int) -> str:
    file = file_at(base, name)
    if not Path(file).is_file():
        raise fail(source, line, f"there is no file {file}; correct the name, give root, or drop the row")
    return file


def _part(start: str, end: str, path: str | Path, line: int) -> tuple[float, float | None]:
    first = parse_number(path, line, "start", start) if start else 0.0
    last = parse_number(path, line, "end", end) if end else None
    if first < 0:
        raise fail(path, line, f"start is {first:g} s; it must be at least 0")
    if last is not None and last <= first:
        raise fail(path, line, f"end {last:g} s is not after start {first:g} s; correct one of them")
    return first, last
