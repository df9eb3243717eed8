"""Exported graphs in onnxruntime beside torch in eager mode: the same threads, one after the other, in pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch

from lightning_modules.action.module import FrameAveragingActionRecognizer
from lightning_modules.commands.export.graph import trace, write_onnx
from lightning_modules.commands.export.methods import plan_of
from lightning_modules.commands.exported.session import Graph
from lightning_modules.face_attributes.classifier.module import FaceAttributeClassifier
from lightning_modules.inspection.detector.module import MentoringDetector
from lightning_modules.inspection.segmenter.module import MentoringSegmenter
from lightning_modules.video_quality.module import KSVQE
from tests.benchmarks.measuring import seconds
from tests.running import threads

THREADS = 2
PAIRS = 9
CEILING = 1.0  # of torch's time
CLASSES = ["scratch", "dent"]


def _detector() -> L.LightningModule:
    return MentoringDetector(class_names=CLASSES, backbone="resnet18", anchors=[[20.0, 20.0], [40.0, 24.0]])


NETWORKS: dict[str, tuple[Callable[[], L.LightningModule], dict[str, int]]] = {
    "quality, tiny, a clip": (lambda: KSVQE(preset="tiny"), {"batch": 1}),
    "quality, official, a clip": (lambda: KSVQE(preset="official"), {"batch": 1}),
    "actions, resnet18 at 112 px, 8 frames": (
        lambda: FrameAveragingActionRecognizer(class_names=CLASSES, backbone="resnet18", frame_size=112),
        {"batch": 8},
    ),
    "faces, small_vgg at 64 px, 8 faces": (
        lambda: FaceAttributeClassifier(backbone="small_vgg", image_size=64),
        {"batch": 8},
    ),
    "segmenter, resnet18, a part of 512 px": (
        lambda: MentoringSegmenter(class_names=CLASSES, backbone="resnet18"),
        {"batch": 1, "height": 512, "width": 512},
    ),
    "detector, resnet18, a part of 512 px": (_detector, {"batch": 1, "height": 512, "width": 512}),
}


@pytest.mark.benchmark
@pytest.mark.parametrize("name", NETWORKS)
def test_a_graph_is_faster_than_eager(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build, sizes = NETWORKS[name]
    torch.manual_seed(0)
    module: Any = build()
    plan = plan_of(module, {})
    path = tmp_path / "model.onnx"
    write_onnx(plan, trace(plan), path)
    graph = Graph(path, THREADS)
    draws = np.random.default_rng(0)
    shapes = {one.name: [sizes.get(str(axis), axis) for axis in one.shape] for one in plan.inputs}
    inputs = {key: draws.integers(0, 256, shape, dtype=np.uint8) for key, shape in shapes.items()}
    with threads(THREADS):
        for work in (plan.torch_outputs, graph):
            work(inputs)
        pairs = [(seconds(lambda: plan.torch_outputs(inputs)), seconds(lambda: graph(inputs))) for _ in range(PAIRS)]
    ratio = float(np.median([theirs / ours for ours, theirs in pairs]))
    eager, size = float(np.median([ours for ours, _ in pairs])), path.stat().st_size / 1e6
    with capsys.disabled():
        print(f"\n{name}: torch {eager * 1e3:.1f} ms, onnxruntime {ratio:.2f} of it; {size:.1f} MB")  # noqa: T201
    assert ratio < CEILING
