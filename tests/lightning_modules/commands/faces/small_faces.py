"""The smallest classifiers and generator of faces, untrained, at 32 pixels."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch

from datamodules.face_attributes.datamodule import FaceAttributeDataModule
from datamodules.faces.renderer.settings import FaceDemoSettings
from lightning_modules.face_attributes.classifier.module import FaceAttributeClassifier
from lightning_modules.face_attributes.classifier.vgg import VGGSettings
from lightning_modules.face_attributes.generator.module import AttributeFaceGenerator
from lightning_modules.face_attributes.inversion.settings import InversionSettings
from tests.running import quiet_trainer, save_checkpoint

SIZE = 32
DEMO = FaceDemoSettings(seed=100, train=96, val=40, test=96)
OPTIONS = [
    "--data.demo.seed=100", "--data.demo.train=96", "--data.demo.val=40", "--data.demo.test=96", "--asked=3",
    "--reference=40", "--known=0.5", "--device=cpu", "--output=out",
]  # fmt: skip


class Files(NamedTuple):
    """What tests of the commands need; judges are paths as a command line has them."""

    folder: Path
    classifier: Path
    statistics: Path
    generator: Path
    judges: list[str]
    twin: Path


def save_classifier(folder: Path, seed: int = 0, widths: tuple[int, ...] = (4, 8)) -> Path:
    """Checkpoint of a classifier with random weights."""
    torch.manual_seed(seed)
    shape = VGGSettings(widths, (1,) * len(widths), (16,), norm=True)
    model = FaceAttributeClassifier(image_size=SIZE, backbone="small_vgg", vgg=shape)
    return save_checkpoint(model, folder / f"classifier_{seed}.ckpt", weights_only=True)


def collect(folder: Path, classifier: Path) -> tuple[Path, Path]:
    """Statistics of a classifier, and the generator's checkpoint."""
    model = AttributeFaceGenerator(
        classifier_weights=str(classifier),
        layers=["conv2_1", "fc6"],
        kept=64,
        thumbnail=16,
        inversion=InversionSettings(steps=4, components=8, strip=3),
    )
    data = FaceAttributeDataModule(image_size=SIZE, validate_on="train", demo=DEMO)
    quiet_trainer(folder, use_distributed_sampler=False).validate(model, data, verbose=False)
    return folder / "statistics.safetensors", folder / "generator.ckpt"
