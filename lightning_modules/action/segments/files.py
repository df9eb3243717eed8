"""Segments as files: ActivityNet JSON, CSV, SRT and WebVTT; every file is written at once, in UTF-8."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from datamodules.common.atomic_write import write_text
from datamodules.common.errors import LabelError, fail
from datamodules.tables.columns import Table
from datamodules.tables.csv import csv_text
from datamodules.tables.json import read_json
from datamodules.tables.numbers import number_of
from lightning_modules.action.segments.machine import Segment

VERSION = "VERSION 1.3"  # of the ActivityNet challenge whose layout this is
FIELDS = ("label", "start", "end", "duration", "score")
DIGITS = 6  # of seconds: finer than the clock of any container in use


class ActivityNetFile(NamedTuple):
    """What an ActivityNet file holds.

    Attributes:
        segments: Of each video in order of time; the score of a labelled segment is 1.
        durations: Seconds of each video, where the file says.
        subsets: Such as "training", "validation" or "testing", where the file says.
    """

    segments: dict[str, list[Segment]]
    durations: dict[str, float]
    subsets: dict[str, str]


def fit_segments(segments: Sequence[Segment], duration: float | None = None) -> list[Segment]:
    """Segments in order of time, cut to the video; what lies outside of it is left out.

    Args:
        segments: In any order.
        duration: Seconds of the video; None, NaN or 0 where it is not known.

    Example:
        >>> fit_segments([Segment("b", 2.0, 9.0), Segment("a", -0.5, 2.0)], 4.0)[1]
        Segment(label='b', start=2.0, end=4.0, score=1.0)
    """
    last = duration if duration is not None and duration > 0 else math.inf
    cut = [Segment(one.label, max(one.start, 0.0), min(one.end, last), one.score) for one in segments]
    kept = [one for one in cut if one.start < last and one.end >= one.start]
    return sorted(kept, key=lambda one: (one.start, one.end))


def write_activitynet(
    path: str | Path,
    segments: Mapping[str, Sequence[Segment]],
    *,
    kind: Literal["results", "truth"] = "results",
    durations: Mapping[str, float] | None = None,
    subset: str = "validation",
) -> None:
    """Write segments of many videos as ActivityNet JSON.

    Args:
        path: File.
        segments: Of each video, by its name.
        kind: ``results`` is the layout of submissions, ``{"results": {video: [{label, score, segment}]}}``; ``truth``
            that of labels, ``{"database": {video: {duration, subset, annotations: [{segment, label}]}}}``; a
            ``segment`` is ``[start, end]`` in seconds.
        durations: Seconds of each video; segments are cut to them.
        subset: Of every video, in a ``truth``.
    """
    known = durations or {}
    fitted = {video: fit_segments(found, known.get(video)) for video, found in segments.items()}
    content: dict[str, object] = {"version": VERSION}
    if kind == "results":
        content |= {"results": {video: [_result(one) for one in found] for video, found in fitted.items()}}
        content |= {"external_data": {"used": False, "details": ""}}
    else:
        content["database"] = {
            video: {
                "duration": round(known.get(video, max((one.end for one in found), default=0.0)), DIGITS),
                "subset": subset,
                "annotations": [{"segment": _times(one), "label": one.label} for one in found],
            }
            for video, found in fitted.items()
        }
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def read_activitynet(path: str | Path) -> ActivityNetFile:
    """Read an ActivityNet file, labels (``database``) or results (``results``).

    Raises:
        LabelError: If the file is missing or malformed; the message names the video and the place.
    """
    content = read_json(path, "give a file in the layout of ActivityNet")
    if not isinstance(content, dict) or not ("database" in content or "results" in content):
        raise LabelError(
            f'{path} has neither "database" nor "results" at its top; give a file in the layout of ActivityNet.'
        )
    known = ActivityNetFile({}, {}, {})
    for video, entry in _object(path, content.get("database", {}), '"database"').items():
        fields = _object(path, entry, f"video {video!r}")
        known.segments[video] = _segments(path, video, fields.get("annotations", []))
        duration = fields.get("duration")
        if isinstance(duration, int | float):
            known.durations[video] = float(duration)
        if "subset" in fields:
            known.subsets[video] = str(fields["subset"])
    if "database" not in content:
        for video, entry in _object(path, content["results"], '"results"').items():
            known.segments[video] = _segments(path, video, entry)
    return known


def write_segment_csv(path: str | Path, segments: Sequence[Segment], duration: float | None = None) -> None:
    """Write segments of one video as CSV with the columns label, start, end, duration (seconds) and score."""
    rows = [
        [one.label, *(f"{value:.{DIGITS}f}" for value in (one.start, one.end, one.duration, one.score))]
        for one in fit_segments(segments, duration)
    ]
    write_text(path, csv_text(FIELDS, rows))


def read_segment_csv(path: str | Path) -> list[Segment]:
    """Read what :func:`write_segment_csv` wrote; only label, start and end must be there.

    Raises:
        LabelError: If the file is missing or malformed; the message names the line.
    """
    needed = ("label", "start", "end")
    table = Table(path, needed, may_be_empty=True, exact=True)  # a video may show none
    segments = []
    for line, (label, start, end, score) in table.records((*needed, "score")):
        try:
            segments.append(_segment(label, start, end, score or 1.0))
        except ValueError as error:
            raise fail(
                path,
                line,
                f"{label},{start},{end},{score} is no segment ({error}); each row needs label, start and end in "
                "seconds.",
            ) from error
    return segments


def write_srt(path: str | Path, segments: Sequence[Segment], duration: float | None = None) -> None:
    """Write segments of one video as SubRip subtitles, so that any player shows the labels."""
    cues = [
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{_one_line(one.label)}\n"
        for number, (one, start, end) in enumerate(_cues(segments, duration), start=1)
    ]
    write_text(path, "\n".join(cues))


def write_vtt(path: str | Path, segments: Sequence[Segment], duration: float | None = None) -> None:
    """Write segments of one video as WebVTT subtitles, the format that web pages show."""
    escaped = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
    cues = [
        f"{_clock(start, '.')} --> {_clock(end, '.')}\n{_one_line(one.label).translate(escaped)}\n"
        for one, start, end in _cues(segments, duration)
    ]
    write_text(path, "\n".join(["WEBVTT\n", *cues]))


def _times(segment: Segment) -> list[float]:
    return [round(segment.start, DIGITS), round(segment.end, DIGITS)]


def _result(segment: Segment) -> dict[str, object]:
    return {"label": segment.label, "score": round(segment.score, DIGITS), "segment": _times(segment)}


def _cues(segments: Sequence[Segment], duration: float | None) -> list[tuple[Segment, int, int]]:
    """Segments with begin and end in milliseconds; players drop a cue without length, so each has one at least."""
    cues = []
    for one in fit_segments(segments, duration):
        start = round(one.start * 1000)
        cues.append((one, start, max(round(one.end * 1000), start + 1)))
    return cues


def _clock(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"


def _one_line(label: str) -> str:
    """A label that cannot end its cue early or look like a line of times."""
    return " ".join(label.split()).replace("-->", "->")


def _object(path: str | Path, value: object, place: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise LabelError(f"{path}: {place} holds {str(value)[:60]!r}; it must be an object.")
    return value


def _segments(path: str | Path, video: str, entries: object) -> list[Segment]:
    if not isinstance(entries, list):
        raise LabelError(f"{path}: video {video!r} holds {str(entries)[:60]!r}; it must hold a list of segments.")
    segments = []
    for number, entry in enumerate(entries, start=1):
        try:
            start, end = entry["segment"]
            segments.append(_segment(entry["label"], start, end, entry.get("score", 1.0)))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise LabelError(
                f"{path}: video {video!r}, entry {number}: {str(entry)[:120]} is no segment ({error}); give a label "
                "and a segment [start, end] in seconds."
            ) from error
    return sorted(segments, key=lambda one: (one.start, one.end))


def _segment(label: object, start: str | float, end: str | float, score: str | float) -> Segment:
    if not isinstance(label, str) or not label:
        raise ValueError(f"the label is {label!r}")
    segment = Segment(label, _number(start), _number(end), _number(score))
    if not (math.isfinite(segment.duration) and segment.duration >= 0 and math.isfinite(segment.score)):
        raise ValueError("the end must not be before the start, and numbers must be finite")
    return segment


def _number(value: str | float) -> float:
    if isinstance(value, str):
        found = number_of(value.strip())
        if found is None:
            raise ValueError(f"{value!r} is not a number")
        return found
    return float(value)
