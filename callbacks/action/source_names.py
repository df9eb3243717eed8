"""What the files of a source are called, and the line that tells of it."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from pathlib import Path

from callbacks.action.source_annotation import SourceResult, counted
from datamodules.video.streaming.info import StreamInfo


def plain_name(info: StreamInfo) -> str:
    """Name of a source's files: a file's without suffix, a live source's with all but letters and digits replaced.

    Example:
        >>> plain_name({"name": "rtsp://host:8554/door", "path": ""})
        'rtsp_host_8554_door'
    """
    if info["path"]:
        return Path(info["path"]).stem
    return "stdin" if info["name"] == "-" else re.sub(r"[^\w.-]+|[:/]+", "_", info["name"]).strip("_.") or "live"


def free_name(info: StreamInfo, known: Iterable[SourceResult], folder: Path) -> str:
    """Name of a source's files that no other source has; a live source never replaces an earlier recording.

    The known results are those of this run and of those before it.
    """
    file = info["path"] or info["name"]
    taken = {one.name.casefold() for one in known if one.file != file or one.started}
    stem = name = plain_name(info)
    number = 1
    while name.casefold() in taken or (info["live"] and any(folder.glob(f"{glob.escape(name)}.*"))):
        number += 1
        name = f"{stem}_{number}"
    return name


def sentence(result: SourceResult) -> str:
    """One line about a finished source, which names it once.

    Example:
        >>> sentence(SourceResult("a", "/in/a.mp4", "error", 49, 2.0, error="/in/a.mp4: truncated"))
        'a.mp4: 49 frames, 2.0 s, 0 segments; truncated'
    """
    name = Path(result.file).name if Path(result.file).is_absolute() else result.file  # an address stays whole
    if not result.frames:
        return result.error or f"{name}: no frame"
    text = f"{name}: {counted(result.frames, 'frame')}, {result.seconds:.1f} s"
    text += f", {counted(len(result.segments), 'segment')}"
    text += f", {counted(result.dropped, 'frame')} dropped for max_lag" if result.dropped else ""
    text += f", {counted(result.skipped, 'frame')} without a score" if result.skipped else ""
    path, _, reason = result.error.partition(f"{name}: ")  # the path may be as it was given
    own = bool(reason) and Path(path + name).absolute() == Path(result.file).absolute()
    error = reason if own else result.error
    return f"{text}; {error}" if error else text
