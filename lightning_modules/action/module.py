"""Frame-averaging action recognition as a LightningModule: a classifier of frames; time is averaged afterwards."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from datamodules.action.batch import ActionBatch
from datamodules.common.errors import ConfigurationError
from datamodules.common.fingerprint import config_digest, tensors_digest
from datamodules.common.settings import fill, takes
from lightning_modules.action.losses import (
    balanced_weights,
    frame_loss,
    l1_norm,
    proximal_threshold,
    soft_threshold_,
    sparsity,
)
from lightning_modules.action.metrics import FrameMetrics
from lightning_modules.action.network import FrameClassifier, build_backbone
from lightning_modules.action.preprocess import ActionPreprocess
from lightning_modules.action.schedules import make_schedules
from lightning_modules.action.settings import PRESETS, RecognizerSettings, prediction_defects, training_defects
from lightning_modules.action.streaming import StreamMethod
from lightning_modules.nn.checkpoint_loading import load_strictly
from lightning_modules.nn.frozen import PartlyFrozen
from lightning_modules.nn.method_checkpoint import read_method_checkpoint
from lightning_modules.nn.optimizers import named_optimizer
from lightning_modules.nn.processes import mean_over_processes
from lightning_modules.nn.timm_backbone import fill_from_file, fill_from_timm, statistics_or_imagenet

log = logging.getLogger(__name__)

CLASS_LAYER = "network.classes."
TEST_FACTS = ("label", "video_index", "index", "time", "valid")  # what test_step hands on of a batch


class FrameAveragingActionRecognizer(StreamMethod):
    """What a person is doing, frame by frame; a rolling average over the frames makes it steady.

    ``preset`` fills every argument that is left at None; an explicit argument wins. The resolved values are the
    module's hyper-parameters, so a checkpoint rebuilds its own network without any other file.

    References:
        Gjorjian, "Deep Learning Action Recognition: Drinking-Cooking".
    """

    class_weight: Tensor

    @takes(RecognizerSettings, partial(fill, RecognizerSettings, PRESETS))
    def __init__(self, settings: RecognizerSettings) -> None:
        super().__init__(*settings.optimisation)
        self.config = settings
        self.keep(settings, frame_size=settings.side)
        self.class_names = list(settings.class_names or ())
        backbone, classes = settings.backbone, len(self.class_names)
        self.preprocess = ActionPreprocess(*statistics_or_imagenet(backbone), settings.side, settings.preprocessing)
        frozen, features = build_backbone(backbone, settings.side, settings.train_backbone, settings.unfrozen_stages)
        network = FrameClassifier(frozen, features, classes, settings.hidden_features, settings.dropout)
        self.network = network.to(memory_format=torch.channels_last)
        self.register_buffer("class_weight", torch.ones(classes), persistent=False)
        self.val_metrics = FrameMetrics(classes)
        self.test_metrics = FrameMetrics(classes)
        self._random_backbone = settings.backbone_weights is None and settings.weights is None
        if settings.backbone_weights is not None:
            fill_from_file(self._backbone.module, backbone, settings.backbone_weights)
        if settings.weights is not None:
            self._begin_from(settings.weights)

    @property
    def _backbone(self) -> PartlyFrozen:
        return cast(PartlyFrozen, self.network.backbone)

    def _begin_from(self, path: str) -> None:
        """Copy the weights of another recogniser's checkpoint; of other classes, all but the class layer."""
        saved, state, _ = read_method_checkpoint(path, self.class_path(), "weights")
        same_classes = saved.get("class_names") == self.class_names
        if not same_classes:
            log.info("%s knows other classes, so the class layer begins anew", path)
        load_strictly(self, state, self.state_dict(), path, () if same_classes else CLASS_LAYER)
        self.left_random([] if same_classes else ["the class layer"])

    # Beginning.

    def setup(self, stage: str) -> None:
        """Name the defects that these values repeat."""
        defects = {"fit": training_defects, "predict": prediction_defects}.get(stage)
        for defect in defects(self.config) if defects else ():
            log.warning("warning: as in the original script, %s", defect)

    def on_fit_start(self) -> None:
        """Fetch pretrained weights, unless a training goes on, and take the weights of the classes from the data."""
        self._fetch_backbone()
        self.expect_frozen(self._backbone)
        self.warn_of_random()
        if self.config.class_weighting == "balanced":
            self.class_weight.copy_(balanced_weights(torch.as_tensor(self._class_counts())))

    def random_and_frozen(self) -> str | None:
        """A frozen backbone without weights."""
        if not self._random_backbone or self.config.pretrained or not self.backbone_is_frozen:
            return None
        return (
            f"the backbone {self.config.backbone} is frozen with random weights, so that it tells little: add "
            "--model.init_args.pretrained true, name a file with --model.init_args.backbone_weights FILE, or let it "
            "learn with --model.init_args.train_backbone all"
        )

    def _fetch_backbone(self) -> None:
        if self._random_backbone and self.config.pretrained:
            fill_from_timm(self._backbone.module, self.config.backbone, self.config.side)
            self._random_backbone = False

    def _class_counts(self) -> list[int]:
        counts = getattr(getattr(self.trainer, "datamodule", None), "class_counts", None)
        if counts is None:
            raise ConfigurationError(
                "class_weighting is balanced, but the data does not say how many frames a class has: give a data "
                "module with class_counts, or set class_weighting to none."
            )
        return list(counts)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Know that the backbone's weights are there: a checkpoint holds all of them."""
        self._random_backbone = False

    # Optimiser.

    def default_optimizer(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """SGD with momentum, as the original; or AdamW."""
        rate, decay = self.config.learning_rate, self.config.weight_decay
        return named_optimizer(self.config.optimizer_name, parameters, rate, self.config.momentum, decay)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build the optimiser and its schedules."""
        if self._make_scheduler is not None or self.config.schedule == "cosine":
            return super().configure_optimizers()
        optimizer = self.build_optimizer()
        epochs = self.trainer.max_epochs if self.config.time_decay > 0 else None
        schedules = make_schedules(optimizer, self.config, epochs, self.config.preset == "legacy")
        return [optimizer], schedules  # type: ignore[return-value]  # Lightning wants dicts, its types say otherwise

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: torch.optim.Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Take a step; under ``proximal``, threshold the hidden weights after it."""
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        if self.config.l1_method == "proximal" and self.config.l1_weight > 0:
            group = optimizer.param_groups[0]
            step = proximal_threshold(self.config.l1_weight, group["lr"], group.get("momentum", 0.0))
            soft_threshold_(self.network.hidden.weight, step)

    # Training and evaluation.

    def forward(self, frames: Tensor) -> Tensor:
        """Logits ``(B, C)`` of uint8 frames ``(B, 3, H, W)``, as in training."""
        return cast(Tensor, self.network(self.preprocess(frames)))

    def batch_logits(self, batch: ActionBatch) -> Tensor:
        """Logits ``(B, C)`` of a batch, from its cached features where it has them."""
        return self.network.classify(batch["features"]) if "features" in batch else self(batch["frames"])

    def training_step(self, batch: ActionBatch, batch_idx: int) -> Tensor:
        """Cross-entropy, with the penalty on the hidden weights where there is one."""
        logits = self.batch_logits(batch)
        weight = self.class_weight if self.config.class_weighting == "balanced" else None
        frames = frame_loss(logits, batch["label"], batch["valid"], weight, self.config.label_smoothing)
        penalty = self.penalty()
        counts = batch["valid"] & (batch["label"] >= 0)
        right = (logits.argmax(dim=1) == batch["label"]) & counts
        number = int(counts.sum())
        own = frames * mean_over_processes(counts.sum().float()) / max(1, number) + penalty  # a mean over own frames
        self.log_stage("train", {"loss": own, "accuracy": right.sum() / max(1, number)}, batch_size=number)
        return frames + penalty

    def penalty(self) -> Tensor:
        """What the L1 of the hidden weights adds to the loss, a scalar."""
        weight = self.network.hidden.weight
        if self.config.l1_method == "proximal" or self.config.l1_weight == 0:
            return weight.new_zeros(())
        return self.config.l1_weight * l1_norm(weight)

    def on_train_epoch_end(self) -> None:
        """Log the L1 of the hidden weights, times its factor, and the share of them that is exactly 0."""
        weight = self.network.hidden.weight.detach()
        self.log_stage("train", {"l1": self.config.l1_weight * l1_norm(weight), "sparsity": sparsity(weight)})

    def validation_step(self, batch: ActionBatch, batch_idx: int) -> None:
        """Collect scores."""
        self.val_metrics.update(self.batch_logits(batch), batch["label"], batch["video_index"], batch["valid"])

    def test_step(self, batch: ActionBatch, batch_idx: int) -> dict[str, Any]:
        """Collect scores, and hand them to the callbacks.

        Returns:
            ``scores`` ``(B, C)``, probabilities; ``label``, ``video_index``, ``index``, ``time`` and ``valid`` of the
            batch.
        """
        logits = self.batch_logits(batch)
        self.test_metrics.update(logits, batch["label"], batch["video_index"], batch["valid"])
        scores = logits.float().softmax(dim=1)
        return {"scores": scores, **{name: value for name, value in batch.items() if name in TEST_FACTS}}

    def on_validation_epoch_end(self) -> None:
        """Log the validation measures; the original's loss has the penalty in it."""
        values = self.val_metrics.compute()
        if self.config.preset == "legacy":
            values["loss"] = values["loss"] + self.penalty().detach()
        self.log_stage("val", values)
        self.val_metrics.reset()

    def on_test_epoch_end(self) -> None:
        """Log the test measures."""
        self.log_metrics("test", self.test_metrics)

    # Prediction.

    @property
    def half_precision(self) -> bool:
        """Whether prediction on a GPU runs in half precision; undivided pixels would leave its range."""
        return self.config.half and self.config.preprocessing == "normalised"

    def frame_scores(self, frames: Tensor) -> Tensor:
        """Probabilities ``(T, C)`` of uint8 frames ``(T, 3, H, W)``, as in prediction."""
        logits: Tensor = self.network(self.preprocess(frames, predicting=True))
        return logits.float().softmax(dim=1)

    # For a cache of features.

    @property
    def backbone_is_frozen(self) -> bool:
        """Whether the same frame always gives the same features."""
        return self._backbone.frozen

    @torch.no_grad()
    def frame_features(self, frames: Tensor) -> Tensor:
        """Pooled features of a frozen backbone, as training computes them.

        Args:
            frames: uint8 ``(B, 3, H, W)`` on any device.

        Returns:
            float32 ``(B, F)`` on the module's device.
        """
        return self.network.features(self.preprocess(frames.to(self.device))).float()

    def feature_digest(self) -> str:
        """Short name of everything that `frame_features` depends on: weights of the backbone and preprocessing.

        A cache asks before the training has begun, so weights that it begins from are fetched here too.
        """
        self._fetch_backbone()
        parts = {"backbone": self._backbone, "preprocess": self.preprocess}
        tensors = {
            f"{part}.{key}": value for part, module in parts.items() for key, value in module.state_dict().items()
        }
        names = ("backbone", "frame_size", "preprocessing")
        return config_digest({"tensors": tensors_digest(tensors), **{name: self.hparams[name] for name in names}})
