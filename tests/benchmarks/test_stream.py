"""Frames a second and memory of the stream, beside bare decoding of the same file."""

from __future__ import annotations

import gc
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.action.batch import StreamInfo
from datamodules.action.stream import ActionStream
from datamodules.video.writing.annotated import AnnotatedVideoWriter
from datamodules.video.writing.encode import encode_video
from tests.benchmarks.measuring import bare_decode, resident

FLOOR = 0.9  # of 1 / (1 / decode + 1 / convert), in time of the processor
GROWTH = 50 << 20  # bytes, from a fifth of the file to its end
ROUNDS = 5


def processor_seconds(work: Callable[[], int]) -> float:
    """Seconds of the processor for each frame: other load on the machine does not count."""
    begin = time.process_time()
    return work() / (time.process_time() - begin)


def streamed(path: str, side: int, with_source: bool) -> int:
    return sum(len(chunk["times"]) for chunk in ActionStream([path], side, with_source=with_source))


@pytest.mark.benchmark
@pytest.mark.parametrize("side", [64, 224])
def test_frames_a_second_beside_bare_decoding(shared_dir: Path, side: int, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(shared_dir / "data" / "action" / "intel" / "bottle-detection.mp4")
    works: dict[str, Callable[[], int]] = {
        "bare decoding": lambda: bare_decode(path),
        "decoding and to_ndarray": lambda: bare_decode(path, side),
        "the stream": lambda: streamed(path, side, with_source=False),
        "decoding and to_ndarray twice": lambda: bare_decode(path, side, with_source=True),
        "the stream with source": lambda: streamed(path, side, with_source=True),
    }
    best = dict.fromkeys(works, 0.0)
    wall = dict.fromkeys(works, math.inf)
    for _ in range(ROUNDS):  # in turns, so that other load falls on all
        for name, work in works.items():
            begin = time.perf_counter()
            best[name] = max(best[name], processor_seconds(work))
            wall[name] = min(wall[name], time.perf_counter() - begin)
    lines = [f"640x360, 1189 frames, to {side} px, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"]
    lines.append(f"{'':32} {'frames/s':>9} {'frames/s of processor':>22}")
    lines += [f"{name:32} {1189 / wall[name]:9.0f} {best[name]:22.0f}" for name in works]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")
    assert best["the stream"] >= FLOOR * best["decoding and to_ndarray"]
    assert best["the stream with source"] >= FLOOR * best["decoding and to_ndarray twice"]


def moving(count: int) -> Iterator[NDArray[np.uint8]]:
    rows, columns = np.mgrid[:120, :160]
    for number in range(count):
        yield np.stack([rows + number, columns + 2 * number, rows + columns], axis=-1).astype(np.uint8)


@pytest.mark.benchmark
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_memory_does_not_grow_with_the_length(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    minutes = int(os.environ.get("APPRAISE_BENCHMARK_MINUTES", "10"))
    source = encode_video(tmp_path / "long.mp4", moving(minutes * 1800), 30, crf=28, preset="ultrafast")
    marks: list[tuple[float, int]] = []
    writer: AnnotatedVideoWriter | None = None
    begin = time.perf_counter()
    for chunk in ActionStream([str(source)], 64, with_source=True):
        info: StreamInfo = chunk["info"]
        writer = writer or AnnotatedVideoWriter(tmp_path / "out.mp4", info, audio_from=str(source))
        for picture, moment in zip(chunk["source"].numpy(), chunk["source_times"].tolist(), strict=True):
            writer.write(picture, moment)
        gc.collect()
        marks.append((float(chunk["times"][-1]), resident()))
    assert writer is not None
    writer.close()
    seconds = time.perf_counter() - begin
    early = next(memory for moment, memory in marks if moment >= minutes * 12)
    growth = max(memory for moment, memory in marks if moment >= minutes * 12) - early
    with capsys.disabled():
        sys.stdout.write(
            f"\n{minutes} minutes at 160x120, 30 frames a second, read and written in {seconds:.0f} s: "
            f"memory {early / 1e6:.0f} MB after a fifth, growth to the end {growth / 1e6:.1f} MB\n"
        )
    assert growth < GROWTH
