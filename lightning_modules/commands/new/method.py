"""A method of your own: which class a picture shows. Change the network, the steps and the measures."""

from __future__ import annotations

from typing import TypedDict

import torch
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from datamodules.common.settings import argument, settings, takes
from lightning_modules.base import Method, MethodSettings, Stage, check_class_names


class Batch(TypedDict):
    """What the data gives: uint8 pictures ``(B, 3, H, W)``, RGB 0..255, and int64 classes ``(B,)``."""

    image: Tensor
    label: Tensor


@settings
class OwnMethodSettings(MethodSettings):
    """Arguments of `OwnMethod`: options of the command line, keys of configurations, kept in checkpoints."""

    class_names: list[str] | None = argument(default=None, help="Classes in their order; the data gives them.")
    width: int = argument(default=16, help="Channels of the first layer.", low=1)
    learning_rate: float = argument(default=1e-3, help="Of the default optimiser, AdamW.")

    def check(self) -> None:
        """Refuse what cannot work."""
        check_class_names(self.class_names)


class OwnMethod(Method):
    """Two convolutions and the mean over the picture; optimiser, schedule and their options are inherited."""

    @takes(OwnMethodSettings)
    def __init__(self, settings: OwnMethodSettings) -> None:
        super().__init__(*settings.optimisation)
        self.config = settings
        self.keep(settings)  # the hyper-parameters, from which a checkpoint builds this method again
        classes, width = len(settings.class_names or ()), settings.width
        self.network = nn.Sequential(
            nn.Conv2d(3, width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(2 * width, classes),
        )
        self.val_accuracy = MulticlassAccuracy(max(2, classes))
        self.test_accuracy = MulticlassAccuracy(max(2, classes))

    def forward(self, image: Tensor) -> Tensor:
        """Logits ``(B, C)`` of uint8 pictures ``(B, 3, H, W)``."""
        logits: Tensor = self.network(image.float() / 127.5 - 1)
        return logits

    def default_optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """AdamW; ``--model.optimizer SGD --model.optimizer.lr 0.1`` takes another."""
        return torch.optim.AdamW(parameters, lr=self.config.learning_rate)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Cross-entropy."""
        loss = nn.functional.cross_entropy(self(batch["image"]), batch["label"])
        self.log_stage("train", {"loss": loss}, batch_size=len(batch["label"]))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss and accuracy."""
        self._measure("val", batch, self.val_accuracy)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss and accuracy."""
        self._measure("test", batch, self.test_accuracy)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Probabilities ``(B, C)``."""
        probabilities: Tensor = self(batch["image"]).softmax(dim=1)
        return probabilities

    def _measure(self, stage: Stage, batch: Batch, accuracy: MulticlassAccuracy) -> None:
        logits, label = self(batch["image"]), batch["label"]
        accuracy(logits, label)
        self.log(f"{stage}/accuracy", accuracy, on_step=False, on_epoch=True)
        loss = nn.functional.cross_entropy(logits, label)
        self.log_stage(stage, {"loss": loss}, batch_size=len(label))
