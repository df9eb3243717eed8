"""Named sets of argument values: the repaired method, and the original script as it was."""

from __future__ import annotations

from lightning_modules.action.settings import PresetName, RecognizerConfig

PRESETS: dict[PresetName, RecognizerConfig] = {
    "default": RecognizerConfig(),
    "legacy": RecognizerConfig(preprocessing="legacy", l1_weight=0.01, time_decay=1e-4, min_learning_rate=0.001),
}


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
