"""The smallest classifiers and generator of faces, untrained, at 32 pixels."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import torch

from datamodules.face_attributes.datamodule import FaceAttributeDataModule
from datamodules.faces.renderer.settings import FaceDemoSettings
from lightning_modules.face_attributes.classifier.module import FaceAttributeClassifier
from lightning_modules.face_attributes.classifier.vgg import VGGSettings
from lightning_modules.face_attributes.generator.module import AttributeFaceGenerator
from lightning_modules.face_attributes.inversion.settings import InversionSettings

SIZE = 32
DEMO = {"seed": 100, "train": 96, "val": 40, "test": 96}


def trainer(folder: Path) -> L.Trainer:
    """A trainer that writes nothing by itself."""
    return L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
    )


def save_classifier(folder: Path, seed: int = 0, widths: tuple[int, ...] = (4, 8)) -> Path:
    """Checkpoint of a classifier with random weights."""
    torch.manual_seed(seed)
    shape = VGGSettings(widths, (1,) * len(widths), (16,), norm=True)
    model = FaceAttributeClassifier(image_size=SIZE, backbone="small_vgg", vgg=shape)
    owner = trainer(folder)
    owner.strategy.connect(model)
    path = folder / f"classifier_{seed}.ckpt"
    owner.save_checkpoint(path, weights_only=True)
    return path


def collect(folder: Path, classifier: Path) -> tuple[Path, Path]:
    """Statistics of a classifier, and the generator's checkpoint."""
    model = AttributeFaceGenerator(
        classifier_weights=str(classifier),
        layers=["conv2_1", "fc6"],
        kept=64,
        thumbnail=16,
        inversion=InversionSettings(steps=4, components=8, strip=3),
    )
    data = FaceAttributeDataModule(image_size=SIZE, validate_on="train", demo=FaceDemoSettings(**DEMO))  # type: ignore[arg-type]  # all whole numbers
    trainer(folder).validate(model, data, verbose=False)
    return folder / "statistics.safetensors", folder / "generator.ckpt"
