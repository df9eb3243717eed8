"""Classifier of single frames, on any timm network that is frozen whole or in part."""

from __future__ import annotations

from typing import Literal, cast

from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.frozen import PartlyFrozen, parts_before
from lightning_modules.nn.timm_backbone import build_pooled

TrainBackbone = Literal["none", "last", "all"]


class FrameClassifier(nn.Module):
    """Backbone, fully connected layer with ReLU, dropout, class layer.

    Shape:
        - x: ``(B, 3, S, S)``, normalised.
        - returns: logits ``(B, C)``.

    Args:
        backbone: Maps ``(B, 3, S, S)`` to pooled features ``(B, F)``.
        num_features: F.
        num_classes: C.
        hidden: Width of the fully connected layer.
        dropout: Share of that layer's output that training sets to zero.

    Example:
        >>> import torch
        >>> network = FrameClassifier(nn.Flatten(), num_features=12, num_classes=3, hidden=4)
        >>> network(torch.zeros(2, 3, 2, 2)).shape
        torch.Size([2, 3])

    References:
        Gjorjian, "Deep Learning Action Recognition: Drinking-Cooking", section 3.
    """

    def __init__(
        self, backbone: nn.Module, num_features: int, num_classes: int, hidden: int = 512, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.num_features = num_features
        self.hidden = nn.Linear(num_features, hidden)
        self.dropout = nn.Dropout(dropout)
        self.classes = nn.Linear(hidden, num_classes)
        for layer in (self.hidden, self.classes):  # the original's start
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def features(self, x: Tensor) -> Tensor:
        """Pooled features ``(B, F)`` of normalised frames ``(B, 3, S, S)``."""
        return cast(Tensor, self.backbone(x))

    def classify(self, features: Tensor) -> Tensor:
        """Logits ``(B, C)`` of features ``(B, F)``."""
        return cast(Tensor, self.classes(self.dropout(F.relu(self.hidden(features)))))

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, C)`` of normalised frames ``(B, 3, S, S)``."""
        return self.classify(self.features(x))


def build_backbone(
    name: str, size: int = 224, train: TrainBackbone = "none", unfrozen_stages: int = 1
) -> tuple[PartlyFrozen, int]:
    """Make a timm network without classes, with random weights.

    Args:
        name: Of timm.
        size: Side of its input in pixels; networks of a fixed size, such as ViT, are built for it.
        train: ``none`` freezes it, ``last`` all but its last stages, ``all`` nothing.
        unfrozen_stages: How many stages learn under ``last``.

    Returns:
        The backbone, ``(B, 3, size, size)`` to ``(B, F)``, and F.

    Raises:
        ConfigurationError: If the name is unknown, the size does not fit, or there are not that many stages.

    Example:
        >>> import torch
        >>> backbone, features = build_backbone("test_resnet", 64)
        >>> features, tuple(backbone(torch.zeros(1, 3, 64, 64)).shape)
        (96, (1, 96))
    """
    model, features = build_pooled(name, size, "frame_size")
    if train == "none":
        return PartlyFrozen(model).freeze(), features
    return PartlyFrozen(model, first_parts(model, name, unfrozen_stages) if train == "last" else ()), features


def stage_names(model: nn.Module) -> list[str]:
    """Names of the modules that end each stage of a timm network, first to last."""
    info = getattr(model, "feature_info", None) or []
    entries = info if isinstance(info, list) else info.info
    return [str(entry["module"]) for entry in entries]


def first_parts(model: nn.Module, name: str, unfrozen: int) -> list[str]:
    """Submodules and parameters that come before the last stages of a timm network.

    A stage reaches from behind the end of the one before it to its own end; what follows the last one learns with it.

    Args:
        model: The network.
        name: Its name, for the error.
        unfrozen: How many stages are left out.

    Raises:
        ConfigurationError: If there are not that many stages, or none is known.

    Example:
        >>> import timm
        >>> first_parts(timm.create_model("test_resnet", num_classes=0), "test_resnet", 2)
        ['conv1', 'bn1', 'act1', 'maxpool', 'layer1', 'layer2']
    """
    stages = stage_names(model)
    if not 1 <= unfrozen < len(stages):
        allowed = f"choose 1 to {len(stages) - 1}" if len(stages) > 1 else "it names no stages"
        raise ConfigurationError(
            f"unfrozen_stages is {unfrozen}, but the backbone {name!r} has {len(stages)} stages: {allowed}, or set "
            "train_backbone to none or all."
        )
    last = stages[-1 - unfrozen]
    names = [module for module, _ in model.named_modules()]
    end = max(at for at, module in enumerate(names) if module == last or module.startswith(f"{last}."))
    return parts_before(model, end + 1)
