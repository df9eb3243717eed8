"""The anchor detector as a LightningModule: its arguments, its losses and its detections."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import takes
from datamodules.inspection.batch import Detection, InspectionBatch
from lightning_modules.inspection.areas import AreaTargets, grid_size
from lightning_modules.inspection.detector.anchors import decode_boxes, fit_anchors, prior_boxes
from lightning_modules.inspection.detector.areas import AnchorRules, DetectorTargets, detector_targets
from lightning_modules.inspection.detector.detections import AnchorMaps, SuppressionRules, box_detections
from lightning_modules.inspection.detector.losses import LossSettings, answered_loss, supervised_loss
from lightning_modules.inspection.detector.network import AnchorDetector, DetectorOutput
from lightning_modules.inspection.detector.settings import DetectorSettings
from lightning_modules.inspection.mentoring import AreaLosses, MentoringMethod

LOWEST_RANKED_SCORE = 0.01  # of boxes that box mAP ranks
_NO_ANCHORS = (
    "The detector has no anchors: give anchors or a checkpoint, or train it on a data module with box_sizes(), to "
    "which they are fitted."
)


class MentoringDetector(MentoringMethod):
    """Defects by anchor boxes, learnt from complete labels and from confirmed and rejected detections.

    The network gives (H, W, B * 5 + C): objectness and box of each anchor, one class vector a cell; an area is an
    anchor and its score objectness x class. On rows with answers alone objectness learns from the anchors in M, the
    class vector where a confirmed or re-classed anchor sits, and boxes never. Every fix of the paper is one argument,
    and all combine: ``weights`` (transfer learning), ``omnia_epsilon``, ``healthy_knowledge``, ``domain_weight``
    (DANN); ``distillation_weight`` is its future work.

    References:
        Cordier, Das and Gutierrez, "Active learning using weakly supervised signals for quality inspection",
        QCAV 2021 (arXiv 2104.02973); Redmon and Farhadi, "YOLOv3: An Incremental Improvement", 2018.
    """

    network: AnchorDetector
    output_class = DetectorOutput

    config: DetectorSettings

    @takes(DetectorSettings)
    def __init__(self, settings: DetectorSettings) -> None:
        super().__init__(settings)
        self._fitted: Tensor | None = None
        anchors = settings.anchors
        if anchors is not None and not torch.allclose(self.network.anchors, torch.tensor(anchors)):
            raise ConfigurationError(
                f"anchors is {anchors}, but the detector in weights {settings.weights} was trained with "
                f"{self.network.anchors.tolist()}: leave anchors out, and they are taken over."
            )

    def build_network(self) -> nn.Module:
        """Backbone and head; the anchors that are given."""
        given = self.config.anchors
        count = self.config.num_anchors if given is None else len(given)
        backbone = self.make_backbone(self.config.stride)
        network = AnchorDetector(backbone, count, len(self.class_names), self.config.dropout)
        if given is not None:
            network.anchors.copy_(torch.tensor(given))
        return network

    def setup(self, stage: str) -> None:
        """Fit the anchors when a training begins; every process fits the same boxes, hence the same anchors.

        A checkpoint, which is read after this, brings its own.

        Raises:
            ConfigurationError: If there are no anchors and nothing to fit them to, or the teacher has others.
        """
        super().setup(stage)
        if stage != "fit":
            return
        anchors = self.network.anchors
        teacher = None if self.teacher is None else cast(AnchorDetector, self.teacher.network).anchors
        if anchors.isnan().any() and teacher is not None:
            anchors.copy_(teacher)
        if anchors.isnan().any():
            anchors.copy_(self._anchors_of_data())
        if teacher is not None and not (torch.allclose(anchors, teacher) or teacher.isnan().any()):
            raise ConfigurationError(
                f"The detector has the anchors {anchors.tolist()}, its teacher in baseline_weights "
                f"{teacher.tolist()}, so their areas do not correspond: leave anchors out."
            )
        self._fitted = anchors.detach().clone()

    def _anchors_of_data(self) -> Tensor:
        box_sizes = getattr(getattr(self.trainer, "datamodule", None), "box_sizes", None)
        if box_sizes is None:
            raise ConfigurationError(_NO_ANCHORS)
        return fit_anchors(box_sizes(), len(self.network.anchors))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the checkpoint's anchors, not those that were just fitted."""
        super().on_load_checkpoint(checkpoint)
        self._fitted = checkpoint["state_dict"]["network.anchors"].clone()

    def on_validation_start(self) -> None:
        """Stop a detector without anchors."""
        if self.network.anchors.isnan().any():
            raise ConfigurationError(_NO_ANCHORS)

    on_test_start = on_predict_start = on_validation_start

    def on_validation_epoch_start(self) -> None:
        """Averaged weights, which stand in for validation, were copied before the anchors were fitted."""
        if self._fitted is not None:
            self.network.anchors.copy_(self._fitted)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the anchors in use, also where the weights are averaged ones."""
        super().on_save_checkpoint(checkpoint)
        if self._fitted is not None:
            checkpoint["state_dict"]["network.anchors"] = self._fitted.cpu().clone()

    # Learning.

    def targets(self, batch: InspectionBatch) -> DetectorTargets:
        """What anchors and cells should say, and where that is known."""
        rules = AnchorRules(**{name: getattr(self.config, name) for name in AnchorRules._fields})
        grid = grid_size(batch["image"], self.stride)
        return detector_targets(batch, self.network.anchors, self.stride, grid, len(self.class_names), rules)

    def area_targets(self, batch: InspectionBatch) -> AreaTargets:
        """What the anchors should say, ``(B, C, A, h, w)``."""
        return self.targets(batch).areas()

    def area_losses(self, output: DetectorOutput, batch: InspectionBatch) -> AreaLosses:
        """All losses on labelled rows; on the others those of objectness and class over M (eq. 3 and 4)."""
        targets, labelled = self.targets(batch), batch["labelled"]
        settings = LossSettings(
            classes=self.config.class_weight,
            box=self.config.box_weight,
            positive=self.config.positive_weight,
            average=self.config.area_average,
        )
        supervised = supervised_loss(output, targets, labelled, self.network.anchors, self.stride, settings)
        return AreaLosses(supervised, answered_loss(output, targets, labelled, settings), targets.areas())

    def area_scores(self, output: DetectorOutput) -> Tensor:
        """Objectness x class, ``(B, C, A, h, w)``."""
        return output.scores()

    def area_log_odds(self, output: DetectorOutput) -> Tensor:
        """Log odds of objectness x class."""
        return output.log_odds()

    # Detecting.

    def sample_scores(self, features: Tensor) -> Tensor:
        """Scores under one draw of dropout before the head."""
        dropped = nn.functional.dropout(features, self.config.dropout, training=True)
        return self.network.predict(dropped).scores()

    def detect_from(
        self, output: DetectorOutput, batch: InspectionBatch, thresholds: Tensor, information: Tensor | None = None
    ) -> list[list[Detection]]:
        """Boxes after class-wise suppression, with the anchors that each stands for."""
        rules = SuppressionRules(iou=self.config.nms_iou, max_detections=self.config.max_detections)
        output, anchors = DetectorOutput(*(part.detach() for part in output)), self.network.anchors
        scores, boxes = output.scores(), decode_boxes(output.box, anchors, self.stride)
        priors = prior_boxes(anchors, self.stride, (scores.shape[-2], scores.shape[-1]))
        return [
            box_detections(
                AnchorMaps(
                    scores[row],
                    boxes[row],
                    priors,
                    features=output.features[row] if self.config.embeddings else None,
                    mutual_information=None if information is None else information[row],
                ),
                thresholds,
                batch["size"][row].tolist(),
                batch["source_size"][row].tolist(),
                self.stride,
                rules,
            )
            for row in range(len(scores))
        ]

    def ranked_detections(
        self, output: DetectorOutput, batch: InspectionBatch, detections: list[list[Detection]]
    ) -> list[list[Detection]]:
        """Boxes down to low scores, which box mAP ranks."""
        lowest = self.thresholds.new_full(self.thresholds.shape, LOWEST_RANKED_SCORE)
        return self.detect_from(output, batch, torch.minimum(lowest, self.applied_thresholds()))
