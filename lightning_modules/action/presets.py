"""Named sets of argument values: the repaired method, and the original script as it was."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from datamodules.common.errors import ConfigurationError
from lightning_modules.action.backbones import TrainBackbone
from lightning_modules.action.losses import L1Method
from lightning_modules.action.preprocess import Preprocessing
from lightning_modules.nn.presets import check_ranges, fill_preset

PresetName = Literal["default", "legacy"]
Schedule = Literal["plateau", "cosine", "constant"]


@dataclass(frozen=True)
class RecognizerConfig:
    """Arguments that a preset fills when they are left at None.

    Attributes:
        preprocessing: How frames become numbers.
        train_backbone: What of the backbone learns.
        hidden_features: Width of the fully connected layer.
        dropout: Behind that layer.
        l1_weight: Factor of the sum of its absolute weights.
        l1_method: How that sum is made small.
        learning_rate: Of the optimiser.
        momentum: Of SGD.
        time_decay: The learning rate is divided by ``1 + time_decay / epochs * step``.
        schedule: Of the learning rate.
        plateau_factor: What ``plateau`` multiplies the learning rate by.
        plateau_patience: Epochs without improvement until it does.
        min_learning_rate: Where it stops.
    """

    preprocessing: Preprocessing = "normalised"
    train_backbone: TrainBackbone = "none"
    hidden_features: int = 512
    dropout: float = 0.5
    l1_weight: float = 1e-5
    l1_method: L1Method = "penalty"
    learning_rate: float = 1e-4
    momentum: float = 0.9
    time_decay: float = 0.0
    schedule: Schedule = "plateau"
    plateau_factor: float = 0.2
    plateau_patience: int = 5
    min_learning_rate: float = 1e-6


PRESETS: dict[PresetName, RecognizerConfig] = {
    "default": RecognizerConfig(),
    "legacy": RecognizerConfig(preprocessing="legacy", l1_weight=0.01, time_decay=1e-4, min_learning_rate=0.001),
}
CONFIG_ARGUMENTS = tuple(field.name for field in fields(RecognizerConfig))


def resolve_preset(name: PresetName, given: Mapping[str, object]) -> RecognizerConfig:
    """Values of a preset, with those that are given in its place.

    Args:
        name: ``default`` or ``legacy``.
        given: Arguments by name; None means "not given".

    Raises:
        ConfigurationError: If there is no such preset, or a value cannot work.

    Example:
        >>> resolve_preset("legacy", {"dropout": 0.1, "l1_weight": None}).l1_weight
        0.01
    """
    config = fill_preset(PRESETS, name, given)
    _check(config, legacy=name == "legacy")
    return config


def _check(config: RecognizerConfig, legacy: bool) -> None:
    """Refuse values that cannot work."""
    problem = ""
    if not 0 <= config.dropout < 1:
        problem = f"dropout is {config.dropout:g}, but must be at least 0 and below 1"
    elif config.hidden_features < 1:
        problem = f"hidden_features is {config.hidden_features}, but must be at least 1"
    elif config.l1_weight < 0:
        problem = f"l1_weight is {config.l1_weight:g}, but must be at least 0"
    elif config.learning_rate <= 0:
        problem = f"learning_rate is {config.learning_rate:g}, but must be above 0"
    elif not 0 <= config.momentum < 1:
        problem = f"momentum is {config.momentum:g}, but must be at least 0 and below 1"
    elif config.time_decay < 0:
        problem = f"time_decay is {config.time_decay:g}, but must be at least 0"
    elif config.time_decay > 0 and config.schedule == "cosine":
        problem = (
            f"time_decay is {config.time_decay:g}, but schedule is cosine, which decays by itself: set one of them"
        )
    elif not 0 < config.plateau_factor < 1:
        problem = f"plateau_factor is {config.plateau_factor:g}, but must be above 0 and below 1"
    elif config.plateau_patience < 1:
        problem = f"plateau_patience is {config.plateau_patience}, but must be at least 1 epoch"
    elif config.schedule == "plateau" and not legacy:
        check_plateau(config.min_learning_rate, config.learning_rate)
    if problem:
        raise ConfigurationError(f"The recogniser cannot be built: {problem}.")


def check_plateau(min_learning_rate: float, learning_rate: float) -> None:
    """Raise `ConfigurationError` where a schedule could never lower the learning rate.

    Example:
        >>> check_plateau(1e-6, 1e-4)
    """
    if min_learning_rate >= learning_rate:
        raise ConfigurationError(
            f"min_learning_rate is {min_learning_rate:g} and learning_rate {learning_rate:g}, so that the schedule "
            "plateau could never lower it: set min_learning_rate below learning_rate, or schedule to constant."
        )


_RANGES: dict[str, tuple[float, float]] = {
    "frame_size": (1, math.inf),
    "unfrozen_stages": (1, math.inf),
    "weight_decay": (0, math.inf),
    "label_smoothing": (0, 0.99),
    "predict_batch": (1, math.inf),
    "warmup_epochs": (0, math.inf),
}


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Raise `ConfigurationError` for the first argument outside the presets that cannot work."""
    names = arguments["class_names"]
    if not names or len(set(names)) != len(names):
        raise ConfigurationError(
            f"class_names is {names}, but each class needs a name of its own: the data module gives them, or name them "
            "as --model.init_args.class_names."
        )
    check_ranges(arguments, _RANGES)


def training_defects(config: RecognizerConfig) -> list[str]:
    """What of the original's defects these values repeat in training, a sentence each.

    Example:
        >>> training_defects(PRESETS["default"])
        []
    """
    defects = []
    if config.preprocessing == "legacy":
        defects.append(
            "frames are learnt from as they are in 0..255, while prediction subtracts a mean: the network is asked "
            "about other numbers than it learnt from"
        )
        defects.append("frames go in as RGB and undivided, which no published weights of the backbone expect")
    if config.schedule == "plateau" and config.min_learning_rate >= config.learning_rate:
        defects.append(
            f"min_learning_rate {config.min_learning_rate:g} is not below learning_rate {config.learning_rate:g}: the "
            "schedule plateau never acts"
        )
    if config.l1_weight >= PRESETS["legacy"].l1_weight and config.l1_method == "penalty":
        defects.append(
            f"an l1_weight of {config.l1_weight:g} outweighs the cross-entropy a hundredfold at the start, and no step "
            "of the gradient makes an exact zero"
        )
    return defects


def prediction_defects(config: RecognizerConfig) -> list[str]:
    """What of the original's defects these values repeat in prediction, a sentence each."""
    if config.preprocessing != "legacy":
        return []
    return ["a mean is subtracted from the frames that was not subtracted in training"]
