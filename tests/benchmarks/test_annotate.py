"""Frames a second and memory of the whole way from a video file to segments, beside bare decoding and network."""

from __future__ import annotations

import sys
from collections import deque
from itertools import count
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
from tests.benchmarks.conftest import Speed
from tests.benchmarks.measuring import Figures, Work, bare_decode, in_turns, moving, resident, seconds
from tests.running import quiet_trainer

WINDOW = 128  # frames, as the original script
CLASSES = ["drinking", "cooking"]
GROWTH = 0.05  # of what the process holds after two minutes
LIVE = 3  # times as fast as the video runs


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


def original_loop(module: FrameAveragingActionRecognizer, source: Path, side: int) -> None:
    """One frame, one prediction, the mean of a deque made to an array: the original script."""
    queue: deque[NDArray[np.float32]] = deque(maxlen=WINDOW)
    with av.open(str(source)) as container, torch.inference_mode():
        for frame in container.decode(video=0):
            picture = frame.to_ndarray(format="rgb24", width=side, height=side)
            scores = module.frame_scores(torch.from_numpy(picture).permute(2, 0, 1)[None])
            queue.append(scores[0].numpy())
            int(np.array(queue).mean(axis=0).argmax())


def works_on(backbone: str, side: int, length: int, folder: Path) -> dict[str, Work]:
    """What is done with a video of so many frames."""
    source = encode_video(folder / "video.mp4", moving(length, 360, 640), 30, crf=23, preset="veryfast")
    module, turns = recogniser(backbone, side), count()
    frames = torch.randint(0, 256, (length, 3, side, side), dtype=torch.uint8)

    def annotated() -> None:
        writer = SegmentWriter(video=False, window=WINDOW, figures=False)
        annotate(module, source, side, folder / str(next(turns)), writer)

    return {
        "annotate": annotated,
        "decode": lambda: bare_decode(source),
        "decode to size": lambda: bare_decode(source, side),
        "network": lambda: bare_network(module, frames),
        "loop": lambda: original_loop(module, source, side),
    }


@pytest.mark.benchmark
@pytest.mark.action
@pytest.mark.parametrize(
    ("backbone", "side", "length", "decode", "name"),
    # Where the network is tiny, bringing frames to its size is most of what is left to do.
    [("resnet18", 112, 600, "decode", "annotate"), ("test_resnet", 64, 1500, "decode to size", "annotate tiny")],
    ids=["resnet18", "test_resnet"],
)
def test_frames_a_second_beside_decoding_and_network(
    backbone: str, side: int, length: int, decode: str, name: str, tmp_path: Path, speed: Speed
) -> None:
    works = works_on(backbone, side, length, tmp_path)
    taken = in_turns({key: works[key] for key in ("annotate", decode, "network")})
    possible = in_turn_or_beside(taken[decode], taken["network"])
    speed.add(name, possible / taken["annotate"], length / float(np.median(possible)), "frames/s")


@pytest.mark.benchmark
@pytest.mark.action
def test_beside_the_loop_of_the_original(tmp_path: Path, speed: Speed) -> None:
    works = works_on("resnet18", 112, 150, tmp_path)
    taken = in_turns({key: works[key] for key in ("annotate", "loop")})
    speed.add("annotate loop", taken["loop"] / taken["annotate"], 150 / float(np.median(taken["loop"])), "frames/s")


def in_turn_or_beside(decode: Figures, network: Figures) -> Figures:
    """Seconds of both after each other where they share cores, else of the slower."""
    return np.maximum(decode, network) if torch.cuda.is_available() else decode + network


class Memory(L.Callback):
    """Resident memory after each chunk, by the time in the video."""

    def __init__(self) -> None:
        self.marks: list[tuple[float, int]] = []

    def on_predict_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, *_: Any) -> None:
        if len(batch["times"]):
            self.marks.append((float(batch["times"][-1]), resident()))

    def growth(self, after: float, closing: bool = True) -> float:
        """Growth from the first mark after a time in the video to the highest that follows, as part of the first.

        With the last chunk the figure is drawn and files are closed, which ``closing`` leaves out.
        """
        late = [memory for moment, memory in self.marks if moment >= after]
        return max(late if closing else late[:-1]) / late[0] - 1


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
            f"({minutes * 1800 / took:.0f} frames/s): memory grows from minute 2 to the end by {growth:.1%}, "
            f"until the last chunk by {streaming:.1%}\n"
        )
    assert duration == pytest.approx(60 * minutes, abs=0.1)
    assert streaming < GROWTH
    if backbone != "resnet50":  # there the last batch, of another size, alone takes more
        assert growth < GROWTH
        assert took < 60 * minutes / LIVE
