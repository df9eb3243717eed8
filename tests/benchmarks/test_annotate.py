"""Frames a second and memory of the whole way from a video file to segments, beside bare decoding and network."""

from __future__ import annotations

import os
import statistics
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import lightning as L
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from callbacks import SegmentWriter
from datamodules import ActionDataModule
from datamodules.video.writing.encode import encode_video
from lightning_modules import FrameAveragingActionRecognizer
from tests.benchmarks.measuring import bare_decode, resident, seconds
from tests.running import quiet_trainer

FLOOR = 0.9
WINDOW = 128  # frames, as the original script
CLASSES = ["drinking", "cooking"]
GROWTH = 50 << 20  # bytes
HOUR_LIMIT = 20 * 60.0  # seconds


def moving(count: int, height: int, width: int) -> Iterator[NDArray[np.uint8]]:
    """A textured room with something bright that moves through it."""
    generator = np.random.default_rng(0)
    room = generator.integers(60, 160, (height // 8, width // 8, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    for number in range(count):
        picture = room.copy()
        left = (5 * number) % (width - width // 6)
        picture[height // 3 : 2 * height // 3, left : left + width // 6] = (230, 220, number % 256)
        yield picture


def recogniser(backbone: str, side: int) -> FrameAveragingActionRecognizer:
    L.seed_everything(0, verbose=False)
    return FrameAveragingActionRecognizer(class_names=CLASSES, frame_size=side, backbone=backbone).eval()


def annotate(module: L.LightningModule, source: Path, side: int, output: Path, *callbacks: L.Callback) -> None:
    """What the command does, without the start of Python; nothing is reused, since the folder is new."""
    data = ActionDataModule(path=str(source), class_names=CLASSES, frame_size=side)
    output.mkdir(parents=True)
    trainer = quiet_trainer(output, *callbacks, accelerator="auto", use_distributed_sampler=False)
    trainer.predict(module, datamodule=data, return_predictions=False)


def bare_network(module: FrameAveragingActionRecognizer, frames: torch.Tensor) -> None:
    with torch.inference_mode():
        for part in frames.split(64):
            module.frame_scores(part)


def original_loop(module: FrameAveragingActionRecognizer, source: Path, side: int, limit: int) -> int:
    """One frame, one prediction, the mean of a deque made to an array: the original script."""
    queue: deque[NDArray[np.float32]] = deque(maxlen=WINDOW)
    count = 0
    with av.open(str(source)) as container, torch.inference_mode():
        for frame in container.decode(video=0):
            picture = frame.to_ndarray(format="rgb24", width=side, height=side)
            scores = module.frame_scores(torch.from_numpy(picture).permute(2, 0, 1)[None])
            queue.append(scores[0].numpy())
            int(np.array(queue).mean(axis=0).argmax())
            count += 1
            if count == limit:
                break
    return count


@pytest.mark.benchmark
@pytest.mark.parametrize(("backbone", "side", "count"), [("test_resnet", 64, 1500), ("resnet18", 112, 900)])
def test_frames_a_second_end_to_end(
    backbone: str, side: int, count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = encode_video(tmp_path / "video.mp4", moving(count, 360, 640), 30, crf=23, preset="veryfast")
    module = recogniser(backbone, side)
    frames = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8)
    works: dict[str, Callable[[int], object]] = {
        "decode": lambda _: bare_decode(source),
        "decode and to_ndarray": lambda _: bare_decode(source, side),
        "network": lambda _: bare_network(module, frames),
        "annotate": lambda turn: annotate(
            module, source, side, tmp_path / f"a{turn}", SegmentWriter(video=False, window=WINDOW, figures=False)
        ),
        "with video and figure": lambda turn: annotate(
            module, source, side, tmp_path / f"v{turn}", SegmentWriter(window=WINDOW)
        ),
        "original loop": lambda _: original_loop(module, source, side, count),
    }
    rates: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(4):
        for name, work in works.items():
            took = seconds(lambda work=work, turn=turn: work(turn))  # type: ignore[misc]  # mypy cannot infer defaults
            if turn:  # the first is a warm-up
                rates[name].append(count / took)
    rate = {name: statistics.median(values) for name, values in rates.items()}
    limits = {name: limit(rate[name], rate["network"]) for name in ("decode", "decode and to_ndarray")}
    lines = [
        f"{backbone} at {side} px, {count} frames of 640x360, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        *(f"{name:24}{value:8.0f} frames/s" for name, value in rate.items()),
        *(
            f"annotate: {rate['annotate'] / value:.2f} of {name} and network, {value:.0f}"
            for name, value in limits.items()
        ),
    ]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")
    # Where the network is tiny, bringing frames to its size is most of what is left to do.
    assert rate["annotate"] >= FLOOR * limits["decode and to_ndarray" if backbone == "test_resnet" else "decode"]
    assert rate["annotate"] > rate["original loop"]


def limit(decode: float, network: float) -> float:
    """Frames a second of both after each other where they share cores, else of the slower."""
    return min(decode, network) if torch.cuda.is_available() else 1 / (1 / decode + 1 / network)


class Memory(L.Callback):
    """Resident memory after each chunk, by the time in the video."""

    def __init__(self) -> None:
        self.marks: list[tuple[float, int]] = []

    def on_predict_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, *_: Any) -> None:
        if len(batch["times"]):
            self.marks.append((float(batch["times"][-1]), resident()))

    def growth(self, after: float, closing: bool = True) -> int:
        """Bytes from the first mark after a time in the video to the highest that follows.

        With the last chunk the figure is drawn and files are closed, which ``closing`` leaves out.
        """
        late = [memory for moment, memory in self.marks if moment >= after]
        return max(late if closing else late[:-1]) - late[0]


def annotated_long(
    backbone: str, side: int, minutes: float, size: tuple[int, int], tmp_path: Path
) -> tuple[Memory, float]:
    height, width = size
    source = encode_video(
        tmp_path / "long.mp4", moving(round(minutes * 1800), height, width), 30, crf=28, preset="ultrafast"
    )
    memory, module = Memory(), recogniser(backbone, side)
    took = seconds(lambda: annotate(module, source, side, tmp_path / "out", SegmentWriter(seconds=2.0), memory))
    return memory, took


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize(
    ("backbone", "side", "minutes", "size"),
    [("test_resnet", 64, 60.0, (120, 160)), ("resnet50", 224, 5.0, (240, 320))],
    ids=["an hour", "resnet50"],
)
def test_memory_stays_level(
    backbone: str, side: int, minutes: float, size: tuple[int, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    memory, took = annotated_long(backbone, side, minutes, size, tmp_path)
    growth, streaming = memory.growth(120.0), memory.growth(120.0, closing=False)
    with av.open(str(next((tmp_path / "out").glob("*.mp4")))) as written:
        duration = float(written.duration or 0) / av.time_base
    with capsys.disabled():
        sys.stdout.write(
            f"\n{backbone} at {side} px, {minutes:g} minutes of {size[1]}x{size[0]} annotated in {took:.0f} s "
            f"({minutes * 1800 / took:.0f} frames/s): growth from minute 2 to the end {growth / 1e6:.1f} MB, "
            f"before the last chunk {streaming / 1e6:.1f} MB\n"
        )
    assert duration == pytest.approx(60 * minutes, abs=0.1)
    assert streaming < GROWTH
    if backbone != "resnet50":  # there the last batch, of another size, alone takes more
        assert growth < GROWTH
        assert took < HOUR_LIMIT
