"""Images a second of the whole way from JPEG files to detections, beside bare decoding and the bare network."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.inspection.batch import InspectionBatch, InspectionPrediction
from datamodules.inspection.datamodule import InspectionDataModule
from lightning_modules import MentoringSegmenter
from tests.benchmarks.conftest import Speed
from tests.benchmarks.measuring import Figures, in_turns
from tests.running import quiet_trainer

SIDE = 512
BATCH = 8
CLASSES = [f"class {number}" for number in range(13)]
DETECTED = 0.0003  # share of the areas above the thresholds: a dozen regions an image, many for a line


def write_images(folder: Path, number: int) -> list[Path]:
    """Surfaces with grain and a few spots, as JPEG files of usual size."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    paths = []
    for index in range(number):
        grey = 120 + 30 * np.sin(x / 40 + index) + generator.normal(0, 12, (SIDE, SIDE))
        for _ in range(3):
            centre_y, centre_x = generator.integers(30, SIDE - 30, 2)
            grey[(y - centre_y) ** 2 + (x - centre_x) ** 2 < generator.integers(5, 25) ** 2] -= 60
        paths.append(folder / f"{index:03d}.jpg")
        Image.fromarray(np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, 2)).save(paths[-1], quality=92)
    return paths


def decode(paths: list[Path]) -> None:
    for path in paths:
        with Image.open(path) as image:
            np.array(image.convert("RGB"))


def tuned(module: MentoringSegmenter, batch: InspectionBatch) -> None:
    """Thresholds that a usual share of areas reaches; those of random weights are about 0.5 everywhere."""
    with torch.inference_mode():
        scores = module.cell_probabilities(batch).transpose(0, 1).flatten(1)
        module.thresholds.copy_(scores.quantile(1 - DETECTED, dim=1))


@pytest.mark.benchmark
@pytest.mark.inspection
def test_images_a_second_beside_decoding_and_network(tmp_path: Path, speed: Speed) -> None:
    number = 256 if torch.cuda.is_available() else 24
    (tmp_path / "images").mkdir()
    paths = write_images(tmp_path / "images", number)
    data = InspectionDataModule(
        path=str(tmp_path / "images"), classes=CLASSES, batch_size=BATCH, num_workers=0, cache_megabytes=0
    )
    data.setup("predict")
    cases = [beside(data, paths, tmp_path, embeddings) for embeddings in (False, True)]
    ratios, limit = min(cases, key=lambda case: float(np.median(case[0])))
    speed.add("predict", ratios, limit, "images/s")


def beside(data: InspectionDataModule, paths: list[Path], folder: Path, embeddings: bool) -> tuple[Figures, float]:
    """Rate as part of what decoding and network in turn allow, and images a second of that."""
    torch.manual_seed(0)
    module = MentoringSegmenter(CLASSES, backbone="resnet18", embeddings=embeddings).eval()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    batch: InspectionBatch = next(iter(data.predict_dataloader()))
    tuned(module, batch)
    images = module.preprocess(batch["image"]).to(device)
    found: list[InspectionPrediction] = []

    def forward() -> None:
        network = module.network.to(device)  # back from where the trainer left it
        with torch.inference_mode():
            for _ in range(len(paths) // BATCH):
                network(images)

    def predict() -> None:
        trainer = quiet_trainer(folder, accelerator="auto", devices=1)
        found[:] = cast(list[InspectionPrediction], trainer.predict(module, datamodule=data))

    taken = in_turns({"decode": lambda: decode(paths), "network": forward, "predict": predict})
    assert sum(len(image) for part in found for image in part["detections"]) > len(paths)
    possible = taken["decode"] + taken["network"]
    return possible / taken["predict"], len(paths) / float(np.median(possible))
