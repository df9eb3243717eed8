"""Seconds of an epoch with the backbone in the loop, and of one on stored features; the results must not differ."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from PIL import Image

from callbacks.training.feature_cache import FeatureCache
from datamodules.action.datamodule import ActionDataModule
from datamodules.action.frames.augmentation import ActionAugmentation
from lightning_modules.action.module import FrameAveragingActionRecognizer
from tests.benchmarks.conftest import Speed
from tests.benchmarks.measuring import in_turns
from tests.running import quiet_trainer

EPOCHS = 2
CLASSES = ["cooking", "drinking"]
VIDEOS = {"train": 8, "val": 4, "test": 1}  # of each class
FRAMES = 3
STILL = ActionAugmentation(rotation=0, zoom=0, shift=0, shear=0, flip=False)


class EpochClock(Callback):
    """Seconds of each epoch, its validation included."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._started = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.seconds.append(time.perf_counter() - self._started)


@dataclass
class Run:
    """What a training gave."""

    epoch: float  # seconds of the faster one
    metrics: dict[str, float]


def draw_pictures(root: Path, side: int, times: int) -> None:
    random = np.random.default_rng(0)
    for split, number in VIDEOS.items():
        for place, name in enumerate(CLASSES):
            folder = root / split / name
            folder.mkdir(parents=True)
            for video in range(number * times):
                for frame in range(FRAMES):
                    pixels = random.integers(0, 160, (side, side, 3), dtype=np.uint8)
                    pixels[..., place] += 60
                    Image.fromarray(pixels).save(folder / f"{split}{video}_{frame:02d}.jpg")


def train(root: Path, folder: Path, backbone: str, side: int, *callbacks: Callback) -> Run:
    torch.manual_seed(0)
    model = FrameAveragingActionRecognizer(
        class_names=CLASSES, frame_size=side, backbone=backbone, train_backbone="none", learning_rate=0.01
    )
    data = ActionDataModule(str(root), label_format="frames", frame_size=side, augmentation=STILL, batch_size=32)
    clock = EpochClock()
    options = {"max_epochs": EPOCHS, "num_sanity_val_steps": 0, "use_distributed_sampler": False}
    trainer = quiet_trainer(folder, clock, *callbacks, **options)
    trainer.fit(model, datamodule=data)
    return Run(min(clock.seconds), {name: float(value) for name, value in trainer.callback_metrics.items()})


@pytest.mark.benchmark
@pytest.mark.action
@pytest.mark.parametrize(
    ("backbone", "side", "times", "name"),
    [("resnet50", 224, 1, "features"), ("resnet18", 112, 4, "features small")],
    ids=["resnet50", "resnet18"],
)
def test_epoch_on_stored_features(
    backbone: str, side: int, times: int, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speed: Speed
) -> None:
    monkeypatch.setenv("APPRAISE_CACHE", str(tmp_path / "cache"))
    draw_pictures(tmp_path / "pictures", side, times)
    runs: dict[str, Run] = {}

    def epoch(kind: str, *callbacks: Callback) -> float:
        runs[kind] = train(tmp_path / "pictures", tmp_path, backbone, side, *callbacks)
        return runs[kind].epoch

    works = {"in the loop": lambda: epoch("in the loop"), "stored": lambda: epoch("stored", FeatureCache())}
    taken = in_turns(works, lambda work: work())
    assert runs["stored"].metrics == pytest.approx(runs["in the loop"].metrics, rel=1e-3, abs=1e-5)
    frames = len(CLASSES) * FRAMES * (VIDEOS["train"] + VIDEOS["val"]) * times
    bare = taken["in the loop"]
    speed.add(name, bare / taken["stored"], frames / float(np.median(bare)), "frames/s")
