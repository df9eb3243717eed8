"""What a graph is worth on labelled data, and how fast it is: for the choice between float32 and int8."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from lightning_modules.action.module import FrameAveragingActionRecognizer
from lightning_modules.base import Method
from lightning_modules.commands.export.parity import Run
from lightning_modules.commands.export.plan import Plan
from lightning_modules.commands.export.run_data import inputs_of
from lightning_modules.commands.exported.session import Array, Arrays
from lightning_modules.face_attributes.classifier.module import FaceAttributeClassifier
from lightning_modules.inspection.mentoring import MentoringMethod
from lightning_modules.video_quality.module import KSVQE

_PAIRS = 7  # of runs, one after the other, so that both meet the same load
Batch = Mapping[str, Any]


class Measure(NamedTuple):
    """A measure of a test split, the greater the better."""

    name: str
    value: float


def measured(plan: Plan, model: Method, run: Run, batches: Iterable[Batch]) -> Measure:
    """The method's first measure of what a graph says of labelled batches."""
    update, compute = _METHODS[type(model).__name__](model)
    for batch in batches:
        outputs = {name: torch.from_numpy(value) for name, value in run(inputs_of(plan.method, batch)).items()}
        update(outputs, batch)
    name, value = compute()
    return Measure(name, float(value))


def speed_ratio(first: Run, second: Run, inputs: Arrays) -> float:
    """Time of ``second`` as a multiple of that of ``first``: the median over pairs that follow each other."""
    for run in (first, second):
        run(inputs)
    return float(np.median([_seconds(second, inputs) / _seconds(first, inputs) for _ in range(_PAIRS)]))


def _seconds(run: Callable[[Arrays], dict[str, Array]], inputs: Arrays) -> float:
    begun = time.perf_counter()
    run(inputs)
    return time.perf_counter() - begun


Update = Callable[[Mapping[str, Tensor], Batch], None]
Compute = Callable[[], tuple[str, Tensor]]


def _quality(model: KSVQE) -> tuple[Update, Compute]:
    metrics = model.test_metrics

    def update(outputs: Mapping[str, Tensor], batch: Batch) -> None:
        clips = batch["fragments"].shape[1]
        metrics.update(outputs["score"].view(-1, clips).mean(dim=1), batch["mos"], batch["valid"])

    return update, lambda: _taken(metrics.compute(), "srcc", metrics.reset)


def _actions(model: FrameAveragingActionRecognizer) -> tuple[Update, Compute]:
    metrics = model.test_metrics

    def update(outputs: Mapping[str, Tensor], batch: Batch) -> None:
        metrics.update(outputs["scores"].log(), batch["label"], batch["video_index"], batch["valid"])

    return update, lambda: _taken(metrics.compute(), "balanced_accuracy", metrics.reset)


def _faces(model: FaceAttributeClassifier) -> tuple[Update, Compute]:
    metrics = model.test_metrics

    def update(outputs: Mapping[str, Tensor], batch: Batch) -> None:
        losses = outputs["probability"].new_zeros(len(batch["valid"]))
        metrics.update(outputs["probability"], outputs["decision"], batch["attributes"], losses, batch["valid"])

    return update, lambda: _taken(metrics.compute(), "balanced_accuracy", metrics.reset)


def _parts(model: MentoringMethod) -> tuple[Update, Compute]:
    metrics = model.test_metrics

    def update(outputs: Mapping[str, Tensor], batch: Batch) -> None:
        scores = outputs["scores"]
        areas = scores if scores.dim() == 5 else scores[:, :, None]
        typed = cast(Any, batch)
        metrics.update(areas, model.area_targets(typed), typed)

    def compute() -> tuple[str, Tensor]:
        values = metrics.values(model.thresholds)
        name = next((name for name in values if name.startswith("map")), next(iter(values)))
        return _taken(values, name, metrics.reset)

    return update, compute


def _taken(values: Mapping[str, Tensor], name: str, reset: Callable[[], None]) -> tuple[str, Tensor]:
    value = values[name].detach().clone()
    reset()
    return name, value


_METHODS: dict[str, Callable[[Any], tuple[Update, Compute]]] = {
    "KSVQE": _quality,
    "FrameAveragingActionRecognizer": _actions,
    "FaceAttributeClassifier": _faces,
    "MentoringSegmenter": _parts,
    "MentoringDetector": _parts,
}
