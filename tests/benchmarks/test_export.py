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
from tests.benchmarks.conftest import Speed
from tests.benchmarks.measuring import in_turns, least_seconds

CLASSES = ["scratch", "dent"]


def _detector() -> L.LightningModule:
    return MentoringDetector(class_names=CLASSES, backbone="resnet18", anchors=[[20.0, 20.0], [40.0, 24.0]])


NETWORKS: dict[str, tuple[Callable[[], L.LightningModule], dict[str, int]]] = {
    "export quality": (lambda: KSVQE(preset="official"), {"batch": 1}),
    "export frames": (
        lambda: FrameAveragingActionRecognizer(class_names=CLASSES, backbone="resnet18", frame_size=112),
        {"batch": 8},
    ),
    "export faces": (lambda: FaceAttributeClassifier(backbone="small_vgg", image_size=64), {"batch": 8}),
    "export segmenter": (
        lambda: MentoringSegmenter(class_names=CLASSES, backbone="resnet18"),
        {"batch": 1, "height": 512, "width": 512},
    ),
    "export detector": (_detector, {"batch": 1, "height": 512, "width": 512}),
}
DOMAINS = (
    pytest.mark.video_quality, pytest.mark.action, pytest.mark.face_attributes, pytest.mark.inspection,
    pytest.mark.inspection,
)  # fmt: skip


@pytest.mark.benchmark
@pytest.mark.parametrize("name", [pytest.param(name, marks=mark) for name, mark in zip(NETWORKS, DOMAINS, strict=True)])
def test_a_graph_beside_eager(name: str, tmp_path: Path, speed: Speed) -> None:
    build, sizes = NETWORKS[name]
    torch.manual_seed(0)
    module: Any = build()
    plan = plan_of(module, {})
    path = tmp_path / "model.onnx"
    write_onnx(plan, trace(plan), path)
    graph = Graph(path, torch.get_num_threads())
    draws = np.random.default_rng(0)
    shapes = {one.name: [sizes.get(str(axis), axis) for axis in one.shape] for one in plan.inputs}
    inputs = {key: draws.integers(0, 256, shape, dtype=np.uint8) for key, shape in shapes.items()}
    taken = in_turns({"torch": lambda: plan.torch_outputs(inputs), "graph": lambda: graph(inputs)}, least_seconds)
    speed.add(name, taken["graph"] / taken["torch"], 1e3 * float(np.median(taken["torch"])), "ms")
