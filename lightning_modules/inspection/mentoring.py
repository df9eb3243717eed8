"""Mentoring: learn from complete labels and from an operator's answers together; the base of both methods."""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from datamodules.common.errors import ConfigurationError
from datamodules.inspection.batch import NEW, Detection, InspectionBatch, InspectionPrediction
from lightning_modules.base import Method, Stage
from lightning_modules.inspection.areas import AreaTargets, picture_cells
from lightning_modules.inspection.backbones import (
    Backbone,
    build_backbone,
    download_backbone,
    load_backbone,
    preprocess_statistics,
)
from lightning_modules.inspection.domain_segmenter import DomainSegmenter, proxy_a_distance
from lightning_modules.inspection.losses import distillation_loss, global_count, masked_bce
from lightning_modules.inspection.measures.stage import DomainMetrics, TuningRule, image_decisions
from lightning_modules.inspection.preprocess import InspectionPreprocess
from lightning_modules.inspection.settings import MentoringSettings, check_tiles
from lightning_modules.inspection.tiling import tiled
from lightning_modules.inspection.transfer import Teacher, load_teacher, load_transfer, read_model
from lightning_modules.inspection.uncertainty import mutual_information
from lightning_modules.nn.gradient_reversal import gradient_reversal, reversal_strength

log = logging.getLogger(__name__)

_LOGIT_LIMIT = 1e-6  # scores nearer to 0 or 1 have no gradient in distillation


class AreaLosses(NamedTuple):
    """Losses over areas, averaged over the global batch, and what they were computed from.

    Attributes:
        supervised: L_S of eq. 3, over rows with complete labels; a scalar in the graph.
        weak: L_W of eq. 3 and 4, over rows with answers alone; a scalar in the graph.
        targets: Of all areas.
    """

    supervised: Tensor
    weak: Tensor
    targets: AreaTargets


class MentoringMethod(Method, ABC):
    """What segmenter and detector share: the losses' sum, the fixes, the domains' measures and the steps.

    A subclass hands its settings to ``super().__init__``. Its network has the attributes ``backbone``, ``stride`` and
    ``num_features``, and returns a named tuple whose every tensor is ``(B, ..., h, w)`` on the grid of cells, one of
    them ``features``.
    """

    thresholds: Tensor
    output_class: type[Any]  # the named tuple of the network

    def __init__(self, settings: MentoringSettings) -> None:
        """Save the settings, make all parts and load what is named.

        Raises:
            ConfigurationError: If options contradict each other.
            CheckpointError: If a file of weights does not fit.
        """
        super().__init__(*settings.optimisation)
        self.config = settings
        self.keep(settings)
        self.class_names: list[str] = list(settings.class_names or ())
        self.preprocess = InspectionPreprocess(*preprocess_statistics(settings.backbone))
        self.network = self.build_network().to(memory_format=torch.channels_last)
        self.stride = cast(int, self.network.stride)
        check_tiles(settings.tile_size, settings.tile_overlap, self.stride)
        features = cast(int, self.network.num_features)
        self.domain_segmenter = DomainSegmenter(features) if settings.domain_weight > 0 else None
        self.teacher = self._build_teacher() if settings.distillation_weight > 0 else None
        self.val_metrics = DomainMetrics(self.class_names)
        self.test_metrics = DomainMetrics(self.class_names, complete=True)
        self.register_buffer("thresholds", torch.full((len(self.class_names),), 0.5))
        self.seen_domains: set[int] = set()  # of training batches
        self._needs_download = bool(settings.pretrained)
        self._needs_teacher = self.teacher is not None
        self._load(settings)

    # What a subclass gives.

    @abstractmethod
    def build_network(self) -> nn.Module:
        """Make the network from ``self.hparams``; no file is read."""

    @abstractmethod
    def area_losses(self, output: Any, batch: InspectionBatch) -> AreaLosses:  # noqa: ANN401  # a method's own tuple
        """Losses of the areas of both domains."""

    @abstractmethod
    def area_targets(self, batch: InspectionBatch) -> AreaTargets:
        """Targets of the areas, ``(B, C, A, h, w)``."""

    @abstractmethod
    def area_scores(self, output: Any) -> Tensor:  # noqa: ANN401  # a method's own tuple
        """Probabilities of the areas, float32 ``(B, C, A, h, w)``."""

    @abstractmethod
    def sample_scores(self, features: Tensor) -> Tensor:
        """Probabilities ``(B, C, A, h, w)`` of features ``(B, F, h, w)`` under one draw of dropout, in any mode."""

    @abstractmethod
    def detect_from(
        self,
        output: Any,  # noqa: ANN401  # a method's own tuple
        batch: InspectionBatch,
        thresholds: Tensor,
        information: Tensor | None = None,
    ) -> list[list[Detection]]:
        """Detections of each image at or above the thresholds ``(C,)``, best first.

        Args:
            output: What the network says of the whole images.
            batch: The images' sizes are read.
            thresholds: On the device of the output.
            information: Mutual information under dropout ``(B, C, A, h, w)`` in nats; None where not sampled.
        """

    # Building.

    def make_backbone(self, stride: int) -> Backbone:
        """The backbone that the arguments ask for, with random weights."""
        return build_backbone(self.config.backbone, stride, width=self.config.width)

    def _build_teacher(self) -> Teacher:
        preprocess = InspectionPreprocess(*preprocess_statistics(self.config.backbone))
        return Teacher(preprocess, self.build_network().to(memory_format=torch.channels_last))

    def _load(self, settings: MentoringSettings) -> None:
        if settings.backbone_weights is not None:
            load_backbone(cast(Backbone, self.network.backbone), settings.backbone, settings.backbone_weights)
            self._needs_download = False
        if settings.baseline_weights is not None and self.teacher is not None:
            file = settings.baseline_weights
            load_teacher(self.teacher, read_model(file, self.class_path(), self.class_names, "baseline_weights"), file)
            self._needs_teacher = False
        if settings.weights is not None:
            file = settings.weights
            load_transfer(self, read_model(file, self.class_path(), self.class_names, "weights"), file)
            self._needs_download = False

    def on_fit_start(self) -> None:
        """Fetch pretrained weights when a training begins, not when a checkpoint is read or a training goes on."""
        if self.trainer.ckpt_path is not None:
            return
        if self._needs_teacher:
            raise ConfigurationError(
                f"distillation_weight is {self.hparams['distillation_weight']}, but there is no model to learn from: "
                "name the deployed model's checkpoint as baseline_weights."
            )
        if self._needs_download:
            download_backbone(cast(Backbone, self.network.backbone), self.config.backbone)

    def default_optimizer(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """AdamW; the paper names no optimiser."""
        return torch.optim.AdamW(parameters, lr=self.config.learning_rate, weight_decay=self.config.weight_decay)

    # Training.

    def forward(self, image: Tensor) -> Any:  # noqa: ANN401  # a method's own tuple
        """What the network says of uint8 images ``(B, 3, H, W)`` in 0..255."""
        return self.network(self.preprocess(image))

    def training_step(self, batch: InspectionBatch, batch_idx: int) -> Tensor:
        """Sum of the losses of eq. 3 and of the fixes, both domains in one pass."""
        if len(self.seen_domains) < 2:  # a GPU is waited for in the first steps alone
            self.seen_domains.update(batch["domain"].tolist())
        losses = self.losses(batch, self.domain_strength())
        self.log_stage("train", losses, batch_size=len(batch["image"]))
        return losses["loss"]

    def losses(self, batch: InspectionBatch, strength: float) -> dict[str, Tensor]:
        """Every loss and count of a batch by its name in the log; ``loss`` is the one to minimise.

        Args:
            batch: Both domains.
            strength: Of the gradient reversal, 0..1.
        """
        output = self(batch["image"])
        areas = self.area_losses(output, batch)
        values = {"supervised_loss": areas.supervised, "weak_loss": areas.weak}
        loss = areas.supervised + self.config.weak_weight * areas.weak
        if self.domain_segmenter is not None:
            domain = self._domain_values(output.features, batch, strength)
            loss = loss + self.config.domain_weight * domain["domain_loss"]
            values |= domain
        if self.teacher is not None:
            values["distillation_loss"] = self._distillation(output, areas.targets, batch)
            loss = loss + self.config.distillation_weight * values["distillation_loss"]
        return {"loss": loss, **values, **_area_counts(areas.targets, batch)}

    def domain_strength(self) -> float:
        """Strength of the gradient reversal at this step: a function of the step alone, so a resumed run has it too."""
        schedule = self.config.domain_schedule
        if self.domain_segmenter is None or schedule == "constant":
            return 1.0
        total = float(self.trainer.estimated_stepping_batches)
        if total == float("inf"):
            raise ConfigurationError(
                f"domain_schedule {schedule} needs to know how long training lasts: set trainer.max_epochs or "
                "trainer.max_steps, or choose domain_schedule constant."
            )
        return reversal_strength(self.trainer.global_step / max(1.0, total), schedule, self.config.domain_gamma)

    def _domain_values(self, features: Tensor, batch: InspectionBatch, strength: float) -> dict[str, Tensor]:
        """Loss and accuracy of the domain segmenter over all pixels of both domains, masked or not (section 3.4.4)."""
        assert self.domain_segmenter is not None
        logits = self.domain_segmenter(gradient_reversal(features, strength))[:, 0]
        inside = self._picture(batch, logits)
        target = batch["domain"].float()[:, None, None].expand_as(logits)
        right = ((logits > 0) == (target > 0.5)) & inside
        accuracy = right.sum() / inside.sum().clamp(min=1)
        return {
            "domain_loss": masked_bce(logits, target, inside, count=global_count(inside)),
            "domain_accuracy": accuracy,
            "domain_strength": accuracy.new_tensor(strength),
            "proxy_a_distance": proxy_a_distance(1 - accuracy),
        }

    def _distillation(self, output: Any, targets: AreaTargets, batch: InspectionBatch) -> Tensor:  # noqa: ANN401  # a method's own tuple
        """Agree with the deployed model on the areas of mentored rows that nobody answered (section 5)."""
        assert self.teacher is not None
        mentored = ~batch["labelled"]
        student = self.area_log_odds(output)
        teacher = torch.zeros_like(student, dtype=torch.float32, requires_grad=False)
        if bool(mentored.any()):
            teacher[mentored] = self.area_scores(self.output_class(*self.teacher(batch["image"][mentored])))
        inside = self._picture(batch, student) & mentored[:, None, None]
        unmentored = inside[:, None, None] & ~targets.known
        return distillation_loss(student, teacher, unmentored, count=global_count(unmentored))

    def _picture(self, batch: InspectionBatch, maps: Tensor) -> Tensor:
        """Cells of the picture on the grid of ``maps`` ``(..., h, w)``, bool ``(B, h, w)``; none in rows of padding."""
        inside, _ = picture_cells(batch["size"], self.stride, (maps.shape[-2], maps.shape[-1]))
        return inside & batch["valid"][:, None, None]

    def area_log_odds(self, output: Any) -> Tensor:  # noqa: ANN401  # a method's own tuple
        """Log odds of the areas' probabilities, ``(B, C, A, h, w)``."""
        return torch.logit(self.area_scores(output), eps=_LOGIT_LIMIT)

    # Evaluation.

    def whole_output(self, image: Tensor) -> Any:  # noqa: ANN401  # a method's own tuple
        """What the network says of whole images ``(B, 3, H, W)``, tile by tile where they exceed ``tile_size``."""
        tile = self.config.tile_size
        if tile is None or max(image.shape[-2:]) <= tile:
            return self(image)
        return self.output_class(*tiled(self, image, tile, self.config.tile_overlap, self.stride))

    def cell_probabilities(self, batch: InspectionBatch) -> Tensor:
        """Probabilities of all areas, float32 ``(B, C, A, h, w)``."""
        return self.area_scores(self.whole_output(batch["image"]))

    def applied_thresholds(self) -> Tensor:
        """Thresholds ``(C,)`` of detections: the argument ``threshold``, or those that validation tuned."""
        fixed = self.config.threshold
        return self.thresholds if fixed is None else torch.full_like(self.thresholds, fixed)

    def detect(self, batch: InspectionBatch, threshold: float | None = None) -> list[list[Detection]]:
        """Detections of each image, best first.

        Args:
            batch: Images and their sizes.
            threshold: One for all classes; None takes :meth:`applied_thresholds`.
        """
        thresholds = self.applied_thresholds() if threshold is None else torch.full_like(self.thresholds, threshold)
        return self.detect_from(self.whole_output(batch["image"]), batch, thresholds)

    def validation_step(self, batch: InspectionBatch, batch_idx: int) -> None:
        """Collect the areas' scores."""
        scores = self.cell_probabilities(batch)
        self.val_metrics.update(scores, self.area_targets(batch), batch)

    def test_step(self, batch: InspectionBatch, batch_idx: int) -> InspectionPrediction:
        """Collect the areas' scores, the images' decisions and the boxes; hand the detections to the callbacks."""
        output = self.whole_output(batch["image"])
        scores = self.area_scores(output)
        prediction = self._prediction(output, scores, batch)
        self.test_metrics.update(scores, self.area_targets(batch), batch)
        inside = self._picture(batch, scores)
        self.test_metrics.update_images(*image_decisions(scores, inside, self.applied_thresholds()), batch)
        self.test_metrics.update_boxes(self.ranked_detections(output, batch, prediction["detections"]), batch)
        return prediction

    def ranked_detections(
        self,
        output: Any,  # noqa: ANN401  # a method's own tuple
        batch: InspectionBatch,
        detections: list[list[Detection]],
    ) -> list[list[Detection]]:
        """Detections for box mAP, which ranks them by score; a method may add those below the thresholds."""
        return detections

    def predict_step(self, batch: InspectionBatch, batch_idx: int) -> InspectionPrediction:
        """Detections, score maps and image scores of a batch."""
        output = self.whole_output(batch["image"])
        return self._prediction(output, self.area_scores(output), batch)

    def _prediction(self, output: Any, scores: Tensor, batch: InspectionBatch) -> InspectionPrediction:  # noqa: ANN401  # a method's own tuple
        thresholds = self.applied_thresholds()
        highest = scores.amax(dim=(1, 2)).half().cpu()
        cells = [[-(-int(side) // self.stride) for side in size] for size in batch["size"].tolist()]
        return {
            "detections": self.detect_from(output, batch, thresholds, self._information(output.features, batch)),
            "score_map": [plane[:rows, :columns] for plane, (rows, columns) in zip(highest, cells, strict=True)],
            "image_score": image_decisions(scores, self._picture(batch, scores), thresholds)[0].cpu(),
            "source_size": batch["source_size"].cpu(),
            "valid": batch["valid"].cpu(),
            "index": batch["index"].cpu(),
            "path": list(batch["path"]),
            "thresholds": thresholds.float().cpu(),
        }

    def _information(self, features: Tensor, batch: InspectionBatch) -> Tensor | None:
        """Mutual information of each area under dropout; each image draws from its own seed, whatever its batch."""
        samples = int(self.config.mc_samples)
        if samples == 0:
            return None
        seed = int(os.environ.get("PL_GLOBAL_SEED", "0"))
        devices = [features.device] if features.device.type == "cuda" else []
        rows = []
        for row, index in zip(torch.split(features, 1), batch["index"].tolist(), strict=True):
            with torch.random.fork_rng(devices):
                torch.manual_seed((seed * 1_000_003 + int(index)) % (2**63))
                rows.append(mutual_information(torch.stack([self.sample_scores(row) for _ in range(samples)])))
        return torch.cat(rows)

    def on_train_epoch_end(self) -> None:
        """Warn of a domain segmenter that has nothing to tell apart."""
        if self.domain_segmenter is not None and self.trainer.current_epoch == 0 and len(self.seen_domains) < 2:
            log.warning(
                "domain_weight is %g, but the training images come from one domain alone: add images of the other one, "
                "or set domain_weight to 0.",
                self.config.domain_weight,
            )

    def on_validation_epoch_end(self) -> None:
        """Tune the thresholds and log the validation measures.

        A deployed model has no labels of a domain that comes after it, so the new domain's count only once training has
        seen it.
        """
        prefer_new = self.trainer.strategy.reduce_boolean_decision(NEW in self.seen_domains, all=False)
        rule = TuningRule(self.config.threshold_rule, self.config.recall_floor)
        tuned = self.val_metrics.best_thresholds(rule, prefer_new=prefer_new)
        if tuned is not None and not self.trainer.sanity_checking:
            self.thresholds.copy_(tuned)
        self._log_metrics("val", self.val_metrics)

    def on_test_epoch_end(self) -> None:
        """Log the test measures."""
        self._log_metrics("test", self.test_metrics)

    def _log_metrics(self, stage: Stage, metrics: DomainMetrics) -> None:
        self.log_stage(stage, metrics.values(self.thresholds))
        metrics.reset()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the thresholds of the newest validation; weight averaging would save those before it."""
        checkpoint["state_dict"]["thresholds"] = self.thresholds.detach().clone()
        checkpoint["seen_domains"] = sorted(self.seen_domains)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Know which domains were trained on."""
        self.seen_domains = set(checkpoint.get("seen_domains", ()))


def _area_counts(targets: AreaTargets, batch: InspectionBatch) -> dict[str, Tensor]:
    """Areas of this process's batch that an answer covers, and those assumed to be healthy."""
    mentored = ~batch["labelled"][:, None, None, None, None]
    answered = (targets.known & ~targets.assumed & mentored).any(dim=1)
    return {
        "answered_areas": answered.sum().float(),
        "assumed_areas": (targets.assumed & mentored).any(dim=1).sum().float(),
    }
