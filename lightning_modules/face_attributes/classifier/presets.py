"""Named sets of argument values: the repaired method, and the paper's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Literal

from lightning_modules.face_attributes.classifier.freezing import NOTHING
from lightning_modules.face_attributes.classifier.heads import Layout
from lightning_modules.face_attributes.classifier.legacy_labels import Labelling
from lightning_modules.face_attributes.classifier.losses import Reduction
from lightning_modules.nn.optimizers import OptimizerName
from lightning_modules.nn.presets import check_ranges, fill_preset

PresetName = Literal["default", "paper"]
Schedule = Literal["cosine", "constant"]
MeanKind = Literal["colour", "image"]


@dataclass(frozen=True)
class ClassifierConfig:
    """Arguments that a preset fills when they are left at None.

    Attributes:
        freeze_below: Layer below which the backbone stays as it is.
        dropout: Behind the fully connected layers of a VGG, or before the heads.
        dropout_everywhere: Behind the convolutions of a VGG too.
        layout: How heads become outputs.
        labelling: Which of several true attributes a head is told.
        reduction: How the losses of the heads become one.
        mean: What preprocessing takes off: the mean colour, or the mean image of the training faces.
        optimizer_name: Default optimiser.
        learning_rate: Of the optimiser, at the heads.
        momentum: Of SGD.
        weight_decay: Of the optimiser.
        schedule: Of the learning rate.
    """

    freeze_below: str = NOTHING
    dropout: float = 0.5
    dropout_everywhere: bool = False
    layout: Layout = "by_kind"
    labelling: Labelling = "repaired"
    reduction: Reduction = "mean"
    mean: MeanKind = "colour"
    optimizer_name: OptimizerName = "adamw"
    learning_rate: float = 3e-4
    momentum: float = 0.9
    weight_decay: float = 0.01
    schedule: Schedule = "cosine"


PRESETS: dict[PresetName, ClassifierConfig] = {
    "default": ClassifierConfig(),
    "paper": ClassifierConfig(
        freeze_below="conv5",
        dropout_everywhere=True,
        layout="softmax",
        reduction="sum",
        mean="image",
        optimizer_name="sgd",
        learning_rate=5e-6,
        weight_decay=5e-4,
        schedule="constant",
    ),
}
# Least and largest value of an argument, of a preset or not.
RANGES: dict[str, tuple[float, float]] = {
    "dropout": (0, 0.99),
    "learning_rate": (1e-12, math.inf),
    "momentum": (0, 0.9999),
    "weight_decay": (0, math.inf),
    "image_size": (1, math.inf),
    "layer_decay": (1e-6, 1),
    "warmup_epochs": (0, math.inf),
}
CONFIG_ARGUMENTS = tuple(field.name for field in fields(ClassifierConfig))


def resolve_preset(name: PresetName, given: Mapping[str, object]) -> ClassifierConfig:
    """Values of a preset, with those that are given in its place.

    Args:
        name: ``default`` or ``paper``.
        given: Arguments by name; None means "not given".

    Raises:
        ConfigurationError: If there is no such preset, or a value cannot work.

    Example:
        >>> resolve_preset("paper", {"dropout": 0.1, "momentum": None}).momentum
        0.9
    """
    config = fill_preset(PRESETS, name, given)
    check_ranges(asdict(config), RANGES)
    return config
