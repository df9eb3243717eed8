"""Classification of face attributes as a LightningModule: one backbone, a head for each group of attributes."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial
from typing import Any, cast

import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from datamodules.common.settings import fill, takes
from datamodules.face_attributes.batch import FaceBatch
from datamodules.faces.schema import MISSING, AttributeSchema
from lightning_modules.base import Method
from lightning_modules.face_attributes.classifier.backbones import (
    build_backbone,
    default_preprocessing,
    download_backbone,
    load_backbone,
    normalisation_of,
    plain_settings,
    vgg_settings,
)
from lightning_modules.face_attributes.classifier.freezing import freeze_below as freeze_parts
from lightning_modules.face_attributes.classifier.freezing import rate_groups, scale_rates
from lightning_modules.face_attributes.classifier.heads import AttributeHeads
from lightning_modules.face_attributes.classifier.layers import plain_backbone
from lightning_modules.face_attributes.classifier.legacy_labels import legacy_random_labels
from lightning_modules.face_attributes.classifier.losses import ClassWeights, attribute_losses
from lightning_modules.face_attributes.classifier.metrics import AttributeMetrics
from lightning_modules.face_attributes.classifier.network import FaceAttributeNetwork
from lightning_modules.face_attributes.classifier.preprocess import FacePreprocess
from lightning_modules.face_attributes.classifier.settings import PRESETS, ClassifierSettings
from lightning_modules.face_attributes.classifier.training_facts import (
    LABELLED,
    labelled_of,
    training_labelled,
    training_mean,
    training_weights,
    without_unlabelled,
)
from lightning_modules.face_attributes.classifier.transfer import BEFORE, load_transfer
from lightning_modules.face_attributes.classifier.vgg import VGG
from lightning_modules.nn.frozen import PartlyFrozen
from lightning_modules.nn.optimizers import named_optimizer
from lightning_modules.nn.processes import mean_over_processes, number_of_processes

log = logging.getLogger(__name__)


class FaceAttributeClassifier(Method):
    """Which attributes a face shows: heads of related attributes on one network.

    ``preset`` fills every argument that is left at None; an explicit argument wins. The resolved values are the
    module's hyper-parameters, so a checkpoint rebuilds its own network without any other file.

    Attributes:
        labelled: Names of the attributes that some training face had a label for; None where that is not known.
        learnt_before: People that the weights learnt from before this training, as of ``transfer.learnt_in``.

    References:
        Cate, Dalvi, Hussain, "DeepFace: Face Generation using Deep Learning" (2016), sections 3.2 and 5.1.
    """

    present_weight: Tensor
    absent_weight: Tensor

    @takes(ClassifierSettings, partial(fill, ClassifierSettings, PRESETS))
    def __init__(self, settings: ClassifierSettings) -> None:
        by_layer = partial(self._by_layer, settings.optimizer) if settings.optimizer is not None else None
        super().__init__(by_layer, *settings.optimisation[1:])
        self.config = config = settings
        backbone, side, shape = settings.backbone, settings.side, vgg_settings(settings.vgg)
        plain = settings.attribute_schema
        self.schema = AttributeSchema.from_plain(plain) if plain else AttributeSchema.from_file()
        module, features = build_backbone(backbone, side, shape, config.dropout, config.dropout_everywhere)
        expected = default_preprocessing(backbone)
        if settings.backbone_weights is not None:
            expected = load_backbone(module, backbone, settings.backbone_weights, settings.weights_channel_order)
        preprocessing = settings.preprocessing or expected
        self.keep(
            settings,
            attribute_schema=self.schema.plain(),
            image_size=side,
            vgg=plain_settings(shape),
            preprocessing=preprocessing,
        )
        self.preprocess = FacePreprocess.from_normalisation(
            side, normalisation_of(backbone, preprocessing), config.mean == "image"
        )
        heads = AttributeHeads(features, self.schema, config.layout)
        # A VGG drops out behind its own layers.
        dropout_before_heads = 0.0 if isinstance(module, VGG) else config.dropout
        frozen = freeze_parts(module, config.freeze_below, side)
        network = FaceAttributeNetwork(frozen, heads, side, dropout_before_heads)
        self.network = network.to(memory_format=torch.channels_last)
        self.register_buffer("present_weight", torch.ones(heads.num_logits), persistent=False)
        self.register_buffer("absent_weight", torch.ones(heads.num_logits), persistent=False)
        self.val_metrics = AttributeMetrics(self.schema)
        self.test_metrics = AttributeMetrics(self.schema)
        self._random_backbone = settings.backbone_weights is None and settings.weights is None
        self._mean_known = config.mean == "colour" or settings.weights is not None
        self.labelled: frozenset[str] | None = None
        self._random_heads = True
        self.learnt_before: list[Tensor | None] = []
        if settings.weights is not None:
            taken = load_transfer(self, dict(self.hparams), settings.weights, self.class_path())
            self.learnt_before = taken.learnt
            if taken.heads:
                self._random_heads, self.labelled = False, taken.labelled
            else:
                self.left_random(["the heads"])

    @property
    def attribute_schema(self) -> dict[str, Any]:
        """The schema as plain values."""
        return self.schema.plain()

    # Beginning.

    def on_fit_start(self) -> None:
        """Fetch pretrained weights, and take from the data what the settings ask for, unless a training goes on."""
        self._prepare_backbone()
        data = getattr(self.trainer, "datamodule", None)
        if not self._mean_known:
            add_up = partial(self.trainer.strategy.reduce, reduce_op="sum")
            self.preprocess.set_mean_image(training_mean(data, self.preprocess, self.trainer.world_size, add_up))
            self._mean_known = True
        if self.config.class_weighting == "balanced":
            weights = training_weights(data, self.network.heads)
            self.present_weight.copy_(weights.present)
            self.absent_weight.copy_(weights.absent)
        labelled = training_labelled(data, self.schema)
        # What heads that come from a checkpoint without these names were told is never known.
        if labelled is not None and (self._random_heads or self.labelled is not None):
            self.labelled = labelled | (self.labelled or frozenset())
        self._random_heads = False

    def _prepare_backbone(self) -> None:
        """Fetch its weights, if wanted, and say what is strange about a frozen one, not what is meant."""
        backbone = cast(PartlyFrozen, self.network.backbone)
        if self._random_backbone and self.config.pretrained:
            download_backbone(backbone.module, self.config.backbone, self.config.side)
            self._random_backbone = False
        self.warn_of_random()
        self.expect_frozen(backbone)

    def random_and_frozen(self) -> str | None:
        """A backbone that is partly frozen, without weights."""
        if not self._random_backbone or self.config.pretrained or self.config.freeze_below == "none":
            return None
        return (
            f"the backbone {self.config.backbone} is frozen below {self.config.freeze_below} with random weights, "
            "which tell little: name a file with --model.init_args.backbone_weights FILE, or let it learn with "
            "--model.init_args.freeze_below none"
        )

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Know that the backbone's weights and the mean image are there: a checkpoint holds all of them."""
        self._random_backbone = False
        self._mean_known = True
        self._random_heads = False
        self.labelled = labelled_of(checkpoint)
        self.learnt_before = list(checkpoint.get(BEFORE, []))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the names of the attributes that were labelled, and whom the weights learnt from before."""
        if self.learnt_before:
            checkpoint[BEFORE] = self.learnt_before
        if self.labelled is not None:
            checkpoint[LABELLED] = sorted(self.labelled)

    # Optimiser.

    def default_optimizer(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """AdamW, or SGD with momentum as in the paper."""
        return self._by_layer(self._plain_optimizer, parameters)

    def _plain_optimizer(self, parameters: Iterable[Any]) -> torch.optim.Optimizer:
        config = self.config
        return named_optimizer(
            config.optimizer_name, parameters, config.learning_rate, config.momentum, config.weight_decay
        )

    def _by_layer(self, make: OptimizerCallable, parameters: Iterable[Any]) -> torch.optim.Optimizer:
        """Build an optimiser, with a learning rate a layer where ``layer_decay`` asks for it."""
        decay = float(self.config.layer_decay)
        if decay == 1.0:
            return make(parameters)
        return scale_rates(make(rate_groups(self, plain_backbone(self.network), parameters, decay)))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build the optimiser and its schedule."""
        if self.config.schedule == "constant" and self._make_scheduler is None:
            return self.build_optimizer()
        return super().configure_optimizers()

    # Training and evaluation.

    def forward(self, faces: Tensor) -> Tensor:
        """Logits ``(B, L)`` of uint8 faces ``(B, 3, H, W)``."""
        return cast(Tensor, self.network(self.preprocess(faces)))

    def face_losses(self, logits: Tensor, batch: FaceBatch, weighted: bool = False) -> Tensor:
        """Loss of each face of a batch, ``(B,)``; exactly 0 where nothing is known.

        Args:
            logits: ``(B, L)``.
            batch: The faces.
            weighted: Whether rare answers count more, as in training with ``class_weighting``.
        """
        labels = batch["attributes"]
        if self.config.labelling == "legacy_random":
            labels = legacy_random_labels(labels, batch["index"], self.schema)
        weights = ClassWeights(self.present_weight, self.absent_weight) if weighted else None
        return attribute_losses(self.network.heads, logits, labels, weights, self.config.reduction, self.config.ordinal)

    def training_step(self, batch: FaceBatch, batch_idx: int) -> Tensor:
        """Mean loss of the faces of all processes, and the share of known attributes that are decided right."""
        logits = self(batch["image"])
        valid, labels = batch["valid"], batch["attributes"]
        losses = self.face_losses(logits, batch, self.config.class_weighting == "balanced")
        number = int(valid.sum())
        total = (losses * valid).sum()
        known = (labels != MISSING) & valid.unsqueeze(1)
        right = (self.network.heads.decisions(logits) == labels) & known
        accuracy = right.sum() / known.sum().clamp(min=1)
        self.log_stage("train", {"loss": total / max(1, number), "accuracy": accuracy}, batch_size=number)
        return total / mean_over_processes(valid.sum().float()).clamp(min=1 / number_of_processes())

    def _evaluate(self, batch: FaceBatch, metrics: AttributeMetrics) -> dict[str, Tensor]:
        """Answers for a batch, counted in ``metrics``."""
        features = self.network.features(self.preprocess(batch["image"]))
        logits = self.network.classify(features)
        answers = self.answers(logits)
        losses = self.face_losses(logits, batch)
        metrics.update(answers["probability"], answers["decision"], batch["attributes"], losses, batch["valid"])
        return {"logits": logits, **answers, "features": features}

    def answers(self, logits: Tensor) -> dict[str, Tensor]:
        """``probability`` float32 and ``decision`` int8, each ``(B, K)``, of logits ``(B, L)``."""
        heads = self.network.heads
        return {"probability": heads.probabilities(logits), "decision": heads.decisions(logits)}

    def validation_step(self, batch: FaceBatch, batch_idx: int) -> None:
        """Collect answers."""
        self._evaluate(batch, self.val_metrics)

    def test_step(self, batch: FaceBatch, batch_idx: int) -> dict[str, Any]:
        """Collect answers, and hand them to the callbacks.

        Returns:
            ``logits`` ``(B, L)``; ``probability`` and ``decision`` ``(B, K)``; ``features`` ``(B, F)``, fc7 or pooled;
            ``attributes``, ``index`` and ``valid`` of the batch.
        """
        facts = {"attributes": batch["attributes"], "index": batch["index"], "valid": batch["valid"]}
        return {**self._evaluate(batch, self.test_metrics), **facts}

    def predict_step(self, batch: FaceBatch, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """Answers for faces of which nothing need be known.

        Returns:
            ``probability`` and ``decision`` ``(B, K)``, NaN and -1 for attributes that no training face had a label
            for; ``index`` and ``valid`` of the batch.
        """
        answers = without_unlabelled(self.answers(self(batch["image"])), self.schema, self.labelled)
        return {**answers, "index": batch["index"], "valid": batch["valid"]}

    def on_validation_epoch_end(self) -> None:
        """Log the validation measures."""
        self.log_metrics("val", self.val_metrics)

    def on_test_epoch_end(self) -> None:
        """Log the test measures; the tables by attribute and head stay in ``test_metrics``."""
        self.log_metrics("test", self.test_metrics)
