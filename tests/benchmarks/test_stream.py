"""Frames a second and memory of the stream, beside bare decoding of the same file."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from datamodules.action.batch import StreamInfo
from datamodules.action.stream import ActionStream
from datamodules.video.writing.annotated import AnnotatedVideoWriter
from datamodules.video.writing.encode import encode_video
from tests.benchmarks.conftest import Speed
from tests.benchmarks.measuring import (
    PAIRS,
    Work,
    bare_decode,
    in_new_process,
    in_turns,
    moving,
    processor_seconds,
    resident,
)

pytestmark = [pytest.mark.benchmark, pytest.mark.action]

FRAMES = 450
MINUTES = 1 + PAIRS


def streamed(path: str, side: int, with_source: bool) -> None:
    assert sum(len(chunk["times"]) for chunk in ActionStream([path], side, with_source=with_source)) == FRAMES


def test_frames_a_second_beside_bare_decoding(tmp_path: Path, speed: Speed) -> None:
    path = str(encode_video(tmp_path / "video.mp4", moving(FRAMES, 360, 640), 30, crf=23))
    cases = [(side, with_source) for side in (64, 224) for with_source in (False, True)]
    works: dict[str, Work] = {}
    for side, with_source in cases:
        works[f"bare {side} {with_source}"] = partial(bare_decode, path, side, with_source=with_source)
        works[f"ours {side} {with_source}"] = partial(streamed, path, side, with_source)
    taken = in_turns(works, processor_seconds)
    ratios = [taken[f"bare {side} {source}"] / taken[f"ours {side} {source}"] for side, source in cases]
    slowest = int(np.argmin(np.median(ratios, axis=1)))
    side, source = cases[slowest]
    limit = FRAMES / float(np.median(taken[f"bare {side} {source}"]))
    speed.add("stream", ratios[slowest], limit, "frames/s of processor")


def memory_of_each_minute(source: str, target: str) -> list[int]:
    """Most bytes that reading and writing takes in each minute of a video."""
    writer: AnnotatedVideoWriter | None = None
    most, before = [0] * MINUTES, resident()
    for chunk in ActionStream([source], 64, with_source=True):
        info: StreamInfo = chunk["info"]
        writer = writer or AnnotatedVideoWriter(Path(target), info, audio_from=source)
        for picture, moment in zip(chunk["source"].numpy(), chunk["source_times"].tolist(), strict=True):
            writer.write(picture, moment)
        minute = min(int(chunk["times"][-1] // 60), MINUTES - 1) if len(chunk["times"]) else MINUTES - 1
        most[minute] = max(most[minute], resident() - before)
    assert writer is not None
    writer.close()
    return most


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_memory_does_not_grow_with_the_length(tmp_path: Path, speed: Speed) -> None:
    frames = moving(MINUTES * 1800, 120, 160)
    source = encode_video(tmp_path / "long.mp4", frames, 30, crf=28, preset="ultrafast")
    first, *later = in_new_process(memory_of_each_minute, str(source), str(tmp_path / "out.mp4"))
    speed.add("stream memory", np.array(later) / first, first / 1e6, "MB")
