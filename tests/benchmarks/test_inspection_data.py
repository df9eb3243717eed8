"""Training batches of the inspection data on one thread, beside bare decoding and bare moves of pixels."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.inspection.batch import InspectionBatch
from datamodules.inspection.batches.augmentation import augment
from datamodules.inspection.datamodule import InspectionDataModule
from datamodules.inspection.demo.settings import InspectionDemoSettings
from datamodules.inspection.settings import AugmentationSettings
from tests.benchmarks.conftest import Speed
from tests.benchmarks.measuring import in_turns, least_seconds
from tests.running import threads

pytestmark = [pytest.mark.benchmark, pytest.mark.inspection]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> InspectionDataModule:
    few = dict.fromkeys(("original_val", "new_val", "original_test", "new_test"), 1)
    folder = tmp_path_factory.mktemp("surfaces")
    settings = InspectionDemoSettings(original_train=160, new_train=320, **few, cache_dir=str(folder))
    data = InspectionDataModule(demo=settings, new_training="full", batch_size=32)
    data.prepare_data()
    data.setup("fit")
    return data


@threads(1)
def test_batches_of_32_images_of_128_pixels(data: InspectionDataModule, speed: Speed) -> None:
    images = data.images("train")
    files = [Path(path) for image in images for path in (image.path, image.mask) if path]
    loader = data.train_dataloader()

    def decode() -> None:
        for file in files:
            with Image.open(file) as picture:
                np.array(picture)

    taken = in_turns({"batches": lambda: [*loader], "decode": decode})  # the first turn fills the memory
    per_image = taken["batches"] / (data.settings.batch_size * len(loader)), taken["decode"] / len(images)
    speed.add("batches", per_image[1] / per_image[0], 1 / float(np.median(per_image[1])), "images/s")


@threads(1)
def test_flips_and_turns(data: InspectionDataModule, speed: Speed) -> None:
    batch = cast(InspectionBatch, next(iter(data.train_dataloader())))
    steps, settings = count(), AugmentationSettings()

    def bare() -> None:
        for pixels in (batch["image"], batch["class_mask"], batch["answer_mask"], batch["baseline_map"]):
            torch.rot90(pixels.flip(-1), 1, (-2, -1)).contiguous()

    taken = in_turns({"ours": lambda: augment(batch, settings, 0, next(steps)), "bare": bare}, least_seconds)
    speed.add("moves", taken["bare"] / taken["ours"], 1e3 * float(np.median(taken["bare"])), "ms")
