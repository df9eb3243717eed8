"""Backbones of the classifier by name: the VGGs, and any timm network as pooled features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import nn

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_attributes.classifier.layers import work_out_of_place
from lightning_modules.face_attributes.classifier.preprocess import (
    NORMALISATIONS,
    ChannelOrder,
    Normalisation,
    Preprocessing,
)
from lightning_modules.face_attributes.classifier.vgg import SMALL, VGG, VGG16, VGGSettings
from lightning_modules.face_attributes.classifier.vgg_weights import load_vgg_weights
from lightning_modules.nn.timm_backbone import build_pooled, fill_from_file, fill_from_timm, statistics_or_imagenet

VGGS: dict[str, VGGSettings] = {"vgg16": VGG16, "small_vgg": SMALL}


def plain_settings(settings: VGGSettings | None) -> dict[str, object] | None:
    """The shape of a VGG as a command line and YAML hold it: numbers in lists.

    Example:
        >>> plain_settings(VGGSettings((4, 8), (1, 1), (16,)))
        {'widths': [4, 8], 'depths': [1, 1], 'fully': [16], 'norm': False}
    """
    if settings is None:
        return None
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(settings).items()}


def vgg_settings(given: VGGSettings | Mapping[str, Any] | None) -> VGGSettings | None:
    """The shape of a VGG of what `plain_settings` made of it, or as it is given.

    Example:
        >>> vgg_settings({"widths": [4, 8], "depths": [1, 1], "norm": True})
        VGGSettings(widths=(4, 8), depths=(1, 1), fully=(4096, 4096), norm=True)
    """
    if not isinstance(given, Mapping):
        return given
    values: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in given.items()}
    return VGGSettings(**values)


def build_backbone(
    name: str,
    image_size: int = 224,
    vgg: VGGSettings | None = None,
    dropout: float = 0.0,
    dropout_everywhere: bool = False,
) -> tuple[nn.Module, int]:
    """Make a backbone with random weights.

    Args:
        name: ``vgg16``, ``small_vgg``, or a network of timm (``timm/vgg16`` where the names collide).
        image_size: Side of its input in pixels.
        vgg: Another shape for a VGG.
        dropout: Of a VGG's layers, in training.
        dropout_everywhere: Behind each of them; see `VGG`.

    Returns:
        The backbone, ``(B, 3, S, S)`` to ``(B, F)``, and F.

    Raises:
        ConfigurationError: If there is no such network, or it does not take images of that size.
    """
    if name in VGGS:
        network = VGG(vgg or VGGS[name], image_size, dropout, dropout_everywhere)
        return network, network.num_features
    if vgg is not None or dropout_everywhere:
        raise ConfigurationError(
            f"vgg and dropout_everywhere shape a VGG, but the backbone is {name}: leave them out, or choose "
            f"{' or '.join(VGGS)}."
        )
    model, features = build_pooled(_timm_name(name), image_size, "image_size", own=tuple(VGGS))
    work_out_of_place(model)
    return model, features


def _timm_name(name: str) -> str:
    return name.removeprefix("timm/")


def load_backbone(network: nn.Module, name: str, file: str, channel_order: ChannelOrder | None = None) -> Preprocessing:
    """Fill a backbone from a local file of weights: a VGG from any published layout, another one from timm's.

    Returns:
        The normalisation that the weights were made for.

    Raises:
        CheckpointError: If the file is unreadable, or a weight is missing, left over or of another shape.
    """
    if isinstance(network, VGG):
        layout = load_vgg_weights(network, file, channel_order)
        return "imagenet" if layout == "torchvision" else default_preprocessing(name)
    fill_from_file(network, _timm_name(name), file)
    return "backbone"


def download_backbone(network: nn.Module, name: str, image_size: int) -> None:
    """Fill a timm backbone with timm's pretrained weights, from its cache or the network.

    Raises:
        ConfigurationError: If there are none for this name, or they cannot be fetched.
    """
    if isinstance(network, VGG):
        raise ConfigurationError(
            f"No weights of {name} are fetched by themselves: name a local file of VGG-Face or torchvision as "
            "--model.init_args.backbone_weights, and add --model.init_args.pretrained false."
        )
    fill_from_timm(network, _timm_name(name), image_size)


def default_preprocessing(name: str) -> Preprocessing:
    """Normalisation that a backbone is made for: VGG-Face's for ``vgg16``, timm's own for a timm network."""
    defaults: dict[str, Preprocessing] = {"vgg16": "vgg_face", "small_vgg": "unit"}
    return defaults.get(name, "backbone")


def normalisation_of(name: str, preprocessing: Preprocessing) -> Normalisation:
    """The numbers of a normalisation; ``backbone`` asks timm for those of its network (ImageNet's if it is silent)."""
    if preprocessing != "backbone":
        return NORMALISATIONS[preprocessing]
    return Normalisation(*statistics_or_imagenet(_timm_name(name)))
