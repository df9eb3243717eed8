"""Frame-averaging action recognition as a LightningModule: a classifier of frames; time is averaged afterwards."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal, cast

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from datamodules.action.batch import ActionBatch
from datamodules.common.errors import ConfigurationError
from datamodules.common.fingerprint import config_digest, tensors_digest
from lightning_modules.action.backbones import (
    TrainBackbone,
    build_backbone,
    download_backbone,
    load_backbone,
    preprocess_statistics,
)
from lightning_modules.action.losses import (
    L1Method,
    balanced_weights,
    frame_loss,
    l1_norm,
    proximal_threshold,
    soft_threshold_,
    sparsity,
)
from lightning_modules.action.metrics import FrameMetrics
from lightning_modules.action.network import FrameClassifier
from lightning_modules.action.preprocess import ActionPreprocess, Preprocessing
from lightning_modules.action.presets import (
    CONFIG_ARGUMENTS,
    PresetName,
    Schedule,
    check_arguments,
    prediction_defects,
    resolve_preset,
    training_defects,
)
from lightning_modules.action.schedules import make_schedules
from lightning_modules.action.streaming import StreamMethod
from lightning_modules.action.transfer import load_transfer
from lightning_modules.nn.frozen import PartlyFrozen
from lightning_modules.nn.optimizers import OptimizerName, named_optimizer

log = logging.getLogger(__name__)

CLASS_PATH = "lightning_modules.FrameAveragingActionRecognizer"
DEFAULT_SIZE = 224
TEST_FACTS = ("label", "video_index", "index", "time", "valid")  # what test_step hands on of a batch
# How a trained model is asked, not what it is: a command may state others than the checkpoint holds.
FREE = ("predict_batch", "half")
# What a checkpoint keeps beside the values of the preset.
SAVED = (
    "preset", "class_names", "frame_size", "backbone", "pretrained", "unfrozen_stages", "optimizer_name",
    "weight_decay", "class_weighting", "label_smoothing", "warmup_epochs", *FREE,
)  # fmt: skip


class FrameAveragingActionRecognizer(StreamMethod):
    """What a person is doing, frame by frame; a rolling average over the frames makes it steady.

    ``preset`` fills every argument that is left at None; an explicit argument wins. The resolved values are the
    module's hyper-parameters, so a checkpoint rebuilds its own network without any other file.

    Args:
        preset: ``default``, or ``legacy``: the original script as it was, with a warning a defect.
        class_names: Classes, in the order of the scores; the data module gives them.
        frame_size: Side of the network's input in pixels; the data module gives it (None: 224).
        backbone: A timm network.
        pretrained: Begin from timm's weights of the backbone, fetched when a training begins.
        backbone_weights: State dict of the backbone in timm's or torchvision's layout, a local file.
        train_backbone: What of the backbone learns: ``none`` (both presets), its ``last`` stages, or ``all``.
        unfrozen_stages: How many stages learn under ``last``.
        preprocessing: ``normalised``, or ``legacy``: a mean is subtracted in prediction alone.
        hidden_features: Width of the fully connected layer; 512.
        dropout: Behind that layer; 0.5.
        l1_weight: Factor of the sum of that layer's absolute weights; 1e-5, ``legacy`` 0.01.
        l1_method: ``penalty`` (both presets) adds it to the loss; ``proximal`` thresholds the weights after each step,
            which makes true zeros.
        optimizer_name: Default optimiser.
        learning_rate: Of the default optimiser; 1e-4.
        momentum: Of SGD; 0.9.
        weight_decay: Of the default optimiser.
        time_decay: The learning rate is divided by ``1 + time_decay / epochs * step``; 0, ``legacy`` 1e-4.
        schedule: ``plateau`` (both presets) lowers the learning rate where ``val/loss`` stands still, ``cosine`` rises
            and falls a step at a time, ``constant`` leaves it.
        plateau_factor: What ``plateau`` multiplies the learning rate by; 0.2.
        plateau_patience: Epochs without improvement until it does; 5.
        min_learning_rate: Where ``plateau`` stops, below ``learning_rate``; 1e-6, ``legacy`` 0.001 (it never acts).
        class_weighting: ``balanced`` gives each class the same say in the loss.
        label_smoothing: Share of the target that is spread over all classes.
        predict_batch: Frames that the network sees at once in prediction.
        half: Predict in half precision on a GPU.
        weights: Checkpoint of a recogniser to begin from; the class layer only where the classes are the same.
        optimizer: Builds another optimiser.
        scheduler: Builds another schedule, in place of ``schedule`` and ``time_decay``.
        scheduler_interval: Whether ``scheduler`` advances every ``step`` or every ``epoch``.
        warmup_epochs: Linear warm-up of ``cosine``, in epochs.

    References:
        Gjorjian, "Deep Learning Action Recognition: Drinking-Cooking".
    """

    class_weight: Tensor

    def __init__(
        self,
        preset: PresetName = "default",
        *,
        class_names: list[str] | None = None,
        frame_size: int | None = None,
        backbone: str = "resnet50",
        pretrained: bool = False,
        backbone_weights: str | None = None,
        train_backbone: TrainBackbone | None = None,
        unfrozen_stages: int = 1,
        preprocessing: Preprocessing | None = None,
        hidden_features: int | None = None,
        dropout: float | None = None,
        l1_weight: float | None = None,
        l1_method: L1Method | None = None,
        optimizer_name: OptimizerName = "sgd",
        learning_rate: float | None = None,
        momentum: float | None = None,
        weight_decay: float = 0.0,
        time_decay: float | None = None,
        schedule: Schedule | None = None,
        plateau_factor: float | None = None,
        plateau_patience: int | None = None,
        min_learning_rate: float | None = None,
        class_weighting: Literal["none", "balanced"] = "none",
        label_smoothing: float = 0.0,
        predict_batch: int = 64,
        half: bool = True,
        weights: str | None = None,
        optimizer: OptimizerCallable | None = None,
        scheduler: LRSchedulerCallable | None = None,
        scheduler_interval: Literal["step", "epoch"] = "step",
        warmup_epochs: float = 0.0,
    ) -> None:
        super().__init__(optimizer, scheduler, scheduler_interval, warmup_epochs)
        given = locals()
        config = resolve_preset(preset, {name: given[name] for name in CONFIG_ARGUMENTS})
        arguments = {name: given[name] for name in SAVED} | {"frame_size": frame_size or DEFAULT_SIZE}
        check_arguments(arguments)
        self.config = config
        self.save_hyperparameters({"_class_path": CLASS_PATH, "_free": list(FREE), **arguments, **asdict(config)})
        self.class_names = list(class_names or ())
        side, classes = int(arguments["frame_size"]), len(self.class_names)
        self.preprocess = ActionPreprocess(*preprocess_statistics(backbone), side, config.preprocessing)
        frozen, features = build_backbone(backbone, side, config.train_backbone, unfrozen_stages)
        network = FrameClassifier(frozen, features, classes, config.hidden_features, config.dropout)
        self.network = network.to(memory_format=torch.channels_last)
        self.register_buffer("class_weight", torch.ones(classes), persistent=False)
        self.val_metrics = FrameMetrics(classes)
        self.test_metrics = FrameMetrics(classes)
        self._random_backbone = backbone_weights is None and weights is None
        if backbone_weights is not None:
            load_backbone(self._backbone, backbone, backbone_weights)
        if weights is not None:
            load_transfer(self, weights, CLASS_PATH)

    @property
    def _backbone(self) -> PartlyFrozen:
        return cast(PartlyFrozen, self.network.backbone)

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
        if self._random_backbone and self.backbone_is_frozen:
            log.warning(
                "The backbone %s is frozen with random weights, so that it tells little: set pretrained, name a file "
                "as backbone_weights, or let it learn with train_backbone all.",
                self.hparams["backbone"],
            )
        if self.hparams["class_weighting"] == "balanced":
            self.class_weight.copy_(balanced_weights(torch.as_tensor(self._class_counts())))

    def _fetch_backbone(self) -> None:
        if self._random_backbone and self.hparams["pretrained"]:
            download_backbone(self._backbone, self.hparams["backbone"], self.hparams["frame_size"])
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
        rate, decay = self.config.learning_rate, self.hparams["weight_decay"]
        return named_optimizer(self.hparams["optimizer_name"], parameters, rate, self.config.momentum, decay)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build the optimiser and its schedules."""
        if self._make_scheduler is not None or self.config.schedule == "cosine":
            return super().configure_optimizers()
        optimizer = self.build_optimizer()
        epochs = self.trainer.max_epochs if self.config.time_decay > 0 else None
        schedules = make_schedules(optimizer, self.config, epochs, self.hparams["preset"] == "legacy")
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
        weight = self.class_weight if self.hparams["class_weighting"] == "balanced" else None
        loss = frame_loss(logits, batch["label"], batch["valid"], weight, self.hparams["label_smoothing"])
        loss = loss + self.penalty()
        counts = batch["valid"] & (batch["label"] >= 0)
        right = (logits.argmax(dim=1) == batch["label"]) & counts
        number = int(counts.sum())
        self.log_stage("train", {"loss": loss, "accuracy": right.sum() / max(1, number)}, batch_size=number)
        return loss

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
        if self.hparams["preset"] == "legacy":
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
        return bool(self.hparams["half"]) and self.config.preprocessing == "normalised"

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
