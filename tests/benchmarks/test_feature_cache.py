"""Seconds of an epoch with the backbone in the loop, and of one on stored features; the results must not differ."""

from __future__ import annotations

import os
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
from tests.benchmarks.measuring import seconds
from tests.running import quiet_trainer

FLOOR = 20.0  # times that an epoch on features must be faster
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

    epoch: float
    whole: float
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
    whole = seconds(lambda: trainer.fit(model, datamodule=data))
    return Run(min(clock.seconds), whole, {name: float(value) for name, value in trainer.callback_metrics.items()})


@pytest.mark.benchmark
@pytest.mark.parametrize(("backbone", "side", "times"), [("resnet50", 224, 1), ("resnet18", 112, 4)])
def test_epoch_on_stored_features(
    backbone: str, side: int, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPRAISE_CACHE", str(tmp_path / "cache"))
    draw_pictures(tmp_path / "pictures", side, times)
    train(tmp_path / "pictures", tmp_path, "test_resnet", 64)  # first use of everything
    in_loop = train(tmp_path / "pictures", tmp_path, backbone, side)
    stored = train(tmp_path / "pictures", tmp_path, backbone, side, FeatureCache())
    again = train(tmp_path / "pictures", tmp_path, backbone, side, FeatureCache())
    frames = len(CLASSES) * FRAMES * (VIDEOS["train"] + VIDEOS["val"]) * times
    epoch = min(stored.epoch, again.epoch)
    load, threads = os.getloadavg()[0], torch.get_num_threads()
    print(  # noqa: T201  # a benchmark tells its numbers
        f"\n{backbone} at {side} px, {frames} frames an epoch, {threads} threads, load {load:.1f}: an epoch takes "
        f"{in_loop.epoch:.2f} s with the backbone, {1e3 * epoch:.0f} ms on features, so that it is "
        f"{in_loop.epoch / epoch:.0f} times as fast; the whole training of {EPOCHS} epochs {in_loop.whole:.1f} s, "
        f"{stored.whole:.1f} s with the features computed first, {again.whole:.1f} s with those of another run; "
        f"accuracy {stored.metrics['val/accuracy']:.3f} and {in_loop.metrics['val/accuracy']:.3f}"
    )
    assert stored.metrics == pytest.approx(in_loop.metrics, rel=1e-3, abs=1e-5)
    assert again.metrics == stored.metrics
    assert in_loop.epoch / epoch >= FLOOR
