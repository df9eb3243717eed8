"""Clips a second of the whole way from a file to tensors, beside the bare decoding of the same frames."""

from __future__ import annotations

import math
import os
import statistics
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.video.reading.reader import ReaderName, decord_available
from datamodules.video_quality.dataset import VideoQualityDataset
from datamodules.video_quality.labels import LabelledVideo
from datamodules.video_quality.settings import ClipSettings
from tests.benchmarks.measuring import seconds

FLOOR = 0.8
ROUNDS = 7


def bare_decord(path: str, indices: list[int]) -> None:
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    decord.VideoReader(path, ctx=decord.cpu(0)).get_batch(indices)


def bare_pyav(path: str, indices: list[int]) -> None:
    import av

    wanted, last = set(indices), indices[-1]
    frames = []
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for position, frame in enumerate(container.decode(stream)):
            if position in wanted:
                frames.append(frame.to_ndarray(format="rgb24"))
            if position >= last:
                break
    assert len(np.stack(frames)) == len(indices)


@pytest.mark.benchmark
@pytest.mark.parametrize("interval", [2, 4])
@pytest.mark.parametrize("reader", ["decord", "pyav"])
def test_clips_a_second_beside_bare_decoding(
    shared_dir: Path, reader: ReaderName, interval: int, capsys: pytest.CaptureFixture[str]
) -> None:
    if reader == "decord" and not decord_available():
        pytest.skip("decord has no wheel for this machine")
    files = [p for p in sorted((shared_dir / "data" / "vqa" / "videos").glob("*.mp4")) if p.stat().st_size]
    bare = bare_decord if reader == "decord" else bare_pyav
    settings = ClipSettings(clip_length=32, frame_interval=interval, key_frame_layout="official")
    rows: list[tuple[str, bool, float, float]] = []
    for file in files:
        dataset = VideoQualityDataset([LabelledVideo(str(file), file.name)], settings, reader=reader)
        item = dataset[0]
        assert item["record"]["reader"] == reader
        indices = torch.unique(item["frame_index"]).tolist()
        ours, alone = math.inf, math.inf
        for _ in range(ROUNDS):  # in turns, so that other load falls on both
            alone = min(alone, seconds(lambda path=str(file), wanted=indices: bare(path, wanted)))
            ours = min(ours, seconds(lambda data=dataset: data[0]))
        rows.append((file.name, item["record"]["upsampled"], settings.eval_clips / ours, settings.eval_clips / alone))
    whole = statistics.geometric_mean(ours / alone for _, upsampled, ours, alone in rows if not upsampled)
    lines = [
        f"{reader}, 3 clips of 32 frames, interval {interval}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        f"{'file':48} {'clips/s':>8} {'bare':>8} {'ratio':>6}",
    ]
    for upsampled in (False, True):
        lines += ["upsampled:"] if upsampled else []
        for name, _, ours, alone in (row for row in rows if row[1] == upsampled):
            lines.append(f"{name:48} {ours:8.2f} {alone:8.2f} {ours / alone:6.2f}")
    lines.append(f"geometric mean without the upsampled files: {whole:.3f} (floor {FLOOR})")
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")
    assert whole >= FLOOR
