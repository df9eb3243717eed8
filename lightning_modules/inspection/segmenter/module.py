"""The grid-cell segmenter as a LightningModule: its arguments, its losses and its detections."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.common.settings import takes
from datamodules.inspection.batch import Detection, InspectionBatch
from lightning_modules.inspection.areas import AreaTargets, cell_targets
from lightning_modules.inspection.losses import global_count, masked_bce, weak_loss
from lightning_modules.inspection.mentoring import AreaLosses, MentoringMethod
from lightning_modules.inspection.segmenter.detections import region_detections
from lightning_modules.inspection.segmenter.network import GridSegmenter, SegmenterOutput
from lightning_modules.inspection.segmenter.settings import SegmenterSettings


class MentoringSegmenter(MentoringMethod):
    """Defects by grid cells, learnt from complete labels and from confirmed and rejected detections.

    Every fix of the paper is one argument, and all combine: ``weights`` (transfer learning), ``omnia_epsilon``,
    ``healthy_knowledge``, ``domain_weight`` (DANN); ``distillation_weight`` is its future work.

    References:
        Cordier, Das and Gutierrez, "Active learning using weakly supervised signals for quality inspection",
        QCAV 2021 (arXiv 2104.02973).
    """

    output_class = SegmenterOutput

    config: SegmenterSettings

    @takes(SegmenterSettings)
    def __init__(self, settings: SegmenterSettings) -> None:
        super().__init__(settings)

    def build_network(self) -> nn.Module:
        """Backbone and class head."""
        backbone = self.make_backbone(self.config.stride)
        return GridSegmenter(backbone, len(self.class_names), self.config.dropout)

    def area_targets(self, batch: InspectionBatch) -> AreaTargets:
        """What the cells should say, ``(B, C, 1, h, w)``."""
        return cell_targets(
            batch,
            self.config.stride,
            len(self.class_names),
            coverage=self.config.coverage,
            mask_unit=self.config.mask_unit,
            omnia_epsilon=self.config.omnia_epsilon,
            healthy_knowledge=self.config.healthy_knowledge,
        )

    def area_losses(self, output: SegmenterOutput, batch: InspectionBatch) -> AreaLosses:
        """Cross-entropy over the known cells of labelled rows, and over M on the others (eq. 3 and 4)."""
        targets = self.area_targets(batch)
        logits = output.logits[:, :, None]
        weight = self.config.positive_weight
        labelled = batch["labelled"][:, None, None, None, None]
        complete = targets.known & labelled
        supervised = masked_bce(logits, targets.target, complete, positive_weight=weight, count=global_count(complete))
        weak = weak_loss(
            logits,
            targets.target,
            targets.known & ~labelled & ~targets.assumed,
            targets.assumed,
            ~labelled,
            average=self.config.area_average,
            positive_weight=weight,
        )
        return AreaLosses(supervised, weak, targets)

    def area_scores(self, output: SegmenterOutput) -> Tensor:
        """Sigmoid of the logits, ``(B, C, 1, h, w)``."""
        return output.logits.float().sigmoid()[:, :, None]

    def area_log_odds(self, output: SegmenterOutput) -> Tensor:
        """The logits themselves."""
        return output.logits[:, :, None]

    def sample_scores(self, features: Tensor) -> Tensor:
        """Scores under one draw of dropout before the class head."""
        dropped = F.dropout(features, self.config.dropout, training=True)
        return torch.sigmoid(self.network.head(dropped).float())[:, :, None]  # type: ignore[operator]  # a module

    def detect_from(
        self, output: SegmenterOutput, batch: InspectionBatch, thresholds: Tensor, information: Tensor | None = None
    ) -> list[list[Detection]]:
        """Connected regions of cells of one class at or above its threshold."""
        scores = self.area_scores(output)[:, :, 0].cpu()
        limits = thresholds.cpu()
        return [
            region_detections(
                scores[row],
                self.config.stride,
                limits,
                batch["size"][row].tolist(),
                batch["source_size"][row].tolist(),
                features=output.features[row] if self.config.embeddings else None,
                mutual_information=None if information is None else information[row, :, 0],
            )
            for row in range(len(scores))
        ]
