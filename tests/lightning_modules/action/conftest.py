"""Batches of made frames whose class is their brightness, and the smallest recogniser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from datamodules.action.batch import ActionBatch, StreamBatch
from lightning_modules.action.module import FrameAveragingActionRecognizer
from tests.lightning_modules.training import whole_batches
from tests.running import quiet_trainer

SIDE = 32


def action_batch(number: int, size: int = 8) -> ActionBatch:
    """Frames of two classes, dark and bright, two frames a video."""
    generator = torch.Generator().manual_seed(number)
    label = (torch.arange(size) // 2) % 2
    noise = torch.randint(0, 120, (size, 3, SIDE, SIDE), generator=generator)
    return {
        "frames": (noise + 120 * label[:, None, None, None]).to(torch.uint8),
        "label": label,
        "video_index": torch.arange(size) // 2 + number * size,
        "index": torch.arange(size) + number * size,
        "time": torch.zeros(size, dtype=torch.float64),
        "valid": torch.ones(size, dtype=torch.bool),
        "video": [f"{row}.mp4" for row in range(size)],
    }


@pytest.fixture
def loader() -> DataLoader[Any]:
    return whole_batches(*map(action_batch, range(4)))


@pytest.fixture
def batch() -> ActionBatch:
    return action_batch(0)


@pytest.fixture
def chunk() -> Callable[..., StreamBatch]:
    """Makes a chunk of a stream with so many frames."""

    def make(frames: int, side: int = SIDE, last: bool = True) -> StreamBatch:
        info: Any = {"name": "a.mp4", "path": "", "live": False, "width": 8, "height": 8, "fps": 25.0, "duration": 1.0}
        return {
            "frames": torch.randint(0, 256, (frames, 3, side, side), generator=torch.Generator().manual_seed(1)).byte(),
            "times": torch.arange(frames, dtype=torch.float64) / 25,
            "selected": torch.ones(frames, dtype=torch.bool),
            "video_id": 3,
            "is_last": last,
            "info": info,
            "dropped": 0,
            "status": "ok",
            "error": "",
        }

    return make


@pytest.fixture
def build() -> Callable[..., FrameAveragingActionRecognizer]:
    """Makes the smallest recogniser."""

    def make(**options: Any) -> FrameAveragingActionRecognizer:
        L.seed_everything(3)
        smallest: dict[str, Any] = {
            "class_names": ["dark", "bright"], "frame_size": SIDE, "backbone": "test_resnet", "hidden_features": 16,
            "train_backbone": "all",
        }  # fmt: skip
        return FrameAveragingActionRecognizer(**(smallest | options))

    return make


@pytest.fixture
def trainer(tmp_path: Path) -> Callable[..., L.Trainer]:
    """Makes a quiet trainer on the CPU."""

    def make(**options: Any) -> L.Trainer:
        settings = {"max_epochs": 1, "num_sanity_val_steps": 0, "use_distributed_sampler": False, **options}
        return quiet_trainer(tmp_path, **settings)

    return make
