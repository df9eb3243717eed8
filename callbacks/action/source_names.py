"""What the files of a source are called, and the line that tells of it."""

from __future__ import annotations

import glob
import os
import re
import unicodedata
from collections.abc import Collection
from pathlib import Path

from callbacks.action.source_annotation import SourceResult, counted
from datamodules.common.atomic_write import output_name
from datamodules.common.errors import one_line
from datamodules.video.streaming.info import StreamInfo

_VIDEOS = (".mp4", ".avi")
_OTHERS = (".annotated.mp4", ".annotated.avi", ".segments.csv", ".srt", ".vtt", ".png")


def plain_name(info: StreamInfo) -> str:
    """Name of a source's files: a file's without suffix, a live source's with all but letters and digits replaced.

    It has 200 bytes at most, and neither control characters nor bytes that are no UTF-8.

    Example:
        >>> plain_name({"name": "rtsp://host:8554/door", "path": ""})
        'rtsp_host_8554_door'
    """
    if info["path"]:
        return output_name(Path(info["path"]).stem)
    return "stdin" if info["name"] == "-" else re.sub(r"[^\w.-]+|[:/]+", "_", info["name"]).strip("_.") or "live"


def free_name(info: StreamInfo, known: Collection[SourceResult], folder: Path) -> str:
    """Name of a source's files that no other source has; a live source never replaces an earlier recording.

    Nor is a video replaced that no run has made, such as another source in the folder of the results, and beside the
    source itself no file at all, such as subtitles that somebody wrote.

    Args:
        info: The source.
        known: Results of this run and of those before it.
        folder: Where the files go.
    """
    file = info["path"] or info["name"]
    taken = {_alike(one.name) for one in known if one.file != file or one.started}
    own = {one.name for one in known if one.file == file}
    made = {output for one in known for output in one.outputs}
    stem = name = plain_name(info)
    number = 1
    while (
        _alike(name) in taken
        or (info["live"] and any(folder.glob(f"{glob.escape(name)}.*")))
        or (name not in own and any(path.name not in made for path in _endangered(name, info, folder)))
    ):
        number += 1
        name = f"{stem}_{number}"
    return name


def _endangered(name: str, info: StreamInfo, folder: Path) -> list[Path]:
    """Files that a source's results would replace and that may be somebody else's."""
    source = os.path.realpath(info["path"])  # Path.resolve has an error of its own for a link to itself
    beside = bool(info["path"]) and os.path.dirname(source) == os.path.realpath(folder)  # noqa: PTH120  # a text
    files = [folder / f"{name}{suffix}" for suffix in ((*_VIDEOS, *_OTHERS) if beside else _VIDEOS)]
    return [file for file in files if os.path.lexists(file) and os.path.realpath(file) != source]


def _alike(name: str) -> str:
    """What names have in common that some file systems do not tell apart: case, and accents written as two letters."""
    return unicodedata.normalize("NFC", name).casefold()


def sentence(result: SourceResult) -> str:
    """One line about a finished source, which names it once.

    Example:
        >>> sentence(SourceResult("a", "/in/a.mp4", "error", 49, 2.0, error="/in/a.mp4: truncated"))
        'a.mp4: 49 frames, 2.0 s, 0 segments; truncated'
    """
    file = one_line(result.file)
    name = Path(file).name if Path(file).is_absolute() else file  # an address stays whole
    if not result.frames:
        return result.error or f"{name}: no frame"
    text = f"{name}: {counted(result.frames, 'frame')}, {result.seconds:.1f} s"
    text += f", {counted(len(result.segments), 'segment')}"
    text += f", {counted(result.dropped, 'frame')} dropped for max_lag" if result.dropped else ""
    text += f", {counted(result.skipped, 'frame')} without a score" if result.skipped else ""
    path, _, reason = result.error.partition(f"{name}: ")  # the path may be as it was given
    own = bool(reason) and Path(path + name).absolute() == Path(file).absolute()
    error = reason if own else result.error
    return f"{text}; {error}" if error else text
