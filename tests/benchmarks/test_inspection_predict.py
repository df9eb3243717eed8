"""Images a second of the whole way from JPEG files to detections, beside bare decoding and the bare network."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.inspection.batch import InspectionBatch, InspectionPrediction
from datamodules.inspection.datamodule import InspectionDataModule
from lightning_modules import MentoringSegmenter
from tests.benchmarks.measuring import seconds
from tests.running import quiet_trainer

FLOOR = 0.8
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
@pytest.mark.parametrize("embeddings", [False, True])
def test_images_a_second_beside_decoding_and_network(
    tmp_path: Path, embeddings: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    on_gpu = torch.cuda.is_available()
    number, rounds = (256, 5) if on_gpu else (24, 3)
    (tmp_path / "images").mkdir()
    paths = write_images(tmp_path / "images", number)
    torch.manual_seed(0)
    module = MentoringSegmenter(CLASSES, backbone="resnet18", embeddings=embeddings).eval()
    data = InspectionDataModule(
        path=str(tmp_path / "images"), classes=CLASSES, batch_size=BATCH, num_workers=0, cache_megabytes=0
    )
    device = torch.device("cuda" if on_gpu else "cpu")
    data.setup("predict")
    batch: InspectionBatch = next(iter(data.predict_dataloader()))
    tuned(module, batch)
    images = module.preprocess(batch["image"]).to(device)
    network = module.network.to(device)

    def forward() -> None:
        with torch.inference_mode():
            for _ in range(number // BATCH):
                network(images)

    def predict() -> list[InspectionPrediction]:
        trainer = quiet_trainer(tmp_path, accelerator="auto", devices=1)
        return cast(list[InspectionPrediction], trainer.predict(module, datamodule=data))

    forward()
    found = predict()
    rates: dict[str, list[float]] = {"decode": [], "network": [], "predict": []}
    for _ in range(rounds):  # in turn, so that a disturbance of the machine meets all three
        rates["decode"].append(number / seconds(lambda: decode(paths)))
        module.to(device)
        rates["network"].append(number / seconds(forward))
        rates["predict"].append(number / seconds(predict))
    decoding, running, whole = (statistics.median(rates[name]) for name in ("decode", "network", "predict"))
    possible = 1 / (1 / decoding + 1 / running)
    regions = sum(len(image) for part in found for image in part["detections"]) / number
    with capsys.disabled():
        print(  # noqa: T201  # what a benchmark is for
            f"\n{device}, embeddings {embeddings}: decode {decoding:.1f}/s, network {running:.1f}/s, possible "
            f"{possible:.1f}/s, predict {whole:.1f}/s = {whole / possible:.2f} of it; {regions:.1f} detections an image"
        )
    assert regions > 1
    assert whole >= FLOOR * possible
