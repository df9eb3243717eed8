"""The five methods with a graph, as small as they come, their exports, and files for each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import lightning as L
import numpy as np
import pytest
import torch
from PIL import Image

import cli
from lightning_modules.action.module import FrameAveragingActionRecognizer
from lightning_modules.face_attributes.classifier.module import FaceAttributeClassifier
from lightning_modules.inspection.detector.module import MentoringDetector
from lightning_modules.inspection.segmenter.module import MentoringSegmenter
from lightning_modules.video_quality.module import KSVQE
from tests.conftest import MakeClip
from tests.lightning_modules.video_quality.test_module import SMALLEST
from tests.running import save_checkpoint

ORIENTATION = 0x0112  # EXIF tag; 6: the phone was held upright


class Exported(NamedTuple):
    """A network, its checkpoint and its export."""

    checkpoint: Path
    folder: Path


def _quality() -> L.LightningModule:
    model = KSVQE(**SMALLEST)
    model.score_map.copy_(torch.tensor([5.0, 1.0, 0.0, 0.3]))
    return model


def _actions() -> L.LightningModule:
    return FrameAveragingActionRecognizer(class_names=["drinking", "cooking"], backbone="test_resnet", frame_size=32)


def _faces() -> L.LightningModule:
    model = FaceAttributeClassifier(image_size=32, backbone="test_resnet")
    model.labelled = frozenset(model.schema.attributes[1:])  # of the first one nothing is ever said
    return model


def _segmenter() -> L.LightningModule:
    model = MentoringSegmenter(class_names=["scratch", "dent"], backbone="small", width=4)
    model.thresholds.fill_(0.0101)
    return model


def _detector() -> L.LightningModule:
    anchors = [[20.0, 20.0], [30.0, 16.0]]
    model = MentoringDetector(class_names=["scratch", "dent"], backbone="small", width=4, anchors=anchors)
    torch.nn.init.normal_(model.network.head.weight, std=0.3)
    torch.nn.init.zeros_(model.network.head.bias)
    model.thresholds.fill_(0.235)
    return model


NETWORKS: dict[str, Callable[[], L.LightningModule]] = {
    "quality": _quality,
    "actions": _actions,
    "faces": _faces,
    "segmenter": _segmenter,
    "detector": _detector,
}


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wide picture, a grey one, one that a phone turned, and one that is none."""
    folder = tmp_path_factory.mktemp("pictures")
    draws = np.random.default_rng(0)
    pixels = Image.fromarray(draws.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize((150, 100))
    pixels.save(folder / "a.png")
    pixels.convert("L").save(folder / "grey.png")
    turned = Image.Exif()
    turned[ORIENTATION] = 6
    pixels.save(folder / "phone.jpg", exif=turned)
    (folder / "text.png").write_text("no picture")
    return folder


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory, make_clip: MakeClip) -> Path:
    """A small video, a larger one, and one that is none."""
    folder = tmp_path_factory.mktemp("videos")
    for name, height in (("small.mp4", 96), ("large.mp4", 320)):
        source = make_clip(name, frames=60, height=height, width=2 * height)
        (folder / name).write_bytes(source.read_bytes())
    (folder / "text.mp4").write_text("no video")
    return folder


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, pictures: Path, videos: Path) -> Callable[[str], Exported]:
    """Export one of ``NETWORKS`` once; a graph that is not the network would be refused."""
    made: dict[str, Exported] = {}

    def export(name: str) -> Exported:
        if name not in made:
            torch.manual_seed(0)
            place = tmp_path_factory.mktemp(name)
            checkpoint = save_checkpoint(NETWORKS[name](), place / "best.ckpt", weights_only=True)
            folder = place / "export"
            files = videos if name in ("quality", "actions") else pictures
            command = ["export", f"--ckpt_path={checkpoint}", f"--output={folder}", f"--input={files}"]
            command += ["--data=eval_clips=2"] if name == "quality" else []
            assert cli.main(command) == 0
            made[name] = Exported(checkpoint, folder)
        return made[name]

    return export
