"""The grid-cell segmenter as a LightningModule: its arguments, its losses and its detections."""

from __future__ import annotations

from typing import Literal

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.inspection.batch import Detection, InspectionBatch
from lightning_modules.inspection.areas import AreaTargets, MaskUnit, cell_targets
from lightning_modules.inspection.losses import AreaAverage, global_count, masked_bce, weak_loss
from lightning_modules.inspection.measures.areas import ThresholdRule
from lightning_modules.inspection.mentoring import AreaLosses, MentoringMethod
from lightning_modules.inspection.segmenter.detections import region_detections
from lightning_modules.inspection.segmenter.network import GridSegmenter, SegmenterOutput
from lightning_modules.nn.gradient_reversal import ReversalSchedule


class MentoringSegmenter(MentoringMethod):
    """Defects by grid cells, learnt from complete labels and from confirmed and rejected detections.

    Every fix of the paper is one argument, and all combine: ``weights`` (transfer learning), ``omnia_epsilon``,
    ``healthy_knowledge``, ``domain_weight`` (DANN); ``distillation_weight`` is its future work.

    Args:
        class_names: Classes of defects; the data module gives them.
        stride: Side of a cell in pixels; 1 makes pixels the areas.
        backbone: ``small`` (trains from nothing on a CPU) or a timm network.
        pretrained: Begin from timm's weights of the backbone, fetched when a training begins.
        width: Channels of ``small``.
        dropout: Before the class head; sampled by ``mc_samples``.
        coverage: Share of a cell that a defect must cover to make it defective; less, but some, is ignored.
        weak_weight: lambda of eq. 3; the paper's is 1.
        mask_unit: An answer makes the whole ``area`` known (paper), or only its ``area_class``.
        area_average: Average answered and assumed areas ``joint``ly (paper); ``split``: apart, then added; ``all``:
            over all areas of images with answers, so that an answered area weighs as much as a labelled one.
        positive_weight: Factor of the loss of defective areas.
        omnia_epsilon: Areas that the deployed model scored below join M as healthy (paper: 0.01); None: off.
        healthy_knowledge: All areas of parts flagged healthy join M.
        domain_weight: Weight of the domain loss (DANN); 0 builds no domain segmenter.
        domain_schedule: How the strength of the gradient reversal rises.
        domain_gamma: Speed of the schedule ``ganin``.
        distillation_weight: Weight of agreeing with ``baseline_weights`` where nobody answered.
        threshold_rule: Tune each class's threshold on validation for the greatest ``f1``, or to keep a ``recall``.
        recall_floor: That recall.
        threshold: One threshold for all classes in place of the tuned ones.
        tile_size: Evaluate larger images in tiles of that many pixels; None: whole.
        tile_overlap: Pixels that tiles share.
        mc_samples: Draws of dropout for the mutual information of detections; 0: none.
        embeddings: Detections carry the mean feature of their cells.
        learning_rate: Of the default optimiser, AdamW.
        weight_decay: Of the default optimiser.
        weights: Checkpoint of a segmenter to begin from (transfer learning).
        backbone_weights: State dict of the timm network, a local file.
        baseline_weights: Checkpoint of the deployed segmenter, the teacher of distillation.
        optimizer: Builds another optimiser.
        scheduler: Builds another schedule.
        scheduler_interval: Whether ``scheduler`` advances every ``step`` or every ``epoch``.
        warmup_epochs: Linear warm-up of the default schedule, in epochs.

    References:
        Cordier, Das and Gutierrez, "Active learning using weakly supervised signals for quality inspection",
        QCAV 2021 (arXiv 2104.02973).
    """

    output_class = SegmenterOutput

    def __init__(
        self,
        class_names: list[str] | None = None,
        *,
        stride: Literal[1, 2, 4, 8, 16, 32] = 8,
        backbone: str = "resnet18",
        pretrained: bool = False,
        width: int = 12,
        dropout: float = 0.0,
        coverage: float = 0.06,
        weak_weight: float = 1.0,
        mask_unit: MaskUnit = "area",
        area_average: AreaAverage = "joint",
        positive_weight: float = 1.0,
        omnia_epsilon: float | None = None,
        healthy_knowledge: bool = False,
        domain_weight: float = 0.0,
        domain_schedule: ReversalSchedule = "ganin",
        domain_gamma: float = 10.0,
        distillation_weight: float = 0.0,
        threshold_rule: ThresholdRule = "f1",
        recall_floor: float = 0.9,
        threshold: float | None = None,
        tile_size: int | None = None,
        tile_overlap: int = 0,
        mc_samples: int = 0,
        embeddings: bool = False,
        learning_rate: float = 3e-3,
        weight_decay: float = 1e-4,
        weights: str | None = None,
        backbone_weights: str | None = None,
        baseline_weights: str | None = None,
        optimizer: OptimizerCallable | None = None,
        scheduler: LRSchedulerCallable | None = None,
        scheduler_interval: Literal["step", "epoch"] = "step",
        warmup_epochs: float = 1.0,
    ) -> None:
        super().__init__(optimizer, scheduler, scheduler_interval, warmup_epochs)
        self.build("lightning_modules.MentoringSegmenter", locals())

    def build_network(self) -> nn.Module:
        """Backbone and class head."""
        backbone = self.make_backbone(self.hparams["stride"])
        return GridSegmenter(backbone, len(self.class_names), self.hparams["dropout"])

    def area_targets(self, batch: InspectionBatch) -> AreaTargets:
        """What the cells should say, ``(B, C, 1, h, w)``."""
        return cell_targets(
            batch,
            self.hparams["stride"],
            len(self.class_names),
            coverage=self.hparams["coverage"],
            mask_unit=self.hparams["mask_unit"],
            omnia_epsilon=self.hparams["omnia_epsilon"],
            healthy_knowledge=self.hparams["healthy_knowledge"],
        )

    def area_losses(self, output: SegmenterOutput, batch: InspectionBatch) -> AreaLosses:
        """Cross-entropy over the known cells of labelled rows, and over M on the others (eq. 3 and 4)."""
        targets = self.area_targets(batch)
        logits = output.logits[:, :, None]
        weight = self.hparams["positive_weight"]
        labelled = batch["labelled"][:, None, None, None, None]
        complete = targets.known & labelled
        supervised = masked_bce(logits, targets.target, complete, positive_weight=weight, count=global_count(complete))
        weak = weak_loss(
            logits,
            targets.target,
            targets.known & ~labelled & ~targets.assumed,
            targets.assumed,
            ~labelled,
            average=self.hparams["area_average"],
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
        dropped = F.dropout(features, self.hparams["dropout"], training=True)
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
                self.hparams["stride"],
                limits,
                batch["size"][row].tolist(),
                batch["source_size"][row].tolist(),
                features=output.features[row] if self.hparams["embeddings"] else None,
                mutual_information=None if information is None else information[row, :, 0],
            )
            for row in range(len(scores))
        ]
