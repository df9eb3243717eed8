"""What tests of several kinds of data share: regions as text, frames of a file, and a model that remembers batches."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Generic, TypeVar

import av
import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from torch import Tensor

from tests.running import REPOSITORY

BatchT = TypeVar("BatchT")


def rle(region: NDArray[np.bool_] | NDArray[np.uint8]) -> str:
    """Compressed run-length string of the COCO format."""
    text: bytes = coco_mask.encode(np.asfortranarray(region.astype(np.uint8)))["counts"]
    return text.decode("ascii")


def decode(path: Path) -> tuple[NDArray[np.uint8], list[float]]:
    """All frames of a file, uint8 ``(T, H, W, 3)``, and their times in seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return np.stack([frame.to_ndarray(format="rgb24") for frame in frames]), [float(f.time or 0) for f in frames]


def run_python(*arguments: object, **options: Any) -> str:
    """Standard output of Python in a process of its own, whose failure is the test's."""
    command, options = [sys.executable, *map(str, arguments)], {"cwd": REPOSITORY, "timeout": 300, **options}
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr[-3000:]
    return str(done.stdout)


class Watcher(L.LightningModule, Generic[BatchT]):
    """Trains nothing and remembers its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[str, int, BatchT]] = []

    def training_step(self, batch: BatchT, batch_idx: int) -> Tensor:
        self.seen.append(("train", self.current_epoch, batch))
        return self.weight.sum()

    def validation_step(self, batch: BatchT, batch_idx: int) -> None:
        self.seen.append(("val", self.current_epoch, batch))

    def test_step(self, batch: BatchT, batch_idx: int) -> None:
        self.seen.append(("test", self.current_epoch, batch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def of(self, stage: str) -> list[BatchT]:
        """The batches of one stage."""
        return [batch for name, _, batch in self.seen if name == stage]
