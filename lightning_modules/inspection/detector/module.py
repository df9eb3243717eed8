"""The anchor detector as a LightningModule: its arguments, its losses and its detections."""

from __future__ import annotations

from typing import Any, Literal, cast

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from datamodules.common.errors import ConfigurationError
from datamodules.inspection.batch import Detection, InspectionBatch
from lightning_modules.inspection.areas import AreaTargets, MaskUnit, grid_size
from lightning_modules.inspection.detector.anchors import fit_anchors, prior_boxes
from lightning_modules.inspection.detector.areas import AnchorRules, DetectorTargets, Suppressed, detector_targets
from lightning_modules.inspection.detector.box_coding import decode_boxes
from lightning_modules.inspection.detector.detections import AnchorMaps, SuppressionRules, box_detections
from lightning_modules.inspection.detector.losses import LossSettings, answered_loss, supervised_loss
from lightning_modules.inspection.detector.network import AnchorDetector, DetectorOutput
from lightning_modules.inspection.losses import AreaAverage
from lightning_modules.inspection.measures.areas import ThresholdRule
from lightning_modules.inspection.mentoring import AreaLosses, MentoringMethod
from lightning_modules.nn.gradient_reversal import ReversalSchedule

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

    Args:
        class_names: Classes of defects; the data module gives them.
        stride: Side of a cell in pixels.
        num_anchors: Anchors a cell; read only where ``anchors`` is None.
        anchors: Widths and heights in pixels of the network's input; None fits them to the training boxes (k-means)
            when a training begins, and the checkpoint keeps them.
        backbone: ``small`` (trains from nothing on a CPU) or a timm network.
        pretrained: Begin from timm's weights of the backbone, fetched when a training begins.
        width: Channels of ``small``.
        dropout: Before the head; sampled by ``mc_samples``.
        ignore_iou: An anchor that answers for no box, yet overlaps one that much, is left out of the loss.
        class_weight: Weight of the class vectors' loss; that of objectness is 1.
        box_weight: Weight of the boxes' loss.
        positive_weight: Factor of the objectness loss of anchors that hold a defect.
        weak_weight: lambda of eq. 3; the paper's is 1.
        mask_unit: On a confirmed anchor the whole class vector is known (``area``), or only what the answer speaks of
            (``area_class``).
        reject_class: On a rejected anchor the shown class of its cell learns to be absent, too.
        suppressed: Which answers also cover the anchors that the detection suppressed: ``all``, only the ``rejected``,
            or ``none``.
        area_average: Average answered and assumed anchors ``joint``ly (paper); ``split``: apart, then added; ``all``:
            divide by all anchors of the rows with answers, so that a known anchor weighs as much as a labelled one.
        omnia_epsilon: Cells that the deployed model scored below join M as healthy (paper: 0.01); None: off.
        healthy_knowledge: All anchors of parts flagged healthy join M.
        domain_weight: Weight of the domain loss (DANN); 0 builds no domain segmenter.
        domain_schedule: How the strength of the gradient reversal rises.
        domain_gamma: Speed of the schedule ``ganin``.
        distillation_weight: Weight of agreeing with ``baseline_weights`` where nobody answered.
        threshold_rule: Tune each class's threshold on validation for the greatest ``f1``, or to keep a ``recall``.
        recall_floor: That recall.
        threshold: One threshold for all classes in place of the tuned ones.
        nms_iou: Overlap above which the better of two boxes of a class suppresses the other.
        max_detections: Boxes an image, the best.
        tile_size: Evaluate larger images in tiles of that many pixels; None: whole.
        tile_overlap: Pixels that tiles share.
        mc_samples: Draws of dropout for the mutual information of detections; 0: none.
        embeddings: Detections carry the feature of their cell.
        learning_rate: Of the default optimiser, AdamW.
        weight_decay: Of the default optimiser.
        weights: Checkpoint of a detector to begin from (transfer learning), whose anchors are taken over.
        backbone_weights: State dict of the timm network, a local file.
        baseline_weights: Checkpoint of the deployed detector, the teacher of distillation; anchors that are to be
            fitted are taken from it.
        optimizer: Builds another optimiser.
        scheduler: Builds another schedule.
        scheduler_interval: Whether ``scheduler`` advances every ``step`` or every ``epoch``.
        warmup_epochs: Linear warm-up of the default schedule, in epochs.

    References:
        Cordier, Das and Gutierrez, "Active learning using weakly supervised signals for quality inspection",
        QCAV 2021 (arXiv 2104.02973); Redmon and Farhadi, "YOLOv3: An Incremental Improvement", 2018.
    """

    network: AnchorDetector
    output_class = DetectorOutput

    def __init__(
        self,
        class_names: list[str] | None = None,
        *,
        stride: Literal[1, 2, 4, 8, 16, 32] = 8,
        num_anchors: int = 3,
        anchors: list[list[float]] | None = None,
        backbone: str = "resnet18",
        pretrained: bool = False,
        width: int = 12,
        dropout: float = 0.0,
        ignore_iou: float = 0.4,
        class_weight: float = 0.05,
        box_weight: float = 0.05,
        positive_weight: float = 4.0,
        weak_weight: float = 1.0,
        mask_unit: MaskUnit = "area",
        reject_class: bool = False,
        suppressed: Suppressed = "rejected",
        area_average: AreaAverage = "joint",
        omnia_epsilon: float | None = None,
        healthy_knowledge: bool = False,
        domain_weight: float = 0.0,
        domain_schedule: ReversalSchedule = "ganin",
        domain_gamma: float = 10.0,
        distillation_weight: float = 0.0,
        threshold_rule: ThresholdRule = "f1",
        recall_floor: float = 0.9,
        threshold: float | None = None,
        nms_iou: float = 0.5,
        max_detections: int = 300,
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
        arguments = dict(locals())
        super().__init__(optimizer, scheduler, scheduler_interval, warmup_epochs)
        _check(arguments)
        self.build("lightning_modules.MentoringDetector", arguments)
        self._fitted: Tensor | None = None
        if anchors is not None and not torch.allclose(self.network.anchors, torch.tensor(anchors)):
            raise ConfigurationError(
                f"anchors is {anchors}, but the detector in weights {weights} was trained with "
                f"{self.network.anchors.tolist()}: leave anchors out, and they are taken over."
            )

    def build_network(self) -> nn.Module:
        """Backbone and head; the anchors that are given."""
        given = self.hparams["anchors"]
        count = self.hparams["num_anchors"] if given is None else len(given)
        backbone = self.make_backbone(self.hparams["stride"])
        network = AnchorDetector(backbone, count, len(self.class_names), self.hparams["dropout"])
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
        self._require_anchors()

    def on_test_start(self) -> None:
        """Stop a detector without anchors."""
        self._require_anchors()

    def on_predict_start(self) -> None:
        """Stop a detector without anchors."""
        self._require_anchors()

    def _require_anchors(self) -> None:
        if self.network.anchors.isnan().any():
            raise ConfigurationError(_NO_ANCHORS)

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
        rules = AnchorRules(**{name: self.hparams[name] for name in AnchorRules._fields})
        grid = grid_size(batch["image"], self.stride)
        return detector_targets(batch, self.network.anchors, self.stride, grid, len(self.class_names), rules)

    def area_targets(self, batch: InspectionBatch) -> AreaTargets:
        """What the anchors should say, ``(B, C, A, h, w)``."""
        return self.targets(batch).areas()

    def area_losses(self, output: DetectorOutput, batch: InspectionBatch) -> AreaLosses:
        """All losses on labelled rows; on the others those of objectness and class over M (eq. 3 and 4)."""
        targets, labelled = self.targets(batch), batch["labelled"]
        settings = LossSettings(
            classes=self.hparams["class_weight"],
            box=self.hparams["box_weight"],
            positive=self.hparams["positive_weight"],
            average=self.hparams["area_average"],
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
        dropped = nn.functional.dropout(features, self.hparams["dropout"], training=True)
        return self.network.predict(dropped).scores()

    def detect_from(
        self, output: DetectorOutput, batch: InspectionBatch, thresholds: Tensor, information: Tensor | None = None
    ) -> list[list[Detection]]:
        """Boxes after class-wise suppression, with the anchors that each stands for."""
        rules = SuppressionRules(iou=self.hparams["nms_iou"], max_detections=self.hparams["max_detections"])
        output, anchors = DetectorOutput(*(part.detach() for part in output)), self.network.anchors
        scores, boxes = output.scores(), decode_boxes(output.box, anchors, self.stride)
        priors = prior_boxes(anchors, self.stride, (scores.shape[-2], scores.shape[-1]))
        return [
            box_detections(
                AnchorMaps(
                    scores[row],
                    boxes[row],
                    priors,
                    features=output.features[row] if self.hparams["embeddings"] else None,
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


def _check(arguments: dict[str, Any]) -> None:
    anchors = arguments["anchors"]
    if anchors is not None and not (anchors and all(len(sides) == 2 and min(sides) > 0 for sides in anchors)):
        raise ConfigurationError(
            f"anchors is {anchors}, but must list widths and heights above 0, such as [[16, 16], [32, 20]]."
        )
    if anchors is None and arguments["num_anchors"] < 1:
        raise ConfigurationError(f"num_anchors is {arguments['num_anchors']}, but must be at least 1.")
    for name in ("ignore_iou", "nms_iou"):
        if not 0 < arguments[name] <= 1:
            raise ConfigurationError(f"{name} is {arguments[name]}, but must lie in 0..1 and above 0.")
    for name in ("class_weight", "box_weight"):
        if arguments[name] < 0:
            raise ConfigurationError(f"{name} is {arguments[name]}, but must be at least 0.")
