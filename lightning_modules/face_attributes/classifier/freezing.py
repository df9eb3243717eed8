"""Which parts of a backbone stay as they are, and how fast each of the others learns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_attributes.classifier.layers import HEADS, layer_names
from lightning_modules.face_attributes.classifier.vgg import VGG
from lightning_modules.nn.frozen import PartlyFrozen, parts_before

NOTHING = "none"  # the whole backbone learns


def freeze_below(backbone: nn.Module, layer: str, image_size: int = 224) -> PartlyFrozen:
    """Freeze every part of a backbone that comes before a layer; the layer itself learns.

    Args:
        backbone: A `VGG` or another network.
        layer: A layer (``fc6``, ``conv5_1``), the beginning of its name (``conv5``: its first layer), ``heads`` for
            the whole backbone, or ``none`` for nothing.
        image_size: Side of its input in pixels.

    Returns:
        The backbone, changed in place; frozen parts stay in evaluation mode, so that they have no dropout either.

    Raises:
        ConfigurationError: If there is no such layer; the message lists all.

    Example:
        >>> from lightning_modules.face_attributes.classifier.vgg import VGGSettings
        >>> backbone = freeze_below(VGG(VGGSettings((4, 8), (1, 1), (16,)), 8), "fc6")
        >>> [name for name, parameter in backbone.module.named_parameters() if parameter.requires_grad]
        ['fc6.weight', 'fc6.bias']
    """
    if layer == NOTHING:
        return PartlyFrozen(backbone)
    if layer == HEADS:
        return PartlyFrozen(backbone).freeze()
    return PartlyFrozen(backbone, parts_below(backbone, find_layer(backbone, layer, image_size)))


def find_layer(backbone: nn.Module, layer: str, image_size: int = 224) -> str:
    """The layer of that name, else the first one whose name begins so; see `freeze_below`."""
    names = layer_names(backbone, image_size)
    if layer in names:
        return layer
    first = next((name for name in names if name.startswith((f"{layer}_", f"{layer}."))), None)
    if first is None:
        raise ConfigurationError(
            f"freeze_below is {layer!r}, but the backbone has no such layer: name {NOTHING}, {HEADS} (all of it is "
            f"frozen), or one of "
            f"{', '.join(names)}."
        )
    return first


def parts_below(backbone: nn.Module, layer: str) -> list[str]:
    """Submodules and parameters of a backbone that come before a layer, by their names.

    A network that is no VGG is taken to use its modules in the order in which it defines them.
    """
    if isinstance(backbone, VGG):
        modules = [name for name, _ in backbone.steps]
        # With batch norm the layer is the norm's output; its convolution learns with it.
        return modules[: modules.index(layer)]
    return parts_before(backbone, [name for name, _ in backbone.named_modules()].index(layer))


def layer_distances(backbone: nn.Module) -> dict[str, int]:
    """How many layers with weights lie between each parameter of a backbone and the heads, plus one.

    A batch norm counts with the convolution or linear layer before it.

    Example:
        >>> from lightning_modules.face_attributes.classifier.vgg import VGGSettings
        >>> distances = layer_distances(VGG(VGGSettings((4, 8), (1, 1), (16,)), 8))
        >>> {name: steps for name, steps in distances.items() if name.endswith("weight")}
        {'conv1_1.weight': 3, 'conv2_1.weight': 2, 'fc6.weight': 1}
    """
    depth = 0
    depths: dict[str, int] = {}
    for name, module in backbone.named_modules():
        own = [parameter for parameter, _ in module.named_parameters(recurse=False)]
        if own and isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
            depth += 1
        depths.update({f"{name}.{parameter}" if name else parameter: depth for parameter in own})
    return {name: depth + 1 - max(1, steps) for name, steps in depths.items()}


def rate_groups(
    module: nn.Module, backbone: nn.Module, parameters: Iterable[nn.Parameter], layer_decay: float
) -> list[dict[str, Any]]:
    """Parameters that learn, in groups of equal learning rate for an optimiser, heads first.

    The rate of a layer is ``layer_decay`` to the power of its distance to the heads, which have 1. Each group has its
    factor as ``rate_scale``; `scale_rates` applies it.
    """
    wanted = {id(parameter) for parameter in parameters}
    distances = layer_distances(backbone)
    distance_of = {id(value): distances[name] for name, value in backbone.named_parameters()}
    groups: dict[int, list[nn.Parameter]] = {}
    for parameter in module.parameters():
        if id(parameter) in wanted:
            groups.setdefault(distance_of.get(id(parameter), 0), []).append(parameter)
    return [{"params": group, "rate_scale": layer_decay**steps} for steps, group in sorted(groups.items())]


def scale_rates(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Multiply the learning rate of each group by its ``rate_scale``; returns the optimiser itself."""
    for group in optimizer.param_groups:
        scale: object = group.get("rate_scale", 1.0)
        if isinstance(scale, float):
            group["lr"] *= scale
    return optimizer
