"""Quality of videos by an exported KSVQE: the sampling, the graph, and the rows of ``predict``."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from callbacks.video_quality.score_rows import append_score, read_rows, score_row, write_rows
from datamodules.common.atomic_write import BEYOND_UTF8
from datamodules.common.errors import VideoError, number_of
from datamodules.common.fingerprint import config_digest, file_key
from datamodules.video.finding import find_videos
from datamodules.video.numpy_resizing import enlarge, resize_whole
from datamodules.video.reading.contract import VideoInfo
from datamodules.video.reading.reader import read_video
from datamodules.video_quality.batch import video_record
from datamodules.video_quality.clip_sampler import ClipSampler, Resizing, SampledClips
from datamodules.video_quality.settings import ClipSettings
from lightning_modules.commands.exported.manifest import Manifest
from lightning_modules.commands.exported.outcome import Outcome
from lightning_modules.commands.exported.session import Array, Graph

log = logging.getLogger("appraise")

_RESIZING = Resizing(enlarge, resize_whole)


def inputs(facts: Mapping[str, Any], place: str) -> Iterator[dict[str, Array]]:
    """What the graph takes of each readable video: its clips as one batch."""
    for found in find_videos(place):
        try:
            _, clips = _read(facts, found.path)
        except VideoError as error:
            log.warning("warning: %s", error)
            continue
        yield {"fragments": clips.fragments, "key_frames": clips.key_frames}


def run(graph: Graph, manifest: Manifest, place: str, output: Path, sha256: str) -> Outcome:
    """Score the videos of a place into ``scores.csv`` and ``scores.jsonl``; rows of a stopped run are reused.

    Returns:
        How many files could be read, and how many not; each has a row that says why.
    """
    key = config_digest({"graph": sha256, "facts": manifest.facts})
    videos = [found.path for found in find_videos(place)]
    earlier = {row["file"]: row for row in read_rows(output / "scores.jsonl") if row["status"] == "ok"}
    kept = {file: row for file, row in earlier.items() if row.get("key") == _key(key, file)}
    if kept:
        log.info("%s scored before, reused from %s", number_of(len(kept), "video"), output)
    rows = dict(kept)
    write_rows(output, list(rows.values()))
    with (
        (output / "scores.csv").open("a", encoding="utf-8", errors=BEYOND_UTF8, newline="") as table,
        (output / "scores.jsonl").open("a", encoding="utf-8", errors=BEYOND_UTF8, newline="") as lines,
    ):
        for file in videos:
            if file not in rows:
                rows[file] = _row(graph, manifest.facts, file, _key(key, file))
                append_score((table, lines), rows[file])
    failed = sum(1 for row in rows.values() if row["status"] == "error")
    log.info("%s scored, %d not readable: %s", number_of(len(rows) - failed, "video"), failed, output / "scores.csv")
    return Outcome(len(rows) - failed, failed)


def scores_of(graph: Graph, facts: Mapping[str, Any], clips: Mapping[str, Array]) -> dict[str, float]:
    """``score_raw``, ``score_1_5`` and ``score_std`` of one video's clips, a clip at a time as in ``predict``."""
    single = [graph({name: value[row : row + 1] for name, value in clips.items()}) for row in range(_count(clips))]
    raw = np.concatenate([one["score"] for one in single]).astype(np.float32)
    mean = float(raw.mean(dtype=np.float32))
    return {"score_raw": mean, "score_1_5": score_1_5(mean, facts), "score_std": float(raw.std(dtype=np.float32))}


def score_1_5(raw: float, facts: Mapping[str, Any]) -> float:
    """A raw score on the scale 1 to 5 by the logistic of the last validation; NaN before any.

    Example:
        >>> score_1_5(0.5, {"score_map": [100.0, 0.0, 0.5, 0.2], "label_range": [0.0, 100.0]})
        3.0
    """
    if facts["score_map"] is None:
        return math.nan
    b1, b2, b3, b4 = facts["score_map"]
    worst, best = facts["label_range"]
    slope = min(max((raw - b3) / abs(b4), -700.0), 700.0)
    mos = (b1 - b2) / (1 + math.exp(-slope)) + b2
    return float(1 + 4 * min(max((mos - worst) / (best - worst), 0.0), 1.0))


def _count(clips: Mapping[str, Array]) -> int:
    return len(clips["fragments"])


def _row(graph: Graph, facts: Mapping[str, Any], file: str, key: str) -> dict[str, Any]:
    begun = time.perf_counter()
    try:
        info, clips = _read(facts, file)
    except VideoError as error:
        return score_row(video_record(file, None, time.perf_counter() - begun, error=str(error)), key, 0.0)
    record = video_record(file, info, time.perf_counter() - begun, upsampled=clips.upsampled)
    begun = time.perf_counter()
    scores = scores_of(graph, facts, {"fragments": clips.fragments, "key_frames": clips.key_frames})
    return score_row(record, key, time.perf_counter() - begun, len(clips.fragments), scores)


def _read(facts: Mapping[str, Any], file: str) -> tuple[VideoInfo, SampledClips]:
    names = {field.name for field in fields(ClipSettings)}
    sampler = ClipSampler(ClipSettings(**{name: facts["clips"][name] for name in names}), _RESIZING)
    mapped = facts.get("tone_mapping", False)  # files of an older version do not say
    info = read_video(file, sampler, reader=facts["reader"], timeout=facts["decode_timeout"], tone_mapping=mapped)
    return info, sampler.result(info)


def _key(run: str, file: str) -> str:
    try:
        return config_digest({"run": run, "file": file_key(file)}) if Path(file).is_file() else ""
    except OSError:  # gone since
        return ""
