"""Label lists of video quality: five formats, each read as what it is said to be and never guessed.

========================  ============================================================  ==========================
format                    a record                                                      what else it tells
========================  ============================================================  ==========================
``kvq``                   ``filename,score`` (header)                                   reference = row // 7 and
                                                                                        pattern = row % 7
``duration_fps_mos``      ``path, duration, fps, mos`` (no header; -1 where unknown)    nothing
``ksvqe``                 ``path,cls,dis,mos`` (no header)                              pattern = dis
``divide``                ``path, aesthetic, technical, overall`` (no header)           nothing
``manifest``              ``file,mos`` and optional ``pattern,reference,split,x1,y1,x2,y2`` (header)  all of it
========================  ============================================================  ==========================
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from datamodules.common.errors import ConfigurationError, LabelError, fail
from datamodules.common.splits import SplitName as SplitName
from datamodules.common.splits import strict_split
from datamodules.tables.columns import Table, check_width
from datamodules.tables.names import file_at, plain_name
from datamodules.tables.numbers import parse_integer, parse_number
from datamodules.tables.repeats import Repeats
from datamodules.tables.rows import Row, read_rows

LabelFormat = Literal["kvq", "duration_fps_mos", "ksvqe", "divide", "manifest"]
DivideColumn = Literal["aesthetic", "technical", "overall"]
KVQ_GROUP = 7  # one source and its six processed versions
_CORNERS = ("x1", "y1", "x2", "y2")


@dataclass(frozen=True)
class LabelledVideo:
    """One record of a label list.

    Attributes:
        path: Absolute path of the file.
        name: The path as the list writes it.
        mos: Mean opinion score; NaN where the list gives none.
        pattern: Number of the processing pattern; -1 where unknown.
        reference: Name of the source that the video was made from; None where the format does not tell.
        region: Region that counts as x1, y1, x2, y2 in pixels of the upright source; None where unknown.
        line: Line of the list, from 1; 0 for a file that was found in a folder.
        split: The split that the list itself names; None where it names none.
    """

    path: str
    name: str
    mos: float = math.nan
    pattern: int = -1
    reference: str | None = None
    region: tuple[float, float, float, float] | None = None
    line: int = 0
    split: SplitName | None = None


@dataclass(frozen=True)
class RankPair:
    """Two videos of which people preferred one: the first by rank 1, the second by rank 2; and the line of the list."""

    video1: str
    video2: str
    rank: Literal[1, 2]
    group: Literal["source", "nonsource"]
    line: int


_Scored = tuple[str, LabelledVideo]  # a score that is still text, and the rest of its record, without a path yet


def read_labels(
    path: str | Path,
    label_format: LabelFormat,
    root: str | Path | None = None,
    *,
    divide_column: DivideColumn = "overall",
    require_scores: bool = True,
    require_files: bool = True,
) -> list[LabelledVideo]:
    """Read a label list and check every line of it.

    Args:
        path: The list.
        label_format: What the list is; nothing is guessed from its name or content.
        root: Folder that the names are relative to; None means the folder of the list.
        divide_column: Which of the three scores of the ``divide`` format is the label.
        require_scores: Reject an empty score; False (for ``predict``) reads it as NaN.
        require_files: Reject a video that does not exist.

    Returns:
        The videos in the order of the list, at least one; a row that repeats another counts once.

    Raises:
        LabelError: If the list is empty or malformed, a score is missing, NaN or infinite, two rows contradict each
            other over a video or a video does not exist; the message names the list and the line.
        ConfigurationError: If ``label_format`` is none of the five.
    """
    path = Path(path)
    folder = Path(root) if root is not None else path.parent
    if label_format not in _READERS:
        raise ConfigurationError(f"label_format is {label_format!r}; allowed are {', '.join(_READERS)}")
    videos = [
        replace(
            video,
            path=file_at(folder, video.name),
            mos=_score(path, video, score) if score or require_scores else math.nan,
        )
        for score, video in _READERS[label_format](path, divide_column)
    ]
    videos = _once(path, videos)
    if require_files:
        _check_present(path, videos)
    return videos


def read_rank_pairs(path: str | Path, names: Iterable[str] | None = None) -> list[RankPair]:
    """Read a csv ``video1,video2,rank,group`` of rank pairs between known names; with None any name will do.

    Raises:
        LabelError: If it is malformed, a rank is not 1 or 2, a group is neither "source" nor "nonsource", a video is
            in none of the label lists, or two rows contradict each other over a pair.
    """
    columns = ("video1", "video2", "rank", "group")
    table = Table(path, columns, [])
    known = None if names is None else {plain_name(name): name for name in names}
    pairs, repeats = [], Repeats(path)
    for line, (first, second, rank, group) in table.records(columns):
        if rank not in ("1", "2"):
            raise fail(path, line, f"rank {rank!r} must be 1 (video1 is better) or 2 (video2 is better)")
        if group not in ("source", "nonsource"):
            raise fail(path, line, f"group {group!r} must be 'source' or 'nonsource'")
        for name in (first, second):
            if not name or (known is not None and plain_name(name) not in known):
                raise fail(path, line, f"video {name!r} is in no label list; correct the name or drop the pair")
        own = (plain_name(first), plain_name(second))
        better = first if rank == "1" else second
        if not repeats.is_new(line, frozenset(own), f"{first}, {second}", better=plain_name(better)):
            continue
        if known is not None:
            first, second = (known[name] for name in own)
        pairs.append(
            RankPair(first, second, 1 if rank == "1" else 2, "source" if group == "source" else "nonsource", line)
        )
    repeats.report()
    return pairs


def _kvq(path: Path, _: DivideColumn) -> Iterator[_Scored]:
    """``filename,score`` in groups of seven consecutive rows; the order is the only sign of source and pattern."""
    table = Table(path, ["filename", "score"], [])
    if table.columns != ("filename", "score"):
        raise fail(path, 1, f"the header is {','.join(table.columns)}; the kvq format has filename,score")
    names = table.column("filename")
    _check_consecutive(path, table.rows, names)
    if len(names) % KVQ_GROUP:
        raise LabelError(
            f"{path}: {len(names)} rows are no whole number of groups of {KVQ_GROUP} (a source and its six versions); "
            "restore the missing rows or use label_format manifest"
        )
    for number, (line, (name, score)) in enumerate(table.records(table.columns)):
        first = names[number - number % KVQ_GROUP]
        yield score, LabelledVideo("", name, pattern=number % KVQ_GROUP, reference=first, line=line)


def _check_consecutive(path: Path, rows: list[Row], names: list[str]) -> None:
    """Raise unless the names are one prefix and rising numbers without a gap: a sorted or filtered list misleads."""
    expected: tuple[str, int] | None = None
    for row, name in zip(rows, names, strict=True):
        match = re.fullmatch(r"(.*?)(\d+)(\.\w+)", name)
        if match is None:
            raise fail(path, row.line, f"{name!r} does not end in a number, as every name of the kvq format does")
        found = (match[1], int(match[2]))
        if expected is not None and found != expected:
            raise fail(
                path,
                row.line,
                f"{name!r} breaks the order (number {expected[1]} was expected); the kvq format reads source and "
                "pattern from the order, so give the list as it was released",
            )
        expected = (found[0], found[1] + 1)


def _four_fields(path: Path) -> Iterator[tuple[int, str, str, str, str]]:
    """Line and fields of records of four fields without a header; a name that holds a comma needs quotes."""
    for row in read_rows(path, width=4):
        check_width(path, row, 4)
        name, first, second, third = row.fields
        yield row.line, name, first, second, third


def _duration_fps_mos(path: Path, _: DivideColumn) -> Iterator[_Scored]:
    for line, name, duration, fps, mos in _four_fields(path):
        parse_number(path, line, "duration", duration)
        parse_number(path, line, "fps", fps)
        yield mos, LabelledVideo("", name, line=line)


def _ksvqe(path: Path, _: DivideColumn) -> Iterator[_Scored]:
    for line, name, kind, distortion, mos in _four_fields(path):
        parse_integer(path, line, "cls", kind)  # the released program reads it and never uses it
        yield mos, LabelledVideo("", name, pattern=parse_integer(path, line, "dis", distortion), line=line)


def _divide(path: Path, column: DivideColumn) -> Iterator[_Scored]:
    columns = get_args(DivideColumn)
    if column not in columns:
        raise ConfigurationError(f"divide_column is {column!r}; it must be one of {', '.join(columns)}")
    for line, name, *scores in _four_fields(path):
        for other, text in zip(columns, scores, strict=True):
            if text:
                parse_number(path, line, f"{other} score", text)
        yield scores[columns.index(column)], LabelledVideo("", name, line=line)


def _manifest(path: Path, _: DivideColumn) -> Iterator[_Scored]:
    known, optional = ("file", "mos"), ("pattern", "reference", "split", *_CORNERS)
    for line, texts in Table(path, known, optional).records((*known, *optional)):
        name, score, pattern, reference, split, *corners = texts
        video = LabelledVideo(
            "",
            name,
            line=line,
            pattern=parse_integer(path, line, "pattern", pattern) if pattern else -1,
            reference=reference or None,
            region=_region(path, line, corners),
            split=strict_split(path, line, split),
        )
        yield score, video


_READERS: dict[LabelFormat, Callable[[Path, DivideColumn], Iterable[_Scored]]] = {
    "kvq": _kvq,
    "duration_fps_mos": _duration_fps_mos,
    "ksvqe": _ksvqe,
    "divide": _divide,
    "manifest": _manifest,
}


def _region(path: Path, line: int, texts: list[str]) -> tuple[float, float, float, float] | None:
    if not any(texts):
        return None
    x1, y1, x2, y2 = (parse_number(path, line, name, text) for name, text in zip(_CORNERS, texts, strict=True))
    if not (0 <= x1 < x2 and 0 <= y1 < y2):
        raise fail(path, line, f"region {x1:g},{y1:g},{x2:g},{y2:g} must hold 0 <= x1 < x2 and 0 <= y1 < y2")
    return x1, y1, x2, y2


def _once(path: Path, videos: list[LabelledVideo]) -> list[LabelledVideo]:
    """The videos without rows that repeat others."""
    repeats, kept = Repeats(path), []
    for video in videos:
        if not video.name:
            raise fail(path, video.line, "the name of the video is empty; write its path")
        said = {
            "score": None if math.isnan(video.mos) else video.mos,
            "pattern": video.pattern,
            "reference": video.reference,
            "region": video.region,
            "split": video.split,
        }
        if repeats.is_new(video.line, video.path, video.name, **said):
            kept.append(video)
    repeats.report()
    return kept


def _score(path: Path, video: LabelledVideo, score: str) -> float:
    if score == "":
        raise fail(path, video.line, f"{video.name!r} has no score; only predict works without one")
    return parse_number(path, video.line, f"the score of {video.name!r},", score)


def _check_present(path: Path, videos: list[LabelledVideo]) -> None:
    absent = [video for video in videos if not Path(video.path).is_file()]
    if absent:
        more = f" ({len(absent)} of {len(videos)} videos are absent)" if len(absent) > 1 else ""
        raise fail(
            path,
            absent[0].line,
            f"there is no video {absent[0].path}{more}; correct root, or drop the row",
        )
