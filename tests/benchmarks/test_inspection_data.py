"""Batches a second of the inspection data on one thread."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from datamodules.inspection.batches.augmentation import augment
from datamodules.inspection.datamodule import InspectionDataModule
from datamodules.inspection.demo.settings import InspectionDemoSettings
from datamodules.inspection.settings import AugmentationSettings
from tests.running import threads

PATIENCE = 3  # a loaded machine is given this many times the time


@pytest.mark.benchmark
@threads(1)
def test_batches_of_32_images_of_128_pixels(tmp_path: Path) -> None:
    few = dict.fromkeys(("original_val", "new_val", "original_test", "new_test"), 1)
    settings = InspectionDemoSettings(original_train=160, new_train=320, **few, cache_dir=str(tmp_path))
    data = InspectionDataModule(demo=settings, new_training="full", batch_size=32)
    data.prepare_data()
    data.setup("fit")
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        batches = list(data.train_dataloader())
        seconds.append((time.perf_counter() - start) / len(batches))
    flips = AugmentationSettings()
    start = time.perf_counter()
    for step in range(20):
        augment(batches[0], flips, 0, step)  # type: ignore[arg-type]  # collate makes batches of the items
    moved = (time.perf_counter() - start) / 20
    print(  # noqa: T201  # what a benchmark is for
        f"\nbatches of 32 images of 128 px, one thread: {1 / seconds[0]:.0f} a second while the files are decoded, "
        f"{1 / min(seconds[1:]):.0f} from memory; flips take {moved * 1e3:.1f} ms a batch"
    )
    assert moved < 0.015 * PATIENCE
    assert min(seconds[1:]) < seconds[0]
    assert min(seconds[1:]) < 0.01 * PATIENCE
