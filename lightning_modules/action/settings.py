"""Arguments of the recogniser, which values cannot work, and presets: the repaired method, the original script."""

from __future__ import annotations

from typing import Literal

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import argument, settings
from lightning_modules.action.losses import L1Method
from lightning_modules.action.network import TrainBackbone
from lightning_modules.action.preprocess import Preprocessing
from lightning_modules.base import MethodSettings, check_class_names
from lightning_modules.nn.optimizers import OptimizerName

PresetName = Literal["default", "legacy"]
Schedule = Literal["plateau", "cosine", "constant"]


DEFAULT_SIZE = 224


@settings
class RecognizerConfig:
    """Arguments that a preset fills when they are left at None."""

    train_backbone: TrainBackbone = argument(
        default="none",
        help="What of the backbone learns: ``none`` (both presets), its ``last`` stages, or ``all``.",
        by_preset=True,
    )
    preprocessing: Preprocessing = argument(
        default="normalised",
        help="``normalised``, or ``legacy``: a mean is subtracted in prediction alone.",
        by_preset=True,
    )
    hidden_features: int = argument(default=512, help="Width of the fully connected layer; 512.", by_preset=True)
    dropout: float = argument(default=0.5, help="Behind that layer; 0.5.", by_preset=True)
    l1_weight: float = argument(
        default=1e-05, help="Factor of the sum of that layer's absolute weights; 1e-5, ``legacy`` 0.01.", by_preset=True
    )
    l1_method: L1Method = argument(
        default="penalty",
        help=(
            "``penalty`` (both presets) adds it to the loss; ``proximal`` thresholds the weights after each step, "
            "which makes true zeros."
        ),
        by_preset=True,
    )
    learning_rate: float = argument(default=0.0001, help="Of the default optimiser; 1e-4.", by_preset=True)
    momentum: float = argument(default=0.9, help="Of SGD; 0.9.", by_preset=True)
    time_decay: float = argument(
        default=0.0,
        help="The learning rate is divided by ``1 + time_decay / epochs * step``; 0, ``legacy`` 1e-4.",
        by_preset=True,
    )
    schedule: Schedule = argument(
        default="plateau",
        help=(
            "``plateau`` (both presets) lowers the learning rate where ``val/loss`` stands still, ``cosine`` rises "
            "and falls a step at a time, ``constant`` leaves it."
        ),
        by_preset=True,
    )
    plateau_factor: float = argument(
        default=0.2, help="What ``plateau`` multiplies the learning rate by; 0.2.", by_preset=True
    )
    plateau_patience: int = argument(default=5, help="Epochs without improvement until it does; 5.", by_preset=True)
    min_learning_rate: float = argument(
        default=1e-06,
        help="Where ``plateau`` stops, below ``learning_rate``; 1e-6, ``legacy`` 0.001 (it never acts).",
        by_preset=True,
    )


@settings
class RecognizerSettings(RecognizerConfig, MethodSettings):
    """Arguments of `FrameAveragingActionRecognizer`."""

    preset: PresetName = argument(
        default="default",
        help="``default``, or ``legacy``: the original script as it was, with a warning a defect.",
        kw_only=False,
    )
    class_names: list[str] | None = argument(
        default=None, help="Classes, in the order of the scores; the data module gives them."
    )
    frame_size: int | None = argument(
        default=None, help="Side of the network's input in pixels; the data module gives it (None: 224).", low=1
    )
    backbone: str = argument(default="resnet50", help="A timm network.")
    pretrained: bool = argument(
        default=False, help="Begin from timm's weights of the backbone, fetched when a training begins."
    )
    backbone_weights: str | None = argument(
        default=None, help="State dict of the backbone in timm's or torchvision's layout, a local file.", saved=False
    )
    unfrozen_stages: int = argument(default=1, help="How many stages learn under ``last``.", low=1)
    optimizer_name: OptimizerName = argument(default="sgd", help="Default optimiser.")
    weight_decay: float = argument(default=0.0, help="Of the default optimiser.", low=0)
    class_weighting: Literal["none", "balanced"] = argument(
        default="none", help="``balanced`` gives each class the same say in the loss."
    )
    label_smoothing: float = argument(
        default=0.0, help="Share of the target that is spread over all classes.", low=0, high=0.99
    )
    predict_batch: int = argument(
        default=64, help="Frames that the network sees at once in prediction.", free=True, low=1
    )
    half: bool = argument(default=True, help="Predict in half precision on a GPU.", free=True)
    weights: str | None = argument(
        default=None,
        help="Checkpoint of a recogniser to begin from; the class layer only where the classes are the same.",
        saved=False,
    )
    warmup_epochs: float = argument(default=0.0, help="Linear warm-up of ``cosine``, in epochs.", low=0)

    def check(self) -> None:
        """Refuse values that cannot work."""
        check_class_names(self.class_names)
        limits = (
            ("dropout", 0 <= self.dropout < 1, "at least 0 and below 1"),
            ("hidden_features", self.hidden_features >= 1, "at least 1"),
            ("l1_weight", self.l1_weight >= 0, "at least 0"),
            ("learning_rate", self.learning_rate > 0, "above 0"),
            ("momentum", 0 <= self.momentum < 1, "at least 0 and below 1"),
            ("time_decay", self.time_decay >= 0, "at least 0"),
            ("plateau_factor", 0 < self.plateau_factor < 1, "above 0 and below 1"),
            ("plateau_patience", self.plateau_patience >= 1, "at least 1 epoch"),
        )
        problems = [
            f"{name} is {getattr(self, name):g}, but must be {bounds}" for name, right, bounds in limits if not right
        ]
        if self.time_decay > 0 and self.schedule == "cosine":
            problems.append(
                f"time_decay is {self.time_decay:g}, but schedule is cosine, which decays by itself: set one of them"
            )
        if problems:
            raise ConfigurationError(f"The recogniser cannot be built: {problems[0]}.")
        if self.schedule == "plateau" and self.preset != "legacy":
            check_plateau(self.min_learning_rate, self.learning_rate)

    @property
    def side(self) -> int:
        """Side of the network's input in pixels."""
        return self.frame_size or DEFAULT_SIZE


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
