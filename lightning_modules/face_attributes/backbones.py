"""Backbones of the classifier by name: the VGGs, and any timm network as pooled features."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import torch
from torch import nn

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_attributes.layers import work_out_of_place
from lightning_modules.face_attributes.preprocess import (
    IMAGENET,
    NORMALISATIONS,
    ChannelOrder,
    Normalisation,
    Preprocessing,
)
from lightning_modules.face_attributes.vgg import SMALL, VGG, VGG16, VGGSettings
from lightning_modules.face_attributes.vgg_weights import load_vgg_weights
from lightning_modules.nn.checkpoint_loading import load_state_dict_file, load_strictly, strip_prefix

VGGS: dict[str, VGGSettings] = {"vgg16": VGG16, "small_vgg": SMALL}


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
    model = _timm_network(name, image_size)
    return model, _output_width(model, name, image_size)


def _timm_network(name: str, image_size: int, pretrained: bool = False) -> nn.Module:
    import timm  # slow to import, and of no use to `--help`

    known = name.removeprefix("timm/")
    if not timm.is_model(known):
        near = get_close_matches(known, [*VGGS, *timm.list_models()], n=3)
        hint = f" such as {', '.join(near)}" if near else ""
        raise ConfigurationError(f"There is no backbone {name!r}: use {', '.join(VGGS)} or a name of timm{hint}.")
    settings = timm.get_pretrained_cfg(known, allow_unregistered=True)
    fixed: dict[str, Any] = {"img_size": image_size} if settings is not None and settings.fixed_input_size else {}
    try:
        model: nn.Module = timm.create_model(known, pretrained=pretrained, num_classes=0, **fixed)
    except (TypeError, AssertionError) as error:
        raise ConfigurationError(
            f"The backbone {name!r} cannot be built for faces of {image_size} pixels ({error}): choose another "
            "image_size."
        ) from error
    work_out_of_place(model)
    return model


def _output_width(model: nn.Module, name: str, image_size: int) -> int:
    """Number of pooled features, by one image: timm's own numbers do not always say."""
    mode = model.training
    try:
        with torch.no_grad():
            shape = tuple(model.eval()(torch.zeros(1, 3, image_size, image_size)).shape)
    except (RuntimeError, AssertionError) as error:
        raise ConfigurationError(
            f"The backbone {name!r} does not take faces of {image_size} pixels ({error}): choose another image_size."
        ) from error
    model.train(mode)
    if len(shape) != 2:
        raise ConfigurationError(f"The backbone {name!r} gives {shape}, not pooled features: choose another one.")
    return int(shape[1])


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
    import timm  # see `_timm_network`

    settings = timm.get_pretrained_cfg(name.removeprefix("timm/"), allow_unregistered=True)
    classifier = getattr(settings, "classifier", None) or "fc"
    above = tuple(f"{layer}." for layer in ((classifier,) if isinstance(classifier, str) else classifier))
    own = network.state_dict()
    state = {
        key: value
        for key, value in strip_prefix(load_state_dict_file(file), "module.").items()
        if key in own or not key.startswith(above)
    }
    covered = [key for key in own if key in state or not key.endswith("num_batches_tracked")]
    load_strictly(network, state, covered, f"{name} in {file}")
    return "backbone"


def download_backbone(network: nn.Module, name: str, image_size: int) -> None:
    """Fill a timm backbone with timm's pretrained weights, from its cache or the network.

    Raises:
        ConfigurationError: If there are none for this name, or they cannot be fetched.
    """
    if isinstance(network, VGG):
        raise ConfigurationError(
            f"No weights of {name} are fetched by themselves: name a local file of VGG-Face or torchvision as "
            "backbone_weights, and set pretrained to false."
        )
    try:
        state = _timm_network(name, image_size, pretrained=True).state_dict()
    except (RuntimeError, OSError) as error:
        raise ConfigurationError(
            f"No pretrained weights of {name!r} can be had ({error}): set pretrained to false, or name a local file as "
            "backbone_weights."
        ) from error
    load_strictly(network, state, state, f"{name} of timm")


def default_preprocessing(name: str) -> Preprocessing:
    """Normalisation that a backbone is made for: VGG-Face's for ``vgg16``, timm's own for a timm network."""
    defaults: dict[str, Preprocessing] = {"vgg16": "vgg_face", "small_vgg": "unit"}
    return defaults.get(name, "backbone")


def normalisation_of(name: str, preprocessing: Preprocessing) -> Normalisation:
    """The numbers of a normalisation; ``backbone`` asks timm for those of its network (ImageNet's if it is silent)."""
    if preprocessing != "backbone":
        return NORMALISATIONS[preprocessing]
    import timm  # see `_timm_network`

    known = name.removeprefix("timm/")
    settings = timm.get_pretrained_cfg(known, allow_unregistered=True) if timm.is_model(known) else None
    return IMAGENET if settings is None else Normalisation(tuple(settings.mean), tuple(settings.std))
