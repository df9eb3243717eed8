"""False positives that the deployed model did not raise: the paper's main claim, as a number."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from torch import Tensor

from callbacks.figures.collect import CollectTestResults
from callbacks.inspection.deployed_model import load_deployed_model, mentoring_method
from callbacks.inspection.false_detections import FalseDetectionRule, apart_from, false_detections, in_batch_pixels
from datamodules.inspection.batch import NEW, InspectionBatch
from lightning_modules.inspection.mentoring import MentoringMethod

log = logging.getLogger(__name__)


class NewFalsePositives(CollectTestResults):
    """Count false detections an image on the new domain, and those at places where the deployed model was silent.

    Both models detect at one threshold. Logs ``test/false_positives_per_image_new``,
    ``test/new_false_positives_per_image_new`` and, of the deployed model itself,
    ``test/baseline_false_positives_per_image_new``; nothing without labelled images of the new domain.

    Args:
        baseline: Checkpoint of the deployed model.
        threshold: Score from which both models detect.
        share: Part of a region that must lie on or near its class to be true.
        iou: Overlap of a detected box with a labelled one of its class to be true.
        overlap: Detections of both models are the same place when their intersection over union exceeds this.

    References:
        Cordier, Das, Gutierrez, "Active learning using weakly supervised signals for quality inspection", QCAV 2021,
        section 4.
    """

    def __init__(
        self, baseline: str, threshold: float = 0.5, share: float = 0.3, iou: float = 0.5, overlap: float = 0.0
    ) -> None:
        super().__init__()
        self.baseline = baseline
        self.rule = FalseDetectionRule(threshold, share, iou, overlap)
        self._models: tuple[MentoringMethod, MentoringMethod] | None = None

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Load the deployed model."""
        module = mentoring_method(pl_module, type(self).__name__)
        self._models = (module, load_deployed_model(self.baseline).to(pl_module.device))

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Let the deployed model go."""
        self._models = None

    def columns(self, outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Counts of each image; NaN where the labels are not complete or the domain is the original one."""
        assert self._models is not None
        parts: InspectionBatch = in_batch_pixels(batch)  # type: ignore[arg-type]  # Lightning types batches loosely
        wanted = (parts["domain"] == NEW) & parts["labelled"]
        counts = torch.full((3, len(wanted)), torch.nan, device=wanted.device)
        if bool(wanted.any()):
            ours, theirs = (model.detect(parts, self.rule.threshold) for model in self._models)
            for row in wanted.nonzero().flatten().tolist():
                false = false_detections(ours[row], parts, row, self.rule)
                new = apart_from(false, theirs[row], parts["size"][row].tolist(), self.rule)
                before = false_detections(theirs[row], parts, row, self.rule)
                counts[:, row] = counts.new_tensor([len(false), len(new), len(before)])
        return {"false": counts[0], "new": counts[1], "before": counts[2]}

    def finish(self, trainer: L.Trainer, module: L.LightningModule, table: dict[str, Tensor]) -> None:
        """Log the means over the images of the new domain."""
        known = torch.isfinite(table["false"])
        if not bool(known.any()):
            log.warning("no completely labelled image of the new domain was tested: no false positives are counted")
            return
        means = {name: float(column[known].mean()) for name, column in table.items() if name in _KEYS}
        module.log_dict({_KEYS[name]: value for name, value in means.items()})


_KEYS = {
    "false": "test/false_positives_per_image_new",
    "new": "test/new_false_positives_per_image_new",
    "before": "test/baseline_false_positives_per_image_new",
}
