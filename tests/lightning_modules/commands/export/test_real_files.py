"""Networks of usual size on real files of ``../shared``: parity, sizes, int8."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import lightning as L
import pytest
import torch

import cli
from lightning_modules.action.module import FrameAveragingActionRecognizer
from lightning_modules.commands.exported.manifest import read_manifest
from lightning_modules.face_attributes.classifier.module import FaceAttributeClassifier
from lightning_modules.inspection.detector.module import MentoringDetector
from lightning_modules.inspection.segmenter.module import MentoringSegmenter
from lightning_modules.video_quality.module import KSVQE
from tests.running import save_checkpoint

CLASSES = ["scratch", "dent"]
LITE = "data/weights/tf_efficientnet_lite0.safetensors"


def _quality(shared: Path) -> L.LightningModule:
    return KSVQE(preset="tiny")


def _actions(shared: Path) -> L.LightningModule:
    options = {"backbone": "tf_efficientnet_lite0", "backbone_weights": str(shared / LITE), "frame_size": 224}
    return FrameAveragingActionRecognizer(class_names=CLASSES, **options)


def _faces(shared: Path) -> L.LightningModule:
    return FaceAttributeClassifier(backbone="small_vgg", image_size=64)


def _segmenter(shared: Path) -> L.LightningModule:
    model = MentoringSegmenter(class_names=CLASSES, backbone="resnet18")
    model.thresholds.fill_(0.0101)
    return model


def _detector(shared: Path) -> L.LightningModule:
    model = MentoringDetector(class_names=CLASSES, backbone="resnet18", anchors=[[20.0, 20.0], [40.0, 24.0]])
    torch.nn.init.normal_(model.network.head.weight, std=0.1)
    model.thresholds.fill_(0.2)
    return model


CASES: dict[str, tuple[Callable[[Path], L.LightningModule], str]] = {
    "quality": (_quality, "data/vqa/videos"),
    "actions": (_actions, "data/action/intel_asl"),
    "faces": (_faces, "data/faces"),
    "segmenter": (_segmenter, "data/inspection/magnetic_tile/images"),
    "detector": (_detector, "data/inspection/deeppcb/images"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_parity_on_real_files(name: str, shared_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build, place = CASES[name]
    torch.manual_seed(0)
    checkpoint = save_checkpoint(build(shared_dir), tmp_path / "best.ckpt", weights_only=True)
    files = str(shared_dir / place)
    command = ["export", f"--ckpt_path={checkpoint}", f"--output={tmp_path / 'out'}", f"--input={files}"]
    assert cli.main([*command, f"--int8={files}"]) == 0
    manifest = read_manifest(tmp_path / "out")
    assert max(manifest.parity["differences"].values()) < 1e-3
    assert manifest.parity["equal_choices"] > 0.99
    with capsys.disabled():
        sys.stdout.write(f"\n{name}, {place}\n{capsys.readouterr().out}\n")
